/* POST /batch: the LB's changes (table/batch.h).
 *
 * The whole frame is read before anything is done: one that is not a batch is refused and changes
 * nothing. Then every operation is judged by itself and submitted in the same turn of the loop, so
 * that a store which has to wait for its disk waits once. This is the way of every write: rows are
 * proven canonical where they stand, and never become a tree. */
#include "table/batch.h"

#include <errno.h>
#include <string.h>

#include "server/service.h"

#define FIRST_ITEMS 32u

/* An operation as it was read. */
struct item {
    struct batch_item head;
    struct row *rows; /* head.n_rows, their texts in the job's memory */
};

struct frame {
    struct item *items;
    size_t n, capacity;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static struct item *add_item(struct arena *arena, struct frame *frame)
{
    if (frame->n == frame->capacity) {
        size_t capacity = frame->capacity ? frame->capacity * 2 : FIRST_ITEMS;
        struct item *items = arena_alloc(arena, capacity * sizeof(*items));
        if (frame->n > 0)
            memcpy(items, frame->items, frame->n * sizeof(*items));
        frame->items = items;
        frame->capacity = capacity;
    }
    return &frame->items[frame->n++];
}

/* 0 or -EPROTO. */
static int read_frame(struct arena *arena, struct http_view text, struct frame *frame,
                      struct err *err)
{
    struct batch_reader reader;
    struct batch_item head;
    int rc;
    batch_reader_init(&reader, text.at, text.len);
    while ((rc = batch_next(&reader, &head, err)) == 1) {
        if (frame->n == BATCH_MAX_OPERATIONS)
            return err_set(err, -EPROTO, "the batch has more than %u operations",
                           BATCH_MAX_OPERATIONS);
        struct item *item = add_item(arena, frame);
        int64_t last_key = 0;
        item->head = head;
        item->rows = arena_alloc(arena, head.n_rows * sizeof(struct row));
        for (size_t i = 0; i < head.n_rows; i++) {
            rc = batch_next_row(&reader, &head, &last_key, &item->rows[i], err);
            if (rc != 0)
                return rc;
        }
    }
    return rc;
}

/* ---- doing ------------------------------------------------------------------------------------
 */

/* Whether each row is canonical and bears the key it was announced with; else says why not. */
static bool check_rows(struct op *op, const struct schema *schema, const struct item *item)
{
    struct row_value values[SCHEMA_MAX_COLUMNS];
    struct err err = {0};
    for (size_t i = 0; i < item->head.n_rows; i++) {
        const struct row *row = &item->rows[i];
        if (row_take_apart(schema, row->text, row->n_bytes, values, &err) != 0) {
            op->refusal = arena_printf(&op->job->arena, "the row of key %lld: %s",
                                       (long long)row->key, err.message);
            return false;
        }
        if (values[0].integer != row->key) {
            op->refusal = arena_printf(&op->job->arena, "the row of key %lld has the key %lld",
                                       (long long)row->key, (long long)values[0].integer);
            return false;
        }
    }
    return true;
}

/* The replica that an operation names. The one before it named the same, most often. */
static struct replica *find_replica(struct op *op, struct http_view name, struct replica *hint)
{
    if (hint && !hint->drop && http_view_equal(name, hint->name))
        return hint;
    struct replica *replica = replica_find(op->job->service, name.at, name.len);
    if (!replica) {
        char text[NAME_MAX_BYTES + 1] = "";
        if (name.len < sizeof(text))
            memcpy(text, name.at, name.len);
        op->refusal = name_valid(text)
                          ? arena_printf(&op->job->arena, "shard '%s' is not on this server", text)
                          : "the shard's name is not valid";
    }
    return replica;
}

static bool must_have_rows(enum batch_op op)
{
    return op == BATCH_INSERT || op == BATCH_ABSENT;
}

static bool has_texts(enum batch_op op)
{
    return op == BATCH_INSERT || op == BATCH_UPDATE || op == BATCH_REPLACE;
}

/* Fills the op, submits it, or sets its refusal. Returns the replica for the next one's hint. */
static struct replica *do_item(struct op *op, const struct item *item,
                               const struct request_age *age, struct replica *hint)
{
    static const enum store_op ops[] = {
        [BATCH_INSERT] = STORE_INSERT,   [BATCH_UPDATE] = STORE_UPDATE,
        [BATCH_DELETE] = STORE_DELETE,   [BATCH_ABSENT] = STORE_ABSENT,
        [BATCH_REPLACE] = STORE_REPLACE,
    };
    const struct batch_item *head = &item->head;
    struct replica *replica = find_replica(op, head->shard, hint);
    if (!replica)
        return NULL;
    if (!replica_take_age(replica, age)) {
        op->refusal = "a later copy of the shard was begun";
        return replica;
    }
    if (head->op == BATCH_DROP) {
        op_submit_drop(op, replica);
        return NULL; /* it may be gone */
    }
    if (must_have_rows(head->op) && head->n_rows == 0)
        op->refusal = "the operation has no rows";
    else if (head->low > head->last)
        op->refusal = "the range is empty";
    else if (has_texts(head->op))
        check_rows(op, &op->job->service->schema, item);
    if (op->refusal)
        return replica;
    op_begin(op, replica, ops[head->op]);
    op->request.low = head->low;
    op->request.last = head->last;
    op->request.rows = item->rows;
    op->request.n_rows_in = head->n_rows;
    op_submit(op);
    return replica;
}

/* ---- answering --------------------------------------------------------------------------------
 */

static struct batch_result result_of(const struct op *op)
{
    const struct store_request *request = &op->request;
    struct batch_result result = {.verdict = BATCH_OK};
    const char *reason = NULL;
    if (op->refusal) {
        result.verdict = BATCH_REFUSED;
        reason = op->refusal;
    } else if (request->code == 0) {
        result.n_rows =
            request->op == STORE_ABSENT || request->op == STORE_DROP ? 0 : request->n_rows_now;
    } else if (request->code == -EEXIST) {
        result.verdict = BATCH_EXISTS;
        result.key = request->key;
    } else if (request->code == -ENOENT && request->op == STORE_DELETE) {
        result.verdict = BATCH_MISSING;
        result.key = request->low;
    } else if (request->code == -ENOENT && request->op == STORE_UPDATE) {
        result.verdict = BATCH_MISSING;
        result.key = request->rows[0].key;
    } else {
        result.verdict = BATCH_FAILED;
        reason = store_request_reason(request);
    }
    if (reason) /* a line, whatever a database may have said */
        result.reason = (struct http_view){reason, strcspn(reason, "\r\n")};
    return result;
}

/* An operation may have been done, or not: there is no line for that. No answer to any of the batch
 * is the one that has the LB find it out. */
static const struct op *find_doubtful(const struct job *job)
{
    for (size_t i = 0; i < job->n_ops; i++)
        if (!job->ops[i].refusal && job->ops[i].request.code == -ENOTRECOVERABLE)
            return &job->ops[i];
    return NULL;
}

static void finish_batch(struct job *job)
{
    const struct op *doubtful = find_doubtful(job);
    if (doubtful) {
        job_refuse_store(job, &doubtful->request);
        return;
    }
    for (size_t i = 0; i < job->n_ops; i++) {
        struct batch_result result = result_of(&job->ops[i]);
        batch_put_result(&job->out, &result);
    }
    job_reply(job, BATCH_CONTENT_TYPE, NULL);
}

void answer_batch(struct service *service, struct httpd_exchange *exchange)
{
    struct err err = {0};
    struct frame frame = {0};
    struct request_age age;
    struct replica *replica = NULL;
    struct job *job = job_new(service, exchange);
    struct http_view body = exchange->request->body;
    /* Rows point into the text, for as long as a store may take. */
    const char *text = arena_strndup(&job->arena, body.len > 0 ? body.at : "", body.len);
    int rc = service_take_age(service, exchange->request, &age, &err);
    if (rc == 0)
        rc = read_frame(&job->arena, (struct http_view){text, body.len}, &frame, &err);
    if (rc == 0 && frame.n == 0)
        rc = err_set(&err, -EPROTO, "the batch is empty");
    if (rc != 0) {
        job_refuse(job, rc, "%s", err.message);
        return;
    }
    job_set_ops(job, frame.n);
    job->on_done = finish_batch;
    job_hold(job);
    for (size_t i = 0; i < frame.n; i++)
        replica = do_item(&job->ops[i], &frame.items[i], &age, replica);
    job_release(job);
}
