/* What a server gets: the client's request as it came where that will do, made anew where not; and
 * in either case one that the strict parser reads as the same request. */
#include "lb/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static struct http_parser parser;
static struct buf in;
static struct forward forward;

static int set_up(void **state)
{
    (void)state;
    buf_init(&in, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&in);
    return 0;
}

static const struct http_message *read_request(const char *text)
{
    buf_clear(&in);
    buf_append_str(&in, text);
    http_parser_init(&parser, HTTP_PARSE_REQUEST, 1 << 20);
    if (http_parser_feed(&parser, &in) != HTTP_FEED_MESSAGE)
        fail_msg("%s: %s", parser.refusal.reason, text);
    return &parser.message;
}

static void expect(const char *request, const char *forwarded)
{
    const struct http_message *message = read_request(request);

    forward_init(&forward, message);
    if (forward.n != strlen(forwarded) || memcmp(forward.bytes, forwarded, forward.n) != 0)
        fail_msg("%.*s\ninstead of\n%s", (int)forward.n, forward.bytes, forwarded);
    /* The path lies within the bytes, not in the client's buffer, which goes. */
    assert_true(forward.path.at >= forward.bytes &&
                forward.path.at + forward.path.len <= forward.bytes + forward.n);
    assert_int_equal(forward.path.len, message->path.len);
    assert_memory_equal(forward.path.at, message->path.at, message->path.len);
    forward_done(&forward);
}

static void expect_as_it_stands(const char *request)
{
    expect(request, request);
}

static void forward_sends_a_plain_request_as_it_stands(void **state)
{
    (void)state;
    expect_as_it_stands("GET /home HTTP/1.1\r\nHost: q\r\n\r\n");
    expect_as_it_stands("GET /a/b?x=1&y HTTP/1.1\r\nhost:q\r\nX:\t odd  \r\n\r\n");
    expect_as_it_stands("POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 3\r\n\r\nabc");
    expect_as_it_stands("DELETE /p HTTP/1.1\r\nHost: q\r\nContent-Length: 0\r\n\r\n");
    expect_as_it_stands("OPTIONS * HTTP/1.1\r\nHost: q\r\n\r\n");
}

static void forward_leaves_the_next_pipelined_request_out(void **state)
{
    (void)state;
    expect("POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n\r\naGET /2 HTTP/1.1\r\n",
           "POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n\r\na");
}

static void forward_drops_hop_by_hop_headers(void **state)
{
    (void)state;
    expect("GET /p?q HTTP/1.1\r\nHost: q\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
           "Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nX-Stay: 2\r\n"
           "\r\n",
           "GET /p?q HTTP/1.1\r\nHost: q\r\nX-Stay: 2\r\n\r\n");
    expect("PUT /p HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
           "PUT /p HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\nab");
}

static void forward_joins_a_chunked_body(void **state)
{
    (void)state;
    expect("POST /p HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\nX: y\r\n"
           "\r\n2;e=f\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
           "POST /p HTTP/1.1\r\nHost: q\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    expect("POST /p HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 0\r\n\r\n");
}

static void forward_makes_1_1_of_1_0(void **state)
{
    (void)state;
    expect("GET /p HTTP/1.0\r\n\r\n", "GET /p HTTP/1.1\r\nHost: quoit\r\n\r\n");
    expect("GET /p HTTP/1.0\r\nHost: q\r\nX: y\r\n\r\n",
           "GET /p HTTP/1.1\r\nHost: q\r\nX: y\r\n\r\n");
    expect("POST /p HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
           "POST /p HTTP/1.1\r\nHost: quoit\r\nContent-Length: 1\r\n\r\na");
}

static void forward_makes_the_origin_form_of_the_absolute_one(void **state)
{
    (void)state;
    expect("GET http://other/p?x=/y HTTP/1.1\r\nHost: q\r\n\r\n",
           "GET /p?x=/y HTTP/1.1\r\nHost: q\r\n\r\n");
}

static void forward_lets_no_client_take_out_the_host_or_the_length(void **state)
{
    (void)state;
    expect("POST /p HTTP/1.1\r\nHost: q\r\nConnection: Host, Content-Length\r\n"
           "Content-Length: 2\r\n\r\nab",
           "POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\nab");
    expect("POST /p HTTP/1.1\r\nHost: q\r\nConnection: content-length\r\nContent-Length: 002\r\n"
           "\r\nab",
           "POST /p HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\nab");
}

/* Whatever came, what is forwarded reads as the same request, one and whole. */
static void forward_makes_what_the_strict_parser_reads_as_the_same(void **state)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "M-SEARCH"};
    static const char *const targets[] = {"/", "/a?b=c", "http://o:8/a/b?c"};
    static const char *const hops[] = {"", "Connection: x, host\r\nx: 1\r\n", "Upgrade: h2c\r\n"};
    static const char *const bodies[] = {
        "\r\n", "Content-Length: 4\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"};
    char text[512];

    (void)state;
    for (size_t i = 0; i < 4 * 3 * 3 * 3 * 2; i++) {
        size_t j = i;
        const char *method = methods[j % 4], *target = targets[(j /= 4) % 3],
                   *hop = hops[(j /= 3) % 3], *body = bodies[(j /= 3) % 3];
        bool old = (j / 3) % 2;
        if (old && body == bodies[2])
            continue;
        snprintf(text, sizeof(text), "%s %s HTTP/1.%d\r\nHost: q\r\nY:z\r\n%s%s", method, target,
                 !old, hop, body);
        const struct http_message first = *read_request(text);
        forward_init(&forward, &first);
        struct http_parser second;
        struct buf other;
        buf_init(&other, 0);
        buf_append(&other, forward.bytes, forward.n);
        http_parser_init(&second, HTTP_PARSE_REQUEST, 1 << 20);
        if (http_parser_feed(&second, &other) != HTTP_FEED_MESSAGE)
            fail_msg("%s: %.*s", second.refusal.reason, (int)forward.n, forward.bytes);
        assert_int_equal(second.fed, forward.n);
        assert_int_equal(second.message.method, first.method);
        assert_int_equal(second.message.minor, 1);
        assert_true(second.message.flags & HTTP_KEEP_ALIVE);
        assert_false(second.message.flags & (HTTP_HOP_BY_HOP | HTTP_CHUNKED));
        assert_int_equal(!!(second.message.flags & HTTP_HAS_LENGTH), body != bodies[0]);
        assert_int_equal(second.message.target.len, first.target.len);
        assert_memory_equal(second.message.target.at, first.target.at, first.target.len);
        assert_int_equal(second.message.body.len, first.body.len);
        assert_memory_equal(second.message.body.at, first.body.at, first.body.len);
        assert_true(http_view_equal(http_find_header(&second.message, "Host"), "q"));
        assert_true(http_view_equal(http_find_header(&second.message, "y"), "z"));
        forward_done(&forward);
        buf_done(&other);
    }
}

static void forward_takes_requests_of_any_length(void **state)
{
    struct buf text;

    (void)state;
    /* Around what fits within the struct, and made anew with many headers without a blank. */
    for (size_t n = 400; n < 800; n++) {
        buf_init(&text, 0);
        buf_appendf(&text, "POST /p HTTP/1.%zu\r\nHost:q\r\nContent-Length:%zu\r\n\r\n%0*d", n % 2,
                    n, (int)n, 7);
        const struct http_message *message = read_request(buf_str(&text));
        forward_init(&forward, message);
        assert_memory_equal(forward.bytes + forward.n - n, message->body.at, n);
        forward_done(&forward);
        buf_done(&text);
    }
    buf_init(&text, 0);
    buf_append_str(&text, "GET / HTTP/1.0\r\n");
    for (int i = 0; i < 100; i++)
        buf_append_str(&text, "a:\r\n");
    buf_append_str(&text, "\r\n");
    assert_false(forward_init(&forward, read_request(buf_str(&text)))); /* a Host is the 101st */
    assert_int_equal(forward.n, strlen("GET / HTTP/1.1\r\nHost: quoit\r\n\r\n") + 100 * 5);
    forward_done(&forward);
    buf_done(&text);
}

/* A head as long as a client may send, made anew and longer. */
static void forward_says_when_the_head_is_past_what_a_server_takes(void **state)
{
    struct buf text;

    (void)state;
    for (size_t over = 0; over < 2; over++) {
        buf_init(&text, 0);
        buf_append_str(&text, "GET / HTTP/1.0\r\nHost:q\r\n");
        size_t n = HTTP_MAX_HEAD_BYTES - buf_len(&text) - strlen("A:\r\n\r\n") - 2 + over;
        buf_appendf(&text, "A:%0*d\r\n\r\n", (int)n, 7);
        assert_int_equal(forward_init(&forward, read_request(buf_str(&text))), over == 0);
        assert_int_equal(forward.n, HTTP_MAX_HEAD_BYTES + over);
        forward_done(&forward);
        buf_done(&text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(forward_sends_a_plain_request_as_it_stands),
        TEST(forward_leaves_the_next_pipelined_request_out),
        TEST(forward_drops_hop_by_hop_headers),
        TEST(forward_joins_a_chunked_body),
        TEST(forward_makes_1_1_of_1_0),
        TEST(forward_makes_the_origin_form_of_the_absolute_one),
        TEST(forward_lets_no_client_take_out_the_host_or_the_length),
        TEST(forward_makes_what_the_strict_parser_reads_as_the_same),
        TEST(forward_takes_requests_of_any_length),
        TEST(forward_says_when_the_head_is_past_what_a_server_takes),
    };
    return cmocka_run_group_tests_name("lb forward", tests, NULL, NULL);
}
