#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "loadgen/schedule.h"

/* Starts requests 1 ms apart until the schedule is over; counts them by phase. */
static void run(struct schedule *schedule, uint64_t counts[2])
{
    uint64_t now_ns = NS_PER_S;
    enum schedule_phase phase;

    counts[0] = counts[1] = 0;
    while ((phase = schedule_next(schedule, now_ns)) != SCHEDULE_OVER) {
        counts[phase]++;
        now_ns += NS_PER_MS;
        assert_true(counts[phase] < 100000);
    }
    assert_int_equal(schedule_next(schedule, now_ns), SCHEDULE_OVER);
}

static void expect(struct schedule_limit warmup, struct schedule_limit measured, uint64_t n_warmup,
                   uint64_t n_measured)
{
    struct schedule schedule;
    uint64_t counts[2];

    schedule_init(&schedule, warmup, measured);
    run(&schedule, counts);
    assert_int_equal(counts[SCHEDULE_WARMUP], n_warmup);
    assert_int_equal(counts[SCHEDULE_MEASURED], n_measured);
}

static void schedule_starts_exactly_n(void **state)
{
    const struct schedule_limit none = {0, 0};

    (void)state;
    expect(none, (struct schedule_limit){1, 0}, 0, 1);
    expect(none, (struct schedule_limit){10000, 0}, 0, 10000);
    expect(none, none, 0, 0);
}

static void schedule_ends_when_the_time_is_over(void **state)
{
    (void)state;
    /* At 0, 1 … 49 ms. */
    expect((struct schedule_limit){0, 0}, (struct schedule_limit){0, 50 * NS_PER_MS}, 0, 50);
}

static void schedule_ends_at_whichever_limit_comes_first(void **state)
{
    (void)state;
    expect((struct schedule_limit){0, 0}, (struct schedule_limit){20, 50 * NS_PER_MS}, 0, 20);
    expect((struct schedule_limit){0, 0}, (struct schedule_limit){80, 50 * NS_PER_MS}, 0, 50);
}

static void warmup_comes_first_and_takes_nothing_from_the_measured(void **state)
{
    (void)state;
    expect((struct schedule_limit){7, 0}, (struct schedule_limit){100, 0}, 7, 100);
    expect((struct schedule_limit){0, 30 * NS_PER_MS}, (struct schedule_limit){0, 50 * NS_PER_MS},
           30, 50);
    expect((struct schedule_limit){0, 30 * NS_PER_MS}, (struct schedule_limit){5, 0}, 30, 5);
}

static void a_late_look_does_not_shorten_the_measured_phase(void **state)
{
    struct schedule schedule;

    (void)state;
    schedule_init(&schedule, (struct schedule_limit){0, NS_PER_S},
                  (struct schedule_limit){0, NS_PER_S});
    assert_int_equal(schedule_next(&schedule, NS_PER_S), SCHEDULE_WARMUP);
    /* An answer that took ten seconds: the measured second starts now. */
    assert_int_equal(schedule_next(&schedule, 11 * NS_PER_S), SCHEDULE_MEASURED);
    assert_int_equal(schedule_next(&schedule, 12 * NS_PER_S - 1), SCHEDULE_MEASURED);
    assert_int_equal(schedule_next(&schedule, 12 * NS_PER_S), SCHEDULE_OVER);
}

static void a_stopped_schedule_stays_so(void **state)
{
    struct schedule schedule;

    (void)state;
    schedule_init(&schedule, (struct schedule_limit){5, 0}, (struct schedule_limit){5, 0});
    assert_int_equal(schedule_next(&schedule, 1), SCHEDULE_WARMUP);
    schedule_stop(&schedule);
    assert_int_equal(schedule_next(&schedule, 2), SCHEDULE_OVER);
}

static void a_limit_is_a_number_or_a_duration(void **state)
{
    static const char *const bad[] = {
        "", "-1", "2 apples", "1000x", "s", "1e3", "99999999999999999999"};
    struct schedule_limit limit;
    struct err err;

    (void)state;
    assert_int_equal(schedule_limit_parse("1000", &limit, &err), 0);
    assert_int_equal(limit.n_requests, 1000);
    assert_int_equal(limit.duration_ns, 0);
    assert_int_equal(schedule_limit_parse("250ms", &limit, &err), 0);
    assert_int_equal(limit.n_requests, 0);
    assert_int_equal(limit.duration_ns, 250 * NS_PER_MS);
    assert_int_equal(schedule_limit_parse("2s", &limit, &err), 0);
    assert_int_equal(limit.duration_ns, 2 * NS_PER_S);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (schedule_limit_parse(bad[i], &limit, &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.message, "500ms"));
    }
    assert_int_equal(limit.duration_ns, 2 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_starts_exactly_n),
        cmocka_unit_test(schedule_ends_when_the_time_is_over),
        cmocka_unit_test(schedule_ends_at_whichever_limit_comes_first),
        cmocka_unit_test(warmup_comes_first_and_takes_nothing_from_the_measured),
        cmocka_unit_test(a_late_look_does_not_shorten_the_measured_phase),
        cmocka_unit_test(a_stopped_schedule_stays_so),
        cmocka_unit_test(a_limit_is_a_number_or_a_duration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
