#include "core/format.h"

#include <float.h>
#include <inttypes.h>
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

static void every_int64_has_its_digits(void **state)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, 99, 100, INT64_MAX, INT64_MIN};
    char text[FORMAT_INT64_BYTES], wanted[32];
    struct rng rng;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        snprintf(wanted, sizeof(wanted), "%" PRId64, values[i]);
        assert_string_equal(format_int64(values[i], text), wanted);
    }
    rng_seed(&rng, 6);
    for (int i = 0; i < 10000; i++) {
        int64_t value = (int64_t)(rng_next(&rng) >> rng_below(&rng, 64));
        snprintf(wanted, sizeof(wanted), "%" PRId64, value);
        assert_string_equal(format_int64(value, text), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_double_uses_the_fewest_digits),
        cmocka_unit_test(format_double_reads_back_the_same_bits),
        cmocka_unit_test(every_int64_has_its_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
