/* A snapshot is written while the store runs: the loop walks all rows, a piece at a time, and a job
 * of the worker writes each piece. What is changed meanwhile may be in it or not; every record
 * after its start is replayed over it, and since each says what its keys hold afterwards, the rows
 * are the same in the end. It gets its name when the log is on the disk up to where the walk ended:
 * it may hold nothing that the log could still lose.
 *
 *   record   start_seq          end_seq
 *   log   ───────┼──────────────────┼──────────▶
 *                └─ walk, in pieces ┘ sync, rename, remove what ends at or before start_seq
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/store/file_store.h"
#include "backends/store/wal_io.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "core/mem.h"

/* Of rows that the loop copies at once: some tens of microseconds. */
#define PIECE_BYTES ((size_t)64 * 1024)
#define PIECE_ROWS 1024u
/* Synced in steps, so that the log's own syncs never wait behind a whole snapshot. */
#define SYNC_BYTES (UINT64_C(4) << 20)

void file_snapshot_init(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    snapshot->store = store;
    snapshot->fd = -1;
    snapshot->due_bytes = store->params.snapshot_bytes;
    buf_init(&snapshot->records, 0);
}

static void forget_file(struct file_snapshot *snapshot)
{
    free(snapshot->path);
    free(snapshot->temporary);
    free(snapshot->superfluous);
    snapshot->path = snapshot->temporary = NULL;
    snapshot->superfluous = NULL;
    snapshot->n_superfluous = 0;
    buf_clear(&snapshot->records);
    buf_shrink(&snapshot->records, 0);
}

/* ---- on the worker ---- */

static void give_up(struct file_snapshot *snapshot)
{
    if (snapshot->fd >= 0) {
        close(snapshot->fd);
        wal_io->remove(snapshot->temporary);
    }
    snapshot->fd = -1;
}

static struct store_io *io_of(const struct file_snapshot *snapshot)
{
    return &snapshot->store->io[FILE_IO_SNAPSHOT];
}

static int write_bytes(struct file_snapshot *snapshot, struct iovec *pieces, int n_pieces,
                       uint64_t offset)
{
    uint64_t n_bytes = 0;
    for (int i = 0; i < n_pieces; i++)
        n_bytes += pieces[i].iov_len;
    int rc = wal_io_write_all(snapshot->fd, pieces, n_pieces, offset);
    if (rc == 0)
        metric_bump_by(&io_of(snapshot)->n_bytes, n_bytes);
    return rc;
}

static int sync_file(struct file_snapshot *snapshot)
{
    uint64_t start_ns = clock_now_ns();
    int rc = wal_io->sync(snapshot->fd);
    metric_observe_ns(&io_of(snapshot)->syncs, clock_now_ns() - start_ns);
    return rc;
}

static int begin_file(struct file_snapshot *snapshot)
{
    unsigned char header[WAL_FILE_HEADER_BYTES];
    struct iovec piece = {.iov_base = header, .iov_len = sizeof(header)};
    int fd = wal_io->create(snapshot->temporary);
    if (fd < 0)
        return fd;
    snapshot->fd = fd;
    snapshot->offset = sizeof(header);
    snapshot->n_unsynced = 0;
    snapshot->next_seq = 1;
    wal_file_header_put(WAL_SNAPSHOT, &(struct wal_file_header){.number = snapshot->start_seq},
                        header);
    return write_bytes(snapshot, &piece, 1, 0);
}

static int write_piece(struct file_snapshot *snapshot)
{
    unsigned char header[WAL_FRAME_HEADER_BYTES];
    size_t n = buf_len(&snapshot->records);
    struct wal_frame frame = {
        .first_seq = snapshot->next_seq,
        .n_records = snapshot->n_records,
        .n_bytes = (uint32_t)n,
        .crc = crc32c(0, buf_head(&snapshot->records), n),
    };
    wal_frame_put(&frame, header);
    struct iovec pieces[] = {
        {.iov_base = header, .iov_len = sizeof(header)},
        {.iov_base = buf_head(&snapshot->records), .iov_len = n},
    };
    int rc = write_bytes(snapshot, pieces, 2, snapshot->offset);
    snapshot->next_seq += snapshot->n_records;
    snapshot->offset += sizeof(header) + n;
    snapshot->n_unsynced += n;
    if (rc == 0 && snapshot->n_unsynced >= SYNC_BYTES) {
        rc = sync_file(snapshot);
        snapshot->n_unsynced = 0;
    }
    return rc;
}

static void work_on_piece(struct wal_job *job)
{
    struct file_snapshot *snapshot = (struct file_snapshot *)job;
    snapshot->code = snapshot->fd < 0 ? begin_file(snapshot) : 0;
    if (snapshot->code == 0 && snapshot->n_records > 0)
        snapshot->code = write_piece(snapshot);
    if (snapshot->code != 0)
        give_up(snapshot);
}

/* Oldest first, so that what is left after a crash is the end of the log without a gap. One that
 * cannot be removed is removed when the store is opened next. */
static void remove_superfluous(const struct file_snapshot *snapshot)
{
    const char *dir = snapshot->store->dir;
    for (size_t i = 0; i < snapshot->n_superfluous; i++) {
        char *path = wal_segment_path(dir, snapshot->superfluous[i].number);
        int rc = wal_io->remove(path);
        free(path);
        if (rc != 0)
            return;
    }
    if (snapshot->old_number != 0) {
        char *path = wal_snapshot_path(dir, snapshot->old_number);
        wal_io->remove(path);
        free(path);
    }
}

static void work_on_end(struct wal_job *job)
{
    struct file_snapshot *snapshot = (struct file_snapshot *)job;
    int rc = write_piece(snapshot);
    if (rc == 0)
        rc = sync_file(snapshot);
    if (rc == 0)
        rc = wal_io->rename(snapshot->temporary, snapshot->path);
    snapshot->code = rc;
    if (rc != 0) {
        give_up(snapshot);
        return;
    }
    close(snapshot->fd);
    snapshot->fd = -1;
    /* Until its name is known to be on the disk, the files before it are what recovery would need;
     * the file itself is right either way. */
    snapshot->code = wal_io->sync_folder(snapshot->store->dir);
    if (snapshot->code == 0)
        remove_superfluous(snapshot);
}

/* ---- on the loop ---- */

static void fail(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    snapshot->state = FILE_SNAPSHOT_NONE;
    snapshot->due_bytes = store->log.n_bytes + store->params.snapshot_bytes;
    snapshot->n_failed++;
    forget_file(snapshot);
}

/* Adds what is next of the walk. false: it is over. */
static bool walk_shard(struct file_snapshot *snapshot, const struct file_shard *shard)
{
    struct row rows[PIECE_ROWS];
    size_t n = 0, n_bytes = 0;
    struct btree_place at = btree_seek(&shard->rows.index, snapshot->key);
    for (; !btree_at_end(at) && n < PIECE_ROWS && n_bytes < PIECE_BYTES; btree_next(&at)) {
        rows[n] = rows_at(at);
        n_bytes += rows[n++].n_bytes;
    }
    struct wal_change change = {
        .op = WAL_INSERT, .shard = shard->number, .rows = rows, .n_rows = n};
    if (n > 0) {
        wal_record_put(&change, wal_record_bytes(&change), &snapshot->records);
        snapshot->n_records++;
        snapshot->end.n_rows += n;
    }
    if (!btree_at_end(at))
        snapshot->key = btree_key(at);
    return !btree_at_end(at);
}

static void put_shard(struct file_snapshot *snapshot, const struct file_shard *shard)
{
    struct buf schema;
    buf_init(&schema, 0);
    schema_print(&shard->base.schema, &schema);
    struct wal_change change = {
        .op = WAL_CREATE,
        .shard = shard->number,
        .name = shard->base.name,
        .schema = buf_head(&schema),
        .n_schema = buf_len(&schema),
    };
    wal_record_put(&change, wal_record_bytes(&change), &snapshot->records);
    snapshot->n_records++;
    buf_done(&schema);
}

/* Gathers a piece. false: there is nothing left. */
static bool gather(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    buf_clear(&snapshot->records);
    snapshot->n_records = 0;
    while (buf_len(&snapshot->records) < PIECE_BYTES) {
        struct file_shard *shard = file_store_next_shard(store, snapshot->shard);
        if (!shard)
            return snapshot->n_records > 0;
        /* The one it was in may have been dropped. */
        if (!snapshot->is_in_shard || shard->number != snapshot->shard) {
            put_shard(snapshot, shard);
            snapshot->shard = shard->number;
            snapshot->is_in_shard = true;
            snapshot->key = INT64_MIN;
        }
        if (!walk_shard(snapshot, shard)) {
            snapshot->shard++;
            snapshot->is_in_shard = false;
        }
    }
    return true;
}

static void on_piece(struct wal_job *job)
{
    struct file_snapshot *snapshot = (struct file_snapshot *)job;
    struct file_store *store = snapshot->store;
    if (snapshot->code != 0) {
        fail(store);
        return;
    }
    if (store->is_closing)
        return;
    if (gather(store)) {
        wal_worker_give(&store->worker, &snapshot->job);
        return;
    }
    snapshot->end.start_seq = snapshot->start_seq;
    snapshot->end.end_seq = store->log.next_seq - 1;
    snapshot->end.next_shard = store->next_shard;
    snapshot->state = FILE_SNAPSHOT_SYNCING;
    snapshot->barrier = file_log_barrier(store);
}

void file_snapshot_begin_if_due(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    const struct file_log *log = &store->log;
    if (snapshot->state != FILE_SNAPSHOT_NONE || log->n_bytes < snapshot->due_bytes ||
        store->is_closing)
        return;
    snapshot->state = FILE_SNAPSHOT_WRITING;
    snapshot->start_seq = log->next_seq - 1;
    snapshot->n_log_bytes = log->n_bytes;
    snapshot->shard = 0;
    snapshot->is_in_shard = false;
    snapshot->end = (struct wal_end){0};
    snapshot->path = wal_snapshot_path(store->dir, snapshot->start_seq);
    snapshot->temporary = mem_printf("%s.tmp", snapshot->path);
    snapshot->job.work = work_on_piece;
    snapshot->job.on_done = on_piece;
    gather(store);
    wal_worker_give(&store->worker, &snapshot->job);
}

static void on_end(struct wal_job *job)
{
    struct file_snapshot *snapshot = (struct file_snapshot *)job;
    struct file_store *store = snapshot->store;
    struct file_log *log = &store->log;
    if (snapshot->code != 0) {
        fail(store);
        return;
    }
    file_log_drop_closed(log, snapshot->n_superfluous);
    log->n_bytes -= snapshot->n_log_bytes;
    snapshot->state = FILE_SNAPSHOT_NONE;
    snapshot->number = snapshot->start_seq;
    snapshot->n_bytes = snapshot->offset;
    snapshot->due_bytes = store->params.snapshot_bytes > snapshot->n_bytes
                              ? store->params.snapshot_bytes
                              : snapshot->n_bytes;
    snapshot->n_done++;
    forget_file(snapshot);
}

void file_snapshot_on_synced(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    const struct file_log *log = &store->log;
    snapshot->barrier = NULL;
    /* The worker has ended: the log is enough. */
    if (store->is_closing)
        return;
    size_t n = 0;
    while (n < log->n_closed && log->closed[n].last_seq <= snapshot->start_seq)
        n++;
    snapshot->superfluous = mem_alloc((n + 1) * sizeof(*snapshot->superfluous));
    for (size_t i = 0; i < n; i++)
        snapshot->superfluous[i] = log->closed[i];
    snapshot->n_superfluous = n;
    snapshot->old_number = snapshot->number;
    struct wal_change change = {.op = WAL_END, .end = snapshot->end};
    buf_clear(&snapshot->records);
    wal_record_put(&change, wal_record_bytes(&change), &snapshot->records);
    snapshot->n_records = 1;
    snapshot->state = FILE_SNAPSHOT_ENDING;
    snapshot->job.work = work_on_end;
    snapshot->job.on_done = on_end;
    wal_worker_give(&store->worker, &snapshot->job);
}

void file_snapshot_done(struct file_store *store)
{
    struct file_snapshot *snapshot = &store->snapshot;
    give_up(snapshot);
    forget_file(snapshot);
    buf_done(&snapshot->records);
}
