#include "table/batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void batch_reads_what_was_written(void **state)
{
    struct buf out;
    struct batch_reader reader;
    struct batch_item item;
    struct row row;
    struct err err = {0};
    int64_t last_key = 0;
    (void)state;
    buf_init(&out, 0);
    batch_put_insert(&out, "sh1", 2);
    batch_put_row(&out, INT64_MIN, "{\n}", 3);
    batch_put_row(&out, 7, "x", 1);
    batch_put_absent(&out, "sh1", 1);
    batch_put_key(&out, -1);
    batch_put_replace(&out, "sh2", INT64_MIN, INT64_MAX, 0);
    batch_put_delete(&out, "sh2", INT64_MAX);
    batch_put_drop(&out, "sh3");
    batch_reader_init(&reader, buf_head(&out), buf_len(&out));
    assert_int_equal(batch_next(&reader, &item, &err), 1);
    assert_int_equal(item.op, BATCH_INSERT);
    assert_true(http_view_equal(item.shard, "sh1"));
    /* rows that were not read are a mistake of the caller's, and are told */
    struct batch_reader hasty = reader;
    assert_int_equal(batch_next(&hasty, &item, &err), -EPROTO);
    assert_int_equal(batch_next_row(&reader, &item, &last_key, &row, &err), 0);
    assert_true(row.key == INT64_MIN && row.n_bytes == 3 && memcmp(row.text, "{\n}", 3) == 0);
    assert_int_equal(batch_next_row(&reader, &item, &last_key, &row, &err), 0);
    assert_true(row.key == 7);
    assert_int_equal(batch_next_row(&reader, &item, &last_key, &row, &err), -EPROTO);
    assert_int_equal(batch_next(&reader, &item, &err), 1);
    assert_int_equal(item.op, BATCH_ABSENT);
    assert_int_equal(batch_next_row(&reader, &item, &last_key, &row, &err), 0);
    assert_true(row.key == -1 && row.text == NULL);
    assert_int_equal(batch_next(&reader, &item, &err), 1);
    assert_true(item.op == BATCH_REPLACE && item.low == INT64_MIN && item.last == INT64_MAX);
    assert_int_equal(batch_next(&reader, &item, &err), 1);
    assert_true(item.op == BATCH_DELETE && item.low == INT64_MAX);
    assert_int_equal(batch_next(&reader, &item, &err), 1);
    assert_int_equal(item.op, BATCH_DROP);
    assert_int_equal(batch_next(&reader, &item, &err), 0);
    buf_done(&out);
}

/* Reads all of it. */
static int read_all(const char *text, struct err *err)
{
    struct batch_reader reader;
    struct batch_item item;
    struct row row;
    int rc;
    batch_reader_init(&reader, text, strlen(text));
    while ((rc = batch_next(&reader, &item, err)) == 1) {
        int64_t last_key = 0;
        for (size_t i = 0; i < item.n_rows; i++)
            if (batch_next_row(&reader, &item, &last_key, &row, err) != 0)
                return -EPROTO;
    }
    return rc;
}

static void batch_refuses_what_is_cut_unsorted_or_not_one(void **state)
{
    static const char *const bad[] = {
        "x",
        "insert",
        "insert \n",
        "insert sh1\n",
        "insert sh1 1",
        "insert sh1 1\n",
        "insert sh1 -1\n",
        "insert sh1 99999999999999999999\n",
        "insert sh1 1000000\n1 1\nx\n",
        "insert sh1 1\n1 2\nx\n",
        "insert sh1 1\n1 1\nxx\n",
        "insert sh1 1\n 1\nx\n",
        "insert sh1 1\n9223372036854775808 1\nx\n",
        "insert sh1 1\n1 65537\nx\n",
        "insert sh1 2\n2 1\nx\n1 1\nx\n",
        "insert sh1 2\n1 1\nx\n1 1\nx\n",
        "replace sh1 5 9 1\n4 1\nx\n",
        "replace sh1 5 9 1\n10 1\nx\n",
        "absent sh1 2\n2\n1\n",
        "delete sh1\n",
        "delete sh1 x\n",
        "drop sh1 \n",
        "drop sh1\r\n ",
        "DROP sh1\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (read_all(bad[i], &err) != -EPROTO)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.message[0] != '\0');
    }
    assert_int_equal(read_all("", NULL), 0);
}

static void results_read_what_was_written(void **state)
{
    static const struct batch_result results[] = {
        {.verdict = BATCH_OK, .n_rows = 12},
        {.verdict = BATCH_EXISTS, .key = INT64_MIN},
        {.verdict = BATCH_MISSING, .key = 5},
        {.verdict = BATCH_REFUSED, .reason = {"no such shard", 13}},
        {.verdict = BATCH_FAILED, .reason = {"disk full", 9}},
    };
    struct buf out;
    struct batch_reader reader;
    struct batch_result got;
    (void)state;
    buf_init(&out, 0);
    for (size_t i = 0; i < 5; i++)
        batch_put_result(&out, &results[i]);
    assert_string_equal(buf_str(&out), "ok 12\nexists -9223372036854775808\nmissing 5\n"
                                       "refused no such shard\nfailed disk full\n");
    batch_reader_init(&reader, buf_head(&out), buf_len(&out));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(batch_next_result(&reader, &got), 1);
        assert_int_equal(got.verdict, results[i].verdict);
        assert_true(got.n_rows == results[i].n_rows && got.key == results[i].key);
        assert_int_equal(got.reason.len, results[i].reason.len);
    }
    assert_int_equal(batch_next_result(&reader, &got), 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_reads_what_was_written),
        cmocka_unit_test(batch_refuses_what_is_cut_unsorted_or_not_one),
        cmocka_unit_test(results_read_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
