/* What a copy's two files share: copy.c (its phases, and when it begins) and copy_range.c (a range
 * on its way, the requests). */
#ifndef QUOIT_LB_COPY_PRIVATE_H
#define QUOIT_LB_COPY_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/httpc.h"
#include "lb/copy.h"
#include "lb/shard_digest.h"

struct control;
struct table_shard;

/* Rows of a page, at most. */
#define COPY_PAGE_ROWS 2000u
/* Of one copy: pages under way at a time. */
#define COPY_N_SLOTS 4u

enum copy_phase {
    PHASE_TRACKING,  /* waits for the writer to note changes */
    PHASE_ALL,       /* the whole shard, page by page */
    PHASE_ASKING,    /* waits for the writer to say what changed */
    PHASE_CHANGES,   /* what changed, again */
    PHASE_COMPARING, /* both sides' digests of the whole shard; of a claim the target's alone */
    PHASE_WIPING,    /* a claim that begins empty */
    PHASE_PAUSING,   /* before it is tried again */
};

enum copy_step { STEP_IDLE, STEP_SOURCE_DIGEST, STEP_TARGET_DIGEST, STEP_PAGE, STEP_BATCH };

/* One range on its way. */
struct copy_slot {
    struct httpc_request call; /* first member */
    struct copy *copy;
    enum copy_step step;
    struct key_range range;
    struct shard_digest digest;
};

struct copy {
    struct copy *next;
    struct control *control;
    struct table_shard *shard;
    uint64_t number;
    uint64_t epoch;          /* of what goes to the target now */
    uint64_t source, target; /* uids; source 0: a claim */
    struct httpc *from, *to;
    enum copy_phase phase;
    bool claim, wipe; /* wipe: the claim begins empty */
    bool compare;     /* pages are compared before they are copied */
    bool tracked, held;
    bool quick;    /* the digests come first, and may be all there is to do */
    bool differed; /* the digests at the end, once */
    unsigned n_rounds, n_attempts;
    struct key_range *ranges; /* a stack of what is to be done */
    size_t n_ranges, capacity;
    struct copy_slot slots[COPY_N_SLOTS];
    struct httpc_request whole_calls[2]; /* PHASE_COMPARING: the source's, the target's */
    struct shard_digest wholes[2];
    size_t n_wholes;          /* answers to whole_calls that are awaited */
    uint64_t n_rows, n_bytes; /* copied */
    struct ev_timer pause;
};

/* ---- copy.c ---- */

/* Tries again from the start, after a moment, comparing what is there already; in the end gives the
 * target up. */
void copy_fail(struct copy *copy, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Gives what is to be done to slots that are free; when all is done, ends the phase. */
void copy_pump(struct copy *copy);

/* ---- copy_range.c ---- */

/* Each sends a request: 0 or a negative errno. GET PATH of the shard, of all of it where range is
 * NULL. */
int copy_ask(struct copy *copy, bool from_source, struct httpc_request *call, const char *path,
             const struct key_range *range, size_t n_rows);
int copy_send_batch(struct copy *copy, struct httpc_request *call, const char *bytes, size_t n);
/* Whether a batch of one operation was done. */
bool copy_batch_is_done(const struct http_message *answer);
/* Adds a range to what is to be done. */
void copy_push_range(struct copy *copy, int64_t low, int64_t last);
/* Sets a free slot to work on a range; calls copy_pump() or copy_fail() when it is through. */
int copy_start_slot(struct copy_slot *slot, struct key_range range);

#endif
