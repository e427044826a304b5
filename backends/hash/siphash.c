/* siphash: SipHash-2-4, a keyed hash that stays sound against somebody who chooses what is hashed
 * and does not know the key. That is what a load balancer needs whose clients name their keys, and
 * could else send all of them to one server. The default key is the one of the paper's test vector
 * and hence public: set your own. */
#include "backends/hash.h"

struct siphash_params {
    uint64_t k0, k1;
};

static const struct option_def siphash_options[] = {
    {.name = "k0",
     .type = OPTION_U64,
     .offset = offsetof(struct siphash_params, k0),
     .metavar = "N",
     .fallback = "0x0706050403020100",
     .help = "first half of the key"},
    {.name = "k1",
     .type = OPTION_U64,
     .offset = offsetof(struct siphash_params, k1),
     .metavar = "N",
     .fallback = "0x0f0e0d0c0b0a0908",
     .help = "second half of the key"},
    {.name = NULL},
};

static inline uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        v[0] += v[1];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[3];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[2] = rotate_left(v[2], 32);
    }
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

/* The caller's seed goes into the key: another member of the family. */
static uint64_t siphash_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct siphash_params *p = params;
    const unsigned char *at = bytes;
    uint64_t k0 = p->k0 ^ seed, k1 = p->k1;
    /* "somepseudorandomlygeneratedbytes" */
    uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                     k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    uint64_t word = 0;
    for (size_t left = n;; left -= 8, at += 8) {
        if (left < 8) {
            if (left > 0)
                memcpy(&word, at, left);
            break;
        }
        memcpy(&word, at, 8);
        sip_word(v, le64toh(word));
        word = 0;
    }
    sip_word(v, le64toh(word) | (uint64_t)n << 56);
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

HASH_FROM_BYTES(siphash)

static const struct hash_ops siphash_hash = {
    .part = {.name = "siphash",
             .summary = "SipHash-2-4: keyed, so that clients cannot aim at one server",
             .source = "Aumasson, Bernstein: SipHash: a fast short-input PRF (2012)",
             .options = siphash_options,
             .params_size = sizeof(struct siphash_params)},
    .key = siphash_key,
    .point = siphash_point,
    .bytes = siphash_bytes,
};

HASH_REGISTER(siphash_hash);
