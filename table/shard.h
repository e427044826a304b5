/* Shards: ranges of a table's keys. */
#ifndef QUOIT_TABLE_SHARD_H
#define QUOIT_TABLE_SHARD_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/name.h"

#define SHARD_MAX_SHARDS 4096

/* The keys low ≤ key ≤ last (CONTRACT.md says low and size; last = low + size − 1 never passes
 * int64). */
struct shard {
    char name[NAME_MAX_BYTES + 1];
    int64_t low, last;
};

/* Whether a shard may be called so: the form of a name, and not "status", which /copy's answer has
 * beside the shards. 0, or -EINVAL with the reason, which begins with `what`. */
int shard_check_name(const char *text, const char *what, struct err *err);
/* Reads [{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":4096},…]. The key of the low bound is the
 * key column's name and "_low" ("Stud_id_low" is taken for any schema). Appends to shards[*n …
 * max); what is there already must not overlap or share a name with what comes. 0, or -EINVAL with
 * the reason, naming the shard; then *n is as it was. */
int shard_read_all(const cJSON *array, const char *key_column, struct shard *shards, size_t max,
                   size_t *n, struct err *err);
/* Appends them as they are read, compact. */
void shard_print_all(const struct shard *shards, size_t n, const char *key_column, struct buf *out);
/* Sorts by low. */
void shard_sort(struct shard *shards, size_t n);
/* Of sorted shards: the one that holds the key, or n. */
size_t shard_find(const struct shard *shards, size_t n, int64_t key);
/* Of sorted shards: the first one that ends at or after the key, or n. */
size_t shard_first_from(const struct shard *shards, size_t n, int64_t key);

#endif
