/* A worker's loop: its life, its endpoints, letters and snapshots. What it passes on to servers is
 * worker_forward.c, the endpoints of rows worker_rows.c. */
#include "lb/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/flush.h"
#include "core/httpd.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "lb/letters.h"
#include "lb/query.h"
#include "lb/upstream.h"
#include "lb/worker_private.h"
#include "lb/writer.h"

#define EXPIRE_STEP_S 0.25
#define LATE_NS (1000 * NS_PER_MS)
#define STOP_STEP_S 0.01
#define STOP_AFTER_NS (5 * NS_PER_S)
#define MAX_ADMIN_CALLS 256

/* ---- the LB's own endpoints -------------------------------------------------------------------
 */

static const struct endpoint {
    const char *path;
    enum admin_endpoint endpoint;
    llhttp_method_t method;
    const char *allow;
} endpoints[] = {
    {"/init", ADMIN_INIT, HTTP_POST, "POST"},
    {"/status", ADMIN_STATUS, HTTP_GET, "GET, HEAD"},
    {"/rep", ADMIN_REP, HTTP_GET, "GET, HEAD"},
    {"/add", ADMIN_ADD, HTTP_POST, "POST"},
    {"/rm", ADMIN_RM, HTTP_DELETE, "DELETE"},
    {"/cluster", ADMIN_CLUSTER, HTTP_GET, "GET, HEAD"},
    {"/cluster/digest", ADMIN_DIGEST, HTTP_GET, "GET, HEAD"},
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

/* The database's endpoints that only servers have. Nobody but the LB is to call them: a shard made
 * or changed behind its back would be in no map. */
static bool is_servers_own(struct http_view path)
{
    static const char *const paths[] = {"/config", "/copy",   "/batch",
                                        "/page",   "/digest", "/shards"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (http_view_equal(path, paths[i]))
            return true;
    return false;
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct worker *worker = context;
    struct http_view path = exchange->request->path;
    const struct row_endpoint *rows = worker_find_row_endpoint(path);
    const struct endpoint *endpoint = rows ? NULL : find_endpoint(path);
    metric_bump(&worker->metrics.requests);
    if (rows)
        worker_call_rows(worker, exchange, rows);
    else if (endpoint)
        call_control(worker, exchange, endpoint);
    else if (is_servers_own(path))
        worker_refuse_unknown(worker, exchange, path);
    else
        worker_forward(worker, exchange);
}

/* ---- snapshots --------------------------------------------------------------------------------
 */

static void take_snapshot(struct worker *worker)
{
    routes_take(&worker->routes);
    if (worker->writer)
        writer_take(worker->writer, worker->routes.snapshot);
    routes_tell_control(&worker->routes, LETTER_TOOK, 0, 0);
    routes_tell_drained(&worker->routes);
}

static size_t n_changes_under_way(void *context, uint64_t uid)
{
    const struct worker *worker = context;
    return worker->writer ? writer_n_under_way(worker->writer, uid) : 0;
}

static void on_written(void *context, struct change_call *call)
{
    worker_answer_change(context, call);
}

/* The writer has nothing under way to this server. */
static void on_writer_idle(void *context, uint64_t uid)
{
    struct worker *worker = context;
    struct upstream *upstream = routes_find(&worker->routes, uid);
    if (upstream)
        upstream_tell_if_drained(upstream);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void end(struct worker *worker)
{
    worker->routes.ending = true;
    routes_done(&worker->routes);
    flusher_run(&worker->flusher); /* the last answers, as far as the sockets take them */
    httpd_free(worker->httpd);
    worker->httpd = NULL;
    querier_done(&worker->querier);
    writer_free(worker->writer);
    worker->writer = NULL;
    worker_free_calls(worker);
    ev_timer_stop(worker->loop, &worker->expire_timer);
    routes_tell_control(&worker->routes, LETTER_STOPPED, 0, 0);
    ev_break(worker->loop, EVBREAK_ALL);
}

static void on_expire_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = timer->data;
    uint64_t now_ns = worker->routes.turn_ns;
    /* If this loop itself was late, the silence is ours: what came meanwhile is read first. */
    if (now_ns - worker->expired_ns < LATE_NS)
        routes_expire(&worker->routes);
    worker->expired_ns = now_ns;
}

/* Tells the writer, once, that nothing more comes from here. */
static void part(struct worker *worker)
{
    if (worker->parted)
        return;
    worker->parted = true;
    if (worker->config.writer)
        mailbox_post(worker->config.writer, &letter_new(LETTER_PART, worker->config.index)->letter);
}

static void on_stop_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct worker *worker = timer->data;
    bool late = worker->routes.turn_ns > worker->stop_at_ns;
    if (late && worker->writer && !writer_is_idle(worker->writer))
        writer_abort(worker->writer);
    if (worker->n_admin > 0 || worker->n_changes > 0)
        return; /* the control loop and the writer answer every call before they end */
    part(worker);
    if (worker->n_joined > 0 || (worker->writer && !writer_is_idle(worker->writer)))
        return;
    if (httpd_n_connections(worker->httpd) == 0 || late) {
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
    worker->stop_at_ns = worker->routes.turn_ns + STOP_AFTER_NS;
    httpd_drain(worker->httpd);
    ev_timer_again(worker->loop, &worker->stop_timer);
}

/* After the end, what the control loop still wrote is of no use to anyone. */
static void take_writers_letter(struct worker *worker, struct lb_letter *letter)
{
    if (worker->writer)
        writer_take_letter(worker->writer, letter);
    else if (letter->type == LETTER_FENCED)
        free(letter);
    else
        shard_letter_free((struct shard_letter *)letter);
}

static void on_letter(void *context, struct letter *raw)
{
    struct worker *worker = context;
    struct lb_letter *letter = (struct lb_letter *)raw;
    switch (letter->type) {
    case LETTER_ANSWER:
        pass_answer(worker, (struct admin_call *)letter);
        return;
    case LETTER_WRITE:
        writer_submit(worker->writer, (struct change_call *)letter);
        return;
    case LETTER_WRITTEN:
        worker_answer_change(worker, (struct change_call *)letter);
        return;
    case LETTER_FENCED:
    case LETTER_DEMOTED:
    case LETTER_TRACK:
    case LETTER_TAKE_DIRTY:
    case LETTER_RELEASE:
    case LETTER_HOLD:
    case LETTER_LET:
        take_writers_letter(worker, letter);
        return;
    case LETTER_JOIN:
        worker->n_joined++;
        break;
    case LETTER_PART:
        worker->n_joined--;
        break;
    case LETTER_TAKE:
        if (!worker->routes.ending)
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
    worker->routes.turn++;
    worker->routes.turn_ns = clock_now_ns();
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

static int open_writer(struct worker *worker, struct err *err)
{
    const struct worker_config *config = &worker->config;
    struct intents *intents;
    int rc = intents_open(worker->loop, config->state_dir, config->store_durable, &intents, err);
    if (rc != 0)
        return rc;
    worker->writer = writer_new(&(struct writer_config){.loop = worker->loop,
                                                        .flusher = &worker->flusher,
                                                        .control = config->control,
                                                        .intents = intents,
                                                        .worker = config->index,
                                                        .in_rounds = config->store_durable,
                                                        .on_written = on_written,
                                                        .on_idle = on_writer_idle,
                                                        .context = worker});
    return 0;
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
    worker->routes = (struct routes){.loop = worker->loop,
                                     .flusher = &worker->flusher,
                                     .control = config->control,
                                     .publisher = config->publisher,
                                     .worker = config->index,
                                     .answer_timeout_ns = config->answer_timeout_ns,
                                     .n_elsewhere = n_changes_under_way,
                                     .context = worker,
                                     .turn_ns = clock_now_ns()};
    querier_init(&worker->querier, &worker->routes);
    int rc = config->writer ? 0 : open_writer(worker, err);
    if (rc != 0) {
        querier_done(&worker->querier);
        free_worker(worker);
        close(config->listen_fd);
        return rc;
    }
    ev_timer_init(&worker->expire_timer, on_expire_timer, EXPIRE_STEP_S, EXPIRE_STEP_S);
    worker->expire_timer.data = worker;
    ev_timer_start(worker->loop, &worker->expire_timer);
    ev_check_start(worker->loop, &worker->turn_check);
    worker->httpd =
        httpd_new(&(struct httpd_config){.loop = worker->loop,
                                         .flusher = &worker->flusher,
                                         .limits.max_connections = config->max_connections,
                                         .user_bytes = worker_forward_bytes,
                                         .on_request = on_request,
                                         .context = worker});
    httpd_listen(worker->httpd, config->listen_fd);
    take_snapshot(worker);
    rc = pthread_create(&worker->thread, NULL, run, worker);
    if (rc != 0) {
        end(worker);
        free_worker(worker);
        return err_set_errno(err, -rc, "cannot start worker thread %zu", config->index + 1);
    }
    if (config->writer) /* before anyone can tell it to stop */
        mailbox_post(config->writer, &letter_new(LETTER_JOIN, config->index)->letter);
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

const struct query_metrics *worker_query_metrics(const struct worker *worker)
{
    return &worker->querier.metrics;
}

const struct writer_metrics *worker_writer_metrics(const struct worker *worker)
{
    return worker->writer ? writer_metrics(worker->writer) : NULL;
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
