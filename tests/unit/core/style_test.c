#include "core/style.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pty.h>

#include <cmocka.h>

static void clear_environment(void)
{
    unsetenv("NO_COLOR");
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    setenv("LANG", "C", 1);
    setenv("TERM", "xterm", 1);
}

static void a_file_has_no_colour_and_80_columns(void **state)
{
    struct style style;
    FILE *file = tmpfile();
    (void)state;
    clear_environment();
    style_init(&style, file);
    assert_false(style.is_terminal);
    assert_false(style.colour);
    assert_int_equal(style.columns, 80);
    assert_string_equal(style_begin(&style, STYLE_RED), "");
    assert_string_equal(style_end(&style), "");
    fclose(file);
}

static void a_terminal_has_its_own_size_and_colour_unless_refused(void **state)
{
    struct style style;
    struct winsize size = {.ws_row = 50, .ws_col = 132};
    int outer, inner;
    (void)state;
    clear_environment();
    assert_int_equal(openpty(&outer, &inner, NULL, NULL, &size), 0);
    FILE *terminal = fdopen(inner, "w");
    style_init(&style, terminal);
    assert_true(style.is_terminal && style.colour);
    assert_int_equal(style.columns, 132);
    assert_int_equal(style.rows, 50);
    assert_string_equal(style_begin(&style, STYLE_RED), "\033[31m");
    setenv("NO_COLOR", "1", 1);
    style_init(&style, terminal);
    assert_true(style.is_terminal && !style.colour);
    setenv("NO_COLOR", "", 1); /* no-color.org: when present and not empty */
    style_init(&style, terminal);
    assert_true(style.colour);
    setenv("TERM", "dumb", 1);
    style_init(&style, terminal);
    assert_false(style.is_terminal || style.colour);
    fclose(terminal);
    close(outer);
}

static void unicode_follows_the_first_variable_that_is_set(void **state)
{
    struct style style;
    (void)state;
    clear_environment();
    style_init(&style, stderr);
    assert_false(style.unicode);
    setenv("LANG", "de_DE.UTF-8", 1);
    style_init(&style, stderr);
    assert_true(style.unicode);
    setenv("LC_CTYPE", "C.utf8", 1);
    setenv("LANG", "C", 1);
    style_init(&style, stderr);
    assert_true(style.unicode);
    setenv("LC_ALL", "POSIX", 1);
    style_init(&style, stderr);
    assert_false(style.unicode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_no_colour_and_80_columns),
        cmocka_unit_test(a_terminal_has_its_own_size_and_colour_unless_refused),
        cmocka_unit_test(unicode_follows_the_first_variable_that_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
