/* Bodies in the form in which most clients write them: no white space, columns in the schema's
 * order, numbers and strings as the canonical text has them (table/row.h). They are read where they
 * stand, without a tree.
 *
 * What is not in this form is not refused but left to be read as JSON; what is, is read as JSON the
 * same (tests/unit/table/plain_test.c). */
#ifndef QUOIT_TABLE_PLAIN_H
#define QUOIT_TABLE_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "table/row.h"
#include "table/schema.h"

/* {"data":[ROW,…]}, at least one. The rows, in the order of the text, lie in the arena, their texts
 * in the body. False: something else. */
bool plain_read_rows(const struct schema *schema, const char *body, size_t n, struct arena *arena,
                     struct row **ret_rows, size_t *ret_n_rows);

/* {"KEY":{"low":N,"high":N}}, or {"shard":"NAME","KEY":…}. */
struct plain_range {
    const char *shard; /* NULL: none is named; else of the body, not NUL-ended */
    size_t n_shard;
    int64_t low, high; /* low ≤ high */
};

bool plain_read_range(const struct schema *schema, const char *body, size_t n,
                      struct plain_range *ret_range);

#endif
