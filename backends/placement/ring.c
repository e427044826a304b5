/* ring: consistent hashing as it was meant (Karger et al. 1997). Every member stands at K points of
 * the 64-bit circle per unit of weight; a key belongs to the first point at or clockwise after its
 * own hash. Taking a member away hands its arcs to the points after them and moves nothing else.
 *
 *     hashes   ascending, ties in order of the members' ids, so that the order of the array that
 *              build was given does not matter
 *     members  whose point it is
 *     first    of every bucket, the index of its first point. There are as many buckets as points
 *              or up to twice as many, so the hash's top bits lead to within a point or so of the
 *              answer, and counting the smaller ones among the next four, without a branch, ends
 *              nearly every search. Points that lie thick (a bad hash) are searched by halving.
 *
 * With the quadratic hash the ring is degenerate, and that is a finding: the polynomials of small
 * ids fill the bottom of the circle only, below nearly every request's hash, so nearly every key
 * wraps to the first point. The slots hide this by taking the hash mod M. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"

#define RING_MAX_POINTS (UINT64_C(1) << 24)
#define RING_SCAN 4u

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
    uint64_t *hashes;  /* n_points, then RING_SCAN times UINT64_MAX, below which nothing is */
    uint32_t *members; /* n_points, then once more the first: past the last point the circle
                          closes. PLACEMENT_NONE where there is no point */
    uint32_t *first;   /* n_buckets + 1 */
    uint32_t n_points;
    uint32_t n_buckets; /* a power of two */
    unsigned shift;     /* hash >> shift is the bucket */
};

struct point {
    uint64_t hash;
    uint32_t rank; /* of the member among the ids */
};

static int compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static int count_points(const struct ring_params *p, const struct placement_member *members,
                        size_t n, uint32_t *ret_n_points, struct err *err)
{
    uint64_t n_points = 0;
    for (size_t i = 0; i < n; i++) {
        n_points += p->n_virtual * members[i].weight; /* < 2^52, and checked before it can add up */
        if (n_points > RING_MAX_POINTS)
            return err_set(err, -EINVAL,
                           "ring: %zu members with %" PRIu64
                           " points per unit of weight are more than %" PRIu64 " points",
                           n, p->n_virtual, RING_MAX_POINTS);
    }
    *ret_n_points = (uint32_t)n_points;
    return 0;
}

static void place_points(struct ring *ring, const struct ring_params *p,
                         const struct placement_member *members, size_t n,
                         const struct hash_pair *hashes)
{
    uint32_t *order = placement_sort_members(members, n);
    struct point *points = mem_zalloc(ring->n_points + 1u, sizeof(*points));
    uint32_t n_points = 0;
    for (uint32_t rank = 0; rank < n; rank++) {
        const struct placement_member *member = &members[order[rank]];
        for (uint64_t j = 0; j < p->n_virtual * member->weight; j++)
            points[n_points++] =
                (struct point){.hash = hash_point(hashes->server, member->id, j), .rank = rank};
    }
    if (n_points > 1)
        qsort(points, n_points, sizeof(*points), compare_points);

    for (uint32_t i = 0; i < n_points; i++) {
        ring->hashes[i] = points[i].hash;
        ring->members[i] = order[points[i].rank];
    }
    ring->members[n_points] = n_points ? ring->members[0] : PLACEMENT_NONE;
    for (uint32_t i = 0; i < RING_SCAN; i++)
        ring->hashes[n_points + i] = UINT64_MAX;
    free(points);
    free(order);
}

static void index_buckets(struct ring *ring)
{
    uint32_t at = 0;
    for (uint32_t bucket = 0; bucket < ring->n_buckets; bucket++) {
        while (at < ring->n_points && ring->hashes[at] >> ring->shift < bucket)
            at++;
        ring->first[bucket] = at;
    }
    ring->first[ring->n_buckets] = ring->n_points;
}

static int ring_build(const void *params, const struct placement_member *members, size_t n,
                      const struct hash_pair *hashes, struct placement **ret_placement,
                      struct err *err)
{
    uint32_t n_points = 0;
    int rc = count_points(params, members, n, &n_points, err);
    if (rc != 0)
        return rc;

    struct ring *ring = mem_zalloc(1, sizeof(*ring));
    ring->n_points = n_points;
    unsigned bits = 1;
    while ((UINT32_C(1) << bits) < n_points)
        bits++;
    ring->n_buckets = UINT32_C(1) << bits;
    ring->shift = 64 - bits;
    ring->hashes = mem_zalloc(n_points + RING_SCAN, sizeof(*ring->hashes));
    ring->members = mem_zalloc(n_points + 1u, sizeof(*ring->members));
    ring->first = mem_zalloc(ring->n_buckets + 1u, sizeof(*ring->first));
    place_points(ring, params, members, n, hashes);
    index_buckets(ring);
    *ret_placement = &ring->base;
    return 0;
}

static void ring_free(struct placement *placement)
{
    struct ring *ring = (struct ring *)placement;
    free(ring->hashes);
    free(ring->members);
    free(ring->first);
    free(ring);
}

/* Index of the first point at or after the hash; n_points past the last one. */
static inline uint32_t first_point(const struct ring *ring, uint64_t hash)
{
    uint64_t bucket = hash >> ring->shift;
    uint32_t at = ring->first[bucket];
    /* Points of later buckets, and the sentinels, are not smaller: they count 0. */
    const uint64_t *p = ring->hashes + at;
    uint32_t smaller = (uint32_t)(p[0] < hash) + (uint32_t)(p[1] < hash) + (uint32_t)(p[2] < hash) +
                       (uint32_t)(p[3] < hash);
    at += smaller;
    if (__builtin_expect(smaller < RING_SCAN, 1))
        return at;
    uint32_t end = ring->first[bucket + 1];
    while (at < end) {
        uint32_t middle = at + (end - at) / 2;
        if (ring->hashes[middle] < hash)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

_Static_assert(RING_SCAN == 4, "first_point() counts four");

static uint32_t ring_lookup(const struct placement *placement, uint64_t key)
{
    const struct ring *ring = (const struct ring *)placement;
    return ring->members[first_point(ring, hash_key(placement->hashes.request, key))];
}

/* Clockwise over the points: every member has one, so the walk ends within a round. */
static size_t ring_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                            uint32_t *out)
{
    const struct ring *ring = (const struct ring *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;
    uint32_t at = first_point(ring, hash_key(placement->hashes.request, key));
    while (!distinct_full(&distinct)) {
        distinct_add(&distinct, ring->members[at]);
        at = at >= ring->n_points - 1 ? 0 : at + 1;
    }
    return distinct.n;
}

static size_t ring_bytes(const struct placement *placement)
{
    const struct ring *ring = (const struct ring *)placement;
    return sizeof(*ring) + (ring->n_points + RING_SCAN) * sizeof(*ring->hashes) +
           (ring->n_points + 1u) * sizeof(*ring->members) +
           (ring->n_buckets + 1u) * sizeof(*ring->first);
}

/* A point owns the arc from the point before it, itself included. Of equal points the first owns
 * it all and the others nothing. */
static void ring_shares(const struct placement *placement, double *shares)
{
    const struct ring *ring = (const struct ring *)placement;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 0.0;
    if (ring->n_points == 0)
        return;
    uint64_t before = ring->hashes[ring->n_points - 1];
    if (before == ring->hashes[0]) { /* all points are one: the arc is the circle, 2^64 long */
        shares[ring->members[0]] = 1.0;
        return;
    }
    for (uint32_t i = 0; i < ring->n_points; i++) {
        shares[ring->members[i]] += ldexp((double)(ring->hashes[i] - before), -64);
        before = ring->hashes[i];
    }
}

static uint32_t ring_owner_at(const struct placement *placement, double at)
{
    const struct ring *ring = (const struct ring *)placement;
    return ring->members[first_point(ring, (uint64_t)ldexp(at, 64))];
}

/* The NK arcs between uniform points are Dirichlet; K of them are Beta(K, NK − K), hence
 * CoV² = (N − 1) / (NK + 1). */
static double ring_spread(const void *params, size_t n)
{
    const struct ring_params *p = params;
    if (n < 2)
        return 0.0;
    return sqrt(((double)n - 1.0) / ((double)n * (double)p->n_virtual + 1.0));
}

static const struct placement_ops ring_placement = {
    .part = {.name = "ring",
             .summary = "consistent hashing: K points a member on the 64-bit circle",
             .source = "Karger et al.: Consistent Hashing and Random Trees (1997)",
             .options = ring_options,
             .params_size = sizeof(struct ring_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_ORDER_FREE |
            PLACEMENT_EXACT_SHARES,
    .build = ring_build,
    .free = ring_free,
    .lookup = ring_lookup,
    .lookup_n = ring_lookup_n,
    .bytes = ring_bytes,
    .shares = ring_shares,
    .spread = ring_spread,
    .owner_at = ring_owner_at,
};

PLACEMENT_REGISTER(ring_placement);
