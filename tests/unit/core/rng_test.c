#include "core/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/stats.h"
#include "tests/support/forked.h"

/* Below this a good generator falls once in a million seeds; these seeds are fixed. */
#define P_MIN 1e-6

static void rng_mix64_is_splitmix64(void **state)
{
    /* Outputs of the published splitmix64.c from the state 0, and from 1234567. */
    static const uint64_t from_0[] = {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                                      0xf88bb8a8724c81ec, 0x1b39896a51a8749b};
    static const uint64_t from_1234567[] = {6457827717110365317u, 3203168211198807973u,
                                            9817491932198370423u, 4593380528125082431u,
                                            16408922859458223821u};

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(rng_mix64(i * 0x9e3779b97f4a7c15) == from_0[i]);
        assert_true(rng_mix64(1234567 + i * 0x9e3779b97f4a7c15) == from_1234567[i]);
    }
}

static void rng_next_is_xoshiro256_starstar(void **state)
{
    /* Outputs of the published xoshiro256starstar.c from the state {1, 2, 3, 4}. */
    static const uint64_t expected[] = {11520u,
                                        0u,
                                        1509978240u,
                                        1215971899390074240u,
                                        1216172134540287360u,
                                        607988272756665600u,
                                        16172922978634559625u,
                                        8476171486693032832u,
                                        10595114339597558777u,
                                        2904607092377533576u};
    struct rng rng = {{1, 2, 3, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(rng_next(&rng) == expected[i]);
}

static void rng_seed_fills_the_state_by_splitmix64(void **state)
{
    static const uint64_t from_0[] = {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                                      0xf88bb8a8724c81ec};
    struct rng rng, again, other;

    (void)state;
    rng_seed(&rng, 0);
    assert_memory_equal(rng.state, from_0, sizeof(from_0));
    rng_seed(&rng, 42);
    rng_seed(&again, 42);
    rng_seed(&other, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = rng_next(&rng);

        assert_true(value == rng_next(&again));
        assert_true(value != rng_next(&other));
    }
}

static void rng_entropy_differs(void **state)
{
    (void)state;
    assert_true(rng_entropy() != rng_entropy());
}

static void rng_below_is_uniform(void **state)
{
    enum { BOUND = 37, N = 370000 };
    uint64_t counts[BOUND] = {0};
    double shares[BOUND];
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (int i = 0; i < N; i++) {
        uint64_t value = rng_below(&rng, BOUND);

        assert_true(value < BOUND);
        counts[value]++;
    }
    for (size_t i = 0; i < BOUND; i++)
        shares[i] = 1.0 / BOUND;
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, BOUND), BOUND - 1) > P_MIN);
}

static void rng_below_has_no_modulo_bias(void **state)
{
    /* 2^64 numbers over 3·2^62 places: without rejection every third place is met twice as often,
     * and with a modulo the first third of them. */
    const uint64_t bound = UINT64_C(3) << 62;
    const double thirds[3] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    uint64_t by_range[3] = {0}, by_remainder[3] = {0};
    struct rng rng;

    (void)state;
    rng_seed(&rng, 2);
    for (int i = 0; i < 30000; i++) {
        uint64_t value = rng_below(&rng, bound);

        assert_true(value < bound);
        by_range[value >> 62]++;
        by_remainder[value % 3]++;
    }
    assert_true(stats_chi_square_p(stats_chi_square(by_range, thirds, 3), 2) > P_MIN);
    assert_true(stats_chi_square_p(stats_chi_square(by_remainder, thirds, 3), 2) > P_MIN);
}

static void call_below_zero(void *unused)
{
    struct rng rng;

    (void)unused;
    rng_seed(&rng, 1);
    rng_below(&rng, 0);
}

static void rng_below_knows_its_ends(void **state)
{
    struct rng rng;

    (void)state;
    rng_seed(&rng, 3);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_below(&rng, 1), 0);
    assert_true(forked_aborts(call_below_zero, NULL));
}

static void rng_unit_is_uniform_and_below_one(void **state)
{
    enum { CELLS = 100 };
    uint64_t counts[CELLS] = {0};
    double shares[CELLS];
    struct rng rng;

    (void)state;
    rng_seed(&rng, 4);
    for (int i = 0; i < 200000; i++) {
        double value = rng_unit(&rng);

        assert_true(value >= 0 && value < 1);
        counts[(size_t)(value * CELLS)]++;
    }
    for (size_t i = 0; i < CELLS; i++)
        shares[i] = 1.0 / CELLS;
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, CELLS), CELLS - 1) > P_MIN);
}

static void rng_unit_of_the_largest_number_is_below_one(void **state)
{
    const uint64_t inverse_9 = UINT64_C(0x8e38e38e38e38e39);
    const uint64_t inverse_5 = UINT64_C(0xcccccccccccccccd);
    /* The state whose next output, rotl(x·5, 7)·9, is 2^64 − 1. */
    uint64_t rotated = UINT64_MAX * inverse_9;
    struct rng rng = {{0, (rotated >> 7 | rotated << 57) * inverse_5, 0, 0}}, copy = rng;

    (void)state;
    assert_true(rng_next(&copy) == UINT64_MAX);
    assert_true(rng_unit(&rng) < 1);
}

static void rng_exponential_has_its_distribution(void **state)
{
    enum { CELLS = 50, N = 200000 };
    uint64_t counts[CELLS] = {0};
    double shares[CELLS], sum = 0;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 5);
    for (int i = 0; i < N; i++) {
        double value = rng_exponential(&rng, 250);
        size_t cell = (size_t)((1 - exp(-value / 250)) * CELLS);

        assert_true(isfinite(value) && value >= 0);
        counts[cell < CELLS ? cell : CELLS - 1]++;
        sum += value;
    }
    for (size_t i = 0; i < CELLS; i++)
        shares[i] = 1.0 / CELLS;
    assert_true(fabs(sum / N - 250) < 5 * 250 / sqrt(N));
    assert_true(stats_chi_square_p(stats_chi_square(counts, shares, CELLS), CELLS - 1) > P_MIN);
}

static void rng_shuffle_gives_every_order_alike(void **state)
{
    enum { N = 24 * 5000 };
    uint64_t counts[256] = {0}, found[24];
    double shares[24];
    struct rng rng;
    size_t n_orders = 0;

    (void)state;
    rng_seed(&rng, 6);
    for (int i = 0; i < N; i++) {
        /* Three bytes an item: a size no word has. */
        unsigned char items[4][3] = {{0, 10, 20}, {1, 11, 21}, {2, 12, 22}, {3, 13, 23}};
        unsigned order = 0;

        rng_shuffle(&rng, items, 4, 3);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(items[k][1], items[k][0] + 10);
            assert_int_equal(items[k][2], items[k][0] + 20);
            order = order << 2 | items[k][0];
        }
        counts[order]++;
    }
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            assert_true(n_orders < 24);
            shares[n_orders] = 1.0 / 24;
            found[n_orders++] = counts[i];
        }
    }
    assert_int_equal(n_orders, 24);
    assert_true(stats_chi_square_p(stats_chi_square(found, shares, 24), 23) > P_MIN);
}

static void rng_shuffle_of_nothing_or_one_does_nothing(void **state)
{
    struct rng rng;
    int one = 7;

    (void)state;
    rng_seed(&rng, 7);
    rng_shuffle(&rng, NULL, 0, sizeof(int));
    rng_shuffle(&rng, &one, 1, sizeof(int));
    assert_int_equal(one, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng_mix64_is_splitmix64),
        cmocka_unit_test(rng_next_is_xoshiro256_starstar),
        cmocka_unit_test(rng_seed_fills_the_state_by_splitmix64),
        cmocka_unit_test(rng_entropy_differs),
        cmocka_unit_test(rng_below_is_uniform),
        cmocka_unit_test(rng_below_has_no_modulo_bias),
        cmocka_unit_test(rng_below_knows_its_ends),
        cmocka_unit_test(rng_unit_is_uniform_and_below_one),
        cmocka_unit_test(rng_unit_of_the_largest_number_is_below_one),
        cmocka_unit_test(rng_exponential_has_its_distribution),
        cmocka_unit_test(rng_shuffle_gives_every_order_alike),
        cmocka_unit_test(rng_shuffle_of_nothing_or_one_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
