#include "core/stats.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"

double stats_mean(const double *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n > 0 ? sum / (double)n : 0;
}

/* Sum of squared distances from the mean, in two passes: no cancellation. */
static double stats_squares(const double *values, size_t n)
{
    double mean = stats_mean(values, n), sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return sum;
}

double stats_stddev(const double *values, size_t n)
{
    return n < 2 ? 0 : sqrt(stats_squares(values, n) / (double)(n - 1));
}

double stats_cov(const double *values, size_t n)
{
    double mean = stats_mean(values, n);

    if (fpclassify(mean) == FP_ZERO)
        return 0;
    return sqrt(stats_squares(values, n) / (double)n) / mean;
}

double stats_min(const double *values, size_t n)
{
    double min = n > 0 ? values[0] : 0;

    for (size_t i = 1; i < n; i++)
        min = values[i] < min ? values[i] : min;
    return min;
}

double stats_max(const double *values, size_t n)
{
    double max = n > 0 ? values[0] : 0;

    for (size_t i = 1; i < n; i++)
        max = values[i] > max ? values[i] : max;
    return max;
}

static int stats_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static double stats_median_in_place(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), stats_compare);
    /* Halves first: the sum of two huge values must not overflow. */
    return n % 2 == 1 ? values[n / 2] : values[n / 2 - 1] / 2 + values[n / 2] / 2;
}

double stats_median(const double *values, size_t n)
{
    double *copy, median;

    assert(n > 0);
    copy = mem_alloc(n * sizeof(*copy));
    memcpy(copy, values, n * sizeof(*copy));
    median = stats_median_in_place(copy, n);
    free(copy);
    return median;
}

/* The median of n values drawn from `values`, with replacement. */
static double stats_resample_median(struct rng *rng, const double *values, size_t n, double *sample)
{
    for (size_t i = 0; i < n; i++)
        sample[i] = values[rng_below(rng, n)];
    return stats_median_in_place(sample, n);
}

/* What lies between as many cut off at either end. Sorts the values. */
static struct interval stats_middle(double *values, size_t n, double level)
{
    size_t skip = (size_t)floor((1 - level) / 2 * (double)n);

    qsort(values, n, sizeof(*values), stats_compare);
    return (struct interval){values[skip], values[n - 1 - skip]};
}

struct interval stats_bootstrap_median(const double *values, size_t n, double level,
                                       unsigned n_resamples, uint64_t seed)
{
    struct interval interval;
    double *medians, *sample;
    struct rng rng;

    assert(n > 0 && n_resamples > 0 && level > 0 && level < 1);
    medians = mem_alloc(n_resamples * sizeof(*medians));
    sample = mem_alloc(n * sizeof(*sample));
    rng_seed(&rng, seed);
    for (unsigned r = 0; r < n_resamples; r++)
        medians[r] = stats_resample_median(&rng, values, n, sample);
    interval = stats_middle(medians, n_resamples, level);
    free(sample);
    free(medians);
    return interval;
}

struct stats_change stats_bootstrap_change(const double *before, size_t n_before,
                                           const double *after, size_t n_after, double level,
                                           unsigned n_resamples, uint64_t seed)
{
    struct stats_change change = {.ratio = NAN, .ratio_interval = {NAN, NAN}};
    double *differences, *ratios, *sample, median;
    bool ratios_exist = true;
    struct rng rng;

    assert(n_before > 0 && n_after > 0 && n_resamples > 0 && level > 0 && level < 1);
    median = stats_median(before, n_before);
    change.difference = stats_median(after, n_after) - median;
    if (median > 0)
        change.ratio = stats_median(after, n_after) / median;
    differences = mem_alloc(n_resamples * sizeof(*differences));
    ratios = mem_alloc(n_resamples * sizeof(*ratios));
    sample = mem_alloc((n_before > n_after ? n_before : n_after) * sizeof(*sample));
    rng_seed(&rng, seed);
    for (unsigned r = 0; r < n_resamples; r++) {
        double was = stats_resample_median(&rng, before, n_before, sample);
        double is = stats_resample_median(&rng, after, n_after, sample);
        differences[r] = is - was;
        ratios_exist = ratios_exist && was > 0;
        ratios[r] = ratios_exist ? is / was : 0;
    }
    change.difference_interval = stats_middle(differences, n_resamples, level);
    if (ratios_exist)
        change.ratio_interval = stats_middle(ratios, n_resamples, level);
    free(sample);
    free(ratios);
    free(differences);
    return change;
}

double stats_chi_square(const uint64_t *counts, const double *shares, size_t n)
{
    double total = 0, sum = 0;

    for (size_t i = 0; i < n; i++)
        total += (double)counts[i];
    for (size_t i = 0; i < n; i++) {
        double expected = total * shares[i];
        double distance = (double)counts[i] - expected;

        if (shares[i] > 0 && total > 0)
            sum += distance * distance / expected;
        else if (counts[i] > 0)
            return INFINITY;
    }
    return sum;
}

struct stats_cell {
    double share;
    uint64_t count;
};

static int stats_compare_cells(const void *left, const void *right)
{
    const struct stats_cell *a = left, *b = right;

    return (a->share > b->share) - (a->share < b->share);
}

double stats_chi_square_pooled(const uint64_t *counts, const double *shares, size_t n,
                               unsigned *ret_df)
{
    static const double least_expected = 5;
    struct stats_cell cells[STATS_MAX_CELLS];
    uint64_t total = 0, pooled_counts[STATS_MAX_CELLS];
    double pooled_shares[STATS_MAX_CELLS];
    size_t n_cells = 0, n_pooled = 0;

    assert(n <= STATS_MAX_CELLS);
    *ret_df = 0;
    for (size_t i = 0; i < n; i++) {
        total += counts[i];
        if (shares[i] > 0)
            cells[n_cells++] = (struct stats_cell){shares[i], counts[i]};
        else if (counts[i] > 0)
            return INFINITY;
    }
    qsort(cells, n_cells, sizeof(*cells), stats_compare_cells);
    for (size_t i = 0; i < n_cells; i++) {
        if (n_pooled == 0 || pooled_shares[n_pooled - 1] * (double)total >= least_expected) {
            pooled_shares[n_pooled] = 0;
            pooled_counts[n_pooled++] = 0;
        }
        pooled_shares[n_pooled - 1] += cells[i].share;
        pooled_counts[n_pooled - 1] += cells[i].count;
    }
    if (n_pooled > 1 && pooled_shares[n_pooled - 1] * (double)total < least_expected) {
        pooled_shares[n_pooled - 2] += pooled_shares[n_pooled - 1];
        pooled_counts[n_pooled - 2] += pooled_counts[n_pooled - 1];
        n_pooled--;
    }
    *ret_df = n_pooled > 1 ? (unsigned)n_pooled - 1 : 0;
    return stats_chi_square(pooled_counts, pooled_shares, n_pooled);
}

/* x^a·e^−x / Γ(a): what the series and the continued fraction are multiplied by. */
static double stats_gamma_front(double a, double x)
{
    int sign;

    return exp(a * log(x) - x - lgamma_r(a, &sign));
}

/* P(a, x) by the series DLMF 8.11.4; converges fast for x < a + 1. */
static double stats_gamma_series(double a, double x)
{
    double term = 1 / a, sum = term;

    for (double k = a + 1; fabs(term) > fabs(sum) * DBL_EPSILON / 4; k++) {
        term *= x / k;
        sum += term;
    }
    return sum * stats_gamma_front(a, x);
}

/* Q(a, x) by the continued fraction DLMF 8.9.2 in the modified Lentz form; for x ≥ a + 1. */
static double stats_gamma_fraction(double a, double x)
{
    const double tiny = DBL_MIN / DBL_EPSILON;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d, delta = 0;

    for (int i = 1; fabs(delta - 1) > DBL_EPSILON * 2 && i < 1000000; i++) {
        double an = -i * (i - a);

        b += 2;
        d = an * d + b;
        d = fabs(d) < tiny ? tiny : d;
        c = b + an / c;
        c = fabs(c) < tiny ? tiny : c;
        d = 1 / d;
        delta = d * c;
        h *= delta;
    }
    return h * stats_gamma_front(a, x);
}

double stats_chi_square_p(double x, unsigned df)
{
    double a = df / 2.0, half = x / 2;

    if (isnan(x))
        return x;
    if (x <= 0)
        return 1;
    if (df == 0 || isinf(x))
        return 0;
    return half < a + 1 ? 1 - stats_gamma_series(a, half) : stats_gamma_fraction(a, half);
}
