/* MurmurHash3_x64_128, for the hash family's murmur3 and for its test, which needs all 128 bits. */
#ifndef QUOIT_BACKENDS_HASH_MURMUR3_H
#define QUOIT_BACKENDS_HASH_MURMUR3_H

#include <stddef.h>
#include <stdint.h>

/* Both halves, the low word first. The original takes seeds of 32 bits; for those this is it. */
void murmur3_x64_128(const void *bytes, size_t n, uint64_t seed, uint64_t ret_words[2]);

#endif
