/* The thread's side of a threaded store: requests as operations on tables. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/threaded.h"
#include "core/mem.h"

/* A transaction ends when it has read so much, so that the loop gets it in time. */
#define ROUND_BYTES (1024u * 1024)

int threaded_fail(struct threaded *store, int code, const char *message)
{
    char *text = mem_printf("%s: %s", store->path, message);
    store->failure = code;
    for (size_t i = 0; i < store->n_reasons; i++)
        if (strcmp(store->reasons[i], text) == 0) {
            store->reason = store->reasons[i];
            free(text);
            return code;
        }
    /* They are kept, since requests point at them; there are few different ones. */
    if (store->n_reasons == THREADED_MAX_REASONS) {
        free(text);
        store->reason = "the store failed";
        return code;
    }
    store->reasons[store->n_reasons++] = text;
    store->reason = text;
    return code;
}

/* ---- counting ---- */

static void mark_changed(struct threaded *store, struct threaded_shard *shard)
{
    if (shard->changed)
        return;
    shard->changed = true;
    shard->n_rows_before = shard->n_rows;
    shard->checksum_before = shard->checksum;
    shard->next_changed = store->changed;
    store->changed = shard;
}

static void count_in(struct threaded *store, struct threaded_shard *shard, const struct row *row)
{
    mark_changed(store, shard);
    shard->n_rows++;
    shard->checksum += row_checksum(row->text, row->n_bytes);
}

static void count_out(struct threaded *store, struct threaded_shard *shard, const struct row *row)
{
    mark_changed(store, shard);
    shard->n_rows--;
    shard->checksum -= row_checksum(row->text, row->n_bytes);
}

static int save_changed(struct threaded *store)
{
    for (struct threaded_shard *shard = store->changed; shard; shard = shard->next_changed) {
        int rc = store->ops->save(store, shard);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The transaction is over: counts stay, or go back to what they were. */
static void settle_changed(struct threaded *store, bool committed)
{
    for (struct threaded_shard *shard = store->changed; shard; shard = shard->next_changed) {
        shard->changed = false;
        if (committed)
            continue;
        shard->n_rows = shard->n_rows_before;
        shard->checksum = shard->checksum_before;
    }
    store->changed = NULL;
}

/* ---- one request each ---- */

static struct threaded_shard *shard_of(const struct store_request *request)
{
    return (struct threaded_shard *)request->shard;
}

static int put_new(struct threaded *store, struct threaded_shard *shard, const struct row *row)
{
    int rc = store->ops->put(store, shard, row, false);
    if (rc == 0)
        count_in(store, shard, row);
    return rc;
}

static int work_insert(struct threaded *store, struct store_request *request)
{
    struct threaded_shard *shard = shard_of(request);
    for (size_t i = 0; i < request->n_rows_in; i++) {
        int rc = put_new(store, shard, &request->rows[i]);
        if (rc == 0)
            continue;
        if (rc != -EEXIST)
            return rc;
        request->key = request->rows[i].key;
        while (i-- > 0) {
            rc = store->ops->remove(store, shard, request->rows[i].key);
            if (rc != 0)
                return rc;
            count_out(store, shard, &request->rows[i]);
        }
        return -EEXIST;
    }
    return 0;
}

/* STORE_UPDATE and STORE_DELETE: the old row has to be seen, for its checksum. */
static int work_change(struct threaded *store, struct store_request *request)
{
    struct threaded_shard *shard = shard_of(request);
    bool update = request->op == STORE_UPDATE;
    int64_t key = update ? request->rows[0].key : request->low;
    struct row old;
    int rc = store->ops->get(store, shard, key, &old);
    if (rc != 0)
        return rc;
    count_out(store, shard, &old);
    if (!update)
        return store->ops->remove(store, shard, key);
    count_in(store, shard, &request->rows[0]);
    return store->ops->put(store, shard, &request->rows[0], true);
}

/* What STORE_REPLACE finds in its range. */
struct found {
    struct threaded *store;
    struct store_request *request;
    size_t at;     /* of the request's rows */
    bool *same;    /* a flag for each: it is there as it is to be */
    int64_t *gone; /* keys that are not among them */
    size_t n_gone, capacity;
};

static bool look_at_found(void *context, const struct row *row)
{
    struct found *found = context;
    const struct store_request *request = found->request;
    while (found->at < request->n_rows_in && request->rows[found->at].key < row->key)
        found->at++;
    const struct row *wanted = found->at < request->n_rows_in ? &request->rows[found->at] : NULL;
    if (wanted && wanted->key == row->key && wanted->n_bytes == row->n_bytes &&
        memcmp(wanted->text, row->text, row->n_bytes) == 0) {
        found->same[found->at] = true;
        return true;
    }
    count_out(found->store, shard_of(request), row);
    if (wanted && wanted->key == row->key)
        return true;
    if (found->n_gone == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 64;
        found->gone = mem_realloc(found->gone, found->capacity, sizeof(int64_t));
    }
    found->gone[found->n_gone++] = row->key;
    return true;
}

static int work_replace(struct threaded *store, struct store_request *request)
{
    struct threaded_shard *shard = shard_of(request);
    struct found found = {.store = store,
                          .request = request,
                          .same = mem_zalloc(request->n_rows_in + 1, sizeof(bool))};
    int rc = store->ops->scan(store, shard, request->low, request->last, look_at_found, &found);
    for (size_t i = 0; i < found.n_gone && rc == 0; i++)
        rc = store->ops->remove(store, shard, found.gone[i]);
    for (size_t i = 0; i < request->n_rows_in && rc == 0; i++) {
        if (found.same[i])
            continue;
        rc = store->ops->put(store, shard, &request->rows[i], true);
        count_in(store, shard, &request->rows[i]);
    }
    free(found.same);
    free(found.gone);
    /* Where the scan found it and the table does not, the file is broken. */
    return rc == -ENOENT ? threaded_fail(store, -EIO, "a row that was found is not there") : rc;
}

static int work_absent(struct threaded *store, struct store_request *request)
{
    for (size_t i = 0; i < request->n_rows_in; i++) {
        struct row row;
        int rc = store->ops->get(store, shard_of(request), request->rows[i].key, &row);
        if (rc == 0) {
            request->key = request->rows[i].key;
            return -EEXIST;
        }
        if (rc != -ENOENT)
            return rc;
    }
    return 0;
}

static bool digest_row(void *context, const struct row *row)
{
    struct store_request *request = context;
    request->more = request->max_rows > 0 && request->n_rows == request->max_rows;
    if (request->more)
        return false;
    request->key = row->key;
    request->n_rows++;
    request->checksum += row_checksum(row->text, row->n_bytes);
    return true;
}

static int work_digest(struct threaded *store, struct store_request *request)
{
    const struct threaded_shard *shard = shard_of(request);
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
    if (request->low > INT64_MIN || request->last < INT64_MAX ||
        (request->max_rows > 0 && request->max_rows < shard->n_rows))
        return store->ops->scan(store, shard_of(request), request->low, request->last, digest_row,
                                request);
    request->n_rows = shard->n_rows;
    request->checksum = shard->checksum;
    return 0;
}

/* ---- reading a piece ---- */

struct reading {
    struct threaded_job *job;
    struct buf *rows;
    size_t start; /* of the piece in rows */
};

static void keep_row(struct buf *rows, const struct row *row)
{
    char *place = buf_reserve(rows, sizeof(row->key) + sizeof(row->n_bytes) + row->n_bytes);
    memcpy(place, &row->key, sizeof(row->key));
    memcpy(place + sizeof(row->key), &row->n_bytes, sizeof(row->n_bytes));
    memcpy(place + sizeof(row->key) + sizeof(row->n_bytes), row->text, row->n_bytes);
    buf_commit(rows, sizeof(row->key) + sizeof(row->n_bytes) + row->n_bytes);
}

static bool read_row(void *context, const struct row *row)
{
    struct reading *reading = context;
    struct threaded_job *job = reading->job;
    struct store_request *request = job->request;
    if (request->max_rows > 0 && request->n_rows + job->n_piece == request->max_rows) {
        request->more = true;
        return false;
    }
    if (buf_len(reading->rows) - reading->start >= THREADED_PIECE_BYTES) {
        job->unfinished = true;
        return false;
    }
    keep_row(reading->rows, row);
    job->n_piece++;
    return true;
}

static int work_read(struct threaded *store, struct threaded_job *job, struct buf *rows)
{
    struct store_request *request = job->request;
    struct reading reading = {.job = job, .rows = rows, .start = buf_len(rows)};
    request->more = false;
    job->unfinished = false;
    job->n_piece = 0;
    if (job->from < request->last)
        return store->ops->scan(store, shard_of(request), job->from, request->last, read_row,
                                &reading);
    struct row row;
    int rc = job->from > request->last ? -ENOENT
                                       : store->ops->get(store, shard_of(request), job->from, &row);
    if (rc == 0)
        read_row(&reading, &row);
    return rc == -ENOENT ? 0 : rc;
}

/* ---- shards ---- */

static struct threaded_shard *find_shard(const struct threaded *store, const char *name)
{
    for (size_t i = 0; i < store->n_shards; i++)
        if (strcmp(store->shards[i]->base.name, name) == 0)
            return store->shards[i];
    return NULL;
}

static int finish_transaction(struct threaded *store, int rc)
{
    if (rc == 0)
        rc = save_changed(store);
    if (rc == 0)
        rc = store->ops->commit(store);
    else
        store->ops->abort(store);
    settle_changed(store, rc == 0);
    return rc;
}

static int make_shard(struct threaded *store, struct store_request *request)
{
    if (store->n_shards >= STORE_MAX_SHARDS)
        return threaded_fail(store, -ENOSPC, "there are as many shards as there may be");
    struct threaded_shard *shard = mem_zalloc(1, store->ops->shard_bytes);
    store_shard_init(&shard->base, request);
    shard->id = ++store->last_id;
    int rc = store->ops->begin(store, true);
    if (rc == 0) {
        rc = store->ops->create(store, shard);
        mark_changed(store, shard);
        rc = finish_transaction(store, rc);
    }
    if (rc != 0) {
        store->ops->forget(store, shard);
        free(shard);
        return rc;
    }
    store->shards = mem_realloc(store->shards, store->n_shards + 1, sizeof(*store->shards));
    store->shards[store->n_shards++] = shard;
    request->shard = &shard->base;
    return 0;
}

static int work_create(struct threaded *store, struct store_request *request)
{
    struct threaded_shard *shard = find_shard(store, request->name);
    if (!shard) {
        int rc = make_shard(store, request);
        if (rc != 0)
            return rc;
        shard = shard_of(request);
    } else if (!schema_equal(&shard->base.schema, request->schema)) {
        return -EINVAL;
    }
    request->shard = &shard->base;
    request->n_rows_now = shard->n_rows;
    return 0;
}

/* The struct goes when the loop has heard of it. */
static int work_drop(struct threaded *store, struct store_request *request)
{
    struct threaded_shard *shard = shard_of(request);
    int rc = store->ops->begin(store, true);
    if (rc != 0)
        return rc;
    rc = finish_transaction(store, store->ops->drop(store, shard));
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < store->n_shards; i++)
        if (store->shards[i] == shard)
            store->shards[i] = store->shards[--store->n_shards];
    store->ops->forget(store, shard);
    return 0;
}

/* CREATE or DROP, with a transaction of its own. */
static void work_on_shard(struct threaded *store, struct threaded_job *job)
{
    bool create = job->request->op == STORE_CREATE;
    int rc;
    do
        rc = create ? work_create(store, job->request) : work_drop(store, job->request);
    while (rc == -ENOSPC && store->ops->grow && store->ops->grow(store));
    job->code = rc;
    job->request->reason = rc < 0 && rc != -EINVAL ? store->reason : NULL;
}

/* ---- transactions ---- */

static bool on_shards(const struct threaded_job *job)
{
    return job->request->op == STORE_CREATE || job->request->op == STORE_DROP;
}

static bool writes(const struct threaded_job *job)
{
    return job->request->op != STORE_READ && job->request->op != STORE_DIGEST &&
           job->request->op != STORE_ABSENT;
}

/* Answers that leave the transaction as good as it was. */
static bool harmless(int code)
{
    return code == 0 || code == -EEXIST || code == -ENOENT;
}

static int work_on(struct threaded *store, struct threaded_job *job, struct buf *rows)
{
    struct store_request *request = job->request;
    int rc;
    switch (request->op) {
    case STORE_INSERT:
        rc = work_insert(store, request);
        break;
    case STORE_UPDATE:
    case STORE_DELETE:
        rc = work_change(store, request);
        break;
    case STORE_REPLACE:
        rc = work_replace(store, request);
        break;
    case STORE_ABSENT:
        rc = work_absent(store, request);
        break;
    case STORE_READ:
        rc = work_read(store, job, rows);
        break;
    case STORE_DIGEST:
        rc = work_digest(store, request);
        break;
    case STORE_CREATE:
    case STORE_DROP:
    default:
        assert(false && "no operation on rows");
        rc = -EINVAL;
    }
    if (writes(job))
        request->n_rows_now = shard_of(request)->n_rows;
    return rc;
}

/* Works on jobs from `first` on in one transaction, on n of them at most (0: no limit), as far as
 * their kind and what they read allow. ret_n: how many. 0, or why it is undone. */
static int work_together(struct threaded *store, struct threaded_job *first, size_t max,
                         struct buf *rows, size_t *ret_n)
{
    size_t n = 0, start = buf_len(rows);
    bool any_writes = false;
    for (struct threaded_job *job = first; job && !on_shards(job); job = job->next)
        any_writes = any_writes || writes(job);
    int rc = store->ops->begin(store, any_writes);
    if (rc == 0) {
        for (struct threaded_job *job = first; job && !on_shards(job); job = job->next) {
            if ((max > 0 && n == max) || buf_len(rows) - start >= ROUND_BYTES)
                break;
            n++;
            job->code = work_on(store, job, rows);
            job->request->reason = NULL;
            if (harmless(job->code))
                continue;
            rc = job->code;
            break;
        }
        rc = finish_transaction(store, rc);
    }
    if (rc != 0)
        rows->end = rows->start + start;
    *ret_n = n > 0 ? n : 1;
    return rc;
}

void threaded_work(struct threaded *store, struct threaded_jobs *jobs, struct threaded_round *round)
{
    size_t n = 1;
    if (on_shards(jobs->first)) {
        work_on_shard(store, jobs->first);
        threaded_jobs_add(&round->jobs, threaded_jobs_take(jobs));
        return;
    }
    int rc;
    do
        rc = work_together(store, jobs->first, 0, &round->rows, &n);
    while (rc == -ENOSPC && store->ops->grow && store->ops->grow(store));
    for (; n > 0; n--) {
        struct threaded_job *job = jobs->first;
        if (rc != 0) {
            /* One of them cannot be done; which ones can, each by itself tells. */
            size_t one;
            int code = work_together(store, job, 1, &round->rows, &one);
            if (code != 0) {
                job->code = code;
                job->request->reason = store->reason;
            }
        }
        threaded_jobs_add(&round->jobs, threaded_jobs_take(jobs));
    }
}
