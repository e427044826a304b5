/* xxh64: XXH64 of the system's libxxhash. Numbers are hashed as their little-endian bytes. */
#include <xxhash.h>

#include "backends/hash.h"

struct xxh64_params {
    uint64_t seed;
};

static const struct option_def xxh64_options[] = {
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct xxh64_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "added to the caller's seed"},
    {.name = NULL},
};

static uint64_t xxh64_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct xxh64_params *p = params;
    return XXH64(bytes, n, p->seed + seed);
}

HASH_FROM_BYTES(xxh64)

static const struct hash_ops xxh64_hash = {
    .part = {.name = "xxh64",
             .summary = "XXH64, a fast hash of bytes that passes SMHasher",
             .source = "Collet: xxHash specification 0.1.1",
             .options = xxh64_options,
             .params_size = sizeof(struct xxh64_params)},
    .key = xxh64_key,
    .point = xxh64_point,
    .bytes = xxh64_bytes,
};

HASH_REGISTER(xxh64_hash);
