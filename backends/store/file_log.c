#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/store/file_store.h"
#include "core/mem.h"

/* What a batch may keep of its memory for the next one. */
#define KEEP_BYTES ((size_t)1 << 20)
/* Where a segment is this full, the next one is made. */
#define AHEAD_FRACTION 2

static void give_make(struct file_store *store, uint64_t n_bytes);

void file_log_init(struct file_store *store)
{
    struct file_log *log = &store->log;
    log->next_seq = 1;
    log->next_number = 1;
    log->last_waiting = &log->waiting;
    log->make.store = store;
}

static void batch_free(struct file_batch *batch)
{
    if (!batch)
        return;
    buf_done(&batch->base.records);
    free(batch);
}

void file_log_done(struct file_store *store)
{
    struct file_log *log = &store->log;
    batch_free(log->batch);
    while (log->idle) {
        struct file_batch *next = (struct file_batch *)log->idle->base.next;
        batch_free(log->idle);
        log->idle = next;
    }
    for (size_t i = 0; i < log->n_retired; i++)
        wal_segment_free(log->retired[i]);
    wal_segment_free(log->current);
    wal_segment_free(log->spare);
    free(log->retired);
    free(log->closed);
}

void file_log_add_closed(struct file_log *log, uint64_t number, uint64_t last_seq)
{
    log->closed = mem_realloc(log->closed, log->n_closed + 1, sizeof(*log->closed));
    log->closed[log->n_closed++] = (struct file_closed){.number = number, .last_seq = last_seq};
}

void file_log_drop_closed(struct file_log *log, size_t n)
{
    log->n_closed -= n;
    for (size_t i = 0; i < log->n_closed; i++)
        log->closed[i] = log->closed[i + n];
}

/* ---- batches ---- */

static void push_batch(struct file_store *store)
{
    struct file_batch *batch = store->log.batch;
    store->log.batch = NULL;
    wal_commit_push(&store->commit, &batch->base);
}

/* The batch that takes what comes next: of the current segment. */
static struct file_batch *open_batch(struct file_store *store)
{
    struct file_log *log = &store->log;
    if (log->batch && log->batch->base.segment == log->current)
        return log->batch;
    if (log->batch)
        push_batch(store);
    struct file_batch *batch = log->idle;
    if (batch) {
        log->idle = (struct file_batch *)batch->base.next;
    } else {
        batch = mem_zalloc(1, sizeof(*batch));
        buf_init(&batch->base.records, 0);
    }
    batch->base.segment = log->current;
    batch->base.n_records = 0;
    batch->base.first_seq = log->next_seq;
    batch->base.must_sync = false;
    batch->first = NULL;
    batch->last = &batch->first;
    log->batch = batch;
    if (!store->is_closing)
        flusher_add(store->flusher, &store->flush);
    return batch;
}

static void add_request(struct file_batch *batch, struct store_request *request)
{
    request->next = NULL;
    *batch->last = request;
    batch->last = &request->next;
}

/* What the frame's header takes: once for the batch, however many of its records come. */
static size_t header_bytes(const struct file_log *log)
{
    bool has_one =
        log->batch && log->batch->base.segment == log->current && log->batch->base.n_records > 0;
    return has_one ? 0 : WAL_FRAME_HEADER_BYTES;
}

void file_log_append(struct file_store *store, const struct wal_change *change, size_t n_bytes,
                     struct store_request *request)
{
    struct file_log *log = &store->log;
    size_t n_header = header_bytes(log);
    struct file_batch *batch = open_batch(store);
    log->current->n_reserved += n_header + n_bytes;
    assert(log->current->n_reserved <= log->current->n_bytes);
    wal_record_put(change, n_bytes, &batch->base.records);
    batch->base.n_records++;
    log->next_seq++;
    log->n_bytes += n_bytes;
    add_request(batch, request);
}

void file_log_append_nothing(struct file_store *store, struct store_request *request)
{
    add_request(open_batch(store), request);
}

void file_log_flush(struct file_store *store)
{
    struct file_log *log = &store->log;
    if (log->batch)
        push_batch(store);
    bool is_ahead = log->current->n_reserved > log->current->n_bytes / AHEAD_FRACTION;
    if (is_ahead && !log->spare && !log->has_failed_ahead && !store->is_closing)
        give_make(store, store->params.segment_bytes);
}

const struct wal_batch *file_log_barrier(struct file_store *store)
{
    const struct wal_batch *barrier = &open_batch(store)->base;
    store->log.batch->base.must_sync = true;
    return barrier;
}

/* Those that no batch to come names: the thread is done with them. */
static void free_retired(struct file_log *log, const struct wal_segment *in_use)
{
    size_t n = 0;
    while (n < log->n_retired && log->retired[n] != in_use)
        wal_segment_free(log->retired[n++]);
    for (size_t i = n; i < log->n_retired; i++)
        log->retired[i - n] = log->retired[i];
    log->n_retired -= n;
}

void file_log_on_batch(void *context, struct wal_batch *base)
{
    struct file_store *store = context;
    struct file_log *log = &store->log;
    struct file_batch *batch = (struct file_batch *)base;
    struct store_request *request = batch->first;
    bool is_barrier = base == store->snapshot.barrier;

    free_retired(log, base->segment);
    log->done_seq = base->first_seq + base->n_records - 1;
    buf_clear(&base->records);
    buf_shrink(&base->records, KEEP_BYTES);
    base->next = log->idle ? &log->idle->base : NULL;
    log->idle = batch;
    while (request) {
        struct store_request *next = request->next;
        request->on_done(request);
        request = next;
    }
    if (is_barrier)
        file_snapshot_on_synced(store);
}

/* ---- room ---- */

static void retire(struct file_log *log, struct wal_segment *segment)
{
    log->retired = mem_realloc(log->retired, log->n_retired + 1, sizeof(struct wal_segment *));
    log->retired[log->n_retired++] = segment;
    file_log_add_closed(log, segment->number, log->next_seq - 1);
}

bool file_log_reserve(struct file_store *store, size_t n_bytes)
{
    struct file_log *log = &store->log;
    uint64_t n_left = log->current->n_bytes - log->current->n_reserved;
    if (header_bytes(log) + n_bytes <= n_left)
        return true;
    uint64_t n_needed = WAL_FILE_HEADER_BYTES + WAL_FRAME_HEADER_BYTES + n_bytes;
    if (!log->spare || n_needed > log->spare->n_bytes) {
        uint64_t n_usual = store->params.segment_bytes;
        log->n_wanted = n_needed > n_usual ? n_needed : n_usual;
        if (!store->is_closing && !log->is_refusing)
            give_make(store, log->n_wanted);
        return false;
    }
    retire(log, log->current);
    log->current = log->spare;
    log->spare = NULL;
    log->has_failed_ahead = false;
    return true;
}

/* A spare that is too small for what waits is left empty. */
static void take_spare(struct file_log *log, struct wal_segment *segment)
{
    if (log->spare) {
        file_log_add_closed(log, log->spare->number, log->next_seq - 1);
        wal_segment_free(log->spare);
    }
    log->spare = segment;
}

void file_log_wait(struct file_store *store, struct store_request *request)
{
    request->next = NULL;
    *store->log.last_waiting = request;
    store->log.last_waiting = &request->next;
}

/* Tries the first of those that wait. false: it found no room and goes on waiting; with a code,
 * which says why no room could be made, it is refused instead. */
static bool try_first(struct file_store *store, int code)
{
    struct file_log *log = &store->log;
    struct store_request *request = log->waiting, *next = request->next;
    enum file_outcome outcome = file_store_change(store, request);
    if (outcome == FILE_NO_ROOM && code == 0)
        return false;
    log->waiting = next;
    if (!next)
        log->last_waiting = &log->waiting;
    if (outcome == FILE_NO_ROOM) {
        request->code = code;
        request->reason = log->reason;
    }
    if (outcome != FILE_LOGGED)
        request->on_done(request);
    return true;
}

static void try_waiting(struct file_store *store)
{
    while (store->log.waiting && try_first(store, 0))
        continue;
}

/* No room could be made. Of those that wait now, some may need none, or less than there is; the
 * others are refused. What they submit when they are told is tried anew. */
static void refuse_waiting(struct file_store *store, int code)
{
    struct file_log *log = &store->log;
    size_t n = 0;
    for (const struct store_request *request = log->waiting; request; request = request->next)
        n++;
    log->is_refusing = true;
    while (n-- > 0)
        try_first(store, code);
    log->is_refusing = false;
    try_waiting(store);
}

static void on_room(struct file_store *store, int code, struct wal_segment *segment,
                    const struct err *err)
{
    struct file_log *log = &store->log;
    if (code == 0) {
        take_spare(log, segment);
        try_waiting(store);
        return;
    }
    log->has_failed_ahead = true;
    snprintf(log->reason, sizeof(log->reason), "%s", err->message);
    refuse_waiting(store, code);
}

static void make_segment(struct wal_job *job)
{
    struct file_make *make = (struct file_make *)job;
    make->code =
        wal_segment_make(make->store->dir, make->number, make->n_bytes, &make->segment, &make->err);
}

static void on_made(struct wal_job *job)
{
    struct file_make *make = (struct file_make *)job;
    struct file_store *store = make->store;
    make->is_given = false;
    if (make->code == 0)
        store->log.next_number++;
    on_room(store, make->code, make->segment, &make->err);
}

static void give_make(struct file_store *store, uint64_t n_bytes)
{
    struct file_make *make = &store->log.make;
    if (make->is_given)
        return;
    make->is_given = true;
    make->job.work = make_segment;
    make->job.on_done = on_made;
    make->number = store->log.next_number;
    make->n_bytes = n_bytes;
    wal_worker_give(&store->worker, &make->job);
}

void file_log_settle(struct file_store *store)
{
    struct file_log *log = &store->log;
    for (try_waiting(store); log->waiting; try_waiting(store)) {
        struct wal_segment *segment = NULL;
        struct err err = {0};
        int rc = wal_segment_make(store->dir, log->next_number, log->n_wanted, &segment, &err);
        if (rc == 0)
            log->next_number++;
        on_room(store, rc, segment, &err);
    }
}
