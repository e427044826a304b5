/* CRC-32C (Castagnoli), as iSCSI, ext4 and Ceph have it: reflected, polynomial 0x1EDC6F41, all ones
 * in and out. It finds every burst of up to 32 flipped bits, and is no protection against somebody
 * who wants to deceive.
 *
 * By the processor's own instruction (SSE4.2) where it has one, else by tables; the answers are
 * the same. Pure, callable from any thread. */
#ifndef QUOIT_CORE_CRC32C_H
#define QUOIT_CORE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The checksum of n bytes (n may be 0) with seed 0; the checksum of what came before followed by
 * these bytes with that as seed: crc32c(crc32c(0, a), b) is that of a and b in one piece.
 * RFC 3720, section 12.1 and appendix B.4. */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t n);

/* The two ways, for tests and benchmarks. crc32c_by_instruction() may be called only where
 * crc32c_has_instruction() is true. */
bool crc32c_has_instruction(void);
uint32_t crc32c_by_instruction(uint32_t seed, const void *bytes, size_t n);
uint32_t crc32c_by_table(uint32_t seed, const void *bytes, size_t n);

#endif
