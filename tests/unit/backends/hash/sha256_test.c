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
    return hash_fixture_open("sha256");
}

/* FIPS 180-2, appendix B, and NIST's example of the empty message: the digests' first eight bytes.
 */
static void the_examples_of_nist_pass(void **state)
{
    static const struct {
        const char *text;
        uint64_t first_quarter; /* as printed there: the first byte leads */
    } examples[] = {
        {"abc", UINT64_C(0xba7816bf8f01cfea)},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", UINT64_C(0x248d6a61d20638b8)},
        {"", UINT64_C(0xe3b0c44298fc1c14)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        assert_int_equal(__builtin_bswap64(hash_of(examples[i].text, strlen(examples[i].text), 0)),
                         examples[i].first_quarter);
}

static void a_seed_makes_another_hash(void **state)
{
    (void)state;
    assert_true(hash_of("abc", 3, 1) != hash_of("abc", 3, 0));
    assert_true(hash_of("abc", 3, 1) != hash_of("abc", 3, 2));
    assert_int_equal(hash_of("abc", 3, 1), hash_of("abc", 3, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_nist_pass),
        cmocka_unit_test(a_seed_makes_another_hash),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
