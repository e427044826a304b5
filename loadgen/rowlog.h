/* Keys in ascending order, each with its value, in few bytes: what stood in a database before a
 * run. A key is kept as its distance from the one before, both numbers in seven bits a byte: two
 * bytes a row where the keys are dense and no row has been changed. */
#ifndef QUOIT_LOADGEN_ROWLOG_H
#define QUOIT_LOADGEN_ROWLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#define ROWLOG_MAX_BYTES ((size_t)256 << 20)

struct rowlog {
    struct buf bytes;
    int64_t last_key;
    uint64_t n;
};

void rowlog_init(struct rowlog *log);
void rowlog_done(struct rowlog *log);
/* Keys ascend. 0, or -EMSGSIZE past ROWLOG_MAX_BYTES. */
int rowlog_add(struct rowlog *log, int64_t key, uint64_t value);

/* Where a reader is; a zeroed one is at the begin. The log does not change meanwhile. */
struct rowlog_reader {
    const struct rowlog *log; /* (ref) */
    size_t at;
    int64_t key;
};

/* False: that was the last. */
bool rowlog_next(struct rowlog_reader *reader, int64_t *ret_key, uint64_t *ret_value);

#endif
