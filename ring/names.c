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

int ring_names_loads(const struct ring_setup *setup, size_t n, const struct ring_keys *keys,
                     size_t n_draws, uint64_t seed, double *ret_loads, struct err *err)
{
    int rc = 0;
    struct rng rng;
    uint64_t *counts = mem_zalloc(n, sizeof(*counts));
    rng_seed(&rng, seed);
    for (size_t d = 0; d < n_draws && rc == 0; d++) {
        struct ring_members members;
        struct ring_state state = {0};
        ring_members_draw(&members, n, &rng);
        rc = ring_state_build(setup, &members, &state, err);
        if (rc == 0)
            ring_shares_of(keys, state.placement, ret_loads + d * n, counts);
        for (size_t i = 0; i < n && rc == 0; i++)
            ret_loads[d * n + i] *= (double)n;
        ring_state_done(&state);
        ring_members_done(&members);
    }
    free(counts);
    return rc;
}

int ring_names_measure(const struct ring_setup *setup, size_t n, const struct ring_keys *keys,
                       size_t n_draws, uint64_t seed, struct ring_names *ret_names, struct err *err)
{
    double *loads = mem_zalloc(n * n_draws, sizeof(*loads));
    double *peaks = mem_zalloc(n_draws, sizeof(*peaks)), *mins = mem_zalloc(n_draws, sizeof(*mins));
    double *covs = mem_zalloc(n_draws, sizeof(*covs));
    int rc = ring_names_loads(setup, n, keys, n_draws, seed, loads, err);
    for (size_t d = 0; d < n_draws && rc == 0; d++) {
        peaks[d] = stats_max(loads + d * n, n);
        mins[d] = stats_min(loads + d * n, n);
        covs[d] = stats_cov(loads + d * n, n);
    }
    if (rc == 0)
        *ret_names = (struct ring_names){.n_draws = n_draws,
                                         .peak = ring_quantiles_of(peaks, n_draws),
                                         .min = ring_quantiles_of(mins, n_draws),
                                         .cov = ring_quantiles_of(covs, n_draws)};
    free(loads);
    free(peaks);
    free(mins);
    free(covs);
    return rc;
}
