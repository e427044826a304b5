/* crc32c: the checksum (core/crc32c), taken as a hash because processors compute it in one
 * instruction. It is linear: any two keys that differ in the same bits have checksums that differ
 * in the same bits, so it does not mix, and yet it never maps two keys to one value that differ
 * only within 32 neighbouring bits, so counters are spread with less chance than chance has. Its 32
 * bits stand in both halves of the 64: rings look at the top, slots at the bottom. */
#include "core/crc32c.h"

#include "backends/hash.h"

static uint64_t crc32c_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    (void)params;
    uint64_t crc = crc32c((uint32_t)(seed ^ seed >> 32), bytes, n);
    return crc << 32 | crc;
}

HASH_FROM_BYTES(crc32c)

static const struct hash_ops crc32c_hash = {
    .part = {.name = "crc32c",
             .summary = "CRC-32C by the processor's instruction: fast, 32 bits, linear",
             .source = "RFC 3720, section 12.1; Castagnoli et al. (1993)"},
    .key = crc32c_key,
    .point = crc32c_point,
    .bytes = crc32c_bytes,
};

HASH_REGISTER(crc32c_hash);
