/* POST /write, PUT /update, DELETE /del: rows that come as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "server/service.h"

static const char *key_name(const struct job *job)
{
    return job->service->schema.columns[0].name;
}

/* Submits the job's one op. */
static void submit_one(struct job *job, void (*finish)(struct job *job))
{
    job->on_done = finish;
    if (op_submit(&job->ops[0]) == STORE_DONE)
        finish(job);
}

/* ---- /write -----------------------------------------------------------------------------------
 */

static int compare_keys(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

/* Puts them in the order of their keys; -EINVAL: one is there twice. */
static int order_rows(const char *key, struct row *rows, size_t n, struct err *err)
{
    size_t i = 1;
    while (i < n && rows[i - 1].key < rows[i].key)
        i++;
    if (i >= n)
        return 0;
    qsort(rows, n, sizeof(*rows), compare_keys);
    for (i = 1; i < n; i++)
        if (rows[i - 1].key == rows[i].key)
            return err_set(err, -EINVAL, "%s %lld is twice in the request", key,
                           (long long)rows[i].key);
    return 0;
}

/* The rows of an array, in the job's memory. */
static int read_rows(struct job *job, const cJSON *array, struct row **ret_rows, size_t *ret_n,
                     struct err *err)
{
    int n = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (n == 0)
        return err_set(err, -EINVAL, "\"data\" is missing, empty or no array of rows");
    struct row *rows = arena_alloc(&job->arena, (size_t)n * sizeof(*rows));
    size_t i = 0;
    const cJSON *object;
    cJSON_ArrayForEach (object, array) {
        size_t n_before = buf_len(&job->texts);
        int rc = row_from_json(&job->service->schema, object, &job->texts, &rows[i].key, err);
        if (rc != 0) {
            err_prefix(err, "row %zu of \"data\"", i + 1);
            return rc;
        }
        rows[i].n_bytes = (uint32_t)(buf_len(&job->texts) - n_before);
        i++;
    }
    /* Only now: the texts have moved while they grew. */
    const char *text = buf_head(&job->texts);
    for (i = 0; i < (size_t)n; i++) {
        rows[i].text = text;
        text += rows[i].n_bytes;
    }
    *ret_rows = rows;
    *ret_n = (size_t)n;
    return order_rows(key_name(job), rows, (size_t)n, err);
}

/* curr_idx, which may be left out. */
static int read_index(struct job *job, const cJSON *node, struct err *err)
{
    if (!node)
        return 0;
    int rc = row_key_from_json(node, "curr_idx", &job->number, err);
    if (rc == 0 && job->number < 0)
        rc = err_set(err, -EINVAL, "\"curr_idx\" is negative");
    job->numbered = true;
    return rc;
}

static void finish_write(struct job *job)
{
    const struct store_request *request = &job->ops[0].request;
    if (request->code == -EEXIST) {
        job_refuse(job, -EEXIST, "%s %lld exists already", key_name(job), (long long)request->key);
        return;
    }
    if (request->code != 0) {
        job_refuse_store(job, request);
        return;
    }
    uint64_t index =
        job->numbered ? (uint64_t)job->number + request->n_rows_in : request->n_rows_now;
    buf_appendf(&job->out,
                "{\"message\":\"Data entries added\",\"current_idx\":%llu,\"status\":\"success\"}",
                (unsigned long long)index);
    job_reply(job, "application/json", NULL);
}

void answer_write(struct service *service, struct httpd_exchange *exchange)
{
    static const char *const names[] = {"shard", "curr_idx", "data", NULL};
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    cJSON *body = NULL;
    struct replica *replica;
    struct row *rows = NULL;
    size_t n = 0;
    int rc = body_read_call(service, exchange->request, names, &body, &replica, &err);
    if (rc == 0)
        rc = read_index(job, json_get(body, "curr_idx"), &err);
    if (rc == 0)
        rc = read_rows(job, json_get(body, "data"), &rows, &n, &err);
    cJSON_Delete(body);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job_set_ops(job, 1);
    op_begin(&job->ops[0], replica, STORE_INSERT);
    job->ops[0].request.rows = rows;
    job->ops[0].request.n_rows_in = n;
    submit_one(job, finish_write);
}

/* ---- /update and /del -------------------------------------------------------------------------
 */

/* "Data entry BEFORE KEY AFTER", or that there is no such key. */
static void finish_keyed(struct job *job, const char *before, const char *after)
{
    const struct store_request *request = &job->ops[0].request;
    if (request->code == -ENOENT) {
        job_refuse(job, -ENOENT, "%s %lld does not exist", key_name(job), (long long)job->number);
        return;
    }
    if (request->code != 0) {
        job_refuse_store(job, request);
        return;
    }
    buf_appendf(&job->out, "{\"message\":\"Data entry %s %s:%lld %s\",\"status\":\"success\"}",
                before, key_name(job), (long long)job->number, after);
    job_reply(job, "application/json", NULL);
}

static void finish_update(struct job *job)
{
    finish_keyed(job, "for", "updated");
}

static void finish_del(struct job *job)
{
    finish_keyed(job, "with", "removed");
}

/* The new row, whose key is to be job->number. */
static int read_new_row(struct job *job, const cJSON *data, struct row **ret_row, struct err *err)
{
    if (!data)
        return err_set(err, -EINVAL, "\"data\" is missing");
    struct row *row = arena_zalloc(&job->arena, 1, sizeof(*row));
    int rc = row_from_json(&job->service->schema, data, &job->texts, &row->key, err);
    if (rc != 0) {
        err_prefix(err, "\"data\"");
        return rc;
    }
    if (row->key != job->number)
        return err_set(err, -EINVAL, "the row's %s is %lld: an update does not change the key %lld",
                       key_name(job), (long long)row->key, (long long)job->number);
    row->text = buf_head(&job->texts);
    row->n_bytes = (uint32_t)buf_len(&job->texts);
    *ret_row = row;
    return 0;
}

void answer_update(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    const char *key = key_name(job), *names[] = {"shard", key, "data", NULL};
    cJSON *body = NULL;
    struct replica *replica;
    struct row *row = NULL;
    int rc = body_read_call(service, exchange->request, names, &body, &replica, &err);
    if (rc == 0)
        rc = row_key_from_json(json_get(body, key), key, &job->number, &err);
    if (rc == 0)
        rc = read_new_row(job, json_get(body, "data"), &row, &err);
    cJSON_Delete(body);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job_set_ops(job, 1);
    op_begin(&job->ops[0], replica, STORE_UPDATE);
    job->ops[0].request.rows = row;
    job->ops[0].request.n_rows_in = 1;
    submit_one(job, finish_update);
}

void answer_del(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    const char *key = key_name(job), *names[] = {"shard", key, NULL};
    cJSON *body = NULL;
    struct replica *replica;
    int rc = body_read_call(service, exchange->request, names, &body, &replica, &err);
    if (rc == 0)
        rc = row_key_from_json(json_get(body, key), key, &job->number, &err);
    cJSON_Delete(body);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job_set_ops(job, 1);
    op_begin(&job->ops[0], replica, STORE_DELETE);
    job->ops[0].request.low = job->ops[0].request.last = job->number;
    submit_one(job, finish_del);
}
