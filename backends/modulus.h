/* hash mod n for an n that stays: a division of 64 bits costs more than the rest of a lookup, so
 * the quotient is estimated by a multiplication (Barrett 1986). Exact. */
#ifndef QUOIT_BACKENDS_MODULUS_H
#define QUOIT_BACKENDS_MODULUS_H

#include <stdint.h>

struct modulus {
    uint64_t n;
    uint64_t inverse; /* ⌊(2^64 − 1) / n⌋ */
};

/* 1 ≤ n < 2^63. */
static inline struct modulus modulus_of(uint64_t n)
{
    return (struct modulus){.n = n, .inverse = UINT64_MAX / n};
}

/* inverse is above 2^64 / n − 1 or is that, so the estimate lacks less than 1 of x / n, and the
 * quotient is right or one too small. */
static inline uint64_t modulus_rest(struct modulus modulus, uint64_t x)
{
    uint64_t quotient = (uint64_t)(((unsigned __int128)x * modulus.inverse) >> 64);
    uint64_t rest = x - quotient * modulus.n;
    return rest >= modulus.n ? rest - modulus.n : rest;
}

#endif
