#include "ctl/circle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/table.h"

#define N_POINTS 360

struct drawing {
    struct buf lines[CIRCLE_ROWS];
};

static void draw(struct drawing *drawing, const uint32_t *owners, enum circle_look look,
                 const char *const *centre)
{
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_init(&drawing->lines[i], 0);
    circle_draw(owners, N_POINTS, look, centre, drawing->lines);
}

static void drawing_done(struct drawing *drawing)
{
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_done(&drawing->lines[i]);
}

static size_t count_letter(struct drawing *drawing, char letter)
{
    size_t n = 0;
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        for (const char *at = buf_str(&drawing->lines[i]); *at; at++)
            n += *at == letter;
    return n;
}

/* Owner i has from[i] … from[i + 1] degrees. */
static void share_out(uint32_t *owners, const unsigned *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (unsigned degree = from[i]; degree < from[i + 1]; degree++)
            owners[degree] = i;
}

static const char *const nothing[] = {NULL};

static void every_line_has_the_same_width_in_every_look(void **state)
{
    static const char *const centre[] = {"three", "χ²", NULL};
    uint32_t owners[N_POINTS];
    (void)state;
    share_out(owners, (const unsigned[]){0, 90, 200, 360}, 3);
    for (enum circle_look look = CIRCLE_LETTERS; look <= CIRCLE_BLOCKS; look++) {
        struct drawing drawing;
        draw(&drawing, owners, look, centre);
        for (size_t i = 0; i < CIRCLE_ROWS; i++)
            assert_int_equal(table_width(buf_str(&drawing.lines[i])), CIRCLE_COLUMNS);
        drawing_done(&drawing);
    }
}

static void quarters_stand_clockwise_from_the_top(void **state)
{
    struct drawing drawing;
    uint32_t owners[N_POINTS];
    (void)state;
    share_out(owners, (const unsigned[]){0, 90, 180, 270, 360}, 4);
    draw(&drawing, owners, CIRCLE_LETTERS, nothing);
    const char *second = buf_str(&drawing.lines[2]);
    const char *last_but_two = buf_str(&drawing.lines[CIRCLE_ROWS - 3]);
    assert_null(strpbrk(second, "BC"));
    assert_true(strchr(second, 'D') < strchr(second, 'A')); /* north-west, then north-east */
    assert_null(strpbrk(last_but_two, "AD"));
    assert_true(strchr(last_but_two, 'C') < strchr(last_but_two, 'B'));
    drawing_done(&drawing);
}

static void areas_are_as_large_as_the_shares(void **state)
{
    struct drawing drawing;
    uint32_t owners[N_POINTS];
    (void)state;
    share_out(owners, (const unsigned[]){0, 36, 144, 360}, 3);
    draw(&drawing, owners, CIRCLE_LETTERS, nothing);
    double a = (double)count_letter(&drawing, 'A'), b = (double)count_letter(&drawing, 'B'),
           c = (double)count_letter(&drawing, 'C'), all = a + b + c;
    assert_true(a / all > 0.08 && a / all < 0.12);
    assert_true(b / all > 0.28 && b / all < 0.32);
    assert_true(c / all > 0.57 && c / all < 0.63);
    drawing_done(&drawing);
}

static void nobodys_places_are_dots_and_the_middle_is_free_for_words(void **state)
{
    static const char *const centre[] = {"no", "servers", NULL};
    struct drawing drawing;
    uint32_t owners[N_POINTS];
    (void)state;
    for (size_t i = 0; i < N_POINTS; i++)
        owners[i] = UINT32_MAX;
    draw(&drawing, owners, CIRCLE_LETTERS, centre);
    assert_true(count_letter(&drawing, '.') > 100);
    assert_int_equal(count_letter(&drawing, 'A'), 0);
    assert_non_null(strstr(buf_str(&drawing.lines[7]), "   no   "));
    assert_non_null(strstr(buf_str(&drawing.lines[8]), " servers "));
    drawing_done(&drawing);
}

static void the_look_follows_the_terminal(void **state)
{
    const struct style pipe = {.unicode = true, .columns = 80};
    const struct style ascii = {.colour = true, .columns = 80};
    const struct style full = {.colour = true, .unicode = true, .columns = 80};
    (void)state;
    assert_int_equal(circle_look_for(&pipe, 3), CIRCLE_LETTERS);
    assert_int_equal(circle_look_for(&ascii, 3), CIRCLE_COLOURED_LETTERS);
    assert_int_equal(circle_look_for(&full, CIRCLE_COLOURS), CIRCLE_BLOCKS);
    assert_int_equal(circle_look_for(&full, CIRCLE_COLOURS + 1), CIRCLE_COLOURED_LETTERS);
}

static void letters_go_on_past_the_alphabet(void **state)
{
    (void)state;
    assert_int_equal(circle_letter(0), 'A');
    assert_int_equal(circle_letter(26), 'a');
    assert_int_equal(circle_letter(61), '9');
    assert_int_equal(circle_letter(62), '*');
    assert_int_equal(circle_letter(1000), '*');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_has_the_same_width_in_every_look),
        cmocka_unit_test(quarters_stand_clockwise_from_the_top),
        cmocka_unit_test(areas_are_as_large_as_the_shares),
        cmocka_unit_test(nobodys_places_are_dots_and_the_middle_is_free_for_words),
        cmocka_unit_test(the_look_follows_the_terminal),
        cmocka_unit_test(letters_go_on_past_the_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
