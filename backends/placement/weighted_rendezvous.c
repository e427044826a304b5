/* weighted-rendezvous: rendezvous whose members win in proportion to their weights (Schindelhauer
 * and Schomaker 2005, the logarithmic method; Resch 2015). With u uniform in (0, 1),
 *
 *     cost(key, member) = −ln u / weight,
 *
 * an exponential time with the weight as its rate, and the first to arrive wins. A changed weight
 * changes one member's costs by a factor, so keys move only to it or from it. A logarithm a member
 * makes it some times slower than rendezvous. */
#include <math.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/highest.h"
#include "core/mem.h"
#include "core/rng.h"

struct weighted {
    struct placement base;
    uint32_t *order; /* members in ascending order of id */
    uint64_t *seeds; /* of each rank, its member's hash */
    double *means;   /* of each rank, −1 / its member's weight */
};

static int weighted_build(const void *params, const struct placement_member *members, size_t n,
                          const struct hash_pair *hashes, struct placement **ret_placement,
                          struct err *err)
{
    (void)params;
    (void)err;
    struct weighted *weighted = mem_zalloc(1, sizeof(*weighted));
    weighted->order = placement_sort_members(members, n);
    weighted->seeds = mem_zalloc(n + 1, sizeof(*weighted->seeds));
    weighted->means = mem_zalloc(n + 1, sizeof(*weighted->means));
    for (size_t rank = 0; rank < n; rank++) {
        const struct placement_member *member = &members[weighted->order[rank]];
        weighted->seeds[rank] = hash_point(hashes->server, member->id, 0);
        weighted->means[rank] = -1.0 / member->weight;
    }
    *ret_placement = &weighted->base;
    return 0;
}

static void weighted_free(struct placement *placement)
{
    struct weighted *weighted = (struct weighted *)placement;
    free(weighted->order);
    free(weighted->seeds);
    free(weighted->means);
    free(weighted);
}

/* Never 0 or infinite: u lies half a step of 2^-53 from either end. */
static inline double cost_of(const struct weighted *weighted, uint64_t hash, uint32_t rank)
{
    uint64_t draw = rng_mix64(hash ^ weighted->seeds[rank]) >> 11;
    return log(((double)draw + 0.5) * 0x1p-53) * weighted->means[rank];
}

static uint32_t weighted_lookup(const struct placement *placement, uint64_t key)
{
    const struct weighted *weighted = (const struct weighted *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    uint64_t hash = hash_key(placement->hashes.request, key);
    double best = cost_of(weighted, hash, 0);
    uint32_t best_rank = 0;
    for (uint32_t rank = 1; rank < placement->n_members; rank++) {
        double cost = cost_of(weighted, hash, rank);
        if (cost < best) {
            best = cost;
            best_rank = rank;
        }
    }
    return weighted->order[best_rank];
}

static bool weighted_wins(const struct placement *placement, uint64_t hash, uint32_t a, uint32_t b)
{
    const struct weighted *weighted = (const struct weighted *)placement;
    double cost_a = cost_of(weighted, hash, a), cost_b = cost_of(weighted, hash, b);
    if (cost_a < cost_b)
        return true;
    return !(cost_b < cost_a) && a < b;
}

static size_t weighted_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                uint32_t *out)
{
    const struct weighted *weighted = (const struct weighted *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key);
    size_t n_out = highest_ranks(placement, hash, weighted_wins, n, out);
    for (size_t i = 0; i < n_out; i++)
        out[i] = weighted->order[out[i]];
    return n_out;
}

static size_t weighted_bytes(const struct placement *placement)
{
    const struct weighted *weighted = (const struct weighted *)placement;
    return sizeof(*weighted) +
           placement->n_members *
               (sizeof(*weighted->order) + sizeof(*weighted->seeds) + sizeof(*weighted->means));
}

static const struct placement_ops weighted_placement = {
    .part = {.name = "weighted-rendezvous",
             .summary = "rendezvous by −ln u / weight: exact weights, minimal moves; O(N)",
             .source = "Schindelhauer, Schomaker: Weighted Distributed Hash Tables (2005)"},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_MINIMAL_REWEIGH |
            PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_DRAWN,
    .build = weighted_build,
    .free = weighted_free,
    .lookup = weighted_lookup,
    .lookup_n = weighted_lookup_n,
    .bytes = weighted_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(weighted_placement);
