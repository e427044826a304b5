#include "lb/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/flush.h"
#include "core/httpc.h"
#include "core/httpd.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "lb/forward.h"
#include "lb/letters.h"

/* How far down a key's preference list a request looks for a server that is up. */
#define MAX_PREFERENCES 16
/* A server whose connection broke is passed over so long, unless the control loop rules before. */
#define DOWN_NS (100 * NS_PER_MS)
#define STOP_STEP_S 0.01
#define STOP_AFTER_NS (5 * NS_PER_S)
#define MAX_ADMIN_CALLS 256
/* Of a path in a refusal, so that the words after it stand within its 1 KiB. */
#define MAX_TOLD_PATH_BYTES 900u

/* This worker's connection to one server. */
struct upstream {
    struct worker *worker;
    uint64_t uid;
    struct httpc *httpc;
    struct server_counters *counters; /* this worker's row (ref) */
    uint64_t answers_turn;            /* of which turn answers_ns is */
    uint64_t answers_ns;              /* when that turn's answers came */
    uint64_t down_until_ns;
    bool draining, drained;
};

struct worker {
    struct worker_config config;
    struct ev_loop *loop;
    struct flusher flusher;
    struct mailbox mailbox;
    struct httpd *httpd;
    const struct snapshot *snapshot;
    struct upstream **upstreams; /* one for each server of the snapshot, under its index */
    struct rng rng;
    struct ev_check turn_check;
    uint64_t turn, turn_ns; /* the loop's turn under way, and when it began */
    struct ev_timer stop_timer;
    uint64_t stop_at_ns;
    size_t n_admin;        /* calls on their way to the control loop and back */
    bool stopping, ending; /* ending: nothing is routed any more */
    pthread_t thread;
    struct worker_metrics metrics;
};

/* A client's request while a server has it; lives in its exchange's `user`. */
struct routed {
    struct httpc_request call;
    struct httpd_exchange *exchange;
    struct worker *worker;
    struct upstream *upstream;
    uint64_t key;
    uint64_t failed_uid; /* the server it failed on; 0 = none */
    uint64_t sent_ns;
    bool repeatable, retried;
    struct forward forward;
};

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

static void tell_control(struct worker *worker, enum letter_type type, uint64_t uid, int code)
{
    struct lb_letter *letter = letter_new(type, worker->config.index);
    letter->uid = uid;
    letter->code = code;
    letter->version = worker->snapshot->version;
    mailbox_post(worker->config.control, &letter->letter);
}

static void tell_if_drained(struct upstream *upstream)
{
    if (!upstream->draining || upstream->drained || httpc_n_in_flight(upstream->httpc) > 0)
        return;
    upstream->drained = true;
    tell_control(upstream->worker, LETTER_DRAINED, upstream->uid, 0);
}

static struct routed *routed_of(struct httpc_request *call)
{
    return (struct routed *)call; /* its first member */
}

/* When this answer came. A look at the clock costs as much as the rest of the count: one does for
 * all the answers that a turn's read brought, and a turn's requests are taken to begin with it. */
static uint64_t answer_time_ns(struct upstream *upstream)
{
    const struct worker *worker = upstream->worker;
    if (upstream->answers_turn != worker->turn) {
        upstream->answers_turn = worker->turn;
        upstream->answers_ns = clock_now_ns();
    }
    return upstream->answers_ns;
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct routed *routed = routed_of(call);
    struct worker *worker = routed->worker;
    struct upstream *upstream = routed->upstream;
    metric_observe_ns(&upstream->counters->latency, answer_time_ns(upstream) - routed->sent_ns);
    if (answer->status == 404) {
        /* CONTRACT.md, Part 1: a path that no server has. The servers are alike: one speaks for
         * all. */
        metric_bump(&worker->metrics.unknown_paths);
        struct http_view path = routed->forward.path;
        bool cut = path.len > MAX_TOLD_PATH_BYTES;
        char reason[1024];
        snprintf(reason, sizeof(reason), "'%.*s%s' endpoint does not exist in server replicas",
                 (int)(cut ? MAX_TOLD_PATH_BYTES : path.len), path.at, cut ? "..." : "");
        refuse(routed, 400, reason);
    } else {
        count_answer(worker, answer->status);
        forward_done(&routed->forward);
        httpd_relay(routed->exchange, answer);
    }
    tell_if_drained(upstream);
}

/* One more try, elsewhere, where that can do no harm. */
static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct routed *routed = routed_of(call);
    struct worker *worker = routed->worker;
    struct upstream *upstream = routed->upstream;
    metric_bump(&upstream->counters->failures);
    metric_bump(&worker->metrics.upstream_failures);
    if (!routed->retried && (routed->repeatable || !sent)) {
        routed->retried = true;
        routed->failed_uid = upstream->uid;
        metric_bump(&worker->metrics.retries);
        route(routed);
    } else {
        refuse(routed, code == -EPROTO ? 502 : 503,
               code == -EPROTO ? "the server's answer was not HTTP"
                               : "the connection to the server broke");
    }
    tell_if_drained(upstream);
}

/* ---- routing ----------------------------------------------------------------------------------
 */

static bool is_up(const struct worker *worker, const struct upstream *upstream)
{
    return upstream->down_until_ns <= worker->turn_ns;
}

/* The key's own server, as long as nothing speaks against it; else the next of its preference list
 * that is up and has not failed this request; else, rather than none, one that is in doubt. NULL
 * only without servers. */
static struct upstream *choose(const struct routed *routed)
{
    const struct worker *worker = routed->worker;
    const struct placement *placement = worker->snapshot->placement;
    uint32_t first = placement_lookup(placement, routed->key);
    if (first == PLACEMENT_NONE)
        return NULL;
    struct upstream *own = worker->upstreams[first];
    if (own->uid != routed->failed_uid && is_up(worker, own))
        return own;
    uint32_t order[MAX_PREFERENCES];
    size_t n = placement_lookup_n(placement, routed->key, MAX_PREFERENCES, order);
    struct upstream *doubtful = NULL;
    for (size_t i = 0; i < n; i++) {
        struct upstream *upstream = worker->upstreams[order[i]];
        if (upstream->uid == routed->failed_uid)
            continue;
        if (is_up(worker, upstream))
            return upstream;
        if (!doubtful)
            doubtful = upstream;
    }
    return doubtful ? doubtful : own;
}

static void route(struct routed *routed)
{
    struct worker *worker = routed->worker;
    struct upstream *upstream = NULL;
    int rc = -ENOENT;
    while (!worker->ending && (upstream = choose(routed))) {
        routed->upstream = upstream;
        rc = httpc_send(upstream->httpc, &routed->call, routed->forward.bytes, routed->forward.n);
        if (rc == 0) {
            routed->sent_ns = worker->turn_ns;
            metric_bump(&upstream->counters->requests);
            return;
        }
        /* Not even begun (no descriptor, no route): another server may be connected already. */
        upstream->down_until_ns = worker->turn_ns + DOWN_NS;
        if (!upstream->draining && rc != -ENOBUFS)
            tell_control(worker, LETTER_SUSPECT, upstream->uid, rc);
        if (routed->retried)
            break;
        routed->retried = true;
        routed->failed_uid = upstream->uid;
        metric_bump(&worker->metrics.retries);
    }
    metric_bump(&worker->metrics.unroutable);
    refuse(routed, 503,
           !upstream        ? "no server is there to answer"
           : rc == -ENOBUFS ? "too much is waiting for the server"
                            : "no connection to the server could be made");
}

static void route_request(struct worker *worker, struct httpd_exchange *exchange)
{
    const struct http_message *request = exchange->request;
    struct routed *routed = exchange->user;
    routed->call = (struct httpc_request){.on_answer = on_answer,
                                          .on_failure = on_failure,
                                          .head_only = request->method == HTTP_HEAD};
    routed->exchange = exchange;
    routed->worker = worker;
    routed->upstream = NULL;
    routed->failed_uid = 0;
    routed->repeatable = http_method_idempotent(request->method);
    routed->retried = false;
    routed->key = key_of(&worker->config.key_source, request, httpd_peer(exchange), &worker->rng);
    metric_bump(&worker->metrics.routed);
    if (forward_init(&routed->forward, request))
        route(routed);
    else
        refuse(routed, 431, "the head, written anew for the server, is longer than a server takes");
}

/* ---- the LB's own endpoints -------------------------------------------------------------------
 */

static const struct endpoint {
    const char *path;
    enum admin_endpoint endpoint;
    llhttp_method_t method;
    const char *allow;
} endpoints[] = {
    {"/rep", ADMIN_REP, HTTP_GET, "GET, HEAD"},
    {"/add", ADMIN_ADD, HTTP_POST, "POST"},
    {"/rm", ADMIN_RM, HTTP_DELETE, "DELETE"},
    {"/cluster", ADMIN_CLUSTER, HTTP_GET, "GET, HEAD"},
    {"/cluster/kill", ADMIN_KILL, HTTP_POST, "POST"},
    {"/healthz", ADMIN_HEALTHZ, HTTP_GET, "GET, HEAD"},
    {"/metrics", ADMIN_METRICS, HTTP_GET, "GET, HEAD"},
};

static const struct endpoint *find_endpoint(struct http_view path)
{
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        if (http_view_equal(path, endpoints[i].path))
            return &endpoints[i];
    return NULL;
}

static void call_control(struct worker *worker, struct httpd_exchange *exchange,
                         const struct endpoint *endpoint)
{
    const struct http_message *request = exchange->request;
    bool allowed = request->method == endpoint->method ||
                   (endpoint->method == HTTP_GET && request->method == HTTP_HEAD);
    if (!allowed) {
        httpd_refuse_method(exchange, endpoint->allow);
        return;
    }
    if (worker->stopping || worker->n_admin >= MAX_ADMIN_CALLS) {
        httpd_refuse(exchange, 503, "%s",
                     worker->stopping ? "the load balancer is ending"
                                      : "too many administrative calls are under way");
        return;
    }
    struct admin_call *call = mem_zalloc(1, sizeof(*call));
    call->base.type = LETTER_ADMIN;
    call->base.worker = worker->config.index;
    call->endpoint = endpoint->endpoint;
    call->exchange = exchange;
    buf_init(&call->body, 0);
    buf_append(&call->body, request->body.at, request->body.len);
    buf_init(&call->answer, 0);
    worker->n_admin++;
    mailbox_post(worker->config.control, &call->base.letter);
}

static void pass_answer(struct worker *worker, struct admin_call *call)
{
    worker->n_admin--;
    httpd_reply(call->exchange, call->status, call->content_type, NULL, buf_head(&call->answer),
                buf_len(&call->answer));
    admin_call_free(call);
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct worker *worker = context;
    const struct endpoint *endpoint = find_endpoint(exchange->request->path);
    metric_bump(&worker->metrics.requests);
    if (endpoint)
        call_control(worker, exchange, endpoint);
    else
        route_request(worker, exchange);
}

/* ---- snapshots and upstreams ------------------------------------------------------------------
 */

static void on_down(void *context, int code)
{
    struct upstream *upstream = context;
    if (code != 0) /* 0: an idle connection was ended in order, which says nothing of the next */
        upstream->down_until_ns = upstream->worker->turn_ns + DOWN_NS;
    if (!upstream->draining)
        tell_control(upstream->worker, LETTER_SUSPECT, upstream->uid, code);
}

static struct upstream *upstream_new(struct worker *worker, const struct snapshot_server *server)
{
    struct upstream *upstream = mem_zalloc(1, sizeof(*upstream));
    upstream->worker = worker;
    upstream->uid = server->uid;
    upstream->counters = &server->counters[worker->config.index];
    upstream->httpc = httpc_new(&(struct httpc_config){.loop = worker->loop,
                                                       .flusher = &worker->flusher,
                                                       .addr = server->addr,
                                                       .on_down = on_down,
                                                       .context = upstream});
    return upstream;
}

/* What is under way on it fails, and goes elsewhere where it may. Its counters are not touched: the
 * member that they belong to may be gone by now. */
static void upstream_free(struct upstream *upstream)
{
    if (!upstream)
        return;
    struct server_counters nobodys = {0};
    upstream->counters = &nobodys;
    upstream->draining = upstream->drained = true; /* nobody is told any more */
    httpc_free(upstream->httpc);
    free(upstream);
}

static struct upstream *take_upstream(struct upstream **upstreams, size_t n, uint64_t uid)
{
    for (size_t i = 0; i < n; i++) {
        struct upstream *upstream = upstreams[i];
        if (upstream && upstream->uid == uid) {
            upstreams[i] = NULL;
            return upstream;
        }
    }
    return NULL;
}

/* Goes over to the current snapshot: connections to servers that stay are kept, those to servers
 * that are gone are cut, so that what hangs on them is answered by others. */
static void take_snapshot(struct worker *worker)
{
    struct upstream **old = worker->upstreams;
    size_t n_old = worker->snapshot ? worker->snapshot->n_servers : 0;
    const struct snapshot *snapshot =
        publisher_take(worker->config.publisher, worker->config.index);
    worker->snapshot = snapshot;
    worker->upstreams = mem_zalloc(snapshot->n_servers + 1, sizeof(*worker->upstreams));
    for (size_t i = 0; i < snapshot->n_servers; i++) {
        struct upstream *upstream = take_upstream(old, n_old, snapshot->servers[i].uid);
        if (!upstream)
            upstream = upstream_new(worker, &snapshot->servers[i]);
        upstream->draining = snapshot->servers[i].draining;
        worker->upstreams[i] = upstream;
    }
    for (size_t i = 0; i < n_old; i++)
        upstream_free(old[i]);
    free(old);
    tell_control(worker, LETTER_TOOK, 0, 0);
    for (size_t i = 0; i < snapshot->n_servers; i++)
        tell_if_drained(worker->upstreams[i]);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void end(struct worker *worker)
{
    worker->ending = true;
    for (size_t i = 0; i < worker->snapshot->n_servers; i++)
        upstream_free(worker->upstreams[i]);
    free(worker->upstreams);
    worker->upstreams = NULL;
    httpd_free(worker->httpd);
    worker->httpd = NULL;
    tell_control(worker, LETTER_STOPPED, 0, 0);
    ev_break(worker->loop, EVBREAK_ALL);
}

static void on_stop_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct worker *worker = timer->data;
    if (worker->n_admin > 0)
        return; /* the control loop answers every call before it ends */
    if (httpd_n_connections(worker->httpd) == 0 || worker->turn_ns > worker->stop_at_ns) {
        ev_timer_stop(loop, timer);
        end(worker);
    }
}

static void stop(struct worker *worker)
{
    if (worker->stopping) { /* told twice */
        worker->stop_at_ns = 0;
        return;
    }
    worker->stopping = true;
    worker->stop_at_ns = worker->turn_ns + STOP_AFTER_NS;
    httpd_drain(worker->httpd);
    ev_timer_again(worker->loop, &worker->stop_timer);
}

static void on_letter(void *context, struct letter *raw)
{
    struct worker *worker = context;
    struct lb_letter *letter = (struct lb_letter *)raw;
    switch (letter->type) {
    case LETTER_ANSWER:
        pass_answer(worker, (struct admin_call *)letter);
        return;
    case LETTER_TAKE:
        if (!worker->ending)
            take_snapshot(worker);
        break;
    case LETTER_STOP:
        stop(worker);
        break;
    default:
        assert(false && "a letter that no worker takes");
    }
    free(letter);
}

/* Comes before every other callback of its turn: nothing else has this priority. */
static void on_turn(struct ev_loop *loop, struct ev_check *check, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = check->data;
    worker->turn++;
    worker->turn_ns = clock_now_ns();
}

static void *run(void *context)
{
    struct worker *worker = context;
    ev_run(worker->loop, 0);
    return NULL;
}

static void free_worker(struct worker *worker)
{
    mailbox_close(&worker->mailbox);
    flusher_done(&worker->flusher);
    ev_loop_destroy(worker->loop);
    free(worker);
}

int worker_start(const struct worker_config *config, struct worker **ret_worker, struct err *err)
{
    struct worker *worker = mem_aligned_zalloc(_Alignof(struct worker), sizeof(*worker));
    worker->config = *config;
    worker->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    rng_seed(&worker->rng, config->seed);
    flusher_init(&worker->flusher, worker->loop);
    mailbox_open(&worker->mailbox, worker->loop, on_letter, worker);
    ev_timer_init(&worker->stop_timer, on_stop_timer, 0., STOP_STEP_S);
    worker->stop_timer.data = worker;
    ev_check_init(&worker->turn_check, on_turn);
    ev_set_priority(&worker->turn_check, EV_MAXPRI);
    worker->turn_check.data = worker;
    worker->turn_ns = clock_now_ns();
    ev_check_start(worker->loop, &worker->turn_check);
    worker->httpd =
        httpd_new(&(struct httpd_config){.loop = worker->loop,
                                         .flusher = &worker->flusher,
                                         .limits.max_connections = config->max_connections,
                                         .user_bytes = sizeof(struct routed),
                                         .on_request = on_request,
                                         .context = worker});
    httpd_listen(worker->httpd, config->listen_fd);
    take_snapshot(worker);
    int rc = pthread_create(&worker->thread, NULL, run, worker);
    if (rc != 0) {
        end(worker);
        free_worker(worker);
        return err_set_errno(err, -rc, "cannot start worker thread %zu", config->index + 1);
    }
    *ret_worker = worker;
    return 0;
}

struct mailbox *worker_mailbox(struct worker *worker)
{
    return &worker->mailbox;
}

const struct worker_metrics *worker_metrics(const struct worker *worker)
{
    return &worker->metrics;
}

const struct httpd_counters *worker_http_counters(const struct worker *worker)
{
    return httpd_counters(worker->httpd);
}

void worker_join(struct worker *worker)
{
    if (!worker)
        return;
    pthread_join(worker->thread, NULL);
    free_worker(worker);
}
