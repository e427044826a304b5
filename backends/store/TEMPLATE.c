/* TEMPLATE: copy to backends/store/NAME.c, rename, fill in. Nothing else needs to be edited: the
 * Makefile finds the file, the macro at its end puts it in the registry, `--store NAME` knows it,
 * and tests/contract/store_*_test.c run over it; if it needs a service there, add a row of fixtures
 * to tests/support/store_world.c. This file is compiled with the rest but never linked.
 *
 * Start the comment with where the rows are and what the store is good or bad at. The example keeps
 * a shard as one sorted array, which is right for a few rows. What is easy to get wrong:
 *   - all or nothing: an insert that meets a key, or a failure, half-way leaves no row behind;
 *   - the request and its rows are the caller's and hold only until it is done: copy texts;
 *   - nothing blocks (law 2). Where a library does, backends/store/threaded.h gives it a thread and
 *     asks for a few operations on a table only; an ordered index in memory is
 *     backends/store/btree.h;
 *   - keys are the whole int64 range: key + 1 may not be one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store.h"
#include "core/mem.h"

/* Options: one field each, filled by the table below before open(). Without options leave out the
 * struct, the table, and .options and .params_size; params is then NULL. */
struct template_params {
    uint64_t max_rows;
};

static const struct option_def template_options[] = {
    {.name = "rows", /* as in --store template:rows=1000 */
     .type = OPTION_U64,
     .offset = offsetof(struct template_params, max_rows),
     .metavar = "ROWS",
     .fallback = "10000",
     .help = "rows that a shard may have"},
    {.name = NULL},
};

struct template_shard {
    struct store_shard base; /* must be first; store_shard_init() fills it */
    struct row *rows;        /* ascending; texts owned */
    size_t n;
};

struct template_store {
    struct store base; /* must be first; store_open() sets its ops */
    struct template_params params;
};

/* Where a key is, or would be. */
static size_t place_of(const struct template_shard *shard, int64_t key)
{
    size_t i = 0;
    while (i < shard->n && shard->rows[i].key < key)
        i++;
    return i;
}

static bool is_at(const struct template_shard *shard, size_t i, int64_t key)
{
    return i < shard->n && shard->rows[i].key == key;
}

static void remove_at(struct template_shard *shard, size_t i)
{
    free((char *)shard->rows[i].text);
    memmove(&shard->rows[i], &shard->rows[i + 1], (shard->n - i - 1) * sizeof(struct row));
    shard->n--;
}

static void insert_at(struct template_shard *shard, size_t i, const struct row *row)
{
    shard->rows = mem_realloc(shard->rows, shard->n + 1, sizeof(struct row));
    memmove(&shard->rows[i + 1], &shard->rows[i], (shard->n - i) * sizeof(struct row));
    shard->rows[i] = *row;
    shard->rows[i].text = mem_strndup(row->text, row->n_bytes);
    shard->n++;
}

static void shard_free(struct template_shard *shard)
{
    while (shard->n > 0)
        remove_at(shard, shard->n - 1);
    free(shard->rows);
    free(shard);
}

/* STORE_CREATE. store_settle_create() answers for one that is there, or may not be. */
static int create(struct template_store *store, struct store_request *request)
{
    if (!store_settle_create(&store->base, request)) {
        struct template_shard *shard = mem_zalloc(1, sizeof(*shard));
        store_shard_init(&shard->base, request);
        store_add_shard(&store->base, &shard->base);
        request->shard = &shard->base;
    }
    return request->code;
}

/* STORE_ABSENT, and the first half of STORE_INSERT: rows ascend, so the first is the smallest. */
static int absent(const struct template_shard *shard, struct store_request *request)
{
    for (size_t i = 0; i < request->n_rows_in; i++) {
        request->key = request->rows[i].key;
        if (is_at(shard, place_of(shard, request->key), request->key))
            return -EEXIST;
    }
    return 0;
}

/* STORE_INSERT, and STORE_REPLACE once its range is empty. */
static int insert(struct template_store *store, struct template_shard *shard,
                  const struct store_request *request)
{
    if (shard->n + request->n_rows_in > store->params.max_rows)
        return -ENOSPC;
    for (size_t i = 0; i < request->n_rows_in; i++)
        insert_at(shard, place_of(shard, request->rows[i].key), &request->rows[i]);
    return 0;
}

static int replace(struct template_store *store, struct template_shard *shard,
                   const struct store_request *request)
{
    if (shard->n + request->n_rows_in > store->params.max_rows)
        return -ENOSPC;
    size_t i = place_of(shard, request->low);
    while (i < shard->n && shard->rows[i].key <= request->last)
        remove_at(shard, i);
    return insert(store, shard, request);
}

static int update(struct template_shard *shard, const struct store_request *request)
{
    const struct row *row = &request->rows[0];
    size_t i = place_of(shard, row->key);
    if (!is_at(shard, i, row->key))
        return -ENOENT;
    remove_at(shard, i);
    insert_at(shard, i, row);
    return 0;
}

static int remove_row(struct template_shard *shard, const struct store_request *request)
{
    size_t i = place_of(shard, request->low);
    if (!is_at(shard, i, request->low))
        return -ENOENT;
    remove_at(shard, i);
    return 0;
}

/* STORE_READ and STORE_DIGEST: a walk along the range, which either limit ends with ->more. */
static int scan(const struct template_shard *shard, struct store_request *request)
{
    size_t i = place_of(shard, request->low);
    for (; i < shard->n && shard->rows[i].key <= request->last; i++) {
        const struct row *row = &shard->rows[i];
        request->more = request->max_rows > 0 && request->n_rows == request->max_rows;
        if (!request->more && request->op == STORE_READ)
            request->more = !request->on_row(request, row);
        if (request->more)
            return 0;
        request->checksum += row_checksum(row->text, row->n_bytes);
        request->key = row->key;
        request->n_rows++;
    }
    return 0;
}

/* Required hook `submit`. This one is done with each request when it returns. A store that has to
 * wait keeps the request (its `next` and `private` are for that), returns STORE_PENDING, and calls
 * request->on_done(request) later, from the loop, once, touching the request no more after. */
static enum store_submit template_submit(struct store *base, struct store_request *request)
{
    struct template_store *store = (struct template_store *)base;
    struct template_shard *shard = (struct template_shard *)request->shard;
    /* What comes out is set here, whatever the caller left in it. */
    request->reason = NULL;
    request->code = 0;
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
    switch (request->op) {
    case STORE_CREATE:
        request->code = create(store, request);
        shard = (struct template_shard *)request->shard;
        break;
    case STORE_DROP:
        store_remove_shard(base, &shard->base);
        shard_free(shard);
        return STORE_DONE;
    case STORE_INSERT:
        request->code = absent(shard, request);
        if (request->code == 0)
            request->code = insert(store, shard, request);
        break;
    case STORE_UPDATE:
        request->code = update(shard, request);
        break;
    case STORE_DELETE:
        request->code = remove_row(shard, request);
        break;
    case STORE_REPLACE:
        request->code = replace(store, shard, request);
        break;
    case STORE_ABSENT:
        request->code = absent(shard, request);
        break;
    case STORE_READ:
    case STORE_DIGEST:
        request->code = scan(shard, request);
        break;
    }
    if (request->code == 0)
        request->n_rows_now = shard->n;
    return STORE_DONE;
}

/* Required hook `open`. A durable store finds here what config->dir holds (it was made and is its
 * own), puts every shard it finds into base.shards with store_add_shard(), and says why it cannot
 * with the file and the offset. A shim keeps `inner` (backends/store/shim.h); on failure it leaves
 * it open. params do not outlive the call: copy them. */
static int template_open(const void *params, const struct store_config *config, struct store *inner,
                         struct store **ret_store, struct err *err)
{
    (void)config;
    (void)inner;
    (void)err;
    struct template_store *store = mem_zalloc(1, sizeof(*store));
    store->params = *(const struct template_params *)params;
    *ret_store = &store->base;
    return 0;
}

/* Required hook `close`. Finishes what is pending, on_done and all, and frees everything. */
static void template_close(struct store *base)
{
    for (size_t i = 0; i < base->n_shards; i++)
        shard_free((struct template_shard *)base->shards[i]);
    free(base->shards);
    free(base);
}

/* Optional hook `describe`. One line of key=value about itself, for the log at its start. */
static void template_describe(const struct store *base, struct buf *out)
{
    buf_appendf(out, "shards=%zu", base->n_shards);
}

static const struct store_ops template_store = {
    .part = {.name = "template",
             .summary = "one line for --help and `quoit server --store list`",
             .source = "the paper, or the manual of what it drives",
             .options = template_options,
             .params_size = sizeof(struct template_params)},
    /* STORE_DURABLE: rows outlive the process; STORE_SHIM: it wraps another store; STORE_FORGETS:
     * it keeps nothing. The contract suite tests what is claimed. */
    .caps = 0,
    .open = template_open,
    .close = template_close,
    .submit = template_submit,
    .describe = template_describe,
};

STORE_REGISTER(template_store);
