#include "core/hist.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

#define N_VALUES 200000
#define LARGEST ((UINT64_C(1) << 40) - 1)

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Element ⌈p/100·n⌉ of the sorted values, in integers: p is in thousandths of a percent. */
static uint64_t exact_percentile(const uint64_t *sorted, uint64_t n, uint64_t p_thousandths)
{
    uint64_t rank = (p_thousandths * n + 99999) / 100000;

    return sorted[rank > 0 ? rank - 1 : 0];
}

/* Records values[n], sorts them, and holds every percentile against the sorted array: never below
 * the exact one, at most 0.1 % above. */
static void check_against_sorting(uint64_t *values, uint64_t n)
{
    static const uint64_t levels[] = {0,     1,     10,    1000,  25000, 50000, 75000,
                                      90000, 95000, 99000, 99900, 99990, 99999, 100000};
    struct hist *hist = hist_new();
    long double sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        hist_record(hist, values[i]);
        sum += (long double)values[i];
    }
    qsort(values, n, sizeof(*values), compare_u64);
    assert_int_equal(hist_count(hist), n);
    assert_int_equal(hist_min(hist), values[0]);
    assert_int_equal(hist_max(hist), values[n - 1]);
    assert_int_equal(hist_clipped(hist), 0);
    assert_true(fabs(hist_mean(hist) - (double)(sum / (long double)n)) <= 1e-12 * (double)sum);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        uint64_t exact = exact_percentile(values, n, levels[i]);
        uint64_t found = hist_percentile(hist, (double)levels[i] / 1000);

        if (found < exact || (double)(found - exact) > 0.001 * (double)exact)
            fail_msg("p%g: %llu, sorted %llu", (double)levels[i] / 1000, (unsigned long long)found,
                     (unsigned long long)exact);
    }
    assert_int_equal(hist_percentile(hist, 100), values[n - 1]);
    hist_free(hist);
}

static uint64_t *make_values(void)
{
    uint64_t *values = malloc(N_VALUES * sizeof(*values));

    assert_non_null(values);
    return values;
}

static void hist_percentiles_match_sorting_uniform(void **state)
{
    uint64_t *values = make_values();
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < N_VALUES; i++)
        values[i] = rng_below(&rng, 100000000);
    check_against_sorting(values, N_VALUES);
    for (uint64_t n = 1; n <= 12; n++) { /* few values: every rank counts */
        for (size_t i = 0; i < n; i++)
            values[i] = rng_below(&rng, 5000);
        check_against_sorting(values, n);
    }
    free(values);
}

static void hist_percentiles_match_sorting_exponential(void **state)
{
    uint64_t *values = make_values();
    struct rng rng;

    (void)state;
    rng_seed(&rng, 2);
    for (size_t i = 0; i < N_VALUES; i++)
        values[i] = (uint64_t)rng_exponential(&rng, 250000);
    check_against_sorting(values, N_VALUES);
    free(values);
}

static void hist_percentiles_match_sorting_bimodal(void **state)
{
    uint64_t *values = make_values();
    struct rng rng;

    (void)state;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < N_VALUES; i++)
        values[i] = rng_below(&rng, 100) < 99 ? 80000 + rng_below(&rng, 10000)
                                              : 900000000 + rng_below(&rng, 90000000);
    check_against_sorting(values, N_VALUES);
    free(values);
}

static void hist_percentiles_match_sorting_constant(void **state)
{
    static const uint64_t constants[] = {0, 1, 2047, 2048, 2049, 4095, 4096, 123456789, LARGEST};
    uint64_t *values = make_values();

    (void)state;
    for (size_t c = 0; c < sizeof(constants) / sizeof(constants[0]); c++) {
        struct hist *hist = hist_new();

        for (size_t i = 0; i < 1000; i++)
            values[i] = constants[c];
        check_against_sorting(values, 1000);
        /* The exact maximum bounds what is told: a constant is told exactly. */
        hist_record_n(hist, constants[c], 1000);
        for (int p = 0; p <= 100; p++)
            assert_int_equal(hist_percentile(hist, p), constants[c]);
        hist_free(hist);
    }
    free(values);
}

static void hist_percentiles_match_sorting_over_the_whole_range(void **state)
{
    uint64_t *values = make_values();
    struct rng rng;

    (void)state;
    rng_seed(&rng, 4);
    for (size_t i = 0; i < N_VALUES; i++)
        values[i] = rng_next(&rng) >> (24 + rng_below(&rng, 40)); /* every magnitude alike */
    check_against_sorting(values, N_VALUES);
    free(values);
}

static void hist_counts_every_bucket_edge_in_its_bucket(void **state)
{
    struct hist *hist = hist_new();

    (void)state;
    for (unsigned bits = 1; bits < 40; bits++) {
        const uint64_t power = UINT64_C(1) << bits;
        const uint64_t width = power >= 2048 ? power / 1024 : 1;
        const uint64_t values[] = {power - 1, power, power + width - 1, power + width};

        for (size_t i = 0; i < 4; i++) {
            uint64_t low;

            hist_reset(hist);
            hist_record(hist, values[i]);
            hist_record(hist, LARGEST); /* so that the maximum does not hide the bucket */
            low = hist_percentile(hist, 50);
            assert_true(low >= values[i]);
            assert_true(low - values[i] < width);
        }
        /* Two neighbours a bucket's width apart are told apart, both ends of one are not. */
        hist_reset(hist);
        hist_record(hist, power);
        hist_record(hist, power + width - 1);
        hist_record(hist, power + width);
        hist_record(hist, LARGEST);
        assert_int_equal(hist_percentile(hist, 25), power + width - 1);
        assert_int_equal(hist_percentile(hist, 50), power + width - 1);
        assert_int_equal(hist_percentile(hist, 75), power + 2 * width - 1);
    }
    hist_free(hist);
}

static void hist_percentile_rank_is_not_rounded_up_by_a_binary_fraction(void **state)
{
    struct hist *hist = hist_new();

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++)
        hist_record(hist, i);
    assert_int_equal(hist_percentile(hist, 99.9), 999);
    assert_int_equal(hist_percentile(hist, 99.91), 1000);
    assert_int_equal(hist_percentile(hist, 50), 500);
    assert_int_equal(hist_percentile(hist, 50.01), 501);
    assert_int_equal(hist_percentile(hist, 0), 1);
    /* p/10·n/10 is a whole number for each of these. */
    for (uint64_t p = 1; p <= 1000; p++)
        assert_int_equal(hist_percentile(hist, (double)p / 10), p);
    hist_free(hist);
}

static void hist_empty_is_all_zero(void **state)
{
    struct hist *hist = hist_new();

    (void)state;
    assert_int_equal(hist_count(hist), 0);
    assert_int_equal(hist_min(hist), 0);
    assert_int_equal(hist_max(hist), 0);
    assert_int_equal(hist_percentile(hist, 50), 0);
    assert_true(hist_mean(hist) <= 0 && hist_mean(hist) >= 0);
    hist_record_n(hist, 77, 0);
    assert_int_equal(hist_min(hist), 0);
    hist_record(hist, 5);
    hist_reset(hist);
    assert_int_equal(hist_count(hist), 0);
    assert_int_equal(hist_min(hist), 0);
    hist_free(hist);
    hist_free(NULL);
}

static void hist_clips_and_says_so(void **state)
{
    struct hist *hist = hist_new();

    (void)state;
    hist_record(hist, LARGEST);
    assert_int_equal(hist_clipped(hist), 0);
    hist_record(hist, LARGEST + 1);
    hist_record_n(hist, UINT64_MAX, 3);
    assert_int_equal(hist_clipped(hist), 4);
    assert_int_equal(hist_count(hist), 5);
    assert_true(hist_max(hist) == UINT64_MAX);
    assert_int_equal(hist_min(hist), LARGEST);
    assert_int_equal(hist_percentile(hist, 50), LARGEST);
    assert_true(hist_percentile(hist, 100) == UINT64_MAX);
    assert_true(hist_mean(hist) > 1e19); /* the sum does not wrap */
    hist_free(hist);
}

static char *hgrm_of(const struct hist *hist, double unit)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    assert_non_null(out);
    assert_int_equal(hist_write_hgrm(hist, out, unit), 0);
    fclose(out);
    return text;
}

static void hist_merge_is_lossless(void **state)
{
    enum { PARTS = 4 };
    struct hist *whole = hist_new(), *merged = hist_new(), *parts[PARTS];
    struct rng rng;
    char *text_whole, *text_merged;

    (void)state;
    rng_seed(&rng, 5);
    for (size_t p = 0; p < PARTS; p++)
        parts[p] = hist_new();
    for (int i = 0; i < 100000; i++) {
        uint64_t value = rng_next(&rng) >> (20 + rng_below(&rng, 44));

        hist_record(whole, value);
        hist_record(parts[rng_below(&rng, PARTS - 1)], value); /* the last one stays empty */
    }
    for (size_t p = 0; p < PARTS; p++) {
        hist_merge(merged, parts[p]);
        hist_free(parts[p]);
    }
    assert_int_equal(hist_count(merged), hist_count(whole));
    assert_int_equal(hist_min(merged), hist_min(whole));
    assert_int_equal(hist_max(merged), hist_max(whole));
    assert_int_equal(hist_clipped(merged), hist_clipped(whole));
    assert_true(hist_clipped(whole) > 0);
    for (int p = 0; p <= 100000; p++)
        assert_int_equal(hist_percentile(merged, p / 1000.0), hist_percentile(whole, p / 1000.0));
    text_whole = hgrm_of(whole, 1e6);
    text_merged = hgrm_of(merged, 1e6);
    assert_string_equal(text_merged, text_whole); /* the mean and the deviation, too */
    free(text_whole);
    free(text_merged);
    hist_free(whole);
    hist_free(merged);
}

static void hist_hgrm_has_hdrhistograms_bytes(void **state)
{
    struct hist *hist = hist_new();
    char *text;

    (void)state;
    /* 1 … 10 ms: each tenth of the values in one bucket. */
    for (uint64_t i = 1; i <= 10; i++)
        hist_record(hist, i);
    text = hgrm_of(hist, 1);
    assert_string_equal(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                              "\n"
                              "       1.000 0.000000000000          1           1.00\n"
                              "       1.000 0.100000000000          1           1.11\n"
                              "       2.000 0.200000000000          2           1.25\n"
                              "       3.000 0.300000000000          3           1.43\n"
                              "       4.000 0.400000000000          4           1.67\n"
                              "       5.000 0.500000000000          5           2.00\n"
                              "       6.000 0.550000000000          6           2.22\n"
                              "       6.000 0.600000000000          6           2.50\n"
                              "       7.000 0.650000000000          7           2.86\n"
                              "       7.000 0.700000000000          7           3.33\n"
                              "       8.000 0.750000000000          8           4.00\n"
                              "       8.000 0.775000000000          8           4.44\n"
                              "       8.000 0.800000000000          8           5.00\n"
                              "       9.000 0.825000000000          9           5.71\n"
                              "       9.000 0.850000000000          9           6.67\n"
                              "       9.000 0.875000000000          9           8.00\n"
                              "       9.000 0.887500000000          9           8.89\n"
                              "       9.000 0.900000000000          9          10.00\n"
                              "      10.000 0.912500000000         10          11.43\n"
                              "      10.000 1.000000000000         10\n"
                              "#[Mean    =        5.500, StdDeviation   =        2.872]\n"
                              "#[Max     =       10.000, Total count    =           10]\n"
                              "#[Buckets =           30, SubBuckets     =         2048]\n");
    free(text);
    hist_free(hist);
}

static void hist_hgrm_of_nothing_is_head_and_foot(void **state)
{
    struct hist *hist = hist_new();
    char *text = hgrm_of(hist, 1e6);

    (void)state;
    assert_string_equal(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                              "\n"
                              "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
                              "#[Max     =        0.000, Total count    =            0]\n"
                              "#[Buckets =           30, SubBuckets     =         2048]\n");
    free(text);
    hist_free(hist);
}

/* Any program that draws .hgrm files reads these columns: they rise, and the last is all. */
static void hist_hgrm_lines_rise_and_agree_with_the_percentiles(void **state)
{
    struct hist *hist = hist_new();
    struct rng rng;
    char *text, *rest;
    double value = 0, before = 0, level, level_before = -1;
    unsigned long long total, total_before = 0;
    int n_lines = 0;

    (void)state;
    rng_seed(&rng, 6);
    for (int i = 0; i < 100000; i++)
        hist_record(hist, (uint64_t)rng_exponential(&rng, 1e6));
    text = hgrm_of(hist, 1e6);
    rest = strchr(text, '\n') + 2;
    while (sscanf(rest, "%lf %lf %llu", &value, &level, &total) == 3) {
        assert_true(value >= before && level > level_before && total >= total_before);
        assert_true((double)total >= level * 100000 - 0.001);
        if (level < 1) {
            double exact = (double)hist_percentile(hist, level * 100) / 1e6;

            assert_true(fabs(value - exact) <= 0.002 * exact + 0.0005);
        }
        before = value;
        level_before = level;
        total_before = total;
        n_lines++;
        rest = strchr(rest, '\n') + 1;
    }
    assert_true(n_lines > 70);
    assert_int_equal(total, 100000);
    assert_true(level >= 1);
    assert_int_equal(rest[0], '#');
    free(text);
    hist_free(hist);
}

static void hist_hgrm_tells_of_a_full_disk(void **state)
{
    struct hist *hist = hist_new();
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    assert_int_equal(hist_write_hgrm(hist, full, 1), -ENOSPC);
    fclose(full);
    hist_free(hist);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hist_percentiles_match_sorting_uniform),
        cmocka_unit_test(hist_percentiles_match_sorting_exponential),
        cmocka_unit_test(hist_percentiles_match_sorting_bimodal),
        cmocka_unit_test(hist_percentiles_match_sorting_constant),
        cmocka_unit_test(hist_percentiles_match_sorting_over_the_whole_range),
        cmocka_unit_test(hist_counts_every_bucket_edge_in_its_bucket),
        cmocka_unit_test(hist_percentile_rank_is_not_rounded_up_by_a_binary_fraction),
        cmocka_unit_test(hist_empty_is_all_zero),
        cmocka_unit_test(hist_clips_and_says_so),
        cmocka_unit_test(hist_merge_is_lossless),
        cmocka_unit_test(hist_hgrm_has_hdrhistograms_bytes),
        cmocka_unit_test(hist_hgrm_of_nothing_is_head_and_foot),
        cmocka_unit_test(hist_hgrm_lines_rise_and_agree_with_the_percentiles),
        cmocka_unit_test(hist_hgrm_tells_of_a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
