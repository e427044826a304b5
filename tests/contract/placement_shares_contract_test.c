/* How much of the keys each member gets, of every placement of the registry with every hash of the
 * registry: what it says of its shares, what counting says, and what its theory says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/placement_pairs.h"

/* 40 servers with 9 virtual nodes fit in the default 512 slots. */
#define MANY 40u

/* ---- what it says of its shares ---------------------------------------------------------------
 */

/* Keys k·φ (Weyl's sequence) fill the circle evenly, in its top bits as in its bottom ones, so
 * counting lookups under the identity measures the hash space itself. Where there is no circle,
 * what falls in order there does not elsewhere, and random keys it is. */
static void count_space(const struct placement *placement, unsigned n_keys, double *shares)
{
    memset(shares, 0, placement->n_members * sizeof(*shares));
    for (uint64_t k = 0; k < n_keys; k++)
        shares[placement_lookup(placement, placement->ops->owner_at
                                               ? k * UINT64_C(0x9e3779b97f4a7c15)
                                               : rng_mix64(k))] += 1.0 / n_keys;
}

/* How far counting may be off: six standard deviations, unless the keys that fill the circle fall
 * in order: on a circle, and not hashed once more. */
static double shares_tolerance(const struct placement_fixture *fixture, double share,
                               unsigned n_keys)
{
    const struct placement_ops *ops = ops_of(fixture);
    if (ops->owner_at && !(ops->caps & PLACEMENT_OWN_KEY_HASH))
        return 0.001;
    return 6 * sqrt(share * (1 - share) / n_keys) + 4.0 / n_keys; /* a rare key or two */
}

/* The same for those that have a circle: how much of it each member owns. */
static void count_circle(const struct placement *placement, double *shares)
{
    enum { N = 1 << 18 };
    memset(shares, 0, placement->n_members * sizeof(*shares));
    for (uint32_t i = 0; i < N; i++)
        shares[placement->ops->owner_at(placement, (i + 0.5) / N)] += 1.0 / N;
}

/* The arcs cover the space once, in order, and give each member its share. */
static void check_arcs(const struct placement_fixture *fixture, const struct placement *placement,
                       const double *shares)
{
    const struct placement_ops *ops = placement->ops;
    if (!ops->arcs)
        return;
    size_t n_arcs = ops->arcs(placement, NULL);
    struct placement_arc *arcs = mem_zalloc(n_arcs, sizeof(*arcs));
    double owned[MANY] = {0}, begin = 0;
    CLAIM(ops->arcs(placement, arcs) == n_arcs && n_arcs > 0);
    for (size_t i = 0; i < n_arcs; i++) {
        CLAIM(arcs[i].end >= begin && arcs[i].member < placement->n_members);
        owned[arcs[i].member] += arcs[i].end - begin;
        double middle = begin + (arcs[i].end - begin) / 2;
        if (ops->owner_at && middle > begin && middle < arcs[i].end)
            CLAIM(ops->owner_at(placement, middle) == arcs[i].member);
        begin = arcs[i].end;
    }
    CLAIM(!(begin < 1) && !(begin > 1));
    for (uint32_t i = 0; i < placement->n_members; i++)
        CLAIM(fabs(owned[i] - shares[i]) < 1e-9);
    free(arcs);
}

static void check_shares(const struct placement_fixture *fixture)
{
    enum { N_SPACE = 1 << 18 };
    if (!ops_of(fixture)->shares)
        return;
    static const size_t sizes[] = {1, 2, 3, 10, MANY};
    for (size_t s = 0; s < 5; s++) {
        uint64_t ids[MANY];
        fill_ids(ids, sizes[s]);
        struct placement *placement = NULL;
        struct err err = {0};
        CLAIM(placement_fixture_try(fixture, ids, NULL, sizes[s],
                                    (struct hash){.ops = &identity_hash}, &placement, &err) == 0);
        double shares[MANY], counted[MANY], sum = 0;
        placement->ops->shares(placement, shares);
        count_space(placement, N_SPACE, counted);
        for (size_t i = 0; i < sizes[s]; i++) {
            CLAIM(shares[i] >= 0.0);
            CLAIM(fabs(shares[i] - counted[i]) <= shares_tolerance(fixture, shares[i], N_SPACE));
            sum += shares[i];
        }
        CLAIM(fabs(sum - 1.0) < 1e-9);
        check_arcs(fixture, placement, shares);
        if (placement->ops->owner_at)
            count_circle(placement, counted);
        for (size_t i = 0; placement->ops->owner_at && i < sizes[s]; i++)
            CLAIM(fabs(shares[i] - counted[i]) < 0.001);
        placement_free(placement);
    }
}

static void shares_sum_to_one_and_agree_with_counting_the_circle_and_arcs(void **state)
{
    (void)state;
    each_pair(check_shares);
}

/* ---- balance -------------------------------------------------------------------------------- */

static void at_least_one_hash_mixes_and_the_polynomials_do_not(void **state)
{
    (void)state;
    const struct part *hashes[PLACEMENT_PAIRS_MAX];
    size_t n_mix = 0, n_hashes = placement_pairs_list(&hash_family, hashes);
    for (size_t i = 0; i < n_hashes; i++) {
        struct hash_choice choice;
        struct err err;
        assert_int_equal(hash_choice_parse(hashes[i]->name, &choice, &err), 0);
        bool mixes = hash_mixes(choice.pair.request);
        n_mix += mixes;
        if (!mixes)
            print_message("balance is not asked over %s: it does not mix\n", hashes[i]->name);
        if (strcmp(hashes[i]->name, "quadratic") == 0)
            assert_false(mixes);
        hash_choice_done(&choice);
    }
    assert_true(n_mix >= 2);
}

static double cov_of(const double *shares, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (shares[i] * (double)n - 1.0) * (shares[i] * (double)n - 1.0);
    return sqrt(sum / (double)n);
}

static void check_spread(const struct placement_fixture *fixture)
{
    const struct placement_ops *ops = ops_of(fixture);
    if (!ops->shares || !ops->spread || !hash_mixes(fixture->hashes.pair.server))
        return;
    static const size_t sizes[] = {2, 3, 10, 20};
    for (size_t s = 0; s < 4; s++) {
        size_t n = sizes[s];
        double expected = ops->spread(fixture->spec.params, n);
        /* Tables that are even to an entry have no luck to average out. */
        const unsigned n_trials = expected < 0.001 ? 3 : 400;
        double sum_squares = 0;
        for (uint64_t trial = 0; trial < n_trials; trial++) {
            uint64_t ids[MANY];
            double shares[MANY];
            draw_ids(trial, 1000000, ids, n);
            struct placement *placement = placement_fixture_build(fixture, ids, n);
            ops->shares(placement, shares);
            double cov = cov_of(shares, n);
            sum_squares += cov * cov;
            placement_free(placement);
        }
        double measured = sqrt(sum_squares / n_trials);
        print_message("%s over %s, N = %zu: CoV %.4f, expected %.4f\n", ops->part.name,
                      fixture->hashes.request.part->name, n, measured, expected);
        /* CoV² of N members is about χ² with N − 1 degrees of freedom: over 400 trials the root
         * has a relative error of 3.5 % at N = 2, less above. */
        CLAIM(fabs(measured - expected) <= 0.12 * expected + 1e-9);
    }
}

static void the_spread_of_shares_is_the_theorys(void **state)
{
    (void)state;
    each_pair(check_spread);
}

static void check_counts(const struct placement_fixture *fixture)
{
    const struct placement_ops *ops = ops_of(fixture);
    if (!ops->shares || ops->caps & PLACEMENT_OWN_KEY_HASH ||
        !hash_mixes(fixture->hashes.pair.request))
        return;
    struct placement *placement = placement_fixture_build_n(fixture, 10);
    uint64_t counts[10], total = 0;
    double shares[10];
    placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, counts);
    ops->shares(placement, shares);
    for (size_t i = 0; i < 10; i++) {
        double expected = 900000 * shares[i];
        CLAIM(fabs((double)counts[i] - expected) < 6 * sqrt(expected * (1 - shares[i])) + 1);
        total += counts[i];
    }
    CLAIM(total == 900000);
    placement_free(placement);
}

static void request_ids_fall_as_the_shares_say(void **state)
{
    (void)state;
    each_pair(check_counts);
}

static void check_weights(const struct placement_fixture *fixture)
{
    const struct placement_ops *ops = ops_of(fixture);
    if (!(ops->caps & PLACEMENT_WEIGHTED) || !hash_mixes(fixture->hashes.pair.server))
        return;
    enum { TRIALS = 100 };
    const uint32_t weights[4] = {1, 2, 3, 10};
    double mean[4] = {0};
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        uint64_t ids[4];
        double shares[4];
        struct placement *placement = NULL;
        struct err err = {0};
        draw_ids(trial, 1000000, ids, 4);
        CLAIM(placement_fixture_try(fixture, ids, weights, 4, (struct hash){.ops = &identity_hash},
                                    &placement, &err) == 0);
        if (ops->shares && !(ops->caps & PLACEMENT_DRAWN))
            ops->shares(placement, shares);
        else
            count_space(placement, 1 << 14, shares);
        for (size_t i = 0; i < 4; i++)
            mean[i] += shares[i] / TRIALS;
        placement_free(placement);
    }
    for (size_t i = 0; i < 4; i++)
        CLAIM(fabs(mean[i] / (weights[i] / 16.0) - 1.0) < 0.05);
}

static void shares_follow_weights_where_claimed(void **state)
{
    (void)state;
    each_pair(check_weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_sum_to_one_and_agree_with_counting_the_circle_and_arcs),
        cmocka_unit_test(at_least_one_hash_mixes_and_the_polynomials_do_not),
        cmocka_unit_test(the_spread_of_shares_is_the_theorys),
        cmocka_unit_test(request_ids_fall_as_the_shares_say),
        cmocka_unit_test(shares_follow_weights_where_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
