/* What a worker passes on to a server as it came: key → placement → upstream, and the answer back.
 *
 *   worker_forward ─▶ route ─▶ upstream_send ─┬─ on_answer ──▶ relayed (a server's 404: 400)
 *                       ▲                     └─ on_failure ─┬─ 502, 503, 504
 *                       └───── another server, if it may ────┘
 */
#include <errno.h>
#include <stdio.h>

#include "core/httpd.h"
#include "core/metrics.h"
#include "lb/forward.h"
#include "lb/upstream.h"
#include "lb/worker_private.h"

/* Of a path in a refusal, so that the words after it stand within its 1 KiB. */
#define MAX_TOLD_PATH_BYTES 900u
#define REASON_BYTES 1024

/* A client's request while a server has it; lives in its exchange's `user`. */
struct routed {
    struct httpc_request call; /* first member */
    struct httpd_exchange *exchange;
    struct worker *worker;
    struct upstream *upstream;
    uint64_t key;
    uint64_t sent_ns;
    bool repeatable;
    struct tried tried;
    struct forward forward;
};

const size_t worker_forward_bytes = sizeof(struct routed);

static void route(struct routed *routed);

/* ---- answers ----------------------------------------------------------------------------------
 */

static void count_answer(struct worker *worker, unsigned status)
{
    struct worker_metrics *metrics = &worker->metrics;
    metric_bump(status >= 500   ? &metrics->answered_5xx
                : status >= 400 ? &metrics->answered_4xx
                                : &metrics->answered_2xx);
}

/* Ends the request with a refusal. */
static void refuse(struct routed *routed, unsigned status, const char *reason)
{
    forward_done(&routed->forward);
    count_answer(routed->worker, status);
    httpd_refuse(routed->exchange, status, "%s", reason);
}

static const char *say_unknown(struct worker *worker, struct http_view path,
                               char reason[REASON_BYTES])
{
    bool cut = path.len > MAX_TOLD_PATH_BYTES;
    metric_bump(&worker->metrics.unknown_paths);
    snprintf(reason, REASON_BYTES, "'%.*s%s' endpoint does not exist in server replicas",
             (int)(cut ? MAX_TOLD_PATH_BYTES : path.len), path.at, cut ? "..." : "");
    return reason;
}

void worker_refuse_unknown(struct worker *worker, struct httpd_exchange *exchange,
                           struct http_view path)
{
    char reason[REASON_BYTES];
    count_answer(worker, 400);
    httpd_refuse(exchange, 400, "%s", say_unknown(worker, path, reason));
}

static struct routed *routed_of(struct httpc_request *call)
{
    return (struct routed *)call;
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct routed *routed = routed_of(call);
    struct worker *worker = routed->worker;
    struct upstream *upstream = routed->upstream;
    upstream_count_answer(upstream, CHANNEL_FORWARD, routed->sent_ns);
    if (answer->status == 404) {
        char reason[REASON_BYTES]; /* the servers are alike: one speaks for all */
        refuse(routed, 400, say_unknown(worker, routed->forward.path, reason));
    } else {
        count_answer(worker, answer->status);
        forward_done(&routed->forward);
        httpd_relay(routed->exchange, answer);
    }
    upstream_tell_if_drained(upstream);
}

/* Counts the server as one that the request failed on. False: there are no more tries. */
static bool may_go_on(struct routed *routed)
{
    if (routed->tried.n + 1 >= WORKER_MAX_TRIES)
        return false;
    tried_add(&routed->tried, routed->upstream->uid);
    metric_bump(&routed->worker->metrics.retries);
    return true;
}

/* Another try, elsewhere, where that can do no harm. What a server has kept its answer to for too
 * long would be kept by the next one as well. */
static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct routed *routed = routed_of(call);
    struct worker_metrics *metrics = &routed->worker->metrics;
    struct upstream *upstream = routed->upstream;
    metric_bump(&upstream->counters->failures);
    metric_bump(&metrics->upstream_failures);
    if (code == -ETIMEDOUT && upstream_take_blame(upstream, CHANNEL_FORWARD)) {
        metric_bump(&metrics->timeouts);
        refuse(routed, 504, "the server did not answer in time");
    } else if ((routed->repeatable || !sent) && may_go_on(routed)) {
        route(routed);
    } else {
        refuse(routed, code == -EPROTO ? 502 : 503,
               code == -EPROTO ? "the server's answer was not HTTP"
                               : "the connection to the server broke");
    }
    upstream_tell_if_drained(upstream);
}

/* ---- routing ----------------------------------------------------------------------------------
 */

/* One that the request has not failed on; else, rather than none, any. NULL only without servers.
 */
static struct upstream *choose(const struct routed *routed)
{
    static const struct tried nobody;
    const struct routes *routes = &routed->worker->routes;
    const struct placement *placement = routes->snapshot->placement;
    struct upstream *upstream = routes_choose(routes, placement, NULL, routed->key, &routed->tried);
    if (upstream || routed->tried.n == 0)
        return upstream;
    return routes_choose(routes, placement, NULL, routed->key, &nobody);
}

static void route(struct routed *routed)
{
    struct worker *worker = routed->worker;
    int rc = -ENOENT;
    routed->upstream = NULL;
    do {
        struct upstream *upstream = worker->routes.ending ? NULL : choose(routed);
        if (!upstream)
            break;
        routed->upstream = upstream;
        routed->sent_ns = worker->routes.turn_ns;
        rc = upstream_send(upstream, CHANNEL_FORWARD, &routed->call, routed->forward.bytes,
                           routed->forward.n);
        if (rc == 0)
            return;
    } while (may_go_on(routed));
    metric_bump(&worker->metrics.unroutable);
    refuse(routed, 503,
           rc == -ENOENT    ? "no server is there to answer"
           : rc == -ENOBUFS ? "too much is waiting for the server"
                            : "no connection to the server could be made");
}

void worker_forward(struct worker *worker, struct httpd_exchange *exchange)
{
    const struct http_message *request = exchange->request;
    struct routed *routed = exchange->user;
    routed->call = (struct httpc_request){.on_answer = on_answer,
                                          .on_failure = on_failure,
                                          .head_only = request->method == HTTP_HEAD};
    routed->exchange = exchange;
    routed->worker = worker;
    routed->tried.n = 0;
    routed->repeatable = http_method_idempotent(request->method);
    routed->key = key_of(&worker->config.key_source, request, httpd_peer(exchange), &worker->rng);
    metric_bump(&worker->metrics.routed);
    if (forward_init(&routed->forward, request))
        route(routed);
    else
        refuse(routed, 431, "the head, written anew for the server, is longer than a server takes");
}
