#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/headers.h"
#include "loadgen/workload.h"

static struct rng rng;

static struct workload *make(struct workload_http config, const char *keys)
{
    struct workload *workload = NULL;
    struct spec spec = {.part = NULL};
    struct err err;

    config.place.n_threads = 1;
    if (keys && spec_parse(&keys_family, keys, &spec, &err) < 0)
        fail_msg("%s", err.message);
    config.keys = keys ? &spec : NULL;
    if (workload_http_new(&config, &workload, &err) < 0)
        fail_msg("%s", err.message);
    spec_done(&spec);
    return workload;
}

static struct client_request next(struct workload *workload, uint32_t slot)
{
    struct client_request request = {.target = NULL};

    workload_next(workload, &rng, slot, &request);
    return request;
}

static void a_plain_request_is_the_same_each_time(void **state)
{
    struct workload *workload = make((struct workload_http){.target = "/home"}, NULL);
    struct client_request request = next(workload, 5);

    (void)state;
    assert_string_equal(workload->ops->name, "home");
    assert_string_equal(request.target, "/home");
    assert_null(request.method);
    assert_null(request.headers);
    assert_null(request.body);
    assert_int_equal(request.body_bytes, 0);
    assert_ptr_equal(next(workload, 0).target, request.target);
    workload_free(workload);
}

static void the_key_stands_wherever_it_is_asked_for(void **state)
{
    const struct workload_http config = {.target = "/{key}/x?id={key}",
                                         .method = "PUT",
                                         .headers = "X-Key: {key}\r\nX-Other: 1\r\n",
                                         .body = "{\"id\":{key}}"};
    struct workload *workload = make(config, "sequential:low=8,high=12");
    struct client_request a, b;

    (void)state;
    assert_string_equal(workload->ops->name, "keys");
    a = next(workload, 0);
    b = next(workload, 100);
    /* Each slot's texts hold until its own next request. */
    assert_string_equal(a.target, "/8/x?id=8");
    assert_string_equal(a.headers, "X-Key: 8\r\nX-Other: 1\r\n");
    assert_string_equal(a.body, "{\"id\":8}");
    assert_int_equal(a.body_bytes, 8);
    assert_string_equal(a.method, "PUT");
    assert_string_equal(b.target, "/9/x?id=9");
    b = next(workload, 0);
    b = next(workload, 100);
    assert_string_equal(b.target, "/11/x?id=11");
    assert_string_equal(b.body, "{\"id\":11}");
    assert_int_equal(b.body_bytes, 9);
    workload_free(workload);
}

static void the_longest_key_has_room(void **state)
{
    struct workload *workload = make((struct workload_http){.target = "/{key}{key}"},
                                     "sequential:low=999999999999999,high=999999999999999");

    (void)state;
    assert_string_equal(next(workload, 0).target, "/999999999999999999999999999999");
    workload_free(workload);
}

static struct trace trace_of(const char *text)
{
    struct trace trace = {.bytes = text, .n_bytes = strlen(text)};
    uint64_t line = 1;

    for (const char *c = text; *c; c++) {
        bool begins = c == text || c[-1] == '\n';
        if (begins && *c == '/' && !trace.first_path_line)
            trace.first_path_line = line;
        if (begins && *c != '/' && !trace.first_id_line)
            trace.first_id_line = line;
        line += *c == '\n';
        trace.n_lines += *c == '\n';
    }
    return trace;
}

static void a_trace_gives_paths_and_keys(void **state)
{
    struct trace paths = trace_of("/a\n/b?x=2\n"), ids = trace_of("123456\n654321\n");
    struct workload *workload = make((struct workload_http){.target = "/", .trace = &paths}, NULL);

    (void)state;
    assert_string_equal(workload->ops->name, "trace");
    assert_string_equal(next(workload, 3).target, "/a");
    assert_string_equal(next(workload, 3).target, "/b?x=2");
    assert_string_equal(next(workload, 3).target, "/a");
    workload_free(workload);
    workload = make((struct workload_http){.target = "/home?k={key}", .trace = &ids}, NULL);
    assert_string_equal(next(workload, 0).target, "/home?k=123456");
    assert_string_equal(next(workload, 1).target, "/home?k=654321");
    workload_free(workload);
}

static void what_would_be_ignored_is_refused(void **state)
{
    struct trace paths = trace_of("/a\n"), ids = trace_of("123456\n");
    struct spec keys;
    struct err err;
    const struct {
        struct workload_http config;
        const char *says;
    } rows[] = {
        {{.target = "/home", .keys = &keys}, "nowhere"},
        {{.target = "/home", .trace = &ids}, "line 1"},
        {{.target = "/home", .trace = &paths}, "'/home'"},
        {{.target = "/{key}", .trace = &paths}, "{key}"},
        {{.target = "/{key}", .trace = &ids, .keys = &keys}, "--keys"},
    };

    (void)state;
    assert_int_equal(spec_parse(&keys_family, "ids", &keys, &err), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct workload_http config = rows[i].config;
        struct workload *workload = NULL;

        config.place.n_threads = 1;
        assert_int_equal(workload_http_new(&config, &workload, &err), -EINVAL);
        assert_null(workload);
        if (!strstr(err.message, rows[i].says))
            fail_msg("'%s' does not say '%s'", err.message, rows[i].says);
    }
    spec_done(&keys);
}

static int build(const char *line, const char *key_header, bool has_body, char text[256],
                 struct err *err)
{
    struct buf buf;
    int rc;

    buf_init(&buf, 0);
    rc = headers_build(&line, line ? 1 : 0, key_header, has_body, &buf, err);
    snprintf(text, 256, "%s", buf_str(&buf));
    buf_done(&buf);
    return rc;
}

static void header_lines_are_completed(void **state)
{
    char text[256];
    struct err err;

    (void)state;
    assert_int_equal(build("X-A: 1", "X-Key", true, text, &err), 0);
    assert_string_equal(text, "X-A: 1\r\nContent-Type: application/json\r\nX-Key: {key}\r\n");
    assert_int_equal(build("content-type:text/plain", NULL, true, text, &err), 0);
    assert_string_equal(text, "content-type:text/plain\r\n");
    assert_int_equal(build(NULL, NULL, false, text, &err), 0);
    assert_string_equal(text, "");
}

static void headers_that_would_break_the_request_are_refused(void **state)
{
    static const char *const bad[] = {
        "no colon",   ": empty",           "Bad Name: 1",       "A: 1\r\nB: 2",
        "Host: evil", "Content-length: 5", "connection: close", "Transfer-Encoding: chunked",
        "A: \x01",    "Sch\xc3\xb6n: 1"};
    char text[256];
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (build(bad[i], NULL, false, text, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(build(NULL, "X Key", false, text, &err), -EINVAL);
    assert_int_equal(build(NULL, "Host", false, text, &err), -EINVAL);
    assert_true(headers_method_valid("DELETE"));
    assert_false(headers_method_valid("get") || headers_method_valid("") ||
                 headers_method_valid("A B") || headers_method_valid("ABCDEFGHIJKLMNOPQ"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_request_is_the_same_each_time),
        cmocka_unit_test(the_key_stands_wherever_it_is_asked_for),
        cmocka_unit_test(the_longest_key_has_room),
        cmocka_unit_test(a_trace_gives_paths_and_keys),
        cmocka_unit_test(what_would_be_ignored_is_refused),
        cmocka_unit_test(header_lines_are_completed),
        cmocka_unit_test(headers_that_would_break_the_request_are_refused),
    };

    rng_seed(&rng, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
