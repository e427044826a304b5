/* GET /page and GET /digest: a shard in pieces, for copies and comparisons. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "server/service.h"
#include "table/batch.h"

/* A page ends after so many bytes, so that it can be posted as a batch as it stands. */
#define PAGE_MAX_BYTES (4u << 20)
/* "replace SHARD LOW LAST N\n" at its longest; it is known only when the rows are. */
#define HEAD_MAX_BYTES 160u

/* shard, low, last and rows of the query into the job's one op. low … last may be left out: the
 * whole shard; rows 0 or left out: no limit. */
static int begin_piece(struct job *job, const struct http_message *request, enum store_op what,
                       uint64_t copy, struct err *err)
{
    static const int64_t lowest = INT64_MIN, highest = INT64_MAX, none = 0;
    struct http_view name = http_query_value(request->query, "shard");
    int64_t low, last, n_rows;
    int rc = service_check_configured(job->service, err);
    if (rc == 0 && !name.at)
        rc = err_set(err, -EINVAL, "the query has no shard=");
    struct replica *replica = rc == 0 ? replica_find(job->service, name.at, name.len) : NULL;
    if (rc == 0 && !replica)
        rc = err_set(err, -EINVAL, "shard '%.*s' is not on this server",
                     (int)(name.len < 80 ? name.len : 80), name.at);
    if (rc == 0)
        rc = query_int64(request, "low", &lowest, &low, err);
    if (rc == 0)
        rc = query_int64(request, "last", &highest, &last, err);
    if (rc == 0)
        rc = query_int64(request, "rows", &none, &n_rows, err);
    if (rc == 0 && low > last)
        rc = err_set(err, -EINVAL, "low=%lld is above last=%lld", (long long)low, (long long)last);
    if (rc == 0 && n_rows < 0)
        rc = err_set(err, -EINVAL, "rows=%lld is negative", (long long)n_rows);
    if (rc == 0 && !replica_take_age(replica, &(struct request_age){.copy = copy}))
        rc = err_set(err, -EALREADY, "a later copy of the shard was begun");
    if (rc != 0)
        return rc;
    job_set_ops(job, 1);
    op_begin(&job->ops[0], replica, what);
    struct store_request *to = &job->ops[0].request;
    to->name = arena_strdup(&job->arena, replica->name);
    to->low = low;
    to->last = last;
    to->max_rows = (size_t)n_rows;
    return 0;
}

static void submit_piece(struct job *job, void (*finish)(struct job *job))
{
    job->on_done = finish;
    if (op_submit(&job->ops[0]) == STORE_DONE)
        finish(job);
}

/* ---- /page ------------------------------------------------------------------------------------
 */

static bool take_page_row(struct store_request *request, const struct row *row)
{
    struct op *op = (struct op *)request;
    struct buf *out = &op->job->out;
    if (op->n_taken > 0 && buf_len(out) + row->n_bytes > PAGE_MAX_BYTES)
        return false;
    batch_put_row(out, row->key, row->text, row->n_bytes);
    op->n_taken++;
    metric_bump(&op->job->service->counters.rows_read);
    return true;
}

static void finish_page(struct job *job)
{
    const struct op *op = &job->ops[0];
    const struct store_request *request = &op->request;
    if (request->code != 0) {
        job_refuse_store(job, request);
        return;
    }
    struct buf head;
    buf_init(&head, 0);
    batch_put_replace(&head, request->name, request->low,
                      request->more ? request->key : request->last, op->n_taken);
    assert(buf_len(&head) <= HEAD_MAX_BYTES);
    buf_consume(&job->out, HEAD_MAX_BYTES - buf_len(&head));
    memcpy(buf_head(&job->out), buf_head(&head), buf_len(&head));
    buf_done(&head);
    job_reply(job, BATCH_CONTENT_TYPE,
              request->more ? "X-Quoit-More: 1\r\n" : "X-Quoit-More: 0\r\n");
}

void answer_page(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    int rc = begin_piece(job, exchange->request, STORE_READ, 0, &err);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job->ops[0].request.on_row = take_page_row;
    buf_reserve(&job->out, HEAD_MAX_BYTES);
    buf_commit(&job->out, HEAD_MAX_BYTES);
    submit_piece(job, finish_page);
}

/* ---- /digest ----------------------------------------------------------------------------------
 */

static void finish_digest(struct job *job)
{
    const struct store_request *request = &job->ops[0].request;
    if (request->code != 0) {
        job_refuse_store(job, request);
        return;
    }
    buf_appendf(&job->out,
                "{\"shard\":\"%s\",\"rows\":%llu,\"checksum\":\"%016llx\",\"last\":%lld,"
                "\"more\":%s,\"status\":\"success\"}",
                request->name, (unsigned long long)request->n_rows,
                (unsigned long long)request->checksum,
                (long long)(request->more ? request->key : request->last),
                request->more ? "true" : "false");
    job_reply(job, "application/json", NULL);
}

void answer_digest(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct request_age age;
    struct job *job = job_new(service, exchange);
    int rc = service_take_age(service, exchange->request, &age, &err);
    if (rc == 0)
        rc = begin_piece(job, exchange->request, STORE_DIGEST, age.copy, &err);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    submit_piece(job, finish_digest);
}
