/* The mysql store where it differs from the others: its tables are looked at from outside, and its
 * server refuses. What every store does, tests/contract/ says; a server that dies or freezes has
 * mysql_outage_test.c. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "tests/support/mariadb.h"
#include "tests/support/store_bed.h"

static struct mariadb_bed mariadb;

static long long ask(const char *what)
{
    char *sql = mem_printf("SELECT %s FROM quoit_test_%u.quoit_1", what, mariadb.n_databases);
    long long number = mariadb_bed_sql(&mariadb, sql);
    free(sql);
    return number;
}

/* ---- columns ---- */

static void mysql_keeps_numbers_and_strings_in_columns_of_their_types(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0};
    static const char *const texts[] = {
        "{\"Stud_id\":1,\"Stud_name\":\"27\",\"Stud_marks\":27}",
        "{\"Stud_id\":2,\"Stud_name\":27,\"Stud_marks\":27.5}",
        "{\"Stud_id\":3,\"Stud_name\":-2.5e-300,\"Stud_marks\":1e+300}",
        "{\"Stud_id\":4,\"Stud_name\":9223372036854775807,\"Stud_marks\":-9223372036854775808}",
        "{\"Stud_id\":5,\"Stud_name\":\"\",\"Stud_marks\":5e-324}",
    };
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        store_rows_add_text(&rows, (int64_t)i + 1, texts[i], strlen(texts[i]));
    for (size_t i = 0; i < rows.n; i++) {
        struct store_rows one = {.rows = &rows.rows[i], .n = 1};
        assert_int_equal(store_bed_insert(&bed, shard, &one), 0);
    }
    store_bed_assert_holds(&bed, shard, &rows);
    assert_int_equal(store_bed_replace(&bed, shard, 1, 100, &rows), 0);
    store_bed_assert_holds(&bed, shard, &rows);
    store_bed_reopen(&bed);
    store_bed_assert_holds(&bed, store_find(bed.store, "sh1", 3), &rows);
    assert_int_equal(ask("COUNT(c1)"), 2);
    assert_int_equal(ask("COUNT(c1_int)"), 2);
    assert_int_equal(ask("COUNT(c1_real)"), 1);
    assert_int_equal(ask("COUNT(c2_real)"), 3);
    assert_int_equal(ask("SUM(c0)"), 15);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void mysql_refuses_a_row_that_is_not_what_was_written(void **state)
{
    struct store_bed bed;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    for (int64_t key = 0; key < 10; key++)
        assert_int_equal(store_bed_insert_one(&bed, shard, key, "as it was"), 0);
    char *sql =
        mem_printf("UPDATE quoit_test_%u.quoit_1 SET c1='another' WHERE c0=7", mariadb.n_databases);
    mariadb_bed_sql(&mariadb, sql);
    free(sql);
    for (int64_t low = 0; low <= 7; low += 7) { /* in a range, and alone */
        struct store_call call = {
            .request = {.op = STORE_READ, .shard = shard, .low = low, .last = 7}};
        assert_int_equal(store_bed_run(&bed, &call), -EIO);
        assert_non_null(strstr(call.request.reason, "key 7"));
        store_call_done(&call);
    }
    struct store_rows got = {0};
    store_bed_read(&bed, shard, 0, 6, &got);
    assert_int_equal(got.n, 7);
    store_rows_free(&got);
    store_bed_close(&bed);
}

/* ---- batches ---- */

struct asked {
    enum store_op op;
    int64_t first;
    size_t n;
    int code;
    int64_t key;
    uint64_t n_rows_now;
};

/* Submits all in one turn, which makes them a batch, and checks each one's answer. */
static void assert_batch(struct store_bed *bed, struct store_shard *shard,
                         const struct store_rows *rows, const struct asked *asked, size_t n)
{
    struct store_call *calls = mem_zalloc(n, sizeof(*calls));
    for (size_t i = 0; i < n; i++) {
        calls[i].request = (struct store_request){.op = asked[i].op,
                                                  .shard = shard,
                                                  .low = asked[i].first,
                                                  .rows = &rows->rows[asked[i].first],
                                                  .n_rows_in = asked[i].n};
        store_bed_submit(bed, &calls[i]);
    }
    store_bed_wait_all(bed);
    for (size_t i = 0; i < n; i++) {
        if (calls[i].request.code != asked[i].code)
            fail_msg("request %zu: %d, not %d", i, calls[i].request.code, asked[i].code);
        if (asked[i].code == -EEXIST)
            assert_int_equal(calls[i].request.key, asked[i].key);
        else if (asked[i].code == 0 && asked[i].op != STORE_ABSENT)
            assert_int_equal(calls[i].request.n_rows_now, asked[i].n_rows_now);
    }
    free(calls);
}

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

static void mysql_answers_each_of_a_batch_as_if_it_came_alone(void **state)
{
    static const struct asked asked[] = {
        {STORE_INSERT, 1, 2, 0, 0, 2},       {STORE_INSERT, 2, 3, -EEXIST, 2, 2},
        {STORE_INSERT, 3, 2, 0, 0, 4},       {STORE_ABSENT, 5, 2, 0, 0, 4},
        {STORE_ABSENT, 0, 5, -EEXIST, 1, 4}, {STORE_DELETE, 2, 1, 0, 0, 3},
        {STORE_DELETE, 2, 1, -ENOENT, 0, 3}, {STORE_UPDATE, 2, 1, -ENOENT, 0, 3},
        {STORE_INSERT, 2, 1, 0, 0, 4},       {STORE_UPDATE, 2, 1, 0, 0, 4},
        {STORE_DELETE, 1, 1, 0, 0, 3},       {STORE_INSERT, 0, 2, 0, 0, 5},
    };
    struct store_bed bed;
    struct store_rows rows = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",connections=3");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    for (int64_t key = 0; key < 8; key++)
        store_rows_add(&rows, key, "x", key);
    assert_batch(&bed, shard, &rows, asked, N_OF(asked));
    struct store_rows wanted = {.rows = rows.rows, .n = 5};
    store_bed_assert_holds(&bed, shard, &wanted);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* Inserts are taken to be of new keys, until the database says otherwise. */
static void mysql_answers_checks_beside_inserts_of_keys_that_are_there(void **state)
{
    static const struct asked first[] = {{STORE_INSERT, 0, 3, 0, 0, 3}};
    static const struct asked all_new[] = {{STORE_ABSENT, 3, 2, 0, 0, 0},
                                           {STORE_INSERT, 3, 1, 0, 0, 4},
                                           {STORE_ABSENT, 3, 2, -EEXIST, 3, 0},
                                           {STORE_INSERT, 4, 1, 0, 0, 5}};
    static const struct asked one_is_there[] = {
        {STORE_ABSENT, 5, 2, 0, 0, 0},       {STORE_INSERT, 1, 1, -EEXIST, 1, 5},
        {STORE_ABSENT, 1, 1, -EEXIST, 1, 0}, {STORE_INSERT, 6, 1, 0, 0, 6},
        {STORE_INSERT, 6, 1, -EEXIST, 6, 6}, {STORE_ABSENT, 6, 1, -EEXIST, 6, 0},
    };
    struct store_bed bed;
    struct store_rows rows = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    for (int64_t key = 0; key < 8; key++)
        store_rows_add(&rows, key, "x", key);
    assert_batch(&bed, shard, &rows, first, N_OF(first));
    assert_batch(&bed, shard, &rows, all_new, N_OF(all_new));
    assert_batch(&bed, shard, &rows, one_is_there, N_OF(one_is_there));
    assert_int_equal(store_bed_delete(&bed, shard, 6), 0);
    struct store_rows wanted = {.rows = rows.rows, .n = 5};
    store_bed_assert_holds(&bed, shard, &wanted);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* One request of more rows than a statement takes: still all or nothing. */
static void mysql_knows_of_most_keys_that_they_are_absent(void **state)
{
    struct store_bed bed;
    struct store_rows there = {0}, others = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&there, 0, 2, 500, 1);
    store_rows_fill(&others, 1, 2, 500, 1);
    for (int life = 0; life < 2; life++) {
        size_t n_at_once = 0;
        if (life == 0)
            assert_int_equal(store_bed_insert(&bed, shard, &there), 0);
        for (size_t i = 0; i < 500; i++) {
            struct store_call call = {
                .request = {
                    .op = STORE_ABSENT, .shard = shard, .rows = &others.rows[i], .n_rows_in = 1}};
            store_bed_submit(&bed, &call);
            n_at_once += call.done;
            store_bed_wait(&bed, &call);
            assert_int_equal(call.request.code, 0);
            assert_int_equal(store_bed_absent(&bed, shard, there.rows[i].key), -EEXIST);
        }
        assert_in_range(n_at_once, 490, 500);
        store_bed_reopen(&bed); /* the keys are found again */
        shard = store_find(bed.store, "sh1", 3);
    }
    /* An insert that is on its way is not overlooked. */
    struct store_call insert = {
        .request = {
            .op = STORE_INSERT, .shard = shard, .rows = others.rows, .n_rows_in = others.n}};
    struct store_call question = insert;
    question.request.op = STORE_ABSENT;
    store_bed_submit(&bed, &insert);
    store_bed_submit(&bed, &question);
    store_bed_wait_all(&bed);
    assert_int_equal(insert.request.code, 0);
    assert_int_equal(question.request.code, -EEXIST);
    assert_int_equal(question.request.key, 1);
    store_rows_free(&there);
    store_rows_free(&others);
    store_bed_close(&bed);
}

static void mysql_inserts_many_statements_whole_or_not_at_all(void **state)
{
    struct store_bed bed;
    struct store_rows rows = {0}, last = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&rows, 0, 1, 5000, 1);
    last = (struct store_rows){.rows = &rows.rows[4321], .n = 1};
    assert_int_equal(store_bed_insert(&bed, shard, &last), 0);
    struct store_call call = {
        .request = {.op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = rows.n}};
    assert_int_equal(store_bed_run(&bed, &call), -EEXIST);
    assert_int_equal(call.request.key, 4321);
    store_bed_assert_holds(&bed, shard, &last);
    assert_int_equal(store_bed_delete(&bed, shard, 4321), 0);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    store_bed_assert_holds(&bed, shard, &rows);
    assert_int_equal(store_bed_replace(&bed, shard, INT64_MIN, INT64_MAX, &rows), 0);
    store_bed_assert_holds(&bed, shard, &rows);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- a server that refuses ---- */

static int open_spec(const char *spec, struct err *err)
{
    struct store_bed bed;
    int rc = store_bed_open_in(&bed, spec, "/tmp", err);
    if (rc == 0)
        store_bed_close(&bed);
    return rc;
}

static void mysql_says_what_is_wrong_when_it_cannot_open(void **state)
{
    struct {
        const char *format; /* of socket, password file */
        int code;
        const char *says;
    } cases[] = {
        {"mysql:socket=%s,user=" MARIADB_BED_USER ",database=quoit_test_1", -EACCES,
         "using password: NO"},
        {"mysql:socket=%s,user=nobody_here,database=quoit_test_1,password-file=%s", -EACCES,
         "nobody_here"},
        {"mysql:socket=%s,user=" MARIADB_BED_USER ",database=quoit_test_none,password-file=%s",
         -ENOENT, "quoit_test_none"},
        {"mysql:socket=%s,user=" MARIADB_BED_USER ",database=mysql,password-file=%s", -EACCES,
         "'mysql'"},
        {"mysql:socket=%s.not,user=u,database=d", -ECONNREFUSED, "s.not"},
        {"mysql:host=127.0.0.1,port=1,user=u,database=d", -ECONNREFUSED, "host=127.0.0.1,port=1"},
        {"mysql:host=db.example.org,user=u,database=d", -EINVAL, "not resolved"},
        {"mysql:user=u,database=d", -EINVAL, "socket=PATH"},
        {"mysql:socket=%s,database=d", -EINVAL, "user=NAME"},
        {"mysql:socket=%s,user=u,database=d,password-file=/nonexistent", -ENOENT, "/nonexistent"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = {0};
        char spec[512];
        /* Those that name fewer take no notice of the rest. */
        snprintf(spec, sizeof(spec), cases[i].format, mariadb.socket, mariadb.password_file);
        int rc = open_spec(spec, &err);
        if (rc != cases[i].code || !strstr(err.message, cases[i].says))
            fail_msg("%s: %d %s", spec, rc, err.message);
        assert_non_null(strstr(err.message, "mysql"));
    }
}

static void mysql_serves_a_server_s_tables_once(void **state)
{
    struct store_bed bed;
    struct err err = {0};
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, ",timeout=500ms");
    char *spec = mem_strdup(bed.spec.text);
    assert_int_equal(open_spec(spec, &err), -EBUSY);
    assert_non_null(strstr(err.message, "Server1"));
    assert_int_equal(store_bed_insert_one(&bed, store_bed_create(&bed, "sh1"), 1, "x"), 0);
    store_bed_close(&bed);
    assert_int_equal(open_spec(spec, &err), 0);
    free(spec);
}

static void mysql_gives_a_directory_s_rows_to_a_server_of_another_name(void **state)
{
    struct store_bed bed;
    struct err err = {0};
    uint64_t checksum;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    assert_int_equal(store_bed_insert_one(&bed, store_bed_create(&bed, "sh1"), 7, "x"), 0);
    store_bed_shut(&bed);
    snprintf(bed.server, sizeof(bed.server), "Server%d", 271828);
    assert_int_equal(store_bed_start(&bed, &err), 0);
    assert_int_equal(bed.store->n_shards, 1);
    assert_int_equal(store_bed_digest(&bed, bed.store->shards[0], INT64_MIN, INT64_MAX, &checksum),
                     1);
    assert_int_equal(store_bed_insert_one(&bed, bed.store->shards[0], 7, "y"), -EEXIST);
    store_bed_shut(&bed);

    /* Without its directory it is a server of its own. */
    char *away = mem_printf("%s/mysql-owner", bed.dir);
    assert_int_equal(unlink(away), 0);
    assert_int_equal(store_bed_start(&bed, &err), 0);
    assert_int_equal(bed.store->n_shards, 0);
    store_bed_shut(&bed);
    FILE *broken = fopen(away, "w");
    assert_non_null(broken);
    fputs("../x\n", broken);
    fclose(broken);
    assert_int_equal(store_bed_start(&bed, &err), -EINVAL);
    assert_non_null(strstr(err.message, "mysql-owner"));
    free(away);
    store_bed_close(&bed);
}

/* What a life that ended in the middle of making and dropping left behind. */
static void mysql_tidies_up_shards_that_were_half_made(void **state)
{
    struct store_bed bed;
    (void)state;
    mariadb_bed_open_store(&mariadb, &bed, "");
    store_bed_create(&bed, "sh1");
    store_bed_create(&bed, "sh2");
    store_bed_create(&bed, "sh3");
    store_bed_shut(&bed);
    char sql[256];
    snprintf(sql, sizeof(sql),
             "UPDATE quoit_test_%u.quoit_catalog SET state=IF(shard='sh1',0,2) WHERE shard<>'sh3'",
             mariadb.n_databases);
    mariadb_bed_sql(&mariadb, sql);
    struct err err = {0};
    assert_int_equal(store_bed_start(&bed, &err), 0);
    assert_int_equal(bed.store->n_shards, 1);
    snprintf(sql, sizeof(sql),
             "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='quoit_test_%u'",
             mariadb.n_databases);
    assert_int_equal(mariadb_bed_sql(&mariadb, sql), 2); /* the catalog, sh3 */
    store_bed_create(&bed, "sh1");
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_keeps_numbers_and_strings_in_columns_of_their_types),
        cmocka_unit_test(mysql_refuses_a_row_that_is_not_what_was_written),
        cmocka_unit_test(mysql_answers_each_of_a_batch_as_if_it_came_alone),
        cmocka_unit_test(mysql_answers_checks_beside_inserts_of_keys_that_are_there),
        cmocka_unit_test(mysql_knows_of_most_keys_that_they_are_absent),
        cmocka_unit_test(mysql_inserts_many_statements_whole_or_not_at_all),
        cmocka_unit_test(mysql_says_what_is_wrong_when_it_cannot_open),
        cmocka_unit_test(mysql_serves_a_server_s_tables_once),
        cmocka_unit_test(mysql_gives_a_directory_s_rows_to_a_server_of_another_name),
        cmocka_unit_test(mysql_tidies_up_shards_that_were_half_made),
    };
    return mariadb_bed_run_tests(&mariadb, "store: mysql", tests, sizeof(tests) / sizeof(*tests));
}
