/* The fleet when the engine goes away and comes back, and when others lived before it: what runs
 * goes on, what ended meanwhile is told, what was half made goes. */
#include "spawnerd/fleet.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/fleet_world.h"

/* ---- the engine's absences ---------------------------------------------------------------- */

static void waits_for_an_engine_that_is_not_there_yet(void **state)
{
    struct world *world = *state;
    struct err err = {0};
    const struct fleet_server server = {.uid = 1, .name = "S1"};

    fake_engine_stop(world->engine, false);
    open_fleet(world);
    run_until(world, NULL, NULL, 0.3);
    assert_non_null(strstr(fleet_engine_trouble(world->fleet), "does not answer"));
    assert_int_equal(fleet_start(world->fleet, &server, &err), -EHOSTDOWN);
    assert_non_null(strstr(err.message, world->socket));
    fake_engine_start(world->engine);
    wait_for(world, "up");
    assert_null(fleet_engine_trouble(world->fleet));
}

static void tells_the_deaths_that_happened_while_the_engine_was_away(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S2");
    fake_engine_stop(world->engine, true);
    fake_engine_start(world->engine);
    assert_non_null(strstr(wait_for(world, "exited 1"), "Exited (137)"));
    wait_for(world, "exited 2");
    wait_for(world, "up");
    wait_until_empty(world);
}

static void keeps_what_outlived_the_engine(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_stop(world->engine, false);
    fake_engine_start(world->engine);
    assert_non_null(strstr(wait_for(world, "down"), "does not answer"));
    wait_for(world, "up");
    assert_int_equal(count(world, "exited"), 0);
    fake_engine_end(world->engine, "S1", 1, false);
    wait_for(world, "exited 1");
}

static void fails_a_start_when_the_engine_goes_and_leaves_nothing_half_made(void **state)
{
    static const char *const moments[] = {"POST containers/create", "GET containers/0"};
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        size_t n = fake_engine_n_requests(world->engine, moments[i]);
        char line[32];
        forget_told(world);
        snprintf(line, sizeof(line), "failed %d ", (int)i);
        fake_engine_hold(world->engine, moments[i]);
        assert_int_equal(start(world, i, "mute", 0), 0);
        while (fake_engine_n_requests(world->engine, moments[i]) == n)
            ev_run(world->loop, EVRUN_ONCE);
        fake_engine_stop(world->engine, false);
        wait_for(world, line);
        fake_engine_hold(world->engine, NULL);
        fake_engine_start(world->engine);
        wait_for(world, "up");
        wait_until_empty(world);
    }
}

static void stops_when_the_engine_is_back_what_was_stopped_without_it(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_stop(world->engine, false);
    wait_for(world, "down");
    fleet_stop(world->fleet, 1, 0);
    run_until(world, NULL, NULL, 0.1);
    fake_engine_start(world->engine);
    wait_for(world, "exited 1");
    wait_until_empty(world);
}

static void misses_nothing_when_only_the_events_break(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S2");
    fake_engine_cut_events(world->engine);
    fake_engine_end(world->engine, "S1", 137, false);
    fake_engine_remove(world->engine, "S2");
    wait_for(world, "exited 1");
    assert_non_null(strstr(wait_for(world, "exited 2"), "gone"));
    wait_for(world, "up");
    start_and_wait(world, 3, "S3");
    fake_engine_end(world->engine, "S3", 1, false);
    wait_for(world, "exited 3");
}

static void misses_nothing_of_events_that_have_no_end(void **state)
{
    enum { PIECE = 32768, PIECES = 33 }; /* more than an event may have */
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    for (size_t i = 0; i < PIECES; i++) {
        if (i == PIECES - 1) /* after which its end, drowned in it, must be found out */
            fake_engine_end(world->engine, "S1", 137, false);
        fake_engine_babble(world->engine, PIECE);
        run_until(world, NULL, NULL, 0.002);
    }
    wait_for(world, "exited 1");
    wait_for(world, "up");
    wait_until_empty(world);
}

static void speaks_as_new_a_version_as_the_engine_needs(void **state)
{
    struct world *world = *state;

    fake_engine_set_version(world->engine, "1.52", "1.44");
    open_fleet(world);
    wait_for(world, "up");
    start_and_wait(world, 1, "S1");
}

static void refuses_an_engine_that_is_too_old(void **state)
{
    struct world *world = *state;

    fake_engine_set_version(world->engine, "1.40", "1.12");
    open_fleet(world);
    run_until(world, NULL, NULL, 0.2);
    assert_non_null(strstr(fleet_engine_trouble(world->fleet), "too old"));
}

/* ---- lives before this one ---------------------------------------------------------------- */

static void finds_what_runs_and_removes_what_was_half_made(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", "ours", ID_A, "running");
    fake_engine_add(world->engine, "S2", "ours", ID_B, "created");
    fake_engine_add(world->engine, "stranger", NULL, "cc", "created");
    open_fleet(world);
    wait_for(world, "up");
    assert_string_equal(wait_for(world, "here"), "here aaaa S1");
    assert_int_equal(count(world, "here"), 1);
    while (fake_engine_has(world->engine, "S2"))
        ev_run(world->loop, EVRUN_ONCE);
    assert_true(fake_engine_has(world->engine, "S1"));
    assert_true(fake_engine_has(world->engine, "stranger"));
}

static void adopts_what_runs_and_nothing_else(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", "ours", ID_A, "running");
    open_fleet(world);
    wait_for(world, "up");
    assert_int_equal(fleet_adopt(world->fleet, 9, ID_B, NULL), -ESRCH);
    assert_int_equal(fleet_adopt(world->fleet, 9, "", NULL), -ESRCH);
    assert_int_equal(fleet_adopt(world->fleet, 9, ID_A, NULL), 0);
    assert_int_equal(fleet_adopt(world->fleet, 10, ID_A, NULL), -EEXIST);
    fake_engine_end(world->engine, "S1", 137, false);
    wait_for(world, "exited 9");
    wait_until_empty(world);
}

static void tells_that_one_without_an_owner_has_gone(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", "ours", ID_A, "running");
    open_fleet(world);
    wait_for(world, "up");
    fake_engine_end(world->engine, "S1", 137, false);
    assert_string_equal(wait_for(world, "gone"), "gone aaaa killed by SIGKILL");
    wait_until_empty(world);
}

static void purges_those_without_an_owner(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", "ours", ID_A, "running");
    fake_engine_add(world->engine, "S2", "ours", ID_B, "running");
    open_fleet(world);
    wait_for(world, "up");
    assert_int_equal(fleet_adopt(world->fleet, 9, ID_A, NULL), 0);
    fleet_purge(world->fleet);
    wait_for(world, "gone bbbb");
    while (fake_engine_has(world->engine, "S2"))
        ev_run(world->loop, EVRUN_ONCE);
    assert_true(fake_engine_has(world->engine, "S1"));
}

static void abandoned_removes_what_starts_and_keeps_what_runs(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    assert_int_equal(start(world, 2, "mute", 0), 0);
    wait_until_asked(world, "POST containers/create?name=mute");
    fleet_abandon(world->fleet);
    forget_told(world);
    while (fleet_n_leaving(world->fleet) > 0)
        ev_run(world->loop, EVRUN_ONCE);
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
    assert_int_equal(world->n_told, 0);
    fleet_tell_here(world->fleet);
    wait_for(world, "here");
    assert_int_equal(fleet_adopt(world->fleet, 5, world->reference, NULL), 0);
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define CLAIM_AWAY(function) cmocka_unit_test_setup_teardown(function, set_up_away, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM_AWAY(waits_for_an_engine_that_is_not_there_yet),
        CLAIM(tells_the_deaths_that_happened_while_the_engine_was_away),
        CLAIM(keeps_what_outlived_the_engine),
        CLAIM(fails_a_start_when_the_engine_goes_and_leaves_nothing_half_made),
        CLAIM(stops_when_the_engine_is_back_what_was_stopped_without_it),
        CLAIM(misses_nothing_when_only_the_events_break),
        CLAIM(misses_nothing_of_events_that_have_no_end),
        CLAIM_AWAY(speaks_as_new_a_version_as_the_engine_needs),
        CLAIM_AWAY(refuses_an_engine_that_is_too_old),
        CLAIM_AWAY(finds_what_runs_and_removes_what_was_half_made),
        CLAIM_AWAY(adopts_what_runs_and_nothing_else),
        CLAIM_AWAY(tells_that_one_without_an_owner_has_gone),
        CLAIM_AWAY(purges_those_without_an_owner),
        CLAIM(abandoned_removes_what_starts_and_keeps_what_runs),
    };
    return cmocka_run_group_tests_name("fleet: restarts", tests, NULL, NULL);
}
