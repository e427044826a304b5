#include "ring/popularity.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"
#include "ring/balance.h"

double *ring_zipf_new(size_t n, double exponent, uint64_t seed)
{
    double *popularity = mem_zalloc(n, sizeof(*popularity)), sum = 0;
    struct rng rng;
    for (size_t r = 0; r < n; r++) {
        popularity[r] = pow((double)(r + 1), -exponent);
        sum += popularity[r];
    }
    for (size_t r = 0; r < n; r++)
        popularity[r] /= sum;
    rng_seed(&rng, seed);
    rng_shuffle(&rng, popularity, n, sizeof(*popularity));
    return popularity;
}

void ring_popularity_measure(const struct ring_state *state, const struct ring_keys *keys,
                             double exponent, size_t n_draws, uint64_t seed,
                             struct ring_popularity *ret_popularity)
{
    size_t n = state->members.n;
    /* Arcs know no single keys: these are looked up. */
    struct ring_view view = {.n_members = (uint32_t)n, .n_keys = keys->n};
    view.owners = mem_zalloc(keys->n, sizeof(*view.owners));
    placement_lookup_many(state->placement, keys->keys, keys->n, view.owners);

    double *shares = mem_zalloc(n, sizeof(*shares));
    double *peaks = mem_zalloc(n_draws, sizeof(*peaks));
    double *popularity = ring_zipf_new(keys->n, exponent, seed);
    double weights = 0, most = 0;
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t d = 0; d < n_draws; d++) {
        struct ring_balance balance;
        if (d > 0)
            rng_shuffle(&rng, popularity, keys->n, sizeof(*popularity));
        ring_view_shares_of(&view, popularity, shares);
        ring_balance_of(shares, NULL, &state->members, &balance);
        peaks[d] = balance.peak;
    }
    for (size_t i = 0; i < n; i++) {
        weights += state->members.at[i].weight;
        most = fmax(most, state->members.at[i].weight);
    }
    ret_popularity->peak_median = stats_median(peaks, n_draws);
    ret_popularity->peak_worst = stats_max(peaks, n_draws);
    ret_popularity->hottest = stats_max(popularity, keys->n) * weights / most;
    free(view.owners);
    free(shares);
    free(peaks);
    free(popularity);
}
