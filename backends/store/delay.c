/* delay: a slow store. What it wraps does everything at once; that it is done is told later, so
 * that effects keep their order and only answers overtake each other. A read shows its rows when it
 * is made. */
#include <stdlib.h>
#include <sys/queue.h>

#include "backends/store/shim.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"

struct delay_params {
    uint64_t read_ns, write_ns, jitter_ns;
    double probability;
    uint64_t seed;
};

static const struct option_def delay_options[] = {
    {.name = "read",
     .type = OPTION_DURATION,
     .offset = offsetof(struct delay_params, read_ns),
     .metavar = "TIME",
     .fallback = "0ms",
     .max = 3600 * NS_PER_S,
     .unit = "ms",
     .help = "how long a read takes at least"},
    {.name = "write",
     .type = OPTION_DURATION,
     .offset = offsetof(struct delay_params, write_ns),
     .metavar = "TIME",
     .fallback = "0ms",
     .max = 3600 * NS_PER_S,
     .unit = "ms",
     .help = "how long a change takes at least"},
    {.name = "jitter",
     .type = OPTION_DURATION,
     .offset = offsetof(struct delay_params, jitter_ns),
     .metavar = "TIME",
     .fallback = "0ms",
     .max = 3600 * NS_PER_S,
     .unit = "ms",
     .help = "up to so much more, at random"},
    {.name = "probability",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct delay_params, probability),
     .metavar = "P",
     .fallback = "1",
     .max = 1,
     .help = "the share of requests that are delayed"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct delay_params, seed),
     .metavar = "N",
     .fallback = "1",
     .help = "of jitter and probability"},
    {.name = NULL},
};

struct delay_call {
    struct shim_call call; /* first member */
    uint64_t due_ns;       /* CLOCK_MONOTONIC; 0: at once */
    struct ev_timer timer;
    TAILQ_ENTRY(delay_call) link; /* while the timer runs */
};

struct delay_store {
    struct shim shim; /* first member */
    struct delay_params params;
    struct ev_loop *loop;
    struct rng rng;
    TAILQ_HEAD(delay_calls, delay_call) waiting;
    bool closing;
};

static struct delay_store *store_of(const struct delay_call *call)
{
    return (struct delay_store *)call->call.shim;
}

static void tell(struct delay_call *call)
{
    struct store_request *outer = call->call.outer;
    shim_hand_back(&call->call);
    free(call);
    outer->on_done(outer);
}

static void on_time(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct delay_call *call = timer->data;
    (void)loop;
    (void)events;
    TAILQ_REMOVE(&store_of(call)->waiting, call, link);
    tell(call);
}

/* Tells it when its time has come; never at once. */
static void wait_for_it(struct delay_call *call)
{
    struct delay_store *store = store_of(call);
    uint64_t now = clock_now_ns();
    /* The loop's own time may be that of the beginning of a long turn. */
    ev_now_update(store->loop);
    ev_timer_init(&call->timer, on_time,
                  call->due_ns > now ? (double)(call->due_ns - now) / 1e9 : 0., 0.);
    call->timer.data = call;
    ev_timer_start(store->loop, &call->timer);
    TAILQ_INSERT_TAIL(&store->waiting, call, link);
}

static void on_inner_done(struct shim_call *shim_call)
{
    struct delay_call *call = (struct delay_call *)shim_call;
    if (call->due_ns > clock_now_ns() && !store_of(call)->closing)
        wait_for_it(call);
    else
        tell(call);
}

/* When a request may be told, 0: at once. */
static uint64_t due_of(struct delay_store *store, const struct store_request *request)
{
    bool reads =
        request->op == STORE_READ || request->op == STORE_DIGEST || request->op == STORE_ABSENT;
    uint64_t delay_ns = reads ? store->params.read_ns : store->params.write_ns;
    if (delay_ns == 0 || store->closing || rng_unit(&store->rng) >= store->params.probability)
        return 0;
    if (store->params.jitter_ns > 0)
        delay_ns += rng_below(&store->rng, store->params.jitter_ns);
    return clock_now_ns() + delay_ns;
}

static enum store_submit delay_submit(struct store *base, struct store_request *request)
{
    struct delay_store *store = (struct delay_store *)base;
    struct delay_call *call = mem_zalloc(1, sizeof(*call));
    call->due_ns = due_of(store, request);
    call->call.on_done = on_inner_done;
    if (shim_pass(&store->shim, &call->call, request) == STORE_PENDING)
        return STORE_PENDING;
    if (call->due_ns > 0) {
        wait_for_it(call);
        return STORE_PENDING;
    }
    shim_hand_back(&call->call);
    free(call);
    return STORE_DONE;
}

static int delay_open(const void *params, const struct store_config *config, struct store *inner,
                      struct store **ret_store, struct err *err)
{
    (void)err;
    struct delay_store *store = mem_zalloc(1, sizeof(*store));
    store->params = *(const struct delay_params *)params;
    store->loop = config->loop;
    rng_seed(&store->rng, store->params.seed);
    TAILQ_INIT(&store->waiting);
    shim_open(&store->shim, inner);
    *ret_store = &store->shim.base;
    return 0;
}

static void delay_close(struct store *base)
{
    struct delay_store *store = (struct delay_store *)base;
    store->closing = true;
    while (!TAILQ_EMPTY(&store->waiting)) {
        struct delay_call *call = TAILQ_FIRST(&store->waiting);
        TAILQ_REMOVE(&store->waiting, call, link);
        ev_timer_stop(store->loop, &call->timer);
        tell(call);
    }
    shim_close(&store->shim);
}

static const struct store_ops delay_store = {
    .part = {.name = "delay",
             .summary = "wraps a store and answers later: delay:write=2ms+memory",
             .options = delay_options,
             .params_size = sizeof(struct delay_params)},
    .caps = STORE_SHIM,
    .open = delay_open,
    .close = delay_close,
    .submit = delay_submit,
};

STORE_REGISTER(delay_store);
