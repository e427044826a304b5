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

/* A number's eight bytes meet one constant: two words of the library's secret, less the seed, whose
 * low half comes in once more, bytes reversed, on top. */
#define XXH3_SECRET_8 UINT64_C(0x1cad21f72c81017c)
#define XXH3_SECRET_16 UINT64_C(0xdb979083e96dd4de)

static struct hash_form xxh3_form(const void *params)
{
    const struct xxh3_params *p = params;
    uint64_t seed = p->seed ^ (uint64_t)__builtin_bswap32((uint32_t)p->seed) << 32;
    return (struct hash_form){.kind = HASH_FORM_XXH3,
                              .c = {(XXH3_SECRET_8 ^ XXH3_SECRET_16) - seed}};
}

static const struct hash_ops xxh3_hash = {
    .part = {.name = "xxh3",
             .summary =
                 "XXH3 in its 64-bit form: the fastest of the library's, and passes SMHasher",
             .source = "Collet: xxHash specification, XXH3 algorithm (0.8)",
             .options = xxh3_options,
             .params_size = sizeof(struct xxh3_params)},
    .key = xxh3_key,
    .form = xxh3_form,
    .point = xxh3_point,
    .bytes = xxh3_bytes,
};

HASH_REGISTER(xxh3_hash);
