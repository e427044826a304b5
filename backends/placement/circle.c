#include "backends/placement/circle.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "core/mem.h"

static int compare_points(const void *a, const void *b)
{
    const struct circle_point *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static void index_buckets(struct circle *circle)
{
    unsigned bits = 1;
    while ((UINT32_C(1) << bits) < circle->n_points)
        bits++;
    circle->n_buckets = UINT32_C(1) << bits;
    circle->shift = 64 - bits;
    circle->first = mem_zalloc(circle->n_buckets + 1u, sizeof(*circle->first));
    uint32_t at = 0;
    for (uint32_t bucket = 0; bucket < circle->n_buckets; bucket++) {
        while (at < circle->n_points && circle->hashes[at] >> circle->shift < bucket)
            at++;
        circle->first[bucket] = at;
    }
    circle->first[circle->n_buckets] = circle->n_points;
}

void circle_build_points(struct circle *circle, struct circle_point *points, uint32_t n_points,
                         const uint32_t *order)
{
    if (n_points > 1)
        qsort(points, n_points, sizeof(*points), compare_points);
    circle->n_points = n_points;
    circle->hashes = mem_zalloc(n_points + CIRCLE_SCAN, sizeof(*circle->hashes));
    circle->members = mem_zalloc(n_points + 1u, sizeof(*circle->members));
    for (uint32_t i = 0; i < n_points; i++) {
        circle->hashes[i] = points[i].hash;
        circle->members[i] = order[points[i].rank];
    }
    circle->members[n_points] = n_points ? circle->members[0] : PLACEMENT_NONE;
    for (uint32_t i = 0; i < CIRCLE_SCAN; i++)
        circle->hashes[n_points + i] = UINT64_MAX;
    index_buckets(circle);
}

int circle_build(struct circle *circle, const char *name, uint64_t n_virtual,
                 const struct placement_member *members, size_t n, const struct hash_pair *hashes,
                 struct err *err)
{
    uint64_t n_points = 0;
    for (size_t i = 0; i < n; i++) {
        n_points += n_virtual * members[i].weight; /* < 2^52, and checked before it can add up */
        if (n_points > CIRCLE_MAX_POINTS)
            return err_set(err, -EINVAL,
                           "%s: %zu members with %" PRIu64
                           " points per unit of weight are more than %" PRIu64 " points",
                           name, n, n_virtual, CIRCLE_MAX_POINTS);
    }

    uint32_t *order = placement_sort_members(members, n);
    struct circle_point *points = mem_zalloc(n_points + 1, sizeof(*points));
    uint32_t at = 0;
    for (uint32_t rank = 0; rank < n; rank++) {
        const struct placement_member *member = &members[order[rank]];
        for (uint64_t j = 0; j < n_virtual * member->weight; j++)
            points[at++] = (struct circle_point){.hash = hash_point(hashes->server, member->id, j),
                                                 .rank = rank};
    }
    circle_build_points(circle, points, at, order);
    free(points);
    free(order);
    return 0;
}

void circle_done(struct circle *circle)
{
    free(circle->hashes);
    free(circle->members);
    free(circle->first);
}

size_t circle_bytes(const struct circle *circle)
{
    return (circle->n_points + CIRCLE_SCAN) * sizeof(*circle->hashes) +
           (circle->n_points + 1u) * sizeof(*circle->members) +
           (circle->n_buckets + 1u) * sizeof(*circle->first);
}

void circle_shares(const struct circle *circle, uint32_t n_members, double *shares)
{
    for (uint32_t i = 0; i < n_members; i++)
        shares[i] = 0.0;
    if (circle->n_points == 0)
        return;
    uint64_t before = circle->hashes[circle->n_points - 1];
    if (before == circle->hashes[0]) { /* all points are one: the arc is the circle, 2^64 long */
        shares[circle->members[0]] = 1.0;
        return;
    }
    for (uint32_t i = 0; i < circle->n_points; i++) {
        shares[circle->members[i]] += ldexp((double)(circle->hashes[i] - before), -64);
        before = circle->hashes[i];
    }
}

/* Past the last point the space belongs to the first one, as before it. */
size_t circle_arcs(const struct circle *circle, struct placement_arc *arcs)
{
    for (uint32_t i = 0; arcs && i < circle->n_points; i++)
        arcs[i] = (struct placement_arc){.end = ldexp((double)circle->hashes[i], -64) + 0x1p-64,
                                         .member = circle->members[i]};
    if (arcs)
        arcs[circle->n_points] = (struct placement_arc){.end = 1, .member = circle->members[0]};
    return circle->n_points + 1u;
}

double circle_spread(uint64_t n_virtual, size_t n)
{
    if (n < 2)
        return 0.0;
    return sqrt(((double)n - 1.0) / ((double)n * (double)n_virtual + 1.0));
}

size_t circle_walk(const struct circle *circle, const struct placement *placement, uint32_t at,
                   size_t n, uint32_t *out)
{
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    for (uint32_t i = 0; i < circle->n_points && !distinct_full(&distinct); i++) {
        distinct_add(&distinct, circle->members[at]);
        at = at >= circle->n_points - 1 ? 0 : at + 1;
    }
    distinct_fill(&distinct, placement);
    return distinct.n;
}
