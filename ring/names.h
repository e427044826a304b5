/* Not one lucky set of names but many: the same placement over random ones. */
#ifndef QUOIT_RING_NAMES_H
#define QUOIT_RING_NAMES_H

#include "core/err.h"
#include "ring/balance.h"
#include "ring/state.h"
#include "ring/view.h"

/* Of a figure over all draws: a tenth of them is below low, a tenth above high. */
struct ring_quantiles {
    double least, low, median, high, most;
};

struct ring_names {
    size_t n_draws;
    struct ring_quantiles peak, min, cov;
};

/* n members with random six-digit ids, n_draws ≥ 1 times. 0 or -EINVAL. */
int ring_names_measure(const struct ring_setup *setup, size_t n, const struct ring_keys *keys,
                       size_t n_draws, uint64_t seed, struct ring_names *ret_names,
                       struct err *err);
/* The loads of all members over the draws: n × n_draws of them. 0 or -EINVAL. */
int ring_names_loads(const struct ring_setup *setup, size_t n, const struct ring_keys *keys,
                     size_t n_draws, uint64_t seed, double *ret_loads, struct err *err);
/* Sorts the values. n ≥ 1. */
struct ring_quantiles ring_quantiles_of(double *values, size_t n);
/* The shares as the keys see them, and counts where keys were counted (else untouched, false): of
 * the space, the placement's own, which are exact. Shares and counts: one a member. */
bool ring_shares_of(const struct ring_keys *keys, const struct placement *placement, double *shares,
                    uint64_t *counts);

#endif
