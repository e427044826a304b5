/* lmdb: the field's embedded B+-tree, memory-mapped and copy-on-write (OpenLDAP's LMDB 0.9).
 *
 *   DIR/lmdb   "shards"   id → name, schema
 *              "counts"   id → rows, checksum
 *              "t<id>"    key → canonical text, one of them a shard
 *
 * A yardstick: the library does what it does, on its thread (backends/store/threaded.h). Keys are
 * its native integers, which it compares as unsigned ones, hence the sign is turned round. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/store/threaded.h"
#include "core/mem.h"

struct lmdb_params {
    int sync;
    uint64_t map_bytes;
    uint64_t max_bytes;
};

enum lmdb_sync { SYNC_ALWAYS, SYNC_NORMAL, SYNC_NONE };

static const struct option_def lmdb_options[] = {
    {.name = "sync",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct lmdb_params, sync),
     .fallback = "always",
     .choices = "always|normal|none",
     .help = "always: a transaction is on disk when it is done; normal: the last one may be lost "
             "with the power (MDB_NOMETASYNC); none: power loss may break the file (MDB_NOSYNC)"},
    {.name = "map",
     .type = OPTION_BYTES,
     .offset = offsetof(struct lmdb_params, map_bytes),
     .metavar = "BYTES",
     .fallback = "64M",
     .min = 1u << 20,
     .help = "the size the map begins with; it doubles when it is full"},
    {.name = "max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct lmdb_params, max_bytes),
     .metavar = "BYTES",
     .fallback = "64G",
     .min = 1u << 20,
     .help = "the size it never passes: then there is no space left"},
    {.name = NULL},
};

struct lmdb_shard {
    struct threaded_shard base; /* first member */
    MDB_dbi table;
    bool is_open;
};

struct lmdb_store {
    struct threaded base; /* first member */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi shards, counts;
    uint64_t map_bytes, max_bytes;
    bool is_full;              /* the map, not the disk */
    struct lmdb_shard *opened; /* whose table this transaction opened: it goes if that fails */
};

struct counts {
    uint64_t n_rows, checksum;
};

/* ---- helpers ---- */

static struct lmdb_store *store_of(struct threaded *base)
{
    return (struct lmdb_store *)base;
}

/* An answer of the library as a negative errno. */
static int code_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_KEYEXIST:
        return -EEXIST;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_DBS_FULL:
        return -ENOSPC;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

static const char *words_of(int rc)
{
    if (rc == MDB_MAP_FULL)
        return "the map has the size that option max allows";
    /* The library's answer to a write that was cut short, which is how a disk fills up. */
    if (rc == EIO)
        return "Input/output error; is the disk full?";
    return mdb_strerror(rc);
}

/* The same for what is neither "there" nor "not there", with its reason. */
static int answer(struct threaded *base, int rc)
{
    int code = code_of(rc);
    if (code == 0 || code == -EEXIST || code == -ENOENT)
        return code;
    store_of(base)->is_full = rc == MDB_MAP_FULL;
    return threaded_fail(base, code, words_of(rc));
}

/* Where nothing but success is expected. */
static int expect(struct threaded *base, int rc)
{
    int code = answer(base, rc);
    return code == -EEXIST || code == -ENOENT ? threaded_fail(base, -EIO, mdb_strerror(rc)) : code;
}

static uint64_t turned(int64_t key)
{
    return (uint64_t)key ^ (UINT64_C(1) << 63);
}

static MDB_val key_value(const uint64_t *key)
{
    return (MDB_val){.mv_size = sizeof(*key), .mv_data = (void *)key};
}

static int64_t key_of(const MDB_val *value)
{
    uint64_t key;
    memcpy(&key, value->mv_data, sizeof(key));
    return (int64_t)(key ^ (UINT64_C(1) << 63));
}

static int open_table(struct lmdb_store *store, struct lmdb_shard *shard, unsigned flags)
{
    char name[32];
    snprintf(name, sizeof(name), "t%" PRIu64, shard->base.id);
    int rc = mdb_dbi_open(store->txn, name, flags | MDB_INTEGERKEY, &shard->table);
    shard->is_open = rc == 0;
    if (rc == 0)
        store->opened = shard;
    return rc;
}

/* ---- transactions ---- */

static int lmdb_begin(struct threaded *base, bool writes)
{
    struct lmdb_store *store = store_of(base);
    store->opened = NULL;
    return expect(base, mdb_txn_begin(store->env, NULL, writes ? 0 : MDB_RDONLY, &store->txn));
}

/* The library forgets tables that were opened in a transaction which failed. */
static void forget_opened(struct lmdb_store *store)
{
    if (store->opened)
        store->opened->is_open = false;
    store->txn = NULL;
}

static int lmdb_commit(struct threaded *base)
{
    struct lmdb_store *store = store_of(base);
    int rc = mdb_txn_commit(store->txn);
    if (rc != 0)
        forget_opened(store);
    store->txn = NULL;
    return expect(base, rc);
}

static void lmdb_abort(struct threaded *base)
{
    mdb_txn_abort(store_of(base)->txn);
    forget_opened(store_of(base));
}

static bool lmdb_grow(struct threaded *base)
{
    struct lmdb_store *store = store_of(base);
    if (!store->is_full || store->map_bytes >= store->max_bytes)
        return false;
    uint64_t wanted =
        store->map_bytes > store->max_bytes / 2 ? store->max_bytes : store->map_bytes * 2;
    if (mdb_env_set_mapsize(store->env, wanted) != 0)
        return false;
    store->map_bytes = wanted;
    return true;
}

/* ---- shards ---- */

static int lmdb_save(struct threaded *base, const struct threaded_shard *shard)
{
    struct lmdb_store *store = store_of(base);
    struct counts counts = {.n_rows = shard->n_rows, .checksum = shard->checksum};
    MDB_val key = key_value(&shard->id);
    MDB_val value = {.mv_size = sizeof(counts), .mv_data = &counts};
    return expect(base, mdb_put(store->txn, store->counts, &key, &value, 0));
}

static int lmdb_create(struct threaded *base, struct threaded_shard *shard)
{
    struct lmdb_store *store = store_of(base);
    struct buf text;
    buf_init(&text, 0);
    buf_append(&text, shard->base.name, strlen(shard->base.name) + 1);
    schema_print(&shard->base.schema, &text);
    MDB_val key = key_value(&shard->id);
    MDB_val value = {.mv_size = buf_len(&text), .mv_data = buf_head(&text)};
    int rc = mdb_put(store->txn, store->shards, &key, &value, MDB_NOOVERWRITE);
    buf_done(&text);
    if (rc == 0)
        rc = open_table(store, (struct lmdb_shard *)shard, MDB_CREATE);
    return expect(base, rc);
}

static int table_of(struct lmdb_store *store, struct threaded_shard *base)
{
    struct lmdb_shard *shard = (struct lmdb_shard *)base;
    return shard->is_open ? 0 : open_table(store, shard, 0);
}

static int lmdb_drop(struct threaded *base, struct threaded_shard *shard)
{
    struct lmdb_store *store = store_of(base);
    MDB_val key = key_value(&shard->id);
    int rc = table_of(store, shard);
    if (rc == 0)
        rc = mdb_del(store->txn, store->shards, &key, NULL);
    if (rc == 0)
        rc = mdb_del(store->txn, store->counts, &key, NULL);
    if (rc == 0) {
        rc = mdb_drop(store->txn, ((struct lmdb_shard *)shard)->table, 1);
        /* Its handle is closed, whatever becomes of the transaction. */
        ((struct lmdb_shard *)shard)->is_open = rc != 0;
    }
    return expect(base, rc);
}

static void lmdb_forget(struct threaded *base, struct threaded_shard *shard)
{
    /* Tables are closed by mdb_drop() or with the file. */
    (void)base;
    (void)shard;
}

/* ---- rows ---- */

static int lmdb_put(struct threaded *base, struct threaded_shard *shard, const struct row *row,
                    bool replace)
{
    struct lmdb_store *store = store_of(base);
    uint64_t number = turned(row->key);
    MDB_val key = key_value(&number);
    MDB_val value = {.mv_size = row->n_bytes, .mv_data = (void *)row->text};
    int rc = table_of(store, shard);
    if (rc != 0)
        return expect(base, rc);
    return answer(base, mdb_put(store->txn, ((struct lmdb_shard *)shard)->table, &key, &value,
                                replace ? 0 : MDB_NOOVERWRITE));
}

static int lmdb_get(struct threaded *base, struct threaded_shard *shard, int64_t key,
                    struct row *ret_row)
{
    struct lmdb_store *store = store_of(base);
    uint64_t number = turned(key);
    MDB_val name = key_value(&number), value;
    int rc = table_of(store, shard);
    if (rc != 0)
        return expect(base, rc);
    rc = mdb_get(store->txn, ((struct lmdb_shard *)shard)->table, &name, &value);
    if (rc == 0)
        *ret_row =
            (struct row){.key = key, .text = value.mv_data, .n_bytes = (uint32_t)value.mv_size};
    return answer(base, rc);
}

static int lmdb_remove(struct threaded *base, struct threaded_shard *shard, int64_t key)
{
    struct lmdb_store *store = store_of(base);
    uint64_t number = turned(key);
    MDB_val name = key_value(&number);
    int rc = table_of(store, shard);
    if (rc != 0)
        return expect(base, rc);
    return answer(base, mdb_del(store->txn, ((struct lmdb_shard *)shard)->table, &name, NULL));
}

static int lmdb_scan(struct threaded *base, struct threaded_shard *shard, int64_t low, int64_t last,
                     bool (*on_row)(void *context, const struct row *row), void *context)
{
    struct lmdb_store *store = store_of(base);
    MDB_cursor *cursor;
    uint64_t number = turned(low);
    MDB_val key = key_value(&number), value;
    int rc = table_of(store, shard);
    if (rc == 0)
        rc = mdb_cursor_open(store->txn, ((struct lmdb_shard *)shard)->table, &cursor);
    if (rc != 0)
        return expect(base, rc);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0) {
        struct row row = {
            .key = key_of(&key), .text = value.mv_data, .n_bytes = (uint32_t)value.mv_size};
        if (row.key > last || !on_row(context, &row))
            break;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return expect(base, rc == MDB_NOTFOUND ? 0 : rc);
}

/* ---- opening ---- */

static int file_broken(const struct lmdb_store *store, const char *why, struct err *err)
{
    return err_set(err, -EIO, "%s is corrupt: %s", store->base.path, why);
}

static int read_shard(struct lmdb_store *store, const MDB_val *key, const MDB_val *value,
                      struct err *err)
{
    const char *name = value->mv_data;
    const char *end = memchr(name, '\0', value->mv_size);
    if (key->mv_size != sizeof(uint64_t) || !end)
        return file_broken(store, "what it says of a shard is not a name and a schema", err);
    uint64_t id;
    memcpy(&id, key->mv_data, sizeof(id));
    struct lmdb_shard *shard = (struct lmdb_shard *)threaded_add(
        &store->base, id, name, end + 1, value->mv_size - (size_t)(end + 1 - name));
    if (!shard)
        return file_broken(store, "what it says of a shard is not a name and a schema", err);
    MDB_val counts;
    if (mdb_get(store->txn, store->counts, &(MDB_val){sizeof(id), &id}, &counts) != 0 ||
        counts.mv_size != sizeof(struct counts))
        return file_broken(store, "a shard's count is missing", err);
    struct counts read;
    memcpy(&read, counts.mv_data, sizeof(read));
    shard->base.n_rows = read.n_rows;
    shard->base.checksum = read.checksum;
    if (open_table(store, shard, 0) != 0)
        return file_broken(store, "a shard's table is missing", err);
    return 0;
}

static int read_shards(struct lmdb_store *store, struct err *err)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = 0, rc = mdb_cursor_open(store->txn, store->shards, &cursor);
    if (rc != 0)
        return file_broken(store, mdb_strerror(rc), err);
    while (code == 0 && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        code = read_shard(store, &key, &value, err);
    mdb_cursor_close(cursor);
    if (code == 0 && rc != MDB_NOTFOUND)
        code = file_broken(store, mdb_strerror(rc), err);
    return code;
}

/* The map reaches what its last page says; a file that was cut would end the process there. */
static int check_length(const struct lmdb_store *store, struct err *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    if (mdb_env_info(store->env, &info) != 0 || mdb_env_stat(store->env, &stat) != 0 ||
        fstatat(AT_FDCWD, store->base.path, &file, 0) != 0)
        return err_set(err, -EIO, "cannot tell the size of %s", store->base.path);
    uint64_t wanted = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    /* One that was made just now has no page yet. */
    if (file.st_size > 0 && (uint64_t)file.st_size < wanted)
        return err_set(err, -EIO, "%s is corrupt: it has %ju bytes of %" PRIu64, store->base.path,
                       (uintmax_t)file.st_size, wanted);
    return 0;
}

static int open_env(struct lmdb_store *store, const struct lmdb_params *params, struct err *err)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NORDAHEAD;
    if (params->sync == SYNC_NORMAL)
        flags |= MDB_NOMETASYNC;
    if (params->sync == SYNC_NONE)
        flags |= MDB_NOSYNC;
    store->max_bytes = params->max_bytes;
    store->map_bytes =
        params->map_bytes < params->max_bytes ? params->map_bytes : params->max_bytes;
    int rc = mdb_env_create(&store->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(store->env, STORE_MAX_SHARDS + 2);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, store->map_bytes);
    if (rc == 0)
        rc = mdb_env_open(store->env, store->base.path, flags, 0666);
    if (rc != 0)
        return err_set(err, code_of(rc), "cannot open %s: %s", store->base.path, mdb_strerror(rc));
    /* It is at least as large as what is there already. */
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    store->map_bytes = info.me_mapsize;
    return check_length(store, err);
}

static int open_tables(struct lmdb_store *store, struct err *err)
{
    int rc = mdb_txn_begin(store->env, NULL, 0, &store->txn);
    if (rc != 0)
        return err_set(err, code_of(rc), "cannot read %s: %s", store->base.path, mdb_strerror(rc));
    rc = mdb_dbi_open(store->txn, "shards", MDB_CREATE | MDB_INTEGERKEY, &store->shards);
    if (rc == 0)
        rc = mdb_dbi_open(store->txn, "counts", MDB_CREATE | MDB_INTEGERKEY, &store->counts);
    int code = rc == 0 ? read_shards(store, err)
                       : err_set(err, code_of(rc), "cannot read %s: %s", store->base.path,
                                 mdb_strerror(rc));
    if (code != 0) {
        mdb_txn_abort(store->txn);
        return code;
    }
    rc = mdb_txn_commit(store->txn);
    store->opened = NULL;
    if (rc != 0)
        return err_set(err, code_of(rc), "cannot write %s: %s", store->base.path, mdb_strerror(rc));
    return 0;
}

static void lmdb_close(struct threaded *base)
{
    struct lmdb_store *store = store_of(base);
    if (store->env)
        mdb_env_close(store->env);
}

static const struct threaded_ops lmdb_ops = {
    .shard_bytes = sizeof(struct lmdb_shard),
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .create = lmdb_create,
    .drop = lmdb_drop,
    .save = lmdb_save,
    .put = lmdb_put,
    .get = lmdb_get,
    .remove = lmdb_remove,
    .scan = lmdb_scan,
    .grow = lmdb_grow,
    .forget = lmdb_forget,
    .close = lmdb_close,
};

static int lmdb_open(const void *params, const struct store_config *config, struct store *inner,
                     struct store **ret_store, struct err *err)
{
    (void)inner;
    struct lmdb_store *store = mem_zalloc(1, sizeof(*store));
    int rc = threaded_init(&store->base, &lmdb_ops, config, "lmdb", err);
    if (rc != 0) {
        free(store);
        return rc;
    }
    rc = open_env(store, params, err);
    if (rc == 0)
        rc = open_tables(store, err);
    return threaded_start(&store->base, rc, ret_store, err);
}

static const struct store_ops lmdb_store = {
    .part = {.name = "lmdb",
             .summary = "rows in an LMDB file: a memory-mapped, copy-on-write B+-tree a shard",
             .source = "Chu, MDB: A Memory-Mapped Database and Backend for OpenLDAP, 2011",
             .options = lmdb_options,
             .params_size = sizeof(struct lmdb_params)},
    .caps = STORE_DURABLE,
    .open = lmdb_open,
    .close = threaded_close,
    .submit = threaded_submit,
    .describe = threaded_describe,
};

STORE_REGISTER(lmdb_store);
