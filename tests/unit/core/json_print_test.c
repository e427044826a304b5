/* Trees and text that core/json.h makes; what it reads is in json_test.c. */
#include "core/json.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/json_text.h"

/* ---- the digits in cJSON's hands ---- */

static void json_numbers_keep_their_digits_through_cjson(void **state)
{
    cJSON *tree = json_text_parse("{\"n\":9223372036854775807,\"a\":[1.10,-0,1e2],\"s\":\"x\"}");
    cJSON *copy = cJSON_Duplicate(tree, true);
    cJSON *detached;
    char *text;

    (void)state;
    assert_string_equal(json_get(tree, "n")->valuestring, "9223372036854775807");
    assert_string_equal(cJSON_GetArrayItem(json_get(tree, "a"), 0)->valuestring, "1.10");
    /* A duplicate has its own, and each is freed once (ASan sees to that). */
    cJSON_Delete(tree);
    assert_string_equal(json_text_print(copy, false),
                        "{\"n\":9223372036854775807,\"a\":[1.10,-0,1e2],\"s\":\"x\"}");
    detached = cJSON_DetachItemFromObjectCaseSensitive(copy, "n");
    assert_string_equal(json_text_print(detached, false), "9223372036854775807");
    cJSON_AddItemToArray(json_get(copy, "a"), detached);
    cJSON_ReplaceItemInObjectCaseSensitive(copy, "s", cJSON_CreateNumber(3));
    assert_string_equal(json_text_print(copy, false),
                        "{\"a\":[1.10,-0,1e2,9223372036854775807],\"s\":3}");
    /* cJSON's own printer and comparison still take such a tree. */
    text = cJSON_PrintUnformatted(copy);
    assert_non_null(strstr(text, "[1.1,"));
    cJSON_free(text);
    assert_true(cJSON_Compare(copy, copy, true));
    cJSON_Delete(copy);
}

static void json_number_that_was_changed_is_its_new_value(void **state)
{
    cJSON *tree = json_text_parse("{\"n\":9223372036854775807}");
    int64_t value;

    (void)state;
    cJSON_SetNumberValue(json_get(tree, "n"), 5);
    assert_string_equal(json_text_print(tree, false), "{\"n\":5}");
    assert_int_equal(json_get_int64(tree, "n", &value), 0);
    assert_int_equal(value, 5);
    cJSON_Delete(tree);
}

/* ---- making and printing ---- */

static void json_adds_exact_integers(void **state)
{
    cJSON *tree = cJSON_CreateObject();

    (void)state;
    json_add_int64(tree, "min", INT64_MIN);
    json_add_int64(tree, "max", INT64_MAX);
    json_add_int64(tree, "zero", 0);
    json_add_uint64(tree, "umax", UINT64_MAX);
    assert_string_equal(json_text_print(tree, false),
                        "{\"min\":-9223372036854775808,\"max\":9223372036854775807,\"zero\":0,"
                        "\"umax\":18446744073709551615}");
    cJSON_Delete(tree);
}

static void json_doubles_have_the_fewest_digits_and_are_never_nan(void **state)
{
    cJSON *tree = cJSON_CreateArray();
    const double values[] = {
        0.1,       1.0 / 3,          1e6,   1e15, 1e300, -2.5, 0, NAN, INFINITY,
        -INFINITY, 9007199254740992, 5e-324};
    cJSON *object = cJSON_CreateObject();

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        cJSON_AddItemToArray(tree, json_double(values[i]));
    assert_string_equal(json_text_print(tree, false),
                        "[0.1,0.3333333333333333,1000000,1000000000000000,1e+300,-2.5,0,null,null,"
                        "null,9007199254740992,5e-324]");
    cJSON_Delete(tree);
    json_add_double(object, "x", 0.30000000000000004);
    json_add_double(object, "nan", NAN);
    cJSON_AddItemToObject(object, "hand", cJSON_CreateNumber(NAN));
    assert_string_equal(json_text_print(object, false),
                        "{\"x\":0.30000000000000004,\"nan\":null,\"hand\":null}");
    cJSON_Delete(object);
}

static void json_prints_indented_by_two(void **state)
{
    cJSON *tree = json_text_parse("{\"a\":[1,{\"b\":[]},{}],\"c\":\"x\"}");

    (void)state;
    assert_string_equal(json_text_print(tree, true), "{\n"
                                                     "  \"a\": [\n"
                                                     "    1,\n"
                                                     "    {\n"
                                                     "      \"b\": []\n"
                                                     "    },\n"
                                                     "    {}\n"
                                                     "  ],\n"
                                                     "  \"c\": \"x\"\n"
                                                     "}\n");
    cJSON_Delete(tree);
}

static void json_print_past_the_maximum_leaves_the_buffer(void **state)
{
    static const char text[] = "{\"a\":[1,\"\\n\",true,null,false,1.5],\"b\":{\"c\":-2}}";
    cJSON *tree = json_text_parse(text);
    struct buf out;

    (void)state;
    for (size_t max = 1; max < sizeof(text); max++) {
        buf_init(&out, max);
        assert_int_equal(buf_append_str(&out, "x"), 0);
        assert_int_equal(json_print(&out, tree, false), -EMSGSIZE);
        assert_string_equal(buf_str(&out), "x");
        buf_done(&out);
    }
    buf_init(&out, sizeof(text));
    assert_int_equal(buf_append_str(&out, "x"), 0);
    assert_int_equal(json_print(&out, tree, false), 0);
    assert_string_equal(buf_str(&out) + 1, text);
    buf_done(&out);
    cJSON_Delete(tree);
}

static void json_escape_makes_a_string_of_any_bytes(void **state)
{
    struct buf out;
    char all[256];
    cJSON *tree;

    (void)state;
    buf_init(&out, 0);
    assert_int_equal(json_escape(&out, "a\"\\/\b\f\n\r\t\x01\x1f\x7f€", 15), 0);
    assert_string_equal(buf_str(&out), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f€\"");
    buf_clear(&out);
    assert_int_equal(json_escape(&out, NULL, 0), 0);
    assert_string_equal(buf_str(&out), "\"\"");
    buf_clear(&out);
    assert_int_equal(json_escape(&out, "x\xff\xe2\x82y\xed\xa0\x80\0", 9), 0);
    assert_string_equal(buf_str(&out), "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd"
                                       "\xef\xbf\xbd\xef\xbf\xbd\\u0000\"");
    buf_clear(&out);
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    assert_int_equal(json_escape(&out, all, 255), 0);
    tree = json_parse(buf_head(&out), buf_len(&out), NULL);
    assert_non_null(tree);
    assert_memory_equal(cJSON_GetStringValue(tree), all, 127);
    cJSON_Delete(tree);
    buf_done(&out);
}

static void json_escape_past_the_maximum_leaves_the_buffer(void **state)
{
    struct buf out;

    (void)state;
    for (size_t max = 1; max < 10; max++) {
        buf_init(&out, max);
        assert_int_equal(buf_append_str(&out, "x"), 0);
        assert_int_equal(json_escape(&out, "ab\n\xff", 4), -EMSGSIZE);
        assert_string_equal(buf_str(&out), "x");
        buf_done(&out);
    }
    buf_init(&out, 10);
    assert_int_equal(buf_append_str(&out, "x"), 0);
    assert_int_equal(json_escape(&out, "ab\n\xff", 4), 0);
    assert_string_equal(buf_str(&out), "x\"ab\\n\xef\xbf\xbd\"");
    buf_done(&out);
}

static void json_print_of_a_key_escapes_it(void **state)
{
    json_text_assert_prints_itself("{\"a\\\"\\n\":\"\\\\\"}");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_numbers_keep_their_digits_through_cjson),
        cmocka_unit_test(json_number_that_was_changed_is_its_new_value),
        cmocka_unit_test(json_adds_exact_integers),
        cmocka_unit_test(json_doubles_have_the_fewest_digits_and_are_never_nan),
        cmocka_unit_test(json_prints_indented_by_two),
        cmocka_unit_test(json_print_past_the_maximum_leaves_the_buffer),
        cmocka_unit_test(json_print_of_a_key_escapes_it),
        cmocka_unit_test(json_escape_makes_a_string_of_any_bytes),
        cmocka_unit_test(json_escape_past_the_maximum_leaves_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
