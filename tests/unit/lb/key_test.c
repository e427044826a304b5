#include "lb/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static struct rng rng;
static struct http_parser parser;
static struct buf in;

static int set_up(void **state)
{
    (void)state;
    rng_seed(&rng, 7);
    buf_init(&in, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&in);
    return 0;
}

static struct key_source source_of(const char *text)
{
    struct key_source source;
    struct err err = {0};

    if (key_source_parse(text, &source, &err) != 0)
        fail_msg("%s", err.message);
    return source;
}

/* The id of a request with that target and header lines, asked for as `source` says. */
static uint64_t key_with(const char *source_text, const char *target, const char *headers,
                         const char *peer_text)
{
    struct key_source source = source_of(source_text);
    struct addr peer;

    buf_clear(&in);
    buf_appendf(&in, "GET %s HTTP/1.1\r\nHost: q\r\n%s\r\n", target, headers);
    http_parser_init(&parser, HTTP_PARSE_REQUEST, 1 << 20);
    assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MESSAGE);
    if (peer_text)
        assert_int_equal(addr_parse(peer_text, &peer, NULL), 0);
    return key_of(&source, &parser.message, peer_text ? &peer : NULL, &rng);
}

static bool is_request_id(uint64_t key)
{
    return key >= 100000 && key <= 999999;
}

static void key_source_parses_what_it_knows(void **state)
{
    (void)state;
    assert_int_equal(source_of("random").from, KEY_RANDOM);
    assert_int_equal(source_of("path").from, KEY_PATH);
    assert_int_equal(source_of("client").from, KEY_CLIENT);
    struct key_source source = source_of("header:X-Request-Id");
    assert_int_equal(source.from, KEY_HEADER);
    assert_string_equal(source.name, "X-Request-Id");
    source = source_of("query:id");
    assert_int_equal(source.from, KEY_QUERY);
    assert_string_equal(source.name, "id");
}

static void key_source_refuses_the_rest_and_says_why(void **state)
{
    static const char *const bad[] = {"",        "Random", "random:x", "header",
                                      "header:", "query:", "cookie:x", "path:"};
    struct key_source source, untouched;
    char longest[128];
    struct err err;

    (void)state;
    memset(&untouched, 0x5a, sizeof(untouched));
    source = untouched;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = (struct err){0};
        assert_int_equal(key_source_parse(bad[i], &source, &err), -EINVAL);
        assert_int_not_equal(err.message[0], 0);
        assert_memory_equal(&source, &untouched, sizeof(source));
    }
    for (int n = 63; n <= 64; n++) {
        snprintf(longest, sizeof(longest), "header:%0*d", n, 1);
        assert_int_equal(key_source_parse(longest, &source, NULL), n == 63 ? 0 : -EINVAL);
    }
}

static void key_of_a_number_is_the_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t key;
    } rows[] = {
        {"0", 0}, {"7", 7}, {"007", 7}, {"123456", 123456}, {"18446744073709551615", UINT64_MAX},
    };
    char header[64], target[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(header, sizeof(header), "X-Id: %s\r\n", rows[i].text);
        snprintf(target, sizeof(target), "/home?a=b&id=%s&c", rows[i].text);
        assert_int_equal(key_with("header:x-id", "/home", header, NULL), rows[i].key);
        assert_int_equal(key_with("query:id", target, "", NULL), rows[i].key);
    }
}

static void key_of_a_text_is_its_hash(void **state)
{
    static const char *const texts[] = {
        "alice", "-1",  "1.5", "12a", "18446744073709551616", "99999999999999999999999",
        "+5",    "0x10"};
    uint64_t keys[8];
    char header[64];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        snprintf(header, sizeof(header), "X-Id: %s\r\n", texts[i]);
        keys[i] = key_with("header:X-Id", "/", header, NULL);
        assert_int_equal(keys[i], key_with("header:X-Id", "/other", header, NULL));
        assert_true(keys[i] > UINT32_MAX); /* 64 bits, not a prefix read as a number */
        for (size_t j = 0; j < i; j++)
            assert_true(keys[i] != keys[j]);
    }
}

static void key_of_a_path_is_the_same_whatever_the_query(void **state)
{
    (void)state;
    uint64_t key = key_with("path", "/home", "", NULL);
    assert_int_equal(key, key_with("path", "/home?x=1", "X: y\r\n", NULL));
    assert_true(key != key_with("path", "/Home", "", NULL));
    assert_true(key != key_with("path", "/home/", "", NULL));
}

static void key_of_a_client_is_its_host(void **state)
{
    (void)state;
    uint64_t key = key_with("client", "/", "", "10.1.2.3:1000");
    assert_int_equal(key, key_with("client", "/x", "", "10.1.2.3:2000"));
    assert_true(key != key_with("client", "/", "", "10.1.2.4:1000"));
    key = key_with("client", "/", "", "[::1]:1000");
    assert_int_equal(key, key_with("client", "/", "", "[::1]:2000"));
    assert_true(key != key_with("client", "/", "", "[::2]:1000"));
}

static void key_of_a_request_that_lacks_it_is_random(void **state)
{
    static const struct {
        const char *source, *target, *headers;
    } rows[] = {
        {"random", "/home?id=7", "X-Id: 7\r\n"},
        {"header:X-Id", "/?X-Id=7", "X-Idd: 7\r\n"},
        {"header:X-Id", "/", "X-Id:\r\n"},
        {"query:id", "/id=7", "id: 7\r\n"},
        {"query:id", "/?id=", ""},
        {"query:id", "/?id", ""},
        {"client", "/", ""}, /* its peer is gone */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t one = key_with(rows[i].source, rows[i].target, rows[i].headers, NULL);
        uint64_t two = key_with(rows[i].source, rows[i].target, rows[i].headers, NULL);
        assert_true(is_request_id(one) && is_request_id(two));
        assert_true(one != two); /* for this seed */
    }
}

static void random_keys_are_uniform_from_100000_to_999999(void **state)
{
    enum { N = 900000, CELLS = 100 };
    struct key_source source = source_of("random");
    struct http_message message = {0};
    uint64_t counts[CELLS] = {0}, least = UINT64_MAX, most = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        uint64_t key = key_of(&source, &message, NULL, &rng);
        assert_true(is_request_id(key));
        counts[(key - 100000) / (900000 / CELLS)]++;
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    double chi_square = 0;
    for (int i = 0; i < CELLS; i++) {
        double off = (double)counts[i] - (double)N / CELLS;
        chi_square += off * off / ((double)N / CELLS);
    }
    assert_true(chi_square < 160); /* 99 degrees of freedom: p = 0.0001 */
    assert_true(least < 100010 && most > 999989);
}

static void random_keys_follow_the_seed(void **state)
{
    struct key_source source = source_of("random");
    struct http_message message = {0};
    struct rng same, other;

    (void)state;
    rng_seed(&rng, 1);
    rng_seed(&same, 1);
    rng_seed(&other, 2);
    int n_other = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t key = key_of(&source, &message, NULL, &rng);
        assert_int_equal(key, key_of(&source, &message, NULL, &same));
        n_other += key == key_of(&source, &message, NULL, &other);
    }
    assert_true(n_other < 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(key_source_parses_what_it_knows),
        TEST(key_source_refuses_the_rest_and_says_why),
        TEST(key_of_a_number_is_the_number),
        TEST(key_of_a_text_is_its_hash),
        TEST(key_of_a_path_is_the_same_whatever_the_query),
        TEST(key_of_a_client_is_its_host),
        TEST(key_of_a_request_that_lacks_it_is_random),
        TEST(random_keys_are_uniform_from_100000_to_999999),
        TEST(random_keys_follow_the_seed),
    };
    return cmocka_run_group_tests_name("lb key", tests, NULL, NULL);
}
