/* What placement.c does for every placement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "tests/support/placement_fixture.h"

static void members_are_sorted_by_id(void **state)
{
    (void)state;
    const struct placement_member members[] = {
        {.id = UINT64_MAX}, {.id = 5}, {.id = 0}, {.id = UINT64_C(1) << 40}, {.id = 6}};
    uint32_t *order = placement_sort_members(members, 5);
    const uint32_t expected[] = {2, 1, 4, 3, 0};
    assert_memory_equal(order, expected, sizeof(expected));
    free(order);
    free(placement_sort_members(NULL, 0));
}

static void counts_agree_with_lookups_one_by_one(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "ring", "xxh64");
    struct placement *placement = placement_fixture_build_n(&fixture, 4);
    uint64_t counts[4] = {99, 99, 99, 99}, expected[4] = {0};
    placement_count_keys(placement, 100, 300, counts);
    for (uint64_t key = 100; key <= 300; key++)
        expected[placement_lookup(placement, key)]++;
    assert_memory_equal(counts, expected, sizeof(counts));
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void counting_stops_at_the_last_key_there_is(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "modulo", "splitmix64");
    struct placement *placement = placement_fixture_build_n(&fixture, 2);
    uint64_t counts[2];
    placement_count_keys(placement, UINT64_MAX - 9, UINT64_MAX, counts);
    assert_int_equal(counts[0] + counts[1], 10);
    placement_count_keys(placement, 7, 7, counts);
    assert_int_equal(counts[0] + counts[1], 1);
    placement_count_keys(placement, 8, 7, counts);
    assert_int_equal(counts[0] + counts[1], 0);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void counting_without_members_counts_nothing(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots", "quadratic");
    struct placement *placement = placement_fixture_build_n(&fixture, 0);
    placement_count_keys(placement, 0, 100, NULL);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void too_many_members_are_refused(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "modulo", "splitmix64");
    size_t n = PLACEMENT_MAX_MEMBERS + 1;
    struct placement_member *members = mem_zalloc(n, sizeof(*members));
    for (size_t i = 0; i < n; i++)
        members[i] = (struct placement_member){.id = i, .name = "x", .weight = 1};
    struct placement *placement = NULL;
    struct err err = {0};
    assert_int_equal(
        placement_build(&fixture.spec, members, n, &fixture.hashes.pair, &placement, &err),
        -EINVAL);
    assert_non_null(strstr(err.message, "65537 members"));
    assert_null(placement);
    assert_int_equal(
        placement_build(&fixture.spec, members, n - 1, &fixture.hashes.pair, &placement, &err), 0);
    assert_int_equal(placement->n_members, PLACEMENT_MAX_MEMBERS);
    placement_free(placement);
    free(members);
    placement_fixture_close(&fixture);
}

static void a_refusal_names_both_holders_of_an_id(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots", "quadratic");
    const struct placement_member members[] = {{.id = 5, .name = "S5", .weight = 1},
                                               {.id = 1, .name = "Server1", .weight = 1},
                                               {.id = 5, .name = "Server5", .weight = 1}};
    struct placement *placement = NULL;
    struct err err = {0};
    assert_int_equal(
        placement_build(&fixture.spec, members, 3, &fixture.hashes.pair, &placement, &err),
        -EINVAL);
    assert_string_equal(err.message, "slots: id 5 is taken twice (S5, Server5)");
    placement_fixture_close(&fixture);
}

static void free_takes_null(void **state)
{
    (void)state;
    placement_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_sorted_by_id),
        cmocka_unit_test(counts_agree_with_lookups_one_by_one),
        cmocka_unit_test(counting_stops_at_the_last_key_there_is),
        cmocka_unit_test(counting_without_members_counts_nothing),
        cmocka_unit_test(too_many_members_are_refused),
        cmocka_unit_test(a_refusal_names_both_holders_of_an_id),
        cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
