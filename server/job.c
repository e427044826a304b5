#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "server/service.h"

/* What a job keeps for the next one; how many are kept. */
#define KEEP_BUFFER_BYTES (64u * 1024)
#define FREE_JOBS_MAX 256u
/* Rows as canonical text can be longer than they came: a body of 16 MiB is at most 96. */
#define MAX_TEXTS_BYTES (128u << 20)

/* ---- jobs -------------------------------------------------------------------------------------
 */

static struct job *job_make(void)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    arena_init(&job->arena);
    buf_init(&job->texts, MAX_TEXTS_BYTES);
    buf_init(&job->out, SERVICE_MAX_ANSWER_BYTES);
    return job;
}

struct job *job_new(struct service *service, struct httpd_exchange *exchange)
{
    struct job *job = service->free_jobs;
    if (job) {
        service->free_jobs = job->next;
        service->n_free_jobs--;
    } else {
        job = job_make();
    }
    job->service = service;
    job->exchange = exchange;
    job->next = service->jobs;
    job->link = &service->jobs;
    if (job->next)
        job->next->link = &job->next;
    service->jobs = job;
    metric_set_gauge(&service->counters.pending, service->counters.pending + 1);
    return job;
}

static void replica_put(struct op *op);

void job_end(struct job *job)
{
    struct service *service = job->service;
    /* Those that were never submitted: a job that is refused half way. */
    for (size_t i = 0; i < job->n_ops; i++)
        replica_put(&job->ops[i]);
    if (service->configuring == job)
        service->configuring = NULL;
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    metric_set_gauge(&service->counters.pending, service->counters.pending - 1);
    arena_reset(&job->arena);
    buf_clear(&job->texts);
    buf_shrink(&job->texts, KEEP_BUFFER_BYTES);
    buf_clear(&job->out);
    buf_shrink(&job->out, KEEP_BUFFER_BYTES);
    job->exchange = NULL;
    job->ops = NULL;
    job->n_ops = job->at = job->n_pending = 0;
    job->number = 0;
    job->numbered = false;
    job->on_done = NULL;
    if (service->n_free_jobs >= FREE_JOBS_MAX) {
        arena_done(&job->arena);
        buf_done(&job->texts);
        buf_done(&job->out);
        free(job);
        return;
    }
    job->next = service->free_jobs;
    service->free_jobs = job;
    service->n_free_jobs++;
}

void job_hold(struct job *job)
{
    job->n_pending++;
}

void job_release(struct job *job)
{
    assert(job->n_pending > 0);
    if (--job->n_pending == 0)
        job->on_done(job);
}

void job_set_ops(struct job *job, size_t n)
{
    job->ops = arena_zalloc(&job->arena, n, sizeof(struct op));
    job->n_ops = n;
    for (size_t i = 0; i < n; i++)
        job->ops[i].job = job;
}

/* ---- ops --------------------------------------------------------------------------------------
 */

static void count_result(struct service *service, const struct store_request *request)
{
    struct service_counters *counters = &service->counters;
    metric_bump(&counters->store_requests);
    if (request->code != 0) {
        if (request->code != -EEXIST && request->code != -ENOENT)
            metric_bump(&counters->store_failures);
    } else if (request->op == STORE_INSERT || request->op == STORE_UPDATE ||
               request->op == STORE_REPLACE) {
        metric_bump_by(&counters->rows_written, request->n_rows_in);
    } else if (request->op == STORE_DELETE) {
        metric_bump(&counters->rows_written);
    }
}

/* The drop is done, well or not. */
static void drop_settle(struct op *op)
{
    struct service *service = op->job->service;
    struct replica *replica = op->replica;
    count_result(service, &op->request);
    op->replica = NULL;
    replica->drop = NULL;
    if (op->request.code == 0) {
        HASH_DEL(service->replicas, replica);
        free(replica);
        metric_set_gauge(&service->counters.shards, HASH_COUNT(service->replicas));
    }
    job_release(op->job);
}

static void on_drop_done(struct store_request *request)
{
    drop_settle((struct op *)request);
}

static void drop_if_unused(struct replica *replica)
{
    struct op *op = replica->drop;
    if (!op || replica->n_users > 0)
        return;
    struct store *store = op->job->service->store;
    if (!store) /* the server ends */
        return;
    op->request.on_done = on_drop_done;
    if (store_submit(store, &op->request) == STORE_DONE)
        drop_settle(op);
}

void op_submit_drop(struct op *op, struct replica *replica)
{
    op->request.op = STORE_DROP;
    op->request.shard = replica->shard;
    op->replica = replica;
    replica->drop = op;
    job_hold(op->job);
    drop_if_unused(replica);
}

void op_begin(struct op *op, struct replica *replica, enum store_op what)
{
    op->request.op = what;
    op->request.shard = replica->shard;
    op->replica = replica;
    replica->n_users++;
}

static void replica_put(struct op *op)
{
    struct replica *replica = op->replica;
    if (!replica || replica->drop == op)
        return;
    op->replica = NULL;
    replica->n_users--;
    drop_if_unused(replica);
}

static void op_settle(struct op *op)
{
    count_result(op->job->service, &op->request);
    replica_put(op);
}

static void on_op_done(struct store_request *request)
{
    struct op *op = (struct op *)request;
    struct job *job = op->job;
    op_settle(op);
    job_release(job);
}

enum store_submit op_submit(struct op *op)
{
    op->request.on_done = on_op_done;
    enum store_submit how = store_submit(op->job->service->store, &op->request);
    if (how == STORE_DONE)
        op_settle(op);
    else
        op->job->n_pending++;
    return how;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static unsigned status_of(int code)
{
    switch (code) {
    case -EINVAL:
    case -EPROTO:
        return 400;
    case -ENOENT:
        return 404;
    case -EEXIST:
    case -EALREADY:
    case -ENXIO:
        return 409;
    case -EMSGSIZE:
        return 413;
    case -ENOSPC:
    case -EDQUOT:
        return 507;
    default:
        return 503;
    }
}

void job_reply(struct job *job, const char *content_type, const char *headers)
{
    httpd_reply(job->exchange, 200, content_type, headers, buf_head(&job->out), buf_len(&job->out));
    job_end(job);
}

void job_refuse(struct job *job, int code, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    httpd_refuse(job->exchange, status_of(code), "%s", message);
    job_end(job);
}

const char *store_request_reason(const struct store_request *request)
{
    return request->reason ? request->reason : err_errno_text(request->code);
}

void job_refuse_store(struct job *job, const struct store_request *request)
{
    job_refuse(job, request->code, "the store '%s' failed: %s", job->service->store_text,
               store_request_reason(request));
}
