/* What a placement costs: time and memory. Measured here and now, hence never exact: the best of
 * some rounds where the work is the same each time, medians where it is not. */
#ifndef QUOIT_RING_COST_H
#define QUOIT_RING_COST_H

#include <stddef.h>

#include "core/err.h"
#include "ring/state.h"

struct ring_cost {
    double hot_ns;   /* a lookup, its hash included, one a call, among many of random request ids */
    double batch_ns; /* the same by placement_lookup_many() */
    double cold_ns;  /* a lookup after the caches were filled with something else */
    size_t bytes;
    double build_us;  /* from nothing */
    double resize_us; /* one more member; NaN where the placement is full */
};

/* state: built. 0 or -EINVAL. */
int ring_cost_measure(const struct ring_setup *setup, const struct ring_state *state,
                      struct ring_cost *ret_cost, struct err *err);

#endif
