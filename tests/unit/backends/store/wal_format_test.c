/* The bytes of the `file` store's log: what is put is got, and nothing else is. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/store/wal_format.h"
#include "core/crc32c.h"

static const struct row some_rows[] = {
    {.key = INT64_MIN, .text = "{\"a\":1}", .n_bytes = 7},
    {.key = -1, .text = "", .n_bytes = 0},
    {.key = INT64_MAX, .text = "{\"a\":\"\xc3\xa4\"}", .n_bytes = 10},
};

static void put(struct buf *out, const struct wal_change *change)
{
    size_t n = wal_record_bytes(change);
    assert_int_equal(n % WAL_ALIGNMENT, 0);
    size_t before = buf_len(out);
    wal_record_put(change, n, out);
    assert_int_equal(buf_len(out), before + n);
}

/* A frame of the records, appended to out. */
static void put_frame(struct buf *out, const struct buf *records, uint32_t n_records,
                      uint64_t first_seq, uint64_t synced_seq)
{
    unsigned char header[WAL_FRAME_HEADER_BYTES];
    struct wal_frame frame = {
        .first_seq = first_seq,
        .synced_seq = synced_seq,
        .n_records = n_records,
        .n_bytes = (uint32_t)buf_len(records),
        .crc = crc32c(0, buf_head(records), buf_len(records)),
    };
    wal_frame_put(&frame, header);
    buf_append(out, header, sizeof(header));
    buf_append(out, buf_head(records), buf_len(records));
}

static struct wal_reader reader_of(const struct buf *records, uint32_t n)
{
    struct wal_frame frame = {.records = (const unsigned char *)buf_head(records),
                              .n_bytes = (uint32_t)buf_len(records),
                              .n_records = n};
    struct wal_reader reader;
    wal_reader_init(&reader, &frame);
    return reader;
}

static void assert_rows(struct wal_record *record, size_t n)
{
    const char *reason = NULL;
    struct row row;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(wal_row_next(record, &row, &reason), 1);
        assert_int_equal(row.key, some_rows[i].key);
        assert_int_equal(row.n_bytes, some_rows[i].n_bytes);
        assert_memory_equal(row.text, some_rows[i].text, row.n_bytes);
    }
    assert_int_equal(wal_row_next(record, &row, &reason), 0);
}

static void every_operation_is_read_as_it_was_put(void **state)
{
    (void)state;
    static const char schema[] = "{\"columns\":[\"a\"],\"dtypes\":[\"Number\"]}";
    const struct wal_end end = {1, UINT64_MAX, 3, 4};
    struct buf records;
    buf_init(&records, 0);
    put(&records, &(struct wal_change){.op = WAL_CREATE,
                                       .shard = 7,
                                       .name = "sh1",
                                       .schema = schema,
                                       .n_schema = sizeof(schema) - 1});
    put(&records, &(struct wal_change){.op = WAL_DROP, .shard = UINT64_MAX});
    put(&records,
        &(struct wal_change){.op = WAL_INSERT, .shard = 7, .rows = some_rows, .n_rows = 3});
    put(&records,
        &(struct wal_change){.op = WAL_UPDATE, .shard = 7, .rows = some_rows, .n_rows = 1});
    put(&records, &(struct wal_change){.op = WAL_DELETE, .shard = 7, .low = INT64_MIN});
    put(&records, &(struct wal_change){.op = WAL_REPLACE,
                                       .shard = 7,
                                       .low = INT64_MIN,
                                       .last = INT64_MAX,
                                       .rows = some_rows,
                                       .n_rows = 3});
    put(&records, &(struct wal_change){.op = WAL_REPLACE, .shard = 7, .low = 4, .last = 4});
    put(&records, &(struct wal_change){.op = WAL_END, .end = end});

    struct wal_reader reader = reader_of(&records, 8);
    struct wal_record record;
    const char *reason = NULL;
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_CREATE);
    assert_int_equal(record.shard, 7);
    assert_int_equal(record.n_name, 3);
    assert_memory_equal(record.name, "sh1", 3);
    assert_int_equal(record.n_schema, sizeof(schema) - 1);
    assert_memory_equal(record.schema, schema, record.n_schema);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_DROP);
    assert_true(record.shard == UINT64_MAX);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_INSERT);
    assert_rows(&record, 3);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_UPDATE);
    assert_rows(&record, 1);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_DELETE);
    assert_true(record.low == INT64_MIN);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.op, WAL_REPLACE);
    assert_true(record.low == INT64_MIN && record.last == INT64_MAX);
    assert_rows(&record, 3);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_int_equal(record.low, 4);
    assert_rows(&record, 0);
    assert_int_equal(wal_record_next(&reader, &record, &reason), 1);
    assert_memory_equal(&record.end, &end, sizeof(end));
    assert_int_equal(wal_record_next(&reader, &record, &reason), 0);
    buf_done(&records);
}

/* Whether the records, or their rows, are refused. */
static bool is_refused(const struct buf *records, uint32_t n)
{
    struct wal_reader reader = reader_of(records, n);
    struct wal_record record;
    struct row row;
    const char *reason = NULL;
    int rc = 0;
    while (rc == 0 && (rc = wal_record_next(&reader, &record, &reason)) == 1)
        while ((rc = wal_row_next(&record, &row, &reason)) == 1)
            continue;
    assert_true(rc == 0 || (rc == -EBADMSG && reason));
    return rc != 0;
}

static void records_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct buf records;
    buf_init(&records, 0);
    put(&records,
        &(struct wal_change){.op = WAL_INSERT, .shard = 1, .rows = some_rows, .n_rows = 3});
    assert_false(is_refused(&records, 1));
    assert_true(is_refused(&records, 0));
    assert_true(is_refused(&records, 2));
    /* A count of rows, of bytes, an operation, that are not so. */
    static const struct {
        size_t at;
        char value;
    } lies[] = {{16, 2}, {16, 4}, {16, 0}, {0, 8}, {0, 0}, {1, 1}, {4, 0}, {4, 99}, {32, 100}};
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        char *at = buf_head(&records) + lies[i].at;
        char before = *at;
        *at = lies[i].value;
        assert_true(is_refused(&records, 1));
        *at = before;
    }
    assert_false(is_refused(&records, 1));
    buf_done(&records);
}

static void keys_must_ascend_and_stay_in_their_range(void **state)
{
    (void)state;
    static const struct row twice[] = {{.key = 1, .text = "x", .n_bytes = 1},
                                       {.key = 1, .text = "y", .n_bytes = 1}};
    static const struct row wide[] = {{.key = 1, .text = "x", .n_bytes = 1},
                                      {.key = 9, .text = "y", .n_bytes = 1}};
    struct buf records;
    buf_init(&records, 0);
    put(&records, &(struct wal_change){.op = WAL_INSERT, .rows = twice, .n_rows = 2});
    assert_true(is_refused(&records, 1));
    buf_clear(&records);
    put(&records,
        &(struct wal_change){.op = WAL_REPLACE, .low = 1, .last = 8, .rows = wide, .n_rows = 2});
    assert_true(is_refused(&records, 1));
    buf_clear(&records);
    put(&records,
        &(struct wal_change){.op = WAL_REPLACE, .low = 1, .last = 9, .rows = wide, .n_rows = 2});
    assert_false(is_refused(&records, 1));
    buf_done(&records);
}

static void a_record_that_is_too_long_has_no_size(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct row *rows = calloc(N, sizeof(*rows));
    for (int i = 0; i < N; i++)
        rows[i] = (struct row){.key = i, .n_bytes = ROW_MAX_BYTES};
    assert_int_equal(
        wal_record_bytes(&(struct wal_change){.op = WAL_INSERT, .rows = rows, .n_rows = N}), 0);
    assert_true(
        wal_record_bytes(&(struct wal_change){.op = WAL_INSERT, .rows = rows, .n_rows = 16000}) >
        16000 * (size_t)ROW_MAX_BYTES);
    free(rows);
}

static void a_frame_with_any_bit_flipped_is_bad(void **state)
{
    (void)state;
    struct buf records, file;
    struct wal_frame frame;
    const char *reason = NULL;
    buf_init(&records, 0);
    buf_init(&file, 0);
    put(&records, &(struct wal_change){.op = WAL_DELETE, .shard = 1, .low = 5});
    put(&records,
        &(struct wal_change){.op = WAL_INSERT, .shard = 1, .rows = some_rows, .n_rows = 3});
    put_frame(&file, &records, 2, 10, 9);
    unsigned char *bytes = (unsigned char *)buf_head(&file);
    size_t n = buf_len(&file);
    assert_int_equal(wal_frame_check(bytes, n, 0, &frame, &reason), WAL_GOOD);
    assert_int_equal(frame.first_seq, 10);
    assert_int_equal(frame.synced_seq, 9);
    assert_int_equal(frame.n_records, 2);
    assert_int_equal(frame.end, n);
    assert_int_equal(wal_frame_bytes(bytes, n, 0), n);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(wal_frame_check(bytes, n, 0, &frame, &reason), WAL_BAD);
        assert_non_null(reason);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    /* Cut anywhere. */
    for (size_t cut = 1; cut < n; cut++)
        assert_int_equal(wal_frame_check(bytes, cut, 0, &frame, &reason), WAL_BAD);
    buf_done(&records);
    buf_done(&file);
}

static void zeros_and_the_end_are_no_frame(void **state)
{
    (void)state;
    static const unsigned char zeros[100];
    struct wal_frame frame;
    const char *reason;
    assert_int_equal(wal_frame_check(zeros, 100, 0, &frame, &reason), WAL_NOTHING);
    assert_int_equal(wal_frame_check(zeros, 100, 80, &frame, &reason), WAL_NOTHING);
    assert_int_equal(wal_frame_check(zeros, 100, 100, &frame, &reason), WAL_NOTHING);
    assert_int_equal(wal_frame_check(zeros, 100, 104, &frame, &reason), WAL_NOTHING);
}

static void later_frames_tell_what_had_been_synced(void **state)
{
    (void)state;
    struct buf records, file;
    size_t found = 0;
    buf_init(&records, 0);
    buf_init(&file, 0);
    put(&records, &(struct wal_change){.op = WAL_DELETE, .shard = 1, .low = 5});
    put_frame(&file, &records, 1, 10, 8);
    size_t second = buf_len(&file);
    put_frame(&file, &records, 1, 11, 8);
    put_frame(&file, &records, 1, 12, 11);
    const unsigned char *bytes = (const unsigned char *)buf_head(&file);
    size_t n = buf_len(&file), third = 2 * second;
    assert_true(wal_find_synced(bytes, n, 0, 8, 0, &found));
    assert_int_equal(found, 0);
    assert_true(wal_find_synced(bytes, n, 1, 10, 0, &found));
    assert_int_equal(found, third);
    assert_true(wal_find_synced(bytes, n, second, 11, 0, &found));
    assert_false(wal_find_synced(bytes, n, 0, 12, 0, &found));
    assert_false(wal_find_synced(bytes, n, third + 8, 10, 0, &found));
    /* Known from elsewhere: 10 was there, hence what stands before 11 had been. */
    assert_false(wal_find_synced(bytes, n, 8, 12, 9, &found));
    assert_true(wal_find_synced(bytes, n, 8, 12, 10, &found));
    assert_int_equal(found, second);
    buf_done(&records);
    buf_done(&file);
}

static void a_file_header_is_of_its_kind_and_format(void **state)
{
    (void)state;
    unsigned char bytes[WAL_FILE_HEADER_BYTES];
    struct wal_file_header header = {.number = 3, .size = 65536}, got = {0};
    struct err err = {0};
    wal_file_header_put(WAL_SEGMENT, &header, bytes);
    assert_int_equal(wal_file_header_get(WAL_SEGMENT, bytes, sizeof(bytes), "f", &got, &err), 0);
    assert_memory_equal(&got, &header, sizeof(got));
    assert_int_equal(wal_file_header_get(WAL_SNAPSHOT, bytes, sizeof(bytes), "f", &got, &err),
                     -EBADMSG);
    assert_int_equal(wal_file_header_get(WAL_SEGMENT, bytes, 63, "f", &got, &err), -EBADMSG);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 0x10;
        int rc = wal_file_header_get(WAL_SEGMENT, bytes, sizeof(bytes), "the/file", &got, &err);
        assert_int_equal(rc, i >= 8 && i < 12 ? -ENOTSUP : -EBADMSG);
        assert_non_null(strstr(err.message, "the/file"));
        bytes[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_read_as_it_was_put),
        cmocka_unit_test(records_that_contradict_themselves_are_refused),
        cmocka_unit_test(keys_must_ascend_and_stay_in_their_range),
        cmocka_unit_test(a_record_that_is_too_long_has_no_size),
        cmocka_unit_test(a_frame_with_any_bit_flipped_is_bad),
        cmocka_unit_test(zeros_and_the_end_are_no_frame),
        cmocka_unit_test(later_frames_tell_what_had_been_synced),
        cmocka_unit_test(a_file_header_is_of_its_kind_and_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
