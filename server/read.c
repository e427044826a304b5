/* POST /read and GET /copy: rows as JSON. */
#include <errno.h>
#include <string.h>

#include "core/json.h"
#include "server/service.h"
#include "table/plain.h"

/* What is left free for an answer's closing brackets and the next shard's name. */
#define TAIL_BYTES 256u

static bool take_row(struct store_request *request, const struct row *row)
{
    struct op *op = (struct op *)request;
    struct buf *out = &op->job->out;
    if (buf_len(out) + row->n_bytes + 1 + TAIL_BYTES > SERVICE_MAX_ANSWER_BYTES)
        return false;
    if (op->n_taken > 0)
        buf_append(out, ",", 1);
    buf_append(out, row->text, row->n_bytes);
    op->n_taken++;
    metric_bump(&op->job->service->counters.rows_read);
    return true;
}

static void begin_read(struct op *op, struct replica *replica, int64_t low, int64_t last)
{
    op_begin(op, replica, STORE_READ);
    op->request.low = low;
    op->request.last = last;
    op->request.on_row = take_row;
}

/* Whether the read went well; else the job is refused. */
static bool check_read(struct job *job, const struct op *op)
{
    if (op->request.code != 0)
        job_refuse_store(job, &op->request);
    else if (op->request.more)
        job_refuse(job, -EMSGSIZE, "the answer is longer than %u MiB: ask for less",
                   SERVICE_MAX_ANSWER_BYTES >> 20);
    return op->request.code == 0 && !op->request.more;
}

/* ---- /read ------------------------------------------------------------------------------------
 */

static int read_range(const struct service *service, const cJSON *body, int64_t *ret_low,
                      int64_t *ret_last, struct err *err)
{
    const char *key = service->schema.columns[0].name;
    const cJSON *range = json_get(body, key), *member;
    if (!cJSON_IsObject(range))
        return err_set(err, -EINVAL, "\"%s\" is missing or no object with \"low\" and \"high\"",
                       key);
    cJSON_ArrayForEach (member, range) {
        if (strcmp(member->string, "low") != 0 && strcmp(member->string, "high") != 0)
            return err_set(err, -EINVAL,
                           "\"%.80s\" is not known in \"%s\": it has \"low\", \"high\"",
                           member->string, key);
    }
    int rc = row_key_from_json(json_get(range, "low"), "low", ret_low, err);
    if (rc == 0)
        rc = row_key_from_json(json_get(range, "high"), "high", ret_last, err);
    if (rc == 0 && *ret_low > *ret_last)
        rc = err_set(err, -EINVAL, "\"low\" is %lld, above \"high\", which is %lld",
                     (long long)*ret_low, (long long)*ret_last);
    return rc;
}

/* The body of a /read, with the replica that it names. */
static int read_call(struct service *service, const struct http_message *request,
                     struct replica **ret_replica, int64_t *ret_low, int64_t *ret_last,
                     struct err *err)
{
    const struct schema *schema = &service->schema;
    const char *names[] = {"shard", schema->columns[0].name, NULL};
    struct plain_range plain;
    cJSON *body;
    if (service->replicas && request->body.len > 0 &&
        plain_read_range(schema, request->body.at, request->body.len, &plain) && plain.shard &&
        (*ret_replica = replica_find(service, plain.shard, plain.n_shard)) != NULL) {
        *ret_low = plain.low;
        *ret_last = plain.high;
        return 0;
    }
    int rc = body_read_call(service, request, names, &body, ret_replica, err);
    if (rc != 0)
        return rc;
    rc = read_range(service, body, ret_low, ret_last, err);
    cJSON_Delete(body);
    return rc;
}

static void finish_read(struct job *job)
{
    if (!check_read(job, &job->ops[0]))
        return;
    buf_append_str(&job->out, "],\"status\":\"success\"}");
    job_reply(job, "application/json", NULL);
}

void answer_read(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    struct replica *replica;
    int64_t low, last;
    int rc = read_call(service, exchange->request, &replica, &low, &last, &err);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job_set_ops(job, 1);
    begin_read(&job->ops[0], replica, low, last);
    buf_append_str(&job->out, "{\"data\":[");
    job->on_done = finish_read;
    if (op_submit(&job->ops[0]) == STORE_DONE)
        finish_read(job);
}

/* ---- /copy ------------------------------------------------------------------------------------
 */

/* Shard after shard, so that their rows stand in the answer in one piece each. */
static void copy_on(struct job *job)
{
    for (;;) {
        if (job->at > 0) {
            if (!check_read(job, &job->ops[job->at - 1]))
                return;
            buf_append(&job->out, "],", 2);
        }
        if (job->at == job->n_ops)
            break;
        struct op *op = &job->ops[job->at++];
        buf_appendf(&job->out, "\"%s\":[", op->replica->name);
        if (op_submit(op) == STORE_PENDING)
            return;
    }
    buf_append_str(&job->out, "\"status\":\"success\"}");
    job_reply(job, "application/json", NULL);
}

static int add_copy(struct job *job, const cJSON *name, struct err *err)
{
    struct replica *replica = body_find_replica(job->service, name, err);
    if (!replica)
        return -EINVAL;
    for (size_t i = 0; i < job->at; i++)
        if (job->ops[i].replica == replica)
            return err_set(err, -EINVAL, "shard '%s' is named twice", replica->name);
    if (strcmp(replica->name, "status") == 0)
        return err_set(err, -EINVAL,
                       "shard 'status' cannot be told from the answer's status: GET /page has it");
    begin_read(&job->ops[job->at++], replica, INT64_MIN, INT64_MAX);
    return 0;
}

static int prepare_copy(struct job *job, const struct http_message *request, struct err *err)
{
    static const char *const names[] = {"shards", NULL};
    cJSON *body;
    int rc = service_check_configured(job->service, err);
    if (rc == 0)
        rc = body_read(request, names, &body, err);
    if (rc != 0)
        return rc;
    const cJSON *shards = json_get(body, "shards"), *name;
    int n = cJSON_IsArray(shards) ? cJSON_GetArraySize(shards) : 0;
    if (n == 0)
        rc = err_set(err, -EINVAL, "\"shards\" is missing, empty or no array");
    else if (n > STORE_MAX_SHARDS)
        rc = err_set(err, -EINVAL, "\"shards\" names more than %d", STORE_MAX_SHARDS);
    else
        job_set_ops(job, (size_t)n);
    if (rc == 0) {
        cJSON_ArrayForEach (name, shards) {
            rc = add_copy(job, name, err);
            if (rc != 0)
                break;
        }
    }
    cJSON_Delete(body);
    job->at = 0;
    return rc;
}

void answer_copy(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    int rc = prepare_copy(job, exchange->request, &err);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    buf_append(&job->out, "{", 1);
    job->on_done = copy_on;
    copy_on(job);
}
