/* md5: the first eight bytes of the MD5 digest, little-endian. Not for secrets; here for its even
 * spread, and because ketama and many others use it. Numbers are hashed as their little-endian
 * bytes.
 *
 * OpenSSL 3 deprecates MD5_Init() and its kin in favour of EVP, but EVP allocates, and a lookup
 * must not. Asking for the 1.1.0 API is OpenSSL's documented way to go on using them. */
#define OPENSSL_API_COMPAT 10100

#include <assert.h>
#include <openssl/md5.h>

#include "backends/hash.h"

static uint64_t md5_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    (void)params;
    MD5_CTX context;
    unsigned char digest[MD5_DIGEST_LENGTH];
    uint64_t word;
    const uint64_t le_seed = htole64(seed);
    int ok = MD5_Init(&context);
    if (seed) /* without one the digest is that of the bytes alone */
        ok &= MD5_Update(&context, &le_seed, sizeof(le_seed));
    ok &= MD5_Update(&context, bytes, n);
    ok &= MD5_Final(digest, &context);
    assert(ok);
    memcpy(&word, digest, sizeof(word));
    return le64toh(word);
}

HASH_FROM_BYTES(md5)

static const struct hash_ops md5_hash = {
    .part = {.name = "md5",
             .summary = "the first half of an MD5 digest: even, and slow",
             .source = "RFC 1321"},
    .key = md5_key,
    .point = md5_point,
    .bytes = md5_bytes,
};

HASH_REGISTER(md5_hash);
