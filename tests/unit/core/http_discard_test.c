/* The HTTP parser of one who does not want bodies: counted, dropped as they come, and the buffer
 * stays small; and of one who takes longer heads than usual. */
#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "HTTP/1.1 200 OK\r\nX-Quoit-Server: Server1\r\n"
#define BLOCK 1000

struct reader {
    struct http_parser parser;
    struct buf in;
};

static void open_reader(struct reader *reader)
{
    buf_init(&reader->in, 0);
    http_parser_init(&reader->parser, HTTP_PARSE_RESPONSE, SIZE_MAX);
    reader->parser.discard_body = true;
}

static enum http_feed feed(struct reader *reader, const char *bytes, size_t n)
{
    buf_append(&reader->in, bytes, n);
    return http_parser_feed(&reader->parser, &reader->in);
}

static enum http_feed feed_text(struct reader *reader, const char *text)
{
    return feed(reader, text, strlen(text));
}

static void check_end(struct reader *reader, size_t n_body_bytes)
{
    const struct http_message *message = &reader->parser.message;

    assert_int_equal(reader->parser.body_bytes, n_body_bytes);
    assert_int_equal(message->body.len, 0);
    assert_true(http_view_equal(http_find_header(message, "x-quoit-server"), "Server1"));
    http_parser_next(&reader->parser, &reader->in);
}

static void http_drops_a_body_as_it_comes_and_counts_it(void **state)
{
    static const char block[BLOCK];
    struct reader reader;

    (void)state;
    open_reader(&reader);
    assert_int_equal(feed_text(&reader, HEAD "Content-Length: 1000000\r\n\r\n"), HTTP_FEED_MORE);
    for (int i = 1; i < 1000; i++) {
        assert_int_equal(feed(&reader, block, BLOCK), HTTP_FEED_MORE);
        assert_int_equal(buf_len(&reader.in), reader.parser.head_bytes);
    }
    assert_int_equal(feed(&reader, block, BLOCK), HTTP_FEED_MESSAGE);
    assert_true(reader.in.capacity < 8 * BLOCK);
    check_end(&reader, 1000000);
    assert_int_equal(buf_len(&reader.in), 0);
    buf_done(&reader.in);
}

static void http_drops_a_chunked_body_cut_anywhere(void **state)
{
    static const char answer[] = HEAD "Transfer-Encoding: chunked\r\n\r\n"
                                      "6;a=b\r\nHello \r\n5\r\nfrom \r\n9\r\nServer: 1\r\n0\r\n\r\n"
                                      "HTTP/1.1 204 No Content\r\n\r\n";
    const size_t n = sizeof(answer) - 1;

    (void)state;
    for (size_t cut = 1; cut < n; cut++) {
        struct reader reader;
        enum http_feed fed;
        open_reader(&reader);
        fed = feed(&reader, answer, cut);
        if (fed == HTTP_FEED_MORE)
            fed = feed(&reader, answer + cut, n - cut);
        else
            buf_append(&reader.in, answer + cut, n - cut);
        assert_int_equal(fed, HTTP_FEED_MESSAGE);
        check_end(&reader, 20);
        assert_int_equal(http_parser_feed(&reader.parser, &reader.in), HTTP_FEED_MESSAGE);
        assert_int_equal(reader.parser.message.status, 204);
        assert_int_equal(reader.parser.body_bytes, 0);
        buf_done(&reader.in);
    }
}

static void http_drops_a_body_ended_by_the_connection(void **state)
{
    struct reader reader;

    (void)state;
    open_reader(&reader);
    assert_int_equal(feed_text(&reader, HEAD "\r\nHello "), HTTP_FEED_MORE);
    assert_int_equal(feed_text(&reader, "from Server: 1"), HTTP_FEED_MORE);
    assert_int_equal(http_parser_finish(&reader.parser, &reader.in), HTTP_FEED_MESSAGE);
    check_end(&reader, 20);
    buf_done(&reader.in);
}

static void http_still_refuses_what_is_no_framing(void **state)
{
    struct reader reader;

    (void)state;
    open_reader(&reader);
    assert_int_equal(feed_text(&reader, HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
                     HTTP_FEED_MORE);
    assert_int_equal(feed_text(&reader, "zz\r\n"), HTTP_FEED_REFUSED);
    buf_done(&reader.in);
    open_reader(&reader);
    assert_int_equal(feed_text(&reader, HEAD "Content-Length: 100\r\n\r\n0123456789"),
                     HTTP_FEED_MORE);
    assert_int_equal(http_parser_finish(&reader.parser, &reader.in), HTTP_FEED_REFUSED);
    buf_done(&reader.in);
}

/* A head of exactly n bytes. */
static void feed_head(struct reader *reader, size_t n, enum http_feed expected)
{
    static char padding[1 << 17];
    static const char rest[] = "X-Padding: ", end[] = "\r\nContent-Length: 0\r\n\r\n";

    memset(padding, 'x', sizeof(padding));
    feed_text(reader, HEAD);
    feed_text(reader, rest);
    feed(reader, padding, n - strlen(HEAD) - strlen(rest) - strlen(end));
    assert_int_equal(feed_text(reader, end), expected);
}

static void http_takes_a_head_as_long_as_it_is_told_and_no_longer(void **state)
{
    struct reader reader;

    (void)state;
    open_reader(&reader);
    reader.parser.max_head_bytes = 65536;
    feed_head(&reader, 65536, HTTP_FEED_MESSAGE);
    check_end(&reader, 0);
    feed_head(&reader, 65537, HTTP_FEED_REFUSED);
    assert_int_equal(reader.parser.refusal.status, 431);
    buf_done(&reader.in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_drops_a_body_as_it_comes_and_counts_it),
        cmocka_unit_test(http_drops_a_chunked_body_cut_anywhere),
        cmocka_unit_test(http_drops_a_body_ended_by_the_connection),
        cmocka_unit_test(http_still_refuses_what_is_no_framing),
        cmocka_unit_test(http_takes_a_head_as_long_as_it_is_told_and_no_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
