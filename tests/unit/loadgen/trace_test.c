#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "loadgen/trace.h"

static char path[64];

static void write_file(const char *text, size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static struct trace open_text(const char *text)
{
    struct trace trace;
    struct err err;

    write_file(text, strlen(text));
    if (trace_open(path, &trace, &err) < 0)
        fail_msg("%s", err.message);
    return trace;
}

static void expect(struct trace_cursor *cursor, const char *line)
{
    size_t n;
    const char *got = trace_next(cursor, &n);

    assert_int_equal(n, strlen(line));
    assert_memory_equal(got, line, n);
}

static void lines_come_in_order_and_again_from_the_first(void **state)
{
    struct trace trace = open_text("/a\n/b?x=1\r\n123456\n/c");
    struct trace_cursor cursor;

    (void)state;
    assert_int_equal(trace.n_lines, 4);
    assert_int_equal(trace.n_ids, 1);
    assert_int_equal(trace.first_id_line, 3);
    assert_int_equal(trace.first_path_line, 1);
    trace_cursor_init(&cursor, &trace, 0, 1);
    for (int round = 0; round < 3; round++) {
        expect(&cursor, "/a");
        expect(&cursor, "/b?x=1");
        expect(&cursor, "123456");
        expect(&cursor, "/c");
    }
    trace_close(&trace);
}

static void threads_share_the_lines_out(void **state)
{
    struct trace trace = open_text("/0\n/1\n/2\n/3\n/4\n");
    struct trace_cursor cursors[7];
    char line[3] = "/?";

    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 7; n_threads++) {
        for (uint32_t thread = 0; thread < n_threads; thread++)
            trace_cursor_init(&cursors[thread], &trace, thread, n_threads);
        for (uint32_t i = 0; i < 40; i++) {
            line[1] = (char)('0' + i % 5);
            expect(&cursors[i % n_threads], line);
        }
    }
    trace_close(&trace);
}

static void a_bad_line_is_named_by_its_number(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"/a\nhome\n", "line 2"},
        {"/a\n\n/b\n", "line 2"},
        {"123456\n12345\n", "line 2"},
        {"012345\n", "line 1"},
        {"/a b\n", "blank"},
        {"/a#b\n", "line 1"},
        {"/a\n/b\t\n", "line 2"},
        {"/a\n\r\n", "line 2"},
        {"1234567\n", "'1234567'"},
        {"http://127.0.0.1/\n", "path"},
        {"/a\n12345x\n", "six-digit id"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct trace trace = {.bytes = NULL};
        struct err err;

        write_file(rows[i].text, strlen(rows[i].text));
        if (trace_open(path, &trace, &err) != -EINVAL)
            fail_msg("'%s' was taken", rows[i].text);
        if (!strstr(err.message, rows[i].says) || !strstr(err.message, path))
            fail_msg("'%s': '%s' does not say '%s'", rows[i].text, err.message, rows[i].says);
        assert_null(trace.bytes);
    }
}

static void lines_have_a_longest(void **state)
{
    static char text[TRACE_MAX_LINE_BYTES + 2];
    struct trace trace;
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    write_file(text, TRACE_MAX_LINE_BYTES);
    assert_int_equal(trace_open(path, &trace, &err), 0);
    trace_close(&trace);
    write_file(text, TRACE_MAX_LINE_BYTES + 1);
    assert_int_equal(trace_open(path, &trace, &err), -EINVAL);
    assert_non_null(strstr(err.message, "8192"));
}

static void what_is_no_file_with_lines_is_refused(void **state)
{
    struct trace trace;
    struct err err;

    (void)state;
    assert_int_equal(trace_open("/no/such/trace", &trace, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/no/such/trace"));
    assert_int_equal(trace_open("/tmp", &trace, &err), -EINVAL);
    assert_non_null(strstr(err.message, "plain file"));
    write_file("", 0);
    assert_int_equal(trace_open(path, &trace, &err), -EINVAL);
    assert_non_null(strstr(err.message, "empty"));
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/quoit-trace-test.%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_order_and_again_from_the_first),
        cmocka_unit_test(threads_share_the_lines_out),
        cmocka_unit_test(a_bad_line_is_named_by_its_number),
        cmocka_unit_test(lines_have_a_longest),
        cmocka_unit_test(what_is_no_file_with_lines_is_refused),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
