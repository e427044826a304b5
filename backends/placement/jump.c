/* jump: jump consistent hash (Lamping and Veach 2014). The key seeds a generator that says at which
 * numbers of buckets the key moves to the new one; the last of them below N is its bucket. No
 * table, shares even to one part in 10^8, about ln N steps.
 *
 * Buckets are numbers: the members in ascending order of id. Only the last one can come or go
 * without others' keys moving; take one out of the middle, and the keys of all behind it move up.
 */
#include "backends/placement/jump.h"

#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"

#define JUMP_BLOCK 4
#define JUMP_FRACTION 31 /* bits */
/* In units of 2^-JUMP_FRACTION. A factor is off by half a unit, hence its product with a bucket's
 * number by 2^15 at most. */
#define JUMP_DOUBT (UINT64_C(1) << 16)
/* The generator: once, and twice in one go. */
#define JUMP_A UINT64_C(2862933555777941757)
#define JUMP_A_TWICE (JUMP_A * JUMP_A)
#define JUMP_C_TWICE (JUMP_A + 1)

typedef double double_pair __attribute__((vector_size(16)));
typedef int64_t int64_pair __attribute__((vector_size(16)));
typedef int32_t int32_pair __attribute__((vector_size(8)));

/* The next JUMP_BLOCK factors 2^31 / (random bits + 1) of the key, in fixed point, none above
 * `most`. Returns the generator's state. Adding 2^52 rounds a double and leaves it as an integer in
 * its low bits. */
static inline uint64_t jump_factors(uint64_t key, double most, uint64_t factors[JUMP_BLOCK])
{
    const double_pair numerator = {0x1p62, 0x1p62}, one = {1.0, 1.0}, magic = {0x1p52, 0x1p52};
    const double_pair limit = {most, most};
#pragma GCC unroll 2
    for (unsigned i = 0; i < JUMP_BLOCK; i += 2) {
        uint64_t first = key * JUMP_A + 1;
        key = key * JUMP_A_TWICE + JUMP_C_TWICE;
        const int32_pair bits = {(int32_t)(first >> 33), (int32_t)(key >> 33)};
        double_pair factor = numerator / (__builtin_convertvector(bits, double_pair) + one);
        const int64_pair below = (int64_pair)(factor < limit);
        factor = (double_pair)((below & (int64_pair)factor) | (~below & (int64_pair)limit));
        const int64_pair fixed = (int64_pair)(factor + magic);
        factors[i] = (uint64_t)fixed[0] & ((UINT64_C(1) << 52) - 1);
        factors[i + 1] = (uint64_t)fixed[1] & ((UINT64_C(1) << 52) - 1);
    }
    return key;
}

uint32_t jump_bucket(uint64_t key, uint32_t n)
{
    /* A factor of n + 1 leads beyond all buckets from anywhere; the fraction keeps it from whole
     * numbers, where it would look doubtful. Products stay below 2^64. */
    const double most = ((double)n + 1.618) * 0x1p31;
    uint64_t state = key, number = 1, nearest = UINT64_MAX;
    uint32_t bucket = 0;
    do {
        uint64_t factors[JUMP_BLOCK];
        state = jump_factors(state, most, factors);
#pragma GCC unroll 4
        for (unsigned i = 0; i < JUMP_BLOCK; i++) {
            uint64_t product = number * factors[i];
            uint64_t next = product >> JUMP_FRACTION;
            uint64_t fraction = (product + JUMP_DOUBT) << (64 - JUMP_FRACTION);
            nearest = fraction < nearest ? fraction : nearest;
            bucket = next < n ? (uint32_t)next : bucket;
            number = (next < n ? next : n) + 1;
        }
    } while (number <= n);
    if (__builtin_expect(nearest < 2 * JUMP_DOUBT << (64 - JUMP_FRACTION), 0))
        return jump_hash(key, n);
    return bucket;
}

struct jump {
    struct placement base;
    uint32_t *order; /* members in ascending order of id: the buckets */
};

static int jump_build(const void *params, const struct placement_member *members, size_t n,
                      const struct hash_pair *hashes, struct placement **ret_placement,
                      struct err *err)
{
    (void)params;
    (void)hashes;
    (void)err;
    struct jump *jump = mem_zalloc(1, sizeof(*jump));
    jump->order = placement_sort_members(members, n);
    *ret_placement = &jump->base;
    return 0;
}

static void jump_free(struct placement *placement)
{
    struct jump *jump = (struct jump *)placement;
    free(jump->order);
    free(jump);
}

static uint32_t jump_draw(const struct placement *placement, uint64_t hash)
{
    const struct jump *jump = (const struct jump *)placement;
    return jump->order[jump_bucket(hash, placement->n_members)];
}

static uint32_t jump_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return jump_draw(placement, hash_key(placement->hashes.request, key));
}

static void jump_lookup_hashes(const struct placement *placement, const uint64_t *hashes, size_t n,
                               uint32_t *out)
{
    const struct jump *jump = (const struct jump *)placement;
    jump_buckets(hashes, n, placement->n_members, out);
    for (size_t i = 0; i < n; i++)
        out[i] = jump->order[out[i]];
}

/* The paper has none: jumps from salted hashes, until they are distinct. */
static size_t jump_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                            uint32_t *out)
{
    const struct jump *jump = (const struct jump *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash_key(placement->hashes.request, key), jump->order,
                      jump_draw);
    return distinct.n;
}

static size_t jump_bytes(const struct placement *placement)
{
    return sizeof(struct jump) + placement->n_members * sizeof(uint32_t);
}

static const struct placement_ops jump_placement = {
    .part = {.name = "jump",
             .summary =
                 "jump consistent hash: no table, perfectly even; only the last member can go",
             .source = "Lamping, Veach: A Fast, Minimal Memory, Consistent Hash Algorithm (2014)"},
    .caps =
        PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_MINIMAL_TAIL | PLACEMENT_DRAWN,
    .build = jump_build,
    .free = jump_free,
    .lookup = jump_lookup,
    .lookup_hashes = jump_lookup_hashes,
    .lookup_n = jump_lookup_n,
    .bytes = jump_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(jump_placement);
