/* Keys as the text a client would have sent, for the placements that hash text (ketama, redis). */
#ifndef QUOIT_BACKENDS_PLACEMENT_DECIMAL_H
#define QUOIT_BACKENDS_PLACEMENT_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX_BYTES 20u

/* The key's digits, without a NUL, at the end of text. Returns where they begin; they end with the
 * array. */
static inline const char *decimal_of(uint64_t key, char text[DECIMAL_MAX_BYTES])
{
    char *at = text + DECIMAL_MAX_BYTES;
    do {
        *--at = (char)('0' + key % 10);
        key /= 10;
    } while (key > 0);
    return at;
}

#endif
