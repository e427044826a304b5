#include "ring/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/stats.h"

#define N_KEYS 16384u
#define CHUNK 512u
#define CHUNKS_A_LOOK 8u /* … at the clock */
#define N_ROUNDS 5u
#define ROUND_NS UINT64_C(2000000)
#define N_COLD 40u
#define COLD_BATCH 16u
#define EVICT_BYTES (48u << 20) /* more than caches have; touched a line at a time */
#define CACHE_LINE 64u
#define N_BUILDS 5u
#define BUILD_NS UINT64_C(200000000) /* no more builds after that */

static volatile uint64_t sink;

static uint64_t *random_ids(void)
{
    uint64_t *keys = mem_zalloc(N_KEYS, sizeof(*keys));
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < N_KEYS; i++)
        keys[i] = REQUEST_ID_FIRST + rng_below(&rng, REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    return keys;
}

static uint64_t look_up(const struct placement *placement, const uint64_t *keys, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += placement_lookup(placement, keys[i]);
    return sum;
}

static uint64_t look_up_many(const struct placement *placement, const uint64_t *keys, size_t n)
{
    uint32_t members[CHUNK];
    uint64_t sum = 0;
    placement_lookup_many(placement, keys, n, members);
    for (size_t i = 0; i < n; i++)
        sum += members[i];
    return sum;
}

/* The loop without lookups, whose time is taken off. */
static uint64_t look_at(const struct placement *placement, const uint64_t *keys, size_t n)
{
    (void)placement;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = keys[i];
        __asm__ volatile("" : "+r"(key)); /* one at a time */
        sum += key;
    }
    return sum;
}

/* In the thread's own CPU time: what others do on the machine takes no turns from it. */
static double best_ns(uint64_t (*run)(const struct placement *, const uint64_t *, size_t),
                      const struct placement *placement, const uint64_t *keys)
{
    double best = INFINITY;
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        uint64_t n_calls = 0, sum = 0, start = clock_thread_cpu_ns(), now = start;
        for (size_t at = 0; now - start < ROUND_NS; now = clock_thread_cpu_ns()) {
            for (unsigned i = 0; i < CHUNKS_A_LOOK; i++, at = (at + CHUNK) % N_KEYS)
                sum += run(placement, keys + at, CHUNK);
            n_calls += CHUNKS_A_LOOK * CHUNK;
        }
        best = fmin(best, (double)(now - start) / (double)n_calls);
        sink = sum;
    }
    return best;
}

/* A few lookups each time after a sweep over more memory than the caches hold: the first finds
 * nothing, the last what the others brought. */
static double cold_ns(const struct placement *placement, const uint64_t *keys)
{
    double rounds[N_COLD];
    unsigned char *others = mem_zalloc(EVICT_BYTES, 1);
    for (unsigned round = 0; round < N_COLD; round++) {
        for (size_t i = 0; i < EVICT_BYTES; i += CACHE_LINE)
            others[i]++;
        const uint64_t *batch = keys + (round * COLD_BATCH) % N_KEYS;
        uint64_t sum = batch[0] + batch[COLD_BATCH / 2] + batch[COLD_BATCH - 1]; /* keys are warm */
        uint64_t start = clock_now_ns();
        sum += look_up(placement, batch, COLD_BATCH);
        rounds[round] = (double)(clock_now_ns() - start) / COLD_BATCH;
        sink = sum + others[round];
    }
    free(others);
    return stats_median(rounds, N_COLD);
}

static int time_build(const struct ring_setup *setup, const struct ring_state *state,
                      double *ret_us, struct err *err)
{
    double best = INFINITY;
    uint64_t begin = clock_now_ns();
    for (unsigned i = 0; i < N_BUILDS && clock_now_ns() - begin < BUILD_NS; i++) {
        struct placement *placement = NULL;
        uint64_t start = clock_now_ns();
        int rc = placement_build(&setup->spec, state->members.at, state->members.n, &setup->pair,
                                 &placement, err);
        double us = (double)(clock_now_ns() - start) / 1e3;
        if (rc != 0)
            return rc;
        placement_free(placement);
        best = fmin(best, us);
    }
    *ret_us = best;
    return 0;
}

static double time_resize(const struct ring_setup *setup, const struct ring_state *state)
{
    double best = NAN;
    uint64_t begin = clock_now_ns();
    struct rng rng;
    rng_seed(&rng, 1);
    uint64_t id = ring_members_new_id(&state->members, &rng);
    for (unsigned i = 0; i < N_BUILDS && clock_now_ns() - begin < BUILD_NS; i++) {
        struct ring_state more = {0};
        uint64_t start = clock_now_ns();
        if (ring_state_with(setup, state, id, state->members.at[0].weight, &more, NULL) != 0)
            return NAN;
        best = fmin(best, (double)(clock_now_ns() - start) / 1e3);
        ring_state_done(&more);
    }
    return best;
}

int ring_cost_measure(const struct ring_setup *setup, const struct ring_state *state,
                      struct ring_cost *ret_cost, struct err *err)
{
    struct ring_cost cost = {.bytes = state->placement->ops->bytes(state->placement)};
    int rc = time_build(setup, state, &cost.build_us, err);
    if (rc != 0)
        return rc;
    uint64_t *keys = random_ids();
    cost.resize_us = time_resize(setup, state);
    double loop_ns = best_ns(look_at, state->placement, keys);
    cost.hot_ns = fmax(0, best_ns(look_up, state->placement, keys) - loop_ns);
    cost.batch_ns = fmax(0, best_ns(look_up_many, state->placement, keys) - loop_ns);
    cost.cold_ns = cold_ns(state->placement, keys);
    free(keys);
    *ret_cost = cost;
    return 0;
}
