#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/hash.h"

static struct hash_choice choice;

static struct hash open_hash(const char *text)
{
    struct err err = {0};
    if (hash_choice_parse(text, &choice, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return choice.pair.request;
}

static void the_request_hash_is_the_assignments(void **state)
{
    (void)state;
    struct hash hash = open_hash("quadratic");
    assert_int_equal(hash_key(hash, 0), 17);
    assert_int_equal(hash_key(hash, 1), 20);
    assert_int_equal(hash_key(hash, 132574), UINT64_C(17576130641));
    assert_int_equal(hash_key(hash, 132574) % 512, 81);
    hash_choice_done(&choice);
}

static void the_server_hash_is_the_assignments(void **state)
{
    (void)state;
    struct hash hash = open_hash("quadratic");
    assert_int_equal(hash_point(hash, 0, 0), 25);
    assert_int_equal(hash_point(hash, 1, 0), 26);
    assert_int_equal(hash_point(hash, 3, 8), 9 + 64 + 16 + 25);
    hash_choice_done(&choice);
}

static void arithmetic_wraps_at_64_bits(void **state)
{
    (void)state;
    struct hash hash = open_hash("quadratic");
    assert_int_equal(hash_key(hash, UINT64_MAX), 1 - 2 + 17); /* i = −1 */
    assert_int_equal(hash_point(hash, UINT64_MAX, UINT64_MAX), 1 + 1 - 2 + 25);
    assert_int_equal(hash_key(hash, UINT64_C(1) << 32), (UINT64_C(1) << 33) + 17);
    hash_choice_done(&choice);
}

static void every_coefficient_is_an_option(void **state)
{
    (void)state;
    struct hash hash = open_hash("quadratic:cubic=67,a=3,b=53,c=97,i2=2,i1=3,j2=5,j1=7,rest=11");
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(hash_key(hash, i), 67 * i * i * i + 3 * i * i + 53 * i + 97);
        for (uint64_t j = 0; j < 9; j++)
            assert_int_equal(hash_point(hash, i, j), 2 * i * i + 3 * i + 5 * j * j + 7 * j + 11);
    }
    hash_choice_done(&choice);
}

static void published_pairs_have_names(void **state)
{
    (void)state;
    struct hash hash = open_hash("poly-1427");
    assert_int_equal(hash_key(hash, 10), 142700 + 25030 + 2003);
    assert_int_equal(hash_point(hash, 3, 2), 1249 * 9 + 2287 * 4 + 1663 * 2 + 2287);
    hash_choice_done(&choice);
    hash = open_hash("poly-67");
    assert_int_equal(hash_key(hash, 10), 67000 + 300 + 530 + 97);
    assert_int_equal(hash_point(hash, 3, 2), 59 * 9 + 29 * 4 + 7 * 2 + 146);
    hash_choice_done(&choice);
    hash = open_hash("poly-11");
    assert_int_equal(hash_key(hash, 10), 1100 + 170 + 23);
    assert_int_equal(hash_point(hash, 3, 2), 23 * 9 + 71 * 4 + 59 * 2 + 301);
    hash_choice_done(&choice);
    hash = open_hash("poly-67:cubic=0");
    assert_int_equal(hash_key(hash, 10), 300 + 530 + 97);
    hash_choice_done(&choice);
}

static void it_hashes_no_bytes(void **state)
{
    (void)state;
    assert_null(open_hash("quadratic").ops->bytes);
    hash_choice_done(&choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_hash_is_the_assignments),
        cmocka_unit_test(the_server_hash_is_the_assignments),
        cmocka_unit_test(arithmetic_wraps_at_64_bits),
        cmocka_unit_test(every_coefficient_is_an_option),
        cmocka_unit_test(published_pairs_have_names),
        cmocka_unit_test(it_hashes_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
