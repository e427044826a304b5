#include "experiments/suite.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/mem.h"
#include "experiments/resultdir.h"

static char dir[] = "/tmp/quoit-suite-XXXXXX";
static struct err err;

static void put(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s.ini", dir, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    free(path);
}

static void put_suite(const char *name, const char *runs)
{
    char *text = mem_printf("[suite]\nname = %s\ntitle = Of %s\nruns = %s\n", name, name, runs);
    put(name, text);
    free(text);
}

static int read_suite(const char *name, struct suite *suite)
{
    char *path = mem_printf("%s/%s.ini", dir, name);
    int status = suite_read(path, suite, &err);
    free(path);
    return status;
}

static void refuse(const char *text, const char *reason)
{
    struct suite suite;
    put("bad", text);
    assert_int_equal(read_suite("bad", &suite), -EINVAL);
    if (!strstr(err.message, reason) || !strstr(err.message, "bad.ini"))
        fail_msg("no '%s' in: %s", reason, err.message);
}

/* "A B" → the names joined by blanks, for free(). */
static char *expanded(const char *a, const char *b)
{
    char *given[] = {(char *)(uintptr_t)a, (char *)(uintptr_t)b};
    char **names = NULL;
    size_t n = 0;
    char *all = mem_strdup("");
    assert_int_equal(suite_expand(dir, given, b ? 2 : 1, &names, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        char *longer = mem_printf("%s%s%s", all, i ? " " : "", names[i]);
        free(all);
        all = longer;
    }
    suite_free_names(names, n);
    return all;
}

static void expect_expanded(const char *a, const char *b, const char *wanted)
{
    char *all = expanded(a, b);
    assert_string_equal(all, wanted);
    free(all);
}

static void suite_names_what_it_runs(void **state)
{
    struct suite suite;
    (void)state;
    put_suite("S", "X\n    Y Z");
    assert_int_equal(read_suite("S", &suite), 1);
    assert_string_equal(suite.title, "Of S");
    assert_int_equal(suite.n_runs, 3);
    assert_string_equal(suite.runs[2], "Z");
    suite_done(&suite);
}

static void an_experiment_is_no_suite(void **state)
{
    struct suite suite;
    (void)state;
    put("E", "[experiment]\nname = E\n");
    assert_int_equal(read_suite("E", &suite), 0);
    put("E", "[broken\n");
    assert_int_equal(read_suite("E", &suite), 0);
    assert_int_equal(read_suite("absent", &suite), -ENOENT);
}

static void flaws_are_named_with_file_and_line(void **state)
{
    (void)state;
    refuse("[suite]\nname = bad\ntitle = T\n", "no runs");
    refuse("[suite]\nname = bad\nruns = X\n", "no title");
    refuse("[suite]\nname = other\ntitle = T\nruns = X\n", "unlike its file");
    refuse("[suite]\nname = bad\nruns = ../X\n", ":3: runs: '../X' is not the name");
    refuse("[suite]\nname = bad\nrepeats = 3\n", ":3: unknown key 'repeats'");
    refuse("[suite]\nname = bad\n[load]\nrequests = 3\n", "no section [load]");
}

static void names_expand_in_order_and_once(void **state)
{
    (void)state;
    put_suite("inner", "X Y");
    put_suite("outer", "inner Z X");
    expect_expanded("outer", NULL, "X Y Z");
    expect_expanded("Y", "outer", "Y X Z");
    expect_expanded("no-such-file", "../X", "no-such-file ../X");
}

static void a_suite_of_itself_is_refused(void **state)
{
    char *given[] = {(char *)(uintptr_t) "loop"};
    char **names = NULL;
    size_t n = 0;
    (void)state;
    put_suite("loop", "pool");
    put_suite("pool", "X loop");
    assert_int_equal(suite_expand(dir, given, 1, &names, &n, &err), -EINVAL);
    assert_non_null(strstr(err.message, "suites within suites"));
    assert_null(names);
}

static int open_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    resultdir_remove_tree(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite_names_what_it_runs),
        cmocka_unit_test(an_experiment_is_no_suite),
        cmocka_unit_test(flaws_are_named_with_file_and_line),
        cmocka_unit_test(names_expand_in_order_and_once),
        cmocka_unit_test(a_suite_of_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, open_dir, remove_dir);
}
