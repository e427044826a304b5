/* A worker: one thread, one loop, its own listening socket, its own connections to the servers.
 *
 *   client ─▶ httpd ─▶ on_request ─┬─ an endpoint of the LB ─▶ control loop ─▶ answer
 *                                  ├─ key → placement → upstream ─(pipelined)─▶ server ─▶ relay
 *                                  ├─ /read ─▶ query ─▶ a replica of each shard ─▶ joined
 *                                  └─ /write /update /del ─▶ change ─▶ writer (worker 0's loop)
 *
 * A data request takes no lock and waits for no other thread. A request whose connection breaks
 * goes to another server, up to WORKER_MAX_TRIES of them, when it may be repeated (idempotent, or
 * surely not sent); else 503.
 */
#ifndef QUOIT_LB_WORKER_H
#define QUOIT_LB_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/httpd.h"
#include "core/mailbox.h"
#include "lb/key.h"
#include "lb/snapshot.h"

/* Servers that a request goes to, one after another. More than two, for a machine that dies takes
 * several at once; not all, for the request itself may be what they die of. HAProxy's `retries` is
 * three by default as well. */
#define WORKER_MAX_TRIES 4u

struct worker;
struct query_metrics;
struct writer_metrics;

struct worker_config {
    size_t index;
    int listen_fd;               /* taken over */
    struct publisher *publisher; /* (ref) a snapshot is published before the worker starts */
    struct mailbox *control;     /* (ref) */
    bool store_durable;          /* servers sync changes before they answer them */
    const char *state_dir;       /* where the writer's intents go; NULL: they are not kept (ref) */
    struct mailbox *writer; /* of worker 0, started before; NULL: this one has the writer (ref) */
    struct key_source key_source;
    uint64_t answer_timeout_ns; /* of a server with a request passed on to it; 0: none */
    uint64_t seed;
    size_t max_connections; /* of clients; 0 = core/httpd's own limit */
};

/* What each worker counts, summed for /metrics. Written by the worker alone, read by anyone. */
struct worker_metrics {
    _Alignas(64) uint64_t requests;
    uint64_t routed, answered_2xx, answered_4xx, answered_5xx;
    uint64_t unknown_paths, retries, upstream_failures, timeouts, unroutable;
};

/* Starts the thread. 0 or a negative errno; then listen_fd is closed. */
int worker_start(const struct worker_config *config, struct worker **ret_worker, struct err *err);
/* Its mailbox, for letters of the control loop. */
struct mailbox *worker_mailbox(struct worker *worker);
const struct worker_metrics *worker_metrics(const struct worker *worker);
const struct query_metrics *worker_query_metrics(const struct worker *worker);
/* NULL: it has no writer. Not after LETTER_STOPPED. */
const struct writer_metrics *worker_writer_metrics(const struct worker *worker);
/* What its HTTP server counts; not after LETTER_STOPPED. */
const struct httpd_counters *worker_http_counters(const struct worker *worker);
/* After its LETTER_STOPPED came: joins the thread and frees it. Takes NULL. */
void worker_join(struct worker *worker);

#endif
