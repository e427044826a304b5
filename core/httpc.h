/* The HTTP/1.1 client side: one persistent connection to one server, requests pipelined over it.
 *
 *   httpc_send → out ─(end of the turn: one write)→ server → one read → parser → on_answer, in
 * order
 *
 * It connects when the first request comes and again after a break. Everything a turn of the loop
 * sends leaves in one system call. All of it runs on the loop's thread. */
#ifndef QUOIT_CORE_HTTPC_H
#define QUOIT_CORE_HTTPC_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/flush.h"
#include "core/http.h"

struct httpc;

/* Embedded in the caller's request; its own until the one callback that ends it. */
struct httpc_request {
    /* The whole answer; its views hold during the call. Answers come in the order of the requests.
     */
    void (*on_answer)(struct httpc_request *request, const struct http_message *answer);
    /* No answer will come. code: a negative errno (-ECONNREFUSED, -ECONNRESET, -EPIPE, -EPROTO: not
     * HTTP, -ETIMEDOUT: connecting, -ECANCELED). sent: a byte of it may have reached the server;
     * false means it surely did nothing there. */
    void (*on_failure)(struct httpc_request *request, int code, bool sent);
    bool head_only; /* a HEAD request: the answer has no body */
    /* private */
    struct httpc_request *next;
    uint64_t from_byte;
};

struct httpc_config {
    struct ev_loop *loop;
    struct flusher *flusher;
    struct addr addr;
    size_t max_body_bytes;       /* of an answer; 0 = 64 MiB */
    size_t max_unsent_bytes;     /* 0 = 64 MiB */
    uint64_t connect_timeout_ns; /* 0 = 2 s */
    /* The connection broke or could not be made: once for each break, before the requests fail.
     * code 0: the server ended an idle connection in order. May be NULL. */
    void (*on_down)(void *context, int code);
    void *context;
};

/* Connects to nothing yet. */
struct httpc *httpc_new(const struct httpc_config *config);
/* Closes; requests under way fail with -ECANCELED. Takes NULL. Allowed within a callback. */
void httpc_free(struct httpc *httpc);
/* Queues the whole request's bytes (copied) and the request. 0; -ENOBUFS past max_unsent_bytes; or
 * why no connection could be begun. On failure no callback comes. */
int httpc_send(struct httpc *httpc, struct httpc_request *request, const void *bytes, size_t n);
/* Breaks the connection: requests under way fail with `code`. The next send connects anew. */
void httpc_break(struct httpc *httpc, int code);
/* Requests sent or queued and not answered. */
size_t httpc_n_in_flight(const struct httpc *httpc);
/* Connected, or on the way to be. */
bool httpc_is_up(const struct httpc *httpc);

#endif
