#include "core/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/support/forked.h"

static void assert_near(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void assert_exactly(double value, double expected)
{
    if (value < expected || value > expected || isnan(value))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void stats_of_a_known_sample(void **state)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};

    (void)state;
    assert_near(stats_mean(values, 8), 5, 1e-15);
    assert_near(stats_stddev(values, 8), sqrt(32.0 / 7), 1e-15);
    assert_near(stats_cov(values, 8), 2.0 / 5, 1e-15);
    assert_exactly(stats_min(values, 8), 2);
    assert_exactly(stats_max(values, 8), 9);
    assert_exactly(stats_median(values, 8), 4.5);
}

static void stats_of_few_values(void **state)
{
    const double zeros[] = {0, 0}, one[] = {-3};

    (void)state;
    assert_exactly(stats_mean(one, 0), 0);
    assert_exactly(stats_stddev(one, 1), 0);
    assert_exactly(stats_stddev(one, 0), 0);
    assert_exactly(stats_cov(zeros, 2), 0);
    assert_exactly(stats_cov(one, 0), 0);
    assert_exactly(stats_median(one, 1), -3);
    assert_exactly(stats_min(one, 1), -3);
    assert_exactly(stats_max(one, 1), -3);
}

static void stats_stddev_does_not_cancel(void **state)
{
    const double values[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};

    (void)state;
    assert_near(stats_stddev(values, 4), sqrt(30), 1e-12);
}

static void stats_median_leaves_the_order(void **state)
{
    const double values[] = {9, 1, 8, 2, 7}, huge[] = {1.7e308, 1.6e308};
    double copy[5];

    (void)state;
    memcpy(copy, values, sizeof(values));
    assert_exactly(stats_median(copy, 5), 7);
    assert_memory_equal(copy, values, sizeof(values));
    assert_near(stats_median(huge, 2), 1.65e308, 1e-15);
}

static void call_median_of_nothing(void *unused)
{
    const double one = 1;

    (void)unused;
    stats_median(&one, 0);
}

static void stats_median_of_nothing_is_a_bug(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_median_of_nothing, NULL));
}

static void stats_bootstrap_is_decided_by_its_seed(void **state)
{
    double values[301];
    struct interval a, b, other;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 9);
    for (size_t i = 0; i < 301; i++)
        values[i] = rng_unit(&rng);
    a = stats_bootstrap_median(values, 301, 0.95, 200, 11);
    b = stats_bootstrap_median(values, 301, 0.95, 200, 11);
    other = stats_bootstrap_median(values, 301, 0.95, 200, 12);
    assert_exactly(a.low, b.low);
    assert_exactly(a.high, b.high);
    assert_true(fabs(a.low - other.low) + fabs(a.high - other.high) > 0);
    assert_true(a.low < stats_median(values, 301) && stats_median(values, 301) < a.high);
    assert_true(a.high - a.low < 0.3);
}

static void stats_bootstrap_of_constant_or_single_values_is_a_point(void **state)
{
    const double values[] = {7, 7, 7, 7, 7};
    struct interval interval;

    (void)state;
    for (size_t n = 1; n <= 5; n++) {
        interval = stats_bootstrap_median(values, n, 0.95, 100, 1);
        assert_exactly(interval.low, 7);
        assert_exactly(interval.high, 7);
    }
}

static void stats_bootstrap_widens_with_its_level(void **state)
{
    double values[41];
    struct interval half, most;

    (void)state;
    for (size_t i = 0; i < 41; i++)
        values[i] = (double)i;
    half = stats_bootstrap_median(values, 41, 0.5, 2000, 3);
    most = stats_bootstrap_median(values, 41, 0.99, 2000, 3);
    assert_true(most.low < half.low && half.low <= 20 && 20 <= half.high && half.high < most.high);
}

static void stats_bootstrap_covers_the_true_median_about_as_often_as_it_says(void **state)
{
    enum { TRIALS = 400, N = 25 };
    int covered = 0;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        double values[N];
        struct interval interval;

        for (size_t i = 0; i < N; i++)
            values[i] = rng_exponential(&rng, 1);
        interval = stats_bootstrap_median(values, N, 0.95, 400, trial);
        covered += interval.low <= log(2) && log(2) <= interval.high;
    }
    /* 95 % of 400 is 380, the standard deviation 4.4; the method itself is a little off for so
     * small a sample. */
    assert_true(covered >= 360 && covered <= 398);
}

static void stats_change_has_the_quantiles_counted_by_hand(void **state)
{
    /* A pair's resampled median is low, middle, high with 1/4, 1/2, 1/4: before 1 2 3, after 4 6 8.
     * The nine differences 1 2 3 3 4 5 5 6 7 have the sixteenths 1 2 1+2 4 2+1 2 1: below 2 lies
     * 1/16, up to 2 lie 3/16. The ratios from below are 4/3 with 1/16, then 2 (4/2 and 6/3) with
     * 4/16; from above 8 with 1/16, then 6 with 2/16. */
    const double before[] = {3, 1}, after[] = {4, 8};
    struct stats_change change;

    (void)state;
    change = stats_bootstrap_change(before, 2, after, 2, 0.8, 10000, 7);
    assert_exactly(change.difference, 4);
    assert_exactly(change.difference_interval.low, 2);
    assert_exactly(change.difference_interval.high, 6);
    assert_exactly(change.ratio, 3);
    assert_exactly(change.ratio_interval.low, 2);
    assert_exactly(change.ratio_interval.high, 6);
    change = stats_bootstrap_change(before, 2, after, 2, 0.95, 10000, 7);
    assert_exactly(change.difference_interval.low, 1);
    assert_exactly(change.difference_interval.high, 7);
    assert_near(change.ratio_interval.low, 4.0 / 3, 1e-15);
    assert_exactly(change.ratio_interval.high, 8);
}

static void stats_change_beside_a_constant_has_the_binomial_quantiles(void **state)
{
    /* The resampled median of nine is at most the k-th of them with P(Bin(9, k/9) >= 5): 0.14 % for
     * the first, 3.04 % for the second, so that 2.5 % is cut off between them. */
    const double before[] = {10, 10}, after[] = {16, 13, 18, 11, 15, 12, 19, 14, 17};
    struct stats_change change = stats_bootstrap_change(before, 2, after, 9, 0.95, 20000, 1);

    (void)state;
    assert_near(change.ratio, 1.5, 1e-15);
    assert_near(change.ratio_interval.low, 1.2, 1e-15);
    assert_near(change.ratio_interval.high, 1.8, 1e-15);
    assert_near(change.difference_interval.low, 2, 1e-15);
    assert_near(change.difference_interval.high, 8, 1e-15);
}

static void stats_change_is_decided_by_its_seed(void **state)
{
    double before[40], after[40];
    struct stats_change first, second;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 3);
    for (int i = 0; i < 40; i++) {
        before[i] = rng_unit(&rng);
        after[i] = rng_unit(&rng);
    }
    first = stats_bootstrap_change(before, 40, after, 40, 0.95, 999, 5);
    second = stats_bootstrap_change(before, 40, after, 40, 0.95, 999, 5);
    assert_memory_equal(&first, &second, sizeof(first));
    second = stats_bootstrap_change(before, 40, after, 40, 0.95, 999, 6);
    assert_true(fabs(first.ratio_interval.low - second.ratio_interval.low) > 0);
    assert_exactly(first.ratio, second.ratio);
}

static void stats_change_from_nothing_has_no_ratio(void **state)
{
    const double zeros[] = {0, 0, 0}, mixed[] = {0, 0, 5, 5, 5}, ones[] = {1, 1, 1};
    struct stats_change change = stats_bootstrap_change(zeros, 3, ones, 3, 0.95, 100, 1);

    (void)state;
    assert_exactly(change.difference, 1);
    assert_exactly(change.difference_interval.low, 1);
    assert_exactly(change.difference_interval.high, 1);
    assert_true(isnan(change.ratio));
    assert_true(isnan(change.ratio_interval.low) && isnan(change.ratio_interval.high));
    /* The median is positive, some resampled ones are not. */
    change = stats_bootstrap_change(mixed, 5, ones, 3, 0.95, 1000, 1);
    assert_near(change.ratio, 0.2, 1e-15);
    assert_true(isnan(change.ratio_interval.low));
    assert_exactly(change.difference_interval.low, -4);
    assert_exactly(change.difference_interval.high, 1);
}

static void
stats_change_shows_a_difference_where_there_is_none_about_as_often_as_it_says(void **state)
{
    int n_shown = 0;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 11);
    for (int trial = 0; trial < 1000; trial++) {
        double before[15], after[15];
        struct stats_change change;
        for (int i = 0; i < 15; i++) {
            before[i] = 1 + rng_exponential(&rng, 1);
            after[i] = 1 + rng_exponential(&rng, 1);
        }
        change = stats_bootstrap_change(before, 15, after, 15, 0.95, 400, rng_next(&rng));
        n_shown += change.ratio_interval.low > 1 || change.ratio_interval.high < 1;
    }
    assert_in_range(n_shown, 20, 70); /* 5 % of 1000, the percentile interval being a little wide */
}

static void stats_chi_square_of_a_known_table(void **state)
{
    /* Mendel's peas: 315, 108, 101, 32 against 9:3:3:1. */
    const uint64_t peas[] = {315, 108, 101, 32};
    const double ratios[] = {9.0 / 16, 3.0 / 16, 3.0 / 16, 1.0 / 16};
    double x = stats_chi_square(peas, ratios, 4);

    (void)state;
    assert_near(x, 0.470024, 1e-5);
    assert_near(stats_chi_square_p(x, 3), 0.925426, 1e-5);
}

static void stats_chi_square_of_impossible_counts_is_infinite(void **state)
{
    const uint64_t fits[] = {5, 0, 5}, impossible[] = {5, 1, 5}, nothing[] = {0, 0, 0};
    const double shares[] = {0.5, 0, 0.5};

    (void)state;
    assert_exactly(stats_chi_square(fits, shares, 3), 0);
    assert_true(isinf(stats_chi_square(impossible, shares, 3)));
    assert_exactly(stats_chi_square_p(INFINITY, 2), 0);
    assert_exactly(stats_chi_square(nothing, shares, 3), 0);
}

static void stats_chi_square_takes_small_cells_together(void **state)
{
    (void)state;
    unsigned df = 99;
    /* 100 answers: 1 and 3 are expected of the first two, together still fewer than 5, so that the
     * third joins them: (4 + 1 + 5 − 10)² / 10 + (50 − 60)² / 60 + (40 − 30)² / 30. */
    const double shares[] = {0.60, 0.01, 0.30, 0.06, 0.03};
    const uint64_t counts[] = {50, 4, 40, 5, 1};
    assert_near(stats_chi_square_pooled(counts, shares, 5, &df), 100. / 60 + 100. / 30, 1e-12);
    assert_int_equal(df, 2);
    /* The last of them has nobody behind it to join: 4 are expected of each of three. */
    const double thirds[] = {1. / 3, 1. / 3, 1. / 3};
    const uint64_t twelve[] = {8, 2, 2};
    assert_exactly(stats_chi_square_pooled(twelve, thirds, 3, &df), 0);
    assert_int_equal(df, 0);
    /* Large cells are as they were. */
    const uint64_t many[] = {5000, 400, 4000, 500, 100};
    assert_near(stats_chi_square_pooled(many, shares, 5, &df), stats_chi_square(many, shares, 5),
                1e-9);
    assert_int_equal(df, 4);
    const double none[] = {1, 0};
    const uint64_t strange[] = {5, 1}, nothing[] = {0, 0};
    assert_true(isinf(stats_chi_square_pooled(strange, none, 2, &df)));
    assert_exactly(stats_chi_square_pooled(nothing, none, 2, &df), 0);
    assert_int_equal(df, 0);
}

static void stats_chi_square_p_agrees_with_the_tables(void **state)
{
    static const struct {
        unsigned df;
        double x, p;
    } table[] = {
        {1, 3.841458820694124, 0.05},   {1, 6.634896601021213, 0.01},
        {1, 10.827566170662733, 0.001}, {1, 0.003932140000019516, 0.95},
        {2, 5.991464547107979, 0.05},   {3, 7.814727903251179, 0.05},
        {5, 11.070497693516351, 0.05},  {10, 18.307038053275146, 0.05},
        {10, 3.940299136119092, 0.95},  {10, 29.58829844507442, 0.001},
        {30, 43.77297182574219, 0.05},  {100, 124.34211340400407, 0.05},
        {100, 77.92946516501726, 0.95},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_near(stats_chi_square_p(table[i].x, table[i].df), table[i].p, 1e-9);
}

static void stats_chi_square_p_has_its_closed_forms(void **state)
{
    (void)state;
    for (double x = 0.01; x < 1000; x *= 1.3) {
        /* Q(1, y) = e^−y, Q(2, y) = e^−y (1 + y), Q(1/2, y) = erfc(√y). */
        assert_near(stats_chi_square_p(x, 2), exp(-x / 2), 1e-12);
        assert_near(stats_chi_square_p(x, 4), exp(-x / 2) * (1 + x / 2), 1e-12);
        assert_near(stats_chi_square_p(x, 1), erfc(sqrt(x / 2)), 1e-11);
    }
}

static void stats_chi_square_p_falls_from_one_to_zero(void **state)
{
    static const unsigned dfs[] = {1, 2, 3, 7, 50, 511, 100000, 899999};

    (void)state;
    for (size_t i = 0; i < sizeof(dfs) / sizeof(dfs[0]); i++) {
        double df = dfs[i], before = 1;

        assert_exactly(stats_chi_square_p(0, dfs[i]), 1);
        assert_exactly(stats_chi_square_p(-1, dfs[i]), 1);
        for (double z = -6; z <= 6; z += 0.25) {
            double p = stats_chi_square_p(df + z * sqrt(2 * df), dfs[i]);

            assert_true(p >= 0 && p <= before);
            before = p;
        }
        /* Near the mean it is about a half, the more so the larger df. */
        assert_true(fabs(stats_chi_square_p(df, dfs[i]) - 0.5) < 0.2);
    }
    assert_true(isnan(stats_chi_square_p(NAN, 3)));
    assert_exactly(stats_chi_square_p(1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_of_a_known_sample),
        cmocka_unit_test(stats_of_few_values),
        cmocka_unit_test(stats_stddev_does_not_cancel),
        cmocka_unit_test(stats_median_leaves_the_order),
        cmocka_unit_test(stats_median_of_nothing_is_a_bug),
        cmocka_unit_test(stats_bootstrap_is_decided_by_its_seed),
        cmocka_unit_test(stats_bootstrap_of_constant_or_single_values_is_a_point),
        cmocka_unit_test(stats_bootstrap_widens_with_its_level),
        cmocka_unit_test(stats_bootstrap_covers_the_true_median_about_as_often_as_it_says),
        cmocka_unit_test(stats_change_has_the_quantiles_counted_by_hand),
        cmocka_unit_test(stats_change_beside_a_constant_has_the_binomial_quantiles),
        cmocka_unit_test(stats_change_is_decided_by_its_seed),
        cmocka_unit_test(stats_change_from_nothing_has_no_ratio),
        cmocka_unit_test(
            stats_change_shows_a_difference_where_there_is_none_about_as_often_as_it_says),
        cmocka_unit_test(stats_chi_square_of_a_known_table),
        cmocka_unit_test(stats_chi_square_of_impossible_counts_is_infinite),
        cmocka_unit_test(stats_chi_square_takes_small_cells_together),
        cmocka_unit_test(stats_chi_square_p_agrees_with_the_tables),
        cmocka_unit_test(stats_chi_square_p_has_its_closed_forms),
        cmocka_unit_test(stats_chi_square_p_falls_from_one_to_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
