/* jumpback: JumpBackHash (Ertl 2024). Jump's property, found from the other end: it generates the
 * numbers of buckets at which the key moves in descending order, from the power of two above N, so
 * the first one below N ends the search. At most two random numbers are expected, whatever N is,
 * and integer arithmetic alone.
 *
 *     u     of each octave [q, 2q) of bucket numbers, whether the key ever moves into it: a bit
 *     v     a random word; its other half, or later words, say where in the octave it moves last
 *
 * The generator is splitmix64 from the key's hash. As with jump, only the last member can come or
 * go without others' keys moving. */
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"
#include "core/rng.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

struct jumpback {
    struct placement base;
    uint32_t *order; /* members in ascending order of id: the buckets */
};

static int jumpback_build(const void *params, const struct placement_member *members, size_t n,
                          const struct hash_pair *hashes, struct placement **ret_placement,
                          struct err *err)
{
    (void)params;
    (void)hashes;
    (void)err;
    struct jumpback *jumpback = mem_zalloc(1, sizeof(*jumpback));
    jumpback->order = placement_sort_members(members, n);
    *ret_placement = &jumpback->base;
    return 0;
}

static void jumpback_free(struct placement *placement)
{
    struct jumpback *jumpback = (struct jumpback *)placement;
    free(jumpback->order);
    free(jumpback);
}

/* Listing 1 of the paper. n ≤ 2^31. */
static uint32_t jumpback_hash(uint64_t state, uint32_t n)
{
    if (n <= 1)
        return 0;
    uint64_t v = rng_mix64(state);
    uint32_t octaves = UINT32_MAX >> __builtin_clz(n - 1);
    uint32_t u = (uint32_t)(v ^ v >> 32) & octaves;
    while (u != 0) {
        uint32_t q = UINT32_C(1) << (31 - __builtin_clz(u)); /* the highest octave left */
        /* The parity of the octaves left chooses a half of v: low for even. Each half by itself is
         * independent of u. */
        uint32_t half = (uint32_t)(v >> ((unsigned)__builtin_popcount(u) % 2 * 32));
        uint32_t bucket = q + (half & (q - 1));
        for (;;) {
            if (bucket < n)
                return bucket;
            state += GOLDEN;
            uint64_t w = rng_mix64(state);
            bucket = (uint32_t)w & (2 * q - 1);
            if (bucket < q)
                break; /* it moves into no bucket of this octave below the last one tried */
            if (bucket < n)
                return bucket;
            bucket = (uint32_t)(w >> 32) & (2 * q - 1);
            if (bucket < q)
                break;
        }
        u ^= q;
    }
    return 0;
}

static uint32_t jumpback_draw(const struct placement *placement, uint64_t hash)
{
    const struct jumpback *jumpback = (const struct jumpback *)placement;
    return jumpback->order[jumpback_hash(hash, placement->n_members)];
}

static uint32_t jumpback_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return jumpback_draw(placement, hash_key(placement->hashes.request, key));
}

static size_t jumpback_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                uint32_t *out)
{
    const struct jumpback *jumpback = (const struct jumpback *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash_key(placement->hashes.request, key),
                      jumpback->order, jumpback_draw);
    return distinct.n;
}

static size_t jumpback_bytes(const struct placement *placement)
{
    return sizeof(struct jumpback) + placement->n_members * sizeof(uint32_t);
}

static const struct placement_ops jumpback_placement = {
    .part = {.name = "jumpback",
             .summary = "jump's property in constant time, by integer arithmetic",
             .source = "Ertl: JumpBackHash: Say Goodbye to the Modulo Operation to Distribute Keys "
                       "Uniformly to Buckets (2024)"},
    .caps =
        PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_MINIMAL_TAIL | PLACEMENT_DRAWN,
    .build = jumpback_build,
    .free = jumpback_free,
    .lookup = jumpback_lookup,
    .lookup_n = jumpback_lookup_n,
    .bytes = jumpback_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(jumpback_placement);
