/* The HTTP server: what it answers, in which order, in how many writes. Limits and deadlines are in
 * httpd_limits_test.c. */
#include "core/httpd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/net.h"
#include "tests/support/httpd_bed.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: q\r\n\r\n"

static struct bed *bed;

static int set_up(void **state)
{
    (void)state;
    bed = bed_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bed_free(bed);
    return 0;
}

static void httpd_answers_a_request(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/now/hello"));
    bed_hear(bed, client, BED_OK("5", "hello"));
    bed_say(bed, client, GET("/now/again"));
    bed_hear(bed, client, BED_OK("5", "hello") BED_OK("5", "again"));
    assert_int_equal(httpd_n_connections(bed->httpd), 1);
    const struct httpd_counters *counters = httpd_counters(bed->httpd);
    assert_int_equal(counters->requests, 2);
    assert_int_equal(counters->connections, 1);
    assert_int_equal(counters->connections_accepted, 1);
    assert_int_equal(counters->bytes_in, strlen(GET("/now/hello")) + strlen(GET("/now/again")));
    assert_int_equal(counters->bytes_out, buf_len(&client->got));
}

static void httpd_dates_its_answers(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);
    char before[CLOCK_HTTP_BYTES], after[CLOCK_HTTP_BYTES];

    (void)state;
    clock_format_http(clock_wall_ns(), before);
    bed_say(bed, client, GET("/now/x"));
    bed_hear(bed, client, BED_OK("1", "x"));
    clock_format_http(clock_wall_ns(), after);
    const char *date = strstr(buf_str(&client->got), "\r\nDate: ");
    assert_non_null(date);
    assert_true(strncmp(date + 8, before, strlen(before)) == 0 ||
                strncmp(date + 8, after, strlen(after)) == 0);
}

static void httpd_sends_answers_in_the_order_of_the_requests(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);
    static const size_t order[] = {3, 1, 4, 0, 2};

    (void)state;
    bed_say(bed, client,
            GET("/later/a") GET("/later/b") GET("/later/c") GET("/later/d") GET("/later/e")
                GET("/now/f"));
    bed_wait(bed, bed->n_requests == 6);
    for (size_t i = 0; i < 5; i++) {
        bed_answer(bed, order[i]);
        bed_run_for(bed, 0.005);
        if (i < 3)
            assert_string_equal(bed_text(client), "");
    }
    bed_hear(bed, client,
             BED_OK("1", "a") BED_OK("1", "b") BED_OK("1", "c") BED_OK("1", "d") BED_OK("1", "e")
                 BED_OK("1", "f"));
}

static void httpd_keeps_the_exchanges_of_clients_apart(void **state)
{
    struct bed_client *one = bed_connect(bed, 0), *two = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, one, GET("/later/1"));
    bed_wait(bed, bed->n_held == 1);
    bed_say(bed, two, GET("/later/2"));
    bed_wait(bed, bed->n_held == 2);
    bed_answer(bed, 1);
    bed_hear(bed, two, BED_OK("1", "2"));
    assert_string_equal(bed_text(one), "");
    bed_answer(bed, 0);
    bed_hear(bed, one, BED_OK("1", "1"));
}

static void httpd_answers_a_turn_with_one_write(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);
    char requests[64 * 64] = "", answers[64 * 128] = "";

    (void)state;
    for (int i = 0; i < 50; i++) {
        strcat(requests, GET("/now/x"));
        strcat(answers, BED_OK("1", "x"));
    }
    bed_say(bed, client, requests);
    bed_hear(bed, client, answers);
    assert_int_equal(bed_n_sends, 1);
    /* And so are answers that come late, all in one turn. */
    bed_forget(client);
    bed_say(bed, client, GET("/later/1") GET("/later/2") GET("/later/3"));
    bed_wait(bed, bed->n_held == 3);
    bed_answer(bed, 2);
    bed_answer(bed, 0);
    bed_answer(bed, 1);
    bed_hear(bed, client, BED_OK("1", "1") BED_OK("1", "2") BED_OK("1", "3"));
    assert_int_equal(bed_n_sends, 2);
}

static void httpd_goes_on_after_a_short_write(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_send_limit = 7;
    bed_say(bed, client, GET("/now/hello") GET("/now/world"));
    bed_hear(bed, client, BED_OK("5", "hello") BED_OK("5", "world"));
    assert_true(bed_n_sends > 20);
}

static void httpd_takes_requests_byte_by_byte(void **state)
{
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked"
                                  "\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        bed_say_bytes(bed, client, request + i, 1);
        ev_run(bed->loop, EVRUN_NOWAIT);
    }
    bed_hear(bed, client, BED_OK("5", "abcde"));
}

static void httpd_echoes_a_body_of_megabytes(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);
    struct buf body, request;

    (void)state;
    buf_init(&body, 0);
    buf_init(&request, 0);
    for (uint32_t i = 0; i < 400000; i++)
        buf_appendf(&body, "%08x", i * 2654435761u);
    buf_appendf(&request, "PUT /echo HTTP/1.1\r\nHost: q\r\nContent-Length: %zu\r\n\r\n",
                buf_len(&body));
    buf_append(&request, buf_head(&body), buf_len(&body));
    bed_say_bytes(bed, client, buf_head(&request), buf_len(&request));
    bed_wait(bed, buf_len(&client->got) > buf_len(&body));
    bed_hear_end(bed, client, buf_str(&body) + buf_len(&body) - 64);
    assert_memory_equal(buf_head(&client->got) + buf_len(&client->got) - buf_len(&body),
                        buf_head(&body), buf_len(&body));
    buf_done(&body);
    buf_done(&request);
}

static void httpd_answers_head_without_a_body(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, "HEAD /now/hello HTTP/1.1\r\nHost: q\r\n\r\n" GET("/now/x"));
    bed_hear(bed, client, BED_OK("5", "") BED_OK("1", "x"));
}

static void httpd_keeps_a_connection_as_its_version_says(void **state)
{
    static const struct {
        const char *request, *answer;
        bool kept;
    } rows[] = {
        {"GET /now/x HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n",
         BED_OK_WITH("1", "Connection: close\r\n", "x"), false},
        {"GET /now/x HTTP/1.0\r\n\r\n", BED_OK_WITH("1", "Connection: close\r\n", "x"), false},
        {"GET /now/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         BED_OK_WITH("1", "Connection: keep-alive\r\n", "x"), true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bed_client *client = bed_connect(bed, 0);
        bed_say(bed, client, rows[i].request);
        bed_hear(bed, client, rows[i].answer);
        if (!rows[i].kept)
            assert_true(bed_hear_eof(bed, client));
        else
            bed_run_for(bed, 0.01);
        assert_int_equal(client->eof, !rows[i].kept);
    }
}

static void httpd_takes_nothing_after_the_last_request(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client,
            GET("/later/1") "GET /later/2 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n" GET(
                "/now/3"));
    bed_wait(bed, bed->n_held == 2);
    bed_answer(bed, 1);
    bed_answer(bed, 0);
    bed_hear(bed, client, BED_OK("1", "1") BED_OK_WITH("1", "Connection: close\r\n", "2"));
    assert_true(bed_hear_eof(bed, client));
    assert_int_equal(bed->n_requests, 2);
}

static void httpd_refuses_in_json(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/refuse") "PATCH /method HTTP/1.1\r\nHost: q\r\n\r\n");
    bed_hear(bed, client,
             "HTTP/1.1 400 Bad Request\r\nContent-Length: 43\r\nContent-Type: "
             "application/json\r\n\r\n{\"message\":\"<Error> no\",\"status\":\"failure\"}"
             "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 90\r\nContent-Type: "
             "application/json\r\nAllow: GET, HEAD\r\n\r\n{\"message\":\"<Error> PATCH '/method' "
             "is not served: it takes GET, HEAD\",\"status\":\"failure\"}");
}

static void httpd_refuses_what_is_no_request_in_its_turn_and_closes(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/later/1") "GET / HTTP/1.1\r\n\r\n" GET("/now/3"));
    bed_wait(bed, bed->n_held == 1);
    bed_run_for(bed, 0.01);
    assert_string_equal(bed_text(client), "");
    bed_answer(bed, 0);
    assert_true(bed_hear_eof(bed, client));
    static const char expected[] = BED_OK("1", "1") "HTTP/1.1 400 Bad Request\r\n";
    assert_memory_equal(bed_text(client), expected, strlen(expected));
    assert_non_null(strstr(bed_text(client), "\r\nConnection: close\r\n\r\n{\"message\":\"<Error> "
                                             "no Host header\",\"status\":\"failure\"}"));
    assert_int_equal(bed->n_requests, 1);
    assert_int_equal(httpd_counters(bed->httpd)->bad_requests, 1);
}

static void httpd_answers_a_client_that_closed_its_half(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/later/1") GET("/later/2"));
    shutdown(client->fd, SHUT_WR);
    bed_wait(bed, bed->n_held == 2);
    bed_run_for(bed, 0.02);
    assert_false(client->eof);
    bed_answer(bed, 1);
    bed_answer(bed, 0);
    assert_true(bed_hear_eof(bed, client));
    assert_string_equal(bed_text(client), BED_OK("1", "1") BED_OK("1", "2"));
    assert_int_equal(httpd_n_connections(bed->httpd), 0);
}

static void httpd_lets_a_handler_answer_a_client_that_has_gone(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/later/1") GET("/later/2") GET("/later/3"));
    bed_wait(bed, bed->n_held == 3);
    bed_answer(bed, 1); /* waits for the first, and goes with the connection */
    assert_non_null(httpd_peer(bed->held[0]));
    bed_hang_up(client, true);
    bed_wait(bed, httpd_n_connections(bed->httpd) == 0);
    assert_null(bed->held[0]->conn);
    assert_null(httpd_peer(bed->held[0]));
    bed_answer(bed, 0);
    httpd_refuse(bed->held[2], 503, "gone");
    bed->held[2] = NULL;
    /* The server goes on. */
    struct bed_client *other = bed_connect(bed, 0);
    bed_say(bed, other, GET("/now/x"));
    bed_hear(bed, other, BED_OK("1", "x"));
}

static void httpd_says_continue_in_its_turn(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client,
            GET("/later/1") "PUT /echo HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\n"
                            "Content-Length: 4\r\n\r\n");
    bed_wait(bed, bed->n_held == 1);
    bed_run_for(bed, 0.01);
    assert_string_equal(bed_text(client), "");
    bed_answer(bed, 0);
    bed_hear(bed, client, BED_OK("1", "1") "HTTP/1.1 100 Continue\r\n\r\n");
    bed_forget(client);
    bed_say(bed, client, "bo");
    bed_run_for(bed, 0.01);
    bed_say(bed, client, "dy");
    bed_hear(bed, client, BED_OK("4", "body"));
    /* The next request is asked to go on, too; one whose body is there already is not. */
    bed_forget(client);
    bed_say(bed, client,
            "PUT /echo HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    bed_hear(bed, client, "HTTP/1.1 100 Continue\r\n\r\n");
    bed_forget(client);
    bed_say(bed, client,
            "aPUT /echo HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\nContent-Length: "
            "1\r\n\r\nb");
    bed_hear(bed, client, BED_OK("1", "a") BED_OK("1", "b"));
}

static void httpd_relays_answers(void **state)
{
    static const struct {
        const char *answer, *to_get, *to_head, *to_1_0;
    } rows[] = {
        {"HTTP/1.1 200 Fine\r\nX-Quoit-Server: S1\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 Fine\r\nX-Quoit-Server: S1\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 Fine\r\nX-Quoit-Server: S1\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 200 Fine\r\nX-Quoit-Server: S1\r\nContent-Length: 2\r\nConnection: "
         "close\r\n\r\nhi"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n"
         "\r\n",
         "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
         "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r\nuntil the end",
         "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 13\r\n\r\nuntil the end",
         "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
         "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 13\r\nConnection: close\r\n\r\nuntil the "
         "end"},
        {"HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
        {"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
         "Upgrade: h2c\r\nX-Stay: 2\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 OK\r\nX-Stay: 2\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 OK\r\nX-Stay: 2\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Stay: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
        {"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
         "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
         "HTTP/1.1 204 No Content\r\nA: b\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    };
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bed->relayed = rows[i].answer;
        bed_forget(client);
        bed_say(bed, client, GET("/relay"));
        bed_hear(bed, client, rows[i].to_get);
        bed_forget(client);
        bed_say(bed, client, "HEAD /relay HTTP/1.1\r\nHost: q\r\n\r\n");
        bed_hear(bed, client, rows[i].to_head);
        struct bed_client *old = bed_connect(bed, 0);
        bed_say(bed, old, "GET /relay HTTP/1.0\r\n\r\n");
        bed_hear(bed, old, rows[i].to_1_0);
        assert_true(bed_hear_eof(bed, old));
    }
}

static void answer_with_headers(void *context, struct httpd_exchange *exchange)
{
    (void)context;
    httpd_reply(exchange, 201, NULL, "Own: 1\r\n", NULL, 0);
}

static void httpd_adds_its_headers_to_every_answer_of_its_own(void **state)
{
    struct addr addr;

    (void)state;
    struct httpd *httpd =
        httpd_new(&(struct httpd_config){.loop = bed->loop,
                                         .flusher = &bed->flusher,
                                         .headers = "X-Quoit-Server: S1\r\nB: 2\r\n",
                                         .on_request = answer_with_headers});
    addr_parse("127.0.0.1:0", &addr, NULL);
    httpd_listen(httpd, net_listen(&addr, false, &addr, NULL));
    struct addr first = bed->addr;
    bed->addr = addr;
    struct bed_client *client = bed_connect(bed, 0);
    bed->addr = first;
    bed_say(bed, client, GET("/"));
    bed_hear(bed, client,
             "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nX-Quoit-Server: S1\r\nB: "
             "2\r\nOwn: 1\r\n\r\n");
    bed_say(bed, client, "no\r\n\r\n");
    bed_hear_eof(bed, client);
    assert_non_null(strstr(strstr(bed_text(client), " 400 "), "\r\nX-Quoit-Server: S1\r\n"));
    httpd_free(httpd);
}

static void httpd_takes_the_request_from_its_handler(void **state)
{
    struct bed_client *client = bed_connect(bed, 0);

    (void)state;
    bed_say(bed, client, GET("/later/1"));
    bed_wait(bed, bed->n_held == 1);
    assert_null(bed->held[0]->request);
}

static void httpd_frees_what_is_under_way_when_it_is_freed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct bed_client *client = bed_connect(bed, 0);
        bed_say(bed, client, GET("/later/x") GET("/later/y") "GET /part");
    }
    bed_wait(bed, bed->n_held == 10);
    for (size_t i = 1; i < 10; i += 2)
        bed_answer(bed, i); /* held back behind the others */
    /* tear_down answers the rest after the sanitizers have seen the connections go. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(httpd_answers_a_request),
        TEST(httpd_dates_its_answers),
        TEST(httpd_sends_answers_in_the_order_of_the_requests),
        TEST(httpd_keeps_the_exchanges_of_clients_apart),
        TEST(httpd_answers_a_turn_with_one_write),
        TEST(httpd_goes_on_after_a_short_write),
        TEST(httpd_takes_requests_byte_by_byte),
        TEST(httpd_echoes_a_body_of_megabytes),
        TEST(httpd_answers_head_without_a_body),
        TEST(httpd_keeps_a_connection_as_its_version_says),
        TEST(httpd_takes_nothing_after_the_last_request),
        TEST(httpd_refuses_in_json),
        TEST(httpd_refuses_what_is_no_request_in_its_turn_and_closes),
        TEST(httpd_answers_a_client_that_closed_its_half),
        TEST(httpd_lets_a_handler_answer_a_client_that_has_gone),
        TEST(httpd_says_continue_in_its_turn),
        TEST(httpd_relays_answers),
        TEST(httpd_adds_its_headers_to_every_answer_of_its_own),
        TEST(httpd_takes_the_request_from_its_handler),
        TEST(httpd_frees_what_is_under_way_when_it_is_freed),
    };
    return cmocka_run_group_tests_name("httpd", tests, NULL, NULL);
}
