/* The mysql store and errors that tell less than they seem to: of a statement, or a COMMIT, that
 * was done all the same, or was not. A proxy tells them (tests/support/mysql_proxy.h). */
#include <errno.h>
#include <inttypes.h>
#include <mariadb/mysqld_error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "tests/support/mariadb.h"
#include "tests/support/mysql_proxy.h"
#include "tests/support/store_bed.h"

static struct mariadb_bed mariadb;

struct doubt_bed {
    struct store_bed store;
    struct mysql_proxy *proxy;
    struct store_shard *shard;
    struct store_rows rows; /* that are there */
};

/* A store behind a proxy, with one connection and one row, 1, inserted alone as those of the tests
 * are. */
static void open_bed(struct doubt_bed *bed, const char *more_options)
{
    char path[sizeof(mariadb.dir) + 16];
    memset(bed, 0, sizeof(*bed));
    mariadb_bed_new_database(&mariadb);
    snprintf(path, sizeof(path), "%s/proxy", mariadb.dir);
    bed->proxy = mysql_proxy_start(path, mariadb.socket);
    const char *rest = strchr(mariadb.spec, ',');
    char *spec = mem_printf("mysql:socket=%s%s,connections=1%s", path, rest, more_options);
    store_bed_open(&bed->store, spec);
    free(spec);
    bed->shard = store_bed_create(&bed->store, "sh1");
    store_rows_add(&bed->rows, 1, "row", 1);
    assert_int_equal(store_bed_insert(&bed->store, bed->shard, &bed->rows), 0);
}

static void close_bed(struct doubt_bed *bed)
{
    assert_int_equal(mysql_proxy_untold(bed->proxy), 0);
    store_bed_assert_holds(&bed->store, bed->shard, &bed->rows);
    /* As it is known, and as it is found again. */
    store_bed_reopen(&bed->store);
    bed->shard = store_find(bed->store.store, "sh1", 3);
    store_bed_assert_holds(&bed->store, bed->shard, &bed->rows);
    store_rows_free(&bed->rows);
    store_bed_close(&bed->store);
    mysql_proxy_stop(bed->proxy);
}

/* Inserts the key's row; where it says 0 the row is expected from then on. reason: a part of it. */
static int insert(struct doubt_bed *bed, int64_t key, const char *reason)
{
    struct store_rows rows = {0};
    store_rows_add(&rows, key, "row", 1);
    struct store_call call = {
        .request = {
            .op = STORE_INSERT, .shard = bed->shard, .rows = rows.rows, .n_rows_in = rows.n}};
    int code = store_bed_run(&bed->store, &call);
    if (code == 0)
        store_rows_add(&bed->rows, key, "row", 1);
    else if (code != -EEXIST)
        assert_non_null(strstr(call.request.reason, reason));
    store_call_done(&call);
    store_rows_free(&rows);
    return code;
}

static const unsigned doubtful[] = {ER_ERROR_DURING_COMMIT, ER_ERROR_ON_WRITE, ER_UNKNOWN_ERROR,
                                    ER_QUERY_INTERRUPTED, ER_STATEMENT_TIMEOUT};
#define N_DOUBTFUL (sizeof(doubtful) / sizeof(doubtful[0]))

/* ---- a statement that commits by itself ---- */

static void mysql_finds_done_what_was_told_to_have_failed(void **state)
{
    struct doubt_bed bed;
    (void)state;
    open_bed(&bed, "");
    for (size_t i = 0; i < N_DOUBTFUL; i++) {
        mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = doubtful[i], .done = true});
        assert_int_equal(insert(&bed, 10 + (int64_t)i, ""), 0);
    }
    close_bed(&bed);
}

static void mysql_tells_an_error_once_it_has_found_nothing_done(void **state)
{
    struct doubt_bed bed;
    (void)state;
    open_bed(&bed, "");
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_ERROR_DURING_COMMIT});
    assert_int_equal(insert(&bed, 10, "told by the proxy (error 1180)"), -EIO);
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_DISK_FULL});
    assert_int_equal(insert(&bed, 10, "told by the proxy (error 1021)"), -ENOSPC);
    store_bed_assert_holds(&bed.store, bed.shard, &bed.rows);
    assert_int_equal(insert(&bed, 10, ""), 0);
    close_bed(&bed);
}

static void mysql_does_again_what_was_interrupted(void **state)
{
    struct doubt_bed bed;
    (void)state;
    open_bed(&bed, "");
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_QUERY_INTERRUPTED});
    assert_int_equal(insert(&bed, 10, ""), 0);
    close_bed(&bed);
}

static void mysql_believes_at_once_what_cannot_come_of_a_commit(void **state)
{
    struct doubt_bed bed;
    (void)state;
    open_bed(&bed, "");
    unsigned n_clients = mysql_proxy_clients(bed.proxy);
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_RECORD_FILE_FULL});
    assert_int_equal(insert(&bed, 10, "told by the proxy"), -ENOSPC);
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_LOCK_DEADLOCK});
    assert_int_equal(insert(&bed, 10, ""), 0);
    assert_int_equal(mysql_proxy_clients(bed.proxy), n_clients);
    close_bed(&bed);
}

static void mysql_says_that_nobody_knows_where_it_cannot_ask(void **state)
{
    struct doubt_bed bed;
    (void)state;
    for (int done = 0; done < 2; done++) {
        open_bed(&bed, ",timeout=2s");
        mysql_proxy_lie(bed.proxy, (struct mysql_lie){.error = ER_ERROR_DURING_COMMIT,
                                                      .done = done == 1,
                                                      .then_away = true});
        assert_int_equal(insert(&bed, 10, "cannot be asked"), -ENOTRECOVERABLE);
        mysql_proxy_let_in(bed.proxy);
        /* What nobody knew is found out before anything else is done. */
        int code = insert(&bed, 10, "");
        for (int i = 0; code == -EIO && i < 100; i++)
            code = insert(&bed, 10, "");
        assert_int_equal(code, done ? -EEXIST : 0);
        if (done)
            store_rows_add(&bed.rows, 10, "row", 1);
        close_bed(&bed);
    }
}

/* ---- BEGIN … COMMIT ---- */

/* More rows than one statement takes, or a range that has others: several statements. */
static int replace_all(struct doubt_bed *bed, const struct store_rows *rows)
{
    return store_bed_replace(&bed->store, bed->shard, INT64_MIN, INT64_MAX, rows);
}

static void mysql_finds_out_what_a_failed_commit_did(void **state)
{
    struct doubt_bed bed;
    struct store_rows other = {0};
    (void)state;
    open_bed(&bed, "");
    store_rows_fill(&other, 5, 2, 10, 1);
    mysql_proxy_lie(bed.proxy,
                    (struct mysql_lie){.query = "COMMIT", .error = ER_ERROR_DURING_COMMIT});
    assert_int_equal(replace_all(&bed, &other), -EIO);
    store_bed_assert_holds(&bed.store, bed.shard, &bed.rows);
    mysql_proxy_lie(bed.proxy, (struct mysql_lie){.query = "COMMIT", .error = ER_LOCK_DEADLOCK});
    assert_int_equal(replace_all(&bed, &other), 0);
    assert_int_equal(replace_all(&bed, &bed.rows), 0);
    mysql_proxy_lie(
        bed.proxy,
        (struct mysql_lie){.query = "COMMIT", .error = ER_ERROR_DURING_COMMIT, .done = true});
    assert_int_equal(replace_all(&bed, &other), 0);
    store_rows_free(&bed.rows);
    bed.rows = other;
    close_bed(&bed);
}

/* BEGIN commits what is open: a transaction that was not rolled back must not live that long. */
static void mysql_commits_nothing_when_a_rollback_fails(void **state)
{
    struct doubt_bed bed;
    struct store_rows other = {0};
    (void)state;
    open_bed(&bed, "");
    store_rows_fill(&other, 5, 2, 10, 1);
    const unsigned errors[] = {ER_LOCK_DEADLOCK, ER_RECORD_FILE_FULL};
    for (int i = 0; i < 2; i++) {
        /* Counted and deleted; the insert fails. */
        mysql_proxy_lie(bed.proxy, (struct mysql_lie){.skip = 2, .error = errors[i]});
        mysql_proxy_lie(bed.proxy,
                        (struct mysql_lie){.query = "ROLLBACK", .error = ER_ERROR_DURING_ROLLBACK});
        assert_int_equal(replace_all(&bed, &other), i == 0 ? 0 : -ENOSPC);
        store_bed_assert_holds(&bed.store, bed.shard, i == 0 ? &other : &bed.rows);
        assert_int_equal(replace_all(&bed, &bed.rows), 0);
    }
    store_rows_free(&other);
    close_bed(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_finds_done_what_was_told_to_have_failed),
        cmocka_unit_test(mysql_tells_an_error_once_it_has_found_nothing_done),
        cmocka_unit_test(mysql_does_again_what_was_interrupted),
        cmocka_unit_test(mysql_believes_at_once_what_cannot_come_of_a_commit),
        cmocka_unit_test(mysql_says_that_nobody_knows_where_it_cannot_ask),
        cmocka_unit_test(mysql_finds_out_what_a_failed_commit_did),
        cmocka_unit_test(mysql_commits_nothing_when_a_rollback_fails),
    };
    return mariadb_bed_run_tests(&mariadb, "store: mysql, in doubt", tests,
                                 sizeof(tests) / sizeof(*tests));
}
