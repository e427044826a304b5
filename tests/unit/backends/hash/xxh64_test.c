#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backends/hash.h"

static struct hash_choice choice;

static struct hash open_hash(const char *text)
{
    struct err err = {0};
    if (hash_choice_parse(text, &choice, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return choice.pair.request;
}

static uint64_t of_text(struct hash hash, const char *text, uint64_t seed)
{
    return hash.ops->bytes(hash.params, text, strlen(text), seed);
}

/* The specification's and the reference implementation's test values. */
static void bytes_have_the_published_values(void **state)
{
    (void)state;
    struct hash hash = open_hash("xxh64");
    assert_int_equal(of_text(hash, "", 0), UINT64_C(0xef46db3751d8e999));
    assert_int_equal(of_text(hash, "a", 0), UINT64_C(0xd24ec4f1a98c6e5b));
    assert_int_equal(of_text(hash, "abc", 0), UINT64_C(0x44bc2cf5ad770999));
    hash_choice_done(&choice);
}

static void numbers_are_hashed_as_little_endian_bytes(void **state)
{
    (void)state;
    struct hash hash = open_hash("xxh64");
    const unsigned char key[8] = {0x40, 0xe2, 0x01};             /* 123456 */
    const unsigned char point[16] = {3, 0, 0, 0, 0, 0, 0, 0, 8}; /* member 3, replica 8 */
    assert_int_equal(hash_key(hash, 123456), hash.ops->bytes(hash.params, key, 8, 0));
    assert_int_equal(hash_point(hash, 3, 8), hash.ops->bytes(hash.params, point, 16, 0));
    hash_choice_done(&choice);
}

static void the_option_seed_is_added_to_the_callers(void **state)
{
    (void)state;
    struct hash_choice seeded;
    struct err err;
    struct hash hash = open_hash("xxh64");
    assert_int_equal(hash_choice_parse("xxh64:seed=40", &seeded, &err), 0);
    assert_int_equal(of_text(seeded.pair.request, "abc", 2), of_text(hash, "abc", 42));
    assert_true(hash_key(seeded.pair.request, 1) != hash_key(hash, 1));
    hash_choice_done(&seeded);
    hash_choice_done(&choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_the_published_values),
        cmocka_unit_test(numbers_are_hashed_as_little_endian_bytes),
        cmocka_unit_test(the_option_seed_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
