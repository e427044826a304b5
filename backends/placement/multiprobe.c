/* multiprobe: multi-probe consistent hashing (Appleton and O'Reilly 2015). One point a member on
 * the circle, and k probes a key: the key goes to the point that is nearest clockwise to any of its
 * probes. Long arcs are found by more probes but lose to shorter distances elsewhere, so the peak
 * is k / (k − 1) of the mean where a ring would need hundreds of points a member: memory of one
 * point a member, paid for with k searches.
 *
 *     probe i = h + i · step,   h the key's hash, step another mix of it, made odd
 *
 * The probes are mixed once more here, since the distance of two probes must not be the same for
 * all keys. Points can be several for a weight: a member of weight w has w of them, each of which
 * wins equally often. Replicas are what the search finds without the members found already. */
#include <math.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "backends/placement/circle.h"
#include "core/mem.h"
#include "core/rng.h"

#define MAX_PROBES 64u

struct multiprobe_params {
    uint64_t n_probes;
};

static const struct option_def multiprobe_options[] = {
    {.name = "probes",
     .type = OPTION_U64,
     .offset = offsetof(struct multiprobe_params, n_probes),
     .metavar = "K",
     .fallback = "21",
     .min = 1,
     .max = MAX_PROBES,
     .help = "probes a key; the peak is about K / (K − 1) of the mean"},
    {.name = NULL},
};

struct multiprobe {
    struct placement base;
    struct circle circle;
    uint32_t n_probes;
};

static int multiprobe_build(const void *params, const struct placement_member *members, size_t n,
                            const struct hash_pair *hashes, struct placement **ret_placement,
                            struct err *err)
{
    const struct multiprobe_params *p = params;
    struct multiprobe *multiprobe = mem_zalloc(1, sizeof(*multiprobe));
    multiprobe->n_probes = (uint32_t)p->n_probes;
    int rc = circle_build(&multiprobe->circle, "multiprobe", 1, members, n, hashes, err);
    if (rc != 0) {
        free(multiprobe);
        return rc;
    }
    *ret_placement = &multiprobe->base;
    return 0;
}

static void multiprobe_free(struct placement *placement)
{
    struct multiprobe *multiprobe = (struct multiprobe *)placement;
    circle_done(&multiprobe->circle);
    free(multiprobe);
}

/* The i-th place a key with this hash is looked for. */
static inline uint64_t probe_of(uint64_t hash, uint32_t i)
{
    return rng_mix64(hash + i * (rng_mix64(~hash) | 1));
}

static uint32_t multiprobe_lookup(const struct placement *placement, uint64_t key)
{
    const struct multiprobe *multiprobe = (const struct multiprobe *)placement;
    const struct circle *circle = &multiprobe->circle;
    if (circle->n_points == 0)
        return PLACEMENT_NONE;
    uint64_t hash = hash_key(placement->hashes.request, key), best = UINT64_MAX;
    uint32_t best_at = 0;
    for (uint32_t i = 0; i < multiprobe->n_probes; i++) {
        uint64_t probe = probe_of(hash, i);
        uint32_t at = circle_first(circle, probe);
        at = at == circle->n_points ? 0 : at;
        uint64_t distance = circle->hashes[at] - probe;
        best_at = distance < best || i == 0 ? at : best_at;
        best = distance < best ? distance : best;
    }
    return circle->members[best_at];
}

/* Every probe keeps the nearest point whose member was not found yet; the nearest of those is next.
 * Each goes round the circle once at most. */
static size_t multiprobe_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                  uint32_t *out)
{
    const struct multiprobe *multiprobe = (const struct multiprobe *)placement;
    const struct circle *circle = &multiprobe->circle;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;

    uint64_t probes[MAX_PROBES];
    uint32_t at[MAX_PROBES];
    uint64_t hash = hash_key(placement->hashes.request, key);
    for (uint32_t i = 0; i < multiprobe->n_probes; i++) {
        probes[i] = probe_of(hash, i);
        at[i] = circle_first(circle, probes[i]);
    }
    while (!distinct_full(&distinct)) {
        uint64_t best = 0;
        uint32_t best_at = PLACEMENT_NONE;
        for (uint32_t i = 0; i < multiprobe->n_probes; i++) {
            at[i] = at[i] == circle->n_points ? 0 : at[i];
            while (distinct_has(&distinct, circle->members[at[i]]))
                at[i] = at[i] + 1 == circle->n_points ? 0 : at[i] + 1;
            uint64_t distance = circle->hashes[at[i]] - probes[i];
            if (best_at == PLACEMENT_NONE || distance < best) {
                best = distance;
                best_at = at[i];
            }
        }
        distinct_add(&distinct, circle->members[best_at]);
    }
    return distinct.n;
}

static size_t multiprobe_bytes(const struct placement *placement)
{
    const struct multiprobe *multiprobe = (const struct multiprobe *)placement;
    return sizeof(*multiprobe) + circle_bytes(&multiprobe->circle);
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Of probes drawn independently. A probe is at distance t from its point with density (arcs longer
 * than t), so with S(t) the chance that a probe is farther than t from any, the sum over the arcs
 * of max(arc − t, 0), a point wins with k ∫ S(t)^(k−1) dt, t from 0 to its arc. S is linear between
 * the arcs' sorted lengths with slope −(arcs that are longer): the integral over each piece is a
 * difference of k-th powers. */
static void multiprobe_shares(const struct placement *placement, double *shares)
{
    const struct multiprobe *multiprobe = (const struct multiprobe *)placement;
    const struct circle *circle = &multiprobe->circle;
    uint32_t n = circle->n_points;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 0.0;
    if (n == 0)
        return;

    double *arcs = mem_zalloc(n, sizeof(*arcs)), *lengths = mem_zalloc(n, sizeof(*lengths));
    double *wins = mem_zalloc(n, sizeof(*wins)); /* of an arc of lengths[i] */
    uint64_t before = circle->hashes[n - 1];
    bool one = before == circle->hashes[0];
    for (uint32_t i = 0; i < n; i++) {
        arcs[i] = one ? (i == 0 ? 1.0 : 0.0) : ldexp((double)(circle->hashes[i] - before), -64);
        lengths[i] = arcs[i];
        before = circle->hashes[i];
    }
    qsort(lengths, n, sizeof(*lengths), compare_doubles);
    double k = multiprobe->n_probes, farther = 1.0, won = 0.0, reached = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        double longer = n - i;
        double left = fmax(farther - (lengths[i] - reached) * longer, 0.0);
        won += (pow(farther, k) - pow(left, k)) / longer;
        wins[i] = won;
        farther = left;
        reached = lengths[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        const double *found = bsearch(&arcs[i], lengths, n, sizeof(*lengths), compare_doubles);
        shares[circle->members[i]] += wins[found - lengths];
    }
    free(arcs);
    free(lengths);
    free(wins);
}

static const struct placement_ops multiprobe_placement = {
    .part = {.name = "multiprobe",
             .summary = "one point a member, k probes a key: even with little memory",
             .source = "Appleton, O'Reilly: Multi-Probe Consistent Hashing (2015)",
             .options = multiprobe_options,
             .params_size = sizeof(struct multiprobe_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_MINIMAL_REWEIGH |
            PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_DRAWN,
    .build = multiprobe_build,
    .free = multiprobe_free,
    .lookup = multiprobe_lookup,
    .lookup_n = multiprobe_lookup_n,
    .bytes = multiprobe_bytes,
    .shares = multiprobe_shares,
};

PLACEMENT_REGISTER(multiprobe_placement);
