/* Which server holds which replica: what becomes of replicas when servers die, come again or leave,
 * and which of them may be claimed. */
#include "lb/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct database database;

/* Three shards; servers 1, 2, 3 hold two each. */
static struct table_shard *a, *b, *c;

static struct table_shard *add(const char *name, int64_t low, struct operation *operation)
{
    struct shard range = {.low = low, .last = low + 9};

    snprintf(range.name, sizeof(range.name), "%s", name);
    return database_add_shard(&database, &range, operation);
}

static void open_database(bool durable)
{
    database_init(&database, durable);
    c = add("c", 20, NULL);
    a = add("a", 0, NULL);
    b = add("b", 10, NULL);
    database_add_replica(a, 1, REPLICA_READY);
    database_add_replica(a, 2, REPLICA_READY);
    database_add_replica(b, 2, REPLICA_READY);
    database_add_replica(b, 3, REPLICA_READY);
    database_add_replica(c, 3, REPLICA_READY);
    database_add_replica(c, 1, REPLICA_READY);
}

static int set_up_durable(void **state)
{
    (void)state;
    open_database(true);
    return 0;
}

static int set_up_memory(void **state)
{
    (void)state;
    open_database(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    database_done(&database);
    return 0;
}

static struct vacancy *vacate(uint64_t uid, uint64_t data_id, size_t expect_lost)
{
    size_t n_lost = 77;
    struct vacancy *vacancy = database_vacate(&database, uid, data_id, &n_lost);

    assert_int_equal(n_lost, expect_lost);
    return vacancy;
}

static void shards_are_kept_in_the_order_of_their_keys(void **state)
{
    (void)state;
    assert_ptr_equal(database.shards[0], a);
    assert_ptr_equal(database.shards[1], b);
    assert_ptr_equal(database.shards[2], c);
    assert_ptr_equal(database_find(&database, "b"), b);
    assert_null(database_find(&database, "d"));
}

static void shards_of_an_operation_are_unseen_and_can_be_forgotten(void **state)
{
    struct operation *operation = (struct operation *)&state;
    struct table_shard *new = add("new", 5000, operation);

    database_add_replica(new, 1, REPLICA_FILLING);
    assert_int_equal(database_n_seen(&database), 3);
    assert_int_equal(database_n_replicas_of(&database, 1), 2);
    assert_true(database_is_filled(&database, 1));
    database_forget_shards(&database, operation);
    assert_int_equal(database.n_shards, 3);
    assert_null(database_find(&database, "new"));
}

static void a_death_leaves_a_vacancy_that_a_replacement_fills(void **state)
{
    (void)state;
    struct vacancy *vacancy = vacate(1, 0, 0);
    assert_int_equal(vacancy->n_shards, 2);
    assert_false(vacancy->shards[0].whole || vacancy->shards[1].whole);
    assert_null(database_find_replica(a, 1));
    database_occupy(&database, vacancy, 9);
    assert_null(database.vacancies);
    assert_int_equal(database_find_replica(a, 9)->state, REPLICA_FILLING);
    assert_false(database_find_replica(a, 9)->has_rows);
    assert_false(database_is_filled(&database, 9));
    database_set_ready(&database, a, database_find_replica(a, 9));
    database_set_ready(&database, c, database_find_replica(c, 9));
    assert_true(database_is_filled(&database, 9));
}

/* What a spawner keeps apart: servers of one shard have a number in common, others have none. */
static void a_vacancy_names_its_shards_by_their_groups(void **state)
{
    (void)state;
    struct vacancy *vacancy = vacate(1, 0, 0);
    uint32_t *groups = database_groups_of(vacancy);
    assert_true(vacancy->n_shards > 0);
    for (size_t i = 0; i < vacancy->n_shards; i++)
        assert_int_equal(groups[i], database_group(vacancy->shards[i].shard->range.name));
    assert_int_not_equal(database_group("sh1"), database_group("sh2"));
    free(groups);
}

static void a_server_without_shards_or_directory_leaves_no_vacancy(void **state)
{
    (void)state;
    assert_null(vacate(8, 0, 0));
    assert_non_null(vacate(8, 8, 0)); /* its directory passes on */
}

static void the_last_one_to_die_is_whole_and_the_others_are_not(void **state)
{
    (void)state;
    struct vacancy *first = vacate(1, 1, 0), *last = vacate(2, 2, 0);
    assert_false(first->shards[0].whole); /* a: it fell behind when 2 went on without it */
    assert_true(last->shards[0].whole);
    assert_false(last->shards[1].whole); /* b: 3 has it */
    assert_true(database_waits_for_whole(&database, a));
    assert_false(database_waits_for_whole(&database, b));
    /* The one that fell behind comes back first, and must wait. */
    database_occupy(&database, first, 11);
    assert_false(database_find_replica(a, 11)->whole);
    assert_true(database_find_replica(a, 11)->has_rows);
    database_occupy(&database, last, 12);
    assert_true(database_find_replica(a, 12)->whole);
    /* Dying again before it was claimed changes nothing. */
    last = vacate(12, 2, 0);
    assert_true(last->shards[0].whole);
    database_occupy(&database, last, 13);
    database_set_ready(&database, a, database_find_replica(a, 13));
    assert_false(database_waits_for_whole(&database, a));
    assert_false(database_find_replica(a, 13)->whole);
}

static void ready_ends_whole_everywhere(void **state)
{
    (void)state;
    struct vacancy *vacancy = vacate(1, 1, 0);
    vacancy->shards[0].whole = true; /* as after a stop of everything: all are whole */
    database_find_replica(a, 2)->state = REPLICA_FILLING;
    database_find_replica(a, 2)->whole = true;
    database_set_ready(&database, a, database_find_replica(a, 2));
    assert_false(vacancy->shards[0].whole);
    assert_false(database_waits_for_whole(&database, a));
}

static void what_was_only_in_memory_is_lost_with_its_last_server(void **state)
{
    (void)state;
    vacate(1, 0, 0);
    struct vacancy *vacancy = vacate(2, 0, 1);
    assert_false(vacancy->shards[0].whole);
    assert_false(database_waits_for_whole(&database, a));
    vacate(3, 0, 2);
}

static void one_that_leaves_has_the_rows_until_it_is_dropped(void **state)
{
    (void)state;
    database_leave(&database, 1);
    assert_int_equal(database_find_replica(a, 1)->state, REPLICA_LEAVING);
    assert_int_equal(database_count(a, REPLICA_READY), 1);
    vacate(2, 0, 0); /* a is not lost: 1 has it still */
    database_drop_replicas(&database, 1);
    assert_int_equal(database_n_replicas_of(&database, 1), 0);
}

static void one_that_leaves_drops_what_it_has_not_got_yet(void **state)
{
    (void)state;
    database_add_replica(b, 1, REPLICA_FILLING);
    database_leave(&database, 1);
    assert_null(database_find_replica(b, 1));
    assert_non_null(database_find_replica(a, 1));
}

static void a_shard_is_safe_without_servers_while_another_has_its_rows(void **state)
{
    static const uint64_t both[] = {1, 2}, one[] = {1};

    (void)state;
    assert_true(database_is_safe_without(a, one, 1));
    assert_false(database_is_safe_without(a, both, 2));
    struct replica *filling = database_add_replica(a, 3, REPLICA_FILLING);
    assert_false(database_is_safe_without(a, both, 2)); /* half a copy is none */
    filling->whole = true;
    assert_true(database_is_safe_without(a, both, 2));
}

static void a_replica_that_missed_a_change_is_to_be_filled_again(void **state)
{
    (void)state;
    assert_false(database_has_last(&database, 1, NULL));
    assert_true(database_demote(&database, &a->live, 1));
    const struct replica *replica = database_find_replica(a, 1);
    assert_int_equal(replica->state, REPLICA_FILLING);
    assert_true(replica->has_rows);
    assert_false(replica->whole);
    assert_false(database_demote(&database, &a->live, 1)); /* it is out already */
    assert_false(database_demote(&database, &a->live, 77));
    assert_true(database_has_last(&database, 2, NULL));
    assert_true(database_has_last(&database, 2, &a->live));
    assert_false(database_has_last(&database, 2, &b->live));
    assert_false(database_has_last(&database, 1, &a->live)); /* nobody reads from it */
    database_leave(&database, 2);
    assert_true(database_has_last(&database, 2, &a->live)); /* it is read from still */
    assert_true(database_demote(&database, &a->live, 2));
    assert_null(database_find_replica(a, 2));
}

int main(void)
{
#define DURABLE(name) cmocka_unit_test_setup_teardown(name, set_up_durable, tear_down)
#define MEMORY(name) cmocka_unit_test_setup_teardown(name, set_up_memory, tear_down)
    const struct CMUnitTest tests[] = {
        MEMORY(shards_are_kept_in_the_order_of_their_keys),
        MEMORY(shards_of_an_operation_are_unseen_and_can_be_forgotten),
        MEMORY(a_death_leaves_a_vacancy_that_a_replacement_fills),
        MEMORY(a_vacancy_names_its_shards_by_their_groups),
        MEMORY(a_server_without_shards_or_directory_leaves_no_vacancy),
        DURABLE(the_last_one_to_die_is_whole_and_the_others_are_not),
        DURABLE(ready_ends_whole_everywhere),
        MEMORY(what_was_only_in_memory_is_lost_with_its_last_server),
        MEMORY(one_that_leaves_has_the_rows_until_it_is_dropped),
        MEMORY(one_that_leaves_drops_what_it_has_not_got_yet),
        MEMORY(a_shard_is_safe_without_servers_while_another_has_its_rows),
        MEMORY(a_replica_that_missed_a_change_is_to_be_filled_again),
    };
    return cmocka_run_group_tests_name("lb database", tests, NULL, NULL);
}
