/* Group commit: a thread that writes what the loop gathered, and syncs it, once for all that wait.
 *
 *   loop    batch ──push──▶ ┊ queue ┊ ──▶ one frame: pwritev, fdatasync ──▶ letter ──▶ on_batch
 *           batch ──push──▶ ┊       ┊     (the next ones gather meanwhile)
 *
 * Batches are written in the order of their pushes; all that wait when the thread comes for them,
 * as far as they go to one segment, become one frame. A write or sync that fails ends the process:
 * what is on the disk is not known then, and after a failed fsync a second one may succeed without
 * having written anything (Rebello et al., Can Applications Recover from fsync Failures?, 2020). */
#ifndef QUOIT_BACKENDS_STORE_WAL_COMMIT_H
#define QUOIT_BACKENDS_STORE_WAL_COMMIT_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/store.h"
#include "backends/store/wal_segment.h"
#include "core/buf.h"
#include "core/mailbox.h"

/* The exit code of a process that a failed write or sync ended: EX_IOERR of sysexits.h. */
#define WAL_EXIT_CODE 74

enum wal_sync {
    WAL_SYNC_ALWAYS,   /* a batch is done when it is on the disk */
    WAL_SYNC_INTERVAL, /* when it is written; synced in steps of a time */
    WAL_SYNC_NONE,     /* when it is written; synced when its segment is full, and by the kernel */
};

/* Records that are committed together. The loop's until it is pushed, and again in on_batch. */
struct wal_batch {
    struct letter letter; /* first member */
    struct wal_batch *next;
    struct wal_segment *segment; /* which has room reserved */
    struct buf records;          /* wal_record_put(); may be empty */
    uint32_t n_records;
    uint64_t first_seq; /* of its records, or of the next record to come when it has none */
    bool must_sync;     /* even where WAL_SYNC_INTERVAL or _NONE would not: all up to here */
};

struct wal_commit {
    /* Set by the opener. */
    enum wal_sync sync;
    uint64_t interval_ns;
    struct store_io *io;                                      /* bumped by the thread (ref) */
    void (*on_batch)(void *context, struct wal_batch *batch); /* on the loop, in order */
    void *context;
    /* The rest is the module's. */
    struct mailbox mailbox;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* Under the mutex: */
    struct wal_batch *first, **last;
    bool is_waiting, is_ending;
    /* The thread's: */
    struct wal_segment *segment; /* the last one written, or NULL */
    uint64_t synced_seq, written_seq;
    uint64_t last_sync_ns;
    /* Counted by the thread, read by anyone. */
    _Atomic uint64_t n_frames, n_syncs, sync_ns;
};

/* Starts the thread. synced_seq: the last record that is on the disk. 0 or a negative errno. */
int wal_commit_open(struct wal_commit *commit, struct ev_loop *loop, uint64_t synced_seq);
/* Writes and syncs what was pushed, delivers it, and ends the thread. */
void wal_commit_close(struct wal_commit *commit);
/* From the loop. The batch comes back by on_batch. A segment belongs to the thread from the first
 * push that names it until a batch of another one has come back; wal_segment_free() is then the
 * loop's. */
void wal_commit_push(struct wal_commit *commit, struct wal_batch *batch);

#endif
