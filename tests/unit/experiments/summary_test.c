#include "experiments/run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/run_fixture.h"

static struct run_fixture fixture;
static struct summary summary;

static void assert_close(double is, double should)
{
    if (!(fabs(is - should) <= 1e-9 * fmax(1, fabs(should))))
        fail_msg("%.12g, wanted %.12g", is, should);
}

static void summary_gives_medians_and_ranges_of_each_point(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 5, NULL);
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        if (fixture.run.samples[i].point == 0) {
            fixture.run.samples[i].counts[0] = 8000 + 10 * fixture.run.samples[i].repeat;
            fixture.run.samples[i].counts[1] = 2000 - 10 * fixture.run.samples[i].repeat;
            fixture.run.samples[i].counts[2] = 0;
        }
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    assert_int_equal(summary.n_points, 2);
    const struct summary_point *point = &summary.points[0];
    assert_int_equal(point->n_samples, 5);
    assert_int_equal(point->n_servers, 3);
    assert_close(point->servers[0].count.median, 8020);
    assert_close(point->servers[0].count.min, 8000);
    assert_close(point->servers[0].count.max, 8040);
    assert_close(point->servers[1].count.median, 1980);
    assert_close(point->servers[0].expected, 759374. / 90);
    assert_close(point->exact_peak_to_mean, 3 * 759374. / 900000);
    assert_close(point->peak_to_mean.median, 3 * 0.8020);
    assert_close(point->metrics[0].median, 3000); /* rate */
    assert_true(point->metrics[0].interval.low >= 1000 && point->metrics[0].interval.low <= 3000);
    assert_true(point->metrics[0].interval.high >= 3000 && point->metrics[0].interval.high <= 5000);
    assert_string_equal(summary.points[1].settings.cluster.hash, "xxh64");
    summary_done(&summary);
    run_fixture_close(&fixture);
}

/* Where a duration sets how many requests there are, what is expected goes by those there were. */
static void summary_expects_shares_of_the_requests_that_were_made(void **state)
{
    static const char *const lasting[] = {"load.duration=2s", NULL};
    (void)state;
    run_fixture_open(&fixture, 3, lasting);
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        if (fixture.run.samples[i].point == 0) {
            struct sample *sample = &fixture.run.samples[i];
            sample->n_ok = 20000 + 1000 * sample->repeat;
            sample->n_errors = sample->repeat ? 0 : 9;
        }
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    const struct summary_point *point = &summary.points[0];
    assert_int_equal(point->requests, 21000);
    assert_close(point->servers[0].expected, 2.1 * 759374. / 90);
    assert_close(point->exact_most, point->servers[0].expected);
    assert_true(point->exact_least < point->exact_most);
    assert_close(point->exact_peak_to_mean, 3 * 759374. / 900000);
    assert_int_equal(summary.points[1].requests, 0); /* nobody knows */
    assert_true(isnan(summary.points[1].servers[0].expected));
    assert_true(isnan(summary.points[1].exact_least) && isnan(summary.points[1].exact_most));
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void summary_adds_chi_squares_over_the_samples(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 4, NULL);
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        if (fixture.run.samples[i].point == 1) {
            fixture.run.samples[i].counts[0] += 40;
            fixture.run.samples[i].counts[1] -= 40;
        }
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    const struct summary_point *point = &summary.points[1];
    double x = 0;
    for (size_t s = 0; s < 3; s++) {
        double off = (double)point->samples[0]->counts[s] - point->servers[s].expected;
        x += off * off / point->servers[s].expected;
    }
    assert_close(point->chi_square, 4 * x);
    assert_int_equal(point->df, 8);
    assert_close(point->p, stats_chi_square_p(4 * x, 8));
    assert_close(point->sample_p[3], stats_chi_square_p(x, 2));
    assert_true(summary.points[0].p > 0.99);
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void summary_leaves_points_without_samples_empty(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    /* point 0, repeat 1 alone was taken */
    for (size_t i = 1; i < fixture.run.n_samples; i++)
        sample_done(&fixture.run.samples[i]);
    fixture.run.n_samples = 1;
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    assert_int_equal(summary.points[0].n_samples, 1);
    assert_int_equal(summary.points[1].n_samples, 0);
    assert_true(summary.points[1].servers[0].share > 0);
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void summary_takes_samples_that_nobody_answered(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    memset(fixture.run.samples[0].counts, 0, sizeof(fixture.run.samples[0].counts));
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    assert_true(isfinite(summary.points[0].chi_square));
    assert_true(isfinite(summary.points[0].peak_to_mean.min));
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void summary_of_one_server_has_nothing_to_fit(void **state)
{
    static const char *const one[] = {"cluster.servers=1", NULL};
    (void)state;
    run_fixture_open(&fixture, 3, one);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    assert_int_equal(summary.points[0].df, 0);
    assert_close(summary.points[0].p, 1);
    assert_close(summary.points[0].exact_peak_to_mean, 1);
    summary_done(&summary);
    run_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summary_gives_medians_and_ranges_of_each_point),
        cmocka_unit_test(summary_expects_shares_of_the_requests_that_were_made),
        cmocka_unit_test(summary_adds_chi_squares_over_the_samples),
        cmocka_unit_test(summary_leaves_points_without_samples_empty),
        cmocka_unit_test(summary_takes_samples_that_nobody_answered),
        cmocka_unit_test(summary_of_one_server_has_nothing_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
