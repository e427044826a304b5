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
    return jump->order[jump_hash(hash, placement->n_members)];
}

static uint32_t jump_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return jump_draw(placement, hash_key(placement->hashes.request, key));
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
    .lookup_n = jump_lookup_n,
    .bytes = jump_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(jump_placement);
