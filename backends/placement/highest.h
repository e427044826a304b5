/* The n members that win for a key, best first: lookup_n of the placements that give every member a
 * score for every key (rendezvous, weighted-rendezvous, straw2). O(N log n), in the caller's array
 * alone: scores are cheap enough to be computed again. */
#ifndef QUOIT_BACKENDS_PLACEMENT_HIGHEST_H
#define QUOIT_BACKENDS_PLACEMENT_HIGHEST_H

#include "backends/placement.h"

/* Whether a wins over b for this hash: a strict order of the ranks, ties to the smaller. */
typedef bool (*highest_wins_fn)(const struct placement *placement, uint64_t hash, uint32_t a,
                                uint32_t b);

/* Moves the item at `at` down a heap whose root loses to all others. */
static inline void highest_sift(const struct placement *placement, uint64_t hash,
                                highest_wins_fn wins, uint32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t loser = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (wins(placement, hash, heap[loser], heap[child]))
                loser = child;
        if (loser == at)
            return;
        uint32_t rank = heap[at];
        heap[at] = heap[loser];
        heap[loser] = rank;
        at = loser;
    }
}

/* The min(n, members) best ranks into out, best first. */
static inline size_t highest_ranks(const struct placement *placement, uint64_t hash,
                                   highest_wins_fn wins, size_t n, uint32_t *out)
{
    n = n < placement->n_members ? n : placement->n_members;
    if (n == 0)
        return 0;
    for (uint32_t rank = 0; rank < n; rank++)
        out[rank] = rank;
    for (size_t at = n / 2; at-- > 0;)
        highest_sift(placement, hash, wins, out, n, at);
    for (uint32_t rank = (uint32_t)n; rank < placement->n_members; rank++) {
        if (!wins(placement, hash, rank, out[0]))
            continue;
        out[0] = rank;
        highest_sift(placement, hash, wins, out, n, 0);
    }
    for (size_t left = n; left-- > 1;) { /* the root loses to the rest: it goes to the end */
        uint32_t rank = out[0];
        out[0] = out[left];
        out[left] = rank;
        highest_sift(placement, hash, wins, out, left, 0);
    }
    return n;
}

#endif
