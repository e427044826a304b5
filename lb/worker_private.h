/* What a worker's files share: worker.c (its loop and endpoints), worker_forward.c (what goes to a
 * server as it came) and worker_rows.c (the endpoints of rows). */
#ifndef QUOIT_LB_WORKER_PRIVATE_H
#define QUOIT_LB_WORKER_PRIVATE_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flush.h"
#include "core/httpd.h"
#include "core/mailbox.h"
#include "core/rng.h"
#include "lb/query.h"
#include "lb/upstream.h"
#include "lb/worker.h"

struct change_call;
struct row_endpoint;
struct writer;

struct worker {
    struct worker_config config;
    struct ev_loop *loop;
    struct flusher flusher;
    struct mailbox mailbox;
    struct httpd *httpd;
    struct routes routes;
    struct querier querier;
    struct writer *writer;          /* worker 0 alone */
    struct change_call *free_calls; /* linked by ->next_free */
    size_t n_free_calls;
    struct rng rng;
    struct ev_check turn_check;
    struct ev_timer expire_timer, stop_timer;
    uint64_t stop_at_ns, expired_ns;
    size_t n_admin;   /* calls on their way to the control loop and back */
    size_t n_changes; /* on their way to the writer and back */
    size_t n_joined;  /* the writer's worker: others that may still send changes */
    bool stopping, parted;
    pthread_t thread;
    struct worker_metrics metrics;
};

/* Memory of an exchange that worker_forward() takes for its own. */
extern const size_t worker_forward_bytes;
/* Passes the request on to its key's server and the answer back, at once or later. */
void worker_forward(struct worker *worker, struct httpd_exchange *exchange);
/* CONTRACT.md, Part 1: a path that no server has. */
void worker_refuse_unknown(struct worker *worker, struct httpd_exchange *exchange,
                           struct http_view path);
/* The endpoint of rows at this path, or NULL. */
const struct row_endpoint *worker_find_row_endpoint(struct http_view path);
/* Answers the request, at once or later. */
void worker_call_rows(struct worker *worker, struct httpd_exchange *exchange,
                      const struct row_endpoint *endpoint);
/* The writer is done with a change of this worker's. Takes the call. */
void worker_answer_change(struct worker *worker, struct change_call *call);
/* Frees those kept for later. */
void worker_free_calls(struct worker *worker);

#endif
