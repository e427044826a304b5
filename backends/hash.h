/* The hash family: numbers and bytes to 64 bits.
 *
 * A placement asks two questions of a hash: where does this request fall (key), and where does the
 * j-th virtual node of this member stand (point). A hash of bytes answers both by hashing the
 * little-endian bytes of its arguments (HASH_FROM_BYTES makes the two hooks); the assignment's
 * polynomials answer them directly and cannot hash bytes. Request and server hash are chosen
 * separately (struct hash_pair), so that a skew can be traced to one of them. */
#ifndef QUOIT_BACKENDS_HASH_H
#define QUOIT_BACKENDS_HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/err.h"
#include "core/registry.h"
#include "core/rng.h"

/* A `key` hook in closed form: hash_key() computes it in place, so that a lookup is one indirect
 * call and not two, and hash_keys() goes over many keys without any. */
enum hash_form_kind {
    HASH_FORM_NONE = 0,   /* only the hook knows */
    HASH_FORM_MIX64,      /* rng_mix64(key ^ c[0]) */
    HASH_FORM_POLYNOMIAL, /* c[3]·key³ + c[2]·key² + c[1]·key + c[0] */
    HASH_FORM_XXH3,       /* XXH3 of eight bytes, under c[0] made of its secret and seed */
};

struct hash_form {
    enum hash_form_kind kind;
    uint64_t c[4];
};

struct hash_ops {
    struct part part;
    /* Required. The hash of a request's 64-bit key. Pure: no state, no allocation, any thread. */
    uint64_t (*key)(const void *params, uint64_t key);
    /* Required. The hash of virtual node `replica` of the member with this id. Pure. */
    uint64_t (*point)(const void *params, uint64_t member_id, uint64_t replica);
    /* Optional: NULL for a hash of integers only. n may be 0. Pure. */
    uint64_t (*bytes)(const void *params, const void *bytes, size_t n, uint64_t seed);
    /* Optional. The closed form that equals `key` under these parameters. */
    struct hash_form (*form)(const void *params);
};

/* One chosen member with its options. Copied by value; spec owns the parameters. */
struct hash {
    const struct hash_ops *ops;
    const void *params; /* (ref in the spec it was made from) */
    struct hash_form form;
};

/* Which hash places requests and which places servers. */
struct hash_pair {
    struct hash request;
    struct hash server;
};

static inline uint64_t hash_form_polynomial(const uint64_t c[4], uint64_t key)
{
    return ((c[3] * key + c[2]) * key + c[1]) * key + c[0];
}

/* Collet: xxHash specification, XXH3, inputs of 4 to 8 bytes. */
static inline uint64_t hash_form_xxh3(const uint64_t c[4], uint64_t key)
{
    const uint64_t prime = UINT64_C(0x9fb21c651e98df25);
    uint64_t x = (key << 32 | key >> 32) ^ c[0];
    x ^= (x << 49 | x >> 15) ^ (x << 24 | x >> 40);
    x *= prime;
    x ^= (x >> 35) + sizeof(key);
    x *= prime;
    return x ^ x >> 28;
}

static inline uint64_t hash_key(struct hash hash, uint64_t key)
{
    if (hash.form.kind == HASH_FORM_MIX64)
        return rng_mix64(key ^ hash.form.c[0]);
    if (hash.form.kind == HASH_FORM_POLYNOMIAL)
        return hash_form_polynomial(hash.form.c, key);
    if (hash.form.kind == HASH_FORM_XXH3)
        return hash_form_xxh3(hash.form.c, key);
    return hash.ops->key(hash.params, key);
}

/* hash_key() of n keys. The arrays may be the same one. */
void hash_keys(const struct hash *hash, const uint64_t *keys, size_t n, uint64_t *ret_hashes);

static inline uint64_t hash_point(struct hash hash, uint64_t member_id, uint64_t replica)
{
    return hash.ops->point(hash.params, member_id, replica);
}

extern const struct family hash_family;

/* A parsed `--hash`: "NAME[:k=v,…]" for both, or "REQUEST/SERVER" with one for each. */
struct hash_choice {
    struct spec request;
    struct spec server;
    struct hash_pair pair; /* points into the two specs */
};

/* 0 or -EINVAL with the reason. Pair with hash_choice_done(). The choice must not move in memory.
 */
int hash_choice_parse(const char *text, struct hash_choice *ret_choice, struct err *err);
void hash_choice_done(struct hash_choice *choice);

#define HASH_REGISTER(ops) FAMILY_REGISTER(hash, ops)

/* Defines NAME_key and NAME_point from a static NAME_bytes of the `bytes` hook's signature. Key and
 * point differ in length (8 and 16 bytes), hence in hash. */
#define HASH_FROM_BYTES(name)                                                                      \
    static uint64_t name##_key(const void *params, uint64_t key)                                   \
    {                                                                                              \
        unsigned char bytes[sizeof(key)];                                                          \
        key = htole64(key);                                                                        \
        memcpy(bytes, &key, sizeof(bytes));                                                        \
        return name##_bytes(params, bytes, sizeof(bytes), 0);                                      \
    }                                                                                              \
    static uint64_t name##_point(const void *params, uint64_t member_id, uint64_t replica)         \
    {                                                                                              \
        const uint64_t le[2] = {htole64(member_id), htole64(replica)};                             \
        unsigned char bytes[sizeof(le)];                                                           \
        memcpy(bytes, le, sizeof(bytes));                                                          \
        return name##_bytes(params, bytes, sizeof(bytes), 0);                                      \
    }

#endif
