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
    return hash_fixture_open("fnv1a");
}

/* draft-eastlake-fnv, appendix: 64-bit FNV-1a of the strings without their NUL. */
static void the_test_vectors_of_the_fnv_draft_pass(void **state)
{
    (void)state;
    assert_int_equal(hash_of("", 0, 0), UINT64_C(0xcbf29ce484222325));
    assert_int_equal(hash_of("a", 1, 0), UINT64_C(0xaf63dc4c8601ec8c));
    assert_int_equal(hash_of("foobar", 6, 0), UINT64_C(0x85944171f73967e8));
}

/* The last byte is multiplied once: it cannot reach the top sixteen bits by more than a carry. */
static void last_bytes_hardly_reach_the_top(void **state)
{
    uint64_t lowest = UINT64_MAX, highest = 0;
    char key[8] = "user-00";
    (void)state;
    for (int c = '0'; c <= '9'; c++) {
        key[6] = (char)c;
        uint64_t hash = hash_of(key, 7, 0);
        lowest = hash < lowest ? hash : lowest;
        highest = hash > highest ? hash : highest;
    }
    assert_true(highest - lowest < UINT64_C(1) << 45); /* of 2^64: all ten in 1/2^19 of a ring */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_vectors_of_the_fnv_draft_pass),
        cmocka_unit_test(last_bytes_hardly_reach_the_top),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
