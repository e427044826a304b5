/* wyhash: Wang Yi's multiply mixer, final version 4.2. Two 64-bit numbers are multiplied to 128
 * bits and the halves folded by exclusive or: one instruction that spreads every input bit, and the
 * fastest mixing there is on a processor with a wide multiplier. Bytes are hashed as published;
 * numbers by the published mixer of two numbers, two multiplications. A factor of zero loses the
 * other one: found by chance once in 2^64, and at will by somebody who looks for it. */
#include "backends/hash.h"

struct wyhash_params {
    uint64_t seed;
};

static const struct option_def wyhash_options[] = {
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct wyhash_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "added to the caller's seed"},
    {.name = NULL},
};

/* The default secret: odd numbers with 32 ones, 32 bits apart from each other. */
static const uint64_t secret[4] = {UINT64_C(0x2d358dccaa6c78a5), UINT64_C(0x8bb84b93962eacc9),
                                   UINT64_C(0x4b33a62ed433d4a3), UINT64_C(0x4d5a2da51de1aa47)};

static inline uint64_t wide_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Both halves of the product, mixed once more with the secret. */
static inline uint64_t wide_finish(uint64_t a, uint64_t b, uint64_t length)
{
    unsigned __int128 product = (unsigned __int128)(a ^ secret[1]) * b;
    return wide_mix((uint64_t)product ^ secret[0] ^ length, (uint64_t)(product >> 64) ^ secret[1]);
}

static inline uint64_t read_8(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return le64toh(word);
}

static inline uint64_t read_4(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return le32toh(word);
}

static uint64_t wyhash_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct wyhash_params *p = params;
    const unsigned char *at = bytes;
    uint64_t a = 0, b = 0;
    seed += p->seed;
    seed ^= wide_mix(seed ^ secret[0], secret[1]);
    if (n > 16) {
        size_t left = n;
        if (left >= 48) {
            uint64_t seed_1 = seed, seed_2 = seed;
            for (; left >= 48; left -= 48, at += 48) {
                seed = wide_mix(read_8(at) ^ secret[1], read_8(at + 8) ^ seed);
                seed_1 = wide_mix(read_8(at + 16) ^ secret[2], read_8(at + 24) ^ seed_1);
                seed_2 = wide_mix(read_8(at + 32) ^ secret[3], read_8(at + 40) ^ seed_2);
            }
            seed ^= seed_1 ^ seed_2;
        }
        for (; left > 16; left -= 16, at += 16)
            seed = wide_mix(read_8(at) ^ secret[1], read_8(at + 8) ^ seed);
        /* The last 16 bytes, which may overlap with what was read. */
        a = read_8(at + left - 16);
        b = read_8(at + left - 8);
    } else if (n >= 4) {
        size_t inner = n / 8 * 4; /* 0, 4 or 8 */
        a = read_4(at) << 32 | read_4(at + inner);
        b = read_4(at + n - 4) << 32 | read_4(at + n - 4 - inner);
    } else if (n > 0) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[n / 2] << 8 | at[n - 1];
    }
    return wide_finish(a, b ^ seed, n);
}

/* wyhash64() of the published header, the mixer of two numbers. */
static inline uint64_t wyhash_two(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)(a ^ secret[0]) * (b ^ secret[1]);
    return wide_mix((uint64_t)product ^ secret[0], (uint64_t)(product >> 64) ^ secret[1]);
}

static uint64_t wyhash_key(const void *params, uint64_t key)
{
    const struct wyhash_params *p = params;
    return wyhash_two(key, p->seed);
}

static uint64_t wyhash_point(const void *params, uint64_t member_id, uint64_t replica)
{
    const struct wyhash_params *p = params;
    return wyhash_two(wyhash_two(member_id, p->seed), replica);
}

static const struct hash_ops wyhash_hash = {
    .part = {.name = "wyhash",
             .summary = "a mixer by 64×64→128-bit multiplication, folded",
             .source = "Wang Yi: wyhash, final version 4.2",
             .options = wyhash_options,
             .params_size = sizeof(struct wyhash_params)},
    .key = wyhash_key,
    .point = wyhash_point,
    .bytes = wyhash_bytes,
};

HASH_REGISTER(wyhash_hash);
