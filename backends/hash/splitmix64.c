/* splitmix64: the output function of Steele, Lea and Flood's generator, with Stafford's constants
 * (mix 13). A bijection of 64-bit numbers that flips half the output bits for any flipped input
 * bit; three shifts, two multiplications.
 *
 * Bytes are hashed by chaining it over little-endian 8-byte words, the length and the seed going in
 * first: h ← mix(h ^ word). Sound against accident, not against an adversary who knows the seed. */
#include <string.h>

#include "backends/hash.h"
#include "core/rng.h"

struct splitmix64_params {
    uint64_t seed;
};

static const struct option_def splitmix64_options[] = {
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct splitmix64_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "another member of the family for every seed"},
    {.name = NULL},
};

/* Seeds are small numbers: spread over all bits, or the seed would only swap neighbouring keys. */
static uint64_t splitmix64_salt(const void *params)
{
    const struct splitmix64_params *p = params;
    return p->seed * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t splitmix64_key(const void *params, uint64_t key)
{
    return rng_mix64(key ^ splitmix64_salt(params));
}

static struct hash_form splitmix64_form(const void *params)
{
    return (struct hash_form){.kind = HASH_FORM_MIX64, .c = {splitmix64_salt(params)}};
}

static uint64_t splitmix64_point(const void *params, uint64_t member_id, uint64_t replica)
{
    /* The id is mixed before the replica joins it, so that (id, j + 1) and (id + 1, j) differ. */
    return rng_mix64(rng_mix64(member_id ^ splitmix64_salt(params)) ^ replica);
}

static uint64_t splitmix64_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const unsigned char *at = bytes;
    uint64_t hash = rng_mix64(rng_mix64(seed ^ splitmix64_salt(params)) ^ n);
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = rng_mix64(hash ^ le64toh(word));
    }
    if (n > 0) {
        uint64_t word = 0;
        memcpy(&word, at, n);
        hash = rng_mix64(hash ^ le64toh(word));
    }
    return hash;
}

static const struct hash_ops splitmix64_hash = {
    .part = {.name = "splitmix64",
             .summary = "a 64-bit mixer of numbers: three shifts, two multiplications",
             .source = "Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014)",
             .options = splitmix64_options,
             .params_size = sizeof(struct splitmix64_params)},
    .key = splitmix64_key,
    .form = splitmix64_form,
    .point = splitmix64_point,
    .bytes = splitmix64_bytes,
};

HASH_REGISTER(splitmix64_hash);
