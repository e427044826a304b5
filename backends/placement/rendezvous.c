/* rendezvous: highest random weight (Thaler and Ravishankar 1998). Every member has a random number
 * for every key, and the highest wins. The ideal in everything but time: no structure, no luck of
 * points, minimal moves in every order, what a lost member had spread evenly over all others, and
 * the order of the scores is the replica list. A lookup asks every member: O(N).
 *
 *     score(key, member) = mix(request hash of the key ^ server hash of the member)
 *
 * The two hashes are computed once each, and splitmix64's mixer makes the number of the pair, so a
 * bad hash of either kind is repaired here as long as it has no collisions. */
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/highest.h"
#include "core/mem.h"
#include "core/rng.h"

struct rendezvous {
    struct placement base;
    uint32_t *order; /* members in ascending order of id */
    uint64_t *seeds; /* of each rank, its member's hash */
};

static int rendezvous_build(const void *params, const struct placement_member *members, size_t n,
                            const struct hash_pair *hashes, struct placement **ret_placement,
                            struct err *err)
{
    (void)params;
    (void)err;
    struct rendezvous *rendezvous = mem_zalloc(1, sizeof(*rendezvous));
    rendezvous->order = placement_sort_members(members, n);
    rendezvous->seeds = mem_zalloc(n + 1, sizeof(*rendezvous->seeds));
    for (size_t rank = 0; rank < n; rank++)
        rendezvous->seeds[rank] =
            hash_point(hashes->server, members[rendezvous->order[rank]].id, 0);
    *ret_placement = &rendezvous->base;
    return 0;
}

static void rendezvous_free(struct placement *placement)
{
    struct rendezvous *rendezvous = (struct rendezvous *)placement;
    free(rendezvous->order);
    free(rendezvous->seeds);
    free(rendezvous);
}

static uint32_t rendezvous_lookup(const struct placement *placement, uint64_t key)
{
    const struct rendezvous *rendezvous = (const struct rendezvous *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    uint64_t hash = hash_key(placement->hashes.request, key);
    uint64_t best = rng_mix64(hash ^ rendezvous->seeds[0]);
    uint32_t best_rank = 0;
    for (uint32_t rank = 1; rank < placement->n_members; rank++) {
        uint64_t score = rng_mix64(hash ^ rendezvous->seeds[rank]);
        best_rank = score > best ? rank : best_rank;
        best = score > best ? score : best;
    }
    return rendezvous->order[best_rank];
}

static bool rendezvous_wins(const struct placement *placement, uint64_t hash, uint32_t a,
                            uint32_t b)
{
    const struct rendezvous *rendezvous = (const struct rendezvous *)placement;
    uint64_t score_a = rng_mix64(hash ^ rendezvous->seeds[a]);
    uint64_t score_b = rng_mix64(hash ^ rendezvous->seeds[b]);
    return score_a != score_b ? score_a > score_b : a < b;
}

static size_t rendezvous_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                  uint32_t *out)
{
    const struct rendezvous *rendezvous = (const struct rendezvous *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key);
    size_t n_out = highest_ranks(placement, hash, rendezvous_wins, n, out);
    for (size_t i = 0; i < n_out; i++)
        out[i] = rendezvous->order[out[i]];
    return n_out;
}

static size_t rendezvous_bytes(const struct placement *placement)
{
    const struct rendezvous *rendezvous = (const struct rendezvous *)placement;
    return sizeof(*rendezvous) +
           placement->n_members * (sizeof(*rendezvous->order) + sizeof(*rendezvous->seeds));
}

static const struct placement_ops rendezvous_placement = {
    .part = {.name = "rendezvous",
             .summary = "highest random weight: every member draws for every key; O(N)",
             .source =
                 "Thaler, Ravishankar: Using Name-Based Mappings to Increase Hit Rates (1998)"},
    .caps =
        PLACEMENT_MINIMAL_MOVES | PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_DRAWN,
    .build = rendezvous_build,
    .free = rendezvous_free,
    .lookup = rendezvous_lookup,
    .lookup_n = rendezvous_lookup_n,
    .bytes = rendezvous_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(rendezvous_placement);
