#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/crc32c.h"
#include "tests/support/hash_fixture.h"

static int open_hash(void **state)
{
    (void)state;
    return hash_fixture_open("crc32c");
}

/* tests/unit/core/crc32c_test.c has the vectors. */
static void both_halves_are_the_checksum(void **state)
{
    (void)state;
    assert_int_equal(hash_of("123456789", 9, 0), UINT64_C(0xe3069283e3069283));
    assert_int_equal(hash_of("abc", 3, 7), UINT64_C(0x100000001) * crc32c(7, "abc", 3));
}

static void it_is_linear(void **state)
{
    const struct hash hash = hash_fixture();
    uint64_t flipped = hash_key(hash, 0) ^ hash_key(hash, 0x1234);
    (void)state;
    for (uint64_t key = 1; key < 1000; key++)
        assert_int_equal(hash_key(hash, key) ^ hash_key(hash, key ^ 0x1234), flipped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_halves_are_the_checksum),
        cmocka_unit_test(it_is_linear),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
