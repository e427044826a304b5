#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr parse(const char *text)
{
    struct addr addr;
    struct err err = {0, ""};

    if (addr_parse(text, &addr, &err) < 0)
        fail_msg("'%s' was refused: %s", text, err.message);
    return addr;
}

static void addr_reads_and_writes_each_form(void **state)
{
    static const char *const forms[][2] = {
        {"127.0.0.1:5000", "127.0.0.1:5000"},
        {"localhost:80", "127.0.0.1:80"},
        {":5000", "0.0.0.0:5000"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::1]:5000", "[::1]:5000"},
        {"[::]:0", "[::]:0"},
        {"[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"127.0.0.1:00080", "127.0.0.1:80"},
    };
    char text[ADDR_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct addr addr = parse(forms[i][0]), again;

        assert_string_equal(addr_format(&addr, text), forms[i][1]);
        again = parse(text);
        assert_true(addr_equal(&addr, &again));
    }
}

static void addr_is_ready_for_the_socket_calls(void **state)
{
    struct addr v4 = parse("127.0.0.1:5000"), v6 = parse("[::1]:5001");

    (void)state;
    assert_int_equal(v4.len, sizeof(struct sockaddr_in));
    assert_int_equal(v4.storage.ss_family, AF_INET);
    assert_int_equal(((struct sockaddr_in *)&v4.storage)->sin_port, htons(5000));
    assert_int_equal(((struct sockaddr_in *)&v4.storage)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(v6.len, sizeof(struct sockaddr_in6));
    assert_int_equal(v6.storage.ss_family, AF_INET6);
    assert_int_equal(addr_port(&v4), 5000);
    assert_int_equal(addr_port(&v6), 5001);
}

static void addr_refuses_what_is_no_numeric_address(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "no port"},
        {"127.0.0.1", "no port"},
        {"localhost", "no port"},
        {"[::1]", "no port"},
        {"127.0.0.1:", "is not a port"},
        {"127.0.0.1:65536", "'65536' is not a port"},
        {"127.0.0.1:-1", "is not a port"},
        {"127.0.0.1:+1", "is not a port"},
        {"127.0.0.1: 1", "is not a port"},
        {"127.0.0.1:1 ", "is not a port"},
        {"127.0.0.1:http", "is not a port"},
        {"127.0.0.1:0x50", "is not a port"},
        {"127.0.0.1:100000", "is not a port"},
        {"127.0.0.1:4294967376", "is not a port"},
        {"example.com:80", "not a numeric address"},
        {"LOCALHOST:80", "not a numeric address"},
        {"localhost.:80", "not a numeric address"},
        {"127.0.0:80", "not a numeric address"},
        {"127.0.0.256:80", "not a numeric address"},
        {"127.0.0.01:80", "not a numeric address"},
        {"0x7f000001:80", "not a numeric address"},
        {"2130706433:80", "not a numeric address"},
        {" 127.0.0.1:80", "not a numeric address"},
        {"*:80", "not a numeric address"},
        {"::1:80", "in brackets"},
        {"[::1:80", "in brackets"},
        {"[::1]x:80", "in brackets"},
        {"[]:80", "not a numeric address"},
        {"[127.0.0.1]:80", "not a numeric address"},
        {"[fe80::1%lo]:80", "not a numeric address"},
        {"[:80", "not a numeric address"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80",
         "too long"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr addr, before;
        struct err err = {0, ""};

        memset(&addr, 0xa5, sizeof(addr));
        before = addr;
        if (addr_parse(bad[i].text, &addr, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i].text);
        assert_memory_equal(&addr, &before, sizeof(addr));
        if (strstr(err.message, bad[i].says) == NULL)
            fail_msg("'%s' should say '%s'", err.message, bad[i].says);
    }
}

static void addr_equal_compares_family_host_and_port(void **state)
{
    static const char *const distinct[] = {
        "127.0.0.1:1", "127.0.0.1:2", "127.0.0.2:1", "[::1]:1",
        "[::1]:2",     "[::2]:1",     "[::]:0",      "[::ffff:127.0.0.1]:1"};
    enum { N = sizeof(distinct) / sizeof(distinct[0]) };

    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            struct addr a = parse(distinct[i]), b = parse(distinct[j]);

            assert_int_equal(addr_equal(&a, &b), i == j);
        }
    }
}

static void addr_equal_ignores_padding(void **state)
{
    struct addr a = parse("127.0.0.1:5000"), b = a;

    (void)state;
    memset(((struct sockaddr_in *)&b.storage)->sin_zero, 0xff, 8);
    assert_true(addr_equal(&a, &b));
}

static void addr_equal_tells_scopes_of_link_local_addresses_apart(void **state)
{
    struct addr a = parse("[fe80::1]:5000"), b = a;

    (void)state;
    ((struct sockaddr_in6 *)&a.storage)->sin6_scope_id = 1;
    ((struct sockaddr_in6 *)&b.storage)->sin6_scope_id = 2;
    assert_false(addr_equal(&a, &b));
    ((struct sockaddr_in6 *)&b.storage)->sin6_scope_id = 1;
    assert_true(addr_equal(&a, &b));
}

static void addr_without_an_address_has_a_text(void **state)
{
    struct addr addr;
    char text[ADDR_TEXT_BYTES];

    (void)state;
    memset(&addr, 0, sizeof(addr));
    assert_string_equal(addr_format(&addr, text), "(no address)");
    assert_int_equal(addr_port(&addr), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_reads_and_writes_each_form),
        cmocka_unit_test(addr_is_ready_for_the_socket_calls),
        cmocka_unit_test(addr_refuses_what_is_no_numeric_address),
        cmocka_unit_test(addr_equal_compares_family_host_and_port),
        cmocka_unit_test(addr_equal_ignores_padding),
        cmocka_unit_test(addr_equal_tells_scopes_of_link_local_addresses_apart),
        cmocka_unit_test(addr_without_an_address_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
