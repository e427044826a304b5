#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "loadgen/threshold.h"
#include "loadgen/trust.h"
#include "loadgen/verification.h"

static struct arrivals_plan plan;

/* 1000 requests, a millisecond apart, each sent lag_ns after its time. */
static struct result *sample(bool open, uint64_t lag_ns, double busy)
{
    struct result_settings settings = {
        .url = "u", .n_in_flight = 8, .plan = open ? &plan : NULL, .lag_bound_ns = NS_PER_MS};
    struct result *result;
    struct addr addr;
    struct err err;

    assert_int_equal(addr_parse("127.0.0.1:5000", &addr, &err), 0);
    plan.n_segments = 0;
    arrivals_plan_add(&plan, 1000., 1000., UINT64_MAX, false);
    result = result_new(&settings, &addr);
    result->started_ns = NS_PER_S;
    result->ended_ns = 2 * NS_PER_S;
    for (uint64_t i = 0; open && i < 1000; i++) {
        uint64_t due_ns = NS_PER_S + i * NS_PER_MS;
        result_sent(result, due_ns, due_ns + lag_ns, 0, false);
    }
    result->n_threads = 2;
    result->threads[0] = (struct result_thread){.span_ns = NS_PER_S, .asleep_ns = NS_PER_S};
    result->threads[1] = (struct result_thread){
        .span_ns = NS_PER_S, .asleep_ns = NS_PER_S - (uint64_t)(busy * (double)NS_PER_S)};
    return result;
}

static struct trust judge(struct result *result)
{
    struct trust trust;

    trust_judge(result, &trust);
    result_free(result);
    return trust;
}

static void a_run_on_time_is_valid(void **state)
{
    struct trust trust = judge(sample(true, 100 * NS_PER_US, .5));

    (void)state;
    assert_true(trust.valid);
    assert_int_equal(trust.n_reasons + trust.n_warnings, 0);
}

static void lag_above_its_bound_is_invalid(void **state)
{
    struct trust trust = judge(sample(true, 2 * NS_PER_MS, .5));

    (void)state;
    assert_false(trust.valid);
    assert_int_equal(trust.n_reasons, 1);
    assert_non_null(strstr(trust.reasons[0], "p99 2 ms, above 1 ms"));
}

static void a_busy_generator_that_kept_its_rate_is_valid(void **state)
{
    (void)state;
    assert_true(judge(sample(true, 100 * NS_PER_US, .99)).valid);
}

static void a_busy_generator_that_missed_its_rate_is_invalid(void **state)
{
    struct result *busy = sample(true, 100 * NS_PER_US, .99);
    struct result *idle = sample(true, 100 * NS_PER_US, .2);
    struct trust trust;

    (void)state;
    /* The last goes out half a second late: 1000 requests in 1.5 s. */
    result_sent(busy, 2 * NS_PER_S, 2500 * NS_PER_MS, 0, true);
    result_sent(idle, 2 * NS_PER_S, 2500 * NS_PER_MS, 0, true);
    trust = judge(busy);
    assert_false(trust.valid);
    assert_non_null(strstr(trust.reasons[0], "667 of 1000 requests/s"));
    assert_non_null(strstr(trust.reasons[0], "99 %"));
    /* An idle one waited for the target: its own rate was not the limit. */
    assert_true(judge(idle).valid);
}

static void waiting_for_slots_is_a_warning_and_so_are_drops(void **state)
{
    struct result *result = sample(true, 100 * NS_PER_US, .2);
    struct trust trust;

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        result_sent(result, 2 * NS_PER_S, 2 * NS_PER_S + 20 * NS_PER_MS, 0, true);
    result_dropped(result, 2 * NS_PER_S, 3 * NS_PER_S, 0);
    trust = judge(result);
    assert_true(trust.valid);
    assert_int_equal(trust.n_warnings, 2);
    assert_non_null(strstr(trust.warnings[0], "9.1 %"));
    assert_non_null(strstr(trust.warnings[0], "8 slots"));
    assert_non_null(strstr(trust.warnings[1], "1 of 1101 requests were dropped"));
}

static void a_saturated_closed_loop_is_a_warning(void **state)
{
    struct trust trust = judge(sample(false, 0, .95));

    (void)state;
    assert_true(trust.valid);
    assert_int_equal(trust.n_warnings, 1);
    assert_non_null(strstr(trust.warnings[0], "the rate is the generator's"));
    assert_int_equal(judge(sample(false, 0, .5)).n_warnings, 0);
}

static void cpu_time_counts_as_busy_too(void **state)
{
    struct result *result = sample(false, 0, .1);

    (void)state;
    result->threads[0].cpu_ns = 950 * NS_PER_MS;
    assert_int_equal(judge(result).n_warnings, 1);
}

static void
a_run_on_the_database_is_invalid_when_anything_failed_unless_that_is_allowed(void **state)
{
    struct verification verification = {.done = true, .replicas = {.compared = true}};
    struct result *result = sample(false, 0, .1);
    struct threshold threshold;
    struct threshold_outcome outcome;
    struct trust trust;
    struct err err;

    (void)state;
    result->verification = &verification;
    trust_judge(result, &trust);
    assert_true(trust.valid);
    result->n_ok = 90;
    result->n_failed = 10;
    trust_judge(result, &trust);
    assert_false(trust.valid);
    assert_non_null(strstr(trust.reasons[0], "10 of 100 requests failed"));
    for (int allowed = 0; allowed < 2; allowed++) {
        const char *text = allowed ? "errors>10" : "errors>9";
        assert_int_equal(threshold_parse(text, &threshold, &err), 0);
        outcome = threshold_judge(&threshold, result);
        result->thresholds = &outcome;
        result->n_thresholds = 1;
        trust_judge(result, &trust);
        assert_int_equal(trust.valid, allowed);
    }
    result->n_thresholds = 0;
    verification.config.mode = VERIFICATION_NONE;
    assert_true(judge(result).valid);
}

static void what_verification_says_against_a_run_makes_it_invalid(void **state)
{
    struct verification verification = {.done = true, .n_reasons = 1, .reasons = {"a row is gone"}};
    struct result *result = sample(false, 0, .1);
    struct trust trust;

    (void)state;
    result->verification = &verification;
    trust = judge(result);
    assert_false(trust.valid);
    assert_string_equal(trust.reasons[0], "a row is gone");
    assert_non_null(strstr(trust.warnings[0], "replicas were not compared"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_on_time_is_valid),
        cmocka_unit_test(lag_above_its_bound_is_invalid),
        cmocka_unit_test(a_busy_generator_that_kept_its_rate_is_valid),
        cmocka_unit_test(a_busy_generator_that_missed_its_rate_is_invalid),
        cmocka_unit_test(waiting_for_slots_is_a_warning_and_so_are_drops),
        cmocka_unit_test(a_saturated_closed_loop_is_a_warning),
        cmocka_unit_test(cpu_time_counts_as_busy_too),
        cmocka_unit_test(
            a_run_on_the_database_is_invalid_when_anything_failed_unless_that_is_allowed),
        cmocka_unit_test(what_verification_says_against_a_run_makes_it_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
