/* POST /config and GET /shards: which shards the server holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "server/service.h"
#include "table/shard.h"

/* ---- /config ----------------------------------------------------------------------------------
 *
 *   CREATE all ─┬─ well: the new ones become replicas, answer
 *               └─ one failed: DROP those that are new, refuse; what was there stays as it was */

static bool is_new(const struct op *op)
{
    return op->request.code == 0 &&
           !replica_find_any(op->job->service, op->request.name, strlen(op->request.name));
}

static const struct store_request *first_failed(const struct job *job)
{
    for (size_t i = 0; i < job->n_ops; i++)
        if (job->ops[i].request.code != 0)
            return &job->ops[i].request;
    return NULL;
}

static void refuse_config(struct job *job)
{
    struct op *creates = job->ops - job->at;
    for (size_t i = 0; i < job->at; i++) {
        const struct store_request *request = &creates[i].request;
        if (request->code == 0)
            continue;
        job_refuse(job, request->code, "shard '%s' cannot be made: %s", request->name,
                   store_request_reason(request));
        return;
    }
}

/* The ops that follow the job's first n_ops are free for that. */
static void undo_creates(struct job *job)
{
    struct op *creates = job->ops;
    size_t n = job->n_ops;
    job->ops += n;
    job->at = n;
    job->on_done = refuse_config;
    job_hold(job);
    for (size_t i = 0; i < n; i++) {
        if (!is_new(&creates[i]))
            continue;
        job->ops[i].request.op = STORE_DROP;
        job->ops[i].request.shard = creates[i].request.shard;
        op_submit(&job->ops[i]);
    }
    job_release(job);
}

static void finish_config(struct job *job)
{
    struct service *service = job->service;
    if (first_failed(job)) {
        undo_creates(job);
        return;
    }
    buf_append_str(&job->out, "{\"message\":\"");
    for (size_t i = 0; i < job->n_ops; i++) {
        const struct store_request *request = &job->ops[i].request;
        service->schema = *request->schema;
        if (is_new(&job->ops[i]))
            replica_add(service, request->shard);
        buf_appendf(&job->out, "%s%s:%s", i > 0 ? ", " : "", service->name, request->name);
    }
    buf_append_str(&job->out, " configured\",\"status\":\"success\"}");
    job_reply(job, "application/json", NULL);
}

static int check_schema(const struct service *service, const struct schema *schema, struct err *err)
{
    const char *key = schema->columns[0].name;
    if (strcmp(key, "shard") == 0 || strcmp(key, "data") == 0)
        return err_set(err, -EINVAL,
                       "the key column cannot be called '%s': calls have a member of that name",
                       key);
    if (service->replicas && !schema_equal(&service->schema, schema))
        return err_set(err, -EALREADY, "the server is configured with another schema");
    return 0;
}

static int add_create(struct job *job, const struct schema *schema, const cJSON *name,
                      struct err *err)
{
    const char *text = cJSON_GetStringValue(name);
    int rc = shard_check_name(text, "\"shards\" has an element that is", err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < job->at; i++)
        if (strcmp(job->ops[i].request.name, text) == 0)
            return err_set(err, -EINVAL, "shard '%s' is named twice", text);
    struct replica *replica = replica_find_any(job->service, text, strlen(text));
    if (replica && replica->drop)
        return err_set(err, -EBUSY, "shard '%s' is being dropped: try again", text);
    struct store_request *request = &job->ops[job->at++].request;
    request->op = STORE_CREATE;
    request->name = arena_strdup(&job->arena, text);
    request->schema = schema;
    return 0;
}

static int read_config(struct job *job, const cJSON *body, struct err *err)
{
    struct service *service = job->service;
    struct schema *schema = arena_zalloc(&job->arena, 1, sizeof(*schema));
    int rc = schema_read(json_get(body, "schema"), schema, err);
    if (rc == 0)
        rc = check_schema(service, schema, err);
    if (rc != 0)
        return rc;
    const cJSON *shards = json_get(body, "shards"), *name;
    int n = cJSON_IsArray(shards) ? cJSON_GetArraySize(shards) : 0;
    if (n == 0)
        return err_set(err, -EINVAL, "\"shards\" is missing, empty or no array");
    if ((size_t)n + HASH_COUNT(service->replicas) > STORE_MAX_SHARDS)
        return err_set(err, -EINVAL, "a server takes at most %d shards", STORE_MAX_SHARDS);
    job_set_ops(job, (size_t)n * 2); /* to make them, and to undo that */
    job->n_ops = (size_t)n;
    cJSON_ArrayForEach (name, shards) {
        rc = add_create(job, schema, name, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void answer_config(struct service *service, struct httpd_exchange *exchange)
{
    static const char *const names[] = {"schema", "shards", NULL};
    struct err err = {0};
    struct job *job = job_new(service, exchange);
    cJSON *body = NULL;
    int rc = service->configuring ? err_set(&err, -EBUSY, "another /config is under way: try again")
                                  : body_read(exchange->request, names, &body, &err);
    if (rc == 0)
        rc = read_config(job, body, &err);
    cJSON_Delete(body);
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    service->configuring = job;
    job->on_done = finish_config;
    job_hold(job);
    for (size_t i = 0; i < job->n_ops; i++)
        op_submit(&job->ops[i]);
    job_release(job);
}

/* ---- /shards ----------------------------------------------------------------------------------
 */

static int compare_names(const void *left, const void *right)
{
    const struct replica *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static void finish_shards(struct job *job)
{
    const struct service *service = job->service;
    const struct store_request *failed = first_failed(job);
    if (failed) {
        job_refuse_store(job, failed);
        return;
    }
    buf_append_str(&job->out, "{\"schema\":");
    if (job->n_ops > 0)
        schema_print(&service->schema, &job->out);
    else
        buf_append_str(&job->out, "null");
    buf_append_str(&job->out, ",\"shards\":[");
    for (size_t i = 0; i < job->n_ops; i++) {
        const struct store_request *request = &job->ops[i].request;
        buf_appendf(&job->out, "%s{\"shard\":\"%s\",\"rows\":%llu,\"checksum\":\"%016llx\"}",
                    i > 0 ? "," : "", request->name, (unsigned long long)request->n_rows,
                    (unsigned long long)request->checksum);
    }
    buf_append_str(&job->out, "],\"status\":\"success\"}");
    job_reply(job, "application/json", NULL);
}

void answer_shards(struct service *service, struct httpd_exchange *exchange)
{
    struct job *job = job_new(service, exchange);
    size_t n = 0;
    struct replica **replicas =
        arena_alloc(&job->arena, (HASH_COUNT(service->replicas) + 1) * sizeof(struct replica *));
    for (struct replica *replica = service->replicas; replica; replica = replica->hh.next)
        if (!replica->drop)
            replicas[n++] = replica;
    qsort(replicas, n, sizeof(struct replica *), compare_names);
    job_set_ops(job, n);
    job->on_done = finish_shards;
    job_hold(job);
    for (size_t i = 0; i < n; i++) {
        struct store_request *request = &job->ops[i].request;
        op_begin(&job->ops[i], replicas[i], STORE_DIGEST);
        request->low = INT64_MIN;
        request->last = INT64_MAX;
        /* The replica may have gone by the time of the answer. */
        request->name = arena_strdup(&job->arena, replicas[i]->name);
        op_submit(&job->ops[i]);
    }
    job_release(job);
}
