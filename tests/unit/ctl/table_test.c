#include "ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct style plain = {.columns = 80, .rows = 24};
static const struct style coloured = {.colour = true, .columns = 80, .rows = 24};

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const char *const heads[] = {"NAME", ">N", "STATE"};
    struct table table;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    table_init(&table, heads, 3);
    table_add(&table, STYLE_PLAIN, "a");
    table_add(&table, STYLE_PLAIN, "%d", 12345);
    table_add(&table, STYLE_PLAIN, "up");
    table_add(&table, STYLE_PLAIN, "longer");
    table_add(&table, STYLE_PLAIN, "%d", 7);
    table_add(&table, STYLE_PLAIN, "%s", "");
    table_print(&table, &plain, &out);
    assert_string_equal(buf_str(&out), "NAME        N  STATE\n"
                                       "a       12345  up\n"
                                       "longer      7\n");
    table_done(&table);
    buf_done(&out);
}

static void a_column_without_a_text_is_left_out(void **state)
{
    static const char *const heads[] = {"NAME", "PID", ">N"};
    struct table table;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    table_init(&table, heads, 3);
    table_add(&table, STYLE_PLAIN, "a");
    table_add(&table, STYLE_PLAIN, "%s", "");
    table_add(&table, STYLE_PLAIN, "1");
    table_print(&table, &plain, &out);
    assert_string_equal(buf_str(&out), "NAME  N\na     1\n");
    table_done(&table);
    buf_done(&out);
}

static void a_table_without_rows_shows_its_heads(void **state)
{
    static const char *const heads[] = {"NAME", ">N"};
    struct table table;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    table_init(&table, heads, 2);
    table_print(&table, &plain, &out);
    assert_string_equal(buf_str(&out), "NAME  N\n");
    table_done(&table);
    buf_done(&out);
}

static void colours_take_no_room_and_stand_around_the_text_alone(void **state)
{
    static const char *const heads[] = {"S", "N"};
    struct table table;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    table_init(&table, heads, 2);
    table_add(&table, STYLE_GREEN, "up");
    table_add(&table, STYLE_PLAIN, "1");
    table_print(&table, &coloured, &out);
    assert_string_equal(buf_str(&out), "\033[1mS\033[0m   \033[1mN\033[0m\n"
                                       "\033[32mup\033[0m  1\033[0m\n");
    table_done(&table);
    buf_done(&out);
}

static void width_counts_code_points_and_no_colours(void **state)
{
    (void)state;
    assert_int_equal(table_width(""), 0);
    assert_int_equal(table_width("abc"), 3);
    assert_int_equal(table_width("µs"), 2);
    assert_int_equal(table_width("\033[38;5;36m█\033[0m"), 1);
    assert_int_equal(table_width("\033["), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(a_column_without_a_text_is_left_out),
        cmocka_unit_test(a_table_without_rows_shows_its_heads),
        cmocka_unit_test(colours_take_no_room_and_stand_around_the_text_alone),
        cmocka_unit_test(width_counts_code_points_and_no_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
