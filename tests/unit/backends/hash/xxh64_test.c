#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/hash_fixture.h"

static int open_hash(void **state)
{
    (void)state;
    return hash_fixture_open("xxh64");
}

/* The specification's and the reference implementation's test values. */
static void bytes_have_the_published_values(void **state)
{
    (void)state;
    assert_int_equal(hash_of("", 0, 0), UINT64_C(0xef46db3751d8e999));
    assert_int_equal(hash_of("a", 1, 0), UINT64_C(0xd24ec4f1a98c6e5b));
    assert_int_equal(hash_of("abc", 3, 0), UINT64_C(0x44bc2cf5ad770999));
}

static void the_option_seed_is_added_to_the_callers(void **state)
{
    struct hash_choice seeded;
    (void)state;
    assert_int_equal(hash_of_choice("xxh64:seed=40", "abc", 3, 2), hash_of("abc", 3, 42));
    assert_int_equal(hash_choice_parse("xxh64:seed=40", &seeded, NULL), 0);
    assert_true(hash_key(seeded.pair.request, 1) != hash_key(hash_fixture(), 1));
    hash_choice_done(&seeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_the_published_values),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
        cmocka_unit_test(the_option_seed_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
