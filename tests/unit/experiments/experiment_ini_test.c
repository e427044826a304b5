#include "experiments/experiment_ini.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct ini_entries entries;

static int read_text(const char *text, size_t n, struct err *err)
{
    arena_reset(&arena);
    return ini_read_entries(text, n, "f.ini", &arena, &entries, err);
}

static void refuse(const char *text, size_t n, const char *reason)
{
    struct err err;
    assert_int_equal(read_text(text, n, &err), -EINVAL);
    if (!strstr(err.message, reason))
        fail_msg("wanted '%s', got '%s'", reason, err.message);
}

#define REFUSE(text, reason) refuse(text, strlen(text), reason)

static void expect(const char *section, const char *key, const char *value, int line)
{
    const struct ini_entry *entry = ini_find(&entries, section, key);
    assert_non_null(entry);
    assert_string_equal(entry->value, value);
    assert_int_equal(entry->line, line);
}

static void ini_knows_the_line_of_every_key(void **state)
{
    const char *text = "; a comment\n\n[a]\nx = 1\n# another\n y=2\n[b]\r\nx : 3 ; said\r\n[c]";
    (void)state;
    assert_int_equal(read_text(text, strlen(text), NULL), 0);
    /* y stands indented below x: it goes on with x's value */
    expect("a", "x", "1 y=2", 4);
    expect("b", "x", "3", 8);
    assert_null(ini_find(&entries, "a", "y"));
    assert_null(ini_find(&entries, "c", "x"));
}

static void ini_notes_sections_without_keys(void **state)
{
    (void)state;
    assert_int_equal(read_text("[empty]\n[a]\nx=1\n", 16, NULL), 0);
    assert_int_equal(entries.n, 3);
    assert_string_equal(entries.at[0].section, "empty");
    assert_null(entries.at[0].key);
    assert_int_equal(entries.at[0].line, 1);
}

static void ini_goes_on_in_an_indented_line(void **state)
{
    const char *text = "[a]\nx = one\n    two\n\n\tthree\ny = four\n";
    (void)state;
    assert_int_equal(read_text(text, strlen(text), NULL), 0);
    expect("a", "x", "one two three", 2);
    expect("a", "y", "four", 6);
}

static void ini_takes_no_text_and_no_last_line_end(void **state)
{
    (void)state;
    assert_int_equal(read_text("", 0, NULL), 0);
    assert_int_equal(entries.n, 0);
    assert_int_equal(read_text("[a]\nx=1", 7, NULL), 0);
    expect("a", "x", "1", 2);
}

static void ini_refuses_what_inih_would_cut_or_skip(void **state)
{
    char text[400];
    (void)state;
    REFUSE("x = 1\n", "f.ini:1: a key stands before the first [section]");
    REFUSE("[a]\nx\n", "f.ini:2: neither [section], key = value nor a comment");
    REFUSE("[a\nx=1\n", "f.ini:1: '[' without ']'");
    REFUSE("[a]\n= 1\n", "f.ini:2: nothing stands before the '='");
    REFUSE("[a]\nx=1\nx=2\n", "f.ini:3: 'x' is set twice in [a], first in line 2");
    REFUSE("[a]\nx=1\n[b]\n[a]\nx=2\n", "f.ini:5: 'x' is set twice in [a], first in line 2");
    refuse("[a]\nx=\0001\n", 9, "f.ini:2: there is a NUL byte");
    memset(text, 'k', sizeof(text));
    memcpy(text, "[a]\n", 4);
    text[60] = '=';
    refuse(text, 100, "f.ini:2: the key is too long");
    text[0] = '\n';
    memset(text + 1, 'k', 100);
    text[1] = '[';
    text[90] = ']';
    refuse(text, 100, "the name of the section is too long");
    memcpy(text, "[a]\nx=", 6);
    refuse(text, sizeof(text), "f.ini:2: the line is too long");
}

static void ini_refuses_more_keys_than_it_holds(void **state)
{
    char text[INI_MAX_ENTRIES * 16] = "[a]\n";
    size_t n = 4;
    (void)state;
    for (int i = 0; i < INI_MAX_ENTRIES; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "k%d=1\n", i);
    refuse(text, n, "too many keys");
}

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ini_knows_the_line_of_every_key),
        cmocka_unit_test(ini_notes_sections_without_keys),
        cmocka_unit_test(ini_goes_on_in_an_indented_line),
        cmocka_unit_test(ini_takes_no_text_and_no_last_line_end),
        cmocka_unit_test(ini_refuses_what_inih_would_cut_or_skip),
        cmocka_unit_test(ini_refuses_more_keys_than_it_holds),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
