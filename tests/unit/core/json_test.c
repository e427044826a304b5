#include "core/json.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/json_text.h"

static void assert_refused_bytes(const char *text, size_t n, const char *says)
{
    /* A copy of exactly n bytes, so that a sanitizer sees a read past them. */
    char *copy = malloc(n > 0 ? n : 1);
    struct err err = {0, ""};
    cJSON *tree;

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, text, n);
    tree = json_parse(copy, n, &err);
    if (tree != NULL)
        fail_msg("taken: %.*s", (int)n, text);
    assert_int_equal(err.code, -EINVAL);
    if (strstr(err.message, says) == NULL)
        fail_msg("'%s' should say '%s' of %.*s", err.message, says, (int)n, text);
    assert_null(json_parse(copy, n, NULL)); /* err may be NULL */
    free(copy);
}

static void assert_refused(const char *text, const char *says)
{
    assert_refused_bytes(text, strlen(text), says);
}

/* ---- reading ---- */

static void json_reads_every_kind_of_value(void **state)
{
    cJSON *tree = json_text_parse(" {\"s\":\"x\",\"n\":-1.5e2,\"t\":true,\"f\":false,\"z\":null,"
                                  "\"a\":[ 1 ,\t2\r\n],\"o\":{ } } \n");

    (void)state;
    assert_string_equal(json_get_string(tree, "s"), "x");
    assert_true(fabs(json_get(tree, "n")->valuedouble + 150) < 1e-12);
    assert_true(cJSON_IsTrue(json_get(tree, "t")));
    assert_true(cJSON_IsFalse(json_get(tree, "f")));
    assert_true(cJSON_IsNull(json_get(tree, "z")));
    assert_int_equal(cJSON_GetArraySize(json_get(tree, "a")), 2);
    assert_true(cJSON_IsObject(json_get(tree, "o")));
    cJSON_Delete(tree);
    cJSON_Delete(json_text_parse("0"));
    cJSON_Delete(json_text_parse("\"\""));
    cJSON_Delete(json_text_parse("[]"));
}

static void json_get_is_case_sensitive_and_takes_anything(void **state)
{
    cJSON *tree = json_text_parse("{\"Key\":1,\"a\":[\"x\"]}");

    (void)state;
    assert_non_null(json_get(tree, "Key"));
    assert_null(json_get(tree, "key"));
    assert_null(json_get(json_get(tree, "a"), "x"));
    assert_null(json_get(json_get(tree, "Key"), "x"));
    assert_null(json_get(NULL, "x"));
    assert_null(json_get_string(tree, "Key"));
    assert_null(json_get_string(tree, "none"));
    assert_null(json_get_string(NULL, "x"));
    cJSON_Delete(tree);
}

static void json_refuses_broken_text_and_says_where(void **state)
{
    (void)state;
    assert_refused("", "the text ends at byte 0 where a value is wanted");
    assert_refused("  ", "the text ends at byte 2");
    assert_refused("{", "the text ends at byte 1 where a key in quotes is wanted");
    assert_refused("[1,", "the text ends at byte 3 where a value is wanted");
    assert_refused("[1 2]", "'2' at byte 3 where ',' or ']' is wanted");
    assert_refused("[1,]", "']' at byte 3 where a value is wanted");
    assert_refused("[,1]", "',' at byte 1 where a value is wanted");
    assert_refused("{\"a\":1,}", "'}' at byte 7 where a key in quotes is wanted");
    assert_refused("{\"a\" 1}", "'1' at byte 5 where ':' is wanted");
    assert_refused("{\"a\":}", "'}' at byte 5 where a value is wanted");
    assert_refused("{a:1}", "'a' at byte 1 where a key in quotes is wanted");
    assert_refused("{'a':1}", "''' at byte 1");
    assert_refused("{1:1}", "'1' at byte 1 where a key in quotes is wanted");
    assert_refused("[1}", "'}' at byte 2 where ',' or ']' is wanted");
    assert_refused("{\"a\":1]", "']' at byte 6 where ',' or '}' is wanted");
    assert_refused("]", "']' at byte 0");
    assert_refused("// c\n1", "'/' at byte 0");
    assert_refused("[1/**/]", "'/' at byte 2");
    assert_refused("\xef\xbb\xbf{}", "byte 0xef at byte 0");
    assert_refused("\xc2\xa0{}", "byte 0xc2 at byte 0"); /* a no-break space is no blank */
    assert_refused("\f1", "byte 0x0c at byte 0");
    assert_refused("\v1", "byte 0x0b at byte 0");
}

static void json_refuses_anything_behind_the_value(void **state)
{
    (void)state;
    assert_refused("{} {}", "'{' at byte 3 where the end is wanted");
    assert_refused("1 2", "'2' at byte 2 where the end is wanted");
    assert_refused("{}}", "'}' at byte 2 where the end is wanted");
    assert_refused("true,", "',' at byte 4");
    assert_refused_bytes("{}\0", 3, "byte 0x00 at byte 2 where the end is wanted");
    assert_refused_bytes("[1,\0 2]", 7, "byte 0x00 at byte 3");
    assert_refused_bytes("\"a\0b\"", 5, "an unescaped control character in a string at byte 2");
}

static void json_refuses_misspelt_words(void **state)
{
    static const char *const bad[] = {"True", "TRUE",      "tru", "truex", "nul",   "nulll",
                                      "NaN",  "Infinity",  "nan", "inf",   "falsy", "undefined",
                                      "None", "-Infinity", "t",   "f",     "n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], "wanted");
}

static void json_reads_a_text_that_ends_without_a_nul(void **state)
{
    static const char *const texts[] = {"12",    "-0.5e+3", "true",     "null",
                                        "\"x\"", "[1]",     "{\"a\":2}"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t n = strlen(texts[i]);
        char *copy = malloc(n);
        cJSON *tree;

        assert_non_null(copy);
        memcpy(copy, texts[i], n);
        tree = json_parse(copy, n, NULL);
        free(copy);
        assert_non_null(tree);
        assert_true(strlen(json_text_print(tree, false)) == n);
        cJSON_Delete(tree);
    }
}

static void json_refuses_every_cut_of_a_document(void **state)
{
    static const char text[] =
        "{\"k\\u00e9\":[-1.5e+10,\"\xe2\x82\xac\\ud83d\\ude00\",true,null,{}]}";

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_refused_bytes(text, n, "JSON: ");
    cJSON_Delete(json_text_parse(text));
}

static void json_takes_numbers_of_the_grammar_only(void **state)
{
    static const char *const good[] = {"0",       "-0",    "10",   "1.5",
                                       "1e5",     "1E5",   "1e+5", "1e-5",
                                       "-1.0e05", "0e0",   "0.0",  "123456789012345678901234567890",
                                       "1e308",   "1e-400"};
    static const char *const bad[] = {"01",  "-01",   "00",  "+1",  "-",     ".5",
                                      "5.",  "1.e5",  "1e",  "1e+", "-e5",   "1e5.",
                                      "0x1", "1_000", "--1", "1-",  "1e1e1", "-.5"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        json_text_assert_prints_itself(good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], "wanted");
}

static void json_refuses_numbers_that_no_double_holds(void **state)
{
    char text[200];

    (void)state;
    assert_refused("1e309", "a number too large for a double at byte 0");
    assert_refused("[1,-1e999]", "a number too large for a double at byte 3");
    json_text_assert_prints_itself("1.7976931348623157e308");
    /* The longest number, and one digit more. */
    memset(text, '1', sizeof(text));
    text[JSON_MAX_NUMBER_BYTES] = '\0';
    json_text_assert_prints_itself(text);
    text[JSON_MAX_NUMBER_BYTES] = '1';
    text[JSON_MAX_NUMBER_BYTES + 1] = '\0';
    assert_refused(text, "a number of too many digits at byte 0");
}

static void json_depth_is_limited(void **state)
{
    char text[2 * JSON_MAX_DEPTH + 8];
    static char deep[200000];

    (void)state;
    memset(text, '[', JSON_MAX_DEPTH);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    text[2 * JSON_MAX_DEPTH] = '\0';
    cJSON_Delete(json_text_parse(text));
    memset(text, '[', JSON_MAX_DEPTH + 1);
    memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    assert_refused_bytes(text, 2 * JSON_MAX_DEPTH + 2, "nesting too deep at byte 32");
    /* A bomb costs no stack. */
    memset(deep, '[', sizeof(deep));
    assert_refused_bytes(deep, sizeof(deep), "nesting too deep at byte 32");
    for (size_t i = 0; i + 5 <= sizeof(deep); i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    assert_refused_bytes(deep, sizeof(deep), "nesting too deep at byte 160");
    /* Depth, not the number of brackets: siblings do not add up. */
    deep[0] = '[';
    for (size_t i = 1; i + 3 < 30000; i += 3)
        memcpy(deep + i, "[],", 3);
    memcpy(deep + 29998, "0]", 3);
    cJSON_Delete(json_text_parse(deep));
}

static void json_strings_are_strict_utf8(void **state)
{
    (void)state;
    json_text_assert_prints_itself(
        "\"Größe € \xf0\x9f\x98\x80 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf\"");
    assert_refused("\"ab\xff\"", "malformed UTF-8 at byte 3");
    assert_refused("\"\xc0\x80\"", "malformed UTF-8 at byte 1");       /* overlong NUL */
    assert_refused("\"\xe0\x80\xaf\"", "malformed UTF-8");             /* overlong slash */
    assert_refused("\"\xed\xa0\x80\xed\xb0\x80\"", "malformed UTF-8"); /* CESU-8 */
    assert_refused("\"\xf4\x90\x80\x80\"", "malformed UTF-8");         /* past U+10FFFF */
    assert_refused("\"\xe2\x82\"", "malformed UTF-8");                 /* cut by the quote */
    assert_refused("{\"\x80\":1}", "malformed UTF-8 at byte 2");       /* in a key */
    assert_refused("\"a\nb\"", "an unescaped control character in a string at byte 2");
    assert_refused("\"\x1f\"", "an unescaped control character");
    assert_refused("\"abc", "the text ends at byte 4 where the rest of a string is wanted");
}

static void json_escapes_are_decoded_and_paired(void **state)
{
    cJSON *tree =
        json_text_parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\\uffff\"");

    (void)state;
    assert_string_equal(cJSON_GetStringValue(tree),
                        "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf");
    cJSON_Delete(tree);
    assert_refused("\"\\u0000\"", "the character U+0000 at byte 1");
    assert_refused("{\"a\\u0000\":1}", "the character U+0000 at byte 3");
    assert_refused("\"x\\ud800\"", "half a surrogate pair at byte 2");
    assert_refused("\"\\ud800\\ud800\"", "half a surrogate pair at byte 1");
    assert_refused("\"\\ud800\\u0041\"", "half a surrogate pair at byte 1");
    assert_refused("\"\\ud800x\"", "half a surrogate pair");
    assert_refused("\"\\udc00\"", "half a surrogate pair");
    assert_refused("\"\\ud83d\\n\"", "half a surrogate pair");
    assert_refused("\"\\u12\"", "\\u without four hexadecimal digits at byte 1");
    assert_refused("\"\\u12g4\"", "\\u without four hexadecimal digits");
    assert_refused("\"\\u+123\"", "\\u without four hexadecimal digits");
    assert_refused("\"\\u", "\\u without four hexadecimal digits");
    assert_refused("\"\\x41\"", "an unknown escape at byte 1");
    assert_refused("\"\\U0041\"", "an unknown escape");
    assert_refused("\"\\'\"", "an unknown escape");
    assert_refused("\"\\", "the text ends at byte 2");
    assert_refused_bytes("\"\\\0\"", 4, "an unknown escape at byte 1");
}

static void json_refuses_a_key_twice_in_one_object(void **state)
{
    (void)state;
    assert_refused("{\"a\":1,\"a\":2}", "a second key \"a\" in one object at byte 7");
    assert_refused("{\"a\":1,\"\\u0061\":2}", "a second key \"a\" in one object at byte 7");
    assert_refused("[0,{\"x\":{\"b\":[],\"c\":{},\"b\":1}}]",
                   "a second key \"b\" in one object at byte 23");
    assert_refused("{\"\":1,\"\":2}", "a second key \"\"");
    assert_refused("{\"a\":{\"a\":1},\"b\":{\"a\":1},\"a\":3}", "at byte 25");
    /* The first of several. */
    assert_refused("{\"z\":1,\"a\":1,\"z\":2,\"a\":2}", "\"z\" in one object at byte 13");
    /* The same key in other objects, or in another case, is none. */
    json_text_assert_prints_itself("{\"a\":{\"a\":{\"a\":1}},\"A\":[{\"a\":1},{\"a\":2}]}");
}

static void json_finds_a_duplicate_among_many_keys_fast(void **state)
{
    enum { N = 200000 };
    struct buf text;
    uint64_t before;
    size_t at;
    char says[64];
    cJSON *tree;

    (void)state;
    buf_init(&text, 0);
    assert_int_equal(buf_append_str(&text, "{\"k0\":0"), 0);
    for (int i = 1; i < N; i++)
        assert_int_equal(buf_appendf(&text, ",\"k%d\":0", i), 0);
    at = buf_len(&text) + 1;
    assert_int_equal(buf_append_str(&text, ",\"k77\":0}"), 0);
    snprintf(says, sizeof(says), "a second key \"k77\" in one object at byte %zu", at);
    before = clock_cpu_ns();
    assert_refused_bytes(buf_head(&text), buf_len(&text), says);
    /* Comparing each with each would take 2·10^10 steps. */
    assert_true(clock_cpu_ns() - before < 20 * NS_PER_S);
    text.end = text.start + at - 1;
    assert_int_equal(buf_append_str(&text, "}"), 0);
    tree = json_parse(buf_head(&text), buf_len(&text), NULL);
    assert_non_null(tree);
    assert_int_equal(cJSON_GetArraySize(tree), N);
    cJSON_Delete(tree);
    buf_done(&text);
}

/* ---- integers ---- */

static void json_int64_is_exact_over_the_whole_range(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"-1", -1},
        {"9007199254740993", INT64_C(9007199254740993)}, /* 2^53 + 1: no double */
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"-9223372036854775807", -INT64_MAX},
        {"9223372036854775806", INT64_MAX - 1},
        {"2.0", 2},
        {"2e3", 2000},
        {"-2.50e1", -25},
        {"1200e-2", 12},
        {"0.000", 0},
        {"0e99", 0},
        {"-0.0e-5", 0},
        {"92233720368547758.07e2", INT64_MAX},
        {"9.223372036854775807E+18", INT64_MAX},
        {"9223372036854775807000e-3", INT64_MAX},
        {"1e18", INT64_C(1000000000000000000)},
        {"0.00000000000000000000000000001e29", 1},
        {"10000000000000000000000000000000e-31", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cJSON *tree = json_text_parse(good[i].text);
        int64_t value = 42;

        if (json_int64(tree, &value) != 0 || value != good[i].value)
            fail_msg("%s was read as %lld", good[i].text, (long long)value);
        cJSON_Delete(tree);
    }
}

static void json_int64_refuses_fractions_and_overflow(void **state)
{
    static const char *const bad[] = {"0.5",
                                      "-1.1",
                                      "1e-1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "1e19",
                                      "-1e300",
                                      "9223372036854775807.5",
                                      "9223372036854775806.9999999999",
                                      "1e-400",
                                      "15e-1",
                                      "99999999999999999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cJSON *tree = json_text_parse(bad[i]);
        int64_t value = 42;

        if (json_int64(tree, &value) != -ERANGE || value != 42)
            fail_msg("%s was read as %lld", bad[i], (long long)value);
        cJSON_Delete(tree);
    }
}

static void json_get_int64_tells_absent_from_wrong(void **state)
{
    cJSON *tree = json_text_parse("{\"n\":4,\"s\":\"4\",\"f\":4.5,\"z\":null,\"a\":[4]}");
    int64_t value = 42;

    (void)state;
    assert_int_equal(json_get_int64(tree, "none", &value), -ENOENT);
    assert_int_equal(json_get_int64(NULL, "n", &value), -ENOENT);
    assert_int_equal(json_get_int64(tree, "s", &value), -EINVAL);
    assert_int_equal(json_get_int64(tree, "z", &value), -EINVAL);
    assert_int_equal(json_get_int64(tree, "a", &value), -EINVAL);
    assert_int_equal(json_get_int64(tree, "f", &value), -ERANGE);
    assert_int_equal(json_int64(NULL, &value), -EINVAL);
    assert_int_equal(value, 42);
    assert_int_equal(json_get_int64(tree, "n", &value), 0);
    assert_int_equal(value, 4);
    cJSON_Delete(tree);
}

static void json_int64_reads_nodes_made_by_hand(void **state)
{
    cJSON *tree = cJSON_CreateObject();
    int64_t value = 0;

    (void)state;
    json_add_int64(tree, "min", INT64_MIN);
    json_add_uint64(tree, "umax", UINT64_MAX);
    json_add_double(tree, "double", 7);
    json_add_double(tree, "fraction", 7.5);
    json_add_double(tree, "large", 0x1p63);
    cJSON_AddItemToObject(tree, "raw", cJSON_CreateRaw("[1]"));
    cJSON_AddItemToObject(tree, "minus", cJSON_CreateRaw("-"));
    assert_int_equal(json_get_int64(tree, "min", &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(json_get_int64(tree, "double", &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(json_get_int64(tree, "umax", &value), -ERANGE);
    assert_int_equal(json_get_int64(tree, "fraction", &value), -ERANGE);
    assert_int_equal(json_get_int64(tree, "large", &value), -ERANGE);
    assert_int_equal(json_get_int64(tree, "raw", &value), -EINVAL);
    assert_int_equal(json_get_int64(tree, "minus", &value), -EINVAL);
    cJSON_Delete(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_reads_every_kind_of_value),
        cmocka_unit_test(json_get_is_case_sensitive_and_takes_anything),
        cmocka_unit_test(json_refuses_broken_text_and_says_where),
        cmocka_unit_test(json_refuses_anything_behind_the_value),
        cmocka_unit_test(json_refuses_misspelt_words),
        cmocka_unit_test(json_reads_a_text_that_ends_without_a_nul),
        cmocka_unit_test(json_refuses_every_cut_of_a_document),
        cmocka_unit_test(json_takes_numbers_of_the_grammar_only),
        cmocka_unit_test(json_refuses_numbers_that_no_double_holds),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(json_strings_are_strict_utf8),
        cmocka_unit_test(json_escapes_are_decoded_and_paired),
        cmocka_unit_test(json_refuses_a_key_twice_in_one_object),
        cmocka_unit_test(json_finds_a_duplicate_among_many_keys_fast),
        cmocka_unit_test(json_int64_is_exact_over_the_whole_range),
        cmocka_unit_test(json_int64_refuses_fractions_and_overflow),
        cmocka_unit_test(json_get_int64_tells_absent_from_wrong),
        cmocka_unit_test(json_int64_reads_nodes_made_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
