/* The rows of a shard in memory: an ordered index (backends/store/btree) over packed texts
 * (backends/store/texts), with count and checksum kept up at each change.
 *
 * For the stores that answer reads from memory. One thread. */
#ifndef QUOIT_BACKENDS_STORE_ROWS_H
#define QUOIT_BACKENDS_STORE_ROWS_H

#include "backends/store.h"
#include "backends/store/btree.h"
#include "backends/store/texts.h"

struct rows {
    struct btree index;
    struct texts texts;
    uint64_t checksum; /* sum of row_checksum() */
};

void rows_init(struct rows *rows);
/* Leaves no rows. */
void rows_done(struct rows *rows);

static inline uint64_t rows_count(const struct rows *rows)
{
    return rows->index.n;
}

/* What index and texts take. */
static inline uint64_t rows_bytes(const struct rows *rows)
{
    return rows->index.n_bytes + rows->texts.n_bytes;
}

/* Adds n rows, keys ascending, all or none. -EEXIST: a key is there, the smallest such in
 * ret_key. */
int rows_insert(struct rows *rows, const struct row *added, size_t n, int64_t *ret_key);
/* Replaces the row of that key. -ENOENT. */
int rows_update(struct rows *rows, const struct row *row);
/* The row of that key is this one, whether there was one before or not. */
void rows_set(struct rows *rows, const struct row *row);
/* -ENOENT. */
int rows_remove(struct rows *rows, int64_t key);
/* The keys low … last hold exactly these n rows, ascending and within. */
void rows_replace(struct rows *rows, int64_t low, int64_t last, const struct row *held, size_t n);
/* 0 when none of the n keys, ascending, is there. -EEXIST: the smallest that is, in ret_key. */
int rows_absent(const struct rows *rows, const struct row *asked, size_t n, int64_t *ret_key);
/* A STORE_READ or STORE_DIGEST request; fills what store.h says. */
void rows_answer(const struct rows *rows, struct store_request *request);

/* The row at a place of the index; its text is valid until the next change. */
static inline struct row rows_at(struct btree_place at)
{
    const struct btree_value *value = btree_value(at);
    return (struct row){.key = btree_key(at), .text = value->text, .n_bytes = value->n_bytes};
}

#endif
