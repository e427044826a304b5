/* Connections: accepting, reading, sending, deadlines, and the server's life. What is put into an
 * answer is httpd_answer.c. */
#include "core/httpd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/httpd_private.h"
#include "core/mem.h"
#include "core/net.h"

#define READ_MIN_BYTES 4096u
#define READ_BODY_BYTES 65536u
#define KEEP_BUFFER_BYTES 16384u
#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_S 0.1
#define SWEEP_S 0.25
#define LINGER_S 1.0
#define FREE_EXCHANGES_MAX 1024u

static void conn_flush(struct flush_item *item);

static const struct metric_def metric_table[] = {
    {"quoit_http_connections_accepted_total", METRIC_COUNTER, "connections",
     "Client connections accepted", offsetof(struct httpd_counters, connections_accepted), 0},
    {"quoit_http_connections_refused_total", METRIC_COUNTER, "connections",
     "Client connections turned away because too many were open",
     offsetof(struct httpd_counters, connections_refused), 0},
    {"quoit_http_connections", METRIC_GAUGE, "connections", "Client connections open now",
     offsetof(struct httpd_counters, connections), 0},
    {"quoit_http_requests_total", METRIC_COUNTER, "requests", "Whole requests taken from clients",
     offsetof(struct httpd_counters, requests), 0},
    {"quoit_http_bad_requests_total", METRIC_COUNTER, "requests",
     "Requests refused before they were whole: not HTTP, past a limit, too slow",
     offsetof(struct httpd_counters, bad_requests), 0},
    {"quoit_http_timeouts_total", METRIC_COUNTER, "connections",
     "Client connections that passed a deadline", offsetof(struct httpd_counters, timeouts), 0},
    {"quoit_http_received_bytes_total", METRIC_COUNTER, "bytes", "Bytes read from clients",
     offsetof(struct httpd_counters, bytes_in), 0},
    {"quoit_http_sent_bytes_total", METRIC_COUNTER, "bytes", "Bytes written to clients",
     offsetof(struct httpd_counters, bytes_out), 0},
    {0},
};

const struct metric_set httpd_metric_set = {"http", metric_table, sizeof(struct httpd_counters)};
METRICS_REGISTER(httpd_metric_set);

/* ---- exchanges --------------------------------------------------------------------------------
 */

static struct httpd_exchange *exchange_new(struct httpd_conn *conn)
{
    struct httpd *httpd = conn->httpd;
    struct httpd_exchange *exchange = httpd->free_exchanges;
    if (exchange) {
        httpd->free_exchanges = exchange->next;
        httpd->n_free_exchanges--;
    } else {
        exchange = mem_alloc(sizeof(*exchange) + httpd->config.user_bytes);
        exchange->httpd = httpd;
        exchange->user = exchange + 1;
        buf_init(&exchange->held, 0);
    }
    exchange->request = NULL;
    exchange->conn = conn;
    exchange->next = NULL;
    exchange->answered = exchange->head_only = exchange->keep_alive = exchange->http10 = false;
    httpd->n_exchanges++;
    *conn->last = exchange;
    conn->last = &exchange->next;
    conn->n_pending++;
    return exchange;
}

void httpd_free_exchange(struct httpd_exchange *exchange)
{
    struct httpd *httpd = exchange->httpd;
    httpd->n_exchanges--;
    if (httpd->taking == exchange)
        httpd->taking = NULL;
    if (httpd->n_free_exchanges >= FREE_EXCHANGES_MAX) {
        buf_done(&exchange->held);
        free(exchange);
        return;
    }
    buf_clear(&exchange->held);
    buf_shrink(&exchange->held, READ_MIN_BYTES);
    exchange->next = httpd->free_exchanges;
    httpd->free_exchanges = exchange;
    httpd->n_free_exchanges++;
}

/* ---- connections ------------------------------------------------------------------------------
 */

static void enter_phase(struct httpd_conn *conn, enum httpd_phase phase)
{
    if (conn->phase == phase)
        return;
    conn->phase = phase;
    conn->phase_since = httpd_now_s();
}

static void conn_close(struct httpd_conn *conn)
{
    struct httpd *httpd = conn->httpd;
    for (struct httpd_exchange *exchange = conn->first, *next; exchange; exchange = next) {
        next = exchange->next;
        exchange->conn = NULL; /* its handler still holds it … */
        if (exchange->answered)
            httpd_free_exchange(exchange); /* … unless it has answered already */
    }
    ev_io_stop(httpd->config.loop, &conn->read_io);
    ev_io_stop(httpd->config.loop, &conn->write_io);
    flusher_remove(httpd->config.flusher, &conn->flush);
    close(conn->read_io.fd);
    buf_done(&conn->in);
    buf_done(&conn->out);
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    free(conn);
    metric_set_gauge(&httpd->counters.connections, --httpd->n_conns);
    if (httpd->n_conns == 0)
        ev_timer_stop(httpd->config.loop, &httpd->sweep);
}

void httpd_maybe_continue(struct httpd_conn *conn)
{
    if (conn->continue_sent || conn->n_pending > 0 || conn->closing ||
        !http_parser_in_body(&conn->parser) ||
        !(conn->parser.message.flags & HTTP_EXPECT_CONTINUE) || conn->parser.body_bytes > 0)
        return;
    conn->continue_sent = true;
    buf_append_str(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
    httpd_touch(conn);
}

/* No more requests from this connection, and the one that was refused is answered in its turn. */
static void refuse_input(struct httpd_conn *conn, unsigned status, const char *reason)
{
    conn->closing = true;
    metric_bump(&conn->httpd->counters.bad_requests);
    httpd_refuse(exchange_new(conn), status, "%s", reason);
}

static void take_request(struct httpd_conn *conn)
{
    struct httpd *httpd = conn->httpd;
    const struct http_message *request = &conn->parser.message;
    struct httpd_exchange *exchange = exchange_new(conn);
    exchange->request = request;
    exchange->head_only = request->method == HTTP_HEAD;
    exchange->keep_alive = (request->flags & HTTP_KEEP_ALIVE) && !httpd->draining;
    exchange->http10 = request->minor == 0;
    conn->closing = !exchange->keep_alive;
    conn->continue_sent = false;
    metric_bump(&httpd->counters.requests);
    httpd->taking = exchange;
    httpd->config.on_request(httpd->config.context, exchange);
    if (httpd->taking)
        httpd->taking->request = NULL;
    httpd->taking = NULL;
    http_parser_next(&conn->parser, &conn->in);
}

static bool too_much_under_way(const struct httpd_conn *conn)
{
    const struct httpd_limits *limits = &conn->httpd->config.limits;
    return conn->n_pending >= limits->max_pipelined ||
           buf_len(&conn->out) > limits->max_unsent_bytes;
}

static void process_input(struct httpd_conn *conn)
{
    while (!conn->closing) {
        if (too_much_under_way(conn)) {
            conn->paused = true;
            ev_io_stop(conn->httpd->config.loop, &conn->read_io);
            return;
        }
        switch (http_parser_feed(&conn->parser, &conn->in)) {
        case HTTP_FEED_MESSAGE:
            enter_phase(conn, PHASE_IDLE);
            take_request(conn);
            break;
        case HTTP_FEED_REFUSED:
            refuse_input(conn, conn->parser.refusal.status, conn->parser.refusal.reason);
            return;
        case HTTP_FEED_MORE:
            if (http_parser_in_body(&conn->parser))
                enter_phase(conn, PHASE_BODY);
            else if (!http_parser_idle(&conn->parser, &conn->in))
                enter_phase(conn, PHASE_HEAD);
            httpd_maybe_continue(conn);
            return;
        }
    }
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)events;
    struct httpd_conn *conn = io->data;
    if (conn->closing) /* lingering, or the last answers are still to come */
        buf_clear(&conn->in);
    size_t want = http_parser_in_body(&conn->parser) ? READ_BODY_BYTES : READ_MIN_BYTES;
    char *room = buf_reserve(&conn->in, want);
    assert(room); /* the parser refuses before the buffer is full */
    size_t space = conn->in.capacity - conn->in.end;
    ssize_t n = recv(io->fd, room, space < want ? want : space, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        conn_close(conn);
        return;
    }
    if (n == 0) {
        conn->eof = conn->closing = true;
        ev_io_stop(loop, io);
        httpd_touch(conn);
        return;
    }
    metric_bump_by(&conn->httpd->counters.bytes_in, (uint64_t)n);
    if (conn->closing)
        return;
    buf_commit(&conn->in, (size_t)n);
    process_input(conn);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    struct httpd_conn *conn = io->data;
    httpd_touch(conn);
}

/* All is answered and sent. Closing at once would reset the connection under answers the client has
 * not read yet if it still sends: so our side is shut, and the rest is thrown away for a while. */
static void finish_conn(struct httpd_conn *conn)
{
    if (conn->eof) {
        conn_close(conn);
        return;
    }
    if (conn->phase == PHASE_LINGER)
        return;
    enter_phase(conn, PHASE_LINGER);
    shutdown(conn->read_io.fd, SHUT_WR);
    ev_io_start(conn->httpd->config.loop, &conn->read_io);
}

static void note_progress(struct httpd_conn *conn)
{
    conn->write_since = httpd_now_s();
    conn->unacked = net_unacked_bytes(conn->read_io.fd);
}

/* The socket has megabytes of room and calls itself writable only when a third of it is free: a
 * slow client is known from what its side has taken. */
static bool takes_nothing(struct httpd_conn *conn)
{
    uint64_t timeout_ns = conn->httpd->config.limits.write_timeout_ns;
    if (!ev_is_active(&conn->write_io) ||
        httpd_now_s() - conn->write_since <= (double)timeout_ns * 1e-9)
        return false;
    if (net_unacked_bytes(conn->read_io.fd) >= conn->unacked)
        return true;
    note_progress(conn);
    return false;
}

static void conn_flush(struct flush_item *item)
{
    struct httpd_conn *conn =
        (struct httpd_conn *)((char *)item - offsetof(struct httpd_conn, flush));
    struct httpd *httpd = conn->httpd;
    if (buf_len(&conn->out) > 0) {
        ssize_t n = send(conn->read_io.fd, buf_head(&conn->out), buf_len(&conn->out), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_close(conn);
            return;
        }
        if (n > 0) {
            buf_consume(&conn->out, (size_t)n);
            metric_bump_by(&httpd->counters.bytes_out, (uint64_t)n);
        }
        if (buf_len(&conn->out) > 0 && (n > 0 || !ev_is_active(&conn->write_io)))
            note_progress(conn);
    }
    if (buf_len(&conn->out) > 0) {
        ev_io_start(httpd->config.loop, &conn->write_io);
    } else {
        ev_io_stop(httpd->config.loop, &conn->write_io);
        buf_shrink(&conn->out, KEEP_BUFFER_BYTES);
        buf_shrink(&conn->in, KEEP_BUFFER_BYTES);
        if (conn->closing && conn->n_pending == 0) {
            finish_conn(conn);
            return;
        }
    }
    if (conn->paused && !too_much_under_way(conn)) {
        conn->paused = false;
        conn->phase_since = httpd_now_s(); /* that it was slow was our doing */
        if (!conn->eof)
            ev_io_start(httpd->config.loop, &conn->read_io);
        process_input(conn);
    }
}

static void conn_open(struct httpd *httpd, int fd, const struct addr *peer)
{
    struct httpd_conn *conn = mem_alloc(sizeof(*conn));
    memset(conn, 0, offsetof(struct httpd_conn, peer));
    conn->httpd = httpd;
    conn->peer = *peer;
    conn->last = &conn->first;
    conn->flush.flush = conn_flush;
    conn->phase = PHASE_HEAD; /* the first request must come as fast as its head */
    conn->phase_since = httpd_now_s();
    buf_init(&conn->in, 0);
    buf_init(&conn->out, 0);
    http_parser_init(&conn->parser, HTTP_PARSE_REQUEST, httpd->config.limits.max_body_bytes);
    ev_io_init(&conn->read_io, on_readable, fd, EV_READ);
    ev_io_init(&conn->write_io, on_writable, fd, EV_WRITE);
    conn->read_io.data = conn->write_io.data = conn;
    conn->next = httpd->conns;
    conn->link = &httpd->conns;
    if (conn->next)
        conn->next->link = &conn->next;
    httpd->conns = conn;
    metric_set_gauge(&httpd->counters.connections, ++httpd->n_conns);
    if (httpd->n_conns == 1)
        ev_timer_again(httpd->config.loop, &httpd->sweep);
    ev_io_start(httpd->config.loop, &conn->read_io);
    metric_bump(&httpd->counters.connections_accepted);
}

/* ---- accepting and deadlines ------------------------------------------------------------------
 */

static void on_acceptable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)events;
    struct httpd *httpd = io->data;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct addr peer;
        int fd = net_accept(io->fd, &peer);
        if (fd == -EINTR || fd == -ECONNABORTED)
            continue;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            /* The connection stays in the backlog and would wake the loop at once, for ever. */
            ev_io_stop(loop, io);
            ev_timer_set(&httpd->accept_pause, ACCEPT_PAUSE_S, 0.);
            ev_timer_start(loop, &httpd->accept_pause);
            return;
        }
        if (fd < 0)
            return;
        if (httpd->n_conns >= httpd->config.limits.max_connections) {
            static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                       "Connection: close\r\nRetry-After: 1\r\n\r\n";
            metric_bump(&httpd->counters.connections_refused);
            send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            close(fd);
            continue;
        }
        conn_open(httpd, fd, &peer);
    }
}

static void on_accept_pause_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct httpd *httpd = timer->data;
    if (httpd->listening)
        ev_io_start(loop, &httpd->accept_io);
}

static void time_out(struct httpd_conn *conn, const char *reason)
{
    metric_bump(&conn->httpd->counters.timeouts);
    ev_io_stop(conn->httpd->config.loop, &conn->read_io);
    refuse_input(conn, 408, reason);
}

static bool body_too_slow(const struct httpd_conn *conn, double waited)
{
    const struct httpd_limits *limits = &conn->httpd->config.limits;
    if ((conn->parser.message.flags & HTTP_EXPECT_CONTINUE) && !conn->continue_sent &&
        conn->n_pending > 0)
        return false; /* it waits for our "Continue", which waits for the answers before it */
    double grace = (double)limits->body_grace_ns * 1e-9;
    return waited > grace &&
           (double)conn->parser.body_bytes < (waited - grace) * (double)limits->body_bytes_per_s;
}

/* Closes or refuses what is past a deadline. May free the connection. */
static void check_deadlines(struct httpd_conn *conn)
{
    const struct httpd_limits *limits = &conn->httpd->config.limits;
    double waited = httpd_now_s() - conn->phase_since;
    if (takes_nothing(conn)) {
        metric_bump(&conn->httpd->counters.timeouts);
        conn_close(conn);
    } else if (conn->phase == PHASE_LINGER) {
        if (waited > LINGER_S)
            conn_close(conn);
    } else if (conn->closing || conn->paused) {
        return;
    } else if (conn->phase == PHASE_HEAD && waited > (double)limits->head_timeout_ns * 1e-9) {
        if (http_parser_idle(&conn->parser, &conn->in))
            conn_close(conn); /* connected and never said a word */
        else
            time_out(conn, "the head of the request took too long");
    } else if (conn->phase == PHASE_BODY && body_too_slow(conn, waited)) {
        time_out(conn, "the body of the request came too slowly");
    } else if (conn->phase == PHASE_IDLE && conn->n_pending == 0 &&
               waited > (double)limits->idle_timeout_ns * 1e-9) {
        conn_close(conn);
    }
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct httpd *httpd = timer->data;
    for (struct httpd_conn *conn = httpd->conns, *next; conn; conn = next) {
        next = conn->next;
        check_deadlines(conn);
    }
}

/* ---- the server -------------------------------------------------------------------------------
 */

static void set_default(uint64_t *value, uint64_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_defaults(struct httpd_limits *limits)
{
    if (limits->max_body_bytes == 0)
        limits->max_body_bytes = 16u << 20;
    if (limits->max_connections == 0)
        limits->max_connections = 16384;
    if (limits->max_pipelined == 0)
        limits->max_pipelined = 128;
    if (limits->max_unsent_bytes == 0)
        limits->max_unsent_bytes = 1u << 20;
    set_default(&limits->head_timeout_ns, 10 * NS_PER_S);
    set_default(&limits->idle_timeout_ns, 75 * NS_PER_S);
    set_default(&limits->write_timeout_ns, 30 * NS_PER_S);
    set_default(&limits->body_grace_ns, 5 * NS_PER_S);
    set_default(&limits->body_bytes_per_s, 512);
}

struct httpd *httpd_new(const struct httpd_config *config)
{
    struct httpd *httpd = mem_zalloc(1, sizeof(*httpd));
    httpd->config = *config;
    set_defaults(&httpd->config.limits);
    ev_timer_init(&httpd->accept_pause, on_accept_pause_over, ACCEPT_PAUSE_S, 0.);
    ev_timer_init(&httpd->sweep, on_sweep, SWEEP_S, SWEEP_S);
    httpd->accept_pause.data = httpd->sweep.data = httpd;
    return httpd;
}

static void stop_accepting(struct httpd *httpd)
{
    if (!httpd->listening)
        return;
    httpd->listening = false;
    ev_io_stop(httpd->config.loop, &httpd->accept_io);
    ev_timer_stop(httpd->config.loop, &httpd->accept_pause);
    close(httpd->accept_io.fd);
}

void httpd_free(struct httpd *httpd)
{
    if (!httpd)
        return;
    stop_accepting(httpd);
    while (httpd->conns)
        conn_close(httpd->conns);
    assert(httpd->n_exchanges == 0);
    while (httpd->free_exchanges) {
        struct httpd_exchange *exchange = httpd->free_exchanges;
        httpd->free_exchanges = exchange->next;
        buf_done(&exchange->held);
        free(exchange);
    }
    free(httpd);
}

void httpd_listen(struct httpd *httpd, int fd)
{
    assert(!httpd->listening);
    ev_io_init(&httpd->accept_io, on_acceptable, fd, EV_READ);
    httpd->accept_io.data = httpd;
    ev_io_start(httpd->config.loop, &httpd->accept_io);
    httpd->listening = true;
}

void httpd_drain(struct httpd *httpd)
{
    httpd->draining = true;
    stop_accepting(httpd);
    for (struct httpd_conn *conn = httpd->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->n_pending > 0 || !http_parser_idle(&conn->parser, &conn->in))
            continue;
        if (buf_len(&conn->out) == 0)
            conn_close(conn);
        else
            conn->closing = true; /* its last answer is still on its way */
    }
}

const struct addr *httpd_peer(const struct httpd_exchange *exchange)
{
    return exchange->conn ? &exchange->conn->peer : NULL;
}

size_t httpd_n_connections(const struct httpd *httpd)
{
    return httpd->n_conns;
}

const struct httpd_counters *httpd_counters(const struct httpd *httpd)
{
    return &httpd->counters;
}
