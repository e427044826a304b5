/* The ring, held against a walk over the unsorted points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/placement_fixture.h"

/* ---- the oracle: the point with the smallest distance clockwise, ties to the smaller id ---------
 */

static uint64_t oracle_lookup(struct hash server, const uint64_t *ids, const uint32_t *weights,
                              size_t n, uint64_t k, uint64_t hash)
{
    uint64_t best_distance = 0, best_id = 0;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        for (uint64_t j = 0; j < k * (weights ? weights[i] : 1); j++) {
            uint64_t distance = hash_point(server, ids[i], j) - hash;
            if (!found || distance < best_distance ||
                (distance == best_distance && ids[i] < best_id)) {
                best_distance = distance;
                best_id = ids[i];
                found = true;
            }
        }
    }
    return best_id;
}

static void agrees_with_oracle(const char *spec, const char *hash, uint64_t k, size_t n,
                               const uint32_t *weights)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, hash);
    uint64_t ids[40];
    draw_ids(n, 100, ids, n);
    struct placement *placement = NULL;
    struct hash server = fixture.hashes.pair.server;
    assert_int_equal(placement_fixture_try(&fixture, ids, weights, n,
                                           (struct hash){.ops = &identity_hash}, &placement, NULL),
                     0);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t key = rng_mix64(i);
        if (i % 4 == 0) /* on a point, just before it, just after it */
            key = hash_point(server, ids[i % n], i % k) + i / 4 % 3 - 1;
        else if (i % 4 == 1) /* where the polynomials put their points */
            key = rng_mix64(i) % 20000;
        if (i < 2)
            key = i == 0 ? 0 : UINT64_MAX;
        assert_int_equal(ids[placement_lookup(placement, key)],
                         oracle_lookup(server, ids, weights, n, k, key));
    }
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void lookups_agree_with_the_nearest_point(void **state)
{
    (void)state;
    agrees_with_oracle("ring:virtual=1", "splitmix64", 1, 1, NULL);
    agrees_with_oracle("ring:virtual=1", "splitmix64", 1, 2, NULL);
    agrees_with_oracle("ring:virtual=7", "xxh64", 7, 3, NULL);
    agrees_with_oracle("ring", "splitmix64", 100, 10, NULL);
}

static void weights_multiply_points(void **state)
{
    (void)state;
    agrees_with_oracle("ring:virtual=10", "splitmix64", 10, 4, (const uint32_t[]){3, 1, 7, 2});
}

static void points_that_lie_thick_are_found(void **state)
{
    (void)state;
    agrees_with_oracle("ring", "quadratic", 100, 40, NULL);
    agrees_with_oracle("ring", "quadratic:i2=3,j2=0,j1=1000000000000", 100, 10, NULL);
}

static void equal_points_belong_to_the_smallest_id(void **state)
{
    (void)state;
    agrees_with_oracle("ring", "quadratic:i2=0,j2=0,j1=0", 100, 10, NULL);      /* all at 25 */
    agrees_with_oracle("ring", "quadratic:i2=0,j2=0,j1=77,i1=0", 100, 5, NULL); /* 5 at each */
}

static void a_ring_of_equal_points_is_the_smallest_ids_alone(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "ring", "quadratic:i2=0,j2=0,j1=0");
    struct placement *placement = placement_fixture_build(&fixture, (const uint64_t[]){9, 4, 6}, 3);
    double shares[3];
    placement->ops->shares(placement, shares);
    assert_true(shares[0] == 0.0 && shares[1] == 1.0 && shares[2] == 0.0);
    uint32_t out[3];
    assert_int_equal(placement_lookup_n(placement, 1, 3, out), 3);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 2);
    assert_int_equal(out[2], 0);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

/* A point at the very top and keys beyond the last point: the circle closes. */
static void the_circle_closes(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    /* points of id i at 2^64 − 1 − i: rest = 2^64 − 1, i1 = 2^64 − 1 */
    placement_fixture_open(&fixture, "ring:virtual=1",
                           "quadratic:i2=0,j2=0,j1=0,rest=18446744073709551615,"
                           "i1=18446744073709551615");
    const uint64_t ids[] = {0, 100};
    struct placement *placement = NULL;
    assert_int_equal(placement_fixture_try(&fixture, ids, NULL, 2,
                                           (struct hash){.ops = &identity_hash}, &placement, NULL),
                     0);
    assert_int_equal(placement_lookup(placement, UINT64_MAX), 0);
    assert_int_equal(placement_lookup(placement, UINT64_MAX - 99), 0);
    assert_int_equal(placement_lookup(placement, UINT64_MAX - 100), 1);
    assert_int_equal(placement_lookup(placement, 0), 1);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void a_removed_members_keys_go_to_their_second_choice(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "ring", "xxh64");
    const uint64_t ids[] = {1, 2, 3, 4, 5}, rest[] = {1, 2, 4, 5};
    struct placement *before = placement_fixture_build(&fixture, ids, 5);
    struct placement *after = placement_fixture_build(&fixture, rest, 4);
    unsigned n_moved = 0;
    for (uint64_t key = 0; key < 20000; key++) {
        uint32_t out[2];
        placement_lookup_n(before, key, 2, out);
        bool gone = ids[out[0]] == 3;
        n_moved += gone;
        assert_int_equal(rest[placement_lookup(after, key)], ids[out[gone]]);
    }
    assert_true(n_moved > 0);
    placement_free(before);
    placement_free(after);
    placement_fixture_close(&fixture);
}

/* All points of the polynomials lie below nearly every request's hash. */
static void the_assignments_hash_gives_the_ring_to_one_server(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "ring", "quadratic");
    struct placement *placement = placement_fixture_build_n(&fixture, 3);
    uint64_t counts[3];
    placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, counts);
    assert_int_equal(counts[0], 900000);
    double shares[3];
    placement->ops->shares(placement, shares);
    assert_true(shares[0] > 0.999999);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void too_many_points_are_refused_with_the_figures(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    struct placement *placement = NULL;
    struct err err = {0};
    placement_fixture_open(&fixture, "ring:virtual=1048576", "splitmix64");
    assert_int_equal(placement_fixture_try(&fixture, (const uint64_t[]){1, 2},
                                           (const uint32_t[]){1, UINT32_MAX}, 2, (struct hash){0},
                                           &placement, &err),
                     -EINVAL);
    assert_non_null(strstr(err.message, "1048576 points"));
    assert_non_null(strstr(err.message, "16777216"));
    placement_fixture_close(&fixture);
}

static void shares_of_two_points_are_their_arcs(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    /* id 1 at 2^62, id 2 at 2^63: i1 = 2^62 */
    placement_fixture_open(&fixture, "ring:virtual=1",
                           "quadratic:i2=0,i1=4611686018427387904,j2=0,j1=0,rest=0");
    struct placement *placement = placement_fixture_build_n(&fixture, 2);
    double shares[2];
    placement->ops->shares(placement, shares);
    assert_true(shares[0] == 0.75 && shares[1] == 0.25);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups_agree_with_the_nearest_point),
        cmocka_unit_test(weights_multiply_points),
        cmocka_unit_test(points_that_lie_thick_are_found),
        cmocka_unit_test(equal_points_belong_to_the_smallest_id),
        cmocka_unit_test(a_ring_of_equal_points_is_the_smallest_ids_alone),
        cmocka_unit_test(the_circle_closes),
        cmocka_unit_test(shares_of_two_points_are_their_arcs),
        cmocka_unit_test(a_removed_members_keys_go_to_their_second_choice),
        cmocka_unit_test(the_assignments_hash_gives_the_ring_to_one_server),
        cmocka_unit_test(too_many_points_are_refused_with_the_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
