#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alarm.h"
#include "core/clock.h"

static struct ev_loop *loop;
static struct alarm alarm_clock;
static unsigned n_rings;
static uint64_t rang_ns;

static void on_alarm(struct alarm *alarm)
{
    assert_ptr_equal(alarm, &alarm_clock);
    n_rings++;
    rang_ns = clock_now_ns();
}

/* Turns the loop for so long, and once more when the time is over: the machine may be busy. */
static void run_ms(double ms)
{
    const uint64_t until_ns = clock_now_ns() + (uint64_t)(ms * 1e6);

    while (clock_now_ns() < until_ns)
        ev_run(loop, EVRUN_NOWAIT);
    ev_run(loop, EVRUN_NOWAIT);
}

static int set_up(void **state)
{
    struct err err;

    (void)state;
    n_rings = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    return alarm_init(&alarm_clock, loop, on_alarm, NULL, &err);
}

static int tear_down(void **state)
{
    (void)state;
    alarm_done(&alarm_clock);
    alarm_done(&alarm_clock);
    ev_loop_destroy(loop);
    return 0;
}

static void it_rings_once_and_never_early(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        uint64_t at_ns = clock_now_ns() + 300 * NS_PER_US;
        n_rings = 0;
        alarm_set(&alarm_clock, at_ns);
        run_ms(2.);
        assert_int_equal(n_rings, 1);
        assert_true(rang_ns >= at_ns);
    }
}

static void it_wakes_a_sleeping_loop_below_the_millisecond(void **state)
{
    uint64_t best_ns = UINT64_MAX;

    (void)state;
    /* Not every time on a busy machine; libev's own timers never do. */
    for (int i = 0; i < 200; i++) {
        uint64_t at_ns = clock_now_ns() + 300 * NS_PER_US;
        alarm_set(&alarm_clock, at_ns);
        ev_run(loop, EVRUN_ONCE);
        best_ns = rang_ns - at_ns < best_ns ? rang_ns - at_ns : best_ns;
    }
    assert_int_equal(n_rings, 200);
    assert_true(best_ns < 500 * NS_PER_US);
}

static void a_later_setting_replaces_the_earlier(void **state)
{
    uint64_t now_ns = clock_now_ns();

    (void)state;
    alarm_set(&alarm_clock, now_ns + NS_PER_MS);
    alarm_set(&alarm_clock, now_ns + 30 * NS_PER_MS);
    alarm_set(&alarm_clock, now_ns + 30 * NS_PER_MS);
    run_ms(45.);
    assert_int_equal(n_rings, 1);
    assert_true(rang_ns >= now_ns + 30 * NS_PER_MS);
}

static void one_that_rang_unheard_is_silenced_by_setting_it(void **state)
{
    uint64_t now_ns = clock_now_ns();

    (void)state;
    alarm_set(&alarm_clock, now_ns + 100 * NS_PER_US);
    while (clock_now_ns() < now_ns + NS_PER_MS)
        ;
    alarm_set(&alarm_clock, now_ns + 20 * NS_PER_MS);
    run_ms(30.);
    assert_int_equal(n_rings, 1);
    assert_true(rang_ns >= now_ns + 20 * NS_PER_MS);
}

static void a_time_that_has_passed_rings_at_once(void **state)
{
    (void)state;
    alarm_set(&alarm_clock, 1);
    run_ms(2.);
    assert_int_equal(n_rings, 1);
}

static void a_cleared_one_is_silent(void **state)
{
    (void)state;
    alarm_clear(&alarm_clock);
    alarm_set(&alarm_clock, clock_now_ns() + NS_PER_MS);
    alarm_clear(&alarm_clock);
    run_ms(5.);
    assert_int_equal(n_rings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_rings_once_and_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_wakes_a_sleeping_loop_below_the_millisecond, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_later_setting_replaces_the_earlier, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_rang_unheard_is_silenced_by_setting_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_time_that_has_passed_rings_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cleared_one_is_silent, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
