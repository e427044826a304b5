#include "core/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

/* RFC 3720, appendix B.4, read as the numbers whose little-endian bytes it prints; and the check
 * value of the catalogue of parametrised CRCs (CRC-32/ISCSI). */
static void crc32c_gives_the_checksums_of_rfc_3720(void **state)
{
    unsigned char bytes[48];

    (void)state;
    memset(bytes, 0, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5c);

    /* An iSCSI read command. */
    static const unsigned char command[48] = {
        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
        0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
        0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
    assert_int_equal(crc32c(0, command, 48), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

static void crc32c_of_nothing_is_the_seed(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0x12345678, "", 0), 0x12345678);
    assert_int_equal(crc32c_by_table(0x12345678, "", 0), 0x12345678);
}

static void crc32c_goes_on_from_a_seed(void **state)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    size_t n = strlen(text);

    (void)state;
    for (size_t cut = 0; cut <= n; cut++)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, n - cut), crc32c(0, text, n));
}

static void crc32c_finds_every_flipped_bit(void **state)
{
    unsigned char bytes[64] = {0};
    uint32_t clean = crc32c(0, bytes, sizeof(bytes));

    (void)state;
    for (unsigned bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, bytes, sizeof(bytes)), clean);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static void the_instruction_and_the_table_agree(void **state)
{
    unsigned char bytes[300 + 8];
    struct rng rng;

    (void)state;
    if (!crc32c_has_instruction()) {
        print_message("this processor has no CRC-32C instruction\n");
        skip();
    }
    rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)rng_next(&rng);
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t n = 0; n <= 300; n++) {
            uint32_t seed = (uint32_t)rng_next(&rng);
            assert_int_equal(crc32c_by_instruction(seed, bytes + shift, n),
                             crc32c_by_table(seed, bytes + shift, n));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_checksums_of_rfc_3720),
        cmocka_unit_test(crc32c_of_nothing_is_the_seed),
        cmocka_unit_test(crc32c_goes_on_from_a_seed),
        cmocka_unit_test(crc32c_finds_every_flipped_bit),
        cmocka_unit_test(the_instruction_and_the_table_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
