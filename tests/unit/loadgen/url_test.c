#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/url.h"

static void expect_url(const char *text, const char *address, const char *target)
{
    struct url url;
    struct err err = {0};
    char got[ADDR_TEXT_BYTES];

    if (url_parse(text, &url, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    assert_string_equal(addr_format(&url.addr, got), address);
    assert_string_equal(url.target, target);
    url_done(&url);
}

static void expect_refused(const char *text, const char *reason)
{
    struct url url = {.target = NULL};
    struct err err = {0};

    assert_int_equal(url_parse(text, &url, &err), -EINVAL);
    if (!strstr(err.message, reason))
        fail_msg("%s: says '%s', not '%s'", text, err.message, reason);
    assert_null(url.target);
}

static void url_takes_numeric_hosts_and_localhost(void **state)
{
    (void)state;
    expect_url("http://127.0.0.1:5000/home", "127.0.0.1:5000", "/home");
    expect_url("http://localhost:5000/home", "127.0.0.1:5000", "/home");
    expect_url("HTTP://10.1.2.3:81/a", "10.1.2.3:81", "/a");
    expect_url("http://[::1]:5000/home", "[::1]:5000", "/home");
}

static void url_fills_in_port_80_and_the_root(void **state)
{
    (void)state;
    expect_url("http://127.0.0.1", "127.0.0.1:80", "/");
    expect_url("http://127.0.0.1/", "127.0.0.1:80", "/");
    expect_url("http://[::1]/x", "[::1]:80", "/x");
    expect_url("http://127.0.0.1:5000?id=3", "127.0.0.1:5000", "/?id=3");
}

static void url_keeps_path_and_query_as_given(void **state)
{
    (void)state;
    expect_url("http://127.0.0.1:1/a/../b//c?x=%41&y=/:@", "127.0.0.1:1", "/a/../b//c?x=%41&y=/:@");
}

static void url_refuses_what_it_cannot_send(void **state)
{
    char *text = malloc(9000);

    (void)state;
    expect_refused("https://127.0.0.1/", "http://");
    expect_refused("127.0.0.1:5000/home", "http://");
    expect_refused("http://", "no host");
    expect_refused("http:///home", "no host");
    expect_refused("http://:5000/home", "no host");
    expect_refused("http://me:secret@127.0.0.1/", "user or password");
    expect_refused("http://127.0.0.1/#top", "fragment");
    expect_refused("http://127.0.0.1/a b", "%20");
    expect_refused("http://127.0.0.1/a\r\nX: y", "%0D");
    snprintf(text, 9000, "http://127.0.0.1/%08900d", 1);
    expect_refused(text, "longer than 8192");
    snprintf(text, 9000, "http://%0200d/", 1);
    expect_refused(text, "too long");
    free(text);
}

static void url_never_resolves_a_name(void **state)
{
    struct url url = {.target = NULL};
    struct err err = {0};

    (void)state;
    assert_int_equal(url_parse("http://example.com/home", &url, &err), -EINVAL);
    assert_int_equal(url_parse("http://127.0.0.1:port/", &url, &err), -EINVAL);
    assert_int_equal(url_parse("http://127.0.0.1:65536/", &url, &err), -EINVAL);
    assert_null(url.target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_takes_numeric_hosts_and_localhost),
        cmocka_unit_test(url_fills_in_port_80_and_the_root),
        cmocka_unit_test(url_keeps_path_and_query_as_given),
        cmocka_unit_test(url_refuses_what_it_cannot_send),
        cmocka_unit_test(url_never_resolves_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
