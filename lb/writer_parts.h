/* What the writer is made of; for lb/writer*.c alone.
 *
 *   WAITING ─▶ CHECKING ─▶ WRITING ─▶ FENCING ─▶ answered
 *      │ (several shards)    │ ▲ └─▶ UNDOING ─┘
 *      │                     └─┘ once more, when no replica answered
 *      └ for locks, for a shard that is held
 *
 * A job is looked at again (job_advance) at the end of a turn, when all that it waited for has
 * come: callbacks of outlets only count down and queue it, so that nothing happens within them. */
#ifndef QUOIT_LB_WRITER_PARTS_H
#define QUOIT_LB_WRITER_PARTS_H

#include "lb/intents.h"
#include "lb/keylock.h"
#include "lb/keylog.h"
#include "lb/writer.h"

enum fence { FENCE_NONE, FENCE_ASKED, FENCE_DONE };

/* One server that takes changes. */
struct target {
    struct target *next; /* of those that left the snapshot and are still named */
    struct writer *writer;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1];
    struct outlet *outlet; /* NULL: it left the snapshot */
    enum fence fence;
    size_t n_refs; /* items of jobs that name it */
};

/* A replica of a shard that missed a change, on a server that may not be fenced for it: the control
 * loop was asked to take it out (LETTER_DEMOTE), and has not said that it is. */
struct demotion {
    struct demotion *next;
    uint64_t uid;
};

/* One shard. */
struct lane {
    struct lane *next; /* of those that no snapshot names any more */
    struct shard range;
    struct shard_live *live;
    struct target **targets; /* take every change of it */
    size_t n_targets;
    size_t n_under_way;  /* jobs that may still change it */
    bool tracking, held; /* for a copy of it */
    struct key_log dirty;
    struct shard_letter *asked; /* LETTER_TAKE_DIRTY with hold, to go back when none is under way */
    struct shard_letter *hold;  /* LETTER_HOLD, the newest first: the same */
    size_t n_holds;             /* answered or not */
    struct demotion *demotions;
};

enum job_phase { JOB_WAITING, JOB_CHECKING, JOB_WRITING, JOB_UNDOING, JOB_FENCING };

/* One replica's part in a job. */
struct item {
    struct outlet_item base; /* first member */
    struct job *job;
    struct lane *lane;
    struct target *target;
    bool checked;                /* CHECKING: this one was asked */
    enum outlet_verdict written; /* what WRITING came to */
    bool says_rows;              /* base.n_rows is of now */
    bool undone;                 /* UNDOING: told to take it back */
    bool needs_fence;            /* the answer waits for its fence, */
    bool is_demoted;             /* or for its demotion */
    bool is_out;                 /* it was demoted meanwhile, and counts no more for this job */
};

/* One shard's part in a job. */
struct run {
    struct lane *lane;
    const struct change_part *part;
    struct item *items; /* one for each target that the lane had when the job started */
    size_t n_items;
    struct item *asked; /* CHECKING */
};

/* A change in the writer; lies in the change's arena. */
struct job {
    struct keylock_holder locks; /* first member */
    struct writer *writer;
    struct change_call *call;
    enum job_phase phase;
    bool started;          /* its lanes count it */
    bool redone;           /* no replica answered: it was sent once more */
    bool unknown;          /* nobody can say what became of it, unless it is taken back */
    struct intent *intent; /* of several shards; NULL: the writer notes none */
    int intent_code;       /* why it could not be noted */
    bool recovers;         /* looks at what an intent left, for nobody */
    bool unsettled;        /* some shards may have it and others not: looked at again */
    bool is_ready;
    struct job *next_ready;
    struct job *next, **link; /* writer->under_way, while it may change rows; or writer->fencing */
    size_t n_outstanding;     /* items that outlets have */
    size_t n_bytes;
    uint64_t begin_ns;
    struct run *runs; /* one a part */
};

struct job_list {
    struct job *first, **last;
};

struct writer {
    struct writer_config config;
    const struct snapshot *snapshot;
    struct target **targets; /* one for each server of the snapshot, or NULL */
    size_t n_targets;
    struct target *former_targets;
    struct lane **lanes; /* one for each shard of the snapshot */
    struct shard *ranges;
    size_t n_lanes;
    struct lane *former_lanes;
    struct keylock_table locks;
    struct intent *intents; /* begun, and not ended */
    size_t n_to_recover;    /* of them that wait to be looked at */
    struct job_list ready, parked;
    struct job *under_way, *fencing;
    struct outlet_rounds rounds;
    size_t n_jobs, n_bytes;
    struct flush_item flush;
    struct ev_timer timer;
    uint64_t ticked_ns; /* when it last went off */
    struct buf scratch;
    bool aborted;
    struct writer_metrics metrics;
};

/* ---- writer.c ---- */

/* Whether a shard of it is held. */
bool writer_is_held(const struct job *job);
/* The lane of the part's shard, or NULL: the shards have changed. */
struct lane *writer_find_lane(const struct writer *writer, const struct change_part *part);
/* Has the job looked at again at the end of this turn. */
void writer_queue(struct job *job);
/* Asks the control loop to fence the server, once, and gives up on what it has. */
void writer_fence(struct target *target);
/* Whether changes go to it. */
static inline bool target_takes_changes(const struct target *target)
{
    return target->outlet && target->fence == FENCE_NONE;
}
/* Whether every shard that it has has another replica that takes changes, and is to. */
bool writer_may_fence(const struct writer *writer, const struct target *target);
void target_unref(struct target *target);
/* The job changes rows from now on, or does so no longer: then it lets go of its locks. */
void writer_enter(struct job *job);
void writer_leave(struct job *job);
/* It does so no longer, and is looked at again whenever a server was fenced. */
void writer_await_fences(struct job *job);

/* Starts what waited for a shard that was held. */
void writer_admit_parked(struct writer *writer);

/* ---- writer_lane.c ---- */

/* Whether changes of the shard are to wait. */
static inline bool lane_is_held(const struct lane *lane)
{
    return lane->held || lane->n_holds > 0;
}
bool lane_is_demoting(const struct lane *lane, uint64_t uid);
/* Whether a replica on another server takes changes, and is to. */
bool lane_has_another(const struct lane *lane, const struct target *target);
/* Asks the control loop to take the server's replica out of the shard, once. */
void lane_demote(struct writer *writer, struct lane *lane, const struct target *target);
/* No change of it is under way any more: those who wait for that are told. */
void lane_went_idle(struct writer *writer, struct lane *lane);
void lane_free(struct lane *lane);

/* ---- writer_recovery.c ---- */

/* Takes over what an earlier life left. */
void recovery_begin(struct writer *writer);
/* Looks at the intents that wait for it, as far as their shards are there. */
void recovery_step(struct writer *writer);
/* Notes what the job is about to do, if the writer notes that; counts as outstanding until it
 * stands. */
void recovery_note(struct job *job);
/* The job ends, its locks already the intent's: so does the intent, unless it is to be looked at.
 */
void recovery_finish(struct job *job);
/* Of a job that recovers: every shard has said whether its keys are there. */
void recovery_advance_check(struct job *job);
/* Nobody waits for a key any more because of what is to be looked at: the next life does. */
void recovery_abort(struct writer *writer);
void recovery_done(struct writer *writer);

/* ---- writer_job.c ---- */

/* Asks the run's next replica for its keys. False: there is none left. */
bool job_check(struct run *run);
/* Takes back what stands as written on the runs' items. */
void job_undo(struct job *job);

/* Sends what the job begins with; its locks are granted and none of its shards is held. */
void job_start(struct job *job);
/* What it waited for has come. */
void job_advance(struct job *job);
/* Answers the call as it stands and ends the job. */
void job_finish(struct job *job);

#endif
