/* Redis Cluster's hash slots, for the placement and for tests against its documentation. */
#ifndef QUOIT_BACKENDS_PLACEMENT_REDIS_H
#define QUOIT_BACKENDS_PLACEMENT_REDIS_H

#include <stddef.h>
#include <stdint.h>

#define REDIS_SLOTS 16384u

/* CRC-16/XMODEM: polynomial 0x1021, from 0, not reflected. */
uint16_t redis_crc16(const char *bytes, size_t n);
/* What CLUSTER KEYSLOT answers: CRC16 mod 16384 of the key, or of what stands between its first '{'
 * and the first '}' after it, unless that is nothing (a hash tag: keys that share it share a slot).
 */
uint32_t redis_keyslot(const char *key, size_t n);

#endif
