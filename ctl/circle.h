/* A circle drawn in characters, its ring divided among owners. */
#ifndef QUOIT_CTL_CIRCLE_H
#define QUOIT_CTL_CIRCLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/style.h"

#define CIRCLE_ROWS 17                   /* with what stands around it, 24 lines */
#define CIRCLE_COLUMNS (2 * CIRCLE_ROWS) /* a character is twice as high as wide */
#define CIRCLE_COLOURS 8

enum circle_look {
    CIRCLE_LETTERS,          /* A, B, C… */
    CIRCLE_COLOURED_LETTERS, /* the same in colours: more owners than colours, or no UTF-8 */
    CIRCLE_BLOCKS,           /* half blocks, two dots a character */
};

/* What suits the terminal and so many owners. */
enum circle_look circle_look_for(const struct style *style, size_t n_owners);
/* The letter of owner i: A…Z a…z 0…9, then '*' for all others. */
char circle_letter(size_t owner);
/* How the legend shows owner i: a letter, coloured or not, or a block. Appends one column. */
void circle_append_key(struct buf *out, enum circle_look look, size_t owner);

/* owners: of n_points places around the circle, clockwise from the top; UINT32_MAX: nobody's.
 * centre: lines to stand in its middle, at most 5 of at most 20 columns, NULL-ended. Makes
 * CIRCLE_ROWS lines of CIRCLE_COLUMNS columns each, appending each to its own buffer. */
void circle_draw(const uint32_t *owners, size_t n_points, enum circle_look look,
                 const char *const *centre, struct buf lines[CIRCLE_ROWS]);

#endif
