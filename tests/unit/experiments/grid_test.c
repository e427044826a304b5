#include "experiments/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct grid grid;
static struct buf out;

static int open_grid(void **state)
{
    (void)state;
    grid_init(&grid);
    buf_init(&out, 0);
    grid_add_column(&grid, "name", false);
    grid_add_column(&grid, "n", true);
    grid_add_column(&grid, "note", false);
    return 0;
}

static int close_grid(void **state)
{
    (void)state;
    grid_done(&grid);
    buf_done(&out);
    return 0;
}

static void grid_aligns_by_characters_not_bytes(void **state)
{
    (void)state;
    grid_add(&grid, "%s", "Größe");
    grid_add(&grid, "%d", 12345);
    grid_add(&grid, "a");
    grid_add(&grid, "b");
    grid_add(&grid, "7");
    grid_add(&grid, "–");
    grid_print(&grid, &out);
    assert_string_equal(buf_str(&out), "  name       n  note\n"
                                       "  ─────  ─────  ────\n"
                                       "  Größe  12345  a\n"
                                       "  b          7  –\n");
}

static void grid_prints_headings_alone_without_rows(void **state)
{
    (void)state;
    grid_print(&grid, &out);
    assert_string_equal(buf_str(&out), "  name  n  note\n  ────  ─  ────\n");
}

static void grid_markdown_escapes_bars(void **state)
{
    (void)state;
    grid_add(&grid, "a|b");
    grid_add(&grid, "1");
    grid_add(&grid, "c");
    grid_print_markdown(&grid, &out);
    assert_string_equal(buf_str(&out), "| name | n | note |\n"
                                       "|---|---:|---|\n"
                                       "| a\\|b | 1 | c |\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grid_aligns_by_characters_not_bytes, open_grid, close_grid),
        cmocka_unit_test_setup_teardown(grid_prints_headings_alone_without_rows, open_grid,
                                        close_grid),
        cmocka_unit_test_setup_teardown(grid_markdown_escapes_bars, open_grid, close_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
