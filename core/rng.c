#include "core/rng.h"

#include <assert.h>
#include <math.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/clock.h"

#define RNG_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t rng_rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    /* rng_mix64 takes the step itself, so the i-th output of splitmix64(seed) is this. Never four
     * zeros, the one state xoshiro cannot leave: the mixer is a bijection. */
    for (uint64_t i = 0; i < 4; i++)
        rng->state[i] = rng_mix64(seed + i * RNG_GOLDEN);
}

uint64_t rng_entropy(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
        return seed;
    /* A kernel without it: the time and the process, which differ from run to run. */
    return rng_mix64(clock_wall_ns() ^ rng_mix64((uint64_t)getpid()));
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rng_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    unsigned __int128 product;

    assert(bound > 0);
    product = (unsigned __int128)rng_next(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t reject_below = -bound % bound; /* 2^64 mod bound */

        while ((uint64_t)product < reject_below)
            product = (unsigned __int128)rng_next(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

double rng_exponential(struct rng *rng, double mean)
{
    return -mean * log1p(-rng_unit(rng));
}

void rng_shuffle(struct rng *rng, void *items, size_t n, size_t size)
{
    unsigned char *bytes = items;

    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        unsigned char *a = bytes + (i - 1) * size, *b = bytes + j * size;

        for (size_t k = 0; k < size && a != b; k++) {
            unsigned char byte = a[k];

            a[k] = b[k];
            b[k] = byte;
        }
    }
}
