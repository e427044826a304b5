/* Jump consistent hash, for the placements jump and memento and for tests. */
#ifndef QUOIT_BACKENDS_PLACEMENT_JUMP_H
#define QUOIT_BACKENDS_PLACEMENT_JUMP_H

#include <stddef.h>
#include <stdint.h>

/* The key's bucket of n, 1 ≤ n ≤ 2^31: the published function, bit for bit. Lamping and Veach: A
 * Fast, Minimal Memory, Consistent Hash Algorithm (2014), figure 1. */
static inline uint32_t jump_hash(uint64_t key, uint32_t n)
{
    int64_t bucket = -1, next = 0;
    while (next < (int64_t)n) {
        bucket = next;
        key = key * UINT64_C(2862933555777941757) + 1;
        next = (int64_t)((double)(bucket + 1) *
                         ((double)(INT64_C(1) << 31) / (double)((key >> 33) + 1)));
    }
    return (uint32_t)bucket;
}

/* The same answer for 1 ≤ n ≤ PLACEMENT_MAX_MEMBERS, some times faster. */
uint32_t jump_bucket(uint64_t key, uint32_t n);

/* The same for many keys, several at once: buckets[i] of keys[i], n_keys of each. */
void jump_buckets(const uint64_t *keys, size_t n_keys, uint32_t n, uint32_t *ret_buckets);

#endif
