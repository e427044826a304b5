#include "experiments/html.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "experiments/endpoints.h"

static struct buf out;

static int set_up(void **state)
{
    (void)state;
    buf_init(&out, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static void html_text_cannot_become_markup(void **state)
{
    (void)state;
    html_print_text("<script>\"a\" & b</script>", &out);
    assert_string_equal(buf_str(&out), "&lt;script&gt;&quot;a&quot; &amp; b&lt;/script&gt;");
}

static void html_figures_keep_their_ids_apart(void **state)
{
    (void)state;
    const char *svg = "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 1 1\" "
                      "xmlns=\"http://www.w3.org/2000/svg\" "
                      "xmlns:xlink=\"http://www.w3.org/1999/xlink\"><title>A</title>"
                      "<g id=\"p\"><title>gnuplot_plot_1</title><circle id='d'/>"
                      "<use xlink:href='#d'/><path fill=\"url(#p)\" d=\"M0,0\"/></g></svg>";
    assert_int_equal(html_print_svg(svg, "X-", "a \"label\"", &out), 0);
    assert_string_equal(buf_str(&out),
                        "<svg role=\"img\" aria-label=\"a &quot;label&quot;\" viewBox=\"0 0 1 1\"  "
                        "><title>A</title><g id=\"X-p\"><circle id='X-d'/>"
                        "<use xlink:href='#X-d'/><path fill=\"url(#X-p)\" d=\"M0,0\"/></g></svg>");
    assert_int_equal(html_print_svg("no figure", "X-", "", &out), -EINVAL);
}

static void html_tables_have_headings_and_escaped_cells(void **state)
{
    struct grid grid;
    (void)state;
    grid_init(&grid);
    grid_add_column(&grid, "request", false);
    grid_add_column(&grid, "n", true);
    grid_add(&grid, "<Error>");
    grid_add(&grid, "%d", 3);
    html_print_table(&grid, "what", &out);
    grid_done(&grid);
    assert_non_null(strstr(buf_str(&out), "<caption>what</caption>"));
    assert_non_null(strstr(buf_str(&out), "<th scope=\"col\" class=\"number\">n</th>"));
    assert_non_null(
        strstr(buf_str(&out), "<tr><td>&lt;Error&gt;</td><td class=\"number\">3</td></tr>"));
}

static void endpoints_patterns_stand_for_numbers_and_for_anything(void **state)
{
    (void)state;
    assert_true(endpoints_match("Server: #\"", "Server: 42\""));
    assert_false(endpoints_match("Server: #\"", "Server: x\""));
    assert_false(endpoints_match("Server: #\"", "Server: 42"));
    assert_true(endpoints_match("", ""));
    assert_false(endpoints_match("", "x"));
    assert_true(endpoints_match("{\"…\"servers\":[…]…}", "{\"N\":3,\"servers\":[1,2]}"));
    assert_false(endpoints_match("a…b", "acbd"));
    assert_true(endpoints_match("…", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(html_text_cannot_become_markup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(html_figures_keep_their_ids_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(html_tables_have_headings_and_escaped_cells, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(endpoints_patterns_stand_for_numbers_and_for_anything,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
