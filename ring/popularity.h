/* Keys that are not asked for alike: Zipf's law. */
#ifndef QUOIT_RING_POPULARITY_H
#define QUOIT_RING_POPULARITY_H

#include <stddef.h>
#include <stdint.h>

#include "ring/state.h"
#include "ring/view.h"

/* The r-th most popular of n keys is asked for with a frequency of 1 / r^exponent, all summing to
 * 1; which key has which rank is drawn with the seed. For free(). */
double *ring_zipf_new(size_t n, double exponent, uint64_t seed);

struct ring_popularity {
    double peak_median, peak_worst; /* greatest load, over the draws of the ranks */
    double hottest; /* the first key alone, on the member that can carry the most: no placement
                       that keeps a key on one member gets below it */
};

/* The keys of the population, n_draws times ranked anew. n_draws ≥ 1. */
void ring_popularity_measure(const struct ring_state *state, const struct ring_keys *keys,
                             double exponent, size_t n_draws, uint64_t seed,
                             struct ring_popularity *ret_popularity);

#endif
