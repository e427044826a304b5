/* fnv1a: FNV-1a of 64 bits. A multiplication a byte, each waiting for the one before: small, and
 * slow for what it gives. The last bytes barely reach the top bits, so that short keys that differ
 * in their ends lie close together on a ring; a number's last bytes in little-endian order are its
 * highest, mostly zero, which helps. */
#include "backends/hash.h"

#define FNV_OFFSET_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* The seed takes the place of part of the offset basis; with 0 this is FNV-1a as published. */
static uint64_t fnv1a_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    (void)params;
    const unsigned char *at = bytes;
    uint64_t hash = FNV_OFFSET_BASIS ^ seed;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * FNV_PRIME;
    return hash;
}

HASH_FROM_BYTES(fnv1a)

static const struct hash_ops fnv1a_hash = {
    .part = {.name = "fnv1a",
             .summary = "FNV-1a, 64 bits: one multiplication a byte; does not mix well",
             .source = "Fowler, Noll, Vo, Eastlake: The FNV Non-Cryptographic Hash Algorithm"},
    .key = fnv1a_key,
    .point = fnv1a_point,
    .bytes = fnv1a_bytes,
};

HASH_REGISTER(fnv1a_hash);
