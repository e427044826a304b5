/* quoit's own HTTP client, for the highest rates: core/http's parser over non-blocking sockets.
 *
 * A connection a slot unless `connections` says fewer: then the slots share them in turn, slot i
 * being on connection i mod N, and requests are pipelined.
 *
 *   submit ─▶ connection's queue ─▶ out ─(prepare step, before the loop sleeps: one send)─▶ server
 *   on_done ◀─ first of the queue ◀─ parser ◀─ in ◀─(one recv)─────────────────────────────┘
 *
 * Pipelined or not, what was sent when its connection broke goes out again over a new one, but for
 * the request whose answer was due, which fails, and for those that must not be done twice (POST,
 * PATCH), which fail too: whether they did anything is not known.
 *
 * An answer whose head came before (raw_heads.h) is not parsed: a third of the client's own work.
 *
 * A request costs one send and one recv (fewer when pipelined), its share of an epoll_wait and one
 * look at the clock; there is no timer a request. A turn of the loop receives all answers before it
 * sends the requests that follow them. core/httpc is not used because a load client must tell more
 * of a failure than a proxy wants to know: whether the answer had begun, how much of it came, and
 * which of the ways to be no answer it took.
 *
 * Every connection's first request in its queue is the oldest, so a look at the heads of the queues
 * finds whatever is past its deadline, and one timer, set for the oldest of all, is enough. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/client.h"
#include "backends/client/raw_connection.h"
#include "core/clock.h"
#include "core/flush.h"
#include "core/mem.h"

/* The deadlines are looked at no more often than this: each look passes over every connection. */
#define MIN_DEADLINE_S 1e-3

struct raw_params {
    uint64_t connections;
};

static const struct client_ops raw_client_ops;

/* ---- timers ---- */

static void on_stillborn(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct raw_client *self = timer->data;

    (void)loop, (void)events;
    for (uint32_t i = 0; i < self->n_connections; i++) {
        if (self->connections[i].state == RAW_STILLBORN)
            raw_connection_tell_stillborn(&self->connections[i]);
    }
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct raw_client *self = timer->data;
    const uint64_t timeout_ns = self->config.timeout_ns;
    uint64_t oldest_ns = UINT64_MAX, now_ns;
    double wait_s;

    (void)events;
    now_ns = self->done_ns = clock_now_ns();
    for (uint32_t i = 0; i < self->n_connections; i++) {
        struct raw_connection *connection = &self->connections[i];
        /* What on_done submits meanwhile is not that old, so this ends. */
        while (connection->first && now_ns - connection->first->submitted_ns >= timeout_ns)
            raw_connection_time_out(connection);
        if (connection->first && connection->first->submitted_ns < oldest_ns)
            oldest_ns = connection->first->submitted_ns;
    }
    if (oldest_ns == UINT64_MAX)
        return;
    now_ns = clock_now_ns();
    wait_s =
        now_ns - oldest_ns < timeout_ns ? (double)(timeout_ns - (now_ns - oldest_ns)) * 1e-9 : 0.;
    ev_timer_set(timer, wait_s > MIN_DEADLINE_S ? wait_s : MIN_DEADLINE_S, 0.);
    ev_timer_start(loop, timer);
}

/* ---- the hooks ---- */

static void raw_client_close(struct client *client)
{
    struct raw_client *self = (struct raw_client *)client;

    assert(!self->in_on_done);
    for (uint32_t i = 0; i < self->n_connections; i++)
        raw_connection_close(&self->connections[i]);
    flusher_done(&self->flusher);
    ev_timer_stop(self->config.loop, &self->deadline);
    ev_timer_stop(self->config.loop, &self->stillborn);
    free(self->get_tail);
    free(self->connections);
    free(self->slots);
    free(self);
}

static int raw_client_open(const void *params, const struct client_config *config,
                           const struct client_handler *handler, void *context,
                           struct client **ret_client, struct err *err)
{
    const uint64_t wanted = ((const struct raw_params *)params)->connections;
    struct raw_client *self = mem_zalloc(1, sizeof(*self));
    char address[ADDR_TEXT_BYTES];

    (void)err;
    self->client.ops = &raw_client_ops;
    self->config = *config;
    self->handler = handler;
    self->context = context;
    self->get_tail =
        mem_printf(" HTTP/1.1\r\nHost: %s\r\n\r\n", addr_format(&config->addr, address));
    self->get_tail_bytes = strlen(self->get_tail);
    self->slots = mem_zalloc(config->n_slots, sizeof(*self->slots));
    self->n_connections = wanted && wanted < config->n_slots ? (uint32_t)wanted : config->n_slots;
    self->connections = mem_zalloc(self->n_connections, sizeof(*self->connections));
    flusher_init(&self->flusher, config->loop);
    ev_init(&self->deadline, on_deadline);
    ev_init(&self->stillborn, on_stillborn);
    self->deadline.data = self->stillborn.data = self;
    for (uint32_t i = 0; i < self->n_connections; i++)
        raw_connection_init(&self->connections[i], self);
    *ret_client = &self->client;
    return 0;
}

static void raw_client_submit(struct client *client, uint32_t index,
                              const struct client_request *request)
{
    static const char *const idempotent[] = {"GET",     "HEAD",  "PUT", "DELETE",
                                             "OPTIONS", "TRACE", NULL};
    struct raw_client *self = (struct raw_client *)client;
    struct raw_slot *slot = &self->slots[index];
    struct raw_connection *connection = &self->connections[index % self->n_connections];

    assert(index < self->config.n_slots && !slot->busy);
    slot->request = *request;
    slot->busy = true;
    slot->resent = false;
    slot->repeatable = !request->method || raw_is_one_of(request->method, idempotent);
    slot->head_only = request->method && strcmp(request->method, "HEAD") == 0;
    /* One look at the clock serves an end and the request that follows it. */
    slot->submitted_ns = self->in_on_done ? self->done_ns : clock_now_ns();
    raw_connection_submit(connection, slot);
    if (!ev_is_active(&self->deadline)) {
        ev_timer_set(&self->deadline, (double)self->config.timeout_ns * 1e-9, 0.);
        ev_timer_start(self->config.loop, &self->deadline);
    }
}

static struct client_counts raw_client_counts(const struct client *client)
{
    return ((const struct raw_client *)client)->counts;
}

static const struct option_def raw_options[] = {
    {.name = "connections",
     .type = OPTION_U64,
     .offset = offsetof(struct raw_params, connections),
     .metavar = "N",
     .fallback = "0",
     .max = CLIENT_MAX_SLOTS,
     .help = "connections the requests in flight share, pipelined; 0: one each"},
    {.name = NULL},
};

static const struct client_ops raw_client_ops = {
    .part = {.name = "raw",
             .summary = "quoit's own client for the highest rates, pipelining on request",
             .source = "RFC 9112, sections 9.3 and 9.3.2",
             .options = raw_options,
             .params_size = sizeof(struct raw_params)},
    .open = raw_client_open,
    .close = raw_client_close,
    .submit = raw_client_submit,
    .counts = raw_client_counts,
};
CLIENT_REGISTER(raw_client_ops);
