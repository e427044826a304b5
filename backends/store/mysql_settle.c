#include <errno.h>
#include <stdlib.h>

#include "backends/store/mysql_batch.h"

static int compare_cells(const void *a, const void *b)
{
    int64_t x = ((const struct mysql_cell *)a)->key, y = ((const struct mysql_cell *)b)->key;
    return (x > y) - (x < y);
}

/* NULL: nobody asked, since the key is surely absent. */
static struct mysql_cell *find_cell(const struct mysql_batch *batch, int64_t key)
{
    struct mysql_cell wanted = {.key = key};
    return bsearch(&wanted, batch->cells, batch->n_cells, sizeof(wanted), compare_cells);
}

void mysql_batch_make_cells(struct mysql_batch *batch)
{
    size_t n_keys = batch->n_rows + batch->n_changes, n = 0;
    batch->cells = arena_zalloc(&batch->scratch, n_keys, sizeof(*batch->cells));
    for (size_t i = 0; i < batch->n_changes; i++) {
        const struct store_request *request = batch->changes[i].request;
        if (request->op == STORE_DELETE)
            batch->cells[n++].key = request->low;
        else
            for (size_t j = 0; j < request->n_rows_in; j++)
                if (request->op != STORE_ABSENT ||
                    mysql_filter_may_have(&batch->shard->filter, request->rows[j].key))
                    batch->cells[n++].key = request->rows[j].key;
    }
    qsort(batch->cells, n, sizeof(*batch->cells), compare_cells);
    for (size_t i = 0; i < n; i++)
        if (batch->n_cells == 0 || batch->cells[batch->n_cells - 1].key != batch->cells[i].key)
            batch->cells[batch->n_cells++] = batch->cells[i];
}

void mysql_batch_found(struct mysql_batch *batch, int64_t key, uint64_t sum)
{
    struct mysql_cell *cell = find_cell(batch, key);
    cell->was_there = cell->is_there = true;
    cell->old_sum = sum;
}

/* Whether one of the request's keys is there: ->key is the smallest. */
static bool find_conflict(const struct mysql_batch *batch, struct store_request *request)
{
    for (size_t i = 0; i < request->n_rows_in; i++) {
        const struct mysql_cell *cell = find_cell(batch, request->rows[i].key);
        if (cell && cell->is_there) {
            request->key = request->rows[i].key;
            return true;
        }
    }
    return false;
}

/* One request's turn: its answer, and what it leaves behind. */
static int settle_one(const struct mysql_batch *batch, const struct mysql_change *change,
                      uint64_t *io_n_rows)
{
    struct store_request *request = change->request;
    if (request->op == STORE_INSERT || request->op == STORE_ABSENT) {
        if (find_conflict(batch, request))
            return -EEXIST;
        for (size_t i = 0; i < request->n_rows_in && request->op == STORE_INSERT; i++) {
            struct mysql_cell *cell = find_cell(batch, request->rows[i].key);
            cell->is_there = true;
            cell->row = &change->rows[i];
            (*io_n_rows)++;
        }
        return 0;
    }
    bool deletes = request->op == STORE_DELETE;
    struct mysql_cell *cell = find_cell(batch, deletes ? request->low : request->rows[0].key);
    if (!cell->is_there)
        return -ENOENT;
    cell->is_there = !deletes;
    cell->row = deletes ? NULL : &change->rows[0];
    *io_n_rows -= deletes;
    return 0;
}

/* What the requests come to together: rows to put and keys to delete. */
static void gather_writes(struct mysql_batch *batch)
{
    uint64_t checksum = batch->shard->checksum;
    bool over = false;
    batch->puts = arena_alloc(&batch->scratch, batch->n_cells * sizeof(struct mysql_values *));
    batch->deletes = arena_alloc(&batch->scratch, batch->n_cells * sizeof(*batch->deletes));
    for (size_t i = 0; i < batch->n_cells; i++) {
        const struct mysql_cell *cell = &batch->cells[i];
        if (cell->was_there && !cell->is_there) {
            checksum -= cell->old_sum;
            batch->deletes[batch->n_deletes++] = cell->key;
        } else if (cell->is_there && cell->row &&
                   !(cell->was_there && cell->row->sum == cell->old_sum)) {
            checksum += cell->row->sum - (cell->was_there ? cell->old_sum : 0);
            over = over || cell->was_there;
            batch->puts[batch->n_puts++] = cell->row;
        }
    }
    batch->put_kind = over ? SQL_PUT : SQL_INSERT;
    batch->checksum_after = checksum;
}

void mysql_batch_settle(struct mysql_batch *batch)
{
    uint64_t n_rows = batch->shard->n_rows;
    for (size_t i = 0; i < batch->n_changes; i++) {
        struct mysql_change *change = &batch->changes[i];
        change->request->code = settle_one(batch, change, &n_rows);
        change->request->n_rows_now = n_rows;
    }
    batch->settled = true;
    batch->n_rows_after = n_rows;
    gather_writes(batch);
}
