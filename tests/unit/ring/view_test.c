#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "ring/popularity.h"
#include "ring/replicas.h"
#include "tests/support/ring_fixture.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void all_request_ids_are_counted_exactly(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_view view;
    uint64_t counts[3];
    double shares[3];
    ring_fixture_open(&fixture, RING_FIXTURE_SLOTS, NULL, RING_FIXTURE_IDS, RING_OVER_IDS, 0);
    ring_view_make(&fixture.keys, fixture.state.placement, &view);
    assert_true(view.exact && view.n_keys == 900000);
    assert_true(ring_view_counts(&view, counts));
    ring_view_shares(&view, shares);
    assert_true(counts[0] == 225000 && counts[1] == 225000 && counts[2] == 450000);
    NEAR(shares[2], 0.5);
    ring_view_done(&view);
    ring_fixture_close(&fixture);
}

static void the_space_of_a_circle_or_table_is_exact_and_agrees_with_its_shares(void **state)
{
    (void)state;
    static const char *const exact[] = {"slots",  "ring:virtual=7", "ketama", "bounded",
                                        "maglev", "partitions",     "redis"};
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        struct ring_fixture fixture;
        struct ring_view view;
        double shares[3], told[3];
        uint64_t counts[3];
        ring_fixture_open(&fixture, exact[i], "xxh3", "4,9,77", RING_OVER_SPACE, 10);
        ring_view_make(&fixture.keys, fixture.state.placement, &view);
        assert_true(view.exact && !ring_view_counts(&view, counts));
        ring_view_shares(&view, shares);
        fixture.state.placement->ops->shares(fixture.state.placement, told);
        for (size_t m = 0; m < 3; m++)
            NEAR(shares[m], told[m]);
        ring_view_done(&view);
        ring_fixture_close(&fixture);
    }
}

static void other_spaces_are_sampled_and_say_so(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_view view;
    double shares[2];
    ring_fixture_open(&fixture, "rendezvous", "xxh3", "4,9", RING_OVER_SPACE, 40000);
    ring_view_make(&fixture.keys, fixture.state.placement, &view);
    assert_true(!view.exact && view.n_keys == 40000);
    ring_view_shares(&view, shares);
    NEAR(shares[0] + shares[1], 1);
    assert_true(fabs(shares[0] - 0.5) < 6 * 0.5 / 200); /* six standard deviations */
    ring_view_done(&view);
    ring_fixture_close(&fixture);
}

static void intervals_are_wilsons(void **state)
{
    (void)state;
    struct interval half = ring_share_interval(0.5, 100), none = ring_share_interval(0, 50);
    NEAR(half.low, 0.37527962504484);
    NEAR(half.high, 0.62472037495516);
    NEAR(none.low, 0);
    NEAR(none.high, 0.11715209171763); /* z² / (n + z²) */
}

static void popularity_follows_zipf_and_sums_to_one(void **state)
{
    (void)state;
    double *popularity = ring_zipf_new(4, 1, 7), sum = 0;
    for (size_t i = 0; i < 4; i++)
        sum += popularity[i];
    NEAR(sum, 1);
    NEAR(stats_max(popularity, 4), 12. / 25); /* 1 / (1 + 1/2 + 1/3 + 1/4) */
    NEAR(stats_min(popularity, 4), 3. / 25);
    free(popularity);
}

static void a_flat_popularity_leaves_the_shares_and_a_steep_one_is_bounded_below(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_popularity flat, steep;
    ring_fixture_open(&fixture, RING_FIXTURE_SLOTS, NULL, RING_FIXTURE_IDS, RING_OVER_IDS, 0);
    ring_popularity_measure(&fixture.state, &fixture.keys, 0, 2, 1, &flat);
    NEAR(flat.peak_median, 1.5);
    NEAR(flat.peak_worst, 1.5);
    NEAR(flat.hottest, 3. / 900000);
    ring_popularity_measure(&fixture.state, &fixture.keys, 2, 3, 1, &steep);
    assert_true(fabs(steep.hottest - 3 * 0.6079277) < 1e-5); /* 6/π², but for 900000 terms */
    assert_true(steep.peak_worst >= steep.peak_median && steep.peak_worst >= steep.hottest);
    ring_fixture_close(&fixture);
}

/* Slots 0 and 1: servers 1, 3. Slots 2 and 3: 3, 7. Slots 4 to 7: 7, 1. */
static void replicas_are_counted_by_set_and_by_member(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_replicas replicas;
    ring_fixture_open(&fixture, RING_FIXTURE_SLOTS, NULL, RING_FIXTURE_IDS, RING_OVER_IDS, 0);
    ring_replicas_measure(&fixture.state, &fixture.keys, 2, &replicas);
    assert_true(replicas.exact && replicas.n_replicas == 2);
    NEAR(replicas.primary.peak, 1.5);
    NEAR(replicas.all.peak, 1.125); /* six of sixteen, of three */
    NEAR(replicas.all.least, 0.75);
    assert_int_equal(replicas.n_copysets, 3);
    NEAR(replicas.n_possible, 3);
    NEAR(replicas.loss, 1);
    NEAR(replicas.scatter_mean, 2);
    assert_int_equal(replicas.scatter_least, 2);
    ring_replicas_measure(&fixture.state, &fixture.keys, 8, &replicas);
    assert_true(replicas.n_replicas == 3 && replicas.n_copysets == 1);
    ring_fixture_close(&fixture);
}

/* A circle of a point a member: its neighbours are all it shares keys with. */
static void one_point_a_member_makes_as_many_copysets_as_members(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_replicas replicas;
    ring_fixture_open(&fixture, "slots:slots=512,virtual=1", NULL, "10,60,110,160,210,260,310",
                      RING_OVER_IDS, 0);
    ring_replicas_measure(&fixture.state, &fixture.keys, 3, &replicas);
    assert_int_equal(replicas.n_copysets, 7);
    NEAR(replicas.loss, 7. / 35);
    NEAR(replicas.scatter_mean, 4); /* two on either side */
    ring_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_request_ids_are_counted_exactly),
        cmocka_unit_test(the_space_of_a_circle_or_table_is_exact_and_agrees_with_its_shares),
        cmocka_unit_test(other_spaces_are_sampled_and_say_so),
        cmocka_unit_test(intervals_are_wilsons),
        cmocka_unit_test(popularity_follows_zipf_and_sums_to_one),
        cmocka_unit_test(a_flat_popularity_leaves_the_shares_and_a_steep_one_is_bounded_below),
        cmocka_unit_test(replicas_are_counted_by_set_and_by_member),
        cmocka_unit_test(one_point_a_member_makes_as_many_copysets_as_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
