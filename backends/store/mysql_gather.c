/* Which of the changes that wait for a shard go to the database together. */
#include <errno.h>

#include "backends/store/mysql_batch.h"

/* Requests in a batch. */
#define MAX_REQUESTS 1024

/* A request's rows taken apart; false: it is refused, and answered. */
static bool take_change(struct mysql_batch *batch, struct store_request *request)
{
    struct mysql_change *change = &batch->changes[batch->n_changes];
    struct err err;
    *change = (struct mysql_change){.request = request};
    if (request->op != STORE_DELETE && request->op != STORE_ABSENT) {
        change->rows = arena_alloc(&batch->arena, request->n_rows_in * sizeof(*change->rows));
        for (size_t i = 0; i < request->n_rows_in; i++)
            if (mysql_take_row(&batch->shard->form, &request->rows[i], &batch->arena,
                               &change->rows[i], &err) != 0) {
                mysql_answer_failed(batch->store, request, -EINVAL, err.message);
                return false;
            }
    }
    batch->n_rows += request->op == STORE_DELETE ? 0 : request->n_rows_in;
    batch->n_changes++;
    return true;
}

static size_t texts_bytes(const struct store_request *request)
{
    size_t n_bytes = 0;
    if (request->op == STORE_DELETE || request->op == STORE_ABSENT)
        return 0;
    for (size_t i = 0; i < request->n_rows_in; i++)
        n_bytes += request->rows[i].n_bytes;
    return n_bytes;
}

/* Whether it only asks. */
static bool asks(const struct mysql_batch *batch)
{
    return batch->changes[0].request->op == STORE_ABSENT;
}

void mysql_batch_gather(struct mysql_batch *batch)
{
    struct mysql_queue *queue = &batch->shard->changes;
    struct store_request *request;
    size_t n_bytes = 0, most = 0;
    size_t max_rows =
        batch->slot->conn.takes_arrays ? MYSQL_MAX_ARRAY_ROWS : (size_t)MYSQL_MAX_ROWS;
    for (request = queue->first; request && most < MAX_REQUESTS; request = request->next)
        most++;
    batch->changes = arena_alloc(&batch->arena, most * sizeof(*batch->changes));
    while (queue->first && batch->n_changes < most) {
        request = queue->first;
        if (request->op == STORE_DIGEST) /* of what is there when this batch is done */
            break;
        /* Beside inserts a question would have all of their keys asked for as well. */
        if (batch->n_changes > 0 && (request->op == STORE_ABSENT) != asks(batch))
            break;
        n_bytes += texts_bytes(request);
        if (batch->n_changes > 0 &&
            (request->op == STORE_REPLACE || batch->n_rows + request->n_rows_in > max_rows ||
             n_bytes > MYSQL_MAX_STATEMENT_BYTES))
            break;
        bool alone = request->op == STORE_REPLACE;
        take_change(batch, mysql_queue_take(queue));
        if (alone)
            break;
    }
}
