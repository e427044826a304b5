#include "core/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void name_takes_the_contracts_form(void **state)
{
    static const char *const good[] = {"S",       "S5",  "Server1", "0", "9z",
                                       "a.b-c_d", "A--", "s..",     "Z_"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(name_valid(good[i]));
}

static void name_refuses_every_other_byte(void **state)
{
    char text[4] = "a";

    (void)state;
    for (int c = 1; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        text[0] = (char)c;
        text[1] = '\0';
        assert_int_equal(name_valid(text), alnum);
        text[0] = 'a';
        text[1] = (char)c;
        text[2] = '\0';
        assert_int_equal(name_valid(text), alnum || c == '_' || c == '.' || c == '-');
    }
    assert_false(name_valid(""));
    assert_false(name_valid("Server[5]"));
    assert_false(name_valid("../etc"));
}

static void name_is_at_most_63_bytes(void **state)
{
    char text[80];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[63] = '\0';
    assert_true(name_valid(text));
    text[63] = 'a';
    text[64] = '\0';
    assert_false(name_valid(text));
}

static void name_trailing_id_is_the_decimal_number_at_the_end(void **state)
{
    static const struct {
        const char *name;
        uint64_t id;
    } good[] = {
        {"S5", 5},
        {"Server58127", 58127},
        {"S007", 7},
        {"12", 12},
        {"S0", 0},
        {"s1-22", 22},
        {"a1.b.3", 3},
        {"S18446744073709551615", UINT64_MAX},
        {"S00000000000000000000000000000000000001", 1},
    };
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        id = 999;
        assert_true(name_trailing_id(good[i].name, &id));
        assert_true(id == good[i].id);
    }
}

static void name_trailing_id_is_none_without_digits_or_past_uint64(void **state)
{
    static const char *const bad[] = {
        "", "Server", "S5x", "5-", "1a", "S18446744073709551616", "S99999999999999999999999"};
    uint64_t id = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(name_trailing_id(bad[i], &id));
    assert_int_equal(id, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_takes_the_contracts_form),
        cmocka_unit_test(name_refuses_every_other_byte),
        cmocka_unit_test(name_is_at_most_63_bytes),
        cmocka_unit_test(name_trailing_id_is_the_decimal_number_at_the_end),
        cmocka_unit_test(name_trailing_id_is_none_without_digits_or_past_uint64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
