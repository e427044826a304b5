/* The writer: makes every change of rows, on all replicas, in one order. There is one, on the loop
 * of worker 0, with connections of its own to each server (lb/outlet.h), so that no read waits
 * behind a disk.
 *
 *   worker ──LETTER_WRITE──▶ writer ─┬─▶ outlet ─(batches)─▶ server     a change goes to every
 *   worker ◀─LETTER_WRITTEN─┘        ├─▶ outlet ─(batches)─▶ server     replica of its shard at
 * once └─▶ outlet ─(batches)─▶ server
 *
 * What it promises: a change that was acknowledged is on every replica that any worker reads from.
 * So a read that starts after a change was acknowledged sees it, whichever replica answers. To keep
 * that, a server that failed a change which another replica made is fenced: LETTER_FENCE goes to
 * the control loop, and the client hears nothing until LETTER_FENCED says that no worker routes to
 * the server any more. Where that server holds the last replica of another shard, the failed
 * replica alone is taken out in the same way (LETTER_DEMOTE) and made equal again. The last replica
 * of a shard is never taken out; should the control loop know that the others have died meanwhile,
 * it says so, and the client hears that the outcome is unknown.
 *
 * The order: all operations go to all replicas of a shard in the order in which they started here,
 * over one connection a server, so replicas agree without agreeing on anything else. A connection's
 * successor bears a later epoch (lb/outlet.h), so that nothing takes effect behind what was sent
 * after it. A change of one shard starts when it comes; many are under way at a time. A change of
 * several shards is to be all or nothing: it locks its keys (lb/keylock.h; a lock a key does what
 * the assignment's mutex a shard does, and lets other keys of the shard go on), asks one replica of
 * each shard whether they are absent, then inserts everywhere, and takes back what it did if a
 * shard fails after all. Whatever wants a locked key waits its turn.
 *
 * What was not acknowledged is, once its client has been answered, either on all replicas that are
 * read from or on none, and stays so; while it is under way a read may see it on one replica and
 * not on another. A change of one shard that no replica answered is sent to all once more: each
 * then has it, so it is answered as made, unless all found it made already (503, outcome unknown:
 * by this request or by an earlier one), or nobody answers again. Then all replicas but one are
 * given up, and that one's rows are the truth (503, outcome unknown).
 *
 * A change of several shards that is left half made, because the last replica of a shard does not
 * answer the taking back either, or because the LB is killed within it, keeps its keys locked until
 * it is whole or gone (lb/intents.h, lb/writer_recovery.c): nobody changes a row of it before. */
#ifndef QUOIT_LB_WRITER_H
#define QUOIT_LB_WRITER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flush.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "lb/change.h"
#include "lb/intents.h"
#include "lb/outlet.h"
#include "lb/snapshot.h"

/* Changes that wait or are under way; further ones are answered 503. */
#define WRITER_MAX_CHANGES 16384u
#define WRITER_MAX_BYTES (256u << 20)

struct writer;

struct writer_config {
    struct ev_loop *loop;
    struct flusher *flusher;
    struct mailbox *control;
    struct intents *intents; /* taken over; NULL: a kill within a change may leave half of it */
    size_t worker;           /* whose loop it is */
    uint64_t timeout_ns;     /* of a server's answer to a batch; 0 = 5 s */
    size_t max_changes;      /* 0 = WRITER_MAX_CHANGES */
    size_t max_bytes;        /* 0 = WRITER_MAX_BYTES */
    bool in_rounds; /* servers sync what they are told: batches go together (lb/outlet.h) */
    /* A change of this loop's own worker (call->home NULL) is answered; the call is its again. */
    void (*on_written)(void *context, struct change_call *call);
    /* Nothing is under way to this server any more. */
    void (*on_idle)(void *context, uint64_t uid);
    void *context;
};

/* Counted by the writer alone, read by any. */
struct writer_metrics {
    uint64_t changes, rows, over_shards, refused, failed, too_many, undone, redone, recovered,
        fences, demotions, waiting;
    struct outlet_counters outlets;
    struct metric_histogram latency;
};

/* Describes struct writer_metrics for /metrics. */
extern const struct metric_set writer_metric_set;

struct writer *writer_new(const struct writer_config *config);
/* Nothing may be under way: writer_abort() and writer_is_idle() before. Takes NULL. */
void writer_free(struct writer *writer);
/* Goes by this snapshot from now on; the one before is not looked at any more. */
void writer_take(struct writer *writer, const struct snapshot *snapshot);
/* Takes the call over until it is answered: at once when it is refused, else at the end of a turn
 * of the loop. */
void writer_submit(struct writer *writer, struct change_call *call);
/* LETTER_FENCED, LETTER_TRACK, LETTER_TAKE_DIRTY, LETTER_RELEASE, LETTER_HOLD, LETTER_LET,
 * LETTER_DEMOTED; takes
 * the letter over. */
void writer_take_letter(struct writer *writer, struct lb_letter *letter);
/* Operations under way to this server. */
size_t writer_n_under_way(const struct writer *writer, uint64_t uid);
/* Answers everything 503, at the end of this turn, and from now on at once. */
void writer_abort(struct writer *writer);
bool writer_is_idle(const struct writer *writer);
const struct writer_metrics *writer_metrics(const struct writer *writer);

#endif
