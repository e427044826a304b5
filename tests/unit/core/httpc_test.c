/* The pipelining client against a server that does, byte for byte, what the test says: both on one
 * loop and one thread. What comes of the requests is written down:
 *
 *   2: 200 {body}           request 2 was answered
 *   3: ECONNRESET sent      request 3 failed, and may have reached the server
 *   down ECONNRESET         the connection broke */
#include "core/httpc.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define MAX_CALLS 128
#define OK(body) "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" body
#define GET(path) "GET " path " HTTP/1.1\r\nHost: q\r\n\r\n"

struct call {
    struct httpc_request request;
    int number;
    void (*then)(struct call *call); /* within its callback, once */
};

static struct ev_loop *loop;
static struct ev_timer tick;
static struct flusher flusher;
static struct httpc_config config;
static struct httpc *httpc;
static struct call calls[MAX_CALLS];
static struct buf story;
static int listener, peer; /* peer: the server's end, −1 none */
static struct buf heard;   /* what the server read */
static bool heard_eof;
static size_t n_asked; /* bytes of requests over this connection */

static const char *errno_name(int code)
{
    return code == 0 ? "0" : code > 0 ? "positive" : strerrorname_np(-code);
}

static void react(struct call *call)
{
    void (*then)(struct call *) = call->then;

    call->then = NULL;
    if (then)
        then(call);
}

static void on_answer(struct httpc_request *request, const struct http_message *answer)
{
    struct call *call = (struct call *)request;

    buf_appendf(&story, "%d: %u {%.*s}\n", call->number, answer->status, (int)answer->body.len,
                answer->body.at);
    react(call);
}

static void on_failure(struct httpc_request *request, int code, bool sent)
{
    struct call *call = (struct call *)request;

    buf_appendf(&story, "%d: %s %s\n", call->number, errno_name(code), sent ? "sent" : "unsent");
    react(call);
}

static void on_down(void *context, int code)
{
    assert_ptr_equal(context, &story);
    buf_appendf(&story, "down %s\n", errno_name(code));
}

static void on_tick(struct ev_loop *l, struct ev_timer *timer, int events)
{
    (void)l;
    (void)timer;
    (void)events;
}

static void turn(void)
{
    ev_run(loop, EVRUN_ONCE);
    if (peer < 0) {
        peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        heard_eof = false;
    }
    while (peer >= 0 && !heard_eof) {
        ssize_t n = read(peer, buf_reserve(&heard, 65536), 65536);
        if (n <= 0) {
            heard_eof = n == 0 || errno != EAGAIN;
            break;
        }
        buf_commit(&heard, (size_t)n);
    }
}

#define WAIT(condition)                                                                            \
    do {                                                                                           \
        double until = ev_time() + BED_PATIENCE_S;                                                 \
        while (!(condition)) {                                                                     \
            turn();                                                                                \
            if (ev_time() > until)                                                                 \
                fail_msg("in vain: %s; story: %s", #condition, buf_str(&story));                   \
        }                                                                                          \
    } while (0)

static void run_for(double seconds)
{
    for (double until = ev_time() + seconds; ev_time() < until;)
        turn();
}

/* Waits until so much was written down; and then for more that should not come. */
static void expect(const char *text)
{
    double until = ev_time() + BED_PATIENCE_S;

    while (buf_len(&story) < strlen(text) && ev_time() < until)
        turn();
    run_for(0.005);
    assert_string_equal(buf_str(&story), text);
}

static void open_client(void)
{
    httpc = httpc_new(&config);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&flusher, loop);
    ev_timer_init(&tick, on_tick, 0.002, 0.002);
    ev_timer_start(loop, &tick);
    buf_init(&story, 0);
    buf_init(&heard, 0);
    config = (struct httpc_config){
        .loop = loop, .flusher = &flusher, .on_down = on_down, .context = &story};
    addr_parse("127.0.0.1:0", &config.addr, NULL);
    listener = net_listen(&config.addr, false, &config.addr, NULL);
    assert_true(listener >= 0);
    peer = -1;
    n_asked = 0;
    memset(calls, 0, sizeof(calls));
    bed_n_sends = bed_send_limit = 0;
    return 0;
}

static void hang_up(void)
{
    close(peer);
    peer = -1;
    buf_clear(&heard);
    n_asked = 0;
}

static int tear_down(void **state)
{
    (void)state;
    httpc_free(httpc);
    httpc = NULL;
    if (peer >= 0)
        close(peer);
    close(listener);
    flusher_done(&flusher);
    ev_loop_destroy(loop);
    buf_done(&story);
    buf_done(&heard);
    return 0;
}

/* Sends request `number`; then: what its callback does. */
static int ask(int number, const char *text, void (*then)(struct call *))
{
    struct call *call = &calls[number];

    call->number = number;
    call->then = then;
    call->request.on_answer = on_answer;
    call->request.on_failure = on_failure;
    call->request.head_only = strncmp(text, "HEAD ", 5) == 0;
    int rc = httpc_send(httpc, &call->request, text, strlen(text));
    n_asked += rc == 0 ? strlen(text) : 0;
    return rc;
}

static void ask_and_wait(int first, int last)
{
    for (int i = first; i <= last; i++)
        assert_int_equal(ask(i, GET("/"), NULL), 0);
    WAIT(buf_len(&heard) == n_asked && peer >= 0);
}

static void say(const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(write(peer, text, n), n);
}

static void reset(void)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    hang_up();
}

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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(httpc_connects_when_the_first_request_comes),
        TEST(httpc_sends_a_turn_of_requests_in_one_write),
        TEST(httpc_hands_out_answers_in_the_order_of_the_requests),
        TEST(httpc_takes_answers_byte_by_byte),
        TEST(httpc_passes_over_interim_answers),
        TEST(httpc_knows_that_answers_to_head_have_no_body),
        TEST(httpc_goes_on_after_short_writes),
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
