#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "ring/balance.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct ring_balance balance_of(const double *shares, const uint64_t *counts,
                                      const char *weights, size_t n)
{
    struct ring_members members;
    struct ring_balance balance;
    struct err err;
    ring_members_count(&members, n);
    if (weights)
        assert_int_equal(ring_members_weigh(&members, weights, &err), 0);
    ring_balance_of(shares, counts, &members, &balance);
    ring_members_done(&members);
    return balance;
}

static void equal_shares_are_perfect_by_every_figure(void **state)
{
    (void)state;
    double shares[] = {0.25, 0.25, 0.25, 0.25};
    struct ring_balance balance = balance_of(shares, NULL, NULL, 4);
    NEAR(balance.peak, 1);
    NEAR(balance.least, 1);
    NEAR(balance.cov, 0);
    NEAR(balance.jain, 1);
    NEAR(balance.gini, 0);
    assert_int_equal(balance.n_without, 0);
    assert_true(isnan(balance.chi_square) && isnan(balance.p));
}

static void three_quarters_and_a_quarter_as_worked_by_hand(void **state)
{
    (void)state;
    double shares[] = {0.25, 0.75};
    struct ring_balance balance = balance_of(shares, NULL, NULL, 2);
    NEAR(balance.peak, 1.5);
    assert_int_equal(balance.peak_member, 1);
    NEAR(balance.least, 0.5);
    assert_int_equal(balance.least_member, 0);
    NEAR(balance.cov, 0.5);
    NEAR(balance.jain, 1 / 1.25);
    NEAR(balance.gini, 0.25); /* |x − y| over four pairs: 2 · 0.5 / (2 · 4 · 0.5) */
}

static void one_that_has_it_all_is_the_worst_by_every_figure(void **state)
{
    (void)state;
    double shares[] = {0, 1, 0, 0};
    struct ring_balance balance = balance_of(shares, NULL, NULL, 4);
    NEAR(balance.peak, 4);
    NEAR(balance.least, 0);
    NEAR(balance.cov, sqrt(3));
    NEAR(balance.jain, 0.25);
    NEAR(balance.gini, 0.75);
    assert_int_equal(balance.n_without, 3);
}

static void shares_that_follow_weights_are_perfect(void **state)
{
    (void)state;
    double shares[] = {0.25, 0.75};
    struct ring_balance balance = balance_of(shares, NULL, "1,3", 2);
    NEAR(balance.peak, 1);
    NEAR(balance.gini, 0);
    NEAR(balance.jain, 1);
}

static void a_member_of_weight_three_counts_like_three_of_one(void **state)
{
    (void)state;
    double heavy[] = {0.5, 0.5}, apart[] = {0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3};
    struct ring_balance a = balance_of(heavy, NULL, "1,3", 2);
    struct ring_balance b = balance_of(apart, NULL, NULL, 4);
    NEAR(a.peak, 2);
    NEAR(a.least, 2. / 3);
    NEAR(a.cov, sqrt(1. / 3));
    NEAR(a.gini, 0.25);
    NEAR(a.peak, b.peak);
    NEAR(a.least, b.least);
    NEAR(a.cov, b.cov);
    NEAR(a.jain, b.jain);
    NEAR(a.gini, b.gini);
}

static void counts_are_held_against_the_weights(void **state)
{
    (void)state;
    double shares[] = {0.6, 0.4};
    uint64_t counts[] = {60, 40};
    struct ring_balance balance = balance_of(shares, counts, NULL, 2);
    NEAR(balance.chi_square, 4); /* 10²/50 + 10²/50 */
    assert_int_equal(balance.df, 1);
    assert_true(fabs(balance.p - 0.04550026389635842) < 1e-9); /* two standard deviations */
    uint64_t weighted[] = {40, 60};
    NEAR(balance_of(shares, weighted, "2,3", 2).chi_square, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_shares_are_perfect_by_every_figure),
        cmocka_unit_test(three_quarters_and_a_quarter_as_worked_by_hand),
        cmocka_unit_test(one_that_has_it_all_is_the_worst_by_every_figure),
        cmocka_unit_test(shares_that_follow_weights_are_perfect),
        cmocka_unit_test(a_member_of_weight_three_counts_like_three_of_one),
        cmocka_unit_test(counts_are_held_against_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
