/* What the HTTP parser refuses, and at which byte its limits lie: a message that two programs read
 * differently is how requests are smuggled (RFC 9112 §11.2). Every refusal comes however the bytes
 * are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/http.h"
#include "tests/support/http_story.h"

#define REQUEST "GET / HTTP/1.1\r\nHost: q\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\n"
#define LITERAL(text) text, sizeof(text) - 1

struct row {
    const char *bytes;
    size_t n;
    unsigned status;
};

static void expect_refused(enum http_parser_type type, const struct row *rows, size_t n)
{
    const struct story_setup setup = {.type = type};
    struct buf story;
    char expected[32];

    for (size_t i = 0; i < n; i++) {
        buf_init(&story, 0);
        const char *difference = story_read_all_cuts(&story, &setup, rows[i].bytes, rows[i].n);
        snprintf(expected, sizeof(expected), "refused %u\n", rows[i].status);
        if (difference || strcmp(buf_str(&story), expected) != 0)
            fail_msg("row %zu: %s%s\nof: %s", i, difference ? difference : "", buf_str(&story),
                     rows[i].bytes);
        buf_done(&story);
    }
}

#define EXPECT_REFUSED(rows)                                                                       \
    expect_refused(HTTP_PARSE_REQUEST, rows, sizeof(rows) / sizeof((rows)[0]))
#define EXPECT_REFUSED_ANSWERS(rows)                                                               \
    expect_refused(HTTP_PARSE_RESPONSE, rows, sizeof(rows) / sizeof((rows)[0]))

static void http_refuses_two_framings(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400},
        {LITERAL(REQUEST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400},
        {LITERAL(REQUEST "Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc"), 400},
        {LITERAL(REQUEST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_lengths_that_are_no_number(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Content-Length: +5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: -5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: -0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Content-Length: 5,5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 5, 5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 5 5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 0x5\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 5a\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 5.0\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: \"5\"\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length:\r\n\r\n"), 400},
        {LITERAL(REQUEST "Content-Length: \t\r\n\r\n"), 400},
        {LITERAL(REQUEST "Content-Length: 18446744073709551616\r\n\r\nx"), 400},
        {LITERAL(REQUEST "Content-Length: 18446744073709551621\r\n\r\nhello"), 400},
        {LITERAL(REQUEST "Content-Length: 99999999999999999999999999999\r\n\r\nx"), 400},
        {LITERAL(REQUEST "Content-Length: 18446744073709551615\r\n\r\nx"), 413},
        {LITERAL(REQUEST "Content-Length: 9223372036854775808\r\n\r\nx"), 413},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_codings_other_than_chunked(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Transfer-Encoding: identity\r\n\r\n"), 501},
        {LITERAL(REQUEST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501},
        {LITERAL(REQUEST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501},
        {LITERAL(REQUEST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"), 501},
        {LITERAL(REQUEST "Transfer-Encoding:\r\n\r\n"), 501},
        {LITERAL(REQUEST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), 501},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_hidden_codings(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "0\r\n\r\n"),
         400},
        {LITERAL(REQUEST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Transfer-Encoding\r\n: chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(REQUEST "Transfer-Encoding: \x0b"
                         "chunked\r\n\r\n0\r\n\r\n"),
         400},
        {LITERAL(REQUEST "X: y\rTransfer-Encoding: chunked\r\n\r\n"), 400},
        {LITERAL(REQUEST "X: y\nTransfer-Encoding: chunked\r\n\r\n"), 400},
        {LITERAL("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    };
    const struct story_setup setup = {.type = HTTP_PARSE_REQUEST};
    struct buf story;

    (void)state;
    /* Whether llhttp or this parser sees it first makes it a 400 or a 501; that it is refused is
     * what counts. */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t first = 1; first <= rows[i].n; first++) {
            buf_init(&story, 0);
            story_read(&story, &setup, rows[i].bytes, rows[i].n, first, rows[i].n);
            if (strncmp(buf_str(&story), "refused ", 8) != 0)
                fail_msg("row %zu, cut after %zu: %s", i, first, buf_str(&story));
            buf_done(&story);
        }
    }
}

static void http_refuses_codings_that_do_not_end_in_chunked(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 0},
        {LITERAL(REQUEST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"), 0},
        {LITERAL(REQUEST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"), 0},
        {LITERAL(REQUEST "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0},
    };
    const struct story_setup setup = {.type = HTTP_PARSE_REQUEST};
    struct buf story;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_init(&story, 0);
        const char *difference = story_read_all_cuts(&story, &setup, rows[i].bytes, rows[i].n);
        if (difference || strncmp(buf_str(&story), "refused ", 8) != 0)
            fail_msg("row %zu: %s %s", i, difference ? difference : "", buf_str(&story));
        buf_done(&story);
    }
}

static void http_refuses_bare_line_ends_and_folds(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET / HTTP/1.1\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\r\n\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\n\n"), 400},
        {LITERAL("GET / HTTP/1.1\rHost: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\rX: y\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\r\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\r\nX: a\r\n b\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\r\nX: a\r\n\tb\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\n Host: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\n\tHost: q\r\n\r\n"), 400},
        {LITERAL("\nGET / HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("\r\n\nGET / HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("\rGET / HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_names_with_other_bytes_than_tokens(void **state)
{
    static const char bad[] = " \t\"(),/;<=>?@[\\]{}\x01\x1f\x7f\x80\xff";
    char text[128];
    const struct story_setup setup = {.type = HTTP_PARSE_REQUEST};
    struct buf story;

    (void)state;
    /* sizeof − 1: the NUL that ends the list is one of them. */
    for (size_t i = 0; i < sizeof(bad); i++) {
        for (int place = 0; place < 3; place++) {
            int n = snprintf(text, sizeof(text), REQUEST "%sX%sY%s: v\r\n\r\n",
                             place == 0 ? "?" : "", place == 1 ? "?" : "", place == 2 ? "?" : "");
            *strchr(text + sizeof(REQUEST) - 1, '?') = bad[i];
            buf_init(&story, 0);
            const char *difference = story_read_all_cuts(&story, &setup, text, (size_t)n);
            if (difference || strcmp(buf_str(&story), "refused 400\n") != 0)
                fail_msg("byte %02x, place %d: %s%s", (unsigned char)bad[i], place,
                         difference ? difference : "", buf_str(&story));
            buf_done(&story);
        }
    }
}

static void http_refuses_lines_without_name_or_colon(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST ": v\r\n\r\n"), 400},    {LITERAL(REQUEST "X\r\n\r\n"), 400},
        {LITERAL(REQUEST "X v\r\n\r\n"), 400},    {LITERAL(REQUEST "X : v\r\n\r\n"), 400},
        {LITERAL(REQUEST "X\t: v\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_control_characters_in_values(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "X: a\0b\r\n\r\n"), 400},   {LITERAL(REQUEST "X: \0\r\n\r\n"), 400},
        {LITERAL(REQUEST "X: a\x01z\r\n\r\n"), 400}, {LITERAL(REQUEST "X: a\x1fz\r\n\r\n"), 400},
        {LITERAL(REQUEST "X: a\x7fz\r\n\r\n"), 400}, {LITERAL(REQUEST "X: a\x0bz\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_no_host_and_two(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET / HTTP/1.1\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHosts: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1\r\nHost: q\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.0\r\nHost: q\r\nhost: r\r\n\r\n"), 400},
        {LITERAL("GET http://q/ HTTP/1.1\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_bad_request_lines(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET  / HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /  HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL(" GET / HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / HTTP/1.1 \r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET\t/ HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / x HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / http/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET / RTSP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("OPTIONS * RTSP/1.0\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("SOURCE /x ICE/1.0\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
        {LITERAL("GET /?a\tb HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /?a\x0c HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /?a\0b HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /?a\x7f HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /a#b HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_bad_targets(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET /../x HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /a/%2e%2e/b HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /%00 HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET /%zz HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET http://o/../ HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET http://o HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET http://o?a=/b HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET https://o/ HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("GET home HTTP/1.1\r\nHost: q\r\n\r\n"), 400},
        {LITERAL("CONNECT o:80 HTTP/1.1\r\nHost: q\r\n\r\n"), 501},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_other_versions_and_unknown_methods(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET / HTTP/2.0\r\nHost: q\r\n\r\n"), 505},
        {LITERAL("GET / HTTP/0.9\r\nHost: q\r\n\r\n"), 505},
        {LITERAL("GET / HTTP/1.2\r\nHost: q\r\n\r\n"), 505},
        {LITERAL("BREW /pot HTTP/1.1\r\nHost: q\r\n\r\n"), 501},
        {LITERAL("GETX / HTTP/1.1\r\nHost: q\r\n\r\n"), 501},
        {LITERAL("get / HTTP/1.1\r\nHost: q\r\n\r\n"), 501},
    };
    const struct story_setup setup = {.type = HTTP_PARSE_REQUEST};
    struct buf story;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char expected[32];
        buf_init(&story, 0);
        story_read(&story, &setup, rows[i].bytes, rows[i].n, rows[i].n, rows[i].n);
        snprintf(expected, sizeof(expected), "refused %u\n", rows[i].status);
        assert_string_equal(buf_str(&story), expected);
        buf_done(&story);
        /* Cut within the method, the rest of its word has not come: then it is 400. */
        buf_init(&story, 0);
        story_read(&story, &setup, rows[i].bytes, rows[i].n, 1, 1);
        assert_memory_equal(buf_str(&story), "refused ", 8);
        buf_done(&story);
    }
}

static void http_refuses_other_expectations(void **state)
{
    static const struct row rows[] = {
        {LITERAL(REQUEST "Expect: 200-ok\r\n\r\n"), 417},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_bad_chunks(void **state)
{
    static const struct row rows[] = {
        {LITERAL(CHUNKED "1\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1\r\nx\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1\r\nx\r0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1\r\nx\r\n0\n\r\n"), 400},
        {LITERAL(CHUNKED "1\r\nx\r\n0\r\n\n"), 400},
        {LITERAL(CHUNKED "1\rx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1;\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1;a=\rb\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1;a=\nb\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1;a\0b\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1;a\x01"
                         "b\r\nx\r\n0\r\n\r\n"),
         400},
        {LITERAL(CHUNKED "1 \r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED " 1\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "\r\n1\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "+1\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "-1\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "0x1\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "g\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED ";a\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "1\r\nxy\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "2\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "10000000000000000\r\nx"), 400},
        {LITERAL(CHUNKED "10000000000000001\r\nx\r\n0\r\n\r\n"), 400},
        {LITERAL(CHUNKED "fffffffffffffffff\r\nx"), 400},
        {LITERAL(CHUNKED "0\r\nX: y\n\r\n"), 400},
        {LITERAL(CHUNKED "0\r\nX y\r\n\r\n"), 400},
        {LITERAL(CHUNKED "0\r\nX: y\rZ: a\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED(rows);
}

static void http_refuses_answers_that_are_none(void **state)
{
    static const struct row rows[] = {
        {LITERAL("GET / HTTP/1.1\r\n\r\n"), 400},
        {LITERAL("hello\r\n\r\n"), 400},
        {LITERAL("HTTP/1.1 20 OK\r\n\r\n"), 400},
        {LITERAL("HTTP/1.1 2000 OK\r\n\r\n"), 400},
        {LITERAL("HTTP/1.1 abc OK\r\n\r\n"), 400},
        {LITERAL("RTSP/1.0 200 OK\r\n\r\n"), 400},
        {LITERAL("HTTP/2.0 200 OK\r\n\r\n"), 505},
        {LITERAL(ANSWER "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400},
        {LITERAL(ANSWER "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(ANSWER "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"), 400},
        {LITERAL(ANSWER "Content-Length: 1\n\r\nx"), 400},
        {LITERAL(ANSWER "X: y\r\n z\r\n\r\n"), 400},
        {LITERAL(ANSWER "Transfer-Encoding: gzip\r\n\r\n"), 502},
        {LITERAL("HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"), 400},
        {LITERAL("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), 400},
    };
    (void)state;
    EXPECT_REFUSED_ANSWERS(rows);
}

/* ---- limits, to the byte ----------------------------------------------------------------------
 */

/* The story of `bytes` at once, in 1000s, and cut before the last byte: one word, the same. */
static void expect_word(enum http_parser_type type, size_t max_body_bytes, struct buf *bytes,
                        const char *word)
{
    const struct story_setup setup = {.type = type, .max_body_bytes = max_body_bytes};
    const size_t n = buf_len(bytes), firsts[] = {n, 1000, n - 1, 1}, steps[] = {1, 1000, 1, 1};
    struct buf story;

    for (size_t i = 0; i < 4; i++) {
        buf_init(&story, 0);
        story_read(&story, &setup, buf_head(bytes), n, firsts[i], steps[i]);
        if (strncmp(buf_str(&story), word, strlen(word)) != 0)
            fail_msg("cut %zu: \"%.60s\", not \"%s\"", i, buf_str(&story), word);
        buf_done(&story);
    }
    buf_done(bytes);
}

static void repeat(struct buf *out, char c, size_t n)
{
    char *to = buf_reserve(out, n);
    memset(to, c, n);
    buf_commit(out, n);
}

/* A request whose head has exactly n bytes. */
static struct buf head_of(size_t n, const char *line, const char *end)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    buf_append_str(&bytes, line);
    buf_append_str(&bytes, "X: ");
    repeat(&bytes, 'a', n - buf_len(&bytes) - strlen(end));
    buf_append_str(&bytes, end);
    assert_int_equal(buf_len(&bytes), n);
    return bytes;
}

static void http_takes_a_head_of_16_KiB_and_no_byte_more(void **state)
{
    struct buf bytes;

    (void)state;
    bytes = head_of(HTTP_MAX_HEAD_BYTES, REQUEST, "\r\n\r\n");
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "GET / 1.1 KO");
    bytes = head_of(HTTP_MAX_HEAD_BYTES + 1, REQUEST, "\r\n\r\n");
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "refused 431");
    bytes = head_of(HTTP_MAX_HEAD_BYTES, ANSWER "Content-Length: 0\r\n", "\r\n\r\n");
    expect_word(HTTP_PARSE_RESPONSE, 0, &bytes, "200 1.1 KL");
    bytes = head_of(HTTP_MAX_HEAD_BYTES + 1, ANSWER "Content-Length: 0\r\n", "\r\n\r\n");
    expect_word(HTTP_PARSE_RESPONSE, 0, &bytes, "refused 431");
    /* And not one that never ends. */
    bytes = head_of(HTTP_MAX_HEAD_BYTES, REQUEST, "");
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "within");
    bytes = head_of(HTTP_MAX_HEAD_BYTES + 1, REQUEST, "");
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "refused 431");
}

static void http_counts_the_head_alone_against_its_limit(void **state)
{
    struct buf bytes;

    (void)state;
    /* A pipeline of small heads, longer than one head may be. */
    buf_init(&bytes, 0);
    for (int i = 0; i < 1000; i++)
        buf_append_str(&bytes, REQUEST "\r\n");
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "GET / 1.1 KO");
    buf_init(&bytes, 0);
    buf_append_str(&bytes, REQUEST "Content-Length: 20000\r\n\r\n");
    repeat(&bytes, 'b', 20000);
    expect_word(HTTP_PARSE_REQUEST, 0, &bytes, "GET / 1.1 KOL");
}

static void http_takes_100_headers_and_no_more(void **state)
{
    (void)state;
    for (int n = 99; n <= 100; n++) { /* beside the Host */
        struct buf bytes;
        buf_init(&bytes, 0);
        buf_append_str(&bytes, REQUEST);
        for (int i = 0; i < n; i++)
            buf_appendf(&bytes, "X-%d: %d\r\n", i, i);
        buf_append_str(&bytes, "\r\n");
        expect_word(HTTP_PARSE_REQUEST, 0, &bytes, n == 99 ? "GET / 1.1 KO" : "refused 431");
    }
}

static void http_takes_a_target_of_8_KiB_and_no_byte_more(void **state)
{
    (void)state;
    for (size_t n = HTTP_MAX_TARGET_BYTES; n <= HTTP_MAX_TARGET_BYTES + 1; n++) {
        for (int query = 0; query < 2; query++) {
            struct buf bytes;
            buf_init(&bytes, 0);
            buf_append_str(&bytes, query ? "GET /?" : "GET /a");
            repeat(&bytes, 'a', n - 2);
            buf_append_str(&bytes, " HTTP/1.1\r\nHost: q\r\n\r\n");
            expect_word(HTTP_PARSE_REQUEST, 0, &bytes,
                        n == HTTP_MAX_TARGET_BYTES ? query ? "GET /?aaa" : "GET /aaa"
                                                   : "refused 414");
        }
    }
}

static void http_takes_a_body_up_to_its_maximum(void **state)
{
    struct buf bytes;

    (void)state;
    for (size_t n = 100; n <= 101; n++) {
        const char *word = n == 100 ? "GET / 1.1 KOL" : "refused 413";
        buf_init(&bytes, 0);
        buf_appendf(&bytes, REQUEST "Content-Length: %zu\r\n\r\n", n);
        repeat(&bytes, 'b', n);
        expect_word(HTTP_PARSE_REQUEST, 100, &bytes, word);

        word = n == 100 ? "POST / 1.1 KCHO" : "refused 413";
        buf_init(&bytes, 0);
        buf_appendf(&bytes, CHUNKED "%zx\r\n", n);
        repeat(&bytes, 'b', n);
        buf_append_str(&bytes, "\r\n0\r\n\r\n");
        expect_word(HTTP_PARSE_REQUEST, 100, &bytes, word);

        buf_init(&bytes, 0);
        buf_append_str(&bytes, CHUNKED);
        for (size_t i = 0; i < n; i++)
            buf_append_str(&bytes, "1\r\nb\r\n");
        buf_append_str(&bytes, "0\r\n\r\n");
        expect_word(HTTP_PARSE_REQUEST, 100, &bytes, word);

        const struct story_setup setup = {
            .type = HTTP_PARSE_RESPONSE, .max_body_bytes = 100, .eof = true};
        struct buf story;
        buf_init(&bytes, 0);
        buf_init(&story, 0);
        buf_append_str(&bytes, ANSWER "\r\n");
        repeat(&bytes, 'b', n);
        story_read(&story, &setup, buf_head(&bytes), buf_len(&bytes), 50, 30);
        assert_memory_equal(buf_str(&story), n == 100 ? "200 1.1" : "refused 413", 7);
        buf_done(&story);
        buf_done(&bytes);
    }
}

static void http_refuses_a_long_body_before_it_comes(void **state)
{
    static const char head[] = REQUEST "Content-Length: 101\r\n\r\n";
    struct buf bytes;

    (void)state;
    buf_init(&bytes, 0);
    buf_append_str(&bytes, head);
    expect_word(HTTP_PARSE_REQUEST, 100, &bytes, "refused 413");
}

static void http_takes_16_KiB_of_chunk_framing_in_a_row_and_no_more(void **state)
{
    (void)state;
    for (int trailer = 0; trailer < 2; trailer++) {
        for (int more = 0; more < 2; more++) {
            struct buf bytes;
            buf_init(&bytes, 0);
            buf_append_str(&bytes, CHUNKED);
            size_t begin = buf_len(&bytes);
            buf_append_str(&bytes, trailer ? "0\r\nX: " : "1;");
            const char *end = trailer ? "\r\n\r\n" : "\r\n";
            repeat(&bytes, 'e',
                   HTTP_MAX_HEAD_BYTES + (size_t)more - (buf_len(&bytes) - begin) - strlen(end));
            buf_append_str(&bytes, end);
            if (!trailer)
                buf_append_str(&bytes, "x\r\n0\r\n\r\n");
            expect_word(HTTP_PARSE_REQUEST, 0, &bytes, more ? "refused 431" : "POST / 1.1 KCHO");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_refuses_two_framings),
        cmocka_unit_test(http_refuses_lengths_that_are_no_number),
        cmocka_unit_test(http_refuses_codings_other_than_chunked),
        cmocka_unit_test(http_refuses_hidden_codings),
        cmocka_unit_test(http_refuses_codings_that_do_not_end_in_chunked),
        cmocka_unit_test(http_refuses_bare_line_ends_and_folds),
        cmocka_unit_test(http_refuses_names_with_other_bytes_than_tokens),
        cmocka_unit_test(http_refuses_lines_without_name_or_colon),
        cmocka_unit_test(http_refuses_control_characters_in_values),
        cmocka_unit_test(http_refuses_no_host_and_two),
        cmocka_unit_test(http_refuses_bad_request_lines),
        cmocka_unit_test(http_refuses_bad_targets),
        cmocka_unit_test(http_refuses_other_versions_and_unknown_methods),
        cmocka_unit_test(http_refuses_other_expectations),
        cmocka_unit_test(http_refuses_bad_chunks),
        cmocka_unit_test(http_refuses_answers_that_are_none),
        cmocka_unit_test(http_takes_a_head_of_16_KiB_and_no_byte_more),
        cmocka_unit_test(http_counts_the_head_alone_against_its_limit),
        cmocka_unit_test(http_takes_100_headers_and_no_more),
        cmocka_unit_test(http_takes_a_target_of_8_KiB_and_no_byte_more),
        cmocka_unit_test(http_takes_a_body_up_to_its_maximum),
        cmocka_unit_test(http_refuses_a_long_body_before_it_comes),
        cmocka_unit_test(http_takes_16_KiB_of_chunk_framing_in_a_row_and_no_more),
    };
    return cmocka_run_group_tests_name("http, strict", tests, NULL, NULL);
}
