/* null: takes everything, keeps nothing but a count. What is left when this store serves is the
 * cost of everything around stores. */
#include <stdlib.h>

#include "backends/store.h"
#include "core/mem.h"

struct null_shard {
    struct store_shard base; /* first member */
    uint64_t n_rows;
};

static void create(struct store *store, struct store_request *request)
{
    if (!store_settle_create(store, request)) {
        struct null_shard *shard = mem_zalloc(1, sizeof(*shard));
        store_shard_init(&shard->base, request);
        store_add_shard(store, &shard->base);
        request->shard = &shard->base;
    }
    if (request->code == 0)
        request->n_rows_now = ((struct null_shard *)request->shard)->n_rows;
}

static enum store_submit null_submit(struct store *store, struct store_request *request)
{
    struct null_shard *shard = (struct null_shard *)request->shard;
    request->code = 0;
    request->reason = NULL;
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
    switch (request->op) {
    case STORE_CREATE:
        create(store, request);
        return STORE_DONE;
    case STORE_DROP:
        store_remove_shard(store, &shard->base);
        free(shard);
        return STORE_DONE;
    case STORE_INSERT:
    case STORE_REPLACE:
        shard->n_rows += request->n_rows_in;
        break;
    case STORE_DELETE:
        shard->n_rows -= shard->n_rows > 0;
        break;
    case STORE_DIGEST:
        request->n_rows = shard->n_rows;
        break;
    case STORE_UPDATE:
    case STORE_ABSENT:
    case STORE_READ:
        break;
    }
    request->n_rows_now = shard->n_rows;
    return STORE_DONE;
}

static int null_open(const void *params, const struct store_config *config, struct store *inner,
                     struct store **ret_store, struct err *err)
{
    (void)params;
    (void)config;
    (void)inner;
    (void)err;
    *ret_store = mem_zalloc(1, sizeof(struct store));
    return 0;
}

static void null_close(struct store *store)
{
    for (size_t i = 0; i < store->n_shards; i++)
        free(store->shards[i]);
    free(store->shards);
    free(store);
}

static const struct store_ops null_store = {
    .part = {.name = "null",
             .summary = "keeps nothing but a count of rows: what everything around a store costs",
             .source = "fio, engines/null.c, for the idea"},
    .caps = STORE_FORGETS,
    .open = null_open,
    .close = null_close,
    .submit = null_submit,
};

STORE_REGISTER(null_store);
