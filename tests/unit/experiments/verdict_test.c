#include "experiments/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "tests/support/run_fixture.h"

static struct run_fixture fixture;

/* Judges the fixture, checks validity and that exactly these beginnings of reasons and warnings
 * (NULL: none) are told, then closes it. */
static void expect(bool valid, const char *reason, const char *warning)
{
    struct summary summary;
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    cJSON *verdict = verdict_judge(&fixture.run, &summary);
    const cJSON *reasons = json_get(verdict, "reasons");
    const cJSON *warnings = json_get(verdict, "warnings");
    char *text = cJSON_PrintUnformatted(verdict);
    if (cJSON_IsTrue(json_get(verdict, "valid")) != valid ||
        cJSON_GetArraySize(reasons) != (reason ? 1 : 0) ||
        cJSON_GetArraySize(warnings) != (warning ? 1 : 0) ||
        (reason && !strstr(cJSON_GetArrayItem(reasons, 0)->valuestring, reason)) ||
        (warning && !strstr(cJSON_GetArrayItem(warnings, 0)->valuestring, warning)))
        fail_msg("wanted %s, '%s', '%s', got %s", valid ? "valid" : "invalid", reason ? reason : "",
                 warning ? warning : "", text);
    cJSON_free(text);
    cJSON_Delete(verdict);
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void verdict_trusts_a_clean_run(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    expect(true, NULL, NULL);
}

static void verdict_wants_three_repeats(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 2, NULL);
    expect(false, "too few repeats: 2", NULL);
}

static void verdict_refuses_failed_requests(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    struct sample *sample = &fixture.run.samples[4];
    sample->n_errors = 7;
    sample->n_ok -= 7;
    sample->counts[0] -= 7;
    snprintf(sample->error, sizeof(sample->error), "reset, e.g. by Server1");
    expect(false, "7 requests failed: reset, e.g. by Server1", NULL);
}

static void verdict_refuses_lost_requests(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[2].n_ok -= 1;
    fixture.run.samples[2].counts[0] -= 1;
    expect(false, "sample 3: requests were lost: 10000 were to be sent, 9999 were answered", NULL);
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[0].counts[0] += 1;
    expect(false, "sample 1: requests were lost", NULL);
}

static void verdict_refuses_replaced_servers(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[0].counts[0] -= 5;
    fixture.run.samples[0].n_strangers = 5;
    expect(false, "5 answers came from servers", NULL);
}

static void verdict_refuses_a_saturated_generator_where_rates_are_measured(void **state)
{
    static const char *const counts[] = {"experiment.measures=counts", NULL};
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[1].generator_cpu = 0.93;
    expect(false, "up to 93 % of a core, above 90 % in 1 of 6 samples", NULL);
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[1].generator_cpu = 0.9;
    expect(true, NULL, NULL);
    run_fixture_open(&fixture, 3, counts);
    fixture.run.samples[1].generator_cpu = 0.93;
    expect(true, NULL, "the counts do not depend on it");
}

static void verdict_looks_at_the_busiest_of_several_generator_threads(void **state)
{
    static const char *const threads[] = {"load.threads=2", NULL};
    (void)state;
    run_fixture_open(&fixture, 3, threads);
    fixture.run.samples[0].generator_cpu = 1.6;
    fixture.run.samples[0].thread_cpu = 0.85;
    expect(true, NULL, NULL);
    run_fixture_open(&fixture, 3, threads);
    fixture.run.samples[0].generator_cpu = 1.2;
    fixture.run.samples[0].thread_cpu = 0.95;
    expect(false, "up to 95 % of a core", NULL);
}

static void verdict_refuses_what_quoit_load_calls_invalid(void **state)
{
    static const char *const counts[] = {"experiment.measures=counts", "load.rate=1000", NULL};
    (void)state;
    for (int i = 0; i < 2; i++) {
        run_fixture_open(&fixture, 3, i ? counts : counts + 1);
        snprintf(fixture.run.samples[2].distrust, sizeof(fixture.run.samples[2].distrust),
                 "requests went out late");
        expect(i, i ? NULL : "quoit load calls 1 of 6 samples INVALID: requests went out late",
               i ? "in 1 of 6 samples requests went out late: the counts" : NULL);
    }
}

static void verdict_refuses_dropped_requests_and_calls_them_not_lost(void **state)
{
    static const char *const rate[] = {"load.rate=1000", NULL};
    (void)state;
    run_fixture_open(&fixture, 3, rate);
    struct sample *sample = &fixture.run.samples[0];
    sample->n_dropped = 7;
    sample->n_ok -= 7;
    sample->counts[0] -= 7;
    expect(false, "7 requests were dropped, unsent", NULL);
}

static void verdict_refuses_counts_that_do_not_fit(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        if (fixture.run.samples[i].point == 1) {
            fixture.run.samples[i].counts[0] += 300;
            fixture.run.samples[i].counts[1] -= 300;
        }
    expect(false, "cluster.hash = xxh64: the counts do not fit the exact shares", NULL);
}

static void verdict_lives_with_chance(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.samples[1].counts[0] += 60; /* p of about 0.3 in one sample */
    fixture.run.samples[1].counts[1] -= 60;
    expect(true, NULL, NULL);
}

static void verdict_marks_an_interrupted_run(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    fixture.run.interrupted = true;
    sample_done(&fixture.run.samples[--fixture.run.n_samples]);
    expect(false, "interrupted after 5 of 6 samples", NULL);
}

static const char *const database[] = {"cluster.shards=2",    "load.write=db-write",
                                       "load.read=db-read",   "load.requests=1000",
                                       "figure.table=points", NULL};

static void verdict_trusts_rows_that_were_verified(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, database);
    expect(true, NULL, NULL);
}

static void verdict_refuses_rows_that_nobody_vouches_for(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, database);
    snprintf(fixture.run.samples[2].then->doubt, 100, "replicas of a shard are not equal");
    expect(false,
           "rows are not vouched for after 1 of 12 loads, first in sample 3, read: replicas of a "
           "shard are not equal",
           NULL);
}

static void verdict_counts_what_failed_and_was_lost_in_either_phase(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, database);
    struct sample *read = fixture.run.samples[0].then;
    read->n_ok -= 4;
    read->n_errors = 4;
    snprintf(read->error, sizeof(read->error), "wrong_body");
    expect(false, "4 requests failed: wrong_body", NULL);
    run_fixture_open(&fixture, 3, database);
    fixture.run.samples[1].then->n_ok--;
    expect(false, "sample 2, read: 1000 requests were to be sent, 999 were answered", NULL);
    run_fixture_open(&fixture, 3, database);
    fixture.run.samples[1].then->generator_cpu = 0.99;
    expect(false, "the load generator was saturated", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_trusts_a_clean_run),
        cmocka_unit_test(verdict_wants_three_repeats),
        cmocka_unit_test(verdict_refuses_failed_requests),
        cmocka_unit_test(verdict_refuses_lost_requests),
        cmocka_unit_test(verdict_refuses_replaced_servers),
        cmocka_unit_test(verdict_refuses_a_saturated_generator_where_rates_are_measured),
        cmocka_unit_test(verdict_looks_at_the_busiest_of_several_generator_threads),
        cmocka_unit_test(verdict_refuses_what_quoit_load_calls_invalid),
        cmocka_unit_test(verdict_refuses_dropped_requests_and_calls_them_not_lost),
        cmocka_unit_test(verdict_refuses_counts_that_do_not_fit),
        cmocka_unit_test(verdict_lives_with_chance),
        cmocka_unit_test(verdict_marks_an_interrupted_run),
        cmocka_unit_test(verdict_trusts_rows_that_were_verified),
        cmocka_unit_test(verdict_refuses_rows_that_nobody_vouches_for),
        cmocka_unit_test(verdict_counts_what_failed_and_was_lost_in_either_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
