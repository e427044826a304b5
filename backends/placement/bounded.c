/* bounded: consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018;
 * HAProxy's hash-balance-factor, Google's Pub/Sub). A ring whose members may carry at most c times
 * the mean: a key whose member is full goes on clockwise to the first that is not.
 *
 *     lookup         the ring's answer: where the key lives when nobody is full
 *     lookup_loaded  capacity of a member: ⌈c · (total + 1) · its weight / all weights⌉, the one
 *                    being placed counted in. The capacities sum to more than total, so somebody
 * has room, and nobody is ever over ⌈c · mean⌉, for every hash.
 *
 * The price of a small c: the fuller the members, the longer the walk and the more keys away from
 * home; an expected O(1/ε²) steps for c = 1 + ε ≤ 2. lookup_n gives the walk itself: the first
 * choice and those that a full one's keys spill to. */
#include <math.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/circle.h"
#include "core/mem.h"

/* A product that should be a whole number is not to be rounded up to the next one. */
#define ROUNDING (1.0 - 1e-12)

struct bounded_params {
    double c;
    uint64_t n_virtual;
};

static const struct option_def bounded_options[] = {
    {.name = "c",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct bounded_params, c),
     .metavar = "C",
     .fallback = "1.25",
     .min = 1,
     .max = 1000,
     .help = "the most a member may carry, in terms of the mean"},
    {.name = "virtual",
     .type = OPTION_U64,
     .offset = offsetof(struct bounded_params, n_virtual),
     .metavar = "K",
     .fallback = "100",
     .min = 1,
     .max = 1u << 20,
     .help = "points per member and unit of weight"},
    {.name = NULL},
};

struct bounded {
    struct placement base;
    struct circle circle;
    double c;
    double weights; /* the sum */
};

static int bounded_build(const void *params, const struct placement_member *members, size_t n,
                         const struct hash_pair *hashes, struct placement **ret_placement,
                         struct err *err)
{
    const struct bounded_params *p = params;
    struct bounded *bounded = mem_zalloc(1, sizeof(*bounded));
    int rc = circle_build(&bounded->circle, "bounded", p->n_virtual, members, n, hashes, err);
    if (rc != 0) {
        free(bounded);
        return rc;
    }
    bounded->c = p->c;
    for (size_t i = 0; i < n; i++)
        bounded->weights += members[i].weight;
    *ret_placement = &bounded->base;
    return 0;
}

static void bounded_free(struct placement *placement)
{
    struct bounded *bounded = (struct bounded *)placement;
    circle_done(&bounded->circle);
    free(bounded);
}

static uint32_t first_point(const struct placement *placement, uint64_t key)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return circle_first(&bounded->circle, hash_key(placement->hashes.request, key));
}

static uint32_t bounded_lookup(const struct placement *placement, uint64_t key)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return bounded->circle.members[first_point(placement, key)];
}

/* Loads that do not add up to their total could leave nobody room: then it is home. */
static uint32_t bounded_lookup_loaded(const struct placement *placement, uint64_t key,
                                      const struct placement_loads *loads)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    const struct circle *circle = &bounded->circle;
    uint32_t at = first_point(placement, key);
    uint32_t home = circle->members[at];
    double allowed = bounded->c * ((double)loads->total + 1.0) * ROUNDING;
    for (uint32_t i = 0; i < circle->n_points; i++) {
        uint32_t member = circle->members[at];
        double share = placement->members[member].weight / bounded->weights;
        if ((double)loads->of[member] + 1.0 <= ceil(allowed * share))
            return member;
        at = at >= circle->n_points - 1 ? 0 : at + 1;
    }
    return home;
}

static size_t bounded_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                               uint32_t *out)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return circle_walk(&bounded->circle, placement, first_point(placement, key), n, out);
}

static size_t bounded_bytes(const struct placement *placement)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return sizeof(*bounded) + circle_bytes(&bounded->circle);
}

/* Of lookup, without load. */
static void bounded_shares(const struct placement *placement, double *shares)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    circle_shares(&bounded->circle, placement->n_members, shares);
}

static size_t bounded_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return circle_arcs(&bounded->circle, arcs);
}

static double bounded_spread(const void *params, size_t n)
{
    const struct bounded_params *p = params;
    return circle_spread(p->n_virtual, n);
}

static uint32_t bounded_owner_at(const struct placement *placement, double at)
{
    const struct bounded *bounded = (const struct bounded *)placement;
    return bounded->circle.members[circle_first(&bounded->circle, (uint64_t)ldexp(at, 64))];
}

static const struct placement_ops bounded_placement = {
    .part = {.name = "bounded",
             .summary = "a ring on which no member carries more than c times the mean",
             .source = "Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads "
                       "(SODA 2018)",
             .options = bounded_options,
             .params_size = sizeof(struct bounded_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_MINIMAL_REWEIGH |
            PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_LOAD_AWARE,
    .build = bounded_build,
    .free = bounded_free,
    .lookup = bounded_lookup,
    .lookup_n = bounded_lookup_n,
    .lookup_loaded = bounded_lookup_loaded,
    .bytes = bounded_bytes,
    .shares = bounded_shares,
    .spread = bounded_spread,
    .owner_at = bounded_owner_at,
    .arcs = bounded_arcs,
};

PLACEMENT_REGISTER(bounded_placement);
