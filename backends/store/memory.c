/* memory: rows in this process and nowhere else.
 *
 *   shard ── index (backends/store/btree) ── key → text (backends/store/texts)
 *
 * Everything is done within submit(). The index keeps keys in order, so that a range is walked and
 * never sorted; count and checksum of a shard are kept up at each change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/store.h"
#include "backends/store/btree.h"
#include "backends/store/texts.h"
#include "core/mem.h"

struct memory_params {
    uint64_t max_bytes;
};

static const struct option_def memory_options[] = {
    {.name = "max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct memory_params, max_bytes),
     .metavar = "BYTES",
     .fallback = "0",
     .help = "what all rows of the store may take together, 0: three quarters of the machine's "
             "memory"},
    {.name = NULL},
};

struct memory_shard {
    struct store_shard base; /* first member */
    struct btree index;
    struct texts texts;
    uint64_t checksum;
};

struct memory_store {
    struct store base; /* first member */
    uint64_t max_bytes;
    uint64_t n_bytes; /* of all shards: indexes and texts */
};

static uint64_t shard_bytes(const struct memory_shard *shard)
{
    return shard->index.n_bytes + shard->texts.n_bytes;
}

/* What a row takes beside its text: an entry of a leaf that is half full, and its share above. */
#define INDEX_BYTES 64

/* Whether the rows would pass the store's limit, if all of them came on top. */
static bool passes_limit(const struct memory_store *store, const struct store_request *request)
{
    uint64_t n_bytes = store->n_bytes;
    for (size_t i = 0; i < request->n_rows_in; i++)
        n_bytes += texts_room(request->rows[i].n_bytes) + INDEX_BYTES;
    return n_bytes > store->max_bytes;
}

static struct btree_value keep_text(struct memory_shard *shard, const struct row *row)
{
    shard->checksum += row_checksum(row->text, row->n_bytes);
    return (struct btree_value){.text = texts_add(&shard->texts, row->text, row->n_bytes),
                                .n_bytes = row->n_bytes};
}

static void drop_text(struct memory_shard *shard, struct btree_value value)
{
    shard->checksum -= row_checksum(value.text, value.n_bytes);
    texts_drop(&shard->texts, value.text, value.n_bytes);
}

/* 0, or -ENOENT. */
static int remove_row(struct memory_shard *shard, int64_t key)
{
    struct btree_value old;
    if (!btree_remove(&shard->index, key, &old))
        return -ENOENT;
    drop_text(shard, old);
    return 0;
}

/* Adds the rows as they come and takes them out again when one is there: conflicts are rare, and
 * looking first would descend twice for each row. */
static int insert(struct memory_shard *shard, struct store_request *request)
{
    for (size_t i = 0; i < request->n_rows_in; i++) {
        const struct row *row = &request->rows[i];
        struct btree_value value = keep_text(shard, row);
        if (btree_insert(&shard->index, row->key, value))
            continue;
        drop_text(shard, value);
        request->key = row->key;
        while (i-- > 0)
            remove_row(shard, request->rows[i].key);
        return -EEXIST;
    }
    return 0;
}

static bool same_text(const struct btree_value *value, const struct row *row)
{
    return value->n_bytes == row->n_bytes && memcmp(value->text, row->text, row->n_bytes) == 0;
}

/* The new text is kept before the old one is dropped: it may be the one that a read gave out. */
static void set_text(struct memory_shard *shard, struct btree_value *value, const struct row *row)
{
    struct btree_value old = *value;
    *value = keep_text(shard, row);
    drop_text(shard, old);
}

static int update(struct memory_shard *shard, const struct store_request *request)
{
    struct btree_value *value = btree_find(&shard->index, request->rows[0].key);
    if (!value)
        return -ENOENT;
    set_text(shard, value, &request->rows[0]);
    return 0;
}

/* Removes what is not among the rows first: what is there already, which is most of it when a copy
 * is brought up to date, stays as it is. */
static void replace(struct memory_shard *shard, const struct store_request *request)
{
    size_t n = 0;
    struct btree_place at = btree_seek(&shard->index, request->low);
    while (!btree_at_end(at) && btree_key(at) <= request->last) {
        int64_t key = btree_key(at);
        while (n < request->n_rows_in && request->rows[n].key < key)
            n++;
        if (n < request->n_rows_in && request->rows[n].key == key) {
            btree_next(&at);
            continue;
        }
        remove_row(shard, key);
        at = btree_seek(&shard->index, key);
    }
    for (n = 0; n < request->n_rows_in; n++) {
        const struct row *row = &request->rows[n];
        struct btree_value *value = btree_find(&shard->index, row->key);
        if (!value)
            btree_insert(&shard->index, row->key, keep_text(shard, row));
        else if (!same_text(value, row))
            set_text(shard, value, row);
    }
}

static int absent(const struct memory_shard *shard, struct store_request *request)
{
    struct btree_place at = btree_first(&shard->index);
    for (size_t i = 0; i < request->n_rows_in; i++) {
        int64_t key = request->rows[i].key;
        at = i == 0 ? btree_seek(&shard->index, key) : btree_seek_on(&shard->index, at, key);
        if (btree_at_end(at))
            break;
        if (btree_key(at) != key)
            continue;
        request->key = key;
        return -EEXIST;
    }
    return 0;
}

static struct row row_at(struct btree_place at)
{
    const struct btree_value *value = btree_value(at);
    return (struct row){.key = btree_key(at), .text = value->text, .n_bytes = value->n_bytes};
}

/* STORE_READ and the STORE_DIGEST of a piece. */
static void scan(const struct memory_shard *shard, struct store_request *request)
{
    struct btree_place at = btree_seek(&shard->index, request->low);
    for (; !btree_at_end(at) && btree_key(at) <= request->last; btree_next(&at)) {
        struct row row = row_at(at);
        request->more = request->max_rows > 0 && request->n_rows == request->max_rows;
        if (!request->more && request->op == STORE_READ)
            request->more = !request->on_row(request, &row);
        if (request->more)
            return;
        if (request->op == STORE_DIGEST)
            request->checksum += row_checksum(row.text, row.n_bytes);
        request->key = row.key;
        request->n_rows++;
    }
}

static void digest(const struct memory_shard *shard, struct store_request *request)
{
    const struct btree *index = &shard->index;
    bool whole = request->low == INT64_MIN && request->last == INT64_MAX &&
                 (request->max_rows == 0 || request->max_rows >= index->n);
    if (!whole) {
        scan(shard, request);
        return;
    }
    request->n_rows = index->n;
    request->checksum = shard->checksum;
}

static void shard_free(struct memory_shard *shard)
{
    btree_done(&shard->index);
    texts_done(&shard->texts);
    free(shard);
}

static void create(struct memory_store *store, struct store_request *request)
{
    if (!store_settle_create(&store->base, request)) {
        struct memory_shard *shard = mem_zalloc(1, sizeof(*shard));
        store_shard_init(&shard->base, request);
        btree_init(&shard->index);
        texts_init(&shard->texts);
        store_add_shard(&store->base, &shard->base);
        request->shard = &shard->base;
    }
    if (request->code == 0)
        request->n_rows_now = ((struct memory_shard *)request->shard)->index.n;
}

static void drop(struct memory_store *store, struct store_request *request)
{
    struct memory_shard *shard = (struct memory_shard *)request->shard;
    store->n_bytes -= shard_bytes(shard);
    store_remove_shard(&store->base, &shard->base);
    shard_free(shard);
}

static void change(struct memory_store *store, struct store_request *request)
{
    struct memory_shard *shard = (struct memory_shard *)request->shard;
    if (request->op != STORE_DELETE && passes_limit(store, request)) {
        request->code = -ENOSPC;
        request->reason = "the rows have as much memory as option max allows";
        return;
    }
    store->n_bytes -= shard_bytes(shard);
    if (request->op == STORE_INSERT)
        request->code = insert(shard, request);
    else if (request->op == STORE_UPDATE)
        request->code = update(shard, request);
    else if (request->op == STORE_DELETE)
        request->code = remove_row(shard, request->low);
    else
        replace(shard, request);
    store->n_bytes += shard_bytes(shard);
    request->n_rows_now = shard->index.n;
}

static enum store_submit memory_submit(struct store *base, struct store_request *request)
{
    struct memory_store *store = (struct memory_store *)base;
    const struct memory_shard *shard = (const struct memory_shard *)request->shard;
    request->code = 0;
    request->reason = NULL;
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
    switch (request->op) {
    case STORE_CREATE:
        create(store, request);
        break;
    case STORE_DROP:
        drop(store, request);
        break;
    case STORE_INSERT:
    case STORE_UPDATE:
    case STORE_DELETE:
    case STORE_REPLACE:
        change(store, request);
        break;
    case STORE_ABSENT:
        request->code = absent(shard, request);
        break;
    case STORE_READ:
        scan(shard, request);
        break;
    case STORE_DIGEST:
        digest(shard, request);
        break;
    }
    return STORE_DONE;
}

static int memory_open(const void *params, const struct store_config *config, struct store *inner,
                       struct store **ret_store, struct err *err)
{
    (void)config;
    (void)inner;
    (void)err;
    struct memory_store *store = mem_zalloc(1, sizeof(*store));
    store->max_bytes = ((const struct memory_params *)params)->max_bytes;
    if (store->max_bytes == 0)
        store->max_bytes =
            (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3;
    *ret_store = &store->base;
    return 0;
}

static void memory_close(struct store *base)
{
    struct memory_store *store = (struct memory_store *)base;
    for (size_t i = 0; i < base->n_shards; i++)
        shard_free((struct memory_shard *)base->shards[i]);
    free(base->shards);
    free(store);
}

static void memory_describe(const struct store *base, struct buf *out)
{
    const struct memory_store *store = (const struct memory_store *)base;
    buf_appendf(out, "shards=%zu bytes=%ju max_bytes=%ju", base->n_shards,
                (uintmax_t)store->n_bytes, (uintmax_t)store->max_bytes);
}

static const struct store_ops memory_store = {
    .part = {.name = "memory",
             .summary = "rows in memory, gone with the process: a B+-tree a shard",
             .source = "Comer, The Ubiquitous B-Tree, 1979",
             .options = memory_options,
             .params_size = sizeof(struct memory_params)},
    .open = memory_open,
    .close = memory_close,
    .submit = memory_submit,
    .describe = memory_describe,
};

STORE_REGISTER(memory_store);
