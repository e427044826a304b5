#include "experiments/lint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "experiments/outcome.h"
#include "tests/support/run_fixture.h"

static const cJSON *find(const cJSON *objections, const char *about)
{
    const cJSON *objection;
    cJSON_ArrayForEach (objection, objections) {
        if (!strcmp(outcome_text(objection, "about"), about))
            return objection;
    }
    return NULL;
}

static const char *said(const cJSON *objections, const char *about)
{
    const cJSON *objection = find(objections, about);
    if (!objection)
        fail_msg("nothing about '%s'", about);
    return outcome_text(objection, "says");
}

/* What is said about the fixture's plan, on n_cores. */
static cJSON *plan_of(unsigned repeats, const char *const *overrides, unsigned n_cores)
{
    struct run_fixture fixture;
    run_fixture_open(&fixture, repeats, overrides);
    cJSON *list = lint_plan(&fixture.experiment, n_cores);
    run_fixture_close(&fixture);
    return list;
}

static void one_repeat_and_few_repeats_are_objected_to(void **state)
{
    (void)state;
    cJSON *list = plan_of(1, NULL, 64);
    assert_non_null(strstr(said(list, "repeats"), "no spread"));
    cJSON_Delete(list);
    list = plan_of(5, NULL, 64);
    /* 1 − 2⁻⁴ */
    assert_non_null(strstr(said(list, "repeats"), "93.8 %"));
    cJSON_Delete(list);
    list = plan_of(6, NULL, 64);
    assert_null(find(list, "repeats"));
    cJSON_Delete(list);
}

static void an_experiment_without_axis_has_no_baseline(void **state)
{
    static const char *const one[] = {"axis.values=quadratic", NULL};
    (void)state;
    cJSON *list = plan_of(6, one, 64);
    assert_non_null(strstr(said(list, "baseline"), "nothing varies"));
    cJSON_Delete(list);
    list = plan_of(6, NULL, 64);
    assert_null(find(list, "baseline"));
    cJSON_Delete(list);
}

static void rates_of_shared_cores_are_objected_to(void **state)
{
    (void)state;
    cJSON *list = plan_of(6, NULL, 4); /* 3 servers, 1 thread, 1 generator */
    assert_non_null(strstr(said(list, "cores"), "up to 5 busy threads"));
    cJSON_Delete(list);
    list = plan_of(6, NULL, 5);
    assert_null(find(list, "cores"));
    assert_non_null(find(list, "closed loop"));
    assert_null(find(list, "warm-up"));
    cJSON_Delete(list);
}

static void an_open_loop_is_objected_to_for_its_arrivals_only(void **state)
{
    static const char *const constant[] = {"load.rate=500", NULL};
    static const char *const poisson[] = {"load.rate=500", "load.arrivals=poisson", NULL};
    static const char *const both[] = {"axis.vary=load.rate", "axis.values=0 500", NULL};
    static const char *const threads[] = {"load.threads=4", NULL};
    (void)state;
    cJSON *list = plan_of(6, constant, 64);
    assert_null(find(list, "closed loop"));
    assert_non_null(strstr(said(list, "arrivals"), "evenly spaced"));
    cJSON_Delete(list);
    list = plan_of(6, poisson, 64);
    assert_null(find(list, "closed loop"));
    assert_null(find(list, "arrivals"));
    cJSON_Delete(list);
    list = plan_of(6, both, 64);
    assert_non_null(find(list, "closed loop"));
    assert_non_null(find(list, "arrivals"));
    cJSON_Delete(list);
    list = plan_of(6, threads, 7);
    assert_non_null(strstr(said(list, "cores"), "up to 8 busy threads"));
    cJSON_Delete(list);
}

static void counts_depend_on_none_of_that(void **state)
{
    static const char *const counts[] = {"experiment.measures=counts", "load.warmup=0", NULL};
    (void)state;
    cJSON *list = plan_of(6, counts, 1);
    assert_int_equal(cJSON_GetArraySize(list), 0);
    cJSON_Delete(list);
}

static void modified_z_score_is_that_of_iglewicz_and_hoaglin(void **state)
{
    /* median 10, absolute deviations 2 1 0 1 90 → MAD 1 */
    const double values[] = {8, 9, 10, 11, 100};
    const double same[] = {5, 5, 5, 5, 50};
    (void)state;
    assert_true(lint_outlier_z(values, 5, 4) > 60.70 && lint_outlier_z(values, 5, 4) < 60.71);
    assert_true(lint_outlier_z(values, 5, 0) > 1.348 && lint_outlier_z(values, 5, 0) < 1.350);
    assert_true(lint_outlier_z(values, 5, 2) <= 0);
    assert_true(lint_outlier_z(values, 4, 3) <= 0); /* too few */
    assert_true(lint_outlier_z(same, 5, 4) <= 0);   /* no spread to measure by */
}

static void the_run_is_asked_for_outliers_spread_duration_and_warm_up(void **state)
{
    struct run_fixture fixture;
    struct summary summary;
    cJSON *list = cJSON_CreateArray();
    (void)state;
    run_fixture_open(&fixture, 7, NULL);
    for (size_t i = 0; i < fixture.run.n_samples; i++) {
        struct sample *sample = &fixture.run.samples[i];
        sample->rate = 1000 + (double)sample->repeat;
        sample->seconds = 1;
    }
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    lint_run(list, &fixture.run, &summary);
    assert_null(find(list, "outlier"));
    assert_null(find(list, "spread"));
    assert_null(find(list, "duration"));
    assert_null(find(list, "warm-up"));
    summary_done(&summary);

    fixture.run.samples[3].rate = 10; /* point 1, repeat 2 */
    fixture.run.samples[3].seconds = 0.1;
    fixture.run.samples[3].unsteady = true;
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    lint_run(list, &fixture.run, &summary);
    assert_non_null(strstr(said(list, "outlier"), "cluster.hash = xxh64, repeat 2: 10 requests/s"));
    assert_non_null(strstr(said(list, "duration"), "1 samples lasted less than 0.5 s"));
    assert_non_null(strstr(said(list, "warm-up"), "1 of 14 samples"));
    summary_done(&summary);

    for (size_t i = 0; i < fixture.run.n_samples; i++)
        fixture.run.samples[i].rate = 1000.0 * (double)(fixture.run.samples[i].repeat + 1);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    lint_run(list, &fixture.run, &summary);
    assert_non_null(strstr(said(list, "spread"), "at 2 of 2 points"));
    summary_done(&summary);
    cJSON_Delete(list);
    run_fixture_close(&fixture);
}

static void objections_are_printed_a_line_each(void **state)
{
    struct buf text;
    (void)state;
    cJSON *list = plan_of(1, NULL, 64);
    buf_init(&text, 0);
    lint_print(list, &text);
    assert_non_null(strstr(buf_str(&text), "  repeats: one repeat: no spread can be seen\n"));
    buf_done(&text);
    cJSON_Delete(list);
}

/* The run's objections, when the stores' files were there. */
static cJSON *run_on(const char *storage, const char *store)
{
    const char *const overrides[] = {"cluster.shards=2",
                                     "load.write=db-write",
                                     "load.read=db-read",
                                     "load.requests=1000",
                                     "figure.table=points",
                                     store,
                                     NULL};
    struct run_fixture fixture;
    struct summary summary;
    cJSON *list = cJSON_CreateArray();
    run_fixture_open(&fixture, 5, overrides);
    snprintf(fixture.run.storage, sizeof(fixture.run.storage), "%s", storage);
    fixture.run.samples[0].then->rate = 1e9;
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    lint_run(list, &fixture.run, &summary);
    summary_done(&summary);
    run_fixture_close(&fixture);
    return list;
}

static void syncing_to_memory_is_objected_to(void **state)
{
    (void)state;
    cJSON *list = run_on("tmpfs", "cluster.store=file");
    assert_non_null(strstr(said(list, "durability"), "in memory (tmpfs)"));
    cJSON_Delete(list);
    list = run_on("ext4", "cluster.store=file");
    assert_null(find(list, "durability"));
    cJSON_Delete(list);
    list = run_on("tmpfs", "cluster.store=memory");
    assert_null(find(list, "durability"));
    cJSON_Delete(list);
}

static void outliers_are_looked_for_in_both_phases(void **state)
{
    (void)state;
    cJSON *list = run_on("ext4", "cluster.store=memory");
    assert_non_null(strstr(said(list, "outlier"), "read, repeat 1: 1000000000 requests/s"));
    cJSON_Delete(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_repeat_and_few_repeats_are_objected_to),
        cmocka_unit_test(an_experiment_without_axis_has_no_baseline),
        cmocka_unit_test(rates_of_shared_cores_are_objected_to),
        cmocka_unit_test(an_open_loop_is_objected_to_for_its_arrivals_only),
        cmocka_unit_test(counts_depend_on_none_of_that),
        cmocka_unit_test(modified_z_score_is_that_of_iglewicz_and_hoaglin),
        cmocka_unit_test(the_run_is_asked_for_outliers_spread_duration_and_warm_up),
        cmocka_unit_test(objections_are_printed_a_line_each),
        cmocka_unit_test(syncing_to_memory_is_objected_to),
        cmocka_unit_test(outliers_are_looked_for_in_both_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
