/* Statistics for measurements: small samples, honest intervals, shares of a whole. */
#ifndef QUOIT_CORE_STATS_H
#define QUOIT_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double low, high;
};

double stats_mean(const double *values, size_t n);
/* Sample standard deviation (n − 1); 0 for n < 2. */
double stats_stddev(const double *values, size_t n);
/* Coefficient of variation over a whole population (divides by n): stddev/mean; 0 when the mean is
 * 0. */
double stats_cov(const double *values, size_t n);
double stats_min(const double *values, size_t n);
double stats_max(const double *values, size_t n);
/* The middle, or the mean of the middle two; values are not reordered. n > 0. */
double stats_median(const double *values, size_t n);
/* Percentile bootstrap interval of the median (Efron 1979), n_resamples drawn with `seed`:
 * level 0.95 for 95 %. For n = 1 both ends are the value. */
struct interval stats_bootstrap_median(const double *values, size_t n, double level,
                                       unsigned n_resamples, uint64_t seed);

/* What changed between two samples: medians of `after` beside those of `before`. */
struct stats_change {
    double difference; /* median(after) − median(before) */
    struct interval difference_interval;
    double ratio; /* median(after) / median(before); NaN unless the latter is positive */
    struct interval ratio_interval; /* NaN where a resampled median of `before` was not positive */
};

/* Percentile bootstrap intervals for two independent samples: each is resampled by itself, and the
 * difference and the ratio of the medians are taken of every pair (Efron and Tibshirani, An
 * Introduction to the Bootstrap, 1993, §8.3 and §13.3). Both come from the same n_resamples draws
 * of `seed`, so that the one excludes 0 when the other excludes 1. With one value on each side the
 * intervals are points: they say nothing. n_before, n_after > 0. */
struct stats_change stats_bootstrap_change(const double *before, size_t n_before,
                                           const double *after, size_t n_after, double level,
                                           unsigned n_resamples, uint64_t seed);

/* Pearson's χ² of counts against expected shares (which sum to 1). Cells with expected share 0 must
 * have count 0, else the result is infinite. */
double stats_chi_square(const uint64_t *counts, const double *shares, size_t n);
/* The same, and its degrees of freedom, for counts that may be small: cells that expect fewer than
 * 5 are taken together, smallest first, until they expect as many
 * (Cochran, "Some methods for strengthening the common chi-square tests", Biometrics 1954), since
 * χ² describes no smaller ones. n up to STATS_MAX_CELLS. */
#define STATS_MAX_CELLS 4096
double stats_chi_square_pooled(const uint64_t *counts, const double *shares, size_t n,
                               unsigned *ret_df);
/* P(X ≥ x) of the χ² distribution with df degrees of freedom: the regularized upper incomplete
 * gamma function Q(df/2, x/2) (series and continued fraction, DLMF §8.11, §8.9). */
double stats_chi_square_p(double x, unsigned df);

#endif
