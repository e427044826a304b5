/* The inside of the `file` store, for its own parts:
 *
 *   file.c           the store's operations: checks a change, applies it, has it logged
 *   file_log.c       the log as the loop sees it: batches, room, segments, whom to tell
 *   file_snapshot.c  writes a snapshot beside the running store, removes what it makes superfluous
 *   file_recovery.c  reads snapshot and log back
 *   wal_*            the bytes, the files and the two threads
 *
 * A change is applied to the rows in memory at its submit, so that the next request sees it, and
 * acknowledged when it is on the disk. It cannot fail between the two: room in the log is reserved
 * before, and a write or sync that fails ends the process (wal_commit.h). */
#ifndef QUOIT_BACKENDS_STORE_FILE_STORE_H
#define QUOIT_BACKENDS_STORE_FILE_STORE_H

#include "backends/store.h"
#include "backends/store/rows.h"
#include "backends/store/wal_commit.h"
#include "backends/store/wal_format.h"
#include "backends/store/wal_segment.h"
#include "backends/store/wal_worker.h"

struct file_params {
    int sync; /* enum wal_sync */
    uint64_t interval_ns;
    uint64_t segment_bytes;
    uint64_t snapshot_bytes;
};

struct file_shard {
    struct store_shard base; /* first member */
    uint64_t number;         /* in the log; never used again */
    uint64_t created_seq;    /* the record of its creation */
    struct rows rows;
};

struct file_batch {
    struct wal_batch base;               /* first member */
    struct store_request *first, **last; /* who waits for it */
};

/* A file of the log that takes no more frames. */
struct file_closed {
    uint64_t number;
    uint64_t last_seq; /* no record of it or of an older one has a greater number */
};

struct file_make {
    struct wal_job job; /* first member */
    struct file_store *store;
    uint64_t number, n_bytes;
    struct wal_segment *segment;
    int code;
    struct err err;
    bool is_given;
};

struct file_log {
    uint64_t next_seq;                   /* of the next record */
    uint64_t done_seq;                   /* every record up to here has been acknowledged */
    uint64_t n_bytes;                    /* of records since the newest snapshot's start */
    struct file_batch *batch;            /* gathering, or NULL */
    struct file_batch *idle;             /* to be used again */
    struct wal_segment *current, *spare; /* spare: NULL when there is none yet */
    struct wal_segment **retired;        /* handed over, perhaps still written to; oldest first */
    size_t n_retired;
    struct file_closed *closed; /* ascending */
    size_t n_closed;
    uint64_t next_number;
    struct file_make make;
    uint64_t n_wanted;     /* of a segment for the first of those that wait */
    bool is_refusing;      /* no room could be made: none is asked for */
    bool has_failed_ahead; /* no spare could be made for `current`: tried again when it is full */
    /* Changes that wait for room, in order. */
    struct store_request *waiting, **last_waiting;
    char reason[ERR_MESSAGE_BYTES]; /* why the last ones that waited were refused */
};

enum file_snapshot_state {
    FILE_SNAPSHOT_NONE,
    FILE_SNAPSHOT_WRITING, /* a job writes what was gathered */
    FILE_SNAPSHOT_SYNCING, /* waits until the log is on the disk up to its end */
    FILE_SNAPSHOT_ENDING,  /* a job gives it its name */
};

struct file_snapshot {
    struct wal_job job; /* first member */
    struct file_store *store;
    enum file_snapshot_state state;
    uint64_t start_seq;
    uint64_t n_log_bytes; /* of the log at its start */
    uint64_t shard;       /* where the walk is: this shard, rows from `key` on */
    int64_t key;
    bool is_in_shard;
    const struct wal_batch *barrier;
    /* The job's while it is given. */
    struct buf records;
    uint32_t n_records;
    bool is_last;
    struct wal_end end;
    int fd;
    uint64_t offset, n_unsynced, next_seq;
    char *path, *temporary;
    struct file_closed *superfluous;
    size_t n_superfluous;
    uint64_t old_number; /* of the snapshot before; 0: none */
    int code;
    struct err err;
    /* The newest that stands. */
    uint64_t number; /* 0: none */
    uint64_t n_bytes;
    uint64_t due_bytes; /* of the log: then the next one is begun */
    uint64_t n_done, n_failed;
};

/* What recovery found, for describe(). */
struct file_found {
    uint64_t n_rows, n_records, n_bytes;
    uint64_t n_cut_bytes;
    uint64_t took_ns;
};

enum file_io { FILE_IO_LOG, FILE_IO_SNAPSHOT, FILE_N_IO };

struct file_store {
    struct store base;             /* first member */
    struct store_io io[FILE_N_IO]; /* each its thread's: the log's frames, the snapshots' */
    struct file_params params;
    char *dir;
    int lock_fd;
    bool is_closing;
    struct flusher *flusher;
    struct flush_item flush;
    struct wal_commit commit;
    struct wal_worker worker;
    struct file_log log;
    struct file_snapshot snapshot;
    struct file_found found;
    uint64_t next_shard;
    struct file_shard **numbered; /* all shards, ascending by number */
    size_t n_numbered;
};

/* ---- file.c ---- */

/* A shard without rows, in `numbered` but not in the base's list. */
struct file_shard *file_store_add_shard(struct file_store *store, uint64_t number);
/* The shard of that number, or NULL. */
struct file_shard *file_store_find_shard(const struct file_store *store, uint64_t number);
/* The first one of at least that number, or NULL. */
struct file_shard *file_store_next_shard(const struct file_store *store, uint64_t number);
/* Takes it out of `numbered` and frees it. */
void file_store_free_shard(struct file_store *store, struct file_shard *shard);
/* All of it, however far its opening has come; nothing may be under way. */
void file_store_free(struct file_store *store);
enum file_outcome { FILE_SETTLED, FILE_LOGGED, FILE_NO_ROOM };
/* Checks, applies and logs a change: settled (->code is set), logged (on_done will be called), or
 * untouched for want of room in the log. */
enum file_outcome file_store_change(struct file_store *store, struct store_request *request);

/* ---- file_log.c ---- */

/* Before recovery, which sets where the log goes on. */
void file_log_init(struct file_store *store);
/* The threads are ended; frees what there is. */
void file_log_done(struct file_store *store);
/* Whether a record of n bytes has room; false: it is being seen to. */
bool file_log_reserve(struct file_store *store, size_t n_bytes);
/* Logs a record for which room was reserved last, and whom to tell when it is durable. */
void file_log_append(struct file_store *store, const struct wal_change *change, size_t n_bytes,
                     struct store_request *request);
/* Has the request told when all that was logged before is durable. */
void file_log_append_nothing(struct file_store *store, struct store_request *request);
/* Has the request tried again when there is room. */
void file_log_wait(struct file_store *store, struct store_request *request);
/* Hands over what was gathered. A batch that has records or somebody waiting. */
void file_log_flush(struct file_store *store);
/* Sees to those that wait for room, making it while the caller waits. */
void file_log_settle(struct file_store *store);
/* Pushes an empty batch that comes back when all before it is on the disk, whatever `sync`. */
const struct wal_batch *file_log_barrier(struct file_store *store);
/* wal_commit.on_batch */
void file_log_on_batch(void *context, struct wal_batch *base);
void file_log_add_closed(struct file_log *log, uint64_t number, uint64_t last_seq);
/* Forgets the oldest n of them, whose files are gone. */
void file_log_drop_closed(struct file_log *log, size_t n);

/* ---- file_snapshot.c ---- */

void file_snapshot_init(struct file_store *store);
void file_snapshot_done(struct file_store *store);
/* Begins one when the log has grown enough. */
void file_snapshot_begin_if_due(struct file_store *store);
/* The barrier came back. */
void file_snapshot_on_synced(struct file_store *store);

/* ---- file_recovery.c ---- */

/* Reads what the directory holds and makes the log ready to go on. 0 or a negative errno with the
 * reason; the store is then to be freed. */
int file_recovery_run(struct file_store *store, struct err *err);

#endif
