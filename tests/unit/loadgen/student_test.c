#include "loadgen/student.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table/row.h"

static void a_row_made_is_canonical_and_reads_back(void **state)
{
    (void)state;
    struct schema schema;
    struct err err = {0};
    assert_int_equal(schema_parse(STUDENT_SCHEMA, strlen(STUDENT_SCHEMA), &schema, &err), 0);
    const int64_t keys[] = {0, 1, 2255, -7, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct buf text;
        struct row_value values[SCHEMA_MAX_COLUMNS];
        buf_init(&text, 0);
        student_put(&text, keys[i], i * 1000);
        assert_in_range(buf_len(&text), 1, STUDENT_ROW_BYTES - 1);
        assert_int_equal(row_take_apart(&schema, buf_head(&text), buf_len(&text), values, &err), 0);
        int64_t key;
        uint64_t version;
        assert_int_equal(student_read(buf_head(&text), buf_len(&text), &key, &version),
                         buf_len(&text));
        assert_true(key == keys[i]);
        assert_int_equal(version, i * 1000);
        buf_done(&text);
    }
}

static void a_row_nobody_made_is_seen(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    student_put(&text, 41, 3);
    int64_t key;
    uint64_t version;
    for (size_t i = 0; i < buf_len(&text); i++) {
        char *copy = malloc(buf_len(&text));
        memcpy(copy, buf_head(&text), buf_len(&text));
        copy[i] ^= 1;
        assert_int_equal(student_read(copy, buf_len(&text), &key, &version), 0);
        assert_int_equal(student_read(buf_head(&text), i, &key, &version), 0);
        free(copy);
    }
    buf_done(&text);
}

static void counting_refuses_disorder_strangers_and_cut_bodies(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 0);
    buf_append_str(&body, "{\"shards_queried\":[\"sh1\"],\"data\":[");
    size_t head = buf_len(&body);
    buf_append_str(&body, "]");
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 0, 9), 0);
    body.end = body.start + head;
    student_put(&body, 3, 0);
    buf_append_str(&body, ",");
    student_put(&body, 5, 0);
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 0, 9), -1); /* no end */
    buf_append_str(&body, "],\"status\":\"success\"}");
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 0, 9), 2);
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 4, 9), -1);
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 0, 4), -1);
    body.end = body.start + head;
    student_put(&body, 5, 0);
    buf_append_str(&body, ",");
    student_put(&body, 5, 1);
    buf_append_str(&body, "]");
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), 0, 9), -1);
    assert_int_equal(student_count("", 0, 0, 9), -1);
    buf_done(&body);
}

static void a_row_of_somebody_else_has_a_value_of_its_own(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"Stud_id\":7,\"Stud_name\":\"GHI\",\"Stud_marks\":27}",
        "{\"Stud_id\":7,\"Stud_name\":\"GHJ\",\"Stud_marks\":27}",
        "{\"Stud_id\":7,\"Stud_name\":\"}\\\"}\",\"Stud_marks\":\"{\"}",
    };
    uint64_t values[3];
    int64_t key = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(rows[i]);
        char *more = malloc(n + 2);
        memcpy(more, rows[i], n);
        memcpy(more + n, ",{", 2);
        assert_int_equal(student_read_any(more, n + 2, &key, &values[i]), n);
        assert_int_equal(key, 7);
        assert_true(student_is_foreign(values[i]));
        assert_int_equal(student_read_any(more, n - 1, &key, &values[i]), 0);
        assert_int_equal(student_read_any(rows[i], n, &key, &values[i]), n);
        free(more);
    }
    assert_true(values[0] != values[1] && values[1] != values[2]);
    assert_int_equal(student_read_any("{\"Stud_id\":\"7\"}", 15, &key, &values[0]), 0);
    assert_int_equal(student_read_any("{\"Stud_id\":99999999999999999999}", 32, &key, &values[0]),
                     0);
}

static void rows_at_the_ends_of_the_keys_are_told_in_order(void **state)
{
    (void)state;
    struct buf body;
    struct student_rows rows;
    int64_t key;
    uint64_t value;
    buf_init(&body, 0);
    buf_append_str(&body, "{\"data\":[");
    student_put(&body, INT64_MIN, 1);
    buf_append_str(&body, ",");
    student_put(&body, INT64_MAX, STUDENT_MAX_VERSION);
    size_t n_rows = buf_len(&body);
    buf_append_str(&body, "]");
    assert_int_equal(
        student_rows_begin(&rows, buf_head(&body), buf_len(&body), INT64_MIN, INT64_MAX, true), 0);
    assert_int_equal(student_rows_next(&rows, &key, &value), 1);
    assert_true(key == INT64_MIN && value == 1);
    assert_int_equal(student_rows_next(&rows, &key, &value), 1);
    assert_true(key == INT64_MAX && value == STUDENT_MAX_VERSION);
    assert_int_equal(student_rows_next(&rows, &key, &value), 0);
    body.end = body.start + n_rows;
    buf_append_str(&body, ",");
    student_put(&body, INT64_MIN, 1);
    buf_append_str(&body, "]");
    assert_int_equal(student_count(buf_head(&body), buf_len(&body), INT64_MIN, INT64_MAX), -1);
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_made_is_canonical_and_reads_back),
        cmocka_unit_test(a_row_nobody_made_is_seen),
        cmocka_unit_test(counting_refuses_disorder_strangers_and_cut_bodies),
        cmocka_unit_test(a_row_of_somebody_else_has_a_value_of_its_own),
        cmocka_unit_test(rows_at_the_ends_of_the_keys_are_told_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
