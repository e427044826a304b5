#include "loadgen/rowlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"

static void rows_come_back_as_they_were_added(void **state)
{
    (void)state;
    static const struct {
        int64_t key;
        uint64_t value;
    } rows[] = {{INT64_MIN, 0}, {INT64_MIN + 1, UINT64_MAX}, {-1, 127},     {0, 128}, {1, 0},
                {129, 1},       {INT64_MAX - 1, 16384},      {INT64_MAX, 5}};
    const size_t n_rows = sizeof(rows) / sizeof(*rows);
    struct rowlog log;
    int64_t key;
    uint64_t value;
    rowlog_init(&log);
    for (size_t i = 0; i < n_rows; i++)
        assert_int_equal(rowlog_add(&log, rows[i].key, rows[i].value), 0);
    assert_int_equal(log.n, n_rows);
    for (int twice = 0; twice < 2; twice++) {
        struct rowlog_reader reader = {.log = &log};
        for (size_t i = 0; i < n_rows; i++) {
            assert_true(rowlog_next(&reader, &key, &value));
            assert_true(key == rows[i].key && value == rows[i].value);
        }
        assert_false(rowlog_next(&reader, &key, &value));
        assert_false(rowlog_next(&reader, &key, &value));
    }
    rowlog_done(&log);
}

static void an_empty_log_has_no_row(void **state)
{
    (void)state;
    struct rowlog log;
    int64_t key;
    uint64_t value;
    rowlog_init(&log);
    assert_false(rowlog_next(&(struct rowlog_reader){.log = &log}, &key, &value));
    rowlog_done(&log);
}

static void dense_unchanged_rows_take_two_bytes_each(void **state)
{
    (void)state;
    struct rowlog log;
    rowlog_init(&log);
    for (int64_t key = 0; key < 100000; key++)
        assert_int_equal(rowlog_add(&log, key, 0), 0);
    assert_in_range(buf_len(&log.bytes), 200000, 200000 + 16);
    rowlog_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_were_added),
        cmocka_unit_test(an_empty_log_has_no_row),
        cmocka_unit_test(dense_unchanged_rows_take_two_bytes_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
