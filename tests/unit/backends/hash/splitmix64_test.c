#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/support/hash_fixture.h"

static int open_hash(void **state)
{
    (void)state;
    return hash_fixture_open("splitmix64");
}

/* The first two outputs of Vigna's splitmix64.c seeded with 0. */
static void keys_have_the_published_values(void **state)
{
    (void)state;
    struct hash hash = hash_fixture();
    assert_int_equal(hash_key(hash, 0), UINT64_C(0xe220a8397b1dcdaf));
    assert_int_equal(hash_key(hash, UINT64_C(0x9e3779b97f4a7c15)), UINT64_C(0x6e789e6aa1b965f4));
}

static void points_do_not_confuse_member_and_replica(void **state)
{
    (void)state;
    struct hash hash = hash_fixture();
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(hash_point(hash, i, i + 1) != hash_point(hash, i + 1, i));
        assert_true(hash_point(hash, i, i) != hash_point(hash, 0, 0) || i == 0);
        assert_true(hash_point(hash, i, 0) != hash_key(hash, i));
    }
}

static void a_seed_reorders_keys_far_apart(void **state)
{
    (void)state;
    struct hash_choice other;
    struct err err;
    struct hash a = hash_fixture();
    assert_int_equal(hash_choice_parse("splitmix64:seed=1", &other, &err), 0);
    struct hash b = other.pair.request;
    /* were the seed only xored into the low bits, the sums over aligned blocks would be equal */
    uint64_t sum_a = 0, sum_b = 0;
    for (uint64_t key = 0; key < 1024; key++) {
        sum_a += hash_key(a, key);
        sum_b += hash_key(b, key);
    }
    assert_true(sum_a != sum_b);
    hash_choice_done(&other);
}

static void words_and_tail_of_bytes_are_chained(void **state)
{
    (void)state;
    struct hash hash = hash_fixture();
    const unsigned char text[12] = {1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 2, 0, 0};
    uint64_t expected = rng_mix64(rng_mix64(9) ^ 11);
    expected = rng_mix64(expected ^ UINT64_C(0x8000000000000001));
    expected = rng_mix64(expected ^ UINT64_C(0x0002ff));
    assert_int_equal(hash.ops->bytes(hash.params, text, 11, 9), expected);
}

static void bytes_avalanche(void **state)
{
    (void)state;
    struct hash hash = hash_fixture();
    struct rng rng;
    rng_seed(&rng, 4);
    enum { TRIALS = 2000 };
    for (size_t n = 8; n <= 24; n += 5) { /* with and without a tail */
        for (size_t bit = 0; bit < 8 * n; bit++) {
            uint64_t flips = 0;
            for (int t = 0; t < TRIALS; t++) {
                unsigned char text[24];
                for (size_t k = 0; k < n; k++)
                    text[k] = (unsigned char)rng_next(&rng);
                uint64_t before = hash.ops->bytes(hash.params, text, n, 0);
                text[bit / 8] ^= (unsigned char)(1u << (bit % 8));
                flips += (uint64_t)__builtin_popcountll(before ^
                                                        hash.ops->bytes(hash.params, text, n, 0));
            }
            double mean = (double)flips / TRIALS; /* of 64: standard error 4 / sqrt(TRIALS) */
            assert_true(mean > 31.4 && mean < 32.6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_published_values),
        cmocka_unit_test(points_do_not_confuse_member_and_replica),
        cmocka_unit_test(a_seed_reorders_keys_far_apart),
        cmocka_unit_test(words_and_tail_of_bytes_are_chained),
        cmocka_unit_test(bytes_avalanche),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
