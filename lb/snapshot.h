/* Routing snapshots: what a worker needs to route a request, immutable, swapped whole.
 *
 *   control loop: build → publish ──(atomic pointer)──▶ worker: take → route, route, … → take
 *                   retired list ◀──(seen version)────┘
 *
 * A worker keeps the snapshot it took until it takes again, and says which version it has: what is
 * older than every worker's version has no reader left and is freed. No lock, no reference count on
 * a request's way (quiescent-state reclamation: McKenney & Slingwine, 1998). */
#ifndef QUOIT_LB_SNAPSHOT_H
#define QUOIT_LB_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"
#include "core/addr.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/metrics.h"
#include "table/schema.h"
#include "table/shard.h"

#define SNAPSHOT_MAX_READERS 64

/* Counted by each worker in its own row; summed by whoever asks. */
struct server_counters {
    _Alignas(64) uint64_t requests;
    uint64_t failures;
    /* From the turn of the loop that sent the request to the read that brought its answer. */
    struct metric_histogram latency;
};

struct snapshot_server {
    uint64_t uid; /* one life of one server; never used twice */
    uint64_t id;
    const char *name;
    struct addr addr;
    struct server_counters *counters; /* one row a worker (ref in the member) */
    bool draining; /* finishes what it has and gets nothing new; told when nothing is under way */
};

/* What is known of a shard beyond a snapshot: made by the control loop when the shard is, freed
 * when no snapshot can name it any more. */
struct shard_live {
    _Atomic uint64_t valid_idx; /* rows up to which every replica agrees; the writer counts */
};

/* A shard and its replicas, as indices into the snapshot's servers. A replica that is being filled
 * is in neither list; one that joins is in both from the snapshot on that its copy was finished
 * for; one that leaves in order stays in `writers` alone for a snapshot, so that no worker that
 * still reads from it reads what is old. */
struct snapshot_shard {
    struct shard range;
    struct shard_live *live;     /* (ref) */
    struct placement *placement; /* of the readers, under their index in `readers` */
    size_t n_readers, n_writers;
    const uint32_t *readers;
    const uint32_t *writers; /* take every change; all of the readers are among them */
};

struct snapshot {
    uint64_t version;
    size_t n_placed;  /* servers[0 … n_placed) are in the placement, under the same index */
    size_t n_servers; /* those behind drain, or take changes of a shard only */
    const struct snapshot_server *servers;
    struct placement *placement;
    const struct schema *schema; /* NULL: no database is configured */
    size_t n_shards;
    const struct snapshot_shard *shards; /* ascending by key */
    const struct shard *ranges;          /* the same shards' ranges, for shard_find() */
    struct arena arena;                  /* holds all of it */
    struct snapshot *older;
};

struct publisher {
    _Atomic(const struct snapshot *) current;
    struct snapshot *retired;
    size_t n_readers;
    struct {
        _Alignas(64) _Atomic uint64_t version; /* this reader has that or a newer one */
    } seen[SNAPSHOT_MAX_READERS];
};

/* What a snapshot is made of; all of it is copied. */
struct snapshot_plan {
    const struct spec *placement; /* for requests, and for the replicas of each shard */
    const struct hash_pair *hashes;
    const struct snapshot_server *servers; /* n_placed first */
    size_t n_placed, n_servers;
    const struct schema *schema;         /* NULL: no shards */
    const struct snapshot_shard *shards; /* range, live, readers, writers; in any order */
    size_t n_shards;
};

/* Builds the placements, every server of weight 1. 0 or -EINVAL with the placement's reason (too
 * many servers for it). */
int snapshot_new(const struct snapshot_plan *plan, struct snapshot **ret_snapshot, struct err *err);
/* For one that was never published. Takes NULL. */
void snapshot_free(struct snapshot *snapshot);

void publisher_init(struct publisher *publisher, size_t n_readers);
/* Frees everything; no reader may be left. */
void publisher_done(struct publisher *publisher);
/* Control loop only. Takes the snapshot over, numbers it and makes it current. Returns its version.
 */
uint64_t publisher_publish(struct publisher *publisher, struct snapshot *snapshot);
/* Control loop only. Frees what no reader can have any more; returns the version that every reader
 * has reached. */
uint64_t publisher_reclaim(struct publisher *publisher);
/* Reader `reader` only: drops what it had and returns the current one, its own until the next call.
 */
const struct snapshot *publisher_take(struct publisher *publisher, size_t reader);

#endif
