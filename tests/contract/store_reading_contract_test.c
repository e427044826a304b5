/* What every store promises of reads and of the texts that it keeps (backends/store.h), held
 * against every one of the registry (tests/support/store_world.h says which). */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/store_world.h"

/* ---- reading ---- */

static void reads_ranges_with_both_ends(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 10, 1000, 1); /* 0 … 9990 */
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    static const struct {
        int64_t low, last;
        size_t from, n;
    } ranges[] = {{0, 0, 0, 1},          {1, 9, 0, 0},         {10, 20, 1, 2},
                  {5, 25, 1, 2},         {9990, 9990, 999, 1}, {9991, INT64_MAX, 0, 0},
                  {-100, -1, 0, 0},      {-5, 5, 0, 1},        {INT64_MIN, INT64_MAX, 0, 1000},
                  {2000, 7999, 200, 600}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        struct store_rows got = {0};
        store_bed_read(bed, world->shard, ranges[i].low, ranges[i].last, &got);
        struct store_rows wanted = {.rows = rows.rows + ranges[i].from, .n = ranges[i].n};
        store_rows_assert_equal(&got, &wanted);
        uint64_t checksum;
        assert_int_equal(
            store_bed_digest(bed, world->shard, ranges[i].low, ranges[i].last, &checksum),
            wanted.n);
        assert_int_equal(checksum, store_rows_checksum(&wanted));
        store_rows_free(&got);
    }
    store_rows_free(&rows);
}

static void reads_no_more_than_it_may_and_tells_of_more(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 10, 100, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    static const struct {
        int64_t low, last;
        size_t max, n;
        bool more;
    } cases[] = {{0, 990, 1, 1, true},
                 {0, 990, 99, 99, true},
                 {0, 990, 100, 100, false},
                 {0, 990, 101, 100, false},
                 {0, 50, 6, 6, false},
                 {0, 50, 5, 5, true},
                 {0, 9, 1, 1, false},
                 {INT64_MIN, INT64_MAX, 99, 99, true},
                 {INT64_MIN, INT64_MAX, 100, 100, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (enum store_op op = STORE_READ; op <= STORE_DIGEST; op++) {
            struct store_call call = {.request = {.op = op,
                                                  .shard = world->shard,
                                                  .low = cases[i].low,
                                                  .last = cases[i].last,
                                                  .max_rows = cases[i].max}};
            assert_int_equal(store_bed_run(bed, &call), 0);
            assert_int_equal(call.request.n_rows, cases[i].n);
            assert_int_equal(call.request.more, cases[i].more);
            if (op == STORE_READ || cases[i].more)
                assert_int_equal(call.request.key, rows.rows[cases[i].n - 1].key);
            struct store_rows wanted = {.rows = rows.rows, .n = cases[i].n};
            if (op == STORE_READ)
                store_rows_assert_equal(&call.got, &wanted);
            else
                assert_int_equal(call.request.checksum, store_rows_checksum(&wanted));
            store_call_done(&call);
        }
    }
    store_rows_free(&rows);
}

static void stops_reading_when_a_row_is_not_taken(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 10, 5000, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    static const size_t stops[] = {1, 2, 64, 4999};
    for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++) {
        struct store_call call = {
            .request = {.op = STORE_READ, .shard = world->shard, .last = INT64_MAX},
            .stop_after = stops[i]};
        assert_int_equal(store_bed_run(bed, &call), 0);
        assert_true(call.request.more);
        assert_int_equal(call.got.n, stops[i]);
        assert_int_equal(call.request.n_rows, stops[i]);
        assert_int_equal(call.request.key, rows.rows[stops[i] - 1].key);
        store_call_done(&call);
    }
    struct store_call call = {
        .request = {.op = STORE_READ, .shard = world->shard, .last = INT64_MAX},
        .stop_after = 5000};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_false(call.request.more);
    store_call_done(&call);
    store_rows_free(&rows);
}

/* As the server pages a shard: from the key after the last one. */
static void pages_a_shard_whole(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, got = {0};
    store_rows_fill(&rows, -3000, 3, 2500, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    struct store_call call = {.request = {.op = STORE_READ,
                                          .shard = world->shard,
                                          .low = INT64_MIN,
                                          .last = INT64_MAX,
                                          .max_rows = 97}};
    do {
        assert_int_equal(store_bed_run(bed, &call), 0);
        for (size_t i = 0; i < call.got.n; i++)
            store_rows_add_text(&got, call.got.rows[i].key, call.got.rows[i].text,
                                call.got.rows[i].n_bytes);
        store_call_done(&call);
        call.request.low = call.request.key + 1;
    } while (call.request.more);
    store_rows_assert_equal(&got, &rows);
    store_rows_free(&got);
    store_rows_free(&rows);
}

static void keeps_texts_byte_for_byte(void **state)
{
    static const char *const names[] = {
        "",
        " ",
        "Ada",
        "\\\"quoted\\\" \\\\ back/slash",
        "\\b\\f\\n\\r\\t\\u0001\\u001f",
        "\\u007f",
        "tab\\tdel\\u007fafter",
        "Grüße, Jürgen ß",
        "日本語テキスト",
        "\xf0\x9f\x90\x98\xf0\x9d\x84\x9e",
        "\xef\xbf\xbf\xef\xbb\xbf\xf4\x8f\xbf\xbf",
        "'; DROP TABLE x; --",
        "%s%n%d",
        "`backtick` \\\\' ' '' _ % \\\\% \\\\_",
        "trailing   ",
    };
    enum { N = sizeof(names) / sizeof(*names) };
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, changed = {0};
    for (size_t i = 0; i < N; i++) {
        store_rows_add(&rows, (int64_t)i, names[i], (int64_t)i);
        store_rows_add(&changed, (int64_t)i, names[(i + 1) % N], (int64_t)i % 100);
    }
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(store_bed_update_one(bed, world->shard, (int64_t)i, names[(i + 1) % N]),
                         0);
    store_bed_assert_holds(bed, world->shard, &changed);
    if (world->caps & STORE_DURABLE) {
        store_bed_reopen(bed);
        store_bed_assert_holds(bed, store_find(bed->store, "sh1", 3), &changed);
    }
    store_rows_free(&rows);
    store_rows_free(&changed);
}

/* The largest texts there may be, and every length around the sizes at which things change. */
static void keeps_texts_of_every_length(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    char *name = mem_alloc(ROW_MAX_BYTES);
    struct store_rows rows = {0};
    static const size_t sizes[] = {
        120,  128,  250,  256,  500,  512,   1000,  1016,  1024,  1032,
        2000, 2030, 4000, 4096, 8192, 16384, 32768, 65000, 65400, ROW_MAX_BYTES - 60};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (size_t n = sizes[i] - 8; n < sizes[i] + (sizes[i] < 5000 ? 8 : 1); n++) {
            memset(name, 'a' + (int)(n % 26), n);
            name[n] = '\0';
            store_rows_add(&rows, (int64_t)rows.n, name, 1);
        }
    /* One of exactly the largest size. */
    struct row *last = &rows.rows[rows.n - 1];
    size_t n = sizes[sizeof(sizes) / sizeof(*sizes) - 1] + ROW_MAX_BYTES - last->n_bytes;
    memset(name, 'z', n);
    name[n] = '\0';
    store_rows_add(&rows, (int64_t)rows.n, name, 1);
    while (rows.rows[rows.n - 1].n_bytes > ROW_MAX_BYTES) {
        free((char *)rows.rows[--rows.n].text);
        name[--n] = '\0';
        store_rows_add(&rows, (int64_t)rows.n, name, 1);
    }
    assert_int_equal(rows.rows[rows.n - 1].n_bytes, ROW_MAX_BYTES);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    /* Small for large and large for small. */
    assert_int_equal(store_bed_update_one(bed, world->shard, (int64_t)rows.n - 1, "s"), 0);
    assert_int_equal(store_bed_update_one(bed, world->shard, 0, name + 200), 0);
    struct store_rows got = {0};
    store_bed_read(bed, world->shard, 0, 0, &got);
    assert_true(got.rows[0].n_bytes > ROW_MAX_BYTES - 300);
    store_rows_free(&got);
    assert_int_equal(store_bed_replace(bed, world->shard, 0, INT64_MAX, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    store_rows_free(&rows);
    free(name);
}

static const struct CMUnitTest tests[] = {
    STORE_TEST(reads_ranges_with_both_ends),
    STORE_TEST(reads_no_more_than_it_may_and_tells_of_more),
    STORE_TEST(stops_reading_when_a_row_is_not_taken),
    STORE_TEST(pages_a_shard_whole),
    STORE_TEST(keeps_texts_byte_for_byte),
    STORE_TEST(keeps_texts_of_every_length),
};

int main(int argc, char **argv)
{
    return store_world_run_all(argc, argv, tests, sizeof(tests) / sizeof(*tests));
}
