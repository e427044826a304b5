/* What the HTTP server does about clients that are too many, too much, too slow, or gone silent,
 * and how it ends. Deadlines are configured short here; they are looked at four times a second. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/httpd.h"
#include "tests/support/httpd_bed.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: q\r\n\r\n"
#define MS NS_PER_MS

static struct bed *bed;

static int tear_down(void **state)
{
    (void)state;
    bed_free(bed);
    return 0;
}

static bool begins(const struct bed_client *client, const char *text)
{
    return strncmp(bed_text(client), text, strlen(text)) == 0;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    while ((text = strstr(text, word))) {
        n++;
        text += strlen(word);
    }
    return n;
}

/* ---- too much ---------------------------------------------------------------------------------
 */

static void httpd_takes_no_more_requests_than_may_be_under_way(void **state)
{
    (void)state;
    bed = bed_new(&(struct httpd_limits){.max_pipelined = 4});
    struct bed_client *client = bed_connect(bed, 0);
    for (int i = 0; i < 20; i++)
        bed_say(bed, client, GET("/later/x"));
    bed_wait(bed, bed->n_held == 4);
    bed_run_for(bed, 0.02);
    assert_int_equal(bed->n_held, 4);
    bed_answer(bed, 2); /* still under way: it cannot go before the others */
    bed_run_for(bed, 0.01);
    assert_int_equal(bed->n_held, 4);
    bed_answer(bed, 0);
    bed_wait(bed, bed->n_held == 5);
    bed_run_for(bed, 0.01);
    assert_int_equal(bed->n_held, 5);
    bed_answer(bed, 1); /* and with it the third */
    bed_wait(bed, bed->n_held == 7);
    for (size_t i = 3; i < 20; i++) {
        bed_wait(bed, bed->n_held > i);
        bed_answer(bed, i);
    }
    bed_wait(bed, count(bed_text(client), "HTTP/1.1 200 OK") == 20);
}

static void httpd_reads_no_further_while_a_client_does_not_take_its_answers(void **state)
{
    enum { N = 400, BYTES = 100000 };
    static const char one[] = GET("/big/100000");
    struct bed_client *client;

    (void)state;
    bed = bed_new(&(struct httpd_limits){.max_unsent_bytes = 256 * 1024, .max_pipelined = 16});
    client = bed_connect(bed, 4096);
    client->deaf = true;
    for (int i = 0; i < N; i++)
        bed_say_bytes(bed, client, one, sizeof(one) - 1);
    bed_run_for(bed, 0.1);
    size_t n_taken = bed->n_requests;
    bed_run_for(bed, 0.05);
    /* The socket takes some megabytes; beside them there is the limit and what was taken at once.
     */
    assert_int_equal(bed->n_requests, n_taken);
    assert_true(n_taken < N / 2);
    assert_true((uint64_t)n_taken * BYTES <
                httpd_counters(bed->httpd)->bytes_out + (256u + 16 * 100) * 1024);
    client->deaf = false;
    bed_wait(bed, buf_len(&client->got) > (size_t)N * BYTES);
    bed_wait(bed, bed->n_requests == N);
    bed_run_for(bed, 0.01);
    assert_true(buf_len(&client->got) < (size_t)N * (BYTES + 200));
}

static void httpd_answers_a_refused_upload_whole(void **state)
{
    struct bed_client *client;
    size_t n = 6u << 20;
    char *body = calloc(1, n);

    (void)state;
    bed = bed_new(&(struct httpd_limits){.max_body_bytes = 1000});
    client = bed_connect(bed, 0);
    client->deaf = true; /* reads only once it has sent everything, like many a client */
    bed_say(bed, client, "PUT /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 6291456\r\n\r\n");
    bed_say_bytes(bed, client, body, n);
    client->deaf = false;
    assert_true(bed_hear_eof(bed, client));
    assert_true(begins(client, "HTTP/1.1 413 "));
    assert_non_null(strstr(bed_text(client),
                           "\r\n\r\n{\"message\":\"<Error> the body is longer than "
                           "this server takes\",\"status\":\"failure\"}"));
    assert_int_equal(bed->n_requests, 0);
    /* The server has shut its side; it lets go once the client has. */
    assert_int_equal(httpd_n_connections(bed->httpd), 1);
    bed_hang_up(client, false);
    bed_wait(bed, httpd_n_connections(bed->httpd) == 0);
    free(body);
}

static void httpd_does_not_wait_for_ever_for_a_refused_client(void **state)
{
    struct bed_client *client;

    (void)state;
    bed = bed_new(NULL);
    client = bed_connect(bed, 0);
    bed_say(bed, client, "nonsense\r\n\r\n");
    uint64_t begin_ns = clock_now_ns();
    assert_true(bed_hear_eof(bed, client));
    bed_wait(bed, httpd_n_connections(bed->httpd) == 0); /* which the client never closed */
    assert_true(clock_now_ns() - begin_ns > 500 * MS);
}

static void httpd_turns_away_connections_past_its_maximum(void **state)
{
    struct bed_client *one, *two, *three;

    (void)state;
    bed = bed_new(&(struct httpd_limits){.max_connections = 2});
    one = bed_connect(bed, 0);
    two = bed_connect(bed, 0);
    bed_say(bed, one, GET("/now/1"));
    bed_say(bed, two, GET("/later/2"));
    bed_wait(bed, bed->n_requests == 2);
    three = bed_connect(bed, 0);
    assert_true(bed_hear_eof(bed, three));
    assert_true(begins(three, "HTTP/1.1 503 "));
    assert_non_null(strstr(bed_text(three), "Connection: close\r\n"));
    assert_int_equal(httpd_counters(bed->httpd)->connections_refused, 1);
    bed_hang_up(one, false);
    bed_wait(bed, httpd_n_connections(bed->httpd) == 1);
    struct bed_client *four = bed_connect(bed, 0);
    bed_say(bed, four, GET("/now/4"));
    bed_hear(bed, four, BED_OK("1", "4"));
    assert_int_equal(httpd_counters(bed->httpd)->connections_accepted, 3);
}

static void httpd_does_not_spin_when_descriptors_run_out(void **state)
{
    struct rlimit before, none;
    struct bed_client *client;

    (void)state;
    bed = bed_new(NULL);
    client = bed_connect(bed, 0);
    bed_say(bed, client, GET("/now/x"));
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    int lowest_free = dup(0);
    close(lowest_free);
    none.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    unsigned begin = ev_iteration(bed->loop);
    bed_run_for(bed, 0.2);
    unsigned n_turns = ev_iteration(bed->loop) - begin;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(n_turns < 300); /* the bed's own clock ticks every 2 ms */
    assert_int_equal(bed->n_requests, 0);
    /* It comes back by itself. */
    bed_hear(bed, client, BED_OK("1", "x"));
}

/* ---- too slow ---------------------------------------------------------------------------------
 */

static void httpd_ends_requests_whose_head_takes_too_long(void **state)
{
    struct bed_client *silent, *slow, *fast;
    uint64_t begin_ns = clock_now_ns();

    (void)state;
    bed = bed_new(&(struct httpd_limits){.head_timeout_ns = 100 * MS});
    silent = bed_connect(bed, 0);
    slow = bed_connect(bed, 0);
    fast = bed_connect(bed, 0);
    bed_say(bed, fast, GET("/now/x"));
    bed_say(bed, slow, "GET /now/x HTT");
    bed_run_for(bed, 0.03);
    bed_say(bed, slow, "P/1.1\r\n");
    assert_true(bed_hear_eof(bed, silent));
    assert_string_equal(bed_text(silent), "");
    assert_true(bed_hear_eof(bed, slow));
    assert_true(begins(slow, "HTTP/1.1 408 "));
    assert_true(clock_now_ns() - begin_ns >= 100 * MS);
    assert_int_equal(httpd_counters(bed->httpd)->timeouts, 1);
    bed_hear(bed, fast, BED_OK("1", "x")); /* idle is another matter */
    assert_false(fast->eof);
}

static void httpd_closes_idle_connections(void **state)
{
    struct bed_client *idle, *busy;
    uint64_t begin_ns = clock_now_ns();

    (void)state;
    bed = bed_new(&(struct httpd_limits){.idle_timeout_ns = 100 * MS});
    idle = bed_connect(bed, 0);
    busy = bed_connect(bed, 0);
    bed_say(bed, idle, GET("/now/x"));
    bed_say(bed, busy, GET("/later/y"));
    assert_true(bed_hear_eof(bed, idle));
    assert_string_equal(bed_text(idle), BED_OK("1", "x"));
    assert_true(clock_now_ns() - begin_ns >= 100 * MS);
    /* A request under way is no idleness, and the time counts from its answer on. */
    bed_run_for(bed, 0.3);
    assert_false(busy->eof);
    begin_ns = clock_now_ns();
    bed_answer(bed, 0);
    assert_true(bed_hear_eof(bed, busy));
    assert_true(clock_now_ns() - begin_ns >= 90 * MS);
    assert_string_equal(bed_text(busy), BED_OK("1", "y"));
}

static void httpd_ends_bodies_that_come_too_slowly(void **state)
{
    struct bed_client *slow, *steady;

    (void)state;
    bed = bed_new(&(struct httpd_limits){.body_grace_ns = 100 * MS, .body_bytes_per_s = 1000});
    slow = bed_connect(bed, 0);
    steady = bed_connect(bed, 0);
    static const char head[] = "PUT /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 100000\r\n\r\n";
    char piece[200];
    memset(piece, 'p', sizeof(piece));
    bed_say(bed, slow, head);
    bed_say(bed, steady, head);
    for (int i = 0; i < 25; i++) { /* some 10000 bytes a second; the other one 50 */
        bed_say_bytes(bed, steady, piece, sizeof(piece));
        if (!slow->eof && i < 5)
            bed_say(bed, slow, "s");
        bed_run_for(bed, 0.02);
    }
    assert_true(bed_hear_eof(bed, slow));
    assert_true(begins(slow, "HTTP/1.1 408 "));
    assert_false(steady->eof);
    assert_string_equal(bed_text(steady), "");
    assert_int_equal(httpd_counters(bed->httpd)->timeouts, 1);
}

static void httpd_blames_no_client_that_it_keeps_waiting(void **state)
{
    struct bed_client *waits;

    (void)state;
    bed = bed_new(&(struct httpd_limits){.body_grace_ns = 300 * MS, .body_bytes_per_s = 1000});
    waits = bed_connect(bed, 0);
    bed_say(bed, waits,
            GET("/later/1") "PUT /echo HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\n"
                            "Content-Length: 2\r\n\r\n");
    bed_wait(bed, bed->n_held == 1);
    bed_run_for(bed, 0.7);
    assert_string_equal(bed_text(waits), "");
    bed_answer(bed, 0);
    bed_hear_end(bed, waits, "HTTP/1.1 100 Continue\r\n\r\n");
    bed_say(bed, waits, "ok");
    bed_hear(bed, waits, BED_OK("1", "1") "HTTP/1.1 100 Continue\r\n\r\n" BED_OK("2", "ok"));
}

static void httpd_cuts_clients_that_take_no_answer(void **state)
{
    struct bed_client *client;

    (void)state;
    bed = bed_new(&(struct httpd_limits){.write_timeout_ns = 300 * MS});
    client = bed_connect(bed, 4096);
    client->deaf = true;
    bed_say(bed, client, GET("/big/20000000"));
    bed_wait(bed, httpd_n_connections(bed->httpd) == 1);
    bed_wait(bed, httpd_n_connections(bed->httpd) == 0);
    assert_int_equal(httpd_counters(bed->httpd)->timeouts, 1);
    /* One that takes a little now and then is left in peace, though the server's socket does not
     * become writable meanwhile. */
    client = bed_connect(bed, 65536);
    client->deaf = true;
    bed_say(bed, client, GET("/big/20000000"));
    bed_wait(bed, httpd_n_connections(bed->httpd) == 1);
    for (int i = 0; i < 45; i++) {
        bed_run_for(bed, 0.02);
        ssize_t n = recv(client->fd, buf_reserve(&client->got, 8192), 8192, MSG_DONTWAIT);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
    }
    assert_int_equal(httpd_n_connections(bed->httpd), 1);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void httpd_drains(void **state)
{
    struct bed_client *idle, *busy, *half;

    (void)state;
    bed = bed_new(NULL);
    idle = bed_connect(bed, 0);
    busy = bed_connect(bed, 0);
    half = bed_connect(bed, 0);
    bed_say(bed, idle, GET("/now/0"));
    bed_hear(bed, idle, BED_OK("1", "0"));
    bed_say(bed, busy, GET("/later/1") GET("/later/2") GET("/later/3"));
    bed_say(bed, half, "GET /now/4 HTTP/1.1\r\nHo");
    bed_wait(bed, bed->n_held == 3);
    bed_run_for(bed, 0.01);
    httpd_drain(bed->httpd);
    assert_true(bed_hear_eof(bed, idle));
    assert_int_equal(httpd_n_connections(bed->httpd), 2);
    /* Only the last answer says that it is the last: a client reads none behind it. */
    bed_answer(bed, 1);
    bed_answer(bed, 0);
    bed_answer(bed, 2);
    bed_say(bed, half, "st: q\r\n\r\n" GET("/now/5"));
    assert_true(bed_hear_eof(bed, busy));
    assert_string_equal(bed_text(busy), BED_OK("1", "1") BED_OK("1", "2")
                                            BED_OK_WITH("1", "Connection: close\r\n", "3"));
    assert_true(bed_hear_eof(bed, half));
    assert_string_equal(bed_text(half), BED_OK_WITH("1", "Connection: close\r\n", "4"));
    /* Nobody is let in any more. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&bed->addr.storage, bed->addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    bed_hang_up(busy, false);
    bed_hang_up(half, false);
    bed_wait(bed, httpd_n_connections(bed->httpd) == 0);
}

static void httpd_drains_from_within_a_handler(void **state)
{
    struct bed_client *client, *idle;

    (void)state;
    bed = bed_new(NULL);
    idle = bed_connect(bed, 0);
    client = bed_connect(bed, 0);
    bed_say(bed, idle, GET("/now/0"));
    bed_hear(bed, idle, BED_OK("1", "0"));
    bed_say(bed, client, GET("/drain") GET("/now/2"));
    assert_true(bed_hear_eof(bed, client));
    assert_string_equal(bed_text(client), BED_OK_WITH("7", "Connection: close\r\n", "drained"));
    assert_true(bed_hear_eof(bed, idle));
}

static void httpd_drains_a_connection_whose_answer_is_still_on_its_way(void **state)
{
    struct bed_client *client;

    (void)state;
    bed = bed_new(NULL);
    client = bed_connect(bed, 0);
    bed_say(bed, client, GET("/later/1"));
    bed_wait(bed, bed->n_held == 1);
    bed_answer(bed, 0); /* written at the end of the turn, which has not come */
    httpd_drain(bed->httpd);
    assert_true(bed_hear_eof(bed, client));
    assert_string_equal(bed_text(client), BED_OK("1", "1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(httpd_takes_no_more_requests_than_may_be_under_way),
        TEST(httpd_reads_no_further_while_a_client_does_not_take_its_answers),
        TEST(httpd_answers_a_refused_upload_whole),
        TEST(httpd_does_not_wait_for_ever_for_a_refused_client),
        TEST(httpd_turns_away_connections_past_its_maximum),
        TEST(httpd_does_not_spin_when_descriptors_run_out),
        TEST(httpd_ends_requests_whose_head_takes_too_long),
        TEST(httpd_closes_idle_connections),
        TEST(httpd_ends_bodies_that_come_too_slowly),
        TEST(httpd_blames_no_client_that_it_keeps_waiting),
        TEST(httpd_cuts_clients_that_take_no_answer),
        TEST(httpd_drains),
        TEST(httpd_drains_from_within_a_handler),
        TEST(httpd_drains_a_connection_whose_answer_is_still_on_its_way),
    };
    return cmocka_run_group_tests_name("httpd, limits", tests, NULL, NULL);
}
