#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/forked.h"

static void utf8_reads_back_every_character_it_writes(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        uint32_t back = 0xffffffff;
        size_t len;

        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        len = utf8_put(code, text);
        if (utf8_char(text, len, &back) != len || back != code)
            fail_msg("U+%04X", (unsigned)code);
        /* One byte less is a cut character; one more does not matter. */
        if (utf8_char(text, len - 1, NULL) != 0)
            fail_msg("U+%04X cut", (unsigned)code);
    }
    assert_int_equal(utf8_char("ab", 2, NULL), 1);
}

static void utf8_takes_exactly_the_sequences_of_rfc_3629(void **state)
{
    uint64_t n_valid = 0;

    (void)state;
    /* All sequences of three bytes as a start: how many are one whole character of 1, 2, 3 bytes
     * is known from the code ranges. */
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const char text[3] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        size_t len = utf8_char(text, 3, NULL);

        n_valid += len > 0;
    }
    assert_int_equal(n_valid, 0x80ull * 65536 + 0x780ull * 256 + (0x10000ull - 0x800 - 0x800));
}

static void utf8_refuses_malformed_sequences(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xbf",             /* */
        "\xc0\x80",         /* overlong U+0000 */
        "\xc1\xbf",         /* overlong U+007F */
        "\xe0\x80\x80",     /* overlong */
        "\xe0\x9f\xbf",     /* overlong U+07FF */
        "\xf0\x8f\xbf\xbf", /* overlong U+FFFF */
        "\xed\xa0\x80",     /* surrogate U+D800 */
        "\xed\xbf\xbf",     /* surrogate U+DFFF */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf8\x88\x80\x80", /* five bytes */
        "\xfe",             /* */
        "\xff",             /* */
        "\xe2\x82",         /* cut */
        "\xe2\x28\xa1",     /* ASCII inside */
        "\xc3\xc3",         /* a start inside */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(utf8_char(bad[i], strlen(bad[i]), NULL), 0);
    assert_int_equal(utf8_char("", 0, NULL), 0);
}

static void call_put_surrogate(void *unused)
{
    char text[4];

    (void)unused;
    utf8_put(0xd800, text);
}

static void utf8_put_of_a_surrogate_is_a_bug(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_put_surrogate, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_reads_back_every_character_it_writes),
        cmocka_unit_test(utf8_takes_exactly_the_sequences_of_rfc_3629),
        cmocka_unit_test(utf8_refuses_malformed_sequences),
        cmocka_unit_test(utf8_put_of_a_surrogate_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
