#include "loadgen/keys.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"

FAMILY_DEFINE(keys);

#define LOWEST_ID UINT64_C(100000)
#define HIGHEST_ID UINT64_C(999999)

int keys_open(const struct spec *spec, const struct keys_place *place, struct keys **ret_keys,
              struct err *err)
{
    assert(place->thread < place->n_threads);
    return ((const struct keys_ops *)spec->part)->open(spec->params, place, ret_keys, err);
}

void keys_close(struct keys *keys)
{
    free(keys);
}

/* Four rounds of a Feistel network over the smallest even number of bits that holds n, walked until
 * the result is below n again (cycle walking: Black and Rogaway 2002, "Ciphers with arbitrary
 * finite domains"). At most four steps on average. */
uint64_t keys_permute(uint64_t at, uint64_t n, uint64_t seed)
{
    unsigned half_bits = 1;
    uint64_t mask;

    assert(at < n && n <= KEYS_MAX);
    while (UINT64_C(1) << (2 * half_bits) < n)
        half_bits++;
    mask = (UINT64_C(1) << half_bits) - 1;
    do {
        uint64_t left = at >> half_bits, right = at & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (rng_mix64(right ^ rng_mix64(seed + round)) & mask);
            left = right;
            right = next;
        }
        at = left << half_bits | right;
    } while (at >= n);
    return at;
}

/* ---- the range they share ---- */

struct range {
    uint64_t low, high;
};

#define RANGE_ROWS(owner)                                                                          \
    {.name = "low",                                                                                \
     .type = OPTION_U64,                                                                           \
     .offset = offsetof(owner, range.low),                                                         \
     .metavar = "KEY",                                                                             \
     .fallback = "100000",                                                                         \
     .max = KEYS_MAX - 1,                                                                          \
     .help = "lowest key"},                                                                        \
    {                                                                                              \
        .name = "high", .type = OPTION_U64, .offset = offsetof(owner, range.high),                 \
        .metavar = "KEY", .fallback = "999999", .max = KEYS_MAX - 1, .help = "highest key"         \
    }

static int check_range(const struct range *range, struct err *err)
{
    if (range->low > range->high)
        return err_set(err, -EINVAL, "low=%llu is above high=%llu", (unsigned long long)range->low,
                       (unsigned long long)range->high);
    return 0;
}

static void set_base(struct keys *keys, const struct keys_ops *ops, const struct range *range)
{
    *keys = (struct keys){.ops = ops, .low = range->low, .high = range->high};
}

static uint64_t range_size(const struct range *range)
{
    return range->high - range->low + 1;
}

/* ---- ids, uniform ---- */

struct uniform {
    struct keys keys;
    struct range range;
};

static const struct keys_ops uniform_ops;
static const struct keys_ops ids_ops;

static int uniform_open(const void *params, const struct keys_place *place, struct keys **ret_keys,
                        struct err *err)
{
    const struct uniform *given = params;
    struct uniform *self;
    int rc = check_range(&given->range, err);

    (void)place;
    if (rc < 0)
        return rc;
    self = mem_zalloc(1, sizeof(*self));
    set_base(&self->keys, &uniform_ops, &given->range);
    self->range = given->range;
    *ret_keys = &self->keys;
    return 0;
}

static uint64_t uniform_next(struct keys *keys, struct rng *rng)
{
    const struct uniform *self = (const struct uniform *)keys;

    return self->range.low + rng_below(rng, range_size(&self->range));
}

static int ids_open(const void *params, const struct keys_place *place, struct keys **ret_keys,
                    struct err *err)
{
    static const struct uniform ids = {.range = {LOWEST_ID, HIGHEST_ID}};

    (void)params;
    return uniform_open(&ids, place, ret_keys, err);
}

static const struct option_def uniform_options[] = {RANGE_ROWS(struct uniform), {.name = NULL}};

static const struct keys_ops ids_ops = {
    .part = {.name = "ids",
             .summary = "random six-digit request ids",
             .source = "CONTRACT.md, \"Names, ids, hashing\""},
    .open = ids_open,
    .next = uniform_next,
};
KEYS_REGISTER(ids_ops);

static const struct keys_ops uniform_ops = {
    .part = {.name = "uniform",
             .summary = "every key of a range equally often",
             .source = "Lemire 2019, \"Fast random integer generation in an interval\"",
             .options = uniform_options,
             .params_size = sizeof(struct uniform)},
    .open = uniform_open,
    .next = uniform_next,
};
KEYS_REGISTER(uniform_ops);

/* ---- sequential ---- */

struct sequential {
    struct keys keys;
    struct range range;
    uint64_t at, step;
};

static const struct keys_ops sequential_ops;

static int sequential_open(const void *params, const struct keys_place *place,
                           struct keys **ret_keys, struct err *err)
{
    const struct sequential *given = params;
    struct sequential *self;
    int rc = check_range(&given->range, err);

    if (rc < 0)
        return rc;
    self = mem_zalloc(1, sizeof(*self));
    set_base(&self->keys, &sequential_ops, &given->range);
    self->range = given->range;
    self->at = place->thread % range_size(&given->range);
    self->step = place->n_threads % range_size(&given->range);
    *ret_keys = &self->keys;
    return 0;
}

static uint64_t sequential_next(struct keys *keys, struct rng *rng)
{
    struct sequential *self = (struct sequential *)keys;
    uint64_t key = self->range.low + self->at;

    (void)rng;
    self->at = (self->at + self->step) % range_size(&self->range);
    return key;
}

static const struct option_def sequential_options[] = {RANGE_ROWS(struct sequential),
                                                       {.name = NULL}};

static const struct keys_ops sequential_ops = {
    .part = {.name = "sequential",
             .summary = "one key after another, and again from the first",
             .source = "YCSB's sequential choice (Cooper et al. 2010)",
             .options = sequential_options,
             .params_size = sizeof(struct sequential)},
    .open = sequential_open,
    .next = sequential_next,
};
KEYS_REGISTER(sequential_ops);

/* ---- hotspot ---- */

struct hotspot {
    struct keys keys;
    struct range range;
    double hot_keys, hot_requests;
    uint64_t n_hot;
};

static const struct keys_ops hotspot_ops;

static int hotspot_open(const void *params, const struct keys_place *place, struct keys **ret_keys,
                        struct err *err)
{
    const struct hotspot *given = params;
    struct hotspot *self;
    int rc = check_range(&given->range, err);

    (void)place;
    if (rc < 0)
        return rc;
    self = mem_zalloc(1, sizeof(*self));
    *self = *given;
    set_base(&self->keys, &hotspot_ops, &given->range);
    self->n_hot = (uint64_t)ceil(given->hot_keys * (double)range_size(&given->range));
    if (self->n_hot < 1)
        self->n_hot = 1;
    if (self->n_hot > range_size(&given->range))
        self->n_hot = range_size(&given->range);
    *ret_keys = &self->keys;
    return 0;
}

static uint64_t hotspot_next(struct keys *keys, struct rng *rng)
{
    const struct hotspot *self = (const struct hotspot *)keys;
    const uint64_t n_cold = range_size(&self->range) - self->n_hot;

    if (rng_unit(rng) < self->hot_requests || n_cold == 0)
        return self->range.low + rng_below(rng, self->n_hot);
    return self->range.low + self->n_hot + rng_below(rng, n_cold);
}

static const struct option_def hotspot_options[] = {
    RANGE_ROWS(struct hotspot),
    {.name = "keys",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct hotspot, hot_keys),
     .metavar = "SHARE",
     .fallback = "0.2",
     .max = 1,
     .help = "share of the keys that is hot, the lowest ones; at least one is"},
    {.name = "requests",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct hotspot, hot_requests),
     .metavar = "SHARE",
     .fallback = "0.8",
     .max = 1,
     .help = "share of the requests that go to hot keys"},
    {.name = NULL}};

static const struct keys_ops hotspot_ops = {
    .part = {.name = "hotspot",
             .summary = "a share of the keys gets a share of the requests",
             .source = "YCSB's hotspot distribution (Cooper et al. 2010)",
             .options = hotspot_options,
             .params_size = sizeof(struct hotspot)},
    .open = hotspot_open,
    .next = hotspot_next,
};
KEYS_REGISTER(hotspot_ops);
