/* The pipelining client when a connection ends, in order or not, and when what comes is no answer:
 * what of the requests was answered, what failed, and that none is given another one's answer. */
#include "core/httpc.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/net.h"
#include "tests/support/httpc_world.h"

/* ---- the end of a connection ------------------------------------------------------------------
 */

static void httpc_connects_anew_after_an_idle_connection_ended(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 1);
    say(OK("a"));
    expect("1: 200 {a}\n");
    hang_up();
    expect("1: 200 {a}\ndown 0\n");
    assert_false(httpc_is_up(httpc));
    ask_and_wait(2, 2);
    say(OK("b"));
    expect("1: 200 {a}\ndown 0\n2: 200 {b}\n");
}

static void httpc_tells_an_end_under_way_from_an_idle_one(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 2);
    say(OK("a"));
    expect("1: 200 {a}\n");
    hang_up();
    expect("1: 200 {a}\ndown ECONNRESET\n2: ECONNRESET sent\n");
}

static void httpc_fails_what_was_under_way_at_a_reset(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 2);
    reset();
    expect("down ECONNRESET\n1: ECONNRESET sent\n2: ECONNRESET sent\n");
    ask_and_wait(3, 3);
    say(OK("c"));
    expect("down ECONNRESET\n1: ECONNRESET sent\n2: ECONNRESET sent\n3: 200 {c}\n");
}

static void httpc_takes_no_half_answer_for_a_whole_one(void **state)
{
    static const char *const halves[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };

    (void)state;
    open_client();
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        buf_clear(&story);
        ask_and_wait(1, 2);
        say(halves[i]);
        run_for(0.005);
        hang_up();
        expect("down ECONNRESET\n1: ECONNRESET sent\n2: ECONNRESET sent\n");
    }
}

static void httpc_takes_a_body_up_to_the_end_of_the_connection(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 2);
    say("HTTP/1.1 200 OK\r\n\r\nuntil the ");
    run_for(0.005);
    say("end");
    hang_up();
    expect("1: 200 {until the end}\ndown ECONNRESET\n2: ECONNRESET sent\n");
}

static void httpc_takes_no_reset_for_the_end_of_a_body(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 1);
    say("HTTP/1.1 200 OK\r\n\r\nuntil the ");
    run_for(0.005);
    reset();
    expect("down ECONNRESET\n1: ECONNRESET sent\n");
}

static void httpc_fails_the_rest_after_an_answer_that_closes(void **state)
{
    (void)state;
    open_client();
    ask_and_wait(1, 3);
    say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na" OK("b"));
    expect("1: 200 {a}\ndown ECONNRESET\n2: ECONNRESET sent\n3: ECONNRESET sent\n");
    hang_up();
    buf_clear(&story);
    ask_and_wait(4, 4);
    say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nd");
    expect("4: 200 {d}\ndown 0\n");
}

static void httpc_reads_the_answer_of_a_server_that_reads_no_further(void **state)
{
    char *body = malloc((8u << 20) + 1);

    (void)state;
    memset(body, 'b', 8u << 20);
    body[8u << 20] = '\0';
    open_client();
    assert_int_equal(ask(1, body, NULL), 0);
    WAIT(peer >= 0);
    say("HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    hang_up(); /* with bytes unread: a reset follows the answer */
    WAIT(buf_len(&story) > 0);
    assert_memory_equal(buf_str(&story), "1: 413 {no}\n", 12);
    free(body);
}

/* ---- what is no answer ------------------------------------------------------------------------
 */

static void httpc_breaks_off_where_it_hears_no_http(void **state)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01 alert\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
    };

    (void)state;
    config.max_body_bytes = 4999;
    open_client();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_clear(&story);
        ask_and_wait(1, 2);
        say(bad[i]);
        expect("down EPROTO\n1: EPROTO sent\n2: EPROTO sent\n");
        hang_up();
    }
}

static void httpc_takes_no_answer_to_nothing(void **state)
{
    static const char *const unasked[] = {OK("z"), "HTTP/1.1 200 OK\r\nConte", "x"};

    (void)state;
    open_client();
    for (size_t i = 0; i < sizeof(unasked) / sizeof(unasked[0]); i++) {
        buf_clear(&story);
        ask_and_wait(1, 1);
        say(OK("a"));
        say(unasked[i]);
        expect("1: 200 {a}\ndown EPROTO\n");
        hang_up();
        /* Nor does it go to the next request. */
        ask_and_wait(2, 2);
        say(OK("b"));
        expect("1: 200 {a}\ndown EPROTO\n2: 200 {b}\n");
        httpc_break(httpc, -ECANCELED);
        hang_up();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(httpc_connects_anew_after_an_idle_connection_ended),
        TEST(httpc_tells_an_end_under_way_from_an_idle_one),
        TEST(httpc_fails_what_was_under_way_at_a_reset),
        TEST(httpc_takes_no_half_answer_for_a_whole_one),
        TEST(httpc_takes_a_body_up_to_the_end_of_the_connection),
        TEST(httpc_takes_no_reset_for_the_end_of_a_body),
        TEST(httpc_fails_the_rest_after_an_answer_that_closes),
        TEST(httpc_reads_the_answer_of_a_server_that_reads_no_further),
        TEST(httpc_breaks_off_where_it_hears_no_http),
        TEST(httpc_takes_no_answer_to_nothing),
    };
    return cmocka_run_group_tests_name("httpc: broken", tests, NULL, NULL);
}
