/* Jump consistent hash of many keys at once (jump_buckets() of jump.h).
 *
 * One key's steps wait for each other, some ten nanoseconds each four; keys do not. LANES of them
 * go side by side, four to a vector, and all take as many steps as the slowest: who is beyond the
 * last bucket goes on and is not looked at.
 *
 *     state ──×A + 1──▶ state, JUMP_BLOCK times      by integers, two groups of four ahead:
 *       │                                            what was stored is in the cache by then
 *       └─ top 31 bits r ─▶ f = 2^31 / (r + 1) ─▶ low = number · f,  number = ⌊low⌋ + 1
 *
 * in single precision, rounded so that the published quotient, of double precision, lies in
 * [low, low·(1 + 2^-21 + 2^-22)]. Where no whole number lies in there either, its integer part is
 * known; where one does, once in some thousand keys, the key is computed again as published. */
#include <string.h>

#include "backends/placement.h"
#include "backends/placement/jump.h"

#define LANES 32
#define VECTOR 4
#define N_VECTORS (LANES / VECTOR)
#define BLOCK 4 /* steps between two looks at whether all are through */
#define AHEAD 2 /* groups whose states are computed before they are needed */
#define MULTIPLIER UINT64_C(2862933555777941757)

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));

/* Where the keys of a vector are: the number that the last step led to, plus one; the last bucket
 * below n; whether a step was too close to a whole number to be sure (all bits, or none). */
struct lanes {
    floats number[N_VECTORS];
    floats bucket[N_VECTORS];
    ints doubt[N_VECTORS];
};

static inline floats all(float x)
{
    return (floats){x, x, x, x};
}

/* The next BLOCK states of a group's keys, from their last one. */
static inline void generate(uint64_t states[BLOCK][LANES], unsigned group)
{
#pragma GCC unroll 4
    for (unsigned lane = VECTOR * group; lane < VECTOR * (group + 1); lane++) {
        uint64_t state = states[BLOCK - 1][lane];
#pragma GCC unroll 4
        for (unsigned step = 0; step < BLOCK; step++)
            states[step][lane] = state = state * MULTIPLIER + 1;
    }
}

/* −(r + 1) of four states, r being their top 31 bits: as ~r it has room in 32 bits. */
static inline floats negative_divisors(const uint64_t *states)
{
    words first, second;
    memcpy(&first, states, sizeof(first));
    memcpy(&second, states + 2, sizeof(second));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    words high = __builtin_shufflevector(first, second, 1, 3, 5, 7);
#else
    words high = __builtin_shufflevector(first, second, 0, 2, 4, 6);
#endif
    return __builtin_convertvector((ints) ~(high >> 1), floats);
}

/* BLOCK steps of a group. Returns which of its keys have not come beyond the last bucket. */
static inline ints step_group(struct lanes *lanes, uint64_t states[BLOCK][LANES], unsigned group,
                              float n)
{
    /* Three roundings of 2^-24 each may have made a quotient too large: less by more than that. */
    const floats numerator = all(-0x1p31f * (1 - 0x1p-22f - 0x1p-23f));
    const floats upper = all(1 + 0x1p-21f + 0x1p-22f);
    /* Adding 2^23 rounds to a whole number: 2^23 − ½ rounds down, but for whole numbers themselves,
     * which are doubtful. Quotients beyond 2^23 come out as something beyond n, infinity too. */
    const floats down = all(0x1p23f - 0.5f), back = all(0x1p23f), back_less_one = all(0x1p23f - 1);
    floats number = lanes->number[group], bucket = lanes->bucket[group];
    ints doubt = lanes->doubt[group];
#pragma GCC unroll 4
    for (unsigned step = 0; step < BLOCK; step++) {
        floats low = number * (numerator / negative_divisors(states[step] + VECTOR * group));
        floats whole = low + down, next = whole - back;
        number = whole - back_less_one;
        ints is_bucket = next < all(n);
        doubt |= (low * upper >= number) & is_bucket;
        bucket = (floats)((is_bucket & (ints)next) | (~is_bucket & (ints)bucket));
    }
    lanes->number[group] = number;
    lanes->bucket[group] = bucket;
    lanes->doubt[group] = doubt;
    return number <= all(n);
}

static void jump_lanes(const uint64_t *keys, uint32_t n, uint32_t *ret_buckets)
{
    uint64_t states[BLOCK][LANES] __attribute__((aligned(16)));
    struct lanes lanes;
    for (unsigned group = 0; group < N_VECTORS; group++) {
        lanes.number[group] = all(1);
        lanes.bucket[group] = all(0);
        lanes.doubt[group] = (ints){0};
    }
    memcpy(states[BLOCK - 1], keys, sizeof(states[0]));
    for (unsigned group = 0; group < AHEAD; group++)
        generate(states, group);

    ints left;
    do {
        left = (ints){0};
        for (unsigned group = 0; group < N_VECTORS; group++) {
            generate(states, (group + AHEAD) % N_VECTORS);
            left |= step_group(&lanes, states, group, (float)n);
        }
    } while (left[0] | left[1] | left[2] | left[3]);

    for (unsigned lane = 0; lane < LANES; lane++) {
        ret_buckets[lane] = (uint32_t)lanes.bucket[lane / VECTOR][lane % VECTOR];
        if (__builtin_expect(lanes.doubt[lane / VECTOR][lane % VECTOR], 0))
            ret_buckets[lane] = jump_hash(keys[lane], n);
    }
}

_Static_assert(PLACEMENT_MAX_MEMBERS < (1 << 22), "single precision can tell buckets apart");

void jump_buckets(const uint64_t *keys, size_t n_keys, uint32_t n, uint32_t *ret_buckets)
{
    size_t at = 0;
    for (; at + LANES <= n_keys; at += LANES)
        jump_lanes(keys + at, n, ret_buckets + at);
    for (; at < n_keys; at++)
        ret_buckets[at] = jump_bucket(keys[at], n);
}
