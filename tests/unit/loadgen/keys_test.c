#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "core/mem.h"
#include "core/stats.h"
#include "loadgen/keys.h"

static struct keys *open_as(const char *text, uint32_t thread, uint32_t n_threads, uint64_t seed)
{
    const struct keys_place place = {.seed = seed, .thread = thread, .n_threads = n_threads};
    struct keys *keys = NULL;
    struct spec spec;
    struct err err;

    if (spec_parse(&keys_family, text, &spec, &err) < 0 ||
        keys_open(&spec, &place, &keys, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    spec_done(&spec);
    return keys;
}

/* Draws n keys of low … low + n_keys − 1 and tests them against the shares. */
static double chi_square_p(const char *text, uint64_t low, size_t n_keys, const double *shares,
                           size_t n, uint64_t seed)
{
    struct keys *keys = open_as(text, 0, 1, seed);
    uint64_t *counts = mem_zalloc(n_keys, sizeof(*counts));
    struct rng rng;
    double p;

    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        uint64_t key = keys_next(keys, &rng);
        assert_true(key >= low && key - low < n_keys);
        counts[key - low]++;
    }
    p = stats_chi_square_p(stats_chi_square(counts, shares, n_keys), (unsigned)n_keys - 1);
    keys_close(keys);
    free(counts);
    return p;
}

/* Fails unless the keys fit; with three seeds, so that no lucky one hides a fault, and a limit that
 * none of some hundred such tests should pass by chance. */
static void assert_fits(const char *text, uint64_t low, size_t n_keys, const double *shares,
                        size_t n)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double p = chi_square_p(text, low, n_keys, shares, n, seed);
        if (p < 1e-5)
            fail_msg("%s: p = %g with seed %llu", text, p, (unsigned long long)seed);
    }
}

static void zipf_shares(double exponent, size_t n, double *shares)
{
    double sum = 0.;

    for (size_t i = 0; i < n; i++)
        sum += shares[i] = pow((double)(i + 1), -exponent);
    for (size_t i = 0; i < n; i++)
        shares[i] /= sum;
}

static void ids_are_six_digits_and_uniform(void **state)
{
    struct keys *keys = open_as("ids", 0, 1, 1);
    uint64_t counts[900] = {0}, lowest = UINT64_MAX, highest = 0;
    double shares[900];
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < 900000; i++) {
        uint64_t key = keys_next(keys, &rng);
        assert_true(key >= 100000 && key <= 999999);
        counts[(key - 100000) / 1000]++;
        lowest = key < lowest ? key : lowest;
        highest = key > highest ? key : highest;
    }
    for (size_t i = 0; i < 900; i++)
        shares[i] = 1. / 900.;
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, 900), 899) > 1e-4);
    /* Both ends are reached, or nearly so. */
    assert_true(lowest < 100020 && highest > 999979);
    keys_close(keys);
}

static void uniform_keys_are_uniform_over_their_range(void **state)
{
    double shares[100];

    (void)state;
    for (size_t i = 0; i < 100; i++)
        shares[i] = .01;
    assert_fits("uniform:low=5,high=104", 5, 100, shares, 200000);
    assert_true(chi_square_p("uniform:low=7,high=8", 7, 2, (double[]){.5, .5}, 10000, 1) > 1e-4);
}

static void zipfian_keys_follow_their_exponent(void **state)
{
    static const char *const exponents[] = {"0.2", "0.5", "0.99", "1", "1.000001", "1.3", "2", "3"};
    static const size_t sizes[] = {2, 3, 10, 200};
    double shares[200];

    (void)state;
    for (size_t e = 0; e < sizeof(exponents) / sizeof(*exponents); e++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            char text[96];
            /* So many keys that the last expects more than five. */
            size_t n = sizes[s] == 200 && e >= 6 ? 10 : sizes[s];
            snprintf(text, sizeof(text), "zipfian:low=100,high=%zu,exponent=%s", 99 + n,
                     exponents[e]);
            zipf_shares(strtod(exponents[e], NULL), n, shares);
            assert_fits(text, 100, n, shares, 200000);
        }
    }
    assert_int_equal(chi_square_p("zipfian:low=4,high=4", 4, 1, (double[]){1.}, 1000, 1), 1);
}

static void the_test_of_zipfian_notices_another_exponent(void **state)
{
    double shares[200];

    (void)state;
    zipf_shares(1.02, 200, shares);
    assert_true(chi_square_p("zipfian:low=0,high=199,exponent=0.99", 0, 200, shares, 200000, 1) <
                1e-4);
}

/* The six-digit range: the first hundred ranks one by one, the others together. */
static void zipfian_holds_over_a_large_range(void **state)
{
    struct keys *keys = open_as("zipfian", 0, 1, 1);
    uint64_t counts[101] = {0};
    double shares[101] = {0}, sum = 0.;
    struct rng rng;

    (void)state;
    for (size_t rank = 900000; rank >= 1; rank--) {
        double weight = pow((double)rank, -.99);
        sum += weight;
        shares[rank <= 100 ? rank - 1 : 100] += weight;
    }
    for (size_t i = 0; i < 101; i++)
        shares[i] /= sum;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < 500000; i++) {
        uint64_t rank = keys_next(keys, &rng) - 100000;
        assert_true(rank < 900000);
        counts[rank < 100 ? rank : 100]++;
    }
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, 101), 100) > 1e-4);
    keys_close(keys);
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

static void scrambled_zipfian_moves_the_popular_keys_and_keeps_the_shares(void **state)
{
    struct keys *keys = open_as("zipfian:low=0,high=49,exponent=1.5,scrambled=true", 0, 1, 9);
    uint64_t counts[50] = {0};
    double shares[50];
    struct rng rng;
    bool in_order = true;

    (void)state;
    rng_seed(&rng, 9);
    for (size_t i = 0; i < 300000; i++)
        counts[keys_next(keys, &rng)]++;
    for (size_t i = 1; i < 10; i++)
        in_order &= counts[i] <= counts[i - 1];
    assert_false(in_order);
    /* By rank: sorting favours chance a little, hence the small limit. */
    qsort(counts, 50, sizeof(*counts), descending);
    zipf_shares(1.5, 50, shares);
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, 50), 49) > 1e-6);
    keys_close(keys);
}

static void the_permutation_reaches_every_place_once(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 5, 64, 1000, 65537};
    bool *seen = mem_zalloc(65537, sizeof(*seen));

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            memset(seen, 0, 65537 * sizeof(*seen));
            for (uint64_t i = 0; i < sizes[s]; i++) {
                uint64_t at = keys_permute(i, sizes[s], seed);
                assert_true(at < sizes[s] && !seen[at]);
                seen[at] = true;
            }
        }
    }
    assert_true(keys_permute(KEYS_MAX - 1, KEYS_MAX, 1) < KEYS_MAX);
    free(seen);
}

static void sequential_keys_start_over_and_threads_take_turns(void **state)
{
    struct keys *one = open_as("sequential:low=10,high=14", 0, 1, 1);
    struct keys *threads[2] = {open_as("sequential:low=10,high=14", 0, 2, 1),
                               open_as("sequential:low=10,high=14", 1, 2, 1)};
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (uint64_t i = 0; i < 40; i++) {
        assert_int_equal(keys_next(one, &rng), 10 + i % 5);
        assert_int_equal(keys_next(threads[i % 2], &rng), 10 + i % 5);
    }
    keys_close(one);
    keys_close(threads[0]);
    keys_close(threads[1]);
}

static void a_hotspot_gets_its_share(void **state)
{
    double shares[100];

    (void)state;
    for (size_t i = 0; i < 100; i++)
        shares[i] = i < 10 ? .9 / 10. : .1 / 90.;
    assert_fits("hotspot:low=1,high=100,keys=0.1,requests=0.9", 1, 100, shares, 200000);
    /* No fraction of a key: one at least, all at most. */
    for (size_t i = 0; i < 10; i++)
        shares[i] = i < 1 ? .8 : .2 / 9.;
    assert_fits("hotspot:low=0,high=9,keys=0,requests=0.8", 0, 10, shares, 100000);
    for (size_t i = 0; i < 10; i++)
        shares[i] = .1;
    assert_fits("hotspot:low=0,high=9,keys=1,requests=0.5", 0, 10, shares, 100000);
}

static void the_seed_alone_decides_the_keys(void **state)
{
    static const char *const texts[] = {"ids", "uniform", "zipfian", "zipfian:scrambled=true",
                                        "hotspot"};

    (void)state;
    for (size_t t = 0; t < sizeof(texts) / sizeof(*texts); t++) {
        struct keys *a = open_as(texts[t], 0, 1, 5), *b = open_as(texts[t], 0, 1, 5);
        struct rng rng_a, rng_b, rng_c;
        unsigned n_same = 0;

        rng_seed(&rng_a, 5);
        rng_seed(&rng_b, 5);
        rng_seed(&rng_c, 6);
        for (int i = 0; i < 1000; i++) {
            uint64_t key = keys_next(a, &rng_a);
            assert_int_equal(key, keys_next(b, &rng_b));
            n_same += key == keys_next(b, &rng_c);
        }
        assert_true(n_same < 300); /* zipfian's first key is often the same by chance */
        keys_close(a);
        keys_close(b);
    }
}

static void every_choice_says_where_it_comes_from(void **state)
{
    const struct part *parts[16];
    size_t n = family_list(&keys_family, parts, 16);

    (void)state;
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_true(*parts[i]->summary && *parts[i]->source);
}

static void options_that_make_no_range_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"uniform:low=9,high=8", "low=9"},
        {"sequential:low=9,high=8", "low=9"},
        {"zipfian:low=9,high=8", "low=9"},
        {"hotspot:low=9,high=8", "low=9"},
        {"zipfian:exponent=0", "uniform"},
        {"zipfian:exponent=21", "exponent"},
        {"hotspot:keys=2", "keys"},
        {"uniform:high=1000000000000000", "high"},
        {"zipfien", "zipfian"},
        {"uniform:lo=1", "low"},
    };
    const struct keys_place place = {.n_threads = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct keys *keys = NULL;
        struct spec spec = {.part = NULL};
        struct err err;
        int rc = spec_parse(&keys_family, rows[i].text, &spec, &err);

        if (rc == 0)
            rc = keys_open(&spec, &place, &keys, &err);
        if (rc != -EINVAL)
            fail_msg("'%s' was taken", rows[i].text);
        if (!strstr(err.message, rows[i].says))
            fail_msg("'%s': '%s' does not say '%s'", rows[i].text, err.message, rows[i].says);
        spec_done(&spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_six_digits_and_uniform),
        cmocka_unit_test(uniform_keys_are_uniform_over_their_range),
        cmocka_unit_test(zipfian_keys_follow_their_exponent),
        cmocka_unit_test(the_test_of_zipfian_notices_another_exponent),
        cmocka_unit_test(zipfian_holds_over_a_large_range),
        cmocka_unit_test(scrambled_zipfian_moves_the_popular_keys_and_keeps_the_shares),
        cmocka_unit_test(the_permutation_reaches_every_place_once),
        cmocka_unit_test(sequential_keys_start_over_and_threads_take_turns),
        cmocka_unit_test(a_hotspot_gets_its_share),
        cmocka_unit_test(the_seed_alone_decides_the_keys),
        cmocka_unit_test(every_choice_says_where_it_comes_from),
        cmocka_unit_test(options_that_make_no_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
