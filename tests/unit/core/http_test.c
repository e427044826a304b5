/* The HTTP parser reads what is right: every message whole, byte by byte, and cut in two at every
 * place, from a buffer that moves in between. What it refuses is in http_strict_test.c. */
#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/http_story.h"

static void expect_with(const struct story_setup *setup, const char *bytes, size_t n,
                        const char *expected)
{
    struct buf story;

    buf_init(&story, 0);
    const char *difference = story_read_all_cuts(&story, setup, bytes, n);
    if (difference)
        fail_msg("%s\nof: %s", difference, bytes);
    assert_string_equal(buf_str(&story), expected);
    buf_done(&story);
}

static void expect_requests(const char *bytes, const char *expected)
{
    expect_with(&(struct story_setup){.type = HTTP_PARSE_REQUEST}, bytes, strlen(bytes), expected);
}

static void expect_answers(const char *bytes, const char *expected)
{
    expect_with(&(struct story_setup){.type = HTTP_PARSE_RESPONSE}, bytes, strlen(bytes), expected);
}

/* Answers, and then the end of the connection. */
static void expect_ended_answers(const char *bytes, const char *expected)
{
    expect_with(&(struct story_setup){.type = HTTP_PARSE_RESPONSE, .eof = true}, bytes,
                strlen(bytes), expected);
}

/* Reads one whole request that the caller looks at. */
static struct http_message read_one(struct http_parser *parser, struct buf *in, const char *bytes)
{
    buf_init(in, 0);
    buf_append_str(in, bytes);
    http_parser_init(parser, HTTP_PARSE_REQUEST, 1 << 20);
    if (http_parser_feed(parser, in) != HTTP_FEED_MESSAGE)
        fail_msg("refused: %s", parser->refusal.reason);
    return parser->message;
}

static void assert_view(struct http_view view, const char *text)
{
    if (!http_view_equal(view, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.len, view.at, text);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void http_reads_a_request(void **state)
{
    (void)state;
    expect_requests("GET /home HTTP/1.1\r\nHost: quoit\r\n\r\n",
                    "GET /home 1.1 KO [Host=quoit] {}\n");
}

static void http_reads_bodies_of_any_method(void **state)
{
    (void)state;
    expect_requests("POST /add HTTP/1.1\r\nHost: q\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
                    "POST /add 1.1 KOL [Host=q; Content-Length=7] {{\"n\":1}}\n");
    expect_requests("GET /copy HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\n{}",
                    "GET /copy 1.1 KOL [Host=q; Content-Length=2] {{}}\n");
    expect_requests("DELETE /rm HTTP/1.1\r\nContent-Length: 2\r\nHost: q\r\n\r\n{}",
                    "DELETE /rm 1.1 KOL [Content-Length=2; Host=q] {{}}\n");
    expect_requests("PUT /u HTTP/1.1\r\nHost: q\r\nContent-Length: 0\r\n\r\n",
                    "PUT /u 1.1 KOL [Host=q; Content-Length=0] {}\n");
    expect_requests("PUT /u HTTP/1.1\r\nHost: q\r\nContent-Length: 0003\r\n\r\nabc",
                    "PUT /u 1.1 KOL [Host=q; Content-Length=0003] {abc}\n");
}

static void http_takes_white_space_only_around_values(void **state)
{
    (void)state;
    expect_requests("GET / HTTP/1.1\r\nHost:q\r\nA: \t b c\t \r\nEmpty:\r\nBlank:  \t\r\n\r\n",
                    "GET / 1.1 KO [Host=q; A=b c; Empty=; Blank=] {}\n");
    expect_requests("GET / HTTP/1.1\r\nhOsT: q\r\n!#$%&'*+-.^_`|~09azAZ: \"\xc3\xa9\xff\"\r\n\r\n",
                    "GET / 1.1 KO [hOsT=q; !#$%&'*+-.^_`|~09azAZ=\"\xc3\xa9\xff\"] {}\n");
}

static void http_knows_when_a_connection_is_kept(void **state)
{
    static const struct {
        const char *version, *header;
        bool kept;
    } rows[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive\r\n", true},
        {"1.1", "Connection: X-Hop, close\r\n", false},
        {"1.1", "Connection: X-Hop\r\nConnection: close\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.0", "", false},
        {"1.0", "Connection: close\r\n", false},
        {"1.0", "Connection: keep-alive\r\n", true},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: X-Hop\r\n", false},
    };
    struct http_parser parser;
    struct buf in;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: q\r\n%s\r\n", rows[i].version,
                 rows[i].header);
        struct http_message message = read_one(&parser, &in, text);
        if (!!(message.flags & HTTP_KEEP_ALIVE) != rows[i].kept)
            fail_msg("%s", text);
        assert_int_equal(!!(message.flags & HTTP_HOP_BY_HOP), rows[i].header[0] != '\0');
        buf_done(&in);
    }
}

static void http_reads_a_request_of_1_0_without_a_host(void **state)
{
    (void)state;
    expect_requests("GET /home HTTP/1.0\r\n\r\n", "GET /home 1.0  [] {}\n");
    expect_requests("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"
                    "GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                    "POST / 1.0 KHL [Connection=keep-alive; Content-Length=1] {x}\n"
                    "GET /2 1.0 KH [Connection=keep-alive] {}\n");
}

static void http_reads_pipelined_requests(void **state)
{
    (void)state;
    expect_requests("GET /1 HTTP/1.1\r\nHost: q\r\n\r\n"
                    "POST /2 HTTP/1.1\r\nHost: q\r\nContent-Length: 3\r\n\r\nabc"
                    "POST /3 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
                    "GET /4 HTTP/1.1\r\nHost: q\r\n\r\nGET /5",
                    "GET /1 1.1 KO [Host=q] {}\n"
                    "POST /2 1.1 KOL [Host=q; Content-Length=3] {abc}\n"
                    "POST /3 1.1 KCHO [Host=q; Transfer-Encoding=chunked] {def}\n"
                    "GET /4 1.1 KO [Host=q] {}\n"
                    "within\n");
}

static void http_passes_over_empty_lines_between_requests(void **state)
{
    (void)state;
    expect_requests("\r\n\r\nGET /1 HTTP/1.1\r\nHost: q\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: q\r\n"
                    "\r\n\r\n\r\n",
                    "GET /1 1.1 KO [Host=q] {}\nGET /2 1.1 KO [Host=q] {}\n");
    expect_requests("\r\n\r", "within\n");
}

static void http_reads_the_absolute_form_less_its_authority(void **state)
{
    struct http_parser parser;
    struct buf in;

    (void)state;
    expect_requests("GET http://other:80/home?x=/y HTTP/1.1\r\nHost: q\r\n\r\n",
                    "GET /home?x=/y 1.1 KO [Host=q] {}\n");
    expect_requests("GET HTTP://o/ HTTP/1.1\r\nHost: q\r\n\r\n", "GET / 1.1 KO [Host=q] {}\n");
    struct http_message message =
        read_one(&parser, &in, "GET http://o/a/b?k=1 HTTP/1.1\r\nHost: q\r\n\r\n");
    assert_view(message.path, "/a/b");
    assert_view(message.query, "k=1");
    buf_done(&in);
}

static void http_splits_the_target_at_the_first_question_mark(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/", "/", ""},           {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"},  {"/?x=/../y", "/", "x=/../y"},
        {"/a%3Fb", "/a%3Fb", ""}, {"//a//b/", "//a//b/", ""},
    };
    struct http_parser parser;
    struct buf in;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: q\r\n\r\n", rows[i].target);
        struct http_message message = read_one(&parser, &in, text);
        assert_view(message.target, rows[i].target);
        assert_view(message.path, rows[i].path);
        assert_view(message.query, rows[i].query);
        buf_done(&in);
    }
}

static void http_takes_an_asterisk_of_options_alone(void **state)
{
    (void)state;
    expect_requests("OPTIONS * HTTP/1.1\r\nHost: q\r\n\r\n", "OPTIONS * 1.1 KO [Host=q] {}\n");
    expect_requests("GET * HTTP/1.1\r\nHost: q\r\n\r\n", "refused 400\n");
}

static void http_views_the_head_and_its_first_line(void **state)
{
    static const char head[] = "POST /a HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\n";
    struct http_parser parser;
    struct buf in;
    char text[256];

    (void)state;
    snprintf(text, sizeof(text), "%sxyGET", head);
    struct http_message message = read_one(&parser, &in, text);
    assert_view(message.head, head);
    assert_view(message.start_line, "POST /a HTTP/1.1");
    assert_view(message.body, "xy");
    assert_ptr_equal(message.head.at, buf_head(&in));
    http_parser_next(&parser, &in);
    assert_string_equal(buf_str(&in), "GET");
    buf_done(&in);
}

static void http_sees_that_a_client_waits_for_a_continue(void **state)
{
    static const char head[] =
        "POST / HTTP/1.1\r\nHost: q\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    struct http_parser parser;
    struct buf in;

    (void)state;
    buf_init(&in, 0);
    http_parser_init(&parser, HTTP_PARSE_REQUEST, 100);
    assert_true(http_parser_idle(&parser, &in));
    buf_append(&in, head, sizeof(head) - 3);
    assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MORE);
    assert_false(http_parser_idle(&parser, &in));
    assert_false(http_parser_in_body(&parser));
    buf_append(&in, head + sizeof(head) - 3, 2);
    assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MORE);
    assert_true(http_parser_in_body(&parser));
    assert_true(parser.message.flags & HTTP_EXPECT_CONTINUE);
    buf_append_str(&in, "ok");
    assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MESSAGE);
    assert_false(http_parser_in_body(&parser));
    http_parser_next(&parser, &in);
    assert_true(http_parser_idle(&parser, &in));
    buf_done(&in);
}

static void http_ignores_an_expectation_of_1_0(void **state)
{
    (void)state; /* RFC 9110 §10.1.1 */
    expect_requests("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
                    "POST / 1.0 HL [Expect=100-continue; Content-Length=1] {x}\n");
}

static void http_ignores_upgrades(void **state)
{
    (void)state;
    expect_requests("GET /1 HTTP/1.1\r\nHost: q\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                    "GET /2 HTTP/1.1\r\nHost: q\r\n\r\n",
                    "GET /1 1.1 KHO [Host=q; Connection=Upgrade; Upgrade=h2c] {}\n"
                    "GET /2 1.1 KO [Host=q] {}\n");
}

/* ---- chunked ----------------------------------------------------------------------------------
 */

#define CHUNKED_HEAD "POST / HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_STORY "POST / 1.1 KCHO [Host=q; Transfer-Encoding=chunked] "

static void http_joins_chunks_in_place(void **state)
{
    (void)state;
    expect_requests(CHUNKED_HEAD "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
                    CHUNKED_STORY "{hello world}\n");
    expect_requests(CHUNKED_HEAD "0\r\n\r\n", CHUNKED_STORY "{}\n");
    expect_requests(CHUNKED_HEAD "00a\r\n0123456789\r\n000\r\n\r\nGET",
                    CHUNKED_STORY "{0123456789}\nwithin\n");
    expect_requests(CHUNKED_HEAD "A\r\n0123456789\r\n0b\r\nabcdefghijk\r\n0\r\n\r\n",
                    CHUNKED_STORY "{0123456789abcdefghijk}\n");
    expect_requests(CHUNKED_HEAD "4\r\n\r\n0\r\r\n0\r\n\r\n", CHUNKED_STORY "{\r\n0\r}\n");
}

static void http_drops_chunk_extensions_and_trailers(void **state)
{
    (void)state;
    expect_requests(CHUNKED_HEAD "3;a=b\r\nabc\r\n2;x=\"y z\";q\r\nde\r\n0;last\r\n\r\n",
                    CHUNKED_STORY "{abcde}\n");
    expect_requests(CHUNKED_HEAD "3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: z\r\n\r\n"
                                 "GET /2 HTTP/1.1\r\nHost: q\r\n\r\n",
                    CHUNKED_STORY "{abc}\nGET /2 1.1 KO [Host=q] {}\n");
    /* llhttp takes this for the connection's end: so must we, or what follows is never answered. */
    expect_requests(CHUNKED_HEAD "3\r\nabc\r\n0\r\nConnection: close\r\n\r\n",
                    "POST / 1.1 CHO [Host=q; Transfer-Encoding=chunked] {abc}\n");
}

static void http_joins_many_tiny_chunks(void **state)
{
    static const char chunk[] = "1;tiny\r\nx\r\n";
    struct buf bytes, story;
    char expected[256];
    size_t n = 20000;

    (void)state;
    buf_init(&bytes, 0);
    buf_init(&story, 0);
    buf_append_str(&bytes, CHUNKED_HEAD);
    for (size_t i = 0; i < n; i++)
        buf_append(&bytes, chunk, sizeof(chunk) - 1);
    buf_append_str(&bytes, "0\r\n\r\n");
    const struct story_setup setup = {.type = HTTP_PARSE_REQUEST};
    story_read(&story, &setup, buf_head(&bytes), buf_len(&bytes), buf_len(&bytes), 1);
    snprintf(expected, sizeof(expected), CHUNKED_STORY "{#%zu:", n);
    assert_memory_equal(buf_str(&story), expected, strlen(expected));
    /* In pieces that cut chunks everywhere: the same, and no more memory than the body. */
    for (size_t step = 7; step < 2000; step += 331) {
        struct buf other;
        buf_init(&other, 0);
        story_read(&other, &setup, buf_head(&bytes), buf_len(&bytes), step, step);
        assert_string_equal(buf_str(&other), buf_str(&story));
        buf_done(&other);
    }
    buf_done(&bytes);
    buf_done(&story);
}

static void http_gives_back_the_memory_of_chunk_framing(void **state)
{
    struct http_parser parser;
    struct buf in;

    (void)state;
    buf_init(&in, 0);
    http_parser_init(&parser, HTTP_PARSE_REQUEST, 1000);
    buf_append_str(&in, CHUNKED_HEAD);
    assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MORE);
    for (int i = 0; i < 1000; i++) {
        buf_append_str(&in, "1;extension=of-some-length\r\nx\r\n");
        assert_int_equal(http_parser_feed(&parser, &in), HTTP_FEED_MORE);
        assert_int_equal(buf_len(&in), strlen(CHUNKED_HEAD) + (size_t)i + 1);
    }
    buf_done(&in);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void http_reads_answers(void **state)
{
    (void)state;
    expect_answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                   "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                   "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
                   "HTTP/1.0 200 Fine by me\r\nConnection: keep-alive\r\nContent-Length: "
                   "1\r\n\r\nx",
                   "200 1.1 KL [Content-Length=2] {ok}\n"
                   "404 1.1 KL [Content-Length=0] {}\n"
                   "200 1.1 KCH [Transfer-Encoding=chunked] {hi}\n"
                   "200 1.0 KHL [Connection=keep-alive; Content-Length=1] {x}\n");
}

static void http_reads_no_body_where_there_can_be_none(void **state)
{
    (void)state;
    expect_answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                   "100 1.1 K [] {}\n103 1.1 K [Link=x] {}\n204 1.1 K [] {}\n304 1.1 K [] {}\n"
                   "200 1.1 KL [Content-Length=1] {x}\n");
}

static void http_reads_no_body_in_204_and_304_whatever_length_they_name(void **state)
{
    (void)state;
    expect_answers("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
                   "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                   "304 1.1 KL [Content-Length=9] {}\n"
                   "204 1.1 KCH [Transfer-Encoding=chunked] {}\n"
                   "200 1.1 KL [Content-Length=2] {ok}\n");
}

static void http_reads_no_body_in_answers_to_head(void **state)
{
    (void)state;
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "HTTP/1.1 200 OK\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    expect_with(&(struct story_setup){.type = HTTP_PARSE_RESPONSE, .no_body = true}, bytes,
                sizeof(bytes) - 1,
                "200 1.1 KL [Content-Length=500] {}\n"
                "200 1.1 KCH [Transfer-Encoding=chunked] {}\n"
                "200 1.1 K [] {}\n"
                "200 1.1 KL [Content-Length=99999999999] {}\n");
}

static void http_reads_a_body_up_to_the_end_of_the_connection(void **state)
{
    (void)state;
    expect_ended_answers("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 1.1  [] {until the end}\n");
    expect_ended_answers("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
                         "200 1.0 H [Connection=keep-alive] {}\n");
    expect_answers("HTTP/1.1 200 OK\r\n\r\nuntil the end", "within\n");
}

static void http_sees_that_a_connection_ended_within_an_answer(void **state)
{
    (void)state;
    expect_ended_answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "refused 400\n");
    expect_ended_answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
                         "refused 400\n");
    expect_ended_answers("HTTP/1.1 200 OK\r\nContent-Le", "refused 400\n");
    expect_ended_answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                         "200 1.1 KL [Content-Length=2] {hi}\n");
    expect_ended_answers("", "");
}

static void http_reads_answers_that_keep_no_connection(void **state)
{
    (void)state;
    expect_answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
                   "200 1.1 HL [Connection=close; Content-Length=1] {x}\n");
    expect_answers("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
                   "200 1.0 L [Content-Length=1] {x}\n");
}

/* ---- helpers ----------------------------------------------------------------------------------
 */

static void http_finds_the_first_header_of_a_name_in_any_case(void **state)
{
    struct http_parser parser;
    struct buf in;

    (void)state;
    struct http_message message =
        read_one(&parser, &in, "GET / HTTP/1.1\r\nHost: q\r\nX-Key: 1\r\nx-key: 2\r\nX-E:\r\n\r\n");
    assert_view(http_find_header(&message, "x-KEY"), "1");
    assert_view(http_find_header(&message, "HOST"), "q");
    struct http_view empty = http_find_header(&message, "X-E");
    assert_non_null(empty.at);
    assert_int_equal(empty.len, 0);
    assert_null(http_find_header(&message, "X-Ke").at);
    assert_null(http_find_header(&message, "X-Key2").at);
    buf_done(&in);
}

static void http_knows_hop_by_hop_headers(void **state)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: q\r\nConnection: X-Mine ,\tX-Too,,\r\nKeep-Alive: 5\r\n"
        "Proxy-Connection: a\r\nTE: trailers\r\nUpgrade: h2c\r\nTrailer: X\r\n"
        "EXPECT: 100-continue\r\nx-mine: 1\r\nX-Too: 2\r\nX-To: 3\r\nX-Mine2: 4\r\n"
        "Connection: X-Third\r\nX-Third: 5\r\nAccept: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n";
    static const char *const stay[] = {"Host", "X-To", "X-Mine2", "Accept"};
    struct http_parser parser;
    struct buf in;

    (void)state;
    struct http_message message = read_one(&parser, &in, request);
    assert_int_equal(message.n_headers, 16);
    for (size_t i = 0, n = 0; i < message.n_headers; i++) {
        if (n < 4 && http_view_equal(message.headers[i].name, stay[n])) {
            assert_false(http_is_hop_by_hop(&message, &message.headers[i]));
            n++;
        } else if (!http_is_hop_by_hop(&message, &message.headers[i])) {
            fail_msg("%.*s", (int)message.headers[i].name.len, message.headers[i].name.at);
        }
    }
    buf_done(&in);
}

static void http_finds_values_in_queries(void **state)
{
    static const struct {
        const char *query, *name, *value;
    } rows[] = {
        {"key=7", "key", "7"},        {"a=1&key=7&b=2", "key", "7"}, {"key=7&key=8", "key", "7"},
        {"xkey=1&key=2", "key", "2"}, {"keyx=1&key=2", "key", "2"},  {"key&key=2", "key", "2"},
        {"key=", "key", ""},          {"a&&key=a=b", "key", "a=b"},  {"key=%41+b", "key", "%41+b"},
        {"KEY=1", "key", NULL},       {"key", "key", NULL},          {"", "key", NULL},
        {"k=1", "key", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_view query = {rows[i].query, strlen(rows[i].query)};
        struct http_view value = http_query_value(query, rows[i].name);
        if (rows[i].value)
            assert_view(value, rows[i].value);
        else
            assert_null(value.at);
    }
    assert_null(http_query_value((struct http_view){NULL, 0}, "key").at);
}

static void http_checks_paths_after_one_decoding(void **state)
{
    static const struct {
        const char *path;
        bool good;
    } rows[] = {
        {"/", true},
        {"/home", true},
        {"/a/b.c/..d/e../...", true},
        {"/.", true},
        {"/%41%7e", true},
        {"/%252e%252e/", true}, /* ".." only after a second decoding */
        {"/\xc3\xa9", true},
        {"/%ff", true},
        {"", false},
        {"home", false},
        {"*", false},
        {"%2fhome", false},
        {"/..", false},
        {"/../x", false},
        {"/a/..", false},
        {"/a/../b", false},
        {"/%2e%2E/", false},
        {"/.%2e", false},
        {"/a%2f..%2fb", false},
        {"/a%2F%2e.", false},
        {"/%00", false},
        {"/a%00b", false},
        {"/%1f", false},
        {"/%7f", false},
        {"/%0d%0a", false},
        {"/\t", false},
        {"/\x7f", false},
        {"/%", false},
        {"/%4", false},
        {"/%4g", false},
        {"/%g4", false},
        {"/%%41", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_view path = {rows[i].path, strlen(rows[i].path)};
        const char *wrong = http_check_path(path);
        if ((wrong == NULL) != rows[i].good)
            fail_msg("%s: %s", rows[i].path, wrong ? wrong : "good");
    }
    assert_non_null(http_check_path((struct http_view){"/a\0b", 4}));
    /* What follows the path is not looked at. */
    assert_non_null(http_check_path((struct http_view){"/%41", 3}));
}

static void http_knows_idempotent_methods(void **state)
{
    static const llhttp_method_t idempotent[] = {HTTP_GET,    HTTP_HEAD,    HTTP_PUT,
                                                 HTTP_DELETE, HTTP_OPTIONS, HTTP_TRACE};
    static const llhttp_method_t others[] = {HTTP_POST, HTTP_PATCH, HTTP_CONNECT, HTTP_MKCOL};

    (void)state;
    for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++)
        assert_true(http_method_idempotent(idempotent[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(http_method_idempotent(others[i]));
    assert_string_equal(http_status_text(200), "OK");
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(799), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_reads_a_request),
        cmocka_unit_test(http_reads_bodies_of_any_method),
        cmocka_unit_test(http_takes_white_space_only_around_values),
        cmocka_unit_test(http_knows_when_a_connection_is_kept),
        cmocka_unit_test(http_reads_a_request_of_1_0_without_a_host),
        cmocka_unit_test(http_reads_pipelined_requests),
        cmocka_unit_test(http_passes_over_empty_lines_between_requests),
        cmocka_unit_test(http_reads_the_absolute_form_less_its_authority),
        cmocka_unit_test(http_splits_the_target_at_the_first_question_mark),
        cmocka_unit_test(http_takes_an_asterisk_of_options_alone),
        cmocka_unit_test(http_views_the_head_and_its_first_line),
        cmocka_unit_test(http_sees_that_a_client_waits_for_a_continue),
        cmocka_unit_test(http_ignores_an_expectation_of_1_0),
        cmocka_unit_test(http_ignores_upgrades),
        cmocka_unit_test(http_joins_chunks_in_place),
        cmocka_unit_test(http_drops_chunk_extensions_and_trailers),
        cmocka_unit_test(http_joins_many_tiny_chunks),
        cmocka_unit_test(http_gives_back_the_memory_of_chunk_framing),
        cmocka_unit_test(http_reads_answers),
        cmocka_unit_test(http_reads_no_body_where_there_can_be_none),
        cmocka_unit_test(http_reads_no_body_in_204_and_304_whatever_length_they_name),
        cmocka_unit_test(http_reads_no_body_in_answers_to_head),
        cmocka_unit_test(http_reads_a_body_up_to_the_end_of_the_connection),
        cmocka_unit_test(http_sees_that_a_connection_ended_within_an_answer),
        cmocka_unit_test(http_reads_answers_that_keep_no_connection),
        cmocka_unit_test(http_finds_the_first_header_of_a_name_in_any_case),
        cmocka_unit_test(http_knows_hop_by_hop_headers),
        cmocka_unit_test(http_finds_values_in_queries),
        cmocka_unit_test(http_checks_paths_after_one_decoding),
        cmocka_unit_test(http_knows_idempotent_methods),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
