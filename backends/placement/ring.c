/* ring: consistent hashing as it was meant (Karger et al. 1997). Every member stands at K points of
 * the 64-bit circle per unit of weight; a key belongs to the first point at or clockwise after its
 * own hash. Taking a member away hands its arcs to the points after them and moves nothing else.
 * The points and the search among them are in circle.h.
 *
 * With the quadratic hash the ring is degenerate, and that is a finding: the polynomials of small
 * ids fill the bottom of the circle only, below nearly every request's hash, so nearly every key
 * wraps to the first point. The slots hide this by taking the hash mod M. */
#include <math.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/circle.h"
#include "core/mem.h"

struct ring_params {
    uint64_t n_virtual;
};

static const struct option_def ring_options[] = {
    {.name = "virtual",
     .type = OPTION_U64,
     .offset = offsetof(struct ring_params, n_virtual),
     .metavar = "K",
     .fallback = "100",
     .min = 1,
     .max = 1u << 20,
     .help = "points per member and unit of weight"},
    {.name = NULL},
};

struct ring {
    struct placement base;
    struct circle circle;
};

static int ring_build(const void *params, const struct placement_member *members, size_t n,
                      const struct hash_pair *hashes, struct placement **ret_placement,
                      struct err *err)
{
    const struct ring_params *p = params;
    struct ring *ring = mem_zalloc(1, sizeof(*ring));
    int rc = circle_build(&ring->circle, "ring", p->n_virtual, members, n, hashes, err);
    if (rc != 0) {
        free(ring);
        return rc;
    }
    *ret_placement = &ring->base;
    return 0;
}

static void ring_free(struct placement *placement)
{
    struct ring *ring = (struct ring *)placement;
    circle_done(&ring->circle);
    free(ring);
}

static uint32_t ring_lookup(const struct placement *placement, uint64_t key)
{
    const struct ring *ring = (const struct ring *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key);
    return ring->circle.members[circle_first(&ring->circle, hash)];
}

static void ring_lookup_hashes(const struct placement *placement, const uint64_t *hashes, size_t n,
                               uint32_t *out)
{
    const struct ring *ring = (const struct ring *)placement;
    const struct circle circle = ring->circle; /* a copy: no store in the loop can change it */
    for (size_t i = 0; i < n; i++)
        out[i] = circle.members[circle_first(&circle, hashes[i])];
}

/* Clockwise over the points: every member has one, so the walk ends within a round. */
static size_t ring_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                            uint32_t *out)
{
    const struct ring *ring = (const struct ring *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key);
    return circle_walk(&ring->circle, placement, circle_first(&ring->circle, hash), n, out);
}

static size_t ring_bytes(const struct placement *placement)
{
    const struct ring *ring = (const struct ring *)placement;
    return sizeof(*ring) + circle_bytes(&ring->circle);
}

static void ring_shares(const struct placement *placement, double *shares)
{
    const struct ring *ring = (const struct ring *)placement;
    circle_shares(&ring->circle, placement->n_members, shares);
}

static uint32_t ring_owner_at(const struct placement *placement, double at)
{
    const struct ring *ring = (const struct ring *)placement;
    return ring->circle.members[circle_first(&ring->circle, (uint64_t)ldexp(at, 64))];
}

static size_t ring_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct ring *ring = (const struct ring *)placement;
    return circle_arcs(&ring->circle, arcs);
}

static double ring_spread(const void *params, size_t n)
{
    const struct ring_params *p = params;
    return circle_spread(p->n_virtual, n);
}

static const struct placement_ops ring_placement = {
    .part = {.name = "ring",
             .summary = "consistent hashing: K points a member on the 64-bit circle",
             .source = "Karger et al.: Consistent Hashing and Random Trees (1997)",
             .options = ring_options,
             .params_size = sizeof(struct ring_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_MINIMAL_REWEIGH |
            PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES,
    .build = ring_build,
    .free = ring_free,
    .lookup = ring_lookup,
    .lookup_hashes = ring_lookup_hashes,
    .lookup_n = ring_lookup_n,
    .bytes = ring_bytes,
    .shares = ring_shares,
    .spread = ring_spread,
    .owner_at = ring_owner_at,
    .arcs = ring_arcs,
};

PLACEMENT_REGISTER(ring_placement);
