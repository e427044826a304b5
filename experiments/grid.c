#include "experiments/grid.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void grid_init(struct grid *grid)
{
    *grid = (struct grid){0};
    arena_init(&grid->arena);
}

void grid_done(struct grid *grid)
{
    free(grid->cells);
    arena_done(&grid->arena);
    *grid = (struct grid){0};
}

void grid_add_column(struct grid *grid, const char *heading, bool numeric)
{
    assert(grid->n_columns < GRID_MAX_COLUMNS && !grid->n_rows);
    grid->headings[grid->n_columns] = arena_strdup(&grid->arena, heading);
    grid->numeric[grid->n_columns++] = numeric;
}

void grid_add(struct grid *grid, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (grid->column == 0) {
        grid->n_rows++;
        grid->cells =
            mem_realloc(grid->cells, grid->n_rows * grid->n_columns, sizeof(*grid->cells));
    }
    size_t at = (grid->n_rows - 1) * grid->n_columns + grid->column;
    grid->cells[at] = arena_strdup(&grid->arena, text);
    grid->column = (grid->column + 1) % grid->n_columns;
}

/* Columns a terminal needs: one a code point, which holds for the texts of ours. */
static size_t text_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_padded(struct buf *out, const char *text, size_t width, bool right)
{
    int padding = (int)(width - text_width(text));
    buf_appendf(out, "%*s%s%*s", right ? padding : 0, "", text, right ? 0 : padding, "");
}

static void print_line(const struct grid *grid, const char *const *cells, const size_t *widths,
                       struct buf *out)
{
    buf_append_str(out, "  ");
    for (size_t c = 0; c < grid->n_columns; c++) {
        bool last = c + 1 == grid->n_columns;
        /* nothing trails the last text of a line */
        size_t width = last && !grid->numeric[c] ? text_width(cells[c]) : widths[c];
        print_padded(out, cells[c], width, grid->numeric[c]);
        buf_append_str(out, last ? "\n" : "  ");
    }
}

void grid_print(const struct grid *grid, struct buf *out)
{
    size_t widths[GRID_MAX_COLUMNS];
    assert(grid->column == 0);
    for (size_t c = 0; c < grid->n_columns; c++) {
        widths[c] = text_width(grid->headings[c]);
        for (size_t r = 0; r < grid->n_rows; r++) {
            size_t width = text_width(grid->cells[r * grid->n_columns + c]);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    print_line(grid, grid->headings, widths, out);
    buf_append_str(out, "  ");
    for (size_t c = 0; c < grid->n_columns; c++) {
        for (size_t i = 0; i < widths[c]; i++)
            buf_append_str(out, "─");
        buf_append_str(out, c + 1 == grid->n_columns ? "\n" : "  ");
    }
    for (size_t r = 0; r < grid->n_rows; r++)
        print_line(grid, grid->cells + r * grid->n_columns, widths, out);
}

static void print_markdown_line(const struct grid *grid, const char *const *cells, struct buf *out)
{
    for (size_t c = 0; c < grid->n_columns; c++) {
        buf_append_str(out, "| ");
        for (const char *text = cells[c]; *text; text++)
            buf_appendf(out, "%s%c", *text == '|' ? "\\" : "", *text);
        buf_append_str(out, " ");
    }
    buf_append_str(out, "|\n");
}

void grid_print_markdown(const struct grid *grid, struct buf *out)
{
    assert(grid->column == 0);
    print_markdown_line(grid, grid->headings, out);
    for (size_t c = 0; c < grid->n_columns; c++)
        buf_append_str(out, grid->numeric[c] ? "|---:" : "|---");
    buf_append_str(out, "|\n");
    for (size_t r = 0; r < grid->n_rows; r++)
        print_markdown_line(grid, grid->cells + r * grid->n_columns, out);
}
