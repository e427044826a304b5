#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backends/hash/murmur3.h"
#include "tests/support/hash_fixture.h"

static int open_hash(void **state)
{
    (void)state;
    return hash_fixture_open("murmur3");
}

/* SMHasher's verification of an implementation: keys of 0, 1, … 255 bytes (0, 1, 2, …) under the
 * seeds 256, 255, …, the 256 digests hashed once more; the first four bytes of that. */
static void the_verification_value_of_smhasher_comes_out(void **state)
{
    unsigned char key[256], digests[256 * 16], final[16];
    uint64_t words[2];
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        key[i] = (unsigned char)i;
        murmur3_x64_128(key, i, 256 - i, words);
        words[0] = htole64(words[0]);
        words[1] = htole64(words[1]);
        memcpy(digests + 16 * i, words, 16);
    }
    murmur3_x64_128(digests, sizeof(digests), 0, words);
    words[0] = htole64(words[0]);
    memcpy(final, words, 16);
    assert_int_equal((uint32_t) final[0] | (uint32_t) final[1] << 8 | (uint32_t) final[2] << 16 |
                         (uint32_t) final[3] << 24,
                     0x6384ba69);
}

static void the_hash_is_the_low_word(void **state)
{
    uint64_t words[2];
    (void)state;
    murmur3_x64_128("hello", 5, 42, words);
    assert_int_equal(hash_of("hello", 5, 42), words[0]);
    assert_true(words[0] != words[1]);
    assert_int_equal(hash_of("", 0, 0), 0);
}

static void the_seed_option_is_added_to_the_callers(void **state)
{
    (void)state;
    assert_int_equal(hash_of_choice("murmur3:seed=5", "abc", 3, 2), hash_of("abc", 3, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verification_value_of_smhasher_comes_out),
        cmocka_unit_test(the_hash_is_the_low_word),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
        cmocka_unit_test(the_seed_option_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
