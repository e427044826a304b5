/* The pipelining client: answers in order, connecting, what was sent, what callbacks may do.
 * Connections that break, and what is no answer, are in httpc_broken_test.c. */
#include "core/httpc.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/net.h"
#include "tests/support/httpc_world.h"

/* ---- in order ---------------------------------------------------------------------------------
 */

static void httpc_connects_when_the_first_request_comes(void **state)
{
    (void)state;
    open_client();
    assert_false(httpc_is_up(httpc));
    run_for(0.01);
    assert_true(peer < 0);
    assert_int_equal(ask(1, GET("/a"), NULL), 0);
    assert_true(httpc_is_up(httpc));
    assert_int_equal(httpc_n_in_flight(httpc), 1);
    WAIT(peer >= 0 && buf_len(&heard) > 0);
    assert_string_equal(buf_str(&heard), GET("/a"));
    say(OK("a"));
    expect("1: 200 {a}\n");
    assert_int_equal(httpc_n_in_flight(httpc), 0);
    assert_true(httpc_is_up(httpc));
}

static void httpc_sends_a_turn_of_requests_in_one_write(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(0, 0);
    say(OK("a"));
    expect("0: 200 {a}\n");
    bed_n_sends = 0;
    ask_and_wait(1, 50);
    assert_int_equal(bed_n_sends, 1);
    assert_int_equal(httpc_n_in_flight(httpc), 50);
}

static void httpc_hands_out_answers_in_the_order_of_the_requests(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 4);
    say(OK("a") OK("b"));
    expect("1: 200 {a}\n2: 200 {b}\n");
    say("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n");
    run_for(0.01);
    say("0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    expect("1: 200 {a}\n2: 200 {b}\n3: 404 {no}\n4: 204 {}\n");
}

static void httpc_takes_answers_byte_by_byte(void **state)
{
    static const char answers[] = OK("a") "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "1;x\r\nb\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n";
    char byte[2] = "";

    (void)state;
    open_client();
    ask_and_wait(1, 2);
    for (size_t i = 0; i < sizeof(answers) - 1; i++) {
        byte[0] = answers[i];
        say(byte);
        ev_run(loop, EVRUN_NOWAIT);
    }
    expect("1: 200 {a}\n2: 200 {bc}\n");
}

static void httpc_passes_over_interim_answers(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, "HEAD / HTTP/1.1\r\nHost: q\r\n\r\n", NULL), 0);
    ask_and_wait(2, 2);
    say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" OK("b"));
    expect("1: 200 {}\n2: 200 {b}\n");
}

static void httpc_knows_that_answers_to_head_have_no_body(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, "HEAD / HTTP/1.1\r\nHost: q\r\n\r\n", NULL), 0);
    assert_int_equal(ask(2, "HEAD / HTTP/1.1\r\nHost: q\r\n\r\n", NULL), 0);
    assert_int_equal(ask(3, "HEAD / HTTP/1.1\r\nHost: q\r\n\r\n", NULL), 0);
    ask_and_wait(4, 4);
    say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" OK("d"));
    expect("1: 200 {}\n2: 200 {}\n3: 200 {}\n4: 200 {d}\n");
}

static void httpc_goes_on_after_short_writes(void **state)
{
    (void)state;
    open_client();
    bed_send_limit = 11;
    ask_and_wait(1, 5);
    assert_int_equal(bed_n_sends, (5 * strlen(GET("/")) + 10) / 11);
    say(OK("1") OK("2") OK("3") OK("4") OK("5"));
    expect("1: 200 {1}\n2: 200 {2}\n3: 200 {3}\n4: 200 {4}\n5: 200 {5}\n");
}

/* ---- connecting -------------------------------------------------------------------------------
 */

static void httpc_says_that_a_connection_was_refused(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, so that nobody else listens there */
    struct addr addr = {.len = sizeof(addr.storage)};
    addr_parse("127.0.0.1:0", &addr, NULL);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr.storage, addr.len), 0);
    getsockname(fd, (struct sockaddr *)&addr.storage, &addr.len);
    config.addr = addr;
    open_client();
    int rc = ask(1, GET("/"), NULL);
    if (rc == 0) { /* over loopback it is known at once, as a rule */
        expect("down ECONNREFUSED\n1: ECONNREFUSED unsent\n");
    } else {
        assert_int_equal(rc, -ECONNREFUSED);
        expect("");
    }
    assert_false(httpc_is_up(httpc));
    assert_int_equal(httpc_n_in_flight(httpc), 0);
    close(fd);
}

static void httpc_gives_up_connecting_in_time(void **state)
{
    int fillers[8];

    (void)state;
    /* A listener whose queue is full drops what comes. */
    struct addr addr = {.len = sizeof(addr.storage)};
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    addr_parse("127.0.0.1:0", &addr, NULL);
    bind(deaf, (const struct sockaddr *)&addr.storage, addr.len);
    getsockname(deaf, (struct sockaddr *)&addr.storage, &addr.len);
    listen(deaf, 0);
    for (int i = 0; i < 8; i++)
        fillers[i] = net_connect(&addr);
    run_for(0.01);
    config.addr = addr;
    config.connect_timeout_ns = 60 * NS_PER_MS;
    open_client();
    uint64_t begin_ns = clock_now_ns();
    assert_int_equal(ask(1, GET("/"), NULL), 0);
    assert_int_equal(ask(2, GET("/"), NULL), 0);
    expect("down ETIMEDOUT\n1: ETIMEDOUT unsent\n2: ETIMEDOUT unsent\n");
    assert_true(clock_now_ns() - begin_ns >= 55 * NS_PER_MS);
    assert_true(clock_now_ns() - begin_ns < 20 * NS_PER_S); /* the kernel's own would be minutes */
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(deaf);
}

static void httpc_times_the_connecting_alone(void **state)
{
    (void)state;
    config.connect_timeout_ns = 30 * NS_PER_MS;
    open_client();
    ask_and_wait(1, 1);
    run_for(0.06);
    say(OK("a"));
    expect("1: 200 {a}\n");
}

/* ---- what was sent ----------------------------------------------------------------------------
 */

static void httpc_knows_what_surely_was_not_sent(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 1);
    assert_int_equal(ask(2, GET("/"), NULL), 0); /* waits for the end of the turn */
    httpc_break(httpc, -ECANCELED);
    expect("down ECANCELED\n1: ECANCELED sent\n2: ECANCELED unsent\n");
}

static void httpc_counts_a_request_as_sent_from_its_first_byte(void **state)
{
    size_t n = strlen(GET("/"));

    (void)state;
    for (size_t limit = n; limit <= n + 1; limit++) {
        open_client();
        ask_and_wait(1, 1);
        say(OK("a"));
        expect("1: 200 {a}\n");
        buf_clear(&story);
        bed_send_limit = limit;
        bed_n_sends = 0;
        assert_int_equal(ask(2, GET("/"), NULL), 0);
        assert_int_equal(ask(3, GET("/"), NULL), 0);
        while (bed_n_sends == 0)
            ev_run(loop, EVRUN_ONCE);
        assert_int_equal(bed_n_sends, 1);
        httpc_break(httpc, -ECANCELED);
        expect(limit == n ? "down ECANCELED\n2: ECANCELED sent\n3: ECANCELED unsent\n"
                          : "down ECANCELED\n2: ECANCELED sent\n3: ECANCELED sent\n");
        bed_send_limit = 0;
        buf_clear(&story);
        httpc_free(httpc);
        hang_up();
    }
    httpc = NULL;
}

static void httpc_queues_no_more_than_its_maximum(void **state)
{
    (void)state;
    config.max_unsent_bytes = 3 * strlen(GET("/"));
    open_client();
    for (int i = 1; i <= 3; i++)
        assert_int_equal(ask(i, GET("/"), NULL), 0);
    assert_int_equal(ask(4, GET("/"), NULL), -ENOBUFS);
    assert_int_equal(httpc_n_in_flight(httpc), 3);
    WAIT(peer >= 0 && buf_len(&heard) == 3 * strlen(GET("/")));
    assert_int_equal(ask(4, GET("/"), NULL), 0);
    WAIT(buf_len(&heard) == 4 * strlen(GET("/")));
    say(OK("a") OK("b") OK("c") OK("d"));
    expect("1: 200 {a}\n2: 200 {b}\n3: 200 {c}\n4: 200 {d}\n");
}

/* ---- within callbacks -------------------------------------------------------------------------
 */

static void free_client(struct call *call)
{
    (void)call;
    httpc_free(httpc);
    httpc = NULL;
}

static void ask_9(struct call *call)
{
    (void)call;
    assert_int_equal(ask(9, GET("/9"), NULL), 0);
}

static void break_off(struct call *call)
{
    (void)call;
    httpc_break(httpc, -ECANCELED);
}

static void break_off_and_ask_9(struct call *call)
{
    httpc_break(httpc, -ECANCELED);
    ask_9(call);
}

static void httpc_may_be_freed_within_an_answer(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), free_client), 0);
    ask_and_wait(2, 3);
    say(OK("a") OK("b"));
    expect("1: 200 {a}\n2: ECANCELED sent\n3: ECANCELED sent\n");
}

static void httpc_may_be_freed_within_a_failure(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), free_client), 0);
    ask_and_wait(2, 3);
    reset();
    expect("down ECONNRESET\n1: ECONNRESET sent\n2: ECONNRESET sent\n3: ECONNRESET sent\n");
}

static void httpc_may_be_freed_while_it_connects(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), NULL), 0);
    free_client(NULL);
    expect("1: ECANCELED unsent\n");
}

static void httpc_takes_requests_within_an_answer(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), ask_9), 0);
    ask_and_wait(2, 2);
    say(OK("a"));
    WAIT(strstr(buf_str(&heard), "/9"));
    say(OK("b") OK("c"));
    expect("1: 200 {a}\n2: 200 {b}\n9: 200 {c}\n");
}

static void httpc_takes_requests_within_a_failure(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), ask_9), 0);
    ask_and_wait(2, 2);
    reset();
    WAIT(peer >= 0 && strstr(buf_str(&heard), "/9"));
    assert_string_equal(buf_str(&heard), GET("/9"));
    say(OK("c"));
    expect("down ECONNRESET\n1: ECONNRESET sent\n2: ECONNRESET sent\n9: 200 {c}\n");
}

static void httpc_may_be_broken_within_an_answer(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), break_off), 0);
    ask_and_wait(2, 2);
    say(OK("a") OK("b"));
    expect("1: 200 {a}\ndown ECANCELED\n2: ECANCELED sent\n");
    assert_false(httpc_is_up(httpc));
}

static void httpc_may_be_broken_and_used_within_an_answer(void **state)
{
    (void)state;
    open_client();
    assert_int_equal(ask(1, GET("/"), break_off_and_ask_9), 0);
    ask_and_wait(2, 2);
    say(OK("a") OK("b"));
    WAIT(heard_eof);
    hang_up();
    WAIT(peer >= 0 && buf_len(&heard) > 0);
    say(OK("c"));
    expect("1: 200 {a}\ndown ECANCELED\n2: ECANCELED sent\n9: 200 {c}\n");
}

static void httpc_free_fails_what_is_under_way(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 2);
    assert_int_equal(ask(3, GET("/"), NULL), 0);
    free_client(NULL);
    expect("1: ECANCELED sent\n2: ECANCELED sent\n3: ECANCELED unsent\n");
    httpc_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(httpc_connects_when_the_first_request_comes),
        TEST(httpc_sends_a_turn_of_requests_in_one_write),
        TEST(httpc_hands_out_answers_in_the_order_of_the_requests),
        TEST(httpc_takes_answers_byte_by_byte),
        TEST(httpc_passes_over_interim_answers),
        TEST(httpc_knows_that_answers_to_head_have_no_body),
        TEST(httpc_goes_on_after_short_writes),
        TEST(httpc_says_that_a_connection_was_refused),
        TEST(httpc_gives_up_connecting_in_time),
        TEST(httpc_times_the_connecting_alone),
        TEST(httpc_knows_what_surely_was_not_sent),
        TEST(httpc_counts_a_request_as_sent_from_its_first_byte),
        TEST(httpc_queues_no_more_than_its_maximum),
        TEST(httpc_may_be_freed_within_an_answer),
        TEST(httpc_may_be_freed_within_a_failure),
        TEST(httpc_may_be_freed_while_it_connects),
        TEST(httpc_takes_requests_within_an_answer),
        TEST(httpc_takes_requests_within_a_failure),
        TEST(httpc_may_be_broken_within_an_answer),
        TEST(httpc_may_be_broken_and_used_within_an_answer),
        TEST(httpc_free_fails_what_is_under_way),
    };
    return cmocka_run_group_tests_name("httpc", tests, NULL, NULL);
}
