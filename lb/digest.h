/* GET /cluster/digest: whether every shard's READY replicas hold the same rows, by the count and
 * the checksum that each of them answers (GET /digest, server/server.h).
 *
 *   ask all replicas ─ equal ─────────────────────────────────────────────▶ answer
 *                    └ not: shard by shard: hold ─▶ ask again ─▶ let go ──────┘
 *
 * The first look stops nothing, and where changes are under way it may see one replica before a
 * change and another after it. So a shard that differed, or whose replica did not answer, is asked
 * again with its changes held (LETTER_HOLD): then all that was acknowledged is on every replica
 * that reads go to, and what differs now differs. A hold lasts for HELD_S at most, a comparison
 * for ALL_NS and what its last question takes.
 *
 * 200 {"equal":B,"shards":[{"shard":S,"equal":B,"replicas":[{"server":NAME,"rows":N,
 * "checksum":"16 hex digits"},…]},…],"status":"successful"}. A replica that could not be asked has
 * "error" in place of its rows and makes "equal" false, and so does a shard without a READY
 * replica. A shard that differed and could not be held has an "error" of its own. 409 before /init,
 * 503 while too many comparisons are under way. */
#ifndef QUOIT_LB_DIGEST_H
#define QUOIT_LB_DIGEST_H

#include "lb/letters.h"

struct control;
struct comparison;

/* Of the control loop; zeroed at first. */
struct comparisons {
    struct comparison *first, *dead; /* dead: to be freed */
    uint64_t n_begun;                /* each bears a number, as copies do */
};

/* Answers the call, at once or later. */
void digest_begin(struct control *control, struct admin_call *call);
/* LETTER_HELD came. The letter stays the caller's. */
void digest_on_held(struct control *control, const struct shard_letter *letter);
/* Answers all that are under way with a refusal. */
void digest_stop_all(struct control *control);
void digest_free_dead(struct control *control);

#endif
