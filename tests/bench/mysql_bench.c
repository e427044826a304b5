/* The mysql store beside a direct client of the same mariadbd, in one run: the same rows, the same
 * number of requests outstanding, the same durability.
 *
 *   direct   a thread and a connection for each request outstanding, blocking calls, one prepared
 *            INSERT of n rows (or SELECT of one key) into a table of the example's three columns
 *   store    one thread, the store's loop and its few connections; rows as JSON text, over one
 *            shard or several
 *
 * Both go in turns, ROUNDS times; the figures are medians. Arguments: seconds a measurement
 * (default 1), then options for the store ("connections=8").
 *
 *   mysql_bench direct SOCKET OUTSTANDING ROWS SECONDS ascending|random plain|same
 *
 * measures the direct client alone, on a server that is there already and knows us by our user id,
 * its keys in that order, and prints its rows per second: tests/bench/mysql_bench.sh compares the
 * whole database with it. "plain": one table of the three columns, an INSERT a request. "same": the
 * INSERTs that the database comes to, into four tables with all columns of the store's: of one
 * table in ascending order; in no order of all four, in equal parts, between BEGIN and COMMIT.
 */
#include <inttypes.h>
#include <mariadb/mysql.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/mariadb.h"
#include "tests/support/store_bed.h"

#define ROUNDS 5
#define N_SHARDS 4
#define N_READ INT64_C(100000)

static struct mariadb_bed mariadb;
static struct store_bed bed;
static struct {
    const char *socket, *user, *password, *database;
} target;              /* of the direct client */
static bool scattered; /* the direct client's keys come in no order */
static bool same;      /* it inserts what the store does */
static uint64_t period_ns;
static _Atomic int64_t next_key;
static _Atomic uint64_t until_ns;

/* ---- directly ----------------------------------------------------------------------------------
 */

struct direct {
    pthread_t thread;
    size_t n_rows; /* 0: reads */
    uint64_t n_done;
    MYSQL *mysql;
    MYSQL_STMT *stmts[N_SHARDS]; /* all but `same`: the first alone */
    size_t n_binds;              /* rows of a statement */
    MYSQL_BIND *binds;
    long long *keys;
    long long marks;
    char *names;
    unsigned long *lengths;
};

#define NAME_BYTES 32

static void die(const char *what, const char *why)
{
    fprintf(stderr, "mysql_bench: %s: %s\n", what, why);
    exit(1);
}

/* Of one row, its values in the places of the request's row i. */
static MYSQL_BIND *bind_row(struct direct *direct, MYSQL_BIND *bind, size_t i)
{
    *bind++ = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &direct->keys[i]};
    *bind++ = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
                           .buffer = direct->names + NAME_BYTES * i,
                           .length = &direct->lengths[i]};
    *bind++ = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &direct->marks};
    if (same) /* a sum; any number costs the same */
        *bind++ = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &direct->keys[i]};
    return bind;
}

static MYSQL_STMT *prepare_insert(struct direct *direct, size_t table, size_t n)
{
    struct buf sql;
    buf_init(&sql, 0);
    if (same)
        buf_appendf(&sql, "INSERT INTO same%zu (c0,c1,c2,sum) VALUES ", table);
    else
        buf_append_str(&sql, direct->n_rows > 0 ? "INSERT INTO direct VALUES "
                                                : "SELECT c0,c1,c2 FROM direct WHERE c0=?");
    for (size_t i = 0; i < n && direct->n_rows > 0; i++)
        buf_appendf(&sql, "%s%s", i > 0 ? "," : "", same ? "(?,?,?,?)" : "(?,?,?)");
    MYSQL_STMT *stmt = mysql_stmt_init(direct->mysql);
    if (mysql_stmt_prepare(stmt, buf_head(&sql), buf_len(&sql)))
        die("prepare", mysql_stmt_error(stmt));
    buf_done(&sql);
    return stmt;
}

/* Whether a request is of all tables. */
static bool is_split(const struct direct *direct)
{
    return same && scattered && direct->n_rows >= N_SHARDS;
}

static void prepare_direct(struct direct *direct)
{
    size_t n = direct->n_rows > 0 ? direct->n_rows : 1;
    direct->binds = mem_zalloc(4 * n, sizeof(*direct->binds));
    direct->keys = mem_zalloc(n, sizeof(*direct->keys));
    direct->names = mem_zalloc(n, NAME_BYTES);
    direct->lengths = mem_zalloc(n, sizeof(*direct->lengths));
    direct->marks = 27;
    direct->n_binds = is_split(direct) ? n / N_SHARDS : n;
    MYSQL_BIND *bind = direct->binds;
    for (size_t i = 0; i < n; i++)
        bind = bind_row(direct, bind, i);
    for (size_t table = 0; table < (same ? N_SHARDS : 1); table++) {
        MYSQL_STMT *stmt = direct->stmts[table] = prepare_insert(direct, table, direct->n_binds);
        size_t first = is_split(direct) ? table * direct->n_binds * 4 : 0;
        if (mysql_stmt_bind_param(stmt, direct->binds + first))
            die("bind", mysql_stmt_error(stmt));
    }
}

static void open_direct(struct direct *direct)
{
    direct->mysql = mysql_init(NULL);
    if (!mysql_real_connect(direct->mysql, NULL, target.user, target.password, target.database, 0,
                            target.socket, 0))
        die("connect", mysql_error(direct->mysql));
    prepare_direct(direct);
}

static void read_one(struct direct *direct, int64_t key)
{
    char name[64];
    long long got_key, marks;
    unsigned long n_name;
    MYSQL_BIND binds[3] = {
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &got_key},
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = name,
         .buffer_length = sizeof(name),
         .length = &n_name},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &marks},
    };
    direct->keys[0] = key % N_READ;
    if (mysql_stmt_execute(direct->stmts[0]) || mysql_stmt_store_result(direct->stmts[0]) ||
        mysql_stmt_bind_result(direct->stmts[0], binds) || mysql_stmt_fetch(direct->stmts[0]))
        die("read", mysql_stmt_error(direct->stmts[0]));
    mysql_stmt_free_result(direct->stmts[0]);
}

static void execute(MYSQL_STMT *stmt)
{
    if (mysql_stmt_execute(stmt))
        die("insert", mysql_stmt_error(stmt));
}

static void query(MYSQL *mysql, const char *sql)
{
    if (mysql_query(mysql, sql))
        die(sql, mysql_error(mysql));
}

static void insert_rows(struct direct *direct, int64_t first)
{
    for (size_t i = 0; i < direct->n_rows; i++) {
        direct->keys[i] = first + (int64_t)i;
        if (scattered) /* one to one */
            direct->keys[i] = (long long)rng_mix64((uint64_t)direct->keys[i]);
        direct->lengths[i] = (unsigned long)snprintf(direct->names + NAME_BYTES * i, NAME_BYTES,
                                                     "name of %lld", direct->keys[i]);
    }
    if (!is_split(direct)) {
        execute(direct->stmts[same ? (uint64_t)first / direct->n_rows % N_SHARDS : 0]);
        return;
    }
    query(direct->mysql, "BEGIN");
    for (size_t table = 0; table < N_SHARDS; table++)
        execute(direct->stmts[table]);
    query(direct->mysql, "COMMIT");
}

static void *run_direct(void *argument)
{
    struct direct *direct = argument;
    size_t n = direct->n_rows > 0 ? direct->n_rows : 1;
    mysql_thread_init();
    while (clock_now_ns() < atomic_load(&until_ns)) {
        int64_t first = atomic_fetch_add(&next_key, (int64_t)n);
        if (direct->n_rows > 0)
            insert_rows(direct, first);
        else
            read_one(direct, first * 7919);
        direct->n_done += n;
    }
    mysql_thread_end();
    return NULL;
}

static double measure_direct(size_t n_outstanding, size_t n_rows)
{
    struct direct *directs = mem_zalloc(n_outstanding, sizeof(*directs));
    uint64_t n_done = 0;
    for (size_t i = 0; i < n_outstanding; i++) {
        directs[i].n_rows = n_rows;
        open_direct(&directs[i]);
    }
    uint64_t began_ns = clock_now_ns();
    atomic_store(&until_ns, began_ns + period_ns);
    for (size_t i = 0; i < n_outstanding; i++)
        pthread_create(&directs[i].thread, NULL, run_direct, &directs[i]);
    for (size_t i = 0; i < n_outstanding; i++) {
        pthread_join(directs[i].thread, NULL);
        n_done += directs[i].n_done;
    }
    double seconds = (double)(clock_now_ns() - began_ns) / 1e9;
    for (size_t i = 0; i < n_outstanding; i++) {
        for (size_t table = 0; table < N_SHARDS; table++)
            if (directs[i].stmts[table])
                mysql_stmt_close(directs[i].stmts[table]);
        mysql_close(directs[i].mysql);
        free(directs[i].binds);
        free(directs[i].keys);
        free(directs[i].names);
        free(directs[i].lengths);
    }
    free(directs);
    return (double)n_done / seconds;
}

/* ---- through the store -------------------------------------------------------------------------
 */

struct asked {
    struct store_request request; /* first member */
    struct row *rows;
    struct buf texts;
    size_t *offsets;
};

static struct {
    struct store_shard *shards[N_SHARDS];
    size_t n_shards, next_shard; /* those used */
    size_t n_rows, n_pending;
    uint64_t n_done;
} through;

static void ask(struct asked *asked);

static void on_done(struct store_request *request)
{
    if (request->code != 0 || (request->op == STORE_READ && request->n_rows != 1))
        die("store", request->reason ? request->reason : "wrong answer");
    through.n_done += through.n_rows > 0 ? through.n_rows : 1;
    through.n_pending--;
    if (clock_now_ns() < atomic_load(&until_ns))
        ask((struct asked *)request);
}

static bool on_row(struct store_request *request, const struct row *row)
{
    return row->key == request->low;
}

static void ask(struct asked *asked)
{
    size_t n = through.n_rows > 0 ? through.n_rows : 1;
    int64_t first = atomic_fetch_add(&next_key, (int64_t)n);
    asked->request =
        (struct store_request){.op = STORE_READ,
                               .shard = through.shards[through.next_shard++ % through.n_shards],
                               .on_done = on_done,
                               .on_row = on_row};
    if (through.n_rows == 0) {
        asked->request.low = asked->request.last = first * 7919 % N_READ;
    } else {
        buf_clear(&asked->texts);
        for (size_t i = 0; i < n; i++) {
            asked->offsets[i] = buf_len(&asked->texts);
            buf_appendf(&asked->texts,
                        "{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"name of %" PRId64
                        "\",\"Stud_marks\":27}",
                        first + (int64_t)i, first + (int64_t)i);
        }
        asked->offsets[n] = buf_len(&asked->texts);
        for (size_t i = 0; i < n; i++)
            asked->rows[i] =
                (struct row){.key = first + (int64_t)i,
                             .text = buf_head(&asked->texts) + asked->offsets[i],
                             .n_bytes = (uint32_t)(asked->offsets[i + 1] - asked->offsets[i])};
        asked->request.op = STORE_INSERT;
        asked->request.rows = asked->rows;
        asked->request.n_rows_in = n;
    }
    through.n_pending++;
    if (store_submit(bed.store, &asked->request) != STORE_PENDING)
        die("store", "answered at once");
}

static double measure_store(size_t n_outstanding, size_t n_rows)
{
    struct asked *asked = mem_zalloc(n_outstanding, sizeof(*asked));
    through.n_rows = n_rows;
    through.n_done = 0;
    uint64_t began_ns = clock_now_ns();
    atomic_store(&until_ns, began_ns + period_ns);
    for (size_t i = 0; i < n_outstanding; i++) {
        asked[i].rows = mem_zalloc(n_rows + 1, sizeof(*asked[i].rows));
        asked[i].offsets = mem_zalloc(n_rows + 2, sizeof(*asked[i].offsets));
        buf_init(&asked[i].texts, 0);
        ask(&asked[i]);
    }
    while (through.n_pending > 0)
        ev_run(bed.loop, EVRUN_ONCE);
    double seconds = (double)(clock_now_ns() - began_ns) / 1e9;
    for (size_t i = 0; i < n_outstanding; i++) {
        free(asked[i].rows);
        free(asked[i].offsets);
        buf_done(&asked[i].texts);
    }
    free(asked);
    return (double)through.n_done / seconds;
}

/* ---- both --------------------------------------------------------------------------------------
 */

static void truncate_tables(void)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "TRUNCATE quoit_test_%u.direct", mariadb.n_databases);
    mariadb_bed_sql(&mariadb, sql);
    for (size_t i = 0; i < N_SHARDS; i++) {
        char name[] = {'s', 'h', (char)('1' + i), '\0'};
        if (through.shards[i])
            store_bed_drop(&bed, through.shards[i]);
        through.shards[i] = store_bed_create(&bed, name);
    }
    atomic_store(&next_key, 0);
}

static void fill_for_reads(void)
{
    uint64_t kept_ns = period_ns;
    truncate_tables();
    period_ns = 0;
    while (atomic_load(&next_key) < N_READ)
        measure_store(1, 1000);
    char sql[256];
    snprintf(
        sql, sizeof(sql),
        "INSERT INTO quoit_test_%u.direct SELECT c0,c1,c2 FROM quoit_test_%u.quoit_%lld",
        mariadb.n_databases, mariadb.n_databases,
        mariadb_bed_sql(&mariadb, "SELECT id FROM quoit_test_1.quoit_catalog WHERE shard='sh1'"));
    mariadb_bed_sql(&mariadb, sql);
    period_ns = kept_ns;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

static void compare_both(size_t n_outstanding, size_t n_rows, size_t n_shards)
{
    double direct[ROUNDS], store[ROUNDS];
    through.n_shards = n_shards;
    for (int round = 0; round < ROUNDS; round++) {
        if (n_rows > 0)
            truncate_tables();
        direct[round] = measure_direct(n_outstanding, n_rows);
        if (n_rows > 0)
            truncate_tables();
        store[round] = measure_store(n_outstanding, n_rows);
    }
    double a = median(direct), b = median(store);
    char what[32];
    snprintf(what, sizeof(what), n_rows > 0 ? "INSERT of %zu" : "SELECT of a key", n_rows);
    printf("%-16s %11zu  %6zu  %12.0f  %12.0f  %6.2f\n", what, n_outstanding, n_shards, a, b,
           b / a);
    fflush(stdout);
}

/* ---- the direct client alone -------------------------------------------------------------------
 */

#define ALONE_DATABASE "quoit_direct"
#define CREATE_DIRECT                                                                              \
    "CREATE TABLE %s.direct (c0 BIGINT NOT NULL PRIMARY KEY,"                                      \
    "c1 TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,c2 BIGINT)"

/* As mysql_catalog.c makes them. */
#define CREATE_SAME                                                                                \
    "CREATE TABLE %s.same%zu (c0 BIGINT NOT NULL PRIMARY KEY,"                                     \
    "c1 TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,c1_int BIGINT NULL,"                   \
    "c1_real DOUBLE NULL,c2 BIGINT NULL,c2_real DOUBLE NULL,sum BIGINT NOT NULL"                   \
    ") ENGINE=InnoDB ROW_FORMAT=DYNAMIC"

static void make_alone_database(void)
{
    static const char *const statements[] = {"DROP DATABASE IF EXISTS " ALONE_DATABASE,
                                             "CREATE DATABASE " ALONE_DATABASE};
    char create[512];
    MYSQL *mysql = mysql_init(NULL);
    if (!mysql_real_connect(mysql, NULL, target.user, NULL, NULL, 0, target.socket, 0))
        die("connect", mysql_error(mysql));
    snprintf(create, sizeof(create), CREATE_DIRECT, ALONE_DATABASE);
    if (mysql_query(mysql, statements[0]) || mysql_query(mysql, statements[1]) ||
        mysql_query(mysql, create))
        die("prepare", mysql_error(mysql));
    for (size_t table = 0; table < N_SHARDS; table++) {
        snprintf(create, sizeof(create), CREATE_SAME, ALONE_DATABASE, table);
        query(mysql, create);
    }
    mysql_close(mysql);
}

static int measure_alone(char **argv)
{
    const struct passwd *passwd = getpwuid(geteuid());
    size_t n_outstanding = strtoul(argv[1], NULL, 10), n_rows = strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    if (!passwd || n_outstanding == 0 || n_rows == 0 || n_rows > 10000 || !(seconds > 0.))
        die("direct", "SOCKET OUTSTANDING ROWS SECONDS ascending|random plain|same");
    scattered = strcmp(argv[4], "random") == 0;
    same = strcmp(argv[5], "same") == 0;
    if (same && scattered && n_rows > 1 && n_rows % N_SHARDS != 0)
        die("direct", "ROWS is 1 or a multiple of four");
    target.socket = argv[0];
    target.user = passwd->pw_name;
    period_ns = (uint64_t)(seconds * 1e9);
    make_alone_database();
    target.database = ALONE_DATABASE;
    printf("%.0f\n", measure_direct(n_outstanding, n_rows));
    return 0;
}

int main(int argc, char **argv)
{
    static const size_t outstanding[] = {1, 16, 64};
    if (argc == 8 && strcmp(argv[1], "direct") == 0)
        return measure_alone(argv + 2);
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.;
    period_ns = (uint64_t)(seconds * 1e9);
    if (!mariadb_bed_is_possible()) {
        printf("mariadb-server is not installed: nothing measured\n");
        return 0;
    }
    mariadb_bed_open(&mariadb);
    char *spec = mem_printf("%s%s%s", mariadb.spec, argc > 2 ? "," : "", argc > 2 ? argv[2] : "");
    store_bed_open(&bed, spec);
    char create[256];
    snprintf(create, sizeof(create), CREATE_DIRECT, "quoit_test_1");
    mariadb_bed_sql(&mariadb, create);
    target.socket = mariadb.socket;
    target.user = MARIADB_BED_USER;
    target.password = MARIADB_BED_PASSWORD;
    target.database = "quoit_test_1";
    printf("# mariadbd on a socket, innodb_flush_log_at_trx_commit=%lld; medians of %d × %g s\n",
           mariadb_bed_sql(&mariadb, "SELECT @@innodb_flush_log_at_trx_commit"), ROUNDS, seconds);
    printf("%-16s %11s  %6s  %12s  %12s  %6s\n", "# rows", "outstanding", "shards", "direct/s",
           "store/s", "ratio");
    for (size_t i = 0; i < 3; i++)
        compare_both(outstanding[i], 1, 1);
    compare_both(64, 1, N_SHARDS);
    compare_both(1, 100, 1);
    compare_both(16, 100, 1);
    compare_both(16, 100, N_SHARDS);
    compare_both(1, 1000, 1);
    compare_both(4, 1000, 1);
    compare_both(4, 1000, N_SHARDS);
    through.n_shards = 1;
    fill_for_reads();
    for (size_t i = 0; i < 3; i++)
        compare_both(outstanding[i], 0, 1);
    store_bed_close(&bed);
    mariadb_bed_close(&mariadb);
    free(spec);
    return 0;
}
