/* A connection of the raw client: its queue of requests, what goes out, what comes in, and its
 * ends.
 *
 *   raw.c: submit ─▶ raw_connection_submit ─▶ … ─▶ on_done (client.h)
 *
 * Private to backends/client/raw.c and raw_connection.c, whose comments say how it works. */
#ifndef QUOIT_BACKENDS_CLIENT_RAW_CONNECTION_H
#define QUOIT_BACKENDS_CLIENT_RAW_CONNECTION_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/client.h"
#include "backends/client/raw_heads.h"
#include "core/buf.h"
#include "core/flush.h"
#include "core/http.h"

enum raw_state {
    RAW_DOWN,
    RAW_STILLBORN, /* connecting failed at once; its requests are told in the loop's next turn */
    RAW_CONNECTING,
    RAW_UP,
};

struct raw_slot {
    struct client_request request; /* (refs until on_done) */
    struct raw_slot *next;         /* in the connection's queue */
    uint64_t submitted_ns;
    bool busy;
    bool resent;     /* as the first of a queue whose kept connection was closed */
    bool repeatable; /* RFC 9110 §9.2.2: idempotent */
    bool head_only;
};

struct raw_connection {
    struct raw_client *client;
    enum raw_state state;
    int connect_errno; /* of a stillborn one */
    struct ev_io io;
    struct flush_item flush;
    struct buf in, out;
    size_t read_bytes;
    struct raw_slot *first, **last; /* requests under way in the order they go out */
    uint32_t n_unsent;              /* of the queue, from its end: not yet given to the kernel */
    uint32_t n_queued;
    uint64_t n_answered; /* over this socket */
    bool interim;        /* a 1xx came before the first's answer */
    struct http_parser parser;
};

struct raw_client {
    struct client client;
    struct client_config config;
    const struct client_handler *handler;
    void *context;
    struct raw_slot *slots;
    struct raw_connection *connections;
    uint32_t n_connections;
    struct flusher flusher;
    struct ev_timer deadline;
    struct ev_timer stillborn; /* due while a connection is in that state */
    struct raw_heads heads;
    char *get_tail; /* what follows the target of a plain GET */
    size_t get_tail_bytes;
    struct client_counts counts;
    bool in_on_done;
    uint64_t done_ns; /* of the answers on_done is called for */
};

/* A down connection of the client, which is set up but for its connections. */
void raw_connection_init(struct raw_connection *connection, struct raw_client *client);
/* Ends it, without a word to the handler. */
void raw_connection_close(struct raw_connection *connection);
/* The slot's request goes out before the loop sleeps; the connection is made if there is none. */
void raw_connection_submit(struct raw_connection *connection, struct raw_slot *slot);
/* The first request of the queue is past its deadline: it fails, and the connection ends. done_ns
 * is set before. */
void raw_connection_time_out(struct raw_connection *connection);
/* Of one whose state is RAW_STILLBORN: all that wait for it fail. */
void raw_connection_tell_stillborn(struct raw_connection *connection);

/* Whether the method is one of the list, which NULL ends. */
static inline bool raw_is_one_of(const char *method, const char *const *methods)
{
    while (*methods && strcmp(method, *methods) != 0)
        methods++;
    return *methods != NULL;
}

#endif
