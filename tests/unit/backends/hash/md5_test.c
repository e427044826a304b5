#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "backends/hash.h"

static struct hash_choice choice;

static int open_md5(void **state)
{
    (void)state;
    return hash_choice_parse("md5", &choice, NULL);
}

static int close_md5(void **state)
{
    (void)state;
    hash_choice_done(&choice);
    return 0;
}

static uint64_t md5_of(const char *text, uint64_t seed)
{
    struct hash hash = choice.pair.request;
    return hash.ops->bytes(hash.params, text, strlen(text), seed);
}

/* RFC 1321, A.5: the first eight bytes of each digest, read little-endian. */
static void the_test_suite_of_rfc_1321_passes(void **state)
{
    static const struct {
        const char *text;
        uint64_t first_half; /* as printed there: the first byte leads */
    } suite[] = {
        {"", UINT64_C(0xd41d8cd98f00b204)},
        {"a", UINT64_C(0x0cc175b9c0f1b6a8)},
        {"abc", UINT64_C(0x900150983cd24fb0)},
        {"message digest", UINT64_C(0xf96b697d7cb7938d)},
        {"abcdefghijklmnopqrstuvwxyz", UINT64_C(0xc3fcd3d76192e400)},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         UINT64_C(0xd174ab98d277d9f5)},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         UINT64_C(0x57edf4a22be3c955)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++)
        assert_int_equal(__builtin_bswap64(md5_of(suite[i].text, 0)), suite[i].first_half);
}

static void a_number_is_hashed_as_its_little_endian_bytes(void **state)
{
    const struct hash hash = choice.pair.request;
    const char key[8] = {0x40, 0x42, 0x0f};    /* 1000000 */
    const char point[16] = {[0] = 3, [8] = 8}; /* member 3, virtual node 8 */
    (void)state;
    assert_int_equal(hash_key(hash, 1000000), hash.ops->bytes(hash.params, key, 8, 0));
    assert_int_equal(hash_point(hash, 3, 8), hash.ops->bytes(hash.params, point, 16, 0));
}

static void a_seed_makes_another_hash(void **state)
{
    (void)state;
    assert_true(md5_of("abc", 1) != md5_of("abc", 0));
    assert_true(md5_of("abc", 1) != md5_of("abc", 2));
    assert_int_equal(md5_of("abc", 1), md5_of("abc", 1));
}

static void *hash_in_thread(void *argument)
{
    uint64_t *wrong = argument;
    for (uint64_t i = 0; i < 2000; i++)
        *wrong += hash_key(choice.pair.request, 7) != hash_key(choice.pair.server, 7) ||
                  md5_of("abc", 0) != __builtin_bswap64(UINT64_C(0x900150983cd24fb0));
    return NULL;
}

static void threads_hash_at_the_same_time(void **state)
{
    pthread_t threads[4];
    uint64_t wrong[4] = {0};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_in_thread, &wrong[i]), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(wrong[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_suite_of_rfc_1321_passes),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
        cmocka_unit_test(a_seed_makes_another_hash),
        cmocka_unit_test(threads_hash_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, open_md5, close_md5);
}
