/* Copies: fill a FILLING replica with its shard's rows, while the shard goes on being changed.
 *
 *   track ─▶ every page ─▶ what changed meanwhile, again ─▶ hold ─▶ the last changes ─▶ compare
 *             ▲                        ▲────────┘ while it is more than a page             │ equal
 *             └─────────────── different: from the start, once ─────────────◀──────────────┤
 *                                                                    READY, published, release
 *
 * Pre-copy, as a live migration does it (Clark et al., NSDI 2005, section 3): the writer notes the
 * keys it changes (lb/letters.h) and waits only for the last page of them. Pages go as they stand
 * from the source's GET /page to the target's POST /batch. A target that may hold rows already is
 * compared by GET /digest first, and gets only the pages that differ. What is compared at the end
 * is the count and the checksum of the whole shard.
 *
 * What goes to the target bears an epoch (lb/epoch.h), a later one at each attempt, and of it the
 * target's replica begins nothing that is earlier any more (copy=N, server/server.h): no page of an
 * attempt that was given up, or of an LB that was killed, takes effect behind what is compared. A
 * later one begins once the writer holds, when every change of the shard that was sent has been
 * answered or given up: no such change does either.
 *
 * A shard whose rows are nowhere READY is claimed instead: a `whole` replica (lb/database.h) is
 * taken as it is, and where there is none and none to come, the first one begins empty.
 *
 * One copy of a shard at a time, several shards in parallel, each over two connections of its own.
 * All of it on the control loop. */
#ifndef QUOIT_LB_COPY_H
#define QUOIT_LB_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "lb/letters.h"

struct control;
struct copy;

struct copies {
    struct copy *first;
    struct copy *dead; /* to be freed */
    size_t n;
    uint64_t n_begun; /* each bears a number, so that a letter to an earlier one is known */
    uint64_t epoch;   /* of what is asked before the workers run; 0: nothing was yet */
};

/* Begins what can be begun. Call when a member was configured, a replica became ready or went. */
void copy_schedule(struct control *control);
/* The member is dead or leaves: copies to it are dropped, copies from it look for another source.
 * Its replicas have been dropped or changed already. */
void copy_member_gone(struct control *control, uint64_t uid);
/* The member's replica of the shard is no source any more. */
void copy_replica_demoted(struct control *control, const struct shard_live *live, uint64_t uid);
/* LETTER_DIRTY came. The letter stays the caller's. */
void copy_on_dirty(struct control *control, struct shard_letter *letter);
/* Drops them all; what is held goes on. */
void copy_stop_all(struct control *control);
void copy_free_dead(struct control *control);

#endif
