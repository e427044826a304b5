/* How text may look where it goes: a terminal of some width, in colour or not, in UTF-8 or not. */
#ifndef QUOIT_CORE_STYLE_H
#define QUOIT_CORE_STYLE_H

#include <stdbool.h>
#include <stdio.h>

enum style_colour { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GREEN, STYLE_YELLOW, STYLE_RED };

struct style {
    bool is_terminal;
    bool colour;  /* a terminal that is not dumb, and no NO_COLOR (no-color.org) */
    bool unicode; /* the locale's bytes are UTF-8 */
    unsigned columns, rows;
};

/* What `out` is. Where it is no terminal: 80 columns. */
void style_init(struct style *style, FILE *out);
/* The sequence that begins the colour, and the one that ends it; "" without colour. */
const char *style_begin(const struct style *style, enum style_colour colour);
const char *style_end(const struct style *style);

#endif
