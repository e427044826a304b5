/* Which keys are surely not in a shard: a Bloom filter that grows (Bloom, CACM 1970; in blocks of a
 * cache line: Putze, Sanders, Singler, WEA 2007; in layers: Almeida et al., Scalable Bloom Filters,
 * IPL 2007). It saves the database the question that most changes of several shards begin with,
 * whether their keys are absent, where they are: asking for a key costs mariadbd more than
 * inserting it.
 *
 * A key that was added may always be there; one that was not may be there with a chance of about
 * 0.001 a layer. Removed keys stay. Some two bytes a key; past MYSQL_FILTER_MAX_KEYS it is given
 * up, and any key may be there. */
#ifndef QUOIT_BACKENDS_STORE_MYSQL_FILTER_H
#define QUOIT_BACKENDS_STORE_MYSQL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Layers of 4096 keys, 16384, … */
#define MYSQL_FILTER_LAYERS 7
#define MYSQL_FILTER_FIRST_KEYS ((size_t)4096)
#define MYSQL_FILTER_MAX_KEYS                                                                      \
    (MYSQL_FILTER_FIRST_KEYS * (((size_t)1 << (2 * MYSQL_FILTER_LAYERS)) - 1) / 3)

/* Zeroed: knows that no key is there. */
struct mysql_filter {
    uint64_t *layers[MYSQL_FILTER_LAYERS]; /* filled in their order */
    size_t n_layers;
    size_t n_keys; /* in the last one */
    bool given_up;
};

/* Takes a zeroed one. */
void mysql_filter_done(struct mysql_filter *filter);
void mysql_filter_add(struct mysql_filter *filter, int64_t key);
/* From now on any key may be there. */
void mysql_filter_give_up(struct mysql_filter *filter);
bool mysql_filter_may_have(const struct mysql_filter *filter, int64_t key);

#endif
