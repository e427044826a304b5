/* The mysql store when its server dies or freezes: what was acknowledged stays, what was sent is
 * found out, what waits is answered in time. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "tests/support/mariadb.h"
#include "tests/support/store_bed.h"

#define WINDOW 32

static struct mariadb_bed mariadb;

/* ---- a server that dies ---- */

/* Inserts that follow each other, some of two rows, WINDOW at a time. */
struct stream {
    struct store_shard *shard;
    int64_t next_key, n_acknowledged;
    bool stopped;
    struct store_call calls[WINDOW];
    struct store_rows rows[WINDOW];
    bool acknowledged[1 << 20];
};

static struct stream stream;

static void insert_next(struct store_bed *bed, struct store_call *call)
{
    size_t at = (size_t)(call - stream.calls);
    struct store_rows *rows = &stream.rows[at];
    if (rows->n > 0) {
        if (call->request.code != 0)
            fail_msg("key %" PRId64 ": %d %s", rows->rows[0].key, call->request.code,
                     call->request.reason ? call->request.reason : "");
        for (size_t i = 0; i < rows->n; i++)
            stream.acknowledged[rows->rows[i].key] = true;
        stream.n_acknowledged += (int64_t)rows->n;
        store_rows_free(rows);
    }
    if (stream.stopped || stream.next_key > (1 << 20) - 4)
        return;
    for (int i = 0; i < 1 + (int)(at % 2); i++)
        store_rows_add(rows, stream.next_key++, "acknowledged", 1);
    call->request.op = STORE_INSERT;
    call->request.shard = stream.shard;
    call->request.rows = rows->rows;
    call->request.n_rows_in = rows->n;
    call->on_done = insert_next;
    store_bed_submit(bed, call);
}

static void start_stream(struct store_bed *bed, struct store_shard *shard)
{
    memset(&stream, 0, sizeof(stream));
    stream.shard = shard;
    for (size_t i = 0; i < WINDOW; i++)
        insert_next(bed, &stream.calls[i]);
}

static void wait_for_rows(struct store_bed *bed, int64_t n)
{
    uint64_t until_ns = clock_now_ns() + 60 * NS_PER_S;
    while (stream.n_acknowledged < n && clock_now_ns() < until_ns)
        ev_run(bed->loop, EVRUN_ONCE);
    assert_true(stream.n_acknowledged >= n);
}

/* Every acknowledged row is there, once, and nothing else. */
static void end_stream(struct store_bed *bed)
{
    struct store_rows got = {0};
    stream.stopped = true;
    store_bed_wait_all(bed);
    for (int turn = 0; turn < 2; turn++) { /* as it is known, and as it is found again */
        struct store_shard *shard = store_find(bed->store, "sh1", 3);
        store_bed_read(bed, shard, INT64_MIN, INT64_MAX, &got);
        assert_int_equal(got.n, stream.n_acknowledged);
        for (size_t i = 0; i < got.n; i++)
            assert_true(stream.acknowledged[got.rows[i].key]);
        store_bed_assert_holds(bed, shard, &got);
        store_rows_free(&got);
        if (turn == 0)
            store_bed_reopen(bed);
    }
}

static void mysql_loses_nothing_acknowledged_when_its_server_is_killed(void **state)
{
    struct store_bed bed;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    start_stream(&bed, store_bed_create(&bed, "sh1"));
    for (int round = 0; round < 5; round++) {
        wait_for_rows(&bed, stream.n_acknowledged + 300 + 111 * round);
        mariadb_bed_kill(&mariadb);
        for (int i = 0; i < 3; i++)
            store_bed_turn(&bed);
        mariadb_bed_start(&mariadb, false);
    }
    wait_for_rows(&bed, stream.n_acknowledged + 500);
    end_stream(&bed);
    store_bed_close(&bed);
}

/* The sessions are killed in the middle of whatever they do, again and again. */
static void mysql_finds_out_what_a_lost_connection_did(void **state)
{
    struct store_bed bed;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",connections=2");
    start_stream(&bed, store_bed_create(&bed, "sh1"));
    for (int round = 0; round < 40; round++) {
        wait_for_rows(&bed, stream.n_acknowledged + 50);
        long long id = mariadb_bed_sql(
            &mariadb, "SELECT id FROM information_schema.processlist WHERE user='" MARIADB_BED_USER
                      "' ORDER BY command = 'Sleep', time LIMIT 1");
        char *sql = mem_printf("KILL CONNECTION %lld", id);
        if (id > 0)
            mariadb_bed_sql(&mariadb, sql);
        free(sql);
    }
    end_stream(&bed);
    store_bed_close(&bed);
}

static bool (*take_row)(struct store_request *request, const struct row *row);

static bool kill_and_take_row(struct store_request *request, const struct row *row)
{
    mariadb_bed_kill(&mariadb);
    request->on_row = take_row;
    return take_row(request, row);
}

static void mysql_goes_on_reading_when_the_connection_is_lost(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0}, got = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",connections=2");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&rows, 0, 1, 3000, 1);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    struct store_call call = {
        .request = {.op = STORE_READ, .shard = shard, .low = 0, .last = INT64_MAX}};
    store_bed_submit(&bed, &call);
    take_row = call.request.on_row;
    call.request.on_row = kill_and_take_row;
    while (call.got.n == 0)
        ev_run(bed.loop, EVRUN_ONCE);
    assert_true(call.got.n < rows.n); /* the others are in pieces that were not asked for yet */
    mariadb_bed_start(&mariadb, false);
    store_bed_read(&bed, shard, 17, 17, &got); /* asked while nobody is there */
    assert_int_equal(got.n, 1);
    store_bed_wait(&bed, &call);
    assert_int_equal(call.request.code, 0);
    store_rows_assert_equal(&call.got, &rows);
    store_call_done(&call);
    store_rows_free(&rows);
    store_rows_free(&got);
    store_bed_close(&bed);
}

static void mysql_fails_requests_when_its_server_stays_away(void **state)
{
    struct store_bed bed;
    struct store_rows got = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",timeout=300ms");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    assert_int_equal(store_bed_insert_one(&bed, shard, 1, "before"), 0);
    mariadb_bed_kill(&mariadb);
    struct store_call read = {.request = {.op = STORE_READ, .shard = shard, .low = 1, .last = 1}};
    store_bed_submit(&bed, &read);
    int code = store_bed_insert_one(&bed, shard, 2, "during");
    /* Sent into a connection that was dead already, or not at all. */
    assert_true(code == -EIO || code == -ENOTRECOVERABLE);
    store_bed_wait(&bed, &read);
    assert_int_equal(read.request.code, -EIO);
    /* The store keeps one reason: by now it may be the write's. */
    assert_non_null(strstr(read.request.reason, "cannot be"));
    mariadb_bed_start(&mariadb, true);
    /* And it comes back by itself. */
    uint64_t until_ns = clock_now_ns() + 20 * NS_PER_S;
    do
        code = store_bed_insert_one(&bed, shard, 3, "after");
    while (code == -EIO && clock_now_ns() < until_ns);
    assert_int_equal(code, 0);
    store_bed_read(&bed, shard, 0, 10, &got);
    assert_int_equal(got.rows[0].key, 1);
    assert_int_equal(got.rows[got.n - 1].key, 3);
    store_rows_free(&got);
    store_bed_close(&bed);
}

/* ---- a server that freezes ---- */

static long sleeps_so_far(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static void mysql_waits_for_nothing_when_its_server_is_frozen(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&rows, 0, 1, 3000, 1);
    mariadb_bed_freeze(&mariadb);
    uint64_t began_ns = clock_now_ns(), longest_ns = 0;
    struct store_call write = {
        .request = {.op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = rows.n}};
    struct store_call read = {
        .request = {.op = STORE_READ, .shard = shard, .low = 0, .last = INT64_MAX}};
    store_bed_submit(&bed, &write);
    store_bed_submit(&bed, &read);
    while (clock_now_ns() - began_ns < NS_PER_S / 2) {
        uint64_t turn_ns = clock_now_ns();
        long n_sleeps = sleeps_so_far();
        store_bed_turn(&bed);
        turn_ns = clock_now_ns() - turn_ns;
        /* It gave the CPU up: a busy machine takes it away, now and then, and that is no waiting.
         */
        if (sleeps_so_far() > n_sleeps)
            longest_ns = turn_ns > longest_ns ? turn_ns : longest_ns;
    }
    assert_true(write.pending && read.pending);
    assert_true(longest_ns < 200 * NS_PER_MS);
    mariadb_bed_thaw(&mariadb);
    store_bed_wait_all(&bed);
    assert_int_equal(write.request.code, 0);
    assert_int_equal(read.request.code, 0);
    store_bed_assert_holds(&bed, shard, &rows);
    store_call_done(&read);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void mysql_closes_though_its_server_is_frozen(void **state)
{
    struct store_bed bed;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",timeout=200ms");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0};
    store_rows_add(&rows, 1, "x", 1);
    mariadb_bed_freeze(&mariadb);
    struct store_call calls[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        calls[i].request = (struct store_request){
            .op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = 1};
        store_bed_submit(&bed, &calls[i]);
        store_bed_turn(&bed);
    }
    uint64_t began_ns = clock_now_ns();
    store_bed_shut(&bed);
    assert_true(clock_now_ns() - began_ns < 5 * NS_PER_S);
    assert_int_equal(calls[0].request.code, -ENOTRECOVERABLE); /* sent, and not answered */
    assert_int_equal(calls[2].request.code, -EIO);             /* not sent */
    mariadb_bed_thaw(&mariadb);
    store_rows_free(&rows);
    struct err err = {0};
    /* The old sessions end before the new ones begin. */
    if (store_bed_start(&bed, &err) != 0)
        fail_msg("%s", err.message);
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_waits_for_nothing_when_its_server_is_frozen),
        cmocka_unit_test(mysql_closes_though_its_server_is_frozen),
        cmocka_unit_test(mysql_loses_nothing_acknowledged_when_its_server_is_killed),
        cmocka_unit_test(mysql_finds_out_what_a_lost_connection_did),
        cmocka_unit_test(mysql_goes_on_reading_when_the_connection_is_lost),
        cmocka_unit_test(mysql_fails_requests_when_its_server_stays_away),
    };
    return mariadb_bed_run_tests(&mariadb, "store: mysql, outages", tests,
                                 sizeof(tests) / sizeof(*tests));
}
