#include "core/format.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static void format_double_uses_the_fewest_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.1, "0.1"},
        {0.2 + 0.1, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100"},
        {0, "0"},
        {-0.0, "-0"},
        {1e22, "1e+22"},
        {123456.789, "123456.789"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[FORMAT_DOUBLE_BYTES];

        assert_ptr_equal(format_double(cases[i].value, text), text);
        assert_string_equal(text, cases[i].text);
    }
}

static void format_double_reads_back_the_same_bits(void **state)
{
    struct rng rng;

    (void)state;
    rng_seed(&rng, 3);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = rng_next(&rng), bits_back;
        char text[FORMAT_DOUBLE_BYTES];
        double value, back;

        /* Every eighth subnormal. */
        if (i % 8 == 0)
            bits &= ~(UINT64_C(0x7ff) << 52);
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        back = strtod(format_double(value, text), NULL);
        memcpy(&bits_back, &back, sizeof(back));
        if (bits != bits_back)
            fail_msg("%a became %s", value, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_double_uses_the_fewest_digits),
        cmocka_unit_test(format_double_reads_back_the_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
