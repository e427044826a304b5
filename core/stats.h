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

/* Pearson's χ² of counts against expected shares (which sum to 1). Cells with expected share 0 must
 * have count 0, else the result is infinite. */
double stats_chi_square(const uint64_t *counts, const double *shares, size_t n);
/* P(X ≥ x) of the χ² distribution with df degrees of freedom: the regularized upper incomplete
 * gamma function Q(df/2, x/2) (series and continued fraction, DLMF §8.11, §8.9). */
double stats_chi_square_p(double x, unsigned df);

#endif
