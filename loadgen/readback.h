/* Reads every row of a database through its load balancer: POST /read, page by page over all
 * shards. A page is as wide as the one before had few rows, so that empty stretches of keys cost
 * little, and narrower when an answer is too long. A page that fails is asked for again. */
#ifndef QUOIT_LOADGEN_READBACK_H
#define QUOIT_LOADGEN_READBACK_H

#include <stdint.h>

#include "core/err.h"
#include "loadgen/inquiry.h"
#include "loadgen/target.h"

struct readback {
    struct inquiry *inquiry;     /* (ref) */
    const struct target *target; /* (ref) */
    uint64_t patience_ns;        /* so long a page may fail on and on */
    /* A row of shard `shard` of the target; keys ascend. A negative errno ends the reading. */
    int (*on_row)(void *context, size_t shard, int64_t key, uint64_t value, struct err *err);
    void *context;
};

/* 0, what on_row says, or with the reason −EINTR or −EIO: a page could not be had. Rows of pages
 * before it have been told then. */
int readback_run(const struct readback *readback, struct err *err);

#endif
