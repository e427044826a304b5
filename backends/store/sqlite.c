/* sqlite: the field's embedded SQL database, one file with its write-ahead log beside it.
 *
 *   DIR/sqlite   shards(id, name, schema, rows, checksum)
 *                t<id>(key INTEGER PRIMARY KEY, text TEXT), one of them a shard
 *
 * A yardstick: the library does what it does, on its thread (backends/store/threaded.h). All SQL is
 * written here; of a shard it holds nothing but our own number, and values are bound. */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/threaded.h"
#include "core/mem.h"

#define SQL_BYTES 160

struct sqlite_params {
    int sync;
    int journal;
    uint64_t cache_bytes;
    uint64_t max_bytes;
};

static const struct option_def sqlite_options[] = {
    {.name = "sync",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct sqlite_params, sync),
     .fallback = "always",
     .choices = "always|normal|none",
     .help = "always: a transaction is on disk when it is done; normal: the last ones may be lost "
             "with the power; none: power loss may break the file (PRAGMA synchronous)"},
    {.name = "journal",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct sqlite_params, journal),
     .fallback = "wal",
     .choices = "wal|delete|truncate",
     .help = "how a transaction is kept apart until it is done (PRAGMA journal_mode)"},
    {.name = "cache",
     .type = OPTION_BYTES,
     .offset = offsetof(struct sqlite_params, cache_bytes),
     .metavar = "BYTES",
     .fallback = "64M",
     .min = 64u << 10,
     .max = UINT64_C(1) << 40,
     .help = "memory for pages (PRAGMA cache_size)"},
    {.name = "max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct sqlite_params, max_bytes),
     .metavar = "BYTES",
     .fallback = "0",
     .help = "the size the file never passes: then there is no space left; 0: SQLite's own limit"},
    {.name = NULL},
};

/* Statements on a shard's table, prepared when first used. */
enum statement { PUT_NEW, PUT_ANY, GET, REMOVE, SCAN, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
    [PUT_NEW] = "INSERT INTO t%" PRIu64 " VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [PUT_ANY] = "INSERT OR REPLACE INTO t%" PRIu64 " VALUES(?1, ?2)",
    [GET] = "SELECT text FROM t%" PRIu64 " WHERE key = ?1",
    [REMOVE] = "DELETE FROM t%" PRIu64 " WHERE key = ?1",
    [SCAN] = "SELECT key, text FROM t%" PRIu64 " WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
};

struct sqlite_shard {
    struct threaded_shard base; /* first member */
    sqlite3_stmt *statements[N_STATEMENTS];
};

struct sqlite_store {
    struct threaded base; /* first member */
    sqlite3 *db;
    sqlite3_stmt *begin_reads, *begin_writes, *commit, *rollback, *save;
    struct buf text; /* of the row that get() answers */
};

/* ---- helpers ---- */

static struct sqlite_store *store_of(struct threaded *base)
{
    return (struct sqlite_store *)base;
}

static int code_of(sqlite3 *db, int rc)
{
    int system = db ? sqlite3_system_errno(db) : 0;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return system == ENOSPC || system == EDQUOT ? -ENOSPC : -EIO;
    default:
        return -EIO;
    }
}

/* What a statement came to: 0, or the failure with the library's own words. */
static int answer(struct sqlite_store *store, int rc)
{
    int code = code_of(store->db, rc);
    if (code == 0)
        return 0;
    char text[ERR_MESSAGE_BYTES];
    int system = (rc & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(store->db) : 0;
    snprintf(text, sizeof(text), "%s%s%s", sqlite3_errmsg(store->db), system ? ": " : "",
             system ? err_errno_text(system) : "");
    return threaded_fail(&store->base, code, text);
}

/* Runs one that gives no rows. */
static int run(struct sqlite_store *store, sqlite3_stmt *statement)
{
    int code = answer(store, sqlite3_step(statement));
    sqlite3_reset(statement);
    return code;
}

static int run_sql(struct sqlite_store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int run_sql(struct sqlite_store *store, const char *format, ...)
{
    char sql[SQL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    return answer(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL));
}

static int prepare(struct sqlite_store *store, const char *sql, sqlite3_stmt **ret_statement)
{
    return answer(store, sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                            ret_statement, NULL));
}

static int statement_of(struct sqlite_store *store, struct threaded_shard *base,
                        enum statement which, sqlite3_stmt **ret_statement)
{
    struct sqlite_shard *shard = (struct sqlite_shard *)base;
    int rc = 0;
    if (!shard->statements[which]) {
        char sql[SQL_BYTES];
        snprintf(sql, sizeof(sql), statement_sql[which], base->id);
        rc = prepare(store, sql, &shard->statements[which]);
    }
    *ret_statement = shard->statements[which];
    return rc;
}

/* ---- transactions ---- */

static int sqlite_begin(struct threaded *base, bool writes)
{
    struct sqlite_store *store = store_of(base);
    return run(store, writes ? store->begin_writes : store->begin_reads);
}

static void sqlite_abort(struct threaded *base)
{
    struct sqlite_store *store = store_of(base);
    /* Some failures have rolled it back already. */
    if (!sqlite3_get_autocommit(store->db))
        run(store, store->rollback);
}

static int sqlite_commit(struct threaded *base)
{
    struct sqlite_store *store = store_of(base);
    int rc = run(store, store->commit);
    if (rc != 0) {
        const char *reason = base->reason;
        sqlite_abort(base);
        base->reason = reason;
    }
    return rc;
}

/* ---- shards ---- */

static int sqlite_save(struct threaded *base, const struct threaded_shard *shard)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_bind_int64(store->save, 1, (sqlite3_int64)shard->n_rows);
    sqlite3_bind_int64(store->save, 2, (sqlite3_int64)shard->checksum);
    sqlite3_bind_int64(store->save, 3, (sqlite3_int64)shard->id);
    return run(store, store->save);
}

static int sqlite_create(struct threaded *base, struct threaded_shard *shard)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_stmt *statement = NULL;
    struct buf schema;
    buf_init(&schema, 0);
    schema_print(&shard->base.schema, &schema);
    int rc = prepare(store, "INSERT INTO shards VALUES(?1, ?2, ?3, 0, 0)", &statement);
    if (rc == 0) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)shard->id);
        sqlite3_bind_text(statement, 2, shard->base.name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, buf_head(&schema), (int)buf_len(&schema), SQLITE_STATIC);
        rc = run(store, statement);
    }
    sqlite3_finalize(statement);
    buf_done(&schema);
    if (rc == 0)
        rc =
            run_sql(store, "CREATE TABLE t%" PRIu64 "(key INTEGER PRIMARY KEY, text TEXT NOT NULL)",
                    shard->id);
    return rc;
}

static void sqlite_forget(struct threaded *base, struct threaded_shard *shard)
{
    (void)base;
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        sqlite3_finalize(((struct sqlite_shard *)shard)->statements[i]);
        ((struct sqlite_shard *)shard)->statements[i] = NULL;
    }
}

static int sqlite_drop(struct threaded *base, struct threaded_shard *shard)
{
    struct sqlite_store *store = store_of(base);
    sqlite_forget(base, shard);
    int rc = run_sql(store, "DROP TABLE t%" PRIu64, shard->id);
    if (rc == 0)
        rc = run_sql(store, "DELETE FROM shards WHERE id = %" PRIu64, shard->id);
    return rc;
}

/* ---- rows ---- */

static int sqlite_put(struct threaded *base, struct threaded_shard *shard, const struct row *row,
                      bool replace)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_stmt *statement;
    int rc = statement_of(store, shard, replace ? PUT_ANY : PUT_NEW, &statement);
    if (rc != 0)
        return rc;
    sqlite3_bind_int64(statement, 1, row->key);
    sqlite3_bind_text(statement, 2, row->text, (int)row->n_bytes, SQLITE_STATIC);
    rc = run(store, statement);
    return rc == 0 && sqlite3_changes(store->db) == 0 ? -EEXIST : rc;
}

static int sqlite_get(struct threaded *base, struct threaded_shard *shard, int64_t key,
                      struct row *ret_row)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_stmt *statement;
    int rc = statement_of(store, shard, GET, &statement);
    if (rc != 0)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        /* Copied, so that no statement is left open across the end of the transaction. */
        const void *text = sqlite3_column_text(statement, 0);
        buf_clear(&store->text);
        buf_append(&store->text, text, (size_t)sqlite3_column_bytes(statement, 0));
        *ret_row = (struct row){
            .key = key, .text = buf_head(&store->text), .n_bytes = (uint32_t)buf_len(&store->text)};
        rc = 0;
    } else {
        rc = rc == SQLITE_DONE ? -ENOENT : answer(store, rc);
    }
    sqlite3_reset(statement);
    return rc;
}

static int sqlite_remove(struct threaded *base, struct threaded_shard *shard, int64_t key)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_stmt *statement;
    int rc = statement_of(store, shard, REMOVE, &statement);
    if (rc != 0)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    rc = run(store, statement);
    return rc == 0 && sqlite3_changes(store->db) == 0 ? -ENOENT : rc;
}

static int sqlite_scan(struct threaded *base, struct threaded_shard *shard, int64_t low,
                       int64_t last, bool (*on_row)(void *context, const struct row *row),
                       void *context)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_stmt *statement;
    int rc = statement_of(store, shard, SCAN, &statement);
    if (rc != 0)
        return rc;
    sqlite3_bind_int64(statement, 1, low);
    sqlite3_bind_int64(statement, 2, last);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct row row = {.key = sqlite3_column_int64(statement, 0),
                          .text = (const char *)sqlite3_column_text(statement, 1)};
        row.n_bytes = (uint32_t)sqlite3_column_bytes(statement, 1);
        if (!on_row(context, &row))
            break;
    }
    rc = rc == SQLITE_ROW ? 0 : answer(store, rc);
    sqlite3_reset(statement);
    return rc;
}

/* ---- opening ---- */

static int set_up(struct sqlite_store *store, const struct sqlite_params *params)
{
    static const char *const sync[] = {"FULL", "NORMAL", "OFF"};
    static const char *const journal[] = {"WAL", "DELETE", "TRUNCATE"};
    int rc = run_sql(store, "PRAGMA locking_mode = EXCLUSIVE");
    if (rc == 0)
        rc = run_sql(store, "PRAGMA journal_mode = %s", journal[params->journal]);
    if (rc == 0)
        rc = run_sql(store, "PRAGMA synchronous = %s", sync[params->sync]);
    if (rc == 0)
        rc = run_sql(store, "PRAGMA cache_size = -%" PRIu64, params->cache_bytes / 1024);
    if (rc == 0 && params->max_bytes > 0)
        rc = run_sql(store, "PRAGMA max_page_count = %" PRIu64,
                     params->max_bytes / 4096 > 16 ? params->max_bytes / 4096 : 16);
    if (rc == 0)
        rc = run_sql(store, "CREATE TABLE IF NOT EXISTS shards(id INTEGER PRIMARY KEY, "
                            "name TEXT UNIQUE, schema TEXT, rows INTEGER, checksum INTEGER)");
    if (rc == 0)
        rc = prepare(store, "BEGIN", &store->begin_reads);
    if (rc == 0)
        rc = prepare(store, "BEGIN IMMEDIATE", &store->begin_writes);
    if (rc == 0)
        rc = prepare(store, "COMMIT", &store->commit);
    if (rc == 0)
        rc = prepare(store, "ROLLBACK", &store->rollback);
    if (rc == 0)
        rc = prepare(store, "UPDATE shards SET rows = ?1, checksum = ?2 WHERE id = ?3",
                     &store->save);
    return rc;
}

static int read_shards(struct sqlite_store *store)
{
    sqlite3_stmt *statement = NULL;
    int rc = prepare(store, "SELECT id, name, schema, rows, checksum FROM shards", &statement);
    int step = SQLITE_DONE;
    while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        const char *schema = (const char *)sqlite3_column_text(statement, 2);
        struct threaded_shard *shard =
            name && schema
                ? threaded_add(&store->base, (uint64_t)sqlite3_column_int64(statement, 0), name,
                               schema, (size_t)sqlite3_column_bytes(statement, 2))
                : NULL;
        if (!shard) {
            rc = threaded_fail(&store->base, -EIO,
                               "what it says of a shard is not a name and a schema");
            break;
        }
        shard->n_rows = (uint64_t)sqlite3_column_int64(statement, 3);
        shard->checksum = (uint64_t)sqlite3_column_int64(statement, 4);
    }
    if (rc == 0)
        rc = answer(store, step);
    sqlite3_finalize(statement);
    return rc;
}

static int open_file(struct sqlite_store *store, const struct sqlite_params *params,
                     struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(store->base.path, &store->db, flags, NULL);
    rc = rc == SQLITE_OK ? 0
                         : threaded_fail(&store->base, code_of(store->db, rc),
                                         store->db ? sqlite3_errmsg(store->db) : "no memory");
    if (rc == 0)
        rc = set_up(store, params);
    if (rc == 0)
        rc = read_shards(store);
    return rc == 0 ? 0 : err_set(err, rc, "%s", store->base.reason);
}

static void sqlite_close(struct threaded *base)
{
    struct sqlite_store *store = store_of(base);
    sqlite3_finalize(store->begin_reads);
    sqlite3_finalize(store->begin_writes);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->rollback);
    sqlite3_finalize(store->save);
    sqlite3_close(store->db);
    buf_done(&store->text);
}

static const struct threaded_ops sqlite_ops = {
    .shard_bytes = sizeof(struct sqlite_shard),
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .abort = sqlite_abort,
    .create = sqlite_create,
    .drop = sqlite_drop,
    .save = sqlite_save,
    .put = sqlite_put,
    .get = sqlite_get,
    .remove = sqlite_remove,
    .scan = sqlite_scan,
    .forget = sqlite_forget,
    .close = sqlite_close,
};

static int sqlite_open(const void *params, const struct store_config *config, struct store *inner,
                       struct store **ret_store, struct err *err)
{
    (void)inner;
    struct sqlite_store *store = mem_zalloc(1, sizeof(*store));
    buf_init(&store->text, 0);
    int rc = threaded_init(&store->base, &sqlite_ops, config, "sqlite", err);
    if (rc != 0) {
        free(store);
        return rc;
    }
    rc = open_file(store, params, err);
    return threaded_start(&store->base, rc, ret_store, err);
}

static const struct store_ops sqlite_store = {
    .part = {.name = "sqlite",
             .summary = "rows in an SQLite file with a write-ahead log: a table a shard",
             .source = "sqlite.org, Write-Ahead Logging",
             .options = sqlite_options,
             .params_size = sizeof(struct sqlite_params)},
    .caps = STORE_DURABLE,
    .open = sqlite_open,
    .close = threaded_close,
    .submit = threaded_submit,
    .describe = threaded_describe,
};

STORE_REGISTER(sqlite_store);
