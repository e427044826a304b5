#include "backends/store/mysql_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define N INT64_C(200000)
#define STEP 1000003

static void mysql_filter_without_keys_has_none(void **state)
{
    struct mysql_filter filter = {0};
    (void)state;
    for (int64_t key = -1000; key < 1000; key++)
        assert_false(mysql_filter_may_have(&filter, key));
    mysql_filter_done(&filter);
}

static void mysql_filter_has_every_key_that_was_added_and_few_others(void **state)
{
    static const int64_t steps[] = {1, -1, STEP, INT64_MAX / N};
    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct mysql_filter filter = {0};
        int64_t n_wrong = 0;
        for (int64_t k = 0; k < N; k++)
            mysql_filter_add(&filter, k * steps[i]);
        for (int64_t k = 0; k < N; k++)
            assert_true(mysql_filter_may_have(&filter, k * steps[i]));
        for (int64_t k = 0; k < N; k++)
            n_wrong += mysql_filter_may_have(&filter, INT64_MIN + k * (STEP + 2));
        assert_in_range(n_wrong, 0, N / 200);
        mysql_filter_done(&filter);
    }
}

static void mysql_filter_does_not_grow_by_keys_that_it_has(void **state)
{
    struct mysql_filter filter = {0};
    (void)state;
    for (int round = 0; round < 100; round++)
        for (int64_t key = 0; key < 1000; key++)
            mysql_filter_add(&filter, key);
    assert_int_equal(filter.n_layers, 1);
    assert_in_range(filter.n_keys, 900, 1000);
    mysql_filter_done(&filter);
}

static void mysql_filter_that_is_given_up_may_have_any_key(void **state)
{
    struct mysql_filter filter = {0};
    (void)state;
    mysql_filter_add(&filter, 1);
    mysql_filter_give_up(&filter);
    mysql_filter_add(&filter, 2);
    assert_int_equal(filter.n_layers, 0);
    for (int64_t key = 0; key < 1000; key++)
        assert_true(mysql_filter_may_have(&filter, key));
    mysql_filter_done(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_filter_without_keys_has_none),
        cmocka_unit_test(mysql_filter_has_every_key_that_was_added_and_few_others),
        cmocka_unit_test(mysql_filter_does_not_grow_by_keys_that_it_has),
        cmocka_unit_test(mysql_filter_that_is_given_up_may_have_any_key),
    };
    return cmocka_run_group_tests_name("store: mysql, filter", tests, NULL, NULL);
}
