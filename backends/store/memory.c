/* memory: rows in this process and nowhere else.
 *
 *   shard ── rows (backends/store/rows): an ordered index over packed texts
 *
 * Everything is done within submit(). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/store.h"
#include "backends/store/rows.h"
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
    struct rows rows;
};

struct memory_store {
    struct store base; /* first member */
    uint64_t max_bytes;
    uint64_t n_bytes; /* of all shards: indexes and texts */
};

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

static void shard_free(struct memory_shard *shard)
{
    rows_done(&shard->rows);
    free(shard);
}

static void create(struct memory_store *store, struct store_request *request)
{
    if (!store_settle_create(&store->base, request)) {
        struct memory_shard *shard = mem_zalloc(1, sizeof(*shard));
        store_shard_init(&shard->base, request);
        rows_init(&shard->rows);
        store_add_shard(&store->base, &shard->base);
        request->shard = &shard->base;
    }
    if (request->code == 0)
        request->n_rows_now = rows_count(&((struct memory_shard *)request->shard)->rows);
}

static void drop(struct memory_store *store, struct store_request *request)
{
    struct memory_shard *shard = (struct memory_shard *)request->shard;
    store->n_bytes -= rows_bytes(&shard->rows);
    store_remove_shard(&store->base, &shard->base);
    shard_free(shard);
}

static void change(struct memory_store *store, struct store_request *request)
{
    struct rows *rows = &((struct memory_shard *)request->shard)->rows;
    if (request->op != STORE_DELETE && passes_limit(store, request)) {
        request->code = -ENOSPC;
        request->reason = "the rows have as much memory as option max allows";
        return;
    }
    store->n_bytes -= rows_bytes(rows);
    if (request->op == STORE_INSERT)
        request->code = rows_insert(rows, request->rows, request->n_rows_in, &request->key);
    else if (request->op == STORE_UPDATE)
        request->code = rows_update(rows, &request->rows[0]);
    else if (request->op == STORE_DELETE)
        request->code = rows_remove(rows, request->low);
    else
        rows_replace(rows, request->low, request->last, request->rows, request->n_rows_in);
    store->n_bytes += rows_bytes(rows);
    request->n_rows_now = rows_count(rows);
}

static enum store_submit memory_submit(struct store *base, struct store_request *request)
{
    struct memory_store *store = (struct memory_store *)base;
    request->code = 0;
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
        request->code = rows_absent(&((const struct memory_shard *)request->shard)->rows,
                                    request->rows, request->n_rows_in, &request->key);
        break;
    case STORE_READ:
    case STORE_DIGEST:
        rows_answer(&((const struct memory_shard *)request->shard)->rows, request);
        break;
    }
    return STORE_DONE;
}

/* The machine's memory, or the container's limit, which its control group shows as the root's. */
static uint64_t memory_bytes_there_are(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        FILE *file = fopen(limits[i], "re");
        uint64_t limit;
        if (!file)
            continue;
        if (fscanf(file, "%" SCNu64, &limit) == 1 && limit > 0 && limit < bytes)
            bytes = limit;
        fclose(file);
    }
    return bytes;
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
        store->max_bytes = memory_bytes_there_are() / 4 * 3;
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
