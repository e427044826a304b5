/* For tests of the pipelining client (core/httpc.h): it and a server that does, byte for byte, what
 * the test says, both on one loop and one thread. What comes of the requests is written down:
 *
 *   2: 200 {body}           request 2 was answered
 *   3: ECONNRESET sent      request 3 failed, and may have reached the server
 *   down ECONNRESET         the connection broke
 *
 * Included by programs that are a test each; names are short for that. */
#ifndef QUOIT_TESTS_SUPPORT_HTTPC_WORLD_H
#define QUOIT_TESTS_SUPPORT_HTTPC_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/httpc.h"
#include "core/net.h"
#include "tests/support/httpd_bed.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#pragma GCC diagnostic pop

#endif
