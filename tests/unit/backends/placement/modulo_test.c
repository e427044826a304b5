#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/placement_fixture.h"

static void the_hash_modulo_n_indexes_the_members_by_id(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "modulo", "quadratic");
    const uint64_t ids[] = {30, 10, 20};
    struct placement *placement = NULL;
    assert_int_equal(placement_fixture_try(&fixture, ids, NULL, 3,
                                           (struct hash){.ops = &identity_hash}, &placement, NULL),
                     0);
    assert_int_equal(placement_lookup(placement, 0), 1);
    assert_int_equal(placement_lookup(placement, 1), 2);
    assert_int_equal(placement_lookup(placement, 2), 0);
    assert_int_equal(placement_lookup(placement, UINT64_MAX), 1); /* 2^64 − 1 is 3 × … */
    uint32_t out[3];
    assert_int_equal(placement_lookup_n(placement, 2, 3, out), 3);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 1);
    assert_int_equal(out[2], 2);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void a_fourth_member_moves_three_quarters_of_the_keys(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "modulo", "splitmix64");
    struct placement *three = placement_fixture_build_n(&fixture, 3);
    struct placement *four = placement_fixture_build_n(&fixture, 4);
    unsigned moved = 0;
    for (uint64_t key = 0; key < 100000; key++)
        moved += placement_lookup(three, key) != placement_lookup(four, key);
    assert_in_range(moved, 74000, 76000); /* ring: a quarter */
    placement_free(three);
    placement_free(four);
    placement_fixture_close(&fixture);
}

/* H(i) = (i + 1)² + 16, and squares modulo 3 are 0 or 1: the residue 0 never comes. */
static void the_assignments_hash_starves_the_first_of_three(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "modulo", "quadratic");
    struct placement *placement = placement_fixture_build_n(&fixture, 3);
    uint64_t counts[3];
    placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, counts);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 300000);
    assert_int_equal(counts[2], 600000);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_modulo_n_indexes_the_members_by_id),
        cmocka_unit_test(a_fourth_member_moves_three_quarters_of_the_keys),
        cmocka_unit_test(the_assignments_hash_starves_the_first_of_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
