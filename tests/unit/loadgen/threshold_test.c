#include <errno.h>
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

static struct arrivals_plan plan;

static struct result *new_result(bool open)
{
    struct result_settings settings = {.url = "http://127.0.0.1:5000/",
                                       .plan = open ? &plan : NULL};
    struct addr addr;
    struct err err;

    plan.n_segments = 0;
    arrivals_plan_add(&plan, 100., 100., UINT64_MAX, false);
    assert_int_equal(addr_parse("127.0.0.1:5000", &addr, &err), 0);
    return result_new(&settings, &addr);
}

/* 100 answers of 1 … 100 ms, the last of each twenty a failure, in one second. */
static struct result *sample(void)
{
    struct result *result = new_result(true);

    result->started_ns = NS_PER_S;
    for (uint64_t i = 1; i <= 100; i++) {
        const struct client_answer answer = {.status = i % 20 ? 200 : 500,
                                             .submitted_ns = 2 * NS_PER_S - i * NS_PER_MS / 2,
                                             .done_ns = 2 * NS_PER_S};
        uint64_t due_ns = 2 * NS_PER_S - i * NS_PER_MS;
        result_sent(result, due_ns, due_ns + 10 * NS_PER_US, 0, i <= 7);
        result_record_due(result, i % 20 ? VERDICT_OK : VERDICT_STATUS_5XX, &answer, due_ns, 0);
    }
    for (int i = 0; i < 25; i++)
        result_dropped(result, NS_PER_S, 2 * NS_PER_S, 0);
    return result;
}

static struct threshold_outcome judge(const char *text, const struct result *result)
{
    static struct threshold threshold;
    struct err err;

    if (threshold_parse(text, &threshold, &err) < 0)
        fail_msg("%s", err.message);
    return threshold_judge(&threshold, result);
}

static void every_metric_is_measured(void **state)
{
    static const struct {
        const char *text;
        double value;
        const char *unit;
    } rows[] = {
        {"p50>1ms", 50., "ms"},         {"p99>1ms", 99., "ms"},
        {"p99.9>1ms", 99., "ms"},       {"p0>1ms", 1., "ms"},
        {"p100>1ms", 99., "ms"},        {"min>1ms", 1., "ms"},
        {"max>1ms", 99., "ms"},         {"mean>1ms", 50., "ms"},
        {"service.p50>1ms", 25., "ms"}, {"service.max>1ms", 49.5, "ms"},
        {"lag.p99>1ms", .01, "ms"},     {"errors>0", 5., ""},
        {"errors>0%", 4., "%"},         {"dropped>0", 25., ""},
        {"dropped>0%", 20., "%"},       {"late>0", 7., ""},
        {"rate>0", 95., "/s"},
    };
    struct result *result = sample();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct threshold_outcome outcome = judge(rows[i].text, result);
        assert_true(outcome.known);
        /* The histogram's precision: one in a thousand. */
        if (outcome.value < rows[i].value * .998 || outcome.value > rows[i].value * 1.002)
            fail_msg("%s: %g measured, %g expected", rows[i].text, outcome.value, rows[i].value);
        assert_string_equal(threshold_unit(outcome.threshold), rows[i].unit);
    }
    result_free(result);
}

static void operators_hold_at_their_borders(void **state)
{
    static const struct {
        const char *text;
        bool missed;
    } rows[] = {
        {"errors>4", true},   {"errors>5", false},  {"errors>=5", true}, {"errors>=6", false},
        {"errors<6", true},   {"errors<5", false},  {"errors<=5", true}, {"errors<=4", false},
        {"errors>=4%", true}, {"errors>4%", false}, {"rate<95.1", true}, {"rate<95", false},
        {"max>98.9ms", true}, {"max>99ms", false},  {"max>0.1s", false}, {"max>=98900us", true},
    };
    struct result *result = sample();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (judge(rows[i].text, result).missed != rows[i].missed)
            fail_msg("%s: %s", rows[i].text, rows[i].missed ? "kept" : "missed");
    assert_true(judge("  p99  >  10ms  ", result).missed);
    result_free(result);
}

static void what_was_not_measured_is_missed(void **state)
{
    struct result *closed = new_result(false), *open = new_result(true);

    (void)state;
    assert_false(judge("p99>1h", open).known);
    assert_true(judge("p99>1h", open).missed);
    assert_true(judge("p99<1h", open).missed);
    assert_true(judge("errors>1%", open).missed);
    assert_false(judge("errors>0", open).missed);
    assert_true(judge("rate<1", open).missed);
    assert_true(judge("lag.p99>1s", closed).missed);
    result_free(closed);
    result_free(open);
}

static void in_a_closed_loop_service_time_is_latency(void **state)
{
    struct result *result = new_result(false);
    const struct client_answer answer = {
        .status = 200, .submitted_ns = NS_PER_S, .done_ns = NS_PER_S + 3 * NS_PER_MS};

    (void)state;
    result_record(result, VERDICT_OK, &answer);
    assert_true(judge("service.p50>2.9ms", result).missed);
    assert_false(judge("service.p50>3ms", result).missed);
    result_free(result);
}

static void a_bad_expression_is_refused_with_the_place_and_what_is_known(void **state)
{
    static const struct {
        const char *text, *says, *also;
    } rows[] = {
        {"", "at its end", "p99.9"},
        {"speed>1", "character 1", "errors, late, dropped, rate"},
        {"p101>1ms", "character 2", "0 to 100"},
        {"p9.9.9>1ms", "character 2", "0 to 100"},
        {"p>1ms", "character 1", "known are"},
        {"p99", "at its end", "> >= < <="},
        {"p99=1ms", "character 4", "> >= < <="},
        {"p99>", "at its end", "10ms"},
        {"p99>>10ms", "character 5", "duration"},
        {"p99>10", "character 5", "unit"},
        {"p99>-1ms", "character 5", "duration"},
        {"p99>10ms or so", "character 10", "nothing may follow"},
        {"errors>1ms", "character 8", "number"},
        {"errors>1%%", "character 10", "nothing may follow"},
        {"rate<10%", "character 8", "nothing may follow"},
        {"errorsome>1", "character 1", "known are"},
        {"service.errors>1", "character 1", "known are"},
        {"lag.rate>1", "character 1", "known are"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct threshold threshold;
        struct err err;

        if (threshold_parse(rows[i].text, &threshold, &err) != -EINVAL)
            fail_msg("'%s' was taken", rows[i].text);
        if (!strstr(err.message, rows[i].says) || !strstr(err.message, rows[i].also))
            fail_msg("'%s': '%s' does not say '%s' and '%s'", rows[i].text, err.message,
                     rows[i].says, rows[i].also);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_measured),
        cmocka_unit_test(operators_hold_at_their_borders),
        cmocka_unit_test(what_was_not_measured_is_missed),
        cmocka_unit_test(in_a_closed_loop_service_time_is_latency),
        cmocka_unit_test(a_bad_expression_is_refused_with_the_place_and_what_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
