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
    return hash_fixture_open("xxh3");
}

/* The library's own sanity check: its buffer, its answers. */
static void the_sanity_checks_of_xxhash_pass(void **state)
{
    static const uint64_t prime_32 = UINT64_C(2654435761),
                          prime_64 = UINT64_C(11400714785074694797);
    static const struct {
        size_t n;
        uint64_t plain, seeded;
    } checks[] = {
        {0, UINT64_C(0x2d06800538d394c2), UINT64_C(0xa8a6b918b2f0364a)},
        {1, UINT64_C(0xc44bdff4074eecdb), UINT64_C(0x032be332dd766ef8)},
        {6, UINT64_C(0x27b56a84cd2d7325), UINT64_C(0x84589c116ab59ab9)},
        {12, UINT64_C(0xa713daf0dfbb77e7), UINT64_C(0xe7303e1b2336de0e)},
        {24, UINT64_C(0xa3fe70bf9d3510eb), UINT64_C(0x850e80fc35bdd690)},
        {48, UINT64_C(0x397da259ecba1f11), UINT64_C(0xadc2cbaa44acc616)},
        {80, UINT64_C(0xbcdefbbb2c47c90a), UINT64_C(0xc6dd0cb699532e73)},
        {195, UINT64_C(0xcd94217ee362ec3a), UINT64_C(0xba68003d370cb3d9)},
        {403, UINT64_C(0xcdeb804d65c6dea4), UINT64_C(0x6259f6ecfd6443fd)},
        {512, UINT64_C(0x617e49599013cb6b), UINT64_C(0x3ce457de14c27708)},
        {2048, UINT64_C(0xdd59e2c3a5f038e0), UINT64_C(0x66f81670669ababc)},
        {2367, UINT64_C(0xcb37aeb9e5d361ed), UINT64_C(0xd2db3415b942b42a)},
    };
    unsigned char buffer[2367];
    uint64_t generator = prime_32;
    (void)state;
    for (size_t i = 0; i < sizeof(buffer); i++, generator *= prime_64)
        buffer[i] = (unsigned char)(generator >> 56);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        assert_int_equal(hash_of(buffer, checks[i].n, 0), checks[i].plain);
        assert_int_equal(hash_of(buffer, checks[i].n, prime_64), checks[i].seeded);
    }
}

static void the_seed_option_is_added_to_the_callers(void **state)
{
    (void)state;
    assert_int_equal(hash_of_choice("xxh3:seed=5", "abc", 3, 2), hash_of("abc", 3, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sanity_checks_of_xxhash_pass),
        cmocka_unit_test(a_number_is_hashed_as_its_little_endian_bytes),
        cmocka_unit_test(the_seed_option_is_added_to_the_callers),
    };
    return cmocka_run_group_tests(tests, open_hash, hash_fixture_close);
}
