#include "core/httpc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/net.h"

#define READ_BYTES 65536u
#define KEEP_BUFFER_BYTES (256u * 1024)
#define DEFAULT_MAX_BYTES (64u << 20)

enum state { DOWN, CONNECTING, UP };

struct httpc {
    struct httpc_config config;
    enum state state;
    struct ev_io read_io, write_io;
    struct ev_timer connect_timer;
    struct flush_item flush;
    struct buf in, out;
    struct httpc_request *first, **last; /* in flight, oldest first */
    size_t n_in_flight;
    uint64_t queued_bytes, sent_bytes; /* over this connection */
    unsigned depth;                    /* callbacks under way */
    unsigned generation;               /* counts connections: a callback may have made a new one */
    bool doomed;                       /* freed within one */
    struct http_parser parser;
};

static void release(struct httpc *httpc)
{
    if (--httpc->depth == 0 && httpc->doomed)
        free(httpc);
}

static void disconnect(struct httpc *httpc)
{
    ev_io_stop(httpc->config.loop, &httpc->read_io);
    ev_io_stop(httpc->config.loop, &httpc->write_io);
    ev_timer_stop(httpc->config.loop, &httpc->connect_timer);
    flusher_remove(httpc->config.flusher, &httpc->flush);
    if (httpc->state != DOWN)
        close(httpc->read_io.fd);
    httpc->state = DOWN;
    buf_done(&httpc->in);
    buf_done(&httpc->out);
}

/* Ends this connection and fails what was under way on it. A callback may send anew, which connects
 * anew: so the old requests are taken off first. */
static void break_connection(struct httpc *httpc, int code)
{
    struct httpc_request *failed = httpc->first;
    uint64_t sent_bytes = httpc->sent_bytes;
    disconnect(httpc);
    httpc->first = NULL;
    httpc->last = &httpc->first;
    httpc->n_in_flight = 0;
    httpc->depth++;
    if (httpc->config.on_down)
        httpc->config.on_down(httpc->config.context, failed && code == 0 ? -ECONNRESET : code);
    while (failed) {
        struct httpc_request *request = failed;
        failed = request->next;
        request->on_failure(request, code == 0 ? -ECONNRESET : code,
                            request->from_byte < sent_bytes);
    }
    release(httpc);
}

/* Hands out every whole answer that has come. False: the connection is gone, or the client is. */
static bool take_answers(struct httpc *httpc, bool eof)
{
    for (;;) {
        if (httpc->parser.fed == 0)
            httpc->parser.no_body = httpc->first && httpc->first->head_only;
        enum http_feed fed = http_parser_feed(&httpc->parser, &httpc->in);
        if (fed == HTTP_FEED_MORE && eof)
            fed = http_parser_finish(&httpc->parser, &httpc->in);
        if (fed == HTTP_FEED_MORE && (httpc->first || buf_len(&httpc->in) == 0))
            return true;
        struct http_message *answer = &httpc->parser.message;
        struct httpc_request *request = httpc->first;
        /* What comes unasked, whole or in part, must not become the next request's answer. */
        if (fed == HTTP_FEED_REFUSED || !request || answer->status == 101) {
            break_connection(httpc, eof ? -ECONNRESET : -EPROTO);
            return false;
        }
        if (answer->status >= 200) {
            httpc->first = request->next;
            if (!httpc->first)
                httpc->last = &httpc->first;
            httpc->n_in_flight--;
            unsigned generation = httpc->generation;
            request->on_answer(request, answer);
            if (httpc->doomed || httpc->state == DOWN || httpc->generation != generation)
                return false;
            if (!(answer->flags & HTTP_KEEP_ALIVE)) {
                break_connection(httpc, 0);
                return false;
            }
        }
        http_parser_next(&httpc->parser, &httpc->in);
    }
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    struct httpc *httpc = io->data;
    char *room = buf_reserve(&httpc->in, READ_BYTES);
    ssize_t n = recv(io->fd, room, READ_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) { /* a reset ends no body, not even one that lasts until the end */
        break_connection(httpc, -errno);
        return;
    }
    httpc->depth++;
    buf_commit(&httpc->in, (size_t)n);
    if (take_answers(httpc, n == 0)) {
        if (n == 0)
            break_connection(httpc, 0);
        else
            buf_shrink(&httpc->in, KEEP_BUFFER_BYTES);
    }
    release(httpc);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)events;
    struct httpc *httpc = io->data;
    if (httpc->state == CONNECTING) {
        int rc = net_socket_error(io->fd);
        if (rc != 0) {
            break_connection(httpc, rc);
            return;
        }
        httpc->state = UP;
        ev_timer_stop(loop, &httpc->connect_timer);
        ev_io_start(loop, &httpc->read_io);
    }
    flusher_add(httpc->config.flusher, &httpc->flush);
}

static void on_flush(struct flush_item *item)
{
    struct httpc *httpc = (struct httpc *)((char *)item - offsetof(struct httpc, flush));
    if (httpc->state != UP)
        return;
    if (buf_len(&httpc->out) > 0) {
        ssize_t n =
            send(httpc->read_io.fd, buf_head(&httpc->out), buf_len(&httpc->out), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            /* An answer may stand unread (a server that refuses and closes): reading tells. */
            if (errno != EPIPE && errno != ECONNRESET)
                break_connection(httpc, -errno);
            else
                on_readable(httpc->config.loop, &httpc->read_io, EV_READ);
            return;
        }
        if (n > 0) {
            httpc->sent_bytes += (uint64_t)n;
            buf_consume(&httpc->out, (size_t)n);
        }
    }
    if (buf_len(&httpc->out) > 0) {
        ev_io_start(httpc->config.loop, &httpc->write_io);
    } else {
        ev_io_stop(httpc->config.loop, &httpc->write_io);
        buf_shrink(&httpc->out, KEEP_BUFFER_BYTES);
    }
}

static void on_connect_timeout(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    break_connection(timer->data, -ETIMEDOUT);
}

static int begin_connect(struct httpc *httpc)
{
    int fd = net_connect(&httpc->config.addr);
    if (fd < 0)
        return fd;
    httpc->state = CONNECTING;
    httpc->generation++;
    httpc->queued_bytes = httpc->sent_bytes = 0;
    http_parser_init(&httpc->parser, HTTP_PARSE_RESPONSE, httpc->config.max_body_bytes);
    ev_io_set(&httpc->read_io, fd, EV_READ);
    ev_io_set(&httpc->write_io, fd, EV_WRITE);
    ev_io_start(httpc->config.loop, &httpc->write_io);
    ev_timer_set(&httpc->connect_timer, (double)httpc->config.connect_timeout_ns * 1e-9, 0.);
    ev_timer_start(httpc->config.loop, &httpc->connect_timer);
    return 0;
}

struct httpc *httpc_new(const struct httpc_config *config)
{
    struct httpc *httpc = mem_zalloc(1, sizeof(*httpc));
    httpc->config = *config;
    if (httpc->config.max_body_bytes == 0)
        httpc->config.max_body_bytes = DEFAULT_MAX_BYTES;
    if (httpc->config.max_unsent_bytes == 0)
        httpc->config.max_unsent_bytes = DEFAULT_MAX_BYTES;
    if (httpc->config.connect_timeout_ns == 0)
        httpc->config.connect_timeout_ns = 2 * NS_PER_S;
    httpc->last = &httpc->first;
    httpc->flush.flush = on_flush;
    buf_init(&httpc->in, 0);
    buf_init(&httpc->out, 0);
    ev_init(&httpc->read_io, on_readable);
    ev_init(&httpc->write_io, on_writable);
    ev_init(&httpc->connect_timer, on_connect_timeout);
    httpc->read_io.data = httpc->write_io.data = httpc->connect_timer.data = httpc;
    return httpc;
}

void httpc_free(struct httpc *httpc)
{
    if (!httpc)
        return;
    httpc->config.on_down = NULL;
    httpc->doomed = true;
    httpc->depth++;
    if (httpc->first || httpc->state != DOWN)
        break_connection(httpc, -ECANCELED);
    assert(httpc->state == DOWN); /* a callback must not send on what is being freed */
    release(httpc);
}

int httpc_send(struct httpc *httpc, struct httpc_request *request, const void *bytes, size_t n)
{
    assert(!httpc->doomed);
    if (buf_len(&httpc->out) + n > httpc->config.max_unsent_bytes)
        return -ENOBUFS;
    if (httpc->state == DOWN) {
        int rc = begin_connect(httpc);
        if (rc != 0)
            return rc;
    }
    buf_append(&httpc->out, bytes, n);
    request->next = NULL;
    request->from_byte = httpc->queued_bytes;
    httpc->queued_bytes += n;
    *httpc->last = request;
    httpc->last = &request->next;
    httpc->n_in_flight++;
    flusher_add(httpc->config.flusher, &httpc->flush);
    return 0;
}

void httpc_break(struct httpc *httpc, int code)
{
    if (httpc->state != DOWN)
        break_connection(httpc, code);
}

size_t httpc_n_in_flight(const struct httpc *httpc)
{
    return httpc->n_in_flight;
}

bool httpc_is_up(const struct httpc *httpc)
{
    return httpc->state != DOWN;
}
