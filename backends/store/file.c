/* file: rows in memory, every change in a log on the disk before it is acknowledged.
 *
 *   submit ──▶ rows in memory ──▶ batch ──▶ log (one write, one fdatasync for all that wait)
 *                                            │ grows
 *   open ◀── newest snapshot, then the log ◀─┴─▶ snapshot of all rows, older segments removed
 *
 * DIR/log-N are the log's segments, DIR/snapshot-N the rows as of record N (wal_format.h), DIR/lock
 * is held by the process that has the store open. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/store/file_store.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"

static const struct option_def file_options[] = {
    {.name = "sync",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct file_params, sync),
     .metavar = "WHEN",
     .fallback = "always",
     .choices = "always|interval|none",
     .help = "when the log is synced: before a write is acknowledged, every interval, or by the "
             "kernel; the latter two may lose acknowledged rows with the machine's power, none "
             "with the process"},
    {.name = "interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct file_params, interval_ns),
     .metavar = "TIME",
     .fallback = "100ms",
     .min = NS_PER_MS,
     .max = 3600 * NS_PER_S,
     .unit = "ms",
     .help = "with sync=interval: the time between two syncs"},
    {.name = "segment",
     .type = OPTION_BYTES,
     .offset = offsetof(struct file_params, segment_bytes),
     .metavar = "BYTES",
     .fallback = "16M",
     .min = 64u << 10,
     .max = 1u << 30,
     .help = "of a file of the log, reserved before it is used"},
    {.name = "snapshot",
     .type = OPTION_BYTES,
     .offset = offsetof(struct file_params, snapshot_bytes),
     .metavar = "BYTES",
     .fallback = "64M",
     .min = 64u << 10,
     .max = UINT64_C(1) << 40,
     .help = "of log after which a snapshot of all rows is written and the log cut; the size of "
             "the snapshot before, when that is more"},
    {.name = NULL},
};

/* ---- shards by number ---- */

/* The index of the first shard of at least that number. */
static size_t lower_bound(const struct file_store *store, uint64_t number)
{
    size_t low = 0, high = store->n_numbered;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->numbered[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct file_shard *file_store_next_shard(const struct file_store *store, uint64_t number)
{
    size_t i = lower_bound(store, number);
    return i < store->n_numbered ? store->numbered[i] : NULL;
}

struct file_shard *file_store_find_shard(const struct file_store *store, uint64_t number)
{
    struct file_shard *shard = file_store_next_shard(store, number);
    return shard && shard->number == number ? shard : NULL;
}

struct file_shard *file_store_add_shard(struct file_store *store, uint64_t number)
{
    struct file_shard *shard = mem_zalloc(1, sizeof(*shard));
    size_t i = lower_bound(store, number);
    shard->number = number;
    rows_init(&shard->rows);
    store->numbered =
        mem_realloc(store->numbered, store->n_numbered + 1, sizeof(struct file_shard *));
    memmove(&store->numbered[i + 1], &store->numbered[i],
            (store->n_numbered - i) * sizeof(struct file_shard *));
    store->numbered[i] = shard;
    store->n_numbered++;
    return shard;
}

void file_store_free_shard(struct file_store *store, struct file_shard *shard)
{
    size_t i = lower_bound(store, shard->number);
    store->n_numbered--;
    memmove(&store->numbered[i], &store->numbered[i + 1],
            (store->n_numbered - i) * sizeof(struct file_shard *));
    rows_done(&shard->rows);
    free(shard);
}

/* ---- changes ---- */

static enum file_outcome create(struct file_store *store, struct store_request *request)
{
    if (store_settle_create(&store->base, request)) {
        const struct file_shard *shard = (const struct file_shard *)request->shard;
        if (request->code != 0)
            return FILE_SETTLED;
        request->n_rows_now = rows_count(&shard->rows);
        if (shard->created_seq <= store->log.done_seq)
            return FILE_SETTLED;
        file_log_append_nothing(store, request);
        return FILE_LOGGED;
    }
    struct buf schema;
    buf_init(&schema, 0);
    schema_print(request->schema, &schema);
    struct wal_change change = {
        .op = WAL_CREATE,
        .shard = store->next_shard,
        .name = request->name,
        .schema = buf_head(&schema),
        .n_schema = buf_len(&schema),
    };
    size_t n_bytes = wal_record_bytes(&change);
    bool has_room = file_log_reserve(store, n_bytes);
    if (has_room) {
        struct file_shard *shard = file_store_add_shard(store, store->next_shard++);
        store_shard_init(&shard->base, request);
        store_add_shard(&store->base, &shard->base);
        shard->created_seq = store->log.next_seq;
        request->shard = &shard->base;
        request->n_rows_now = 0;
        file_log_append(store, &change, n_bytes, request);
    }
    buf_done(&schema);
    return has_room ? FILE_LOGGED : FILE_NO_ROOM;
}

/* 0, or why the change cannot be; then nothing has changed. */
static int apply(struct file_store *store, struct store_request *request)
{
    struct file_shard *shard = (struct file_shard *)request->shard;
    struct rows *rows = &shard->rows;
    int rc = 0;
    switch (request->op) {
    case STORE_INSERT:
        rc = rows_insert(rows, request->rows, request->n_rows_in, &request->key);
        break;
    case STORE_UPDATE:
        rc = rows_update(rows, &request->rows[0]);
        break;
    case STORE_DELETE:
        rc = rows_remove(rows, request->low);
        break;
    case STORE_REPLACE:
        rows_replace(rows, request->low, request->last, request->rows, request->n_rows_in);
        break;
    case STORE_DROP:
        store_remove_shard(&store->base, &shard->base);
        file_store_free_shard(store, shard);
        return 0;
    default:
        break;
    }
    request->n_rows_now = rows_count(rows);
    return rc;
}

static struct wal_change change_of(const struct store_request *request)
{
    static const enum wal_op ops[] = {
        [STORE_DROP] = WAL_DROP,     [STORE_INSERT] = WAL_INSERT,   [STORE_UPDATE] = WAL_UPDATE,
        [STORE_DELETE] = WAL_DELETE, [STORE_REPLACE] = WAL_REPLACE,
    };
    struct wal_change change = {
        .op = ops[request->op],
        .shard = ((const struct file_shard *)request->shard)->number,
        .low = request->low,
        .last = request->last,
    };
    if (request->op == STORE_INSERT || request->op == STORE_REPLACE) {
        change.rows = request->rows;
        change.n_rows = request->n_rows_in;
    } else if (request->op == STORE_UPDATE) {
        change.rows = request->rows;
        change.n_rows = 1;
    }
    return change;
}

enum file_outcome file_store_change(struct file_store *store, struct store_request *request)
{
    request->code = 0;
    if (request->op == STORE_CREATE)
        return create(store, request);
    if (request->op == STORE_ABSENT) {
        const struct rows *rows = &((const struct file_shard *)request->shard)->rows;
        request->code = rows_absent(rows, request->rows, request->n_rows_in, &request->key);
        return FILE_SETTLED;
    }
    struct wal_change change = change_of(request);
    size_t n_bytes = wal_record_bytes(&change);
    if (n_bytes == 0) {
        request->code = -EMSGSIZE;
        request->reason = "more than 1 GiB of rows in one change";
        return FILE_SETTLED;
    }
    if (!file_log_reserve(store, n_bytes))
        return FILE_NO_ROOM;
    request->code = apply(store, request);
    if (request->code != 0)
        return FILE_SETTLED;
    file_log_append(store, &change, n_bytes, request);
    return FILE_LOGGED;
}

static enum store_submit file_submit(struct store *base, struct store_request *request)
{
    struct file_store *store = (struct file_store *)base;
    request->code = 0;
    if (request->op == STORE_READ || request->op == STORE_DIGEST) {
        rows_answer(&((const struct file_shard *)request->shard)->rows, request);
        return STORE_DONE;
    }
    if (store->is_closing) {
        request->code = -ECANCELED;
        request->reason = "the store is being closed";
        return STORE_DONE;
    }
    /* None overtakes those that wait for room. */
    enum file_outcome outcome =
        store->log.waiting ? FILE_NO_ROOM : file_store_change(store, request);
    if (outcome == FILE_SETTLED)
        return STORE_DONE;
    if (outcome == FILE_NO_ROOM)
        file_log_wait(store, request);
    return STORE_PENDING;
}

static void on_flush(struct flush_item *item)
{
    struct file_store *store =
        (struct file_store *)((char *)item - offsetof(struct file_store, flush));
    file_log_flush(store);
    file_snapshot_begin_if_due(store);
}

/* ---- open and close ---- */

void file_store_free(struct file_store *store)
{
    file_snapshot_done(store);
    file_log_done(store);
    while (store->n_numbered > 0)
        file_store_free_shard(store, store->numbered[store->n_numbered - 1]);
    free(store->numbered);
    free(store->base.shards);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->dir);
    free(store);
}

static int take_lock(struct file_store *store, struct err *err)
{
    char *path = mem_printf("%s/lock", store->dir);
    int fd = file_lock(path, err);
    free(path);
    if (fd < 0)
        return fd;
    store->lock_fd = fd;
    return 0;
}

static int file_open(const void *params, const struct store_config *config, struct store *inner,
                     struct store **ret_store, struct err *err)
{
    struct file_store *store = mem_zalloc(1, sizeof(*store));
    (void)inner;
    store->params = *(const struct file_params *)params;
    store->dir = mem_strdup(config->dir);
    store->lock_fd = -1;
    store->flusher = config->flusher;
    store->flush.flush = on_flush;
    store->io[FILE_IO_LOG].part = "log";
    store->io[FILE_IO_SNAPSHOT].part = "snapshot";
    store->base.io = store->io;
    store->base.n_io = FILE_N_IO;
    file_log_init(store);
    file_snapshot_init(store);
    int rc = take_lock(store, err);
    if (rc == 0)
        rc = file_recovery_run(store, err);
    if (rc != 0) {
        file_store_free(store);
        return rc;
    }
    store->commit.sync = (enum wal_sync)store->params.sync;
    store->commit.interval_ns = store->params.interval_ns;
    store->commit.io = &store->io[FILE_IO_LOG];
    store->commit.on_batch = file_log_on_batch;
    store->commit.context = store;
    rc = wal_commit_open(&store->commit, config->loop, store->log.done_seq);
    if (rc == 0) {
        rc = wal_worker_open(&store->worker, config->loop);
        if (rc != 0)
            wal_commit_close(&store->commit);
    }
    if (rc != 0) {
        file_store_free(store);
        return err_set_errno(err, rc, "cannot start a thread of the store");
    }
    *ret_store = &store->base;
    return 0;
}

/* The worker first: what it still tells may bring room to those that wait, whose records the commit
 * thread then writes. */
static void file_close(struct store *base)
{
    struct file_store *store = (struct file_store *)base;
    store->is_closing = true;
    wal_worker_close(&store->worker);
    file_log_settle(store);
    file_log_flush(store);
    flusher_remove(store->flusher, &store->flush);
    wal_commit_close(&store->commit);
    file_store_free(store);
}

static void file_describe(const struct store *base, struct buf *out)
{
    const struct file_store *store = (const struct file_store *)base;
    const struct file_found *found = &store->found;
    uint64_t n_commits = atomic_load_explicit(&store->commit.n_frames, memory_order_relaxed);
    uint64_t n_syncs = atomic_load_explicit(&store->commit.n_syncs, memory_order_relaxed);
    uint64_t sync_ns = atomic_load_explicit(&store->commit.sync_ns, memory_order_relaxed);
    buf_appendf(out,
                "rows_recovered=%ju records_replayed=%ju bytes_read=%ju cut_bytes=%ju "
                "recovery_ms=%.1f shards=%zu log_bytes=%ju segments=%zu snapshots=%ju "
                "snapshots_failed=%ju commits=%ju syncs=%ju sync_us=%.1f",
                (uintmax_t)found->n_rows, (uintmax_t)found->n_records, (uintmax_t)found->n_bytes,
                (uintmax_t)found->n_cut_bytes, (double)found->took_ns / (double)NS_PER_MS,
                base->n_shards, (uintmax_t)store->log.n_bytes, store->log.n_closed + 1,
                (uintmax_t)store->snapshot.n_done, (uintmax_t)store->snapshot.n_failed,
                (uintmax_t)n_commits, (uintmax_t)n_syncs,
                n_syncs > 0 ? (double)sync_ns / (double)n_syncs / (double)NS_PER_US : 0.0);
}

static const struct store_ops file_store = {
    .part = {.name = "file",
             .summary = "rows in memory, changes in a log on the disk: group commit, snapshots",
             .source = "Mohan et al., ARIES (write-ahead logging), 1992; DeWitt et al., "
                       "Implementation Techniques for Main Memory Database Systems, 1984 (group "
                       "commit)",
             .options = file_options,
             .params_size = sizeof(struct file_params)},
    .caps = STORE_DURABLE,
    .open = file_open,
    .close = file_close,
    .submit = file_submit,
    .describe = file_describe,
};

STORE_REGISTER(file_store);
