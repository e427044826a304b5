/* Stores whose library blocks (sqlite, lmdb): a thread of their own, and everything of
 * backends/store.h but the few operations on a table that such a library has.
 *
 *    loop                                   thread
 *    submit() ─▶ outgoing ─ end of turn ─▶ incoming ─▶ begin, work, work, …, commit
 *    on_row(), on_done() ◀──── mailbox ──── a round: the requests and the rows that were read
 *
 * All that waits is one transaction. A request that the library itself refuses (no room, a broken
 * file) takes the transaction down with it; then each of them is done again by itself, so that only
 * those fail that have to. A shard that is made or dropped has a transaction of its own.
 *
 * Rows travel to the loop in pieces of at most THREADED_PIECE_BYTES a request, and the thread waits
 * while the loop is behind, so that wide reads cost no more memory than that. A read that fits one
 * piece sees one state; a longer one may see what was written between its pieces.
 *
 * A shard's count and checksum are kept with the library, in the transaction that changes them. */
#ifndef QUOIT_BACKENDS_STORE_THREADED_H
#define QUOIT_BACKENDS_STORE_THREADED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/store.h"
#include "core/mailbox.h"

#define THREADED_PIECE_BYTES (256u * 1024)

struct threaded;

/* First member of every member's. */
struct threaded_shard {
    struct store_shard base; /* first member */
    uint64_t id;             /* of generated names; never used twice */
    /* The thread's: with the changes of its transaction, and as they were before it. */
    uint64_t n_rows, checksum;
    uint64_t n_rows_before, checksum_before;
    bool changed;
    struct threaded_shard *next_changed;
    bool listed; /* the loop's: in store->shards */
};

/* Each answers 0, -EEXIST or -ENOENT where that is said, or what threaded_fail() returned. All are
 * called on the thread, from create to scan within begin and commit. */
struct threaded_ops {
    size_t shard_bytes; /* of the member's struct of a shard */
    int (*begin)(struct threaded *store, bool writes);
    int (*commit)(struct threaded *store);
    void (*abort)(struct threaded *store);
    /* The table of a new shard, its name and its schema. */
    int (*create)(struct threaded *store, struct threaded_shard *shard);
    int (*drop)(struct threaded *store, struct threaded_shard *shard);
    /* Keeps n_rows and checksum. */
    int (*save)(struct threaded *store, const struct threaded_shard *shard);
    /* -EEXIST: the key is there and may not be replaced. */
    int (*put)(struct threaded *store, struct threaded_shard *shard, const struct row *row,
               bool replace);
    /* -ENOENT. The text holds until the store's next operation. */
    int (*get)(struct threaded *store, struct threaded_shard *shard, int64_t key,
               struct row *ret_row);
    /* -ENOENT */
    int (*remove)(struct threaded *store, struct threaded_shard *shard, int64_t key);
    /* Ends early when on_row returns false. */
    int (*scan)(struct threaded *store, struct threaded_shard *shard, int64_t low, int64_t last,
                bool (*on_row)(void *context, const struct row *row), void *context);
    /* Optional. After -ENOSPC and outside a transaction: true when there is more room now. */
    bool (*grow)(struct threaded *store);
    /* What the member holds beside the table of a shard: it was dropped, or the store is closed. */
    void (*forget)(struct threaded *store, struct threaded_shard *shard);
    /* What threaded_init() did not make. */
    void (*close)(struct threaded *store);
};

struct threaded_job;
struct threaded_round;

struct threaded_jobs {
    struct threaded_job *first, **last;
};

#define THREADED_MAX_REASONS 32

/* First member of every member's store. */
struct threaded {
    struct store base; /* first member */
    const struct threaded_ops *ops;
    char *path; /* of the file, for messages */
    int lock_fd;
    uint64_t last_id; /* of a shard */
    uint64_t opened_ns;

    /* The loop's */
    struct flusher *flusher;
    struct flush_item flush;
    struct threaded_jobs outgoing;
    struct threaded_job *spare;
    struct mailbox mailbox;

    /* Between the two */
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct threaded_jobs incoming;
    unsigned n_undelivered; /* rounds */
    bool waiting, closing;

    /* The thread's */
    struct threaded_shard **shards; /* those there are, whatever the loop knows of them */
    size_t n_shards;
    struct threaded_shard *changed;
    char *reasons[THREADED_MAX_REASONS];
    size_t n_reasons;
    const char *reason; /* of the last failure */
    int failure;
};

/* ---- for members ---- */

/* Begins what a member's open() makes, zeroed and its own part not yet opened: locks the folder
 * config->dir for this process, and names file `name` in it as store->path. 0, or a negative errno
 * with nothing left. */
int threaded_init(struct threaded *store, const struct threaded_ops *ops,
                  const struct store_config *config, const char *name, struct err *err);
/* A shard that the file knows, while it is being opened; the member fills in what is its own. NULL:
 * name or schema is not one. */
struct threaded_shard *threaded_add(struct threaded *store, uint64_t id, const char *name,
                                    const char *schema, size_t n_schema);
/* The end of a member's open(). rc 0: everything is open; begins the thread and returns the store.
 * If that fails, or rc is what failed before, the store is closed. */
int threaded_start(struct threaded *store, int rc, struct store **ret_store, struct err *err);
/* Of a member's ops. */
void threaded_close(struct store *base);
enum store_submit threaded_submit(struct store *base, struct store_request *request);
void threaded_describe(const struct store *base, struct buf *out);
/* Remembers why: "PATH: message". Returns code. On the thread, or while the store is opened. */
int threaded_fail(struct threaded *store, int code, const char *message);

/* ---- between threaded.c and threaded_work.c ---- */

/* A request on its way. */
struct threaded_job {
    struct threaded_job *next;
    struct store_request *request;
    int64_t from;    /* STORE_READ: first key of the next piece */
    size_t n_piece;  /* rows of this piece */
    bool unfinished; /* there are further pieces */
    int code;        /* the thread's, until the round is delivered */
};

/* Jobs that were worked on together, and the rows that they read, one after the other: key, length,
 * text. */
struct threaded_round {
    struct letter letter; /* first member */
    struct threaded_jobs jobs;
    struct buf rows;
};

/* Works on the first of `jobs`, or on more of them in one transaction, and moves those done to the
 * round. */
void threaded_work(struct threaded *store, struct threaded_jobs *jobs,
                   struct threaded_round *round);

static inline void threaded_jobs_init(struct threaded_jobs *jobs)
{
    jobs->first = NULL;
    jobs->last = &jobs->first;
}

static inline void threaded_jobs_add(struct threaded_jobs *jobs, struct threaded_job *job)
{
    job->next = NULL;
    *jobs->last = job;
    jobs->last = &job->next;
}

/* Moves all of `from` behind those of `to`. */
static inline void threaded_jobs_move(struct threaded_jobs *to, struct threaded_jobs *from)
{
    if (!from->first)
        return;
    *to->last = from->first;
    to->last = from->last;
    threaded_jobs_init(from);
}

static inline struct threaded_job *threaded_jobs_take(struct threaded_jobs *jobs)
{
    struct threaded_job *job = jobs->first;
    jobs->first = job->next;
    if (!jobs->first)
        jobs->last = &jobs->first;
    return job;
}

#endif
