/* Which key a request is for: the family of key choices. A key is a whole number in a range,
 * written in decimal; the default range is that of six-digit request ids (CONTRACT.md, "Names, ids,
 * hashing").
 *
 *   ids         uniform over 100000 … 999999
 *   uniform     uniform over low … high
 *   zipfian     the r-th most popular key has weight 1 / r^exponent
 *   sequential  low, low + 1, … high, low, …; threads take turns
 *   hotspot     a fraction of the keys gets a fraction of the requests */
#ifndef QUOIT_LOADGEN_KEYS_H
#define QUOIT_LOADGEN_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/registry.h"
#include "core/rng.h"

#define KEYS_MAX UINT64_C(1000000000000000)
#define KEYS_TEXT_BYTES 24 /* a key in decimal and its NUL */

struct keys;

struct keys_place {
    uint64_t seed;   /* of the run: the same in every thread */
    uint32_t thread; /* < n_threads */
    uint32_t n_threads;
};

struct keys_ops {
    struct part part;
    /* Required. 0 or -EINVAL: options that do not go together. */
    int (*open)(const void *params, const struct keys_place *place, struct keys **ret_keys,
                struct err *err);
    /* Required. Random ones draw from rng alone. */
    uint64_t (*next)(struct keys *keys, struct rng *rng);
};

/* First member of every implementation's struct; freed by free(). */
struct keys {
    const struct keys_ops *ops;
    uint64_t low, high; /* it chooses none outside of them */
};

extern const struct family keys_family;

#define KEYS_REGISTER(ops) FAMILY_REGISTER(keys, ops)

/* 0 or -EINVAL with the reason. */
int keys_open(const struct spec *spec, const struct keys_place *place, struct keys **ret_keys,
              struct err *err);
/* Takes NULL. */
void keys_close(struct keys *keys);

static inline uint64_t keys_next(struct keys *keys, struct rng *rng)
{
    return keys->ops->next(keys, rng);
}

/* For tests and for scrambling: a permutation of 0 … n − 1 chosen by seed. at < n. */
uint64_t keys_permute(uint64_t at, uint64_t n, uint64_t seed);

#endif
