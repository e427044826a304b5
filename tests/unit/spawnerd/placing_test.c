#include "spawnerd/placing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static size_t count_on(const struct placing_server *servers, size_t n, size_t machine)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += servers[i].machine == machine;
    return count;
}

static void spreads_servers_without_groups_evenly(void **state)
{
    struct placing_server servers[7] = {0};

    (void)state;
    placing_solve(servers, 7, 3);
    for (size_t machine = 0; machine < 3; machine++)
        assert_in_range(count_on(servers, 7, machine), 2, 3);
}

static void leaves_those_that_are_placed_where_they_are(void **state)
{
    struct placing_server servers[4] = {
        {.machine = 1, .placed = true}, {.machine = 1, .placed = true}, {0}, {0}};
    (void)state;
    placing_solve(servers, 4, 2);
    assert_int_equal(servers[0].machine, 1);
    assert_int_equal(servers[1].machine, 1);
    assert_int_equal(servers[2].machine, 0);
    assert_int_equal(servers[3].machine, 0);
}

/* The assignment's: four shards, three replicas each, on six servers. On three machines there is
 * one way alone, which nobody finds who takes one server after the other. */
static void keeps_the_replicas_of_the_assignments_shards_apart(void **state)
{
    static const uint32_t shards[6][2] = {{1, 2}, {3, 4}, {1, 3}, {4, 2}, {1, 4}, {3, 2}};
    struct placing_server servers[6];

    (void)state;
    for (size_t machines = 3; machines <= 6; machines++) {
        for (size_t i = 0; i < 6; i++)
            servers[i] = (struct placing_server){.groups = shards[i], .n_groups = 2};
        placing_solve(servers, 6, machines);
        assert_int_equal(placing_n_shared(servers, 6), 0);
        for (size_t machine = 0; machine < machines; machine++)
            assert_in_range(count_on(servers, 6, machine), 6 / machines, (5 + machines) / machines);
    }
}

static void puts_a_replacement_beside_no_other_replica(void **state)
{
    static const uint32_t one[] = {1}, both[] = {1, 2}, two[] = {2};
    struct placing_server servers[] = {
        {.groups = one, .n_groups = 1, .machine = 0, .placed = true},
        {.groups = two, .n_groups = 1, .machine = 2, .placed = true},
        {.machine = 1, .placed = true},
        {.machine = 1, .placed = true},
        {.groups = both, .n_groups = 2},
    };
    (void)state;
    placing_solve(servers, LENGTH(servers), 3);
    assert_int_equal(servers[4].machine, 1); /* the fullest, and the right one */
}

static void shares_as_little_as_it_must_where_machines_are_too_few(void **state)
{
    static const uint32_t one[] = {1};
    struct placing_server servers[5];

    (void)state;
    for (size_t i = 0; i < 5; i++)
        servers[i] = (struct placing_server){.groups = one, .n_groups = 1};
    placing_solve(servers, 5, 2);
    assert_int_equal(placing_n_shared(servers, 5), 4); /* 3 and 2 */
    placing_solve(servers, 5, 1);
    assert_int_equal(placing_n_shared(servers, 5), 10);
}

/* Shards dealt to machines, then to servers: a way without a shared group is known to exist. */
static void finds_what_there_is_for_shards_dealt_at_random(void **state)
{
    enum { MACHINES = 5, SERVERS = 15, SHARDS = 20, REPLICAS = 3 };
    static uint32_t groups[SERVERS][SHARDS];
    struct placing_server servers[SERVERS];
    struct rng rng;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t n_groups[SERVERS] = {0};
        rng_seed(&rng, seed);
        for (uint32_t shard = 0; shard < SHARDS; shard++) {
            size_t machines[MACHINES] = {0, 1, 2, 3, 4};
            rng_shuffle(&rng, machines, MACHINES, sizeof(*machines));
            for (size_t i = 0; i < REPLICAS; i++) {
                size_t server = machines[i] * (SERVERS / MACHINES) + rng_below(&rng, 3);
                groups[server][n_groups[server]++] = shard;
            }
        }
        for (size_t i = 0; i < SERVERS; i++)
            servers[i] = (struct placing_server){.groups = groups[i], .n_groups = n_groups[i]};
        placing_solve(servers, SERVERS, MACHINES);
        assert_in_range(placing_n_shared(servers, SERVERS), 0, 3);
    }
}

static void takes_hundreds_at_once(void **state)
{
    enum { MANY = 400 };
    struct placing_server *servers = calloc(MANY, sizeof(*servers));
    static const uint32_t groups[] = {0, 1, 2, 3, 4, 5, 6, 7};

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        servers[i] = (struct placing_server){.groups = &groups[i % 8], .n_groups = 1};
    placing_solve(servers, MANY, 50);
    assert_int_equal(placing_n_shared(servers, MANY), 0);
    for (size_t machine = 0; machine < 50; machine++)
        assert_int_equal(count_on(servers, MANY, machine), 8);
    free(servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreads_servers_without_groups_evenly),
        cmocka_unit_test(leaves_those_that_are_placed_where_they_are),
        cmocka_unit_test(keeps_the_replicas_of_the_assignments_shards_apart),
        cmocka_unit_test(puts_a_replacement_beside_no_other_replica),
        cmocka_unit_test(shares_as_little_as_it_must_where_machines_are_too_few),
        cmocka_unit_test(finds_what_there_is_for_shards_dealt_at_random),
        cmocka_unit_test(takes_hundreds_at_once),
    };
    return cmocka_run_group_tests_name("placing", tests, NULL, NULL);
}
