#include "tests/support/httpd_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/net.h"

size_t bed_n_sends;
size_t bed_send_limit;

/* In place of the C library's. */
ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    bed_n_sends++;
    if (bed_send_limit > 0 && n > bed_send_limit)
        n = bed_send_limit;
    return syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
}

static void reply_text(struct httpd_exchange *exchange, const char *text, size_t n)
{
    httpd_reply(exchange, 200, "text/plain", NULL, text, n);
}

static void reply_big(struct httpd_exchange *exchange, size_t n)
{
    char *body = mem_alloc(n + 1);

    memset(body, 'b', n);
    reply_text(exchange, body, n);
    free(body);
}

static void hold(struct bed *bed, struct httpd_exchange *exchange, const char *text)
{
    assert_true(bed->n_held < BED_MAX_HELD);
    snprintf(bed->held_text[bed->n_held], sizeof(bed->held_text[0]), "%.31s", text);
    *(size_t *)exchange->user = bed->n_held;
    bed->held[bed->n_held++] = exchange;
}

static void relay(struct bed *bed, struct httpd_exchange *exchange)
{
    struct http_parser parser;
    struct buf in;

    buf_init(&in, 0);
    buf_append_str(&in, bed->relayed);
    http_parser_init(&parser, HTTP_PARSE_RESPONSE, 1 << 20);
    parser.no_body = exchange->request->method == HTTP_HEAD;
    enum http_feed found = http_parser_feed(&parser, &in);
    if (found == HTTP_FEED_MORE)
        found = http_parser_finish(&parser, &in);
    assert_int_equal(found, HTTP_FEED_MESSAGE);
    httpd_relay(exchange, &parser.message);
    buf_done(&in);
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct bed *bed = context;
    const struct http_message *request = exchange->request;
    char path[256];

    bed->n_requests++;
    assert_non_null(httpd_peer(exchange));
    snprintf(path, sizeof(path), "%.*s", (int)request->path.len, request->path.at);
    if (strncmp(path, "/now/", 5) == 0)
        reply_text(exchange, path + 5, strlen(path + 5));
    else if (strncmp(path, "/later/", 7) == 0)
        hold(bed, exchange, path + 7);
    else if (strncmp(path, "/big/", 5) == 0)
        reply_big(exchange, strtoul(path + 5, NULL, 10));
    else if (strcmp(path, "/echo") == 0)
        reply_text(exchange, request->body.at, request->body.len);
    else if (strcmp(path, "/refuse") == 0)
        httpd_refuse(exchange, 400, "%s", "no");
    else if (strcmp(path, "/method") == 0)
        httpd_refuse_method(exchange, "GET, HEAD");
    else if (strcmp(path, "/relay") == 0)
        relay(bed, exchange);
    else if (strcmp(path, "/drain") == 0) {
        httpd_drain(bed->httpd);
        reply_text(exchange, "drained", 7);
    } else
        fail_msg("%s", path);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *tick, int events)
{
    (void)loop;
    (void)tick;
    (void)events;
}

struct bed *bed_new(const struct httpd_limits *limits)
{
    struct bed *bed = mem_zalloc(1, sizeof(*bed));
    struct httpd_config config = {
        .flusher = &bed->flusher,
        .user_bytes = sizeof(size_t),
        .on_request = on_request,
        .context = bed,
    };
    struct err err = {0};

    if (limits)
        config.limits = *limits;
    config.loop = bed->loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&bed->flusher, bed->loop);
    ev_timer_init(&bed->tick, on_tick, 0.002, 0.002);
    ev_timer_start(bed->loop, &bed->tick);
    bed->httpd = httpd_new(&config);
    addr_parse("127.0.0.1:0", &bed->addr, NULL);
    int fd = net_listen(&bed->addr, false, &bed->addr, &err);
    if (fd < 0)
        fail_msg("%s", err.message);
    httpd_listen(bed->httpd, fd);
    bed_n_sends = bed_send_limit = 0;
    return bed;
}

void bed_free(struct bed *bed)
{
    for (size_t i = 0; i < bed->n_held; i++)
        if (bed->held[i])
            bed_answer(bed, i);
    httpd_free(bed->httpd);
    for (size_t i = 0; i < bed->n_clients; i++) {
        bed_hang_up(&bed->clients[i], false);
        buf_done(&bed->clients[i].got);
    }
    ev_timer_stop(bed->loop, &bed->tick);
    flusher_done(&bed->flusher);
    ev_loop_destroy(bed->loop);
    free(bed);
}

static void listen_to(struct bed_client *client)
{
    while (client->fd >= 0 && !client->deaf && !client->eof && !client->error) {
        char *room = buf_reserve(&client->got, 65536);
        ssize_t n = recv(client->fd, room, 65536, MSG_DONTWAIT);
        if (n > 0)
            buf_commit(&client->got, (size_t)n);
        else if (n == 0)
            client->eof = true;
        else if (errno == EAGAIN)
            return;
        else
            client->error = errno;
    }
}

void bed_turn(struct bed *bed)
{
    ev_run(bed->loop, EVRUN_ONCE);
    for (size_t i = 0; i < bed->n_clients; i++)
        listen_to(&bed->clients[i]);
}

void bed_run_for(struct bed *bed, double seconds)
{
    double until = ev_time() + seconds;

    while (ev_time() < until)
        bed_turn(bed);
}

struct bed_client *bed_connect(struct bed *bed, int rcvbuf)
{
    assert_true(bed->n_clients < BED_MAX_CLIENTS);
    struct bed_client *client = &bed->clients[bed->n_clients++];
    int on = 1;

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    if (rcvbuf > 0)
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    buf_init(&client->got, 0);
    if (connect(client->fd, (const struct sockaddr *)&bed->addr.storage, bed->addr.len) != 0)
        fail_msg("connect: %s", strerror(errno));
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    return client;
}

void bed_say_bytes(struct bed *bed, struct bed_client *client, const char *bytes, size_t n)
{
    double until = ev_time() + BED_PATIENCE_S;

    while (n > 0) {
        ssize_t n_sent = write(client->fd, bytes, n);
        if (n_sent < 0 && errno != EAGAIN)
            fail_msg("write: %s", strerror(errno));
        if (n_sent > 0) {
            bytes += n_sent;
            n -= (size_t)n_sent;
        } else {
            bed_turn(bed);
        }
        if (ev_time() > until)
            fail_msg("nobody takes what is said");
    }
}

void bed_say(struct bed *bed, struct bed_client *client, const char *text)
{
    bed_say_bytes(bed, client, text, strlen(text));
}

const char *bed_text(const struct bed_client *client)
{
    static char *text;
    size_t n = buf_len(&client->got), at = 0;

    free(text);
    text = mem_strndup(n ? buf_head(&client->got) : "", n);
    for (char *line = text; *line;) {
        char *end = strstr(line, "\r\n");
        size_t len = end ? (size_t)(end - line) + 2 : strlen(line);
        if (strncmp(line, "Date: ", 6) != 0 || len != 37) {
            memmove(text + at, line, len);
            at += len;
        }
        line += len;
    }
    text[at] = '\0';
    return text;
}

void bed_hear(struct bed *bed, struct bed_client *client, const char *text)
{
    double until = ev_time() + BED_PATIENCE_S;

    while (strlen(bed_text(client)) < strlen(text) && !client->eof && !client->error &&
           ev_time() < until)
        bed_turn(bed);
    assert_string_equal(bed_text(client), text);
}

void bed_hear_end(struct bed *bed, struct bed_client *client, const char *end)
{
    size_t n = strlen(end);

    bed_wait(bed, buf_len(&client->got) >= n &&
                      memcmp(buf_head(&client->got) + buf_len(&client->got) - n, end, n) == 0);
}

bool bed_hear_eof(struct bed *bed, struct bed_client *client)
{
    bed_wait(bed, client->eof || client->error);
    return client->eof;
}

void bed_forget(struct bed_client *client)
{
    buf_clear(&client->got);
}

void bed_hang_up(struct bed_client *client, bool hard)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (client->fd < 0)
        return;
    if (hard)
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(client->fd);
    client->fd = -1;
}

void bed_answer(struct bed *bed, size_t i)
{
    struct httpd_exchange *exchange = bed->held[i];

    assert_non_null(exchange);
    assert_int_equal(*(size_t *)exchange->user, i);
    bed->held[i] = NULL;
    reply_text(exchange, bed->held_text[i], strlen(bed->held_text[i]));
}
