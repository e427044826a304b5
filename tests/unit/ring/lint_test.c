#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ring/lint.h"
#include "ring/names.h"
#include "tests/support/ring_fixture.h"

static void lint(const char *placement, const char *hash, size_t n, const char *weights,
                 struct ring_lint *ret_lint)
{
    struct ring_setup setup;
    struct ring_members members;
    struct err err;
    assert_int_equal(ring_setup_parse(&setup, placement, hash, &err), 0);
    ring_members_count(&members, n);
    if (weights)
        assert_int_equal(ring_members_weigh(&members, weights, &err), 0);
    ring_lint_run(&setup, &members, ret_lint);
    ring_members_done(&members);
    ring_setup_done(&setup);
}

static const struct ring_finding *find(const struct ring_lint *lint, const char *about)
{
    for (size_t i = 0; i < lint->n; i++)
        if (strcmp(lint->at[i].about, about) == 0)
            return &lint->at[i];
    return NULL;
}

static void a_good_configuration_has_no_findings(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("ring:virtual=400", "xxh3", 6, NULL, &found);
    assert_int_equal(found.n, 0);
    assert_int_equal(ring_lint_worst(&found), RING_NOTE);
    ring_lint_done(&found);
}

static void the_assignments_map_has_hot_slots_and_too_few_points(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("slots", "quadratic", 3, NULL, &found);
    /* Squares modulo 512 are 87, and every 32nd number is one and the same. */
    assert_non_null(strstr(find(&found, "hot slots")->says, "87 of 512 slots"));
    assert_non_null(strstr(find(&found, "hot slots")->says, "32.0 times"));
    assert_non_null(find(&found, "too few points"));
    assert_non_null(strstr(find(&found, "balance")->says, "Server1 has 2.53 times"));
    assert_null(find(&found, "collisions"));
    assert_int_equal(ring_lint_worst(&found), RING_WARN);
    ring_lint_done(&found);
}

static void a_request_hash_that_mixes_leaves_only_the_servers_to_blame(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("slots", "splitmix64/quadratic", 3, NULL, &found);
    assert_null(find(&found, "hot slots"));
    assert_non_null(find(&found, "balance"));
    ring_lint_done(&found);
}

static void points_in_a_heap_and_on_each_other_are_found(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("ring", "xxh3/quadratic", 3, NULL, &found);
    assert_non_null(find(&found, "heap"));
    assert_non_null(find(&found, "collisions"));
    assert_null(find(&found, "hot slots"));
    ring_lint_done(&found);
}

static void too_many_servers_are_impossible_and_weights_are_another_matter(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("slots", "xxh3", 57, NULL, &found);
    assert_int_equal(ring_lint_worst(&found), RING_ERROR);
    assert_non_null(strstr(find(&found, "impossible")->says, "at most 56 servers"));
    ring_lint_done(&found);
    lint("slots", "xxh3", 2, "1,2", &found);
    assert_int_equal(ring_lint_worst(&found), RING_ERROR);
    assert_null(strstr(find(&found, "impossible")->says, "at most"));
    ring_lint_done(&found);
    lint("slots:slots=27", "xxh3", 3, NULL, &found);
    assert_non_null(find(&found, "room"));
    ring_lint_done(&found);
}

static void moves_and_memory_are_told(void **state)
{
    (void)state;
    struct ring_lint found;
    lint("jump", "xxh3", 6, NULL, &found);
    assert_int_equal(find(&found, "moves")->level, RING_WARN);
    ring_lint_done(&found);
    lint("maglev", "xxh3", 6, NULL, &found);
    assert_int_equal(find(&found, "moves")->level, RING_NOTE);
    ring_lint_done(&found);
    lint("anchor", "xxh3", 6, NULL, &found);
    assert_int_equal(find(&found, "history")->level, RING_NOTE);
    assert_null(find(&found, "moves"));
    ring_lint_done(&found);
}

static void quantiles_are_values_at_ranks(void **state)
{
    (void)state;
    double values[] = {5, 1, 9, 3, 7, 2, 8, 4, 6, 10, 11};
    struct ring_quantiles quantiles = ring_quantiles_of(values, 11);
    static const double wanted[] = {1, 2, 6, 10, 11};
    const double got[] = {quantiles.least, quantiles.low, quantiles.median, quantiles.high,
                          quantiles.most};
    assert_memory_equal(got, wanted, sizeof(wanted));
    double one[] = {3};
    assert_true(ring_quantiles_of(one, 1).low >= 3 && ring_quantiles_of(one, 1).high <= 3);
}

static void names_are_drawn_anew_and_the_same_for_a_seed(void **state)
{
    (void)state;
    struct ring_fixture fixture;
    struct ring_names a, b, c;
    struct err err;
    ring_fixture_open(&fixture, "ring:virtual=1", "xxh3", "1,2,3,4,5", RING_OVER_SPACE, 0);
    assert_int_equal(ring_names_measure(&fixture.setup, 5, &fixture.keys, 200, 1, &a, &err), 0);
    assert_int_equal(ring_names_measure(&fixture.setup, 5, &fixture.keys, 200, 1, &b, &err), 0);
    assert_int_equal(ring_names_measure(&fixture.setup, 5, &fixture.keys, 200, 2, &c, &err), 0);
    assert_memory_equal(&a.peak, &b.peak, sizeof(a.peak));
    assert_memory_equal(&a.cov, &b.cov, sizeof(a.cov));
    assert_true(a.peak.median < c.peak.median || a.peak.median > c.peak.median);
    /* The longest of n arcs is (1 + 1/2 + … + 1/n)/n on the average: 2.28 means of five. */
    assert_true(a.peak.median > 2 && a.peak.median < 2.5 && a.peak.low < a.peak.high);
    ring_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_configuration_has_no_findings),
        cmocka_unit_test(the_assignments_map_has_hot_slots_and_too_few_points),
        cmocka_unit_test(a_request_hash_that_mixes_leaves_only_the_servers_to_blame),
        cmocka_unit_test(points_in_a_heap_and_on_each_other_are_found),
        cmocka_unit_test(too_many_servers_are_impossible_and_weights_are_another_matter),
        cmocka_unit_test(moves_and_memory_are_told),
        cmocka_unit_test(quantiles_are_values_at_ranks),
        cmocka_unit_test(names_are_drawn_anew_and_the_same_for_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
