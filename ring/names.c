#include "ring/names.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"

bool ring_shares_of(const struct ring_keys *keys, const struct placement *placement, double *shares,
                    uint64_t *counts)
{
    struct ring_view view;
    if (keys->over == RING_OVER_SPACE && placement->ops->shares) {
        placement->ops->shares(placement, shares);
        return false;
    }
    ring_view_make(keys, placement, &view);
    ring_view_shares(&view, shares);
    bool counted = ring_view_counts(&view, counts);
    ring_view_done(&view);
    return counted;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct ring_quantiles ring_quantiles_of(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_doubles);
    return (struct ring_quantiles){.least = values[0],
                                   .low = values[(n - 1) / 10],
                                   .median = stats_median(values, n),
                                   .high = values[n - 1 - (n - 1) / 10],
                                   .most = values[n - 1]};
}

int ring_names_measure(const struct ring_setup *setup, size_t n, const struct ring_keys *keys,
                       size_t n_draws, uint64_t seed, struct ring_names *ret_names, struct err *err)
{
    int rc = 0;
    struct rng rng;
    double *peaks = mem_zalloc(n_draws, sizeof(*peaks)), *mins = mem_zalloc(n_draws, sizeof(*mins));
    double *covs = mem_zalloc(n_draws, sizeof(*covs)), *shares = mem_zalloc(n, sizeof(*shares));
    uint64_t *counts = mem_zalloc(n, sizeof(*counts));
    rng_seed(&rng, seed);
    for (size_t d = 0; d < n_draws && rc == 0; d++) {
        struct ring_members members;
        struct ring_state state = {0};
        struct ring_balance balance;
        ring_members_draw(&members, n, &rng);
        rc = ring_state_build(setup, &members, &state, err);
        if (rc == 0) {
            ring_shares_of(keys, state.placement, shares, counts);
            ring_balance_of(shares, NULL, &members, &balance);
            peaks[d] = balance.peak;
            mins[d] = balance.least;
            covs[d] = balance.cov;
        }
        ring_state_done(&state);
        ring_members_done(&members);
    }
    if (rc == 0)
        *ret_names = (struct ring_names){.n_draws = n_draws,
                                         .peak = ring_quantiles_of(peaks, n_draws),
                                         .min = ring_quantiles_of(mins, n_draws),
                                         .cov = ring_quantiles_of(covs, n_draws)};
    free(peaks);
    free(mins);
    free(covs);
    free(shares);
    free(counts);
    return rc;
}
