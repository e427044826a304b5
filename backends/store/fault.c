/* fault: a store that fails when told to, for tests of what depends on one. A request that fails
 * never reaches what is wrapped, and so changes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "backends/store/shim.h"
#include "core/mem.h"
#include "core/rng.h"

struct fault_params {
    int fail;
    double probability;
    uint64_t every, after, times;
    int code;
    bool hang, late;
    uint64_t seed;
};

/* Words of option fail; from FAIL_OPS on they are those of enum store_op. */
enum fault_fail { FAIL_NONE, FAIL_ANY, FAIL_READS, FAIL_WRITES, FAIL_OPS };

static const struct option_def fault_options[] = {
    {.name = "fail",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct fault_params, fail),
     .fallback = "none",
     .choices = "none|any|reads|writes|create|drop|insert|update|delete|replace|absent|read|digest",
     .help = "which requests fail: reads are read, digest and absent, writes the others"},
    {.name = "probability",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct fault_params, probability),
     .metavar = "P",
     .fallback = "1",
     .max = 1,
     .help = "the share of them that does"},
    {.name = "every",
     .type = OPTION_U64,
     .offset = offsetof(struct fault_params, every),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .help = "only every N-th of them does"},
    {.name = "after",
     .type = OPTION_U64,
     .offset = offsetof(struct fault_params, after),
     .metavar = "N",
     .fallback = "0",
     .help = "the first N of them do not"},
    {.name = "times",
     .type = OPTION_U64,
     .offset = offsetof(struct fault_params, times),
     .metavar = "N",
     .fallback = "0",
     .help = "no more than N fail, 0: no limit"},
    {.name = "code",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct fault_params, code),
     .fallback = "EIO",
     .choices = "EIO|ENOSPC|ENOMEM|ETIMEDOUT",
     .help = "how they fail"},
    {.name = "hang",
     .type = OPTION_FLAG,
     .offset = offsetof(struct fault_params, hang),
     .help = "they are not answered before the store is closed"},
    {.name = "late",
     .type = OPTION_FLAG,
     .offset = offsetof(struct fault_params, late),
     .help = "they fail at the end of the turn, not at once"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct fault_params, seed),
     .metavar = "N",
     .fallback = "1",
     .help = "of the probability"},
    {.name = NULL},
};

/* One that was taken to fail. */
struct fault_call {
    struct flush_item item; /* first member */
    struct fault_store *store;
    struct store_request *request;
    TAILQ_ENTRY(fault_call) link;
};

struct fault_store {
    struct shim shim; /* first member */
    struct fault_params params;
    struct flusher *flusher;
    struct rng rng;
    uint64_t n_seen, n_failed; /* of those that may fail */
    TAILQ_HEAD(fault_calls, fault_call) taken;
    bool closing;
};

static bool may_fail(const struct fault_store *store, enum store_op op)
{
    bool reads = op == STORE_READ || op == STORE_DIGEST || op == STORE_ABSENT;
    switch (store->params.fail) {
    case FAIL_NONE:
        return false;
    case FAIL_ANY:
        return true;
    case FAIL_READS:
        return reads;
    case FAIL_WRITES:
        return !reads;
    default:
        return store->params.fail - FAIL_OPS == (int)op;
    }
}

static bool fails_now(struct fault_store *store, enum store_op op)
{
    const struct fault_params *params = &store->params;
    if (store->closing || !may_fail(store, op) || store->n_seen++ < params->after)
        return false;
    if ((store->n_seen - params->after) % params->every != 0 ||
        (params->times > 0 && store->n_failed >= params->times) ||
        rng_unit(&store->rng) >= params->probability)
        return false;
    store->n_failed++;
    return true;
}

static void fail(const struct fault_store *store, struct store_request *request)
{
    static const int codes[] = {-EIO, -ENOSPC, -ENOMEM, -ETIMEDOUT};
    request->code = codes[store->params.code];
    request->reason = "it was told to fail";
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
}

/* It is out of the list. */
static void fail_call(struct fault_call *call)
{
    struct store_request *request = call->request;
    flusher_remove(call->store->flusher, &call->item);
    fail(call->store, request);
    free(call);
    request->on_done(request);
}

static void on_end_of_turn(struct flush_item *item)
{
    struct fault_call *call = (struct fault_call *)item;
    TAILQ_REMOVE(&call->store->taken, call, link);
    fail_call(call);
}

static void on_inner_done(struct shim_call *call)
{
    struct store_request *outer = call->outer;
    shim_hand_back(call);
    free(call);
    outer->on_done(outer);
}

static enum store_submit pass(struct fault_store *store, struct store_request *request)
{
    struct shim_call *call = mem_zalloc(1, sizeof(*call));
    call->on_done = on_inner_done;
    if (shim_pass(&store->shim, call, request) == STORE_PENDING)
        return STORE_PENDING;
    shim_hand_back(call);
    free(call);
    return STORE_DONE;
}

static enum store_submit fault_submit(struct store *base, struct store_request *request)
{
    struct fault_store *store = (struct fault_store *)base;
    if (!fails_now(store, request->op))
        return pass(store, request);
    if (!store->params.hang && !store->params.late) {
        fail(store, request);
        return STORE_DONE;
    }
    struct fault_call *call = mem_zalloc(1, sizeof(*call));
    call->item.flush = on_end_of_turn;
    call->store = store;
    call->request = request;
    TAILQ_INSERT_TAIL(&store->taken, call, link);
    if (!store->params.hang)
        flusher_add(store->flusher, &call->item);
    return STORE_PENDING;
}

static int fault_open(const void *params, const struct store_config *config, struct store *inner,
                      struct store **ret_store, struct err *err)
{
    (void)err;
    struct fault_store *store = mem_zalloc(1, sizeof(*store));
    store->params = *(const struct fault_params *)params;
    store->flusher = config->flusher;
    rng_seed(&store->rng, store->params.seed);
    TAILQ_INIT(&store->taken);
    shim_open(&store->shim, inner);
    *ret_store = &store->shim.base;
    return 0;
}

static void fault_close(struct store *base)
{
    struct fault_store *store = (struct fault_store *)base;
    store->closing = true;
    while (!TAILQ_EMPTY(&store->taken)) {
        struct fault_call *call = TAILQ_FIRST(&store->taken);
        TAILQ_REMOVE(&store->taken, call, link);
        fail_call(call);
    }
    shim_close(&store->shim);
}

static const struct store_ops fault_store = {
    .part = {.name = "fault",
             .summary = "wraps a store and fails when told to: fault:fail=writes,every=10+memory",
             .options = fault_options,
             .params_size = sizeof(struct fault_params)},
    .caps = STORE_SHIM,
    .open = fault_open,
    .close = fault_close,
    .submit = fault_submit,
};

STORE_REGISTER(fault_store);
