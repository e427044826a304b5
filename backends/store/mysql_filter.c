#include "backends/store/mysql_filter.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"

/* A block is a cache line; a key is BITS_OF_KEY of its bits, and has BITS_A_KEY of room. */
#define BLOCK_WORDS 8
#define BLOCK_BITS (BLOCK_WORDS * 64)
#define BITS_A_KEY 16
#define BITS_OF_KEY 7
#define BIT_OF_BLOCK 9 /* log2(BLOCK_BITS) */

static size_t n_keys_of(size_t layer)
{
    return MYSQL_FILTER_FIRST_KEYS << (2 * layer);
}

static size_t n_blocks_of(size_t layer)
{
    return n_keys_of(layer) * BITS_A_KEY / BLOCK_BITS;
}

/* The key's block by one hash (a power of two of them), its bits in there by another. */
struct place {
    uint64_t block, bits;
};

static struct place place_of(int64_t key)
{
    uint64_t block = rng_mix64((uint64_t)key);
    return (struct place){block, rng_mix64(block + 1)};
}

static uint64_t *block_at(const struct mysql_filter *filter, size_t layer,
                          const struct place *place)
{
    return filter->layers[layer] + (place->block & (n_blocks_of(layer) - 1)) * BLOCK_WORDS;
}

static bool layer_has(const struct mysql_filter *filter, size_t layer, const struct place *place)
{
    const uint64_t *block = block_at(filter, layer, place);
    uint64_t bits = place->bits;
    for (int i = 0; i < BITS_OF_KEY; i++, bits >>= BIT_OF_BLOCK) {
        unsigned bit = bits & (BLOCK_BITS - 1);
        if (!(block[bit / 64] >> (bit % 64) & 1))
            return false;
    }
    return true;
}

static bool has(const struct mysql_filter *filter, const struct place *place)
{
    /* The last layers have the most keys. */
    for (size_t i = filter->n_layers; i-- > 0;)
        if (layer_has(filter, i, place))
            return true;
    return false;
}

bool mysql_filter_may_have(const struct mysql_filter *filter, int64_t key)
{
    struct place place = place_of(key);
    return filter->given_up || has(filter, &place);
}

void mysql_filter_add(struct mysql_filter *filter, int64_t key)
{
    struct place place = place_of(key);
    if (filter->given_up || has(filter, &place))
        return;
    size_t last = filter->n_layers - 1;
    if (filter->n_layers == 0 || filter->n_keys == n_keys_of(last)) {
        if (filter->n_layers == MYSQL_FILTER_LAYERS) {
            mysql_filter_give_up(filter);
            return;
        }
        last = filter->n_layers++;
        filter->layers[last] = mem_zalloc(n_blocks_of(last) * BLOCK_WORDS, sizeof(uint64_t));
        filter->n_keys = 0;
    }
    uint64_t *block = block_at(filter, last, &place), bits = place.bits;
    for (int i = 0; i < BITS_OF_KEY; i++, bits >>= BIT_OF_BLOCK) {
        unsigned bit = bits & (BLOCK_BITS - 1);
        block[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    filter->n_keys++;
}

void mysql_filter_give_up(struct mysql_filter *filter)
{
    mysql_filter_done(filter);
    filter->given_up = true;
}

void mysql_filter_done(struct mysql_filter *filter)
{
    for (size_t i = 0; i < filter->n_layers; i++)
        free(filter->layers[i]);
    *filter = (struct mysql_filter){0};
}
