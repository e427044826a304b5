#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backends/hash.h"

static struct hash_choice choice;

static int open_hash(void **state)
{
    (void)state;
    return hash_choice_parse("wyhash", &choice, NULL);
}

static int close_hash(void **state)
{
    (void)state;
    hash_choice_done(&choice);
    return 0;
}

static uint64_t hash_of(const void *bytes, size_t n, uint64_t seed)
{
    struct hash hash = choice.pair.request;
    return hash.ops->bytes(hash.params, bytes, n, seed);
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
    const struct hash hash = choice.pair.request;
    (void)state;
    assert_true(hash_point(hash, 1, 2) != hash_point(hash, 2, 1));
    assert_true(hash_point(hash, 0, 1) != hash_key(hash, 1));
}

static void the_seed_option_is_added_to_the_callers(void **state)
{
    struct hash_choice seeded;
    (void)state;
    assert_int_equal(hash_choice_parse("wyhash:seed=5", &seeded, NULL), 0);
    struct hash hash = seeded.pair.request;
    assert_int_equal(hash.ops->bytes(hash.params, "abc", 3, 2), hash_of("abc", 3, 7));
    hash_choice_done(&seeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_vectors_of_the_reference_pass),
        cmocka_unit_test(points_of_neighbours_differ),
        cmocka_unit_test(the_seed_option_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, close_hash);
}
