/* Points on the 64-bit circle and the search for the first one clockwise from a hash: what ring,
 * ketama, multiprobe and bounded have in common. Built once, then only read.
 *
 *     hashes   ascending, ties in order of the members' ids, so that the order of the array that
 *              build was given does not matter
 *     members  whose point it is
 *     first    of every bucket, the index of its first point. There are as many buckets as points
 *              or up to twice as many, so the hash's top bits lead to within a point or so of the
 *              answer, and counting the smaller ones among the next four, without a branch, ends
 *              nearly every search. Points that lie thick (a bad hash) are searched by halving. */
#ifndef QUOIT_BACKENDS_PLACEMENT_CIRCLE_H
#define QUOIT_BACKENDS_PLACEMENT_CIRCLE_H

#include "backends/placement.h"

#define CIRCLE_MAX_POINTS (UINT64_C(1) << 24)
#define CIRCLE_SCAN 4u

struct circle {
    uint64_t *hashes;  /* n_points, then CIRCLE_SCAN times UINT64_MAX, below which nothing is */
    uint32_t *members; /* n_points, then once more the first: past the last point the circle
                          closes. PLACEMENT_NONE where there is no point */
    uint32_t *first;   /* n_buckets + 1 */
    uint32_t n_points;
    uint32_t n_buckets; /* a power of two */
    unsigned shift;     /* hash >> shift is the bucket */
};

struct circle_point {
    uint64_t hash;
    uint32_t rank; /* of the member among the ids */
};

/* n_points of the member's hash_point(…, 0 … K·weight − 1) for every member; name is the part's,
 * for the error. 0 or -EINVAL when they are more than CIRCLE_MAX_POINTS. Pair with circle_done().
 */
int circle_build(struct circle *circle, const char *name, uint64_t n_virtual,
                 const struct placement_member *members, size_t n, const struct hash_pair *hashes,
                 struct err *err);
/* The same from points the caller made; sorts them. order: the members' indices by rank. */
void circle_build_points(struct circle *circle, struct circle_point *points, uint32_t n_points,
                         const uint32_t *order);
/* Takes a zeroed one. */
void circle_done(struct circle *circle);
/* Without the struct itself. */
size_t circle_bytes(const struct circle *circle);

/* A point owns the arc from the point before it, itself included. Of equal points the first owns it
 * all and the others nothing. shares: one for each of n_members. */
void circle_shares(const struct circle *circle, uint32_t n_members, double *shares);
/* For `arcs` hooks. */
size_t circle_arcs(const struct circle *circle, struct placement_arc *arcs);
/* CoV of the shares of n members with K points each, expected under a perfect hash: the NK arcs
 * between uniform points are Dirichlet; K of them are Beta(K, NK − K), hence
 * CoV² = (N − 1) / (NK + 1). */
double circle_spread(uint64_t n_virtual, size_t n);

/* Members in the order of their first point clockwise from `at`, an index, as `lookup_n` wants
 * them. Members without a point come last, by id. */
size_t circle_walk(const struct circle *circle, const struct placement *placement, uint32_t at,
                   size_t n, uint32_t *out);

/* Index of the first point at or after the hash; n_points past the last one, where members[] has
 * the first point's member. */
static inline uint32_t circle_first(const struct circle *circle, uint64_t hash)
{
    uint64_t bucket = hash >> circle->shift;
    uint32_t at = circle->first[bucket];
    /* Points of later buckets, and the sentinels, are not smaller: they count 0. */
    const uint64_t *p = circle->hashes + at;
    uint32_t smaller = (uint32_t)(p[0] < hash) + (uint32_t)(p[1] < hash) + (uint32_t)(p[2] < hash) +
                       (uint32_t)(p[3] < hash);
    at += smaller;
    if (__builtin_expect(smaller < CIRCLE_SCAN, 1))
        return at;
    uint32_t end = circle->first[bucket + 1];
    while (at < end) {
        uint32_t middle = at + (end - at) / 2;
        if (circle->hashes[middle] < hash)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

_Static_assert(CIRCLE_SCAN == 4, "circle_first() counts four");

#endif
