#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/stats.h"
#include "loadgen/arrivals.h"

static struct arrivals_plan plan_of(double rate, uint64_t duration_ns)
{
    struct arrivals_plan plan = {.n_segments = 0};

    assert_int_equal(arrivals_plan_add(&plan, rate, rate, duration_ns, false), 0);
    return plan;
}

/* Walks to the end; returns how many there were in each segment. */
static void walk(const struct arrivals_plan *plan, enum arrivals_kind kind, uint64_t seed,
                 uint32_t n_threads, uint64_t counts[ARRIVALS_MAX_SEGMENTS])
{
    memset(counts, 0, ARRIVALS_MAX_SEGMENTS * sizeof(*counts));
    for (uint32_t thread = 0; thread < n_threads; thread++) {
        struct arrivals arrivals;
        struct arrival arrival, last = {0};

        arrivals_init(&arrivals, plan, kind, seed, thread, n_threads);
        while (arrivals_next(&arrivals, &arrival)) {
            const struct arrivals_segment *segment = &plan->segments[arrival.segment];
            assert_true(arrival.at_ns >= last.at_ns);
            assert_true(arrival.at_ns >= segment->start_ns);
            assert_true(arrival.at_ns <= segment->start_ns + segment->duration_ns);
            counts[arrival.segment]++;
            last = arrival;
        }
    }
}

static void constant_arrivals_are_exactly_evenly_spaced(void **state)
{
    static const double rates[] = {1, 3, 1000, 33333, 1e6};

    (void)state;
    for (size_t r = 0; r < sizeof(rates) / sizeof(*rates); r++) {
        struct arrivals_plan plan = plan_of(rates[r], UINT64_MAX);
        struct arrivals arrivals;
        struct arrival arrival;

        arrivals_init(&arrivals, &plan, ARRIVALS_CONSTANT, 1, 0, 1);
        for (uint64_t i = 0; i < 100000; i++) {
            double exact_ns = (double)i * 1e9 / rates[r];
            assert_true(arrivals_next(&arrivals, &arrival));
            /* No drift: the last is as near as the first. */
            assert_true(fabs((double)arrival.at_ns - exact_ns) <= 1.);
        }
    }
}

static void a_duration_holds_rate_times_duration_requests(void **state)
{
    static const struct {
        double rate;
        uint64_t duration_ns, n;
    } rows[] = {
        {1000, NS_PER_S, 1000},         {30, 100 * NS_PER_MS, 3},
        {100. / 3., 3 * NS_PER_S, 100}, {1, 500 * NS_PER_MS, 1}, /* the first is due at once */
        {2.5, 2 * NS_PER_S, 5},         {0.1, NS_PER_S, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct arrivals_plan plan = plan_of(rows[i].rate, rows[i].duration_ns);
        uint64_t counts[ARRIVALS_MAX_SEGMENTS];

        assert_int_equal(arrivals_plan_count(&plan, 0), rows[i].n);
        for (uint32_t n_threads = 1; n_threads <= 7; n_threads += 3) {
            walk(&plan, ARRIVALS_CONSTANT, 1, n_threads, counts);
            assert_int_equal(counts[0], rows[i].n);
        }
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void threads_together_have_the_arrivals_of_one(void **state)
{
    struct arrivals_plan plan = {.n_segments = 0};
    struct arrivals arrivals;
    struct arrival arrival;
    uint64_t one[2000], many[2000];
    size_t n_one = 0, n_many = 0;

    (void)state;
    arrivals_plan_add(&plan, 0., 700., NS_PER_S, false);
    arrivals_plan_add(&plan, 1000., 1000., NS_PER_S, false);
    arrivals_init(&arrivals, &plan, ARRIVALS_CONSTANT, 1, 0, 1);
    while (arrivals_next(&arrivals, &arrival))
        one[n_one++] = arrival.at_ns;
    for (uint32_t thread = 0; thread < 3; thread++) {
        arrivals_init(&arrivals, &plan, ARRIVALS_CONSTANT, 1, thread, 3);
        while (arrivals_next(&arrivals, &arrival))
            many[n_many++] = arrival.at_ns;
    }
    qsort(many, n_many, sizeof(*many), compare_u64);
    assert_int_equal(n_one, 1350);
    assert_int_equal(n_many, n_one);
    assert_memory_equal(many, one, n_one * sizeof(*one));
}

static void a_ramp_rises_linearly_and_joins_the_rate(void **state)
{
    struct arrivals_plan plan = {.n_segments = 0};
    struct arrivals arrivals;
    struct arrival arrival;
    uint64_t n_by_tenth[10] = {0}, counts[ARRIVALS_MAX_SEGMENTS];

    (void)state;
    arrivals_plan_add(&plan, 0., 10000., 2 * NS_PER_S, false);
    arrivals_plan_add(&plan, 10000., 5000., NS_PER_S, false);
    arrivals_plan_add(&plan, 5000., 5000., NS_PER_S, false);
    walk(&plan, ARRIVALS_CONSTANT, 1, 1, counts);
    assert_int_equal(counts[0], 10000);
    assert_int_equal(counts[1], 7500);
    assert_int_equal(counts[2], 5000);
    arrivals_init(&arrivals, &plan, ARRIVALS_CONSTANT, 1, 0, 1);
    while (arrivals_next(&arrivals, &arrival) && arrival.segment == 0)
        n_by_tenth[arrival.at_ns / (200 * NS_PER_MS)]++;
    /* 10000 · (((k + 1)/10)² − (k/10)²) = 100 · (2k + 1), within the border's one. */
    for (uint64_t k = 0; k < 10; k++)
        assert_in_range(n_by_tenth[k], 100 * (2 * k + 1) - 1, 100 * (2 * k + 1) + 1);
}

static void stages_follow_each_other_with_their_own_counts(void **state)
{
    struct arrivals_plan plan = {.n_segments = 0};
    uint64_t counts[ARRIVALS_MAX_SEGMENTS];
    struct err err;

    (void)state;
    arrivals_plan_add(&plan, 100., 100., NS_PER_S, true);
    assert_int_equal(arrivals_plan_parse(&plan, "100:10s,0:2,2000:500ms,50.5:2", &err), 0);
    assert_int_equal(plan.n_segments, 5);
    assert_int_equal(arrivals_plan_warmup_ns(&plan), NS_PER_S);
    assert_int_equal(arrivals_plan_duration_ns(&plan), 15500 * NS_PER_MS);
    walk(&plan, ARRIVALS_CONSTANT, 1, 4, counts);
    assert_int_equal(counts[0], 100);
    assert_int_equal(counts[1], 1000);
    assert_int_equal(counts[2], 0);
    assert_int_equal(counts[3], 1000);
    assert_int_equal(counts[4], 101);
    for (size_t i = 0; i < plan.n_segments; i++)
        assert_int_equal(arrivals_plan_count(&plan, i), counts[i]);
}

/* Gaps in units of their mean, in 20 cells of equal probability under 1 − e^−x. */
static double exponential_p(const struct arrivals_plan *plan, uint64_t seed, uint32_t thread,
                            uint32_t n_threads, double mean_ns, size_t n)
{
    uint64_t counts[20] = {0};
    double shares[20];
    struct arrivals arrivals;
    struct arrival arrival;
    uint64_t last_ns = 0;

    arrivals_init(&arrivals, plan, ARRIVALS_POISSON, seed, thread, n_threads);
    for (size_t i = 0; i < n; i++) {
        double cell;
        assert_true(arrivals_next(&arrivals, &arrival));
        cell = 20. * -expm1(-(double)(arrival.at_ns - last_ns) / mean_ns);
        counts[cell < 19. ? (size_t)cell : 19]++;
        last_ns = arrival.at_ns;
    }
    for (size_t i = 0; i < 20; i++)
        shares[i] = 1. / 20.;
    return stats_chi_square_p(stats_chi_square(counts, shares, 20), 19);
}

static void poisson_gaps_are_exponential(void **state)
{
    struct arrivals_plan plan = plan_of(5000., UINT64_MAX);

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        assert_true(exponential_p(&plan, seed, 0, 1, 200e3, 100000) > 1e-4);
        /* A thread of four has a quarter of the rate. */
        assert_true(exponential_p(&plan, seed, 2, 4, 800e3, 100000) > 1e-4);
    }
}

static void the_test_of_gaps_notices_a_rate_three_percent_off(void **state)
{
    /* The same test against a rate that is 3 % off must fail, or it says nothing. */
    struct arrivals_plan plan = plan_of(5150., UINT64_MAX);

    (void)state;
    assert_true(exponential_p(&plan, 1, 0, 1, 200e3, 100000) < 1e-4);
}

static void poisson_arrivals_of_a_ramp_keep_to_its_shape(void **state)
{
    struct arrivals_plan plan = {.n_segments = 0};
    uint64_t counts[10] = {0}, n = 0;
    double shares[10];
    struct arrivals arrivals;
    struct arrival arrival;

    (void)state;
    arrivals_plan_add(&plan, 0., 50000., 2 * NS_PER_S, false);
    arrivals_init(&arrivals, &plan, ARRIVALS_POISSON, 3, 0, 1);
    while (arrivals_next(&arrivals, &arrival)) {
        counts[arrival.at_ns / (200 * NS_PER_MS)]++;
        n++;
    }
    for (size_t k = 0; k < 10; k++)
        shares[k] = (double)(2 * k + 1) / 100.;
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, 10), 9) > 1e-4);
    /* Six standard deviations of a Poisson number of mean 50000. */
    assert_in_range(n, 50000 - 1342, 50000 + 1342);
}

static void the_seed_decides_and_threads_differ(void **state)
{
    struct arrivals_plan plan = plan_of(1000., UINT64_MAX);
    struct arrivals a, b, other, thread;
    struct arrival x, y, z, w;
    unsigned n_same_seed = 0, n_same_thread = 0;

    (void)state;
    arrivals_init(&a, &plan, ARRIVALS_POISSON, 7, 0, 2);
    arrivals_init(&b, &plan, ARRIVALS_POISSON, 7, 0, 2);
    arrivals_init(&other, &plan, ARRIVALS_POISSON, 8, 0, 2);
    arrivals_init(&thread, &plan, ARRIVALS_POISSON, 7, 1, 2);
    for (int i = 0; i < 1000; i++) {
        assert_true(arrivals_next(&a, &x) && arrivals_next(&b, &y));
        assert_true(arrivals_next(&other, &z) && arrivals_next(&thread, &w));
        assert_int_equal(x.at_ns, y.at_ns);
        n_same_seed += x.at_ns == z.at_ns;
        n_same_thread += x.at_ns == w.at_ns;
    }
    assert_true(n_same_seed < 5 && n_same_thread < 5);
}

static void stages_that_are_none_are_refused_by_number(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "stage 1"},         {"100", "RATE:TIME"},   {"100:1s,", "stage 2"},
        {"100:1s,x:1s", "'x'"},  {"100:soon", "'soon'"}, {"-1:1s", "stage 1"},
        {"0:1s,0:2s", "rate 0"}, {"1e9:1s", "stage 1"},  {"100:0s", "stage 1"},
    };
    char long_text[600] = "1:1s";
    struct arrivals_plan plan;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        plan.n_segments = 0;
        if (arrivals_plan_parse(&plan, rows[i].text, &err) != -EINVAL)
            fail_msg("'%s' was taken", rows[i].text);
        if (!strstr(err.message, rows[i].says))
            fail_msg("'%s': '%s' does not say '%s'", rows[i].text, err.message, rows[i].says);
    }
    for (unsigned i = 1; i < ARRIVALS_MAX_STAGES; i++)
        strcat(long_text, ",1:1s");
    plan.n_segments = 0;
    assert_int_equal(arrivals_plan_parse(&plan, long_text, &err), 0);
    strcat(long_text, ",1:1s");
    plan.n_segments = 0;
    assert_int_equal(arrivals_plan_parse(&plan, long_text, &err), -EINVAL);
    assert_non_null(strstr(err.message, "32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_arrivals_are_exactly_evenly_spaced),
        cmocka_unit_test(a_duration_holds_rate_times_duration_requests),
        cmocka_unit_test(threads_together_have_the_arrivals_of_one),
        cmocka_unit_test(a_ramp_rises_linearly_and_joins_the_rate),
        cmocka_unit_test(stages_follow_each_other_with_their_own_counts),
        cmocka_unit_test(poisson_gaps_are_exponential),
        cmocka_unit_test(the_test_of_gaps_notices_a_rate_three_percent_off),
        cmocka_unit_test(poisson_arrivals_of_a_ramp_keep_to_its_shape),
        cmocka_unit_test(the_seed_decides_and_threads_differ),
        cmocka_unit_test(stages_that_are_none_are_refused_by_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
