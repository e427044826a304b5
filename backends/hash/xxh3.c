/* xxh3: the 64-bit XXH3 of the system's libxxhash. The successor of XXH64: short inputs, which is
 * what keys and ids are, go through one or two wide multiplications. Numbers are hashed as their
 * little-endian bytes. */
#include <xxhash.h>

#include "backends/hash.h"

struct xxh3_params {
    uint64_t seed;
};

static const struct option_def xxh3_options[] = {
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct xxh3_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "added to the caller's seed"},
    {.name = NULL},
};

static uint64_t xxh3_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct xxh3_params *p = params;
    return XXH3_64bits_withSeed(bytes, n, p->seed + seed);
}

HASH_FROM_BYTES(xxh3)

static const struct hash_ops xxh3_hash = {
    .part = {.name = "xxh3",
             .summary =
                 "XXH3 in its 64-bit form: the fastest of the library's, and passes SMHasher",
             .source = "Collet: xxHash specification, XXH3 algorithm (0.8)",
             .options = xxh3_options,
             .params_size = sizeof(struct xxh3_params)},
    .key = xxh3_key,
    .point = xxh3_point,
    .bytes = xxh3_bytes,
};

HASH_REGISTER(xxh3_hash);
