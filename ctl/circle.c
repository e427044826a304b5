#include "ctl/circle.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/table.h"

#define OUTER (CIRCLE_ROWS / 2.0)
#define INNER (CIRCLE_ROWS * 0.30)
#define NOBODY UINT32_MAX
#define OUTSIDE (UINT32_MAX - 1)

/* Okabe and Ito's colours, which colour-blind people tell apart, as near as xterm's 256 come. */
static const unsigned palette[CIRCLE_COLOURS] = {32, 214, 36, 175, 227, 74, 166, 250};

enum circle_look circle_look_for(const struct style *style, size_t n_owners)
{
    if (!style->colour)
        return CIRCLE_LETTERS;
    return style->unicode && n_owners <= CIRCLE_COLOURS ? CIRCLE_BLOCKS : CIRCLE_COLOURED_LETTERS;
}

char circle_letter(size_t owner)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return owner < sizeof(letters) - 1 ? letters[owner] : '*';
}

static void append_letter(struct buf *out, enum circle_look look, size_t owner)
{
    if (look == CIRCLE_LETTERS)
        buf_appendf(out, "%c", circle_letter(owner));
    else
        buf_appendf(out, "\033[38;5;%um%c\033[0m", palette[owner % CIRCLE_COLOURS],
                    circle_letter(owner));
}

void circle_append_key(struct buf *out, enum circle_look look, size_t owner)
{
    if (look == CIRCLE_BLOCKS)
        buf_appendf(out, "\033[38;5;%um█\033[0m", palette[owner % CIRCLE_COLOURS]);
    else
        append_letter(out, look, owner);
}

/* Who owns the place at column x, row y (in rows and columns from the top left). */
static uint32_t owner_of(const uint32_t *owners, size_t n_points, double x, double y)
{
    double right = (x - CIRCLE_COLUMNS / 2.0) / 2, up = CIRCLE_ROWS / 2.0 - y;
    double radius = hypot(right, up);
    if (radius >= OUTER || radius < INNER || n_points == 0)
        return OUTSIDE;
    double turn = atan2(right, up) / (2 * M_PI); /* clockwise from the top, −½ … ½ */
    if (turn < 0)
        turn += 1;
    size_t at = (size_t)(turn * (double)n_points);
    return owners[at < n_points ? at : n_points - 1];
}

/* A character of two dots, one above the other. */
static void append_dots(struct buf *out, uint32_t above, uint32_t below)
{
    bool has_above = above < OUTSIDE, has_below = below < OUTSIDE;
    unsigned first = has_above ? palette[above % CIRCLE_COLOURS] : 0;
    unsigned second = has_below ? palette[below % CIRCLE_COLOURS] : 0;
    if (!has_above && !has_below)
        buf_append_str(out, " ");
    else if (!has_below)
        buf_appendf(out, "\033[38;5;%um▀\033[0m", first);
    else if (!has_above)
        buf_appendf(out, "\033[38;5;%um▄\033[0m", second);
    else if (first == second)
        buf_appendf(out, "\033[38;5;%um█\033[0m", first);
    else
        buf_appendf(out, "\033[38;5;%u;48;5;%um▀\033[0m", first, second);
}

static void append_character(struct buf *out, const uint32_t *owners, size_t n_points,
                             enum circle_look look, unsigned column, unsigned row)
{
    double x = column + 0.5;
    if (look == CIRCLE_BLOCKS) {
        append_dots(out, owner_of(owners, n_points, x, row + 0.25),
                    owner_of(owners, n_points, x, row + 0.75));
        return;
    }
    uint32_t owner = owner_of(owners, n_points, x, row + 0.5);
    if (owner == OUTSIDE)
        buf_append_str(out, " ");
    else if (owner == NOBODY)
        buf_append_str(out, ".");
    else
        append_letter(out, look, owner);
}

void circle_draw(const uint32_t *owners, size_t n_points, enum circle_look look,
                 const char *const *centre, struct buf lines[CIRCLE_ROWS])
{
    unsigned n_centre = 0;
    while (centre[n_centre])
        n_centre++;
    unsigned first = (CIRCLE_ROWS - n_centre) / 2;
    for (unsigned row = 0; row < CIRCLE_ROWS; row++) {
        const char *text = row >= first && row - first < n_centre ? centre[row - first] : "";
        unsigned n = (unsigned)table_width(text), begin = (CIRCLE_COLUMNS - n) / 2;
        for (unsigned column = 0; column < CIRCLE_COLUMNS; column++) {
            if (n > 0 && column == begin)
                buf_append_str(&lines[row], text);
            if (n == 0 || column < begin || column >= begin + n)
                append_character(&lines[row], owners, n_points, look, column, row);
        }
    }
}
