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
    return hash_fixture_open("siphash");
}

/* The reference implementation's vectors: key 00 01 … 0f, messages 00 01 … of n bytes. That of 15
 * bytes is worked out in the paper's appendix A. */
static void the_test_vectors_of_the_reference_pass(void **state)
{
    static const uint64_t expected[] = {
        UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
        UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
        UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
        UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
        UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
        UINT64_C(0xa129ca6149be45e5), UINT64_C(0x3f2acc7f57c29bdb), UINT64_C(0x699ae9f52cbe4794)};
    unsigned char message[32];
    (void)state;
    for (unsigned i = 0; i < sizeof(message); i++)
        message[i] = (unsigned char)i;
    for (size_t n = 0; n < sizeof(expected) / sizeof(expected[0]); n++)
        assert_int_equal(hash_of(message, n, 0), expected[n]);
}

static void another_key_makes_another_hash(void **state)
{
    struct hash_choice zero;
    (void)state;
    assert_int_equal(hash_choice_parse("siphash:k0=0,k1=0", &zero, NULL), 0);
    struct hash hash = zero.pair.request;
    assert_int_equal(hash.ops->bytes(hash.params, "", 0, 0), UINT64_C(0x1e924b9d737700d7));
    hash_choice_done(&zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_vectors_of_the_reference_pass),
        cmocka_unit_test(another_key_makes_another_hash),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
