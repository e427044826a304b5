/* The mysql store and statements that take effect late: mariadbd is held up by somebody else's
 * locks on the table's rows, and on the gaps between them, while the store, or one that was killed,
 * has sent changes. */
#include <errno.h>
#include <inttypes.h>
#include <mariadb/mysql.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "tests/support/mariadb.h"
#include "tests/support/store_bed.h"

#define HELD_MS 300
/* Time enough for the store to send what it can. */
#define SEND_MS 100

static struct mariadb_bed mariadb;

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static void turn_for_ms(struct store_bed *bed, unsigned ms)
{
    for (uint64_t until_ns = clock_now_ns() + ms * NS_PER_MS; clock_now_ns() < until_ns;) {
        store_bed_turn(bed);
        sleep_ms(1);
    }
}

/* ---- the lock ---- */

static MYSQL *lock_rows(void)
{
    const struct passwd *passwd = getpwuid(geteuid());
    MYSQL *mysql = mysql_init(NULL);
    assert_non_null(mysql);
    assert_non_null(passwd);
    assert_non_null(
        mysql_real_connect(mysql, NULL, passwd->pw_name, NULL, NULL, 0, mariadb.socket, 0));
    char *sql = mem_printf("SELECT c0 FROM quoit_test_%u.quoit_1 FOR UPDATE", mariadb.n_databases);
    assert_int_equal(mysql_query(mysql, "BEGIN"), 0);
    assert_int_equal(mysql_query(mysql, sql), 0);
    mysql_free_result(mysql_store_result(mysql));
    free(sql);
    return mysql;
}

struct held {
    MYSQL *mysql;
    pthread_t thread;
    uint64_t let_go_ns;
};

static void *let_go_later(void *argument)
{
    struct held *held = argument;
    sleep_ms(HELD_MS);
    held->let_go_ns = clock_now_ns();
    mysql_close(held->mysql);
    return NULL;
}

/* ---- digests ---- */

static void mysql_digests_what_is_there_when_earlier_changes_are_done(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0};
    (void)state;
    store_bed_open(&bed, mariadb_bed_new_database(&mariadb));
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&rows, 0, 1, 10, 1);
    MYSQL *lock = lock_rows();
    struct store_call insert = {
        .request = {.op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = rows.n}};
    struct store_call whole = {
        .request = {.op = STORE_DIGEST, .shard = shard, .low = INT64_MIN, .last = INT64_MAX}};
    struct store_call part = {.request = {.op = STORE_DIGEST, .shard = shard, .low = 3, .last = 5}};
    struct store_call deletion = {.request = {.op = STORE_DELETE, .shard = shard, .low = 4}};
    struct store_call less = whole;
    store_bed_submit(&bed, &insert);
    turn_for_ms(&bed, SEND_MS);
    store_bed_submit(&bed, &whole);
    store_bed_submit(&bed, &part);
    store_bed_submit(&bed, &deletion);
    store_bed_submit(&bed, &less);
    turn_for_ms(&bed, SEND_MS);
    assert_int_equal(bed.n_pending, 5);
    mysql_close(lock);
    store_bed_wait_all(&bed);
    assert_int_equal(insert.request.code, 0);
    assert_int_equal(whole.request.n_rows, 10);
    assert_int_equal(whole.request.checksum, store_rows_checksum(&rows));
    assert_int_equal(deletion.request.code, 0);
    assert_in_range(part.request.n_rows, 2, 3); /* it may see more */
    assert_int_equal(less.request.n_rows, 9);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- a server that was killed ---- */

/* In a process of its own: fills a shard, says so, and sends another row when it is told to. */
static void serve_until_killed(const char *spec, const char *dir, int out, int in)
{
    struct store_bed bed;
    struct err err;
    char byte = 0;
    if (store_bed_open_in(&bed, spec, dir, &err) != 0)
        _exit(1);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0};
    store_rows_add(&rows, 2, "late", 7);
    if (store_bed_insert_one(&bed, shard, 1, "in time") != 0 || write(out, &byte, 1) != 1 ||
        read(in, &byte, 1) != 1)
        _exit(1);
    struct store_call call = {
        .request = {.op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = 1}};
    store_bed_submit(&bed, &call);
    turn_for_ms(&bed, SEND_MS);
    if (write(out, &byte, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* Has a server killed that has sent a row, which mariadbd cannot insert before the lock goes. */
static MYSQL *kill_within_insert(const char *dir)
{
    int to[2], from[2];
    char byte = 0;
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        serve_until_killed(mariadb.spec, dir, from[1], to[0]);
    close(from[1]);
    assert_int_equal(read(from[0], &byte, 1), 1);
    MYSQL *lock = lock_rows();
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(from[0]);
    close(to[0]);
    close(to[1]);
    return lock;
}

static void mysql_begins_when_a_killed_server_s_statements_are_done(void **state)
{
    struct store_bed bed;
    struct err err = {0};
    struct store_rows rows = {0}, all = {0};
    char dir[STORE_BED_PATH_BYTES];
    (void)state;
    mariadb_bed_new_database(&mariadb);
    store_bed_make_dir(dir);
    struct held held = {.mysql = kill_within_insert(dir)};

    /* It is not waited for without end: */
    char *spec = mem_printf("%s,timeout=200ms", mariadb.spec);
    uint64_t began_ns = clock_now_ns();
    assert_int_equal(store_bed_open_in(&bed, spec, dir, &err), -EBUSY);
    assert_non_null(strstr(err.message, "another process"));
    assert_in_range((clock_now_ns() - began_ns) / NS_PER_MS, 200, 5000);
    free(spec);

    assert_int_equal(pthread_create(&held.thread, NULL, let_go_later, &held), 0);
    assert_int_equal(store_bed_open_in(&bed, mariadb.spec, dir, &err), 0);
    assert_int_equal(pthread_join(held.thread, NULL), 0);
    assert_true(clock_now_ns() > held.let_go_ns);
    store_rows_add(&rows, 1, "in time", 1);
    store_rows_add(&rows, 2, "late", 7);
    store_bed_read(&bed, bed.store->shards[0], INT64_MIN, INT64_MAX, &all);
    assert_int_equal(all.n, rows.n);
    assert_int_equal(all.rows[1].key, 2);
    store_bed_assert_holds(&bed, bed.store->shards[0], &all);
    store_rows_free(&rows);
    store_rows_free(&all);
    store_bed_close(&bed);
    store_bed_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_digests_what_is_there_when_earlier_changes_are_done),
        cmocka_unit_test(mysql_begins_when_a_killed_server_s_statements_are_done),
    };
    return mariadb_bed_run_tests(&mariadb, "store: mysql, late", tests,
                                 sizeof(tests) / sizeof(*tests));
}
