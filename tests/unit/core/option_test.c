#include "core/option.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/forked.h"

struct values {
    bool verbose;
    uint64_t slots;
    uint64_t any;
    double skew;
    double factor;
    const char *listen;
    int probe;
    uint64_t timeout_ns;
    uint64_t wait_ns;
    uint64_t size;
    struct option_list headers;
};

#define AT(field) offsetof(struct values, field)

static const struct option_def table[] = {
    {.name = "verbose", .type = OPTION_FLAG, .offset = AT(verbose), .help = "say more"},
    {.name = "slots",
     .type = OPTION_U64,
     .offset = AT(slots),
     .fallback = "512",
     .min = 1,
     .max = 65536},
    {.name = "any", .type = OPTION_U64, .offset = AT(any)},
    {.name = "skew", .type = OPTION_DOUBLE, .offset = AT(skew), .fallback = "0.99", .max = 2},
    {.name = "factor", .type = OPTION_DOUBLE, .offset = AT(factor)},
    {.name = "listen", .type = OPTION_STRING, .offset = AT(listen)},
    {.name = "probe",
     .type = OPTION_CHOICE,
     .offset = AT(probe),
     .fallback = "quadratic",
     .choices = "linear|quadratic|none"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = AT(timeout_ns),
     .fallback = "2s",
     .min = 1000000,
     .max = UINT64_C(3600000000000),
     .unit = "ms"},
    {.name = "wait", .type = OPTION_DURATION, .offset = AT(wait_ns)},
    {.name = "size", .type = OPTION_BYTES, .offset = AT(size), .min = 1024, .max = 1 << 30},
    {.name = "header", .type = OPTION_LIST, .offset = AT(headers)},
    {0},
};

static const struct option_def *row(const char *name)
{
    const struct option_def *def = option_find(table, name, strlen(name));

    assert_non_null(def);
    return def;
}

static int set(struct values *values, const char *name, const char *text)
{
    return option_set(row(name), values, text, NULL);
}

/* Refused, with the field as it was and an error that names the option and holds `says`. */
static void assert_refused(const char *name, const char *text, const char *says)
{
    struct values values, before;
    struct err err = {0, ""};

    memset(&values, 0xa5, sizeof(values));
    before = values;
    if (option_set(row(name), &values, text, &err) != -EINVAL)
        fail_msg("--%s '%s' was taken", name, text);
    assert_memory_equal(&values, &before, sizeof(values));
    assert_int_equal(err.code, -EINVAL);
    if (strstr(err.message, name) == NULL || strstr(err.message, says) == NULL)
        fail_msg("'%s' should say '%s'", err.message, says);
}

static void option_defaults_fill_every_field(void **state)
{
    struct values values;

    (void)state;
    memset(&values, 0xa5, sizeof(values));
    option_set_defaults(table, &values);
    assert_false(values.verbose);
    assert_int_equal(values.slots, 512);
    assert_int_equal(values.any, 0);
    assert_true(values.skew > 0.9899 && values.skew < 0.9901);
    assert_true(values.factor <= 0 && values.factor >= 0);
    assert_null(values.listen);
    assert_int_equal(values.probe, 1);
    assert_int_equal(values.timeout_ns, 2 * NS_PER_S);
    assert_int_equal(values.wait_ns, 0);
    assert_int_equal(values.size, 0);
    option_set_defaults(NULL, NULL); /* a part without options */
}

static void call_bad_default(void *unused)
{
    static const struct option_def bad[] = {
        {.name = "n", .type = OPTION_U64, .fallback = "many"},
        {0},
    };
    struct values values;

    (void)unused;
    option_set_defaults(bad, &values);
}

static void option_default_that_does_not_parse_is_a_bug(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_bad_default, NULL));
}

static void option_u64_takes_whole_numbers_in_range(void **state)
{
    struct values values;

    (void)state;
    assert_int_equal(set(&values, "slots", "1"), 0);
    assert_int_equal(values.slots, 1);
    assert_int_equal(set(&values, "slots", "65536"), 0);
    assert_int_equal(values.slots, 65536);
    assert_int_equal(set(&values, "slots", "0x1Ff"), 0);
    assert_int_equal(values.slots, 0x1ff);
    assert_int_equal(set(&values, "slots", "007"), 0);
    assert_int_equal(values.slots, 7); /* decimal, not octal */
    assert_int_equal(set(&values, "any", "18446744073709551615"), 0);
    assert_true(values.any == UINT64_MAX);
    assert_int_equal(set(&values, "any", "0xffffffffffffffff"), 0);
    assert_true(values.any == UINT64_MAX);
}

static void option_u64_refuses_everything_else(void **state)
{
    static const char *const bad[] = {"",    " ",   "12x",   "x",    "-1",  "+1", " 1",
                                      "1 ",  "1.0", "1e3",   "0x",   "0xg", "x1", "0x1 ",
                                      "nan", "inf", "1,000", "0x-1", "--1", "1\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused("any", bad[i], "a whole number");
    assert_refused("any", "18446744073709551616", "out of range");
    assert_refused("any", "0x10000000000000000", "out of range");
    assert_refused("any", "99999999999999999999999999999999999999", "out of range");
    assert_refused("slots", "0", "a whole number from 1 to 65536");
    assert_refused("slots", "65537", "'65537' is out of range");
    assert_refused("slots", "", "an empty value");
}

static void option_double_takes_finite_numbers_in_range(void **state)
{
    struct values values;

    (void)state;
    assert_int_equal(set(&values, "skew", "0"), 0);
    assert_int_equal(set(&values, "skew", "2"), 0);
    assert_int_equal(set(&values, "skew", ".5"), 0);
    assert_true(values.skew > 0.499 && values.skew < 0.501);
    assert_int_equal(set(&values, "skew", "1.25e-1"), 0);
    assert_true(values.skew > 0.1249 && values.skew < 0.1251);
    assert_int_equal(set(&values, "factor", "1e300"), 0);
    assert_int_equal(set(&values, "factor", "5."), 0);
}

static void option_double_refuses_everything_else(void **state)
{
    static const char *const bad[] = {"",      "-1",  "+1",  "nan", "NaN", "inf",  "infinity",
                                      "0x1p3", "1e",  "1e+", "e5",  ".",   "1..2", " 1",
                                      "1 ",    "1,5", "-0",  "1f",  "1e5x"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused("factor", bad[i], "a number of at least 0");
    assert_refused("factor", "1e309", "out of range");
    assert_refused("skew", "2.0000001", "a number from 0 to 2");
}

static void option_flag_takes_words_for_true_and_false(void **state)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    struct values values;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        values.verbose = false;
        assert_int_equal(set(&values, "verbose", yes[i]), 0);
        assert_true(values.verbose);
        assert_int_equal(set(&values, "verbose", no[i]), 0);
        assert_false(values.verbose);
    }
    assert_refused("verbose", "", "true or false");
    assert_refused("verbose", "TRUE ", "true or false");
    assert_refused("verbose", "2", "true or false");
}

static void option_string_borrows_the_text(void **state)
{
    struct values values;
    const char *text = "127.0.0.1:5000";

    (void)state;
    assert_int_equal(set(&values, "listen", text), 0);
    assert_ptr_equal(values.listen, text);
}

static void option_choice_is_the_index_of_a_whole_word(void **state)
{
    struct values values;
    char text[16];

    (void)state;
    assert_int_equal(set(&values, "probe", "linear"), 0);
    assert_int_equal(values.probe, 0);
    assert_int_equal(set(&values, "probe", "none"), 0);
    assert_int_equal(values.probe, 2);
    assert_string_equal(option_choice_name(row("probe"), 0, text, sizeof(text)), "linear");
    assert_string_equal(option_choice_name(row("probe"), 2, text, sizeof(text)), "none");
    assert_string_equal(option_choice_name(row("probe"), 3, text, sizeof(text)), "(choice 3)");
    assert_string_equal(option_choice_name(row("probe"), -1, text, sizeof(text)), "(choice -1)");
    assert_refused("probe", "line", "linear|quadratic|none");
    assert_refused("probe", "linear|quadratic", "one of");
    assert_refused("probe", "", "one of");
    assert_refused("probe", "quadradic", "did you mean 'quadratic'?");
}

static void option_duration_takes_every_unit_exactly(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"250ms", 250 * NS_PER_MS},
        {"30s", 30 * NS_PER_S},
        {"5m", 300 * NS_PER_S},
        {"2h", 7200 * NS_PER_S},
        {"10us", 10000},
        {"7ns", 7},
        {"0s", 0},
        {"1.5s", 1500 * NS_PER_MS},
        {"0.1ms", 100000},
        {"0.000000001s", 1},
        {"1.000000000000s", NS_PER_S},
        {"0.05m", 3 * NS_PER_S},
        {"18446744073709551615ns", UINT64_MAX},
        {"18446744073.709551615s", UINT64_MAX},
    };
    struct values values;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(set(&values, "wait", good[i].text), 0);
        assert_true(values.wait_ns == good[i].ns);
    }
}

static void option_duration_takes_a_bare_number_only_in_its_unit(void **state)
{
    struct values values;

    (void)state;
    assert_int_equal(set(&values, "timeout", "250"), 0);
    assert_int_equal(values.timeout_ns, 250 * NS_PER_MS);
    assert_int_equal(set(&values, "timeout", "1.5"), 0);
    assert_int_equal(values.timeout_ns, 1500 * NS_PER_US);
    assert_refused("wait", "250", "a duration");
    assert_refused("wait", "0", "a duration");
}

static void option_duration_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",     "s",  "ms",   "-1s",  "+1s",   " 1s",           "1 s",
        "1sec", "1S", "1s ",  ".5s",  "1.s",   "1e3s",          "inf s",
        "nans", "1d", "0x1s", "1s1s", "0.5ns", "1.0000000001s", "0.00000000009s"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused("wait", bad[i], "a duration");
    assert_refused("wait", "18446744073709551616ns", "out of range");
    assert_refused("wait", "18446744073.709551616s", "out of range");
    assert_refused("wait", "18446744074s", "out of range");
    assert_refused("wait", "5124096h", "out of range");
    assert_refused("timeout", "999us", "from 1ms to 1h");
    assert_refused("timeout", "61m", "from 1ms to 1h");
}

static void option_bytes_takes_powers_of_1024(void **state)
{
    struct values values;

    (void)state;
    assert_int_equal(set(&values, "size", "1024"), 0);
    assert_int_equal(values.size, 1024);
    assert_int_equal(set(&values, "size", "64k"), 0);
    assert_int_equal(values.size, 65536);
    assert_int_equal(set(&values, "size", "16M"), 0);
    assert_int_equal(values.size, 16 << 20);
    assert_int_equal(set(&values, "size", "1G"), 0);
    assert_int_equal(values.size, 1 << 30);
    assert_refused("size", "1023", "from 1k to 1G");
    assert_refused("size", "2G", "out of range");
    assert_refused("size", "17179869184G", "out of range"); /* 2^64 */
    assert_refused("size", "99999999999999999999", "out of range");
    assert_refused("size", "1.5M", "a size");
    assert_refused("size", "-1k", "a size");
    assert_refused("size", "1kk", "a size");
    assert_refused("size", "k", "a size");
    assert_refused("size", "1 k", "a size");
    assert_refused("size", "", "an empty value");
}

static void option_find_wants_the_whole_name(void **state)
{
    (void)state;
    assert_ptr_equal(option_find(table, "slots=9", 5), &table[1]);
    assert_null(option_find(table, "slot", 4));
    assert_null(option_find(table, "slots=9", 7));
    assert_null(option_find(table, "", 0));
    assert_null(option_find(NULL, "slots", 5));
}

static void option_suggest_finds_what_was_meant(void **state)
{
    static const char *const names[] = {"load", "lb", "ring", "report", "heartbeat-ms"};

    (void)state;
    assert_string_equal(option_suggest("laod", names, 5), "load");     /* neighbours swapped */
    assert_string_equal(option_suggest("erpotr", names, 5), "report"); /* twice */
    assert_string_equal(option_suggest("lod", names, 5), "load");
    assert_string_equal(option_suggest("lo", names, 5), "lb");
    assert_string_equal(option_suggest("loaad", names, 5), "load");
    assert_string_equal(option_suggest("RING", names, 5), "ring");
    assert_string_equal(option_suggest("reprot", names, 5), "report");
    assert_string_equal(option_suggest("heartbeat_ms", names, 5), "heartbeat-ms");
    assert_string_equal(option_suggest("heartbet-m", names, 5), "heartbeat-ms");
    assert_null(option_suggest("heartbt-m", names, 5)); /* three apart */
    assert_null(option_suggest("xy", names, 5));        /* "lb" with every letter changed */
    assert_null(option_suggest("", names, 5));
    assert_null(option_suggest("load", names, 0));
    assert_null(option_suggest("a word so long that nobody can have meant any name by it, nor any "
                               "option",
                               names, 5));
}

static void option_list_gathers_each_use_up_to_its_maximum(void **state)
{
    static const char *const text = "X: 1";
    struct values values;
    struct err err;

    (void)state;
    memset(&values, 0xff, sizeof(values));
    option_set_defaults(table, &values);
    assert_int_equal(values.headers.n, 0);
    for (size_t i = 0; i < OPTION_LIST_MAX; i++) {
        assert_int_equal(option_set(row("header"), &values, text, &err), 0);
        assert_int_equal(values.headers.n, i + 1);
        assert_ptr_equal(values.headers.texts[i], text);
    }
    assert_int_equal(option_set(row("header"), &values, text, &err), -EINVAL);
    assert_non_null(strstr(err.message, "at most 32"));
    assert_int_equal(values.headers.n, OPTION_LIST_MAX);
    assert_int_equal(values.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option_defaults_fill_every_field),
        cmocka_unit_test(option_default_that_does_not_parse_is_a_bug),
        cmocka_unit_test(option_u64_takes_whole_numbers_in_range),
        cmocka_unit_test(option_u64_refuses_everything_else),
        cmocka_unit_test(option_double_takes_finite_numbers_in_range),
        cmocka_unit_test(option_double_refuses_everything_else),
        cmocka_unit_test(option_flag_takes_words_for_true_and_false),
        cmocka_unit_test(option_string_borrows_the_text),
        cmocka_unit_test(option_choice_is_the_index_of_a_whole_word),
        cmocka_unit_test(option_duration_takes_every_unit_exactly),
        cmocka_unit_test(option_duration_takes_a_bare_number_only_in_its_unit),
        cmocka_unit_test(option_duration_refuses_everything_else),
        cmocka_unit_test(option_bytes_takes_powers_of_1024),
        cmocka_unit_test(option_list_gathers_each_use_up_to_its_maximum),
        cmocka_unit_test(option_find_wants_the_whole_name),
        cmocka_unit_test(option_suggest_finds_what_was_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
