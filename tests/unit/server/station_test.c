#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "server/station.h"

#define SERVICE_NS (2 * NS_PER_MS)
#define N 8

static struct ev_loop *loop;
static struct station station;
static struct station_item items[N];
static struct station_item *served[N];
static uint64_t served_ns[N];
static size_t n_served;

static void on_served(struct station_item *item)
{
    served[n_served] = item;
    served_ns[n_served++] = clock_now_ns();
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    n_served = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    return station_init(&station, loop, SERVICE_NS, on_served, &err);
}

static int tear_down(void **state)
{
    (void)state;
    station_done(&station);
    station_done(&station);
    ev_loop_destroy(loop);
    return 0;
}

/* The loop ends by itself: nothing keeps it alive but an item that is served. */
static void each_is_served_in_turn_and_none_early(void **state)
{
    (void)state;
    uint64_t begin_ns = clock_now_ns();
    for (size_t i = 0; i < N; i++)
        station_put(&station, &items[i]);
    ev_run(loop, 0);
    assert_int_equal(n_served, N);
    for (size_t i = 0; i < N; i++) {
        assert_ptr_equal(served[i], &items[i]);
        assert_true(served_ns[i] - begin_ns >= (i + 1) * SERVICE_NS);
    }
}

static void who_comes_to_an_empty_station_is_served_the_whole_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t begin_ns = clock_now_ns();
        station_put(&station, &items[i]);
        assert_int_equal(n_served, i);
        ev_run(loop, 0);
        assert_int_equal(n_served, i + 1);
        assert_true(served_ns[i] - begin_ns >= SERVICE_NS);
    }
}

static void at_the_end_nobody_is_left_unserved(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++)
        station_put(&station, &items[i]);
    station_done(&station);
    assert_int_equal(n_served, N);
    assert_ptr_equal(served[N - 1], &items[N - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_served_in_turn_and_none_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_comes_to_an_empty_station_is_served_the_whole_time,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_the_end_nobody_is_left_unserved, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("server station", tests, NULL, NULL);
}
