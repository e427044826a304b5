/* Which machine each server goes to, so that those which share a group (the replicas of a shard)
 * are on different ones, and each machine has as many servers as any other.
 *
 * Servers that come together are placed together: one after the other, the first would take what
 * the last would need. With them, the fewest pairs that share a group on one machine are looked for
 * by moving and swapping; that is found to be none wherever it is easy to find, which is no proof
 * that it is found wherever it exists (it is the colouring of a graph). */
#ifndef QUOIT_SPAWNERD_PLACING_H
#define QUOIT_SPAWNERD_PLACING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct placing_server {
    const uint32_t *groups; /* (ref) */
    size_t n_groups;
    size_t machine; /* 0 … n_machines − 1; of one that is not placed: the answer */
    bool placed;    /* where it is, it stays */
};

/* Gives each server that is not placed a machine. n_machines > 0. Same question, same answer. */
void placing_solve(struct placing_server *servers, size_t n, size_t n_machines);
/* Groups that two servers on one machine share, counted a pair of servers. */
size_t placing_n_shared(const struct placing_server *servers, size_t n);

#endif
