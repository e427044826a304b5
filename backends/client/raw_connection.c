/* The raw client's connections: one send and one recv a turn, answers taken in the order of the
 * requests, and what becomes of those under way when a connection ends. raw.c has the picture. */
#include "backends/client/raw_connection.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/net.h"

#define DETAIL_BYTES 256
/* One recv's room: of a new connection, and what it grows to while answers fill it. */
#define MIN_READ_BYTES 2048u
#define MAX_READ_BYTES 65536u

/* ---- requests ---- */

/* Anything but a plain GET. */
static void append_other_request(struct buf *out, const struct raw_client *self,
                                 const struct client_request *request)
{
    static const char *const with_length[] = {"POST", "PUT", "PATCH", NULL};
    const char *method = request->method ? request->method : "GET";

    buf_append_str(out, method);
    buf_append_str(out, " ");
    buf_append_str(out, request->target);
    buf_append(out, self->get_tail, self->get_tail_bytes - 2);
    if (request->headers)
        buf_append_str(out, request->headers);
    if (request->body || raw_is_one_of(method, with_length))
        buf_appendf(out, "Content-Length: %zu\r\n", request->body_bytes);
    buf_append_str(out, "\r\n");
    buf_append(out, request->body, request->body_bytes);
}

static void append_request(struct raw_connection *connection, const struct raw_slot *slot)
{
    const struct raw_client *self = connection->client;
    const struct client_request *request = &slot->request;
    size_t n_target, n;
    char *room;

    if (request->method || request->headers || request->body) {
        append_other_request(&connection->out, self, request);
        return;
    }
    n_target = strlen(request->target);
    n = 4 + n_target + self->get_tail_bytes;
    room = buf_reserve(&connection->out, n); /* unlimited: cannot fail */
    memcpy(room, "GET ", 4);
    memcpy(room + 4, request->target, n_target);
    memcpy(room + 4 + n_target, self->get_tail, self->get_tail_bytes);
    buf_commit(&connection->out, n);
}

static void push(struct raw_connection *connection, struct raw_slot *slot)
{
    slot->next = NULL;
    *connection->last = slot;
    connection->last = &slot->next;
    connection->n_queued++;
}

static struct raw_slot *pop(struct raw_connection *connection)
{
    struct raw_slot *slot = connection->first;

    connection->first = slot->next;
    if (!connection->first)
        connection->last = &connection->first;
    connection->n_queued--;
    return slot;
}

/* Tells the handler of a slot that is off its queue. */
static void finish(struct raw_client *self, struct raw_slot *slot, struct client_answer *answer)
{
    assert(slot->busy);
    slot->busy = false;
    answer->submitted_ns = slot->submitted_ns;
    answer->done_ns = self->done_ns;
    self->in_on_done = true;
    self->handler->on_done(self->context, (uint32_t)(slot - self->slots), answer);
    self->in_on_done = false;
}

/* ---- ends of connections ---- */

/* A byte of the first request's answer came. */
static bool answer_began(const struct raw_connection *connection)
{
    return connection->state == RAW_UP &&
           (connection->interim || !http_parser_idle(&connection->parser, &connection->in));
}

void raw_connection_close(struct raw_connection *connection)
{
    struct raw_client *self = connection->client;

    if (connection->state == RAW_CONNECTING || connection->state == RAW_UP) {
        ev_io_stop(self->config.loop, &connection->io);
        close(connection->io.fd);
    }
    connection->state = RAW_DOWN;
    flusher_remove(&self->flusher, &connection->flush);
    buf_done(&connection->in);
    buf_done(&connection->out);
}

/* Ends the connection. `first`, when there is one, is what becomes of the first request of the
 * queue. Of the rest, what must not be sent twice and was sent fails; everything else goes out over
 * a new connection. */
static void break_off(struct raw_connection *connection, struct client_answer *first)
{
    struct raw_client *self = connection->client;
    struct raw_slot *slot = connection->first, *first_slot = NULL, *lost = NULL,
                    **last_lost = &lost;
    uint32_t n_sent = connection->n_queued - connection->n_unsent;

    raw_connection_close(connection);
    connection->first = NULL;
    connection->last = &connection->first;
    connection->n_queued = 0;
    for (struct raw_slot *next; slot; slot = next) {
        const bool sent = n_sent > 0;
        next = slot->next;
        n_sent -= sent;
        if (first && !first_slot) {
            first_slot = slot;
        } else if (sent && !slot->repeatable) {
            slot->next = NULL;
            *last_lost = slot;
            last_lost = &slot->next;
        } else {
            self->counts.n_resent += sent;
            push(connection, slot);
        }
    }
    connection->n_unsent = connection->n_queued;
    if (connection->first)
        flusher_add(&self->flusher, &connection->flush);
    /* From here on the handler may submit. */
    if (first_slot)
        finish(self, first_slot, first);
    for (struct raw_slot *next; lost; lost = next) {
        struct client_answer answer = {.error = CLIENT_CLOSED,
                                       .detail = "the connection ended before this one's answer"};
        next = lost->next;
        finish(self, lost, &answer);
    }
}

/* Ends the connection, its first request, if any, failing with what is said here. */
__attribute__((format(printf, 3, 4))) static void
fail_first(struct raw_connection *connection, enum client_error error, const char *format, ...)
{
    struct client_answer answer = {.error = error};
    char detail[DETAIL_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    answer.detail = detail;
    if (connection->state == RAW_UP && connection->parser.head_done) {
        answer.status = connection->parser.message.status;
        answer.n_body_bytes = connection->parser.body_bytes;
    }
    break_off(connection, &answer);
}

/* Connecting failed: that is so for all that wait for it. */
static void fail_all(struct raw_connection *connection, int error_number)
{
    struct raw_client *self = connection->client;
    struct raw_slot *slot = connection->first;
    char detail[DETAIL_BYTES], address[ADDR_TEXT_BYTES];

    snprintf(detail, sizeof(detail), "connecting to %s: %s",
             addr_format(&self->config.addr, address), err_errno_text(error_number));
    self->done_ns = clock_now_ns();
    raw_connection_close(connection);
    connection->first = NULL;
    connection->last = &connection->first;
    connection->n_queued = connection->n_unsent = 0;
    while (slot) {
        struct raw_slot *next = slot->next;
        struct client_answer answer = {.error = client_error_of_errno(error_number),
                                       .detail = detail};
        finish(self, slot, &answer);
        slot = next;
    }
}

/* The server ended the connection, in order (error_number 0) or not. */
static void hung_up(struct raw_connection *connection, int error_number)
{
    const bool began = answer_began(connection);
    struct raw_slot *first = connection->n_queued > connection->n_unsent ? connection->first : NULL;

    if (!first) {
        break_off(connection, NULL);
    } else if (!began && connection->n_answered > 0 && first->repeatable && !first->resent) {
        /* A kept connection may be closed at any time; that is no failure of the request. */
        first->resent = true;
        break_off(connection, NULL);
    } else if (error_number) {
        fail_first(connection, client_error_of_errno(error_number), "%s %s",
                   err_errno_text(error_number),
                   began ? "in the middle of an answer" : "before an answer");
    } else if (began) {
        fail_first(connection, CLIENT_MALFORMED,
                   "the connection was closed in the middle of an answer");
    } else {
        fail_first(connection, CLIENT_CLOSED, "the connection was closed without an answer");
    }
}

/* ---- answers ---- */

/* The name that the answer's server gave, NUL-ended; returns its length. */
static size_t find_server(const struct http_message *message, char name[NAME_MAX_BYTES + 1])
{
    static const char wanted[] = "X-Quoit-Server";

    for (size_t i = 0; i < message->n_headers; i++) {
        const struct http_header *header = &message->headers[i];
        if (header->name.len == sizeof(wanted) - 1 &&
            strncasecmp(header->name.at, wanted, sizeof(wanted) - 1) == 0)
            return client_read_server_name(header->value.at, header->value.len, name);
    }
    return 0;
}

/* A whole final answer. Only its slot may be used again by what this calls, so the connection and
 * its buffer are as they were after it, but for a longer queue. */
static void take_answer(struct raw_connection *connection, struct client_answer *answer,
                        const char *body, size_t body_bytes)
{
    struct raw_client *self = connection->client;

    if (self->config.keep_body_bytes) {
        answer->body = body;
        answer->body_bytes = body_bytes;
    }
    answer->detail = "";
    connection->interim = false;
    connection->n_answered++;
    finish(self, pop(connection), answer);
}

static void take_parsed_answer(struct raw_connection *connection)
{
    const struct http_parser *parser = &connection->parser;
    const struct http_message *message = &parser->message;
    char name[NAME_MAX_BYTES + 1] = "";
    struct client_answer answer = {.status = message->status,
                                   .n_body_bytes = parser->body_bytes,
                                   .server = name,
                                   .server_bytes = find_server(message, name)};

    if (!parser->no_body)
        raw_heads_learn(&connection->client->heads, message, parser->body_bytes, name,
                        answer.server_bytes);
    take_answer(connection, &answer, message->body.at, message->body.len);
}

/* An answer that stands whole at the buffer's begin and whose head was seen before. False: it is
 * not so, and nothing was done. */
static bool take_known_answer(struct raw_connection *connection)
{
    struct raw_client *self = connection->client;
    struct buf *in = &connection->in;
    const size_t max_body_bytes =
        self->config.keep_body_bytes ? self->config.keep_body_bytes : SIZE_MAX;
    const struct raw_head *head = raw_heads_find(&self->heads, buf_head(in), buf_len(in));
    struct client_answer answer = {0};
    size_t n;

    if (!head || head->body_bytes > max_body_bytes ||
        head->body_bytes > buf_len(in) - head->head_bytes)
        return false;
    answer.status = head->status;
    answer.n_body_bytes = head->body_bytes;
    answer.server = head->server;
    answer.server_bytes = head->server_bytes;
    n = head->head_bytes + head->body_bytes;
    take_answer(connection, &answer, buf_head(in) + head->head_bytes, head->body_bytes);
    buf_consume(in, n);
    return true;
}

static void refuse(struct raw_connection *connection)
{
    const struct http_parser *parser = &connection->parser;

    if (parser->refusal.status == 413)
        fail_first(connection, CLIENT_TOO_LARGE, "body larger than %zu bytes",
                   connection->client->config.keep_body_bytes);
    else if (parser->refusal.status == 431)
        fail_first(connection, CLIENT_TOO_LARGE, "%s (%u bytes)", parser->refusal.reason,
                   CLIENT_MAX_HEAD_BYTES);
    else
        fail_first(connection, CLIENT_MALFORMED, "%s", parser->refusal.reason);
}

/* Hands out every whole answer that has come. False: the connection is gone. */
static bool take_answers(struct raw_connection *connection, bool eof)
{
    struct http_parser *parser = &connection->parser;
    const struct http_message *message = &parser->message;

    for (;;) {
        enum http_feed fed;
        bool kept;

        if (buf_len(&connection->in) > 0 && connection->n_queued == connection->n_unsent) {
            /* Bytes that nobody asked for: what is sent next must not take them for its answer. */
            break_off(connection, NULL);
            return false;
        }
        if (parser->fed == 0) {
            parser->no_body = connection->first && connection->first->head_only;
            if (buf_len(&connection->in) > 0 && !parser->no_body && take_known_answer(connection))
                continue;
        }
        fed = http_parser_feed(parser, &connection->in);
        if (fed == HTTP_FEED_MORE && eof)
            fed = http_parser_finish(parser, &connection->in);
        if (fed == HTTP_FEED_MORE)
            return true;
        if (fed == HTTP_FEED_REFUSED) {
            refuse(connection);
            return false;
        }
        if (message->status == 101) {
            fail_first(connection, CLIENT_MALFORMED, "101 Switching Protocols, not asked for");
            return false;
        }
        kept = message->flags & HTTP_KEEP_ALIVE;
        if (message->status < 200) {
            connection->interim = kept = true;
        } else {
            take_parsed_answer(connection);
        }
        http_parser_next(parser, &connection->in);
        if (!kept) {
            break_off(connection, NULL);
            return false;
        }
    }
}

static void receive(struct raw_connection *connection)
{
    char *room = buf_reserve(&connection->in, connection->read_bytes);
    ssize_t n;

    if (!room) { /* an endless answer is ended by the parser's limits before this */
        fail_first(connection, CLIENT_TOO_LARGE, "the answer is too large");
        return;
    }
    n = recv(connection->io.fd, room, connection->read_bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        buf_commit(&connection->in, (size_t)n);
        if ((size_t)n == connection->read_bytes && connection->read_bytes < MAX_READ_BYTES)
            connection->read_bytes *= 2;
    }
    connection->client->done_ns = clock_now_ns();
    if (n < 0)
        hung_up(connection, errno);
    else if (take_answers(connection, n == 0) && n == 0)
        hung_up(connection, 0);
}

/* ---- connections ---- */

static void watch(struct raw_connection *connection, int events)
{
    struct ev_loop *loop = connection->client->config.loop;

    if (ev_is_active(&connection->io)) {
        if ((connection->io.events & (EV_READ | EV_WRITE)) == events)
            return;
        ev_io_stop(loop, &connection->io);
    }
    ev_io_set(&connection->io, connection->io.fd, events);
    ev_io_start(loop, &connection->io);
}

static void begin_connect(struct raw_connection *connection)
{
    struct raw_client *self = connection->client;
    int fd = net_connect(&self->config.addr);

    self->counts.n_connections++;
    if (fd < 0) {
        connection->state = RAW_STILLBORN;
        connection->connect_errno = -fd;
        if (!ev_is_active(&self->stillborn)) {
            ev_timer_set(&self->stillborn, 0., 0.);
            ev_timer_start(self->config.loop, &self->stillborn);
        }
        return;
    }
    connection->state = RAW_CONNECTING;
    connection->n_answered = 0;
    connection->interim = false;
    connection->read_bytes = MIN_READ_BYTES;
    http_parser_init(&connection->parser, HTTP_PARSE_RESPONSE,
                     self->config.keep_body_bytes ? self->config.keep_body_bytes : SIZE_MAX);
    connection->parser.max_head_bytes = CLIENT_MAX_HEAD_BYTES;
    connection->parser.discard_body = self->config.keep_body_bytes == 0;
    ev_io_set(&connection->io, fd, EV_WRITE);
    ev_io_start(self->config.loop, &connection->io);
}

static void send_out(struct raw_connection *connection)
{
    struct buf *out = &connection->out;
    ssize_t n;

    if (buf_len(out) == 0)
        return;
    n = send(connection->io.fd, buf_head(out), buf_len(out), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        if (errno != EPIPE && errno != ECONNRESET) {
            connection->client->done_ns = clock_now_ns();
            fail_first(connection, client_error_of_errno(errno), "sending: %s",
                       err_errno_text(errno));
            return;
        }
        /* The kernel tells the same by the socket's being readable, and an answer may stand there
         * unread: whoever refuses and closes says why first. */
        connection->n_unsent = 0;
        buf_clear(out);
        watch(connection, EV_READ);
        return;
    }
    if (n > 0) {
        buf_consume(out, (size_t)n);
        connection->n_unsent = 0; /* those cut off have begun, which is what matters */
    }
    watch(connection, buf_len(out) > 0 ? EV_READ | EV_WRITE : EV_READ);
}

static void on_flush(struct flush_item *item)
{
    struct raw_connection *connection =
        (struct raw_connection *)((char *)item - offsetof(struct raw_connection, flush));

    if (connection->state == RAW_UP)
        send_out(connection);
    else if (connection->state == RAW_DOWN && connection->first)
        begin_connect(connection);
}

static void connected(struct raw_connection *connection)
{
    int rc = net_socket_error(connection->io.fd);

    if (rc < 0) {
        fail_all(connection, -rc);
        return;
    }
    connection->state = RAW_UP;
    for (const struct raw_slot *slot = connection->first; slot; slot = slot->next)
        append_request(connection, slot);
    watch(connection, EV_READ);
    send_out(connection);
}

static void on_event(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct raw_connection *connection = io->data;

    (void)loop;
    if (connection->state == RAW_CONNECTING) {
        connected(connection);
        return;
    }
    if (events & EV_WRITE)
        send_out(connection);
    if ((events & EV_READ) && connection->state == RAW_UP)
        receive(connection);
}

/* ---- what the client asks for ---- */

void raw_connection_time_out(struct raw_connection *connection)
{
    const double timeout_ms = (double)connection->client->config.timeout_ns * 1e-6;

    if (!answer_began(connection))
        fail_first(connection, CLIENT_TIMEOUT, "no answer within %g ms", timeout_ms);
    else
        fail_first(connection, CLIENT_SLOW,
                   "the answer began but was not whole within %g ms (%zu bytes of body came)",
                   timeout_ms, connection->parser.head_done ? connection->parser.body_bytes : 0);
}

void raw_connection_tell_stillborn(struct raw_connection *connection)
{
    fail_all(connection, connection->connect_errno);
}

void raw_connection_submit(struct raw_connection *connection, struct raw_slot *slot)
{
    push(connection, slot);
    connection->n_unsent++;
    if (connection->state == RAW_UP)
        append_request(connection, slot);
    flusher_add(&connection->client->flusher, &connection->flush);
}

void raw_connection_init(struct raw_connection *connection, struct raw_client *client)
{
    connection->client = client;
    connection->last = &connection->first;
    connection->flush.flush = on_flush;
    ev_init(&connection->io, on_event);
    connection->io.data = connection;
}
