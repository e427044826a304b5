#include "ctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void table_init(struct table *table, const char *const *heads, size_t n_columns)
{
    assert(n_columns <= TABLE_MAX_COLUMNS);
    *table = (struct table){.n_columns = n_columns};
    for (size_t i = 0; i < n_columns; i++) {
        table->heads[i] = heads[i];
        table->right[i] = heads[i][0] == '>';
        table->heads[i] += table->right[i];
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}

void table_add(struct table *table, enum style_colour colour, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text, 0);
    va_start(args, format);
    buf_vappendf(&text, format, args);
    va_end(args);
    if (table->n_cells == table->n_allocated) {
        table->n_allocated = table->n_allocated ? 2 * table->n_allocated : 64;
        table->cells = mem_realloc(table->cells, table->n_allocated, sizeof(*table->cells));
    }
    table->cells[table->n_cells++] = (struct table_cell){mem_strdup(buf_str(&text)), colour};
    buf_done(&text);
}

size_t table_width(const char *text)
{
    size_t n = 0;
    while (*text) {
        if (*text == '\033') /* "ESC [ 1 m" takes no column */
            text += strcspn(text, "m");
        else
            n += ((unsigned char)*text & 0xc0) != 0x80;
        text += *text != '\0';
    }
    return n;
}

static void print_line(const struct table *table, const struct style *style, const size_t *widths,
                       const struct table_cell *cells, struct buf *out)
{
    const char *blanks = "";
    size_t owed = 0; /* blanks not printed yet: none at the end of a line */
    for (size_t i = 0; i < table->n_columns; i++) {
        if (widths[i] == 0)
            continue;
        const char *text = cells ? cells[i].text : table->heads[i];
        size_t pad = widths[i] - table_width(text);
        if (table->right[i])
            owed += pad;
        if (*text) {
            buf_appendf(out, "%*s", (int)owed, blanks);
            buf_appendf(out, "%s%s%s", style_begin(style, cells ? cells[i].colour : STYLE_BOLD),
                        text, style_end(style));
            owed = 0;
        }
        if (!table->right[i])
            owed += pad;
        owed += 2;
    }
    buf_append_str(out, "\n");
}

void table_print(const struct table *table, const struct style *style, struct buf *out)
{
    size_t widths[TABLE_MAX_COLUMNS] = {0};
    assert(table->n_cells % table->n_columns == 0);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t *width = &widths[i % table->n_columns], n = table_width(table->cells[i].text);
        *width = n > *width ? n : *width;
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        size_t n = table_width(table->heads[i]);
        if (table->n_cells == 0 || (widths[i] > 0 && n > widths[i]))
            widths[i] = n;
    }
    print_line(table, style, widths, NULL, out);
    for (size_t i = 0; i < table->n_cells; i += table->n_columns)
        print_line(table, style, widths, &table->cells[i], out);
}
