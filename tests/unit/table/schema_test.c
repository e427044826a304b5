#include "table/schema.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void schema_prints_what_it_read(void **state)
{
    static const char text[] =
        "{\"columns\":[\"Stud_id\",\"_x\"],\"dtypes\":[\"Number\",\"String\"]}";
    struct schema schema, again;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    assert_int_equal(schema_parse(text, strlen(text), &schema, NULL), 0);
    assert_int_equal(schema.n_columns, 2);
    assert_int_equal(schema.columns[1].type, COLUMN_STRING);
    schema_print(&schema, &out);
    assert_string_equal(buf_str(&out), text);
    assert_int_equal(schema_parse(buf_head(&out), buf_len(&out), &again, NULL), 0);
    assert_true(schema_equal(&schema, &again));
    again.columns[1].type = COLUMN_NUMBER;
    assert_false(schema_equal(&schema, &again));
    assert_int_equal(schema_find(&schema, "_x", 2), 1);
    assert_int_equal(schema_find(&schema, "_x1", 2), 1);
    assert_int_equal(schema_find(&schema, "Stud_id", 4), 2);
    buf_done(&out);
}

static void schema_refuses_what_the_contract_does_not_know(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{",
        "{}",
        "{\"columns\":[],\"dtypes\":[]}",
        "{\"columns\":[\"a\"]}",
        "{\"columns\":[\"a\",\"b\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"a\",\"a\"],\"dtypes\":[\"Number\",\"Number\"]}",
        "{\"columns\":[\"a\"],\"dtypes\":[\"String\"]}",
        "{\"columns\":[\"a\"],\"dtypes\":[\"number\"]}",
        "{\"columns\":[\"a\"],\"dtypes\":[1]}",
        "{\"columns\":[1],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"1a\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"a-b\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"a b\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"a'\"],\"dtypes\":[\"Number\"]}",
        "{\"columns\":[\"a\"],\"dtypes\":[\"Number\"],\"x\":1}",
    };
    struct schema schema = {.n_columns = 99};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (schema_parse(bad[i], strlen(bad[i]), &schema, &err) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.message[0] != '\0');
        assert_int_equal(schema.n_columns, 99);
    }
}

static void schema_takes_64_columns_and_names_of_64_bytes_and_no_more(void **state)
{
    struct schema schema;
    (void)state;
    for (size_t n = 64; n <= 65; n++) {
        struct buf text;
        buf_init(&text, 0);
        buf_append_str(&text, "{\"columns\":[");
        for (size_t i = 0; i < n; i++)
            buf_appendf(&text, "%s\"c%zu\"", i > 0 ? "," : "", i);
        buf_append_str(&text, "],\"dtypes\":[");
        for (size_t i = 0; i < n; i++)
            buf_appendf(&text, "%s\"Number\"", i > 0 ? "," : "");
        buf_append_str(&text, "]}");
        assert_int_equal(schema_parse(buf_head(&text), buf_len(&text), &schema, NULL),
                         n == 64 ? 0 : -EINVAL);
        buf_clear(&text);
        buf_append_str(&text, "{\"columns\":[\"");
        for (size_t i = 0; i < n; i++)
            buf_append_str(&text, "n");
        buf_append_str(&text, "\"],\"dtypes\":[\"Number\"]}");
        assert_int_equal(schema_parse(buf_head(&text), buf_len(&text), &schema, NULL),
                         n == 64 ? 0 : -EINVAL);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_prints_what_it_read),
        cmocka_unit_test(schema_refuses_what_the_contract_does_not_know),
        cmocka_unit_test(schema_takes_64_columns_and_names_of_64_bytes_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
