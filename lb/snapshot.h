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
#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"
#include "core/addr.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/metrics.h"

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
};

struct snapshot {
    uint64_t version;
    size_t n_placed;  /* servers[0 … n_placed) are in the placement, under the same index */
    size_t n_servers; /* those behind finish what they have and get nothing new */
    const struct snapshot_server *servers;
    struct placement *placement;
    struct arena arena; /* holds servers and names */
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

/* Copies the servers (n_placed first) and builds the placement over the placed ones, all of
 * weight 1. 0 or -EINVAL with the placement's reason (too many servers for it). */
int snapshot_new(const struct spec *placement, const struct hash_pair *hashes,
                 const struct snapshot_server *servers, size_t n_placed, size_t n_servers,
                 struct snapshot **ret_snapshot, struct err *err);
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
