/* A table of text in columns as wide as they need to be. */
#ifndef QUOIT_CTL_TABLE_H
#define QUOIT_CTL_TABLE_H

#include <stddef.h>

#include "core/buf.h"
#include "core/style.h"

#define TABLE_MAX_COLUMNS 12

struct table_cell {
    char *text;
    enum style_colour colour;
};

struct table {
    size_t n_columns;
    const char *heads[TABLE_MAX_COLUMNS]; /* (ref) */
    bool right[TABLE_MAX_COLUMNS];        /* numbers */
    struct table_cell *cells;             /* row after row */
    size_t n_cells, n_allocated;
};

/* heads: a '>' before one aligns its column right, e.g. {"name", ">requests"}. Borrowed.
 * Pair with table_done(). */
void table_init(struct table *table, const char *const *heads, size_t n_columns);
void table_done(struct table *table);
/* The next cell; after the last column a new row begins. */
void table_add(struct table *table, enum style_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends the heads and the rows, a line each, two blanks between columns. Columns whose cells are
 * all empty are left out. */
void table_print(const struct table *table, const struct style *style, struct buf *out);
/* Columns that UTF-8 text takes, a code point being one and a colour's sequence none. */
size_t table_width(const char *text);

#endif
