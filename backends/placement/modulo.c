/* modulo: hash mod N over the members sorted by id. The bad baseline: perfectly even under a good
 * hash, one division, no memory to speak of, and a change of N moves nearly every key (all but one
 * in N + 1 when one is added). */
#include <stdlib.h>

#include "backends/modulus.h"
#include "backends/placement.h"
#include "core/mem.h"

struct modulo {
    struct placement base;
    struct modulus modulus; /* of the number of members */
    uint32_t *order;        /* members in ascending order of id */
};

static int modulo_build(const void *params, const struct placement_member *members, size_t n,
                        const struct hash_pair *hashes, struct placement **ret_placement,
                        struct err *err)
{
    (void)params;
    (void)hashes;
    (void)err;
    struct modulo *modulo = mem_zalloc(1, sizeof(*modulo));
    modulo->modulus = modulus_of(n ? n : 1);
    modulo->order = placement_sort_members(members, n);
    *ret_placement = &modulo->base;
    return 0;
}

static void modulo_free(struct placement *placement)
{
    struct modulo *modulo = (struct modulo *)placement;
    free(modulo->order);
    free(modulo);
}

static uint32_t modulo_lookup(const struct placement *placement, uint64_t key)
{
    const struct modulo *modulo = (const struct modulo *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return modulo->order[modulus_rest(modulo->modulus, hash_key(placement->hashes.request, key))];
}

static void modulo_lookup_hashes(const struct placement *placement, const uint64_t *hashes,
                                 size_t n, uint32_t *out)
{
    const struct modulo *modulo = (const struct modulo *)placement;
    const struct modulus modulus = modulo->modulus;
    for (size_t i = 0; i < n; i++)
        out[i] = modulo->order[modulus_rest(modulus, hashes[i])];
}

/* The member and those after it in order of id. */
static size_t modulo_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                              uint32_t *out)
{
    const struct modulo *modulo = (const struct modulo *)placement;
    uint32_t n_members = placement->n_members;
    if (n_members == 0 || n == 0)
        return 0;
    if (n > n_members)
        n = n_members;
    size_t at = modulus_rest(modulo->modulus, hash_key(placement->hashes.request, key));
    for (size_t i = 0; i < n; i++) {
        out[i] = modulo->order[at];
        at = at + 1 == n_members ? 0 : at + 1;
    }
    return n;
}

static size_t modulo_bytes(const struct placement *placement)
{
    return sizeof(struct modulo) + placement->n_members * sizeof(uint32_t);
}

/* Equal to the last bit of a double: 2^64 mod N values of the hash are one to a member too many. */
static void modulo_shares(const struct placement *placement, double *shares)
{
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 1.0 / placement->n_members;
}

static double modulo_spread(const void *params, size_t n)
{
    (void)params;
    (void)n;
    return 0.0;
}

static const struct placement_ops modulo_placement = {
    .part = {.name = "modulo",
             .summary = "hash mod N over the members sorted by id: even, but a change moves nearly "
                        "every key",
             .source = "folklore; the baseline of Karger et al. (1997)"},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES,
    .build = modulo_build,
    .free = modulo_free,
    .lookup = modulo_lookup,
    .lookup_hashes = modulo_lookup_hashes,
    .lookup_n = modulo_lookup_n,
    .bytes = modulo_bytes,
    .shares = modulo_shares,
    .spread = modulo_spread,
};

PLACEMENT_REGISTER(modulo_placement);
