/* Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018), its state filled by splitmix64.
 * The same seed gives the same numbers on every machine. Not for secrets. */
#ifndef QUOIT_CORE_RNG_H
#define QUOIT_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
/* A seed from the kernel, for runs that did not name one. */
uint64_t rng_entropy(void);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, bound), without modulo bias (Lemire 2019). bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in [0, 1), 53 bits. */
double rng_unit(struct rng *rng);
/* Exponentially distributed with the given mean. */
double rng_exponential(struct rng *rng, double mean);
/* Fisher-Yates over n items of `size` bytes each. */
void rng_shuffle(struct rng *rng, void *items, size_t n, size_t size);

/* One step of splitmix64: the mixer alone, stateless. */
static inline uint64_t rng_mix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

#endif
