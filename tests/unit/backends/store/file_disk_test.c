/* The `file` store on a disk that is full, or fails. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/store/file_store.h"
#include "core/mem.h"
#include "tests/support/forked.h"
#include "tests/support/store_bed.h"
#include "tests/support/wal_faults.h"

#define SMALL "file:segment=64k,snapshot=1G"
#define MAX_WAITING 40

static int set_up(void **state)
{
    (void)state;
    wal_faults_install();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wal_faults_remove();
    return 0;
}

static char long_name[1001];

/* Inserts rows until one is refused, whose code is told; rows: those that were taken. */
static int fill_up(struct store_bed *bed, struct store_shard *shard, struct store_rows *rows)
{
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (int64_t key = 0; key < 10000; key++) {
        int code = store_bed_insert_one(bed, shard, key, long_name);
        if (code != 0)
            return code;
        /* As store_bed_insert_one() makes it. */
        struct store_rows got = {0};
        store_bed_read(bed, shard, key, key, &got);
        assert_int_equal(got.n, 1);
        store_rows_add_text(rows, key, got.rows[0].text, got.rows[0].n_bytes);
        store_rows_free(&got);
    }
    return 0;
}

/* ---- full ---- */

static void a_full_disk_refuses_writes_and_serves_reads(void **state)
{
    (void)state;
    static const enum wal_call calls[] = {WAL_CALL_CREATE, WAL_CALL_ALLOCATE, WAL_CALL_WRITE,
                                          WAL_CALL_SYNC,   WAL_CALL_RENAME,   WAL_CALL_SYNC_FOLDER};
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        struct store_bed bed;
        struct store_rows rows = {0};
        store_bed_open(&bed, SMALL);
        struct store_shard *shard = store_bed_create(&bed, "sh1");
        /* Of the making of a segment, whose file has another name until it is whole; the folder
         * has the store's own name only. */
        const char *where = calls[i] == WAL_CALL_SYNC_FOLDER ? NULL : ".tmp";
        wal_faults_fail(calls[i], -ENOSPC, 0, where);
        assert_int_equal(fill_up(&bed, shard, &rows), -ENOSPC);
        assert_true(rows.n > 10);
        store_bed_assert_holds(&bed, shard, &rows);
        struct store_rows big = {0};
        store_rows_add(&big, 0, long_name, 7);
        assert_int_equal(store_bed_replace(&bed, shard, INT64_MIN, INT64_MAX, &big), -ENOSPC);
        assert_int_equal(store_bed_update_one(&bed, shard, 1, long_name), -ENOSPC);
        assert_int_equal(store_bed_absent(&bed, shard, 0), -EEXIST);
        assert_int_equal(store_bed_absent(&bed, shard, -5), 0);
        store_bed_assert_holds(&bed, shard, &rows);
        /* There is room again. */
        wal_faults_fail(calls[i], 0, 0, NULL);
        size_t n_before = rows.n;
        assert_int_equal(store_bed_insert_one(&bed, shard, 20000, long_name), 0);
        store_bed_read(&bed, shard, 20000, 20000, &rows);
        assert_int_equal(rows.n, n_before + 1);
        store_bed_assert_holds(&bed, shard, &rows);
        store_bed_reopen(&bed);
        store_bed_assert_holds(&bed, store_find(bed.store, "sh1", 3), &rows);
        store_rows_free(&rows);
        store_rows_free(&big);
        store_bed_close(&bed);
    }
}

static void those_that_wait_for_room_are_told_one_by_one(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    store_bed_open(&bed, SMALL);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    wal_faults_fail(WAL_CALL_ALLOCATE, -ENOSPC, 0, NULL);
    struct store_rows wanted = {0};
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (int64_t key = 0; key < 100 + MAX_WAITING; key++)
        store_rows_add(&wanted, key, key % 2 == 0 ? long_name : "short", key);
    struct store_call calls[100 + MAX_WAITING] = {0};
    for (size_t i = 0; i < wanted.n; i++) {
        calls[i].request = (struct store_request){
            .op = STORE_INSERT, .shard = shard, .rows = &wanted.rows[i], .n_rows_in = 1};
        store_bed_submit(&bed, &calls[i]);
    }
    store_bed_wait_all(&bed);
    size_t n_refused = 0;
    for (size_t i = 0; i < wanted.n; i++) {
        if (calls[i].request.code == 0) {
            store_rows_add_text(&rows, wanted.rows[i].key, wanted.rows[i].text,
                                wanted.rows[i].n_bytes);
        } else {
            assert_int_equal(calls[i].request.code, -ENOSPC);
            n_refused++;
        }
        store_call_done(&calls[i]);
    }
    assert_true(n_refused > 0 && rows.n > 30);
    store_bed_assert_holds(&bed, shard, &rows);
    store_bed_reopen(&bed);
    store_bed_assert_holds(&bed, store_find(bed.store, "sh1", 3), &rows);
    store_rows_free(&rows);
    store_rows_free(&wanted);
    store_bed_close(&bed);
}

static void a_shard_that_has_no_room_is_not_made(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    store_bed_open(&bed, SMALL);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    wal_faults_fail(WAL_CALL_ALLOCATE, -ENOSPC, 0, NULL);
    fill_up(&bed, shard, &rows);
    int code = 0;
    char name[16];
    for (int i = 0; i < 1000 && code == 0; i++) {
        snprintf(name, sizeof(name), "other%d", i);
        struct store_call call = {
            .request = {.op = STORE_CREATE, .name = name, .schema = store_bed_schema()}};
        code = store_bed_run(&bed, &call);
    }
    assert_int_equal(code, -ENOSPC);
    assert_null(store_find(bed.store, name, strlen(name)));
    wal_faults_fail(WAL_CALL_ALLOCATE, 0, 0, NULL);
    store_bed_create(&bed, name);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- snapshots that cannot be written ---- */

static void a_snapshot_that_fails_loses_nothing(void **state)
{
    (void)state;
    static const enum wal_call calls[] = {WAL_CALL_CREATE, WAL_CALL_WRITE, WAL_CALL_SYNC,
                                          WAL_CALL_RENAME, WAL_CALL_REMOVE};
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        struct store_bed bed;
        struct store_rows rows = {0};
        store_bed_open(&bed, "file:segment=64k,snapshot=64k");
        struct store_shard *shard = store_bed_create(&bed, "sh1");
        const struct file_store *store = (const struct file_store *)bed.store;
        wal_faults_fail(calls[i], i % 2 == 0 ? -ENOSPC : -EIO, 0, "snapshot-");
        for (unsigned salt = 0; salt < 60; salt++) {
            store_rows_free(&rows);
            store_rows_fill(&rows, 0, 1, 100, salt);
            assert_int_equal(store_bed_replace(&bed, shard, 0, 99, &rows), 0);
            if (salt == 40)
                wal_faults_fail(calls[i], 0, 0, NULL);
        }
        while (store->snapshot.state != FILE_SNAPSHOT_NONE)
            ev_run(bed.loop, EVRUN_ONCE);
        assert_true(calls[i] == WAL_CALL_REMOVE || store->snapshot.n_failed > 0);
        assert_true(store->snapshot.n_done > 0);
        store_bed_reopen(&bed);
        store_bed_assert_holds(&bed, store_find(bed.store, "sh1", 3), &rows);
        store_rows_free(&rows);
        store_bed_close(&bed);
    }
}

/* ---- a disk that fails ---- */

struct failing {
    enum wal_call call;
    const char *spec;
    char dir[STORE_BED_PATH_BYTES];
};

/* A line for each row that was acknowledged. */
static void write_until_it_fails(void *argument)
{
    const struct failing *failing = argument;
    struct store_bed bed;
    struct err err = {0};
    wal_faults_install();
    if (store_bed_open_in(&bed, failing->spec, failing->dir, &err) != 0)
        return;
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    wal_faults_fail(failing->call, -EIO, 20, "log-");
    for (int64_t key = 0; key < 10000; key++) {
        if (store_bed_insert_one(&bed, shard, key, "a name") != 0)
            return;
        dprintf(STDOUT_FILENO, "%" PRId64 "\n", key);
    }
}

static void a_failed_write_or_sync_ends_the_process(void **state)
{
    (void)state;
    static struct failing all[] = {
        {.call = WAL_CALL_SYNC, .spec = "file"},
        {.call = WAL_CALL_WRITE, .spec = "file"},
        {.call = WAL_CALL_WRITE, .spec = "file:sync=none"},
        {.call = WAL_CALL_SYNC, .spec = "file:sync=interval,interval=1ms"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct failing *failing = &all[i];
        store_bed_make_dir(failing->dir);
        const struct forked *forked = forked_run(write_until_it_fails, failing);
        assert_int_equal(forked->exit_code, WAL_EXIT_CODE);
        const char *doing = failing->call == WAL_CALL_SYNC ? "cannot sync" : "cannot write";
        assert_non_null(strstr(forked->err, doing));
        assert_non_null(strstr(forked->err, failing->dir));
        assert_non_null(strstr(forked->err, "Input/output error"));
        uint64_t n_acked = 0;
        for (const char *at = forked->out; *at; at++)
            n_acked += *at == '\n';
        struct store_bed bed;
        struct err err = {0};
        wal_faults_remove();
        assert_int_equal(store_bed_open_in(&bed, failing->spec, failing->dir, &err), 0);
        struct store_shard *shard = store_find(bed.store, "sh1", 3);
        uint64_t checksum;
        assert_true(n_acked > 0);
        assert_true(store_bed_digest(&bed, shard, INT64_MIN, INT64_MAX, &checksum) >= n_acked);
        store_bed_close(&bed);
        store_bed_remove_dir(failing->dir);
    }
}

static void a_disk_that_fails_at_the_start_is_told(void **state)
{
    (void)state;
    static const enum wal_call calls[] = {WAL_CALL_CREATE, WAL_CALL_ALLOCATE, WAL_CALL_WRITE,
                                          WAL_CALL_SYNC,   WAL_CALL_RENAME,   WAL_CALL_SYNC_FOLDER};
    char dir[STORE_BED_PATH_BYTES];
    store_bed_make_dir(dir);
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        struct store_bed bed;
        struct err err = {0};
        wal_faults_fail(calls[i], -EIO, 0, NULL);
        assert_int_equal(store_bed_open_in(&bed, SMALL, dir, &err), -EIO);
        assert_non_null(strstr(err.message, dir));
        wal_faults_fail(calls[i], 0, 0, NULL);
    }
    struct store_bed bed;
    struct err err = {0};
    assert_int_equal(store_bed_open_in(&bed, SMALL, dir, &err), 0);
    store_bed_close(&bed);
    store_bed_remove_dir(dir);
}

/* ---- group commit ---- */

static uint64_t n_syncs_of(const struct store_io *io)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= METRIC_N_BOUNDS; i++)
        n += __atomic_load_n(&io->syncs.counts[i], __ATOMIC_RELAXED);
    return n;
}

static uint64_t n_bytes_of(const struct store_io *io)
{
    return __atomic_load_n(&io->n_bytes, __ATOMIC_RELAXED);
}

/* Through shims too. */
static void syncs_and_bytes_are_counted(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0};
    (void)state;
    store_bed_open(&bed, "delay:write=1us+file:segment=64K,snapshot=64K");
    assert_int_equal(bed.store->n_io, 2);
    const struct store_io *log = &bed.store->io[0], *snapshot = &bed.store->io[1];
    assert_string_equal(log->part, "log");
    assert_string_equal(snapshot->part, "snapshot");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    uint64_t n_syncs = n_syncs_of(log), n_bytes = n_bytes_of(log);
    for (int64_t key = 0; key < 10; key++)
        assert_int_equal(store_bed_insert_one(&bed, shard, key, "row"), 0);
    assert_int_equal(n_syncs_of(log) - n_syncs, 10);
    assert_true(log->syncs.sum_ns > 0);
    assert_in_range(n_bytes_of(log) - n_bytes, 10 * 40, 10 * 400);
    assert_int_equal(n_bytes_of(snapshot), 0);
    store_rows_fill(&rows, 1000, 1, 1000, 1);
    for (int i = 0; i < 100 && n_syncs_of(snapshot) == 0; i++)
        assert_int_equal(store_bed_replace(&bed, shard, 1000, 2000, &rows), 0);
    assert_true(n_syncs_of(snapshot) > 0);
    assert_true(n_bytes_of(snapshot) > 1000 * 20);
    assert_true(n_bytes_of(log) > 1000 * 20);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void changes_that_wait_share_a_sync(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "file");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0};
    struct store_call calls[MAX_WAITING] = {0};
    store_rows_fill(&rows, 0, 1, MAX_WAITING, 1);
    uint64_t n_syncs = wal_faults_count(WAL_CALL_SYNC);
    uint64_t n_writes = wal_faults_count(WAL_CALL_WRITE);
    for (size_t i = 0; i < rows.n; i++) {
        calls[i].request = (struct store_request){
            .op = STORE_INSERT, .shard = shard, .rows = &rows.rows[i], .n_rows_in = 1};
        store_bed_submit(&bed, &calls[i]);
        assert_true(calls[i].pending);
    }
    store_bed_wait_all(&bed);
    assert_int_equal(wal_faults_count(WAL_CALL_SYNC) - n_syncs, 1);
    assert_int_equal(wal_faults_count(WAL_CALL_WRITE) - n_writes, 1);
    store_bed_assert_holds(&bed, shard, &rows);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_that_wait_share_a_sync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(syncs_and_bytes_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_writes_and_serves_reads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(those_that_wait_for_room_are_told_one_by_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_shard_that_has_no_room_is_not_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_fails_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_or_sync_ends_the_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_at_the_start_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
