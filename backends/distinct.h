/* The members found so far in a walk that looks for n distinct ones: for the lookup_n of placements
 * that meet the same member many times. Lives on the stack, allocates nothing (law 3).
 *
 * Few wanted (a shard's replicas): the ones found are compared. Many: a bitmap of the members. */
#ifndef QUOIT_BACKENDS_DISTINCT_H
#define QUOIT_BACKENDS_DISTINCT_H

#include <string.h>

#include "backends/placement.h"
#include "core/rng.h"

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

static inline bool distinct_has(const struct distinct *distinct, uint32_t member)
{
    if (distinct->wanted > DISTINCT_COMPARE_MAX)
        return distinct->seen[member / 64] >> (member % 64) & 1;
    for (size_t i = 0; i < distinct->n; i++)
        if (distinct->out[i] == member)
            return true;
    return false;
}

/* Adds the member if it is new. Not to be called when full. */
static inline void distinct_add(struct distinct *distinct, uint32_t member)
{
    if (distinct_has(distinct, member))
        return;
    if (distinct->wanted > DISTINCT_COMPARE_MAX)
        distinct->seen[member / 64] |= UINT64_C(1) << (member % 64);
    distinct->out[distinct->n++] = member;
}

/* For placements that draw a bucket from a hash: draws by salted hashes, each as stable as the
 * first, until there are enough or DISTINCT_DRAWS were made, then the members in `order` (all of
 * them, by id), from one that the hash chooses on. The first draw is the hash itself, hence
 * lookup's. The sequence does not depend on how many are wanted. */
#define DISTINCT_DRAWS 256u

static inline void distinct_draw(struct distinct *distinct, const struct placement *placement,
                                 uint64_t hash, const uint32_t *order,
                                 uint32_t (*draw)(const struct placement *placement, uint64_t hash))
{
    uint64_t salted = hash;
    for (unsigned i = 0; i < DISTINCT_DRAWS && !distinct_full(distinct); i++) {
        distinct_add(distinct, draw(placement, salted));
        salted = rng_mix64(hash + i + 1);
    }
    uint32_t n = placement->n_members;
    uint32_t at = (uint32_t)(((unsigned __int128)salted * n) >> 64);
    for (; !distinct_full(distinct); at = at + 1 == n ? 0 : at + 1)
        distinct_add(distinct, order[at]);
}

/* For walks that may not meet every member (one whose weight is too small for a point): the missing
 * ones in ascending order of id, which costs a pass over the members for each. */
static inline void distinct_fill(struct distinct *distinct, const struct placement *placement)
{
    while (!distinct_full(distinct)) {
        uint32_t next = PLACEMENT_NONE;
        for (uint32_t i = 0; i < placement->n_members; i++) {
            if (distinct_has(distinct, i))
                continue;
            if (next == PLACEMENT_NONE || placement->members[i].id < placement->members[next].id)
                next = i;
        }
        distinct_add(distinct, next);
    }
}

#endif
