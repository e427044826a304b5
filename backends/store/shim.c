#include "backends/store/shim.h"

#include <stdlib.h>

/* The wrapped store's list; borrowed, and looked at again whenever it may have changed. */
static void list_shards(struct shim *shim)
{
    shim->base.shards = shim->inner->shards;
    shim->base.n_shards = shim->inner->n_shards;
}

void shim_open(struct shim *shim, struct store *inner)
{
    shim->inner = inner;
    list_shards(shim);
}

void shim_close(struct shim *shim)
{
    store_close(shim->inner);
    free(shim);
}

static bool on_row(struct store_request *inner, const struct row *row)
{
    struct store_request *outer = ((struct shim_call *)inner)->outer;
    return outer->on_row(outer, row);
}

static void on_done(struct store_request *inner)
{
    struct shim_call *call = (struct shim_call *)inner;
    list_shards(call->shim);
    call->on_done(call);
}

enum store_submit shim_pass(struct shim *shim, struct shim_call *call, struct store_request *outer)
{
    call->inner = *outer;
    call->inner.on_row = on_row;
    call->inner.on_done = on_done;
    call->outer = outer;
    call->shim = shim;
    enum store_submit answer = store_submit(shim->inner, &call->inner);
    if (answer == STORE_DONE)
        list_shards(shim);
    return answer;
}

void shim_hand_back(const struct shim_call *call)
{
    struct store_request *outer = call->outer;
    outer->shard = call->inner.shard;
    outer->code = call->inner.code;
    outer->reason = call->inner.reason;
    outer->n_rows_now = call->inner.n_rows_now;
    outer->key = call->inner.key;
    outer->n_rows = call->inner.n_rows;
    outer->checksum = call->inner.checksum;
    outer->more = call->inner.more;
}
