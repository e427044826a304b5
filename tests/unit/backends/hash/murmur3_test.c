#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backends/hash.h"
#include "backends/hash/murmur3.h"

static struct hash_choice choice;

static int open_hash(void **state)
{
    (void)state;
    return hash_choice_parse("murmur3", &choice, NULL);
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

static void a_number_is_hashed_as_its_little_endian_bytes(void **state)
{
    const struct hash hash = choice.pair.request;
    const char key[8] = {0x40, 0x42, 0x0f};    /* 1000000 */
    const char point[16] = {[0] = 3, [8] = 8}; /* member 3, virtual node 8 */
    (void)state;
    assert_int_equal(hash_key(hash, 1000000), hash_of(key, 8, 0));
    assert_int_equal(hash_point(hash, 3, 8), hash_of(point, 16, 0));
}

static void the_seed_option_is_added_to_the_callers(void **state)
{
    struct hash_choice seeded;
    (void)state;
    assert_int_equal(hash_choice_parse("murmur3:seed=5", &seeded, NULL), 0);
    struct hash hash = seeded.pair.request;
    assert_int_equal(hash.ops->bytes(hash.params, "abc", 3, 2), hash_of("abc", 3, 7));
    hash_choice_done(&seeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verification_value_of_smhasher_comes_out),
        cmocka_unit_test(the_hash_is_the_low_word),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
        cmocka_unit_test(the_seed_option_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, close_hash);
}
