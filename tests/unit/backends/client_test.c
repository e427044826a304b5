#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "backends/client.h"

static void every_error_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < CLIENT_N_ERRORS; a++) {
        assert_true(strlen(client_error_name((enum client_error)a)) > 1);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(client_error_name((enum client_error)a),
                                    client_error_name((enum client_error)b));
    }
}

static void an_errno_falls_into_its_class(void **state)
{
    (void)state;
    assert_int_equal(client_error_of_errno(ECONNREFUSED), CLIENT_REFUSED);
    assert_int_equal(client_error_of_errno(ECONNRESET), CLIENT_RESET);
    assert_int_equal(client_error_of_errno(EPIPE), CLIENT_RESET);
    assert_int_equal(client_error_of_errno(EHOSTUNREACH), CLIENT_UNREACHABLE);
    assert_int_equal(client_error_of_errno(ETIMEDOUT), CLIENT_TIMEOUT);
    assert_int_equal(client_error_of_errno(EADDRNOTAVAIL), CLIENT_LOCAL);
    assert_int_equal(client_error_of_errno(EMFILE), CLIENT_LOCAL);
    assert_int_equal(client_error_of_errno(0), CLIENT_OTHER);
}

static void expect_name(const char *value, const char *name)
{
    char got[NAME_MAX_BYTES + 1];

    assert_int_equal(client_read_server_name(value, strlen(value), got), strlen(name));
    if (*name)
        assert_string_equal(got, name);
}

static void a_server_name_is_trimmed_and_checked(void **state)
{
    char longest[NAME_MAX_BYTES + 3] = {0};
    char got[NAME_MAX_BYTES + 1];

    (void)state;
    expect_name(" Server1\r\n", "Server1");
    expect_name("Server1", "Server1");
    expect_name("\t Server1 \t\r\n", "Server1");
    expect_name("\r\n", "");
    expect_name("", "");
    expect_name(" Server 1\r\n", "");
    expect_name(" ../etc\r\n", "");
    expect_name(" \x1b[31mred\r\n", "");
    memset(longest, 'x', NAME_MAX_BYTES);
    expect_name(longest, longest);
    longest[NAME_MAX_BYTES] = 'x';
    expect_name(longest, "");
    /* A NUL in the middle does not make a short name of it. */
    assert_int_equal(client_read_server_name("Server1\0evil", 12, got), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_of_its_own),
        cmocka_unit_test(an_errno_falls_into_its_class),
        cmocka_unit_test(a_server_name_is_trimmed_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
