/* The members found so far in a walk that looks for n distinct ones: for the lookup_n of placements
 * that meet the same member many times. Lives on the stack, allocates nothing (law 3).
 *
 * Few wanted (a shard's replicas): the ones found are compared. Many: a bitmap of the members. */
#ifndef QUOIT_BACKENDS_DISTINCT_H
#define QUOIT_BACKENDS_DISTINCT_H

#include <string.h>

#include "backends/placement.h"

#define DISTINCT_COMPARE_MAX 16u

struct distinct {
    uint32_t *out; /* (ref) the caller's array */
    size_t n;      /* found so far */
    size_t wanted;
    uint64_t seen[PLACEMENT_MAX_MEMBERS / 64]; /* only the placement's members' bits are used, and
                                                  only when wanted > DISTINCT_COMPARE_MAX */
};

/* wanted is capped at the number of members: a walk over all of them reaches it. */
static inline void distinct_init(struct distinct *distinct, const struct placement *placement,
                                 size_t wanted, uint32_t *out)
{
    distinct->out = out;
    distinct->n = 0;
    distinct->wanted = wanted < placement->n_members ? wanted : placement->n_members;
    if (distinct->wanted > DISTINCT_COMPARE_MAX)
        memset(distinct->seen, 0, (placement->n_members + 63u) / 64 * sizeof(uint64_t));
}

static inline bool distinct_full(const struct distinct *distinct)
{
    return distinct->n == distinct->wanted;
}

/* Adds the member if it is new. Not to be called when full. */
static inline void distinct_add(struct distinct *distinct, uint32_t member)
{
    if (distinct->wanted > DISTINCT_COMPARE_MAX) {
        uint64_t bit = UINT64_C(1) << (member % 64);
        if (distinct->seen[member / 64] & bit)
            return;
        distinct->seen[member / 64] |= bit;
    } else {
        for (size_t i = 0; i < distinct->n; i++)
            if (distinct->out[i] == member)
                return;
    }
    distinct->out[distinct->n++] = member;
}

#endif
