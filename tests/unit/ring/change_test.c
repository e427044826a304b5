#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "ring/change.h"
#include "ring/cost.h"
#include "tests/support/ring_fixture.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct ring_change change_of(struct ring_fixture *fixture, size_t n_changes)
{
    struct ring_change change;
    struct err err = {0};
    assert_int_equal(ring_change_measure(&fixture->setup, &fixture->state, &fixture->keys,
                                         n_changes, 1, &change, &err),
                     0);
    return change;
}

/* Of six keys in a row two are the third server's; of the other four, two change places. */
static void modulo_moves_twice_what_it_must_from_three_to_two(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_view before, after;
    struct ring_state less;
    struct ring_move move;
    struct err err;
    double flows[6];
    ring_fixture_open(&fixture, "modulo", NULL, "1,2,3", RING_OVER_IDS, 0);
    assert_int_equal(ring_state_without(&fixture.setup, &fixture.state, 2, &less, &err), 0);
    ring_view_make(&fixture.keys, fixture.state.placement, &before);
    ring_view_make(&fixture.keys, less.placement, &after);
    ring_move_of(&before, &fixture.state.members, &after, &less.members, &move);
    assert_true(move.exact);
    NEAR(move.moved, 2. / 3);
    NEAR(move.optimum, 1. / 3);
    NEAR(move.between, 1. / 3);
    NEAR(move.ratio, 2);
    NEAR(move.absorber, 1);
    NEAR(move.moved_interval.low, move.moved);
    ring_view_flows(&before, &after, flows);
    for (size_t i = 0; i < 6; i++)
        NEAR(flows[i], 1. / 6);
    ring_view_done(&before);
    ring_view_done(&after);
    ring_state_done(&less);
    ring_fixture_close(&fixture);
}

static void modulo_moves_twice_what_it_must_from_two_to_three(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    ring_fixture_open(&fixture, "modulo", NULL, "1,2", RING_OVER_IDS, 0);
    struct ring_change change = change_of(&fixture, 1);
    NEAR(change.join.moved.mean, 2. / 3);
    NEAR(change.join.ratio.mean, 2);
    NEAR(change.join.between.mean, 1. / 3);
    assert_true(isnan(change.join.absorber.mean) && change.join.exact);
    ring_fixture_close(&fixture);
}

/* Keys, and hence servers, stand in the same order before and after: whoever leaves, the next one
 * clockwise has its slots. */
static void a_slots_neighbour_absorbs_all(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    double matrix[9];
    struct err err;
    ring_fixture_open(&fixture, RING_FIXTURE_SLOTS, NULL, RING_FIXTURE_IDS, RING_OVER_IDS, 0);
    assert_int_equal(ring_absorption(&fixture.setup, &fixture.state, &fixture.keys, matrix, &err),
                     0);
    static const double wanted[9] = {0, 1, 0, 0, 0, 1, 1, 0, 0};
    for (size_t i = 0; i < 9; i++)
        NEAR(matrix[i], wanted[i]);
    struct ring_change change = change_of(&fixture, 3);
    assert_int_equal(change.leave.n, 3);
    NEAR(change.leave.moved.mean, 1. / 3);
    NEAR(change.leave.moved.worst, 0.5);
    NEAR(change.leave.ratio.worst, 1);
    NEAR(change.leave.between.worst, 0);
    NEAR(change.leave.absorber.mean, 2); /* twice an even part of two survivors */
    NEAR(change.leave.peak, 1.5);        /* six of eight slots, of two */
    ring_fixture_close(&fixture);
}

static void a_second_failure_strikes_the_most_loaded(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_failures failures;
    struct err err;
    ring_fixture_open(&fixture, RING_FIXTURE_SLOTS, NULL, RING_FIXTURE_IDS, RING_OVER_SPACE, 0);
    assert_int_equal(
        ring_failures_measure(&fixture.setup, &fixture.state, &fixture.keys, 3, &failures, &err),
        0);
    NEAR(failures.peak[0].mean, 1.5);
    NEAR(failures.peak[1].mean, 4. / 3); /* 1, 1.5 and 1.5 */
    NEAR(failures.peak[1].worst, 1.5);
    NEAR(failures.peak[2].worst, 1);
    ring_fixture_close(&fixture);
}

static void a_ring_moves_nothing_between_survivors_exactly(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    ring_fixture_open(&fixture, "ring", "xxh3", "1,2,3,4,5,6,7,8", RING_OVER_SPACE, 0);
    struct ring_change change = change_of(&fixture, 8);
    assert_true(change.join.exact && change.leave.exact && change.fail.exact);
    NEAR(change.join.ratio.worst, 1);
    NEAR(change.leave.ratio.worst, 1);
    NEAR(change.join.between.worst, 0);
    NEAR(change.fail.between.worst, 0);
    NEAR(change.leave.moved.mean, 1. / 8); /* the mean of all shares */
    /* The dead one's keys, and about as many that the replacement takes from the others. */
    assert_true(change.fail.ratio.mean > 1.6 && change.fail.ratio.mean < 2.1);
    assert_true(change.leave.absorber.mean > 1.05 && change.leave.absorber.worst < 4);
    NEAR(change.history.worst, 0);
    ring_fixture_close(&fixture);
}

static void jump_moves_up_all_behind_the_one_that_leaves(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    ring_fixture_open(&fixture, "jump", "splitmix64", "1,2,3,4", RING_OVER_SPACE, 60000);
    struct ring_change change = change_of(&fixture, 4);
    assert_true(!change.leave.exact);
    NEAR(change.join.ratio.worst, 1);
    /* Without the i-th of four, the keys of the 4 − i behind it move up, and of the last one's only
     * those stay in step that would have gone there anyway. */
    assert_true(change.leave.ratio.worst > 2.5 && change.leave.between.worst > 0.4);
    ring_fixture_close(&fixture);
}

static void history_tells_those_that_remember_from_those_that_do_not(void **state)
{
    (void)state;
    static const struct {
        const char *placement;
        bool remembers;
    } cases[] = {{"ring", false}, {"slots", false},  {"rendezvous", false}, {"anchor", true},
                 {"dx", true},    {"memento", true}, {"partitions", true},  {"jump", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ring_fixture fixture;
        ring_fixture_open(&fixture, cases[i].placement, "splitmix64", "1,2,3,4,5", RING_OVER_IDS,
                          20000);
        struct ring_change change = change_of(&fixture, 5);
        assert_true((change.history.worst > 0.01) == cases[i].remembers);
        ring_fixture_close(&fixture);
    }
}

static void a_full_placement_refuses_and_is_told_of(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    ring_fixture_open(&fixture, "slots:slots=3,virtual=1", NULL, "1,2,3", RING_OVER_IDS, 1000);
    struct ring_change change = change_of(&fixture, 2);
    assert_true(change.join.n == 0 && isnan(change.join.moved.mean));
    assert_int_equal(change.n_refused, 2);
    assert_int_equal(change.leave.n, 2);
    ring_fixture_close(&fixture);
}

static void one_server_alone_can_only_be_joined(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    ring_fixture_open(&fixture, "ring", "xxh3", "1", RING_OVER_IDS, 1000);
    struct ring_change change = change_of(&fixture, 5);
    assert_true(change.join.n == 1 && change.leave.n == 0 && isnan(change.leave.ratio.mean));
    ring_fixture_close(&fixture);
}

static void costs_are_measured(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_cost cost;
    struct err err;
    ring_fixture_open(&fixture, "ketama", "xxh3", "1,2,3", RING_OVER_IDS, 1);
    assert_int_equal(ring_cost_measure(&fixture.setup, &fixture.state, &cost, &err), 0);
    assert_int_equal(cost.bytes, fixture.state.placement->ops->bytes(fixture.state.placement));
    assert_true(cost.hot_ns > 0 && cost.batch_ns > 0 && cost.cold_ns > 0);
    assert_true(cost.build_us > 1 && cost.resize_us > 1); /* 480 MD5 points */
    ring_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modulo_moves_twice_what_it_must_from_three_to_two),
        cmocka_unit_test(modulo_moves_twice_what_it_must_from_two_to_three),
        cmocka_unit_test(a_slots_neighbour_absorbs_all),
        cmocka_unit_test(a_second_failure_strikes_the_most_loaded),
        cmocka_unit_test(a_ring_moves_nothing_between_survivors_exactly),
        cmocka_unit_test(jump_moves_up_all_behind_the_one_that_leaves),
        cmocka_unit_test(history_tells_those_that_remember_from_those_that_do_not),
        cmocka_unit_test(a_full_placement_refuses_and_is_told_of),
        cmocka_unit_test(one_server_alone_can_only_be_joined),
        cmocka_unit_test(costs_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
