/* straw2: Ceph's bucket (Weil et al. 2006; the second version, 2014). Every member draws a straw
 * for every key, and the longest wins; a straw's length is
 *
 *     ln(u / 2^16) / weight,   u = 1 … 2^16 from 16 bits of the pair's hash,
 *
 * in fixed point, so that every machine computes the same map. It is weighted-rendezvous with a
 * coarse u: of N equal members two tie for the longest about N times in 2^16, and the first then
 * wins, which favours small ids: by nothing at N = 10, by a percent between the ends at N = 1000.
 * The logarithm is taken from tables, as in CRUSH; they are computed here rather than CRUSH's, and
 * the hash is quoit's, so placements are not those of a Ceph cluster. */
#include <math.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/highest.h"
#include "core/mem.h"
#include "core/rng.h"

#define LOG_FRACTION_BITS 40

struct straw2 {
    struct placement base;
    uint32_t *order; /* members in ascending order of id */
    uint64_t *seeds; /* of each rank, its member's hash */
    uint32_t *weights;
};

/* log2(1 + k / 256), and log2(1 + k / 2^16) for the rest, with LOG_FRACTION_BITS of fraction. */
static int64_t log_coarse[257], log_fine[257];

__attribute__((constructor)) static void fill_logs(void)
{
    for (int k = 0; k <= 256; k++) {
        log_coarse[k] = llround(ldexp(log2(1.0 + k / 256.0), LOG_FRACTION_BITS));
        log_fine[k] = llround(ldexp(log2(1.0 + k / 65536.0), LOG_FRACTION_BITS));
    }
}

/* log2(x) with LOG_FRACTION_BITS of fraction, 1 ≤ x ≤ 2^16. x = 2^e (1 + a / 256)(1 + b / 2^16):
 * a by truncation, b what is left, rounded. Off by 1e-5 at most, and never falling. */
static int64_t log2_fixed(uint32_t x)
{
    int exponent = 31 - __builtin_clz(x);
    uint32_t mantissa = x << (16 - exponent); /* 2^16 … 2^17 − 1 */
    uint32_t a = (mantissa >> 8) - 256;
    uint32_t b = ((mantissa & 255) * 256 + (256 + a) / 2) / (256 + a);
    return ((int64_t)exponent << LOG_FRACTION_BITS) + log_coarse[a] + log_fine[b];
}

static int straw2_build(const void *params, const struct placement_member *members, size_t n,
                        const struct hash_pair *hashes, struct placement **ret_placement,
                        struct err *err)
{
    (void)params;
    (void)err;
    struct straw2 *straw2 = mem_zalloc(1, sizeof(*straw2));
    straw2->order = placement_sort_members(members, n);
    straw2->seeds = mem_zalloc(n + 1, sizeof(*straw2->seeds));
    straw2->weights = mem_zalloc(n + 1, sizeof(*straw2->weights));
    for (size_t rank = 0; rank < n; rank++) {
        const struct placement_member *member = &members[straw2->order[rank]];
        straw2->seeds[rank] = hash_point(hashes->server, member->id, 0);
        straw2->weights[rank] = member->weight;
    }
    *ret_placement = &straw2->base;
    return 0;
}

static void straw2_free(struct placement *placement)
{
    struct straw2 *straw2 = (struct straw2 *)placement;
    free(straw2->order);
    free(straw2->seeds);
    free(straw2->weights);
    free(straw2);
}

/* ≤ 0: the longest is the one nearest to it. */
static inline int64_t straw_of(const struct straw2 *straw2, uint64_t hash, uint32_t rank)
{
    uint32_t u = (uint32_t)(rng_mix64(hash ^ straw2->seeds[rank]) >> 48) + 1;
    int64_t log = log2_fixed(u) - (INT64_C(16) << LOG_FRACTION_BITS);
    return log / (int64_t)straw2->weights[rank];
}

static uint32_t straw2_lookup(const struct placement *placement, uint64_t key)
{
    const struct straw2 *straw2 = (const struct straw2 *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    uint64_t hash = hash_key(placement->hashes.request, key);
    int64_t best = straw_of(straw2, hash, 0);
    uint32_t best_rank = 0;
    for (uint32_t rank = 1; rank < placement->n_members; rank++) {
        int64_t straw = straw_of(straw2, hash, rank);
        if (straw > best) {
            best = straw;
            best_rank = rank;
        }
    }
    return straw2->order[best_rank];
}

static bool straw2_wins(const struct placement *placement, uint64_t hash, uint32_t a, uint32_t b)
{
    const struct straw2 *straw2 = (const struct straw2 *)placement;
    int64_t straw_a = straw_of(straw2, hash, a), straw_b = straw_of(straw2, hash, b);
    return straw_a != straw_b ? straw_a > straw_b : a < b;
}

static size_t straw2_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                              uint32_t *out)
{
    const struct straw2 *straw2 = (const struct straw2 *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key);
    size_t n_out = highest_ranks(placement, hash, straw2_wins, n, out);
    for (size_t i = 0; i < n_out; i++)
        out[i] = straw2->order[out[i]];
    return n_out;
}

static size_t straw2_bytes(const struct placement *placement)
{
    const struct straw2 *straw2 = (const struct straw2 *)placement;
    return sizeof(*straw2) + sizeof(log_coarse) + sizeof(log_fine) +
           placement->n_members *
               (sizeof(*straw2->order) + sizeof(*straw2->seeds) + sizeof(*straw2->weights));
}

static const struct placement_ops straw2_placement = {
    .part = {.name = "straw2",
             .summary = "Ceph's longest straw: weighted rendezvous in fixed point; O(N)",
             .source = "Weil et al.: CRUSH (SC 2006), section 3.4; straw2 of Ceph 0.87"},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_MINIMAL_REWEIGH |
            PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_DRAWN,
    .build = straw2_build,
    .free = straw2_free,
    .lookup = straw2_lookup,
    .lookup_n = straw2_lookup_n,
    .bytes = straw2_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(straw2_placement);
