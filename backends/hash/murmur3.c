/* murmur3: the low word of MurmurHash3_x64_128, what Cassandra's default partitioner uses. Numbers
 * are hashed as their little-endian bytes. Collisions can be made at will (Aumasson, Bernstein and
 * Boßlet 2012): not for keys that an adversary chooses. */
#include "backends/hash/murmur3.h"

#include "backends/hash.h"

#define MURMUR3_C1 UINT64_C(0x87c37b91114253d5)
#define MURMUR3_C2 UINT64_C(0x4cf5ad432745937f)

struct murmur3_params {
    uint64_t seed;
};

static const struct option_def murmur3_options[] = {
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct murmur3_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "added to the caller's seed"},
    {.name = NULL},
};

static inline uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t scramble_1(uint64_t k)
{
    return rotate_left(k * MURMUR3_C1, 31) * MURMUR3_C2;
}

static inline uint64_t scramble_2(uint64_t k)
{
    return rotate_left(k * MURMUR3_C2, 33) * MURMUR3_C1;
}

static inline uint64_t finish(uint64_t k)
{
    k = (k ^ k >> 33) * UINT64_C(0xff51afd7ed558ccd);
    k = (k ^ k >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

static inline uint64_t read_word(const unsigned char *at, size_t n)
{
    uint64_t word = 0;
    memcpy(&word, at, n);
    return le64toh(word);
}

void murmur3_x64_128(const void *bytes, size_t n, uint64_t seed, uint64_t ret_words[2])
{
    const unsigned char *at = bytes;
    uint64_t h1 = seed, h2 = seed;
    size_t left = n;
    for (; left >= 16; left -= 16, at += 16) {
        h1 ^= scramble_1(read_word(at, 8));
        h1 = (rotate_left(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= scramble_2(read_word(at + 8, 8));
        h2 = (rotate_left(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    if (left > 8)
        h2 ^= scramble_2(read_word(at + 8, left - 8));
    if (left > 0)
        h1 ^= scramble_1(read_word(at, left < 8 ? left : 8));

    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    h1 += h2;
    h2 += h1;
    ret_words[0] = h1;
    ret_words[1] = h2;
}

static uint64_t murmur3_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct murmur3_params *p = params;
    uint64_t words[2];
    murmur3_x64_128(bytes, n, p->seed + seed, words);
    return words[0];
}

HASH_FROM_BYTES(murmur3)

static const struct hash_ops murmur3_hash = {
    .part = {.name = "murmur3",
             .summary = "the low word of MurmurHash3_x64_128",
             .source = "Appleby: MurmurHash3 (SMHasher, 2011)",
             .options = murmur3_options,
             .params_size = sizeof(struct murmur3_params)},
    .key = murmur3_key,
    .point = murmur3_point,
    .bytes = murmur3_bytes,
};

HASH_REGISTER(murmur3_hash);
