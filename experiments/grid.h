/* A table of texts, printed aligned for a terminal or as Markdown. */
#ifndef QUOIT_EXPERIMENTS_GRID_H
#define QUOIT_EXPERIMENTS_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/buf.h"

#define GRID_MAX_COLUMNS 16

/* Texts live in the arena. */
struct grid {
    struct arena arena;
    const char *headings[GRID_MAX_COLUMNS];
    bool numeric[GRID_MAX_COLUMNS]; /* aligned to the right */
    size_t n_columns;
    const char **cells; /* n_rows × n_columns */
    size_t n_rows;
    size_t column; /* of the cell that comes next */
};

void grid_init(struct grid *grid);
void grid_done(struct grid *grid);
/* Columns come before the first cell. */
void grid_add_column(struct grid *grid, const char *heading, bool numeric);
/* The next cell, from left to right; the first one of a row makes the row. */
void grid_add(struct grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A heading, a rule, a line a row, indented by two blanks. */
void grid_print(const struct grid *grid, struct buf *out);
/* A Markdown (GFM) table; | in a cell is escaped. */
void grid_print_markdown(const struct grid *grid, struct buf *out);

#endif
