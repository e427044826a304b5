#include "experiments/warmup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void three_windows_in_a_row_make_it_steady(void **state)
{
    const double rates[] = {10, 50, 95, 100, 105, 20};
    (void)state;
    assert_false(warmup_is_steady(rates, 0, 100));
    assert_false(warmup_is_steady(rates + 3, 2, 100));
    assert_false(warmup_is_steady(rates, 4, 10));
    assert_true(warmup_is_steady(rates, 5, 10)); /* 95 … 105 around 100, the limit itself */
    assert_false(warmup_is_steady(rates, 5, 9.9));
    assert_false(warmup_is_steady(rates, 6, 10)); /* the last three, not the best three */
}

static void a_cluster_that_answers_nothing_is_not_steady(void **state)
{
    const double rates[] = {0, 0, 0};
    (void)state;
    assert_false(warmup_is_steady(rates, 3, 10));
}

static void without_a_percentage_nothing_is_run(void **state)
{
    const struct experiment_settings settings = {.load = {.warmup = 100, .steady_windows = 3}};
    const struct sample_config config = {
        .program = "/nonexistent", .dir = "/nonexistent", .settings = &settings};
    struct sample sample = {0};
    (void)state;
    assert_int_equal(warmup_run(&config, "127.0.0.1:9", &sample, NULL), 0);
    assert_int_equal(sample.n_windows, 0);
    assert_false(sample.unsteady);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_windows_in_a_row_make_it_steady),
        cmocka_unit_test(a_cluster_that_answers_nothing_is_not_steady),
        cmocka_unit_test(without_a_percentage_nothing_is_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
