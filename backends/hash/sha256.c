/* sha256: the first eight bytes of the SHA-256 digest, little-endian. The yardstick: if a placement
 * is uneven over this, the hash is not to blame. Numbers are hashed as their little-endian bytes.
 * The 1.1.0 API of OpenSSL for the reason told in md5.c. */
#define OPENSSL_API_COMPAT 10100

#include <assert.h>
#include <openssl/sha.h>

#include "backends/hash.h"

static uint64_t sha256_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    (void)params;
    SHA256_CTX context;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t word;
    const uint64_t le_seed = htole64(seed);
    int ok = SHA256_Init(&context);
    if (seed) /* without one the digest is that of the bytes alone */
        ok &= SHA256_Update(&context, &le_seed, sizeof(le_seed));
    ok &= SHA256_Update(&context, bytes, n);
    ok &= SHA256_Final(digest, &context);
    assert(ok);
    memcpy(&word, digest, sizeof(word));
    return le64toh(word);
}

HASH_FROM_BYTES(sha256)

static const struct hash_ops sha256_hash = {
    .part = {.name = "sha256",
             .summary = "the first quarter of a SHA-256 digest: as even as it gets, and slow",
             .source = "FIPS 180-4"},
    .key = sha256_key,
    .point = sha256_point,
    .bytes = sha256_bytes,
};

HASH_REGISTER(sha256_hash);
