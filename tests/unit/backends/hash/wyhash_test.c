#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/support/hash_fixture.h"

static int open_hash(void **state)
{
    (void)state;
    return hash_fixture_open("wyhash");
}

/* Published with the reference implementation: the i-th text under the seed i. */
static void the_test_vectors_of_the_reference_pass(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {"", UINT64_C(0x93228a4de0eec5a2)},
        {"a", UINT64_C(0xc5bac3db178713c4)},
        {"abc", UINT64_C(0xa97f2f7b1d9b3314)},
        {"message digest", UINT64_C(0x786d1f1df3801df4)},
        {"abcdefghijklmnopqrstuvwxyz", UINT64_C(0xdca5a8138ad37c87)},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         UINT64_C(0xb9e734f117cfaf70)},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         UINT64_C(0x6cc5eab49a92d617)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_int_equal(hash_of(vectors[i].text, strlen(vectors[i].text), i), vectors[i].hash);
}

static void points_of_neighbours_differ(void **state)
{
    const struct hash hash = hash_fixture();
    (void)state;
    assert_true(hash_point(hash, 1, 2) != hash_point(hash, 2, 1));
    assert_true(hash_point(hash, 0, 1) != hash_key(hash, 1));
}

static void the_seed_option_is_added_to_the_callers(void **state)
{
    (void)state;
    assert_int_equal(hash_of_choice("wyhash:seed=5", "abc", 3, 2), hash_of("abc", 3, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_vectors_of_the_reference_pass),
        cmocka_unit_test(points_of_neighbours_differ),
        cmocka_unit_test(the_seed_option_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
