/* Who owns what, seen through a population of keys: the request ids of CONTRACT.md, all 900000 or
 * some of them, or the hash space itself.
 *
 * A view is exact where nothing is sampled: all request ids were looked up, or the placement can
 * say which arcs of the hash space each member has (the `arcs` hook). Else it holds the owners of
 * so many random keys, and a share taken from it has an interval. */
#ifndef QUOIT_RING_VIEW_H
#define QUOIT_RING_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"
#include "core/stats.h"

#define RING_ALL_IDS (REQUEST_ID_LAST - REQUEST_ID_FIRST + 1)
#define RING_SAMPLE_DEFAULT UINT64_C(900000)

enum ring_over { RING_OVER_IDS, RING_OVER_SPACE };

/* keys: n of them, NULL for a sample's to be drawn when no arcs are known. */
struct ring_keys {
    enum ring_over over;
    bool is_sample;
    uint64_t *keys;
    size_t n;
};

/* n_sampled: 0 for all request ids, or of the space what ring_view_make() can get exactly and
 * RING_SAMPLE_DEFAULT keys where it cannot. Pair with ring_keys_done(). */
void ring_keys_init(struct ring_keys *keys, enum ring_over over, uint64_t n_sampled, uint64_t seed);
void ring_keys_done(struct ring_keys *keys);

struct ring_view {
    uint32_t n_members;
    bool exact;
    struct placement_arc *arcs; /* n_arcs, or NULL */
    size_t n_arcs;
    uint32_t *owners; /* of each of n_keys, or NULL */
    size_t n_keys;
};

/* There is at least one member. Pair with ring_view_done(). */
void ring_view_make(const struct ring_keys *keys, const struct placement *placement,
                    struct ring_view *ret_view);
/* Takes a zeroed one. */
void ring_view_done(struct ring_view *view);

/* The share of each member, summing to 1. */
void ring_view_shares(const struct ring_view *view, double *shares);
/* The same weighted by a popularity of each key (n_keys of them, any sum > 0); of a view with
 * owners. */
void ring_view_shares_of(const struct ring_view *view, const double *popularity, double *shares);
/* Keys of each member. False, and nothing, for arcs. */
bool ring_view_counts(const struct ring_view *view, uint64_t *counts);

/* Two views of the same keys beside each other: visits every key, or every piece of the space, with
 * its amount and its owner before and after. Returns the sum of all amounts. Both views have arcs
 * or neither. */
typedef void (*ring_visit_fn)(void *context, double amount, uint32_t before, uint32_t after);
double ring_view_beside(const struct ring_view *before, const struct ring_view *after,
                        ring_visit_fn visit, void *context);
/* flows[a × after->n_members + b]: the share of the keys that `before` has at its member a and
 * `after` at its b. */
void ring_view_flows(const struct ring_view *before, const struct ring_view *after, double *flows);

/* Of a share p of n sampled keys: Wilson's interval at 99 % (1927). */
struct interval ring_share_interval(double p, size_t n);

#endif
