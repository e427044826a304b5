#include "ctl/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"

static void latencies_have_three_digits_or_so(void **state)
{
    char text[WORDS_BYTES];
    (void)state;
    assert_string_equal(words_latency(0, text), "0.000 ms");
    assert_string_equal(words_latency(42 * NS_PER_US, text), "0.042 ms");
    assert_string_equal(words_latency(999600, text), "1.00 ms");
    assert_string_equal(words_latency(3120 * NS_PER_US, text), "3.12 ms");
    assert_string_equal(words_latency(9996 * NS_PER_US, text), "10.0 ms");
    assert_string_equal(words_latency(99960 * NS_PER_US, text), "100 ms");
    assert_string_equal(words_latency(412 * NS_PER_MS, text), "412 ms");
    assert_string_equal(words_latency(2310 * NS_PER_MS, text), "2.31 s");
    assert_string_equal(words_latency(3600 * NS_PER_S, text), "3600 s");
    words_latency(UINT64_MAX, text); /* fits */
}

static void uptimes_have_two_units(void **state)
{
    char text[WORDS_BYTES];
    (void)state;
    assert_string_equal(words_uptime(0, text), "0s");
    assert_string_equal(words_uptime(60 * NS_PER_S - 1, text), "59s");
    assert_string_equal(words_uptime(60 * NS_PER_S, text), "1m00s");
    assert_string_equal(words_uptime(3725 * NS_PER_S, text), "1h02m");
    assert_string_equal(words_uptime(86400 * NS_PER_S, text), "1d00h");
    words_uptime(UINT64_MAX, text);
}

static void times_are_local_with_the_date_when_it_is_not_today(void **state)
{
    char text[WORDS_BYTES];
    const uint64_t noon_ns = UINT64_C(1795262400) * NS_PER_S; /* 2026-11-21T12:00:00Z */
    (void)state;
    setenv("TZ", "EAST-2", 1); /* two hours east */
    tzset();
    assert_string_equal(words_time("2026-11-21T09:30:12.345Z", noon_ns, text), "11:30:12.345");
    assert_string_equal(words_time("2026-11-21T09:30:12Z", noon_ns, text), "11:30:12");
    assert_string_equal(words_time("2026-11-20T23:30:12.345Z", noon_ns, text), "01:30:12.345");
    assert_string_equal(words_time("2026-11-20T09:30:12.345Z", noon_ns, text),
                        "2026-11-20 11:30:12.345");
}

static void what_is_no_time_stays_as_it_is(void **state)
{
    char text[WORDS_BYTES];
    (void)state;
    assert_string_equal(words_time("soon", 0, text), "soon");
    assert_string_equal(words_time("2026-11-21T09:30:12.345", 0, text), "2026-11-21T09:30:12.345");
    assert_string_equal(words_time("2026-11-21T09:30:12.00000000000000Z", 0, text),
                        "2026-11-21T09:30:12.00000000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latencies_have_three_digits_or_so),
        cmocka_unit_test(uptimes_have_two_units),
        cmocka_unit_test(times_are_local_with_the_date_when_it_is_not_today),
        cmocka_unit_test(what_is_no_time_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
