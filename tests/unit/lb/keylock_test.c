#include "lb/keylock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "lb/keylog.h"
#include "lb/letters.h"

#define MAX_HOLDERS 300

static struct keylock_table table;
static struct keylock_holder holders[MAX_HOLDERS];
static struct keylock_holder *told[MAX_HOLDERS]; /* on_all, in their order */
static size_t n_told;

static void on_all(struct keylock_holder *holder)
{
    told[n_told++] = holder;
}

static int set_up(void **state)
{
    (void)state;
    keylock_init(&table);
    n_told = 0;
    for (size_t i = 0; i < MAX_HOLDERS; i++)
        holders[i] = (struct keylock_holder){.on_all = on_all};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keylock_done(&table);
    return 0;
}

static void keylock_is_granted_when_nobody_has_the_key(void **state)
{
    const int64_t keys[] = {INT64_MIN, -1, 0, INT64_MAX};
    (void)state;
    assert_false(keylock_any(&table, keys, 4));
    assert_true(keylock_take(&table, &holders[0], keys, 4));
    assert_true(keylock_any(&table, &keys[3], 1));
    assert_true(keylock_take(&table, &holders[1], &(int64_t){7}, 1));
    keylock_release(&table, &holders[0]);
    assert_false(keylock_any(&table, keys, 4));
    keylock_release(&table, &holders[1]);
    keylock_release(&table, &holders[2]); /* has none */
    assert_int_equal(n_told, 0);
}

static void keylock_goes_to_askers_in_their_order(void **state)
{
    const int64_t keys[] = {1, 2, 3};
    (void)state;
    assert_true(keylock_take(&table, &holders[0], &keys[0], 2));  /* 1 2 */
    assert_false(keylock_take(&table, &holders[1], &keys[1], 2)); /* 2 3: waits for 2 */
    assert_false(keylock_take(&table, &holders[2], &keys[2], 1)); /* 3: behind the waiter */
    assert_false(keylock_take(&table, &holders[3], &keys[0], 3)); /* all */
    keylock_release(&table, &holders[0]);
    assert_int_equal(n_told, 1);
    assert_ptr_equal(told[0], &holders[1]);
    keylock_release(&table, &holders[1]);
    assert_int_equal(n_told, 2);
    assert_ptr_equal(told[1], &holders[2]);
    keylock_release(&table, &holders[2]);
    assert_int_equal(n_told, 3);
    assert_ptr_equal(told[2], &holders[3]);
    keylock_release(&table, &holders[3]);
}

static void keylock_moves_with_all_that_wait_behind(void **state)
{
    const int64_t keys[] = {1, 2};
    (void)state;
    assert_true(keylock_take(&table, &holders[0], keys, 2));
    assert_false(keylock_take(&table, &holders[1], keys, 1));
    keylock_move(&holders[0], &holders[2]);
    keylock_release(&table, &holders[0]); /* has none any more */
    assert_true(keylock_any(&table, &keys[1], 1));
    assert_int_equal(n_told, 0);
    keylock_move(&holders[0], &holders[3]); /* nothing */
    keylock_release(&table, &holders[2]);
    assert_int_equal(n_told, 1);
    assert_ptr_equal(told[0], &holders[1]);
    keylock_release(&table, &holders[1]);
}

static void keylock_lets_a_waiter_leave(void **state)
{
    const int64_t keys[] = {1, 2};
    (void)state;
    assert_true(keylock_take(&table, &holders[0], keys, 1));
    assert_false(keylock_take(&table, &holders[1], keys, 2));
    assert_false(keylock_take(&table, &holders[2], &keys[1], 1));
    keylock_release(&table, &holders[1]);
    assert_int_equal(n_told, 1);
    assert_ptr_equal(told[0], &holders[2]);
    keylock_release(&table, &holders[0]);
    keylock_release(&table, &holders[2]);
}

/* Every holder gets its turn, and for each key in the order of asking. */
static void keylock_serves_many_askers_of_few_keys(void **state)
{
    struct rng rng;
    int64_t keys[MAX_HOLDERS][4];
    bool has[MAX_HOLDERS] = {false};
    (void)state;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < MAX_HOLDERS; i++) {
        for (size_t k = 0; k < 4; k++) /* distinct: each from its own ten */
            keys[i][k] = (int64_t)(k * 10 + rng_below(&rng, 10));
        has[i] = keylock_take(&table, &holders[i], keys[i], 4);
    }
    size_t n_taken = 0;
    for (size_t n_done = 0; n_done < MAX_HOLDERS; n_done++) {
        for (; n_taken < n_told; n_taken++)
            has[told[n_taken] - holders] = true;
        size_t i = 0;
        while (i < MAX_HOLDERS && !has[i])
            i++;
        assert_true(i < MAX_HOLDERS); /* nobody waits in a ring */
        for (size_t before = 0; before < i; before++)
            for (size_t k = 0; holders[before].locks && k < 4; k++)
                assert_int_not_equal(keys[before][k], keys[i][k]);
        has[i] = false;
        keylock_release(&table, &holders[i]);
    }
}

static void key_log_tells_each_key_once_in_order(void **state)
{
    struct key_log log = {0};
    (void)state;
    for (int64_t i = 0; i < 10000; i++)
        key_log_add(&log, &(int64_t){(i * 7919) % 100 - 50}, 1);
    key_log_sort(&log);
    assert_int_equal(log.n, 100);
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(log.keys[i], i - 50);
    key_log_clear(&log);
    assert_int_equal(log.n, 0);
}

static void key_log_gives_up_past_its_limit(void **state)
{
    struct key_log log = {0};
    (void)state;
    for (int64_t i = 0; i < LETTER_MAX_DIRTY_KEYS; i++)
        key_log_add(&log, &i, 1);
    key_log_sort(&log);
    assert_int_equal(log.n, LETTER_MAX_DIRTY_KEYS);
    key_log_add(&log, &(int64_t){-1}, 1);
    key_log_sort(&log);
    assert_true(log.too_many);
    assert_int_equal(log.n, 0);
    key_log_clear(&log);
    assert_false(log.too_many);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(keylock_is_granted_when_nobody_has_the_key),
        TEST(keylock_goes_to_askers_in_their_order),
        TEST(keylock_moves_with_all_that_wait_behind),
        TEST(keylock_lets_a_waiter_leave),
        TEST(keylock_serves_many_askers_of_few_keys),
        cmocka_unit_test(key_log_tells_each_key_once_in_order),
        cmocka_unit_test(key_log_gives_up_past_its_limit),
    };
    return cmocka_run_group_tests_name("lb keylock", tests, NULL, NULL);
}
