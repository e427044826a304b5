/* The assignment's map, held against an oracle that walks an array as the assignment describes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/placement_fixture.h"

#define M 512
#define K 9

/* ---- the oracle: no tables, no masks, no structures of the program -----------------------------
 */

static int oracle_slot[M]; /* server id, 0 = free */

static void oracle_build(const int *ids_ascending, int n, int quadratic)
{
    memset(oracle_slot, 0, sizeof(oracle_slot));
    for (int s = 0; s < n; s++) {
        for (int j = 0; j < K; j++) {
            int i = ids_ascending[s], h = (i * i + j * j + 2 * j + 25) % M, t = 0;
            while (oracle_slot[(h + (quadratic ? t * t : t)) % M] != 0)
                t++;
            oracle_slot[(h + (quadratic ? t * t : t)) % M] = i;
        }
    }
}

static int oracle_lookup(long long request)
{
    int at = (int)((request * request + 2 * request + 17) % M);
    while (oracle_slot[at] == 0)
        at = (at + 1) % M;
    return oracle_slot[at];
}

/* The distinct servers clockwise. */
static int oracle_walk(long long request, int *ids)
{
    int at = (int)((request * request + 2 * request + 17) % M), n = 0;
    for (int step = 0; step < M; step++, at = (at + 1) % M) {
        int known = oracle_slot[at] == 0;
        for (int k = 0; k < n; k++)
            known |= ids[k] == oracle_slot[at];
        if (!known)
            ids[n++] = oracle_slot[at];
    }
    return n;
}

static void agrees_with_oracle(const char *spec, int quadratic)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, "quadratic");
    for (int n = 2; n <= 6; n++) {
        int ids[6] = {1, 2, 3, 4, 5, 6};
        oracle_build(ids, n, quadratic);
        struct placement *placement = placement_fixture_build_n(&fixture, (size_t)n);
        for (long long request = 100000; request <= 999999; request++)
            if ((int)placement_lookup(placement, (uint64_t)request) + 1 != oracle_lookup(request))
                fail_msg("%s, N = %d: request %lld", spec, n, request);
        placement_free(placement);
    }
    placement_fixture_close(&fixture);
}

static void linear_probing_agrees_with_the_oracle_for_every_request_id(void **state)
{
    (void)state;
    agrees_with_oracle("slots", 0);
}

static void quadratic_probing_agrees_with_the_oracle_for_every_request_id(void **state)
{
    (void)state;
    agrees_with_oracle("slots:probe=quadratic", 1);
}

static void replicas_agree_with_the_oracles_walk(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots", "quadratic");
    const uint64_t ids[] = {7, 3, 12, 1, 5, 900};
    const int ascending[] = {1, 3, 5, 7, 12, 900};
    oracle_build(ascending, 6, 0);
    struct placement *placement = placement_fixture_build(&fixture, ids, 6);
    for (uint64_t request = 100000; request < 102000; request++) {
        uint32_t out[6];
        int expected[6];
        assert_int_equal(oracle_walk((long long)request, expected), 6);
        assert_int_equal(placement_lookup_n(placement, request, 6, out), 6);
        for (int k = 0; k < 6; k++)
            assert_int_equal(ids[out[k]], expected[k]);
    }
    placement_free(placement);
    placement_fixture_close(&fixture);
}

/* ---- known values ------------------------------------------------------------------------------
 */

static void counts_are(const char *spec, size_t n, const uint64_t *expected)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, "quadratic");
    struct placement *placement = placement_fixture_build_n(&fixture, n);
    uint64_t counts[8];
    placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, counts);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(counts[i], expected[i]);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

/* Counted by a Python script that shares nothing with this program. */
static void the_assignments_three_servers_get_84_5_and_11_percent(void **state)
{
    (void)state;
    const uint64_t three[] = {759374, 42187, 98439};
    counts_are("slots", 3, three);
    counts_are("slots:probe=quadratic", 3, three); /* too few collisions to tell them apart */
}

static void the_assignments_six_servers_get_what_a_script_counted(void **state)
{
    (void)state;
    counts_are("slots", 6, (const uint64_t[]){710155, 28125, 84376, 28124, 42188, 7032});
    counts_are("slots:probe=quadratic", 6,
               (const uint64_t[]){710155, 42187, 21094, 28124, 35158, 63282});
}

static void shares_of_the_space_are_slots_owned(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots", "quadratic");
    struct placement *placement = placement_fixture_build_n(&fixture, 3);
    double shares[3];
    placement->ops->shares(placement, shares);
    assert_true(shares[0] == 457 / 512.0 && shares[1] == 22 / 512.0 && shares[2] == 33 / 512.0);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

/* ---- probing -----------------------------------------------------------------------------------
 */

/* All virtual nodes at one hash: i2 = j2 = j1 = 0. */
#define DEGENERATE "quadratic:i2=0,j2=0,j1=0,rest=5"

static void owners_are(const char *spec, size_t n, const char *expected)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, DEGENERATE);
    uint64_t ids[16];
    for (size_t i = 0; i < n; i++)
        ids[i] = i;
    struct placement *placement = NULL;
    assert_int_equal(placement_fixture_try(&fixture, ids, NULL, n,
                                           (struct hash){.ops = &identity_hash}, &placement, NULL),
                     0);
    char owners[64] = "";
    for (size_t slot = 0; slot < strlen(expected); slot++)
        owners[slot] = (char)('a' + placement_lookup(placement, slot));
    assert_string_equal(owners, expected);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void linear_probing_takes_the_next_free_slots(void **state)
{
    (void)state;
    /* nodes a a b b in slots 5 6 7 0; free slots belong to the one after */
    owners_are("slots:slots=8,virtual=2", 2, "baaaaaab");
}

static void quadratic_probing_takes_slots_at_squares(void **state)
{
    (void)state;
    /* home 5, then 5+1, 5+4, 5+9: a in 5, b in 6, c in 9, d in 14 of 16 */
    owners_are("slots:slots=16,virtual=1,probe=quadratic", 4, "aaaaaabcccddddda");
}

static void quadratic_probing_goes_on_linearly_where_squares_do_not_reach(void **state)
{
    (void)state;
    /* squares mod 8 are 0, 1, 4: slots 5, 6, 1 for a, b, c; then linear from home: 7, 0, 2, 3, 4 */
    owners_are("slots:slots=8,virtual=1,probe=quadratic", 8, "ecfghabd");
}

static void a_map_may_be_full_and_may_be_one_slot(void **state)
{
    (void)state;
    owners_are("slots:slots=4,virtual=1", 4, "dabc");
    owners_are("slots:slots=1,virtual=1", 1, "a");
}

static void a_number_of_slots_that_is_no_power_of_two_is_taken(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots:slots=7,virtual=1", DEGENERATE);
    const uint64_t ids[] = {1, 2};
    struct placement *placement = NULL;
    assert_int_equal(placement_fixture_try(&fixture, ids, NULL, 2,
                                           (struct hash){.ops = &identity_hash}, &placement, NULL),
                     0);
    for (uint64_t key = 0; key < 70; key++) /* nodes in slots 5 and 6 */
        assert_int_equal(placement_lookup(placement, key), key % 7 == 6 ? 1 : 0);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

static void more_virtual_nodes_than_slots_are_refused_with_the_figures(void **state)
{
    (void)state;
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "slots", "quadratic");
    uint64_t ids[57];
    for (size_t i = 0; i < 57; i++)
        ids[i] = i;
    struct placement *placement = NULL;
    struct err err = {0};
    assert_int_equal(
        placement_fixture_try(&fixture, ids, NULL, 57, (struct hash){0}, &placement, &err),
        -EINVAL);
    assert_string_equal(err.message, "slots: 57 servers with 9 virtual nodes each are 513, more "
                                     "than the 512 slots");
    assert_int_equal(
        placement_fixture_try(&fixture, ids, NULL, 56, (struct hash){0}, &placement, &err), 0);
    placement_free(placement);
    placement_fixture_close(&fixture);
}

/* ---- the finding: a removal can move other servers' keys ----------------------------------------
 */

static unsigned moved_slots(const char *spec, size_t n, size_t without)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, "quadratic");
    uint64_t ids[8], rest[8];
    size_t n_rest = 0;
    for (size_t i = 0; i < n; i++) {
        ids[i] = i + 1;
        if (i != without)
            rest[n_rest++] = i + 1;
    }
    struct hash identity = {.ops = &identity_hash};
    struct placement *before = NULL, *after = NULL;
    assert_int_equal(placement_fixture_try(&fixture, ids, NULL, n, identity, &before, NULL), 0);
    assert_int_equal(placement_fixture_try(&fixture, rest, NULL, n_rest, identity, &after, NULL),
                     0);
    unsigned moved = 0;
    for (uint64_t slot = 0; slot < M; slot++) {
        uint64_t old = ids[placement_lookup(before, slot)],
                 new = rest[placement_lookup(after, slot)];
        moved += old != ids[without] && old != new;
    }
    placement_free(before);
    placement_free(after);
    placement_fixture_close(&fixture);
    return moved;
}

static void removing_the_first_server_moves_slots_between_those_that_stay(void **state)
{
    (void)state;
    assert_int_equal(moved_slots("slots", 3, 0), 1);
    assert_int_equal(moved_slots("slots", 6, 0), 7);
    assert_int_equal(moved_slots("slots:probe=quadratic", 6, 0), 9);
    /* the last inserted displaced nobody */
    assert_int_equal(moved_slots("slots", 3, 2), 0);
    assert_int_equal(moved_slots("slots", 6, 5), 0);
    const struct part *part = family_find(&placement_family, "slots");
    assert_false(((const struct placement_ops *)part)->caps & PLACEMENT_MINIMAL_MOVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_probing_takes_the_next_free_slots),
        cmocka_unit_test(quadratic_probing_takes_slots_at_squares),
        cmocka_unit_test(quadratic_probing_goes_on_linearly_where_squares_do_not_reach),
        cmocka_unit_test(a_map_may_be_full_and_may_be_one_slot),
        cmocka_unit_test(a_number_of_slots_that_is_no_power_of_two_is_taken),
        cmocka_unit_test(more_virtual_nodes_than_slots_are_refused_with_the_figures),
        cmocka_unit_test(the_assignments_three_servers_get_84_5_and_11_percent),
        cmocka_unit_test(the_assignments_six_servers_get_what_a_script_counted),
        cmocka_unit_test(shares_of_the_space_are_slots_owned),
        cmocka_unit_test(linear_probing_agrees_with_the_oracle_for_every_request_id),
        cmocka_unit_test(quadratic_probing_agrees_with_the_oracle_for_every_request_id),
        cmocka_unit_test(replicas_agree_with_the_oracles_walk),
        cmocka_unit_test(removing_the_first_server_moves_slots_between_those_that_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
