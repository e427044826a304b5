/* The database that a workload is to run on, as its GET /status tells it (CONTRACT.md, Part 2). */
#ifndef QUOIT_LOADGEN_TARGET_H
#define QUOIT_LOADGEN_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/name.h"
#include "loadgen/inquiry.h"

struct target_shard {
    char name[NAME_MAX_BYTES + 1];
    int64_t low, last; /* its keys, inclusive */
    size_t n_replicas;
};

struct target {
    struct target_shard *shards; /* ascending, none overlap */
    size_t n_shards;
};

/* 0, or with the reason: −EINTR; −EIO, nobody answers; −ENOTCONN, there is no database yet;
 * −EPROTO, what answers is no database; −EINVAL, its table is not the example's. Pair with
 * target_done(). */
int target_ask(struct inquiry *inquiry, struct target *ret_target, struct err *err);
/* Of the body of a 200. */
int target_parse(const char *text, size_t n, struct target *ret_target, struct err *err);
/* Takes a zeroed one. */
void target_done(struct target *target);
/* How many keys from `low` on, without a gap, some shard holds. */
uint64_t target_room(const struct target *target, int64_t low);
/* 0, or −ERANGE naming the first of the keys low … last that no shard holds, and the shards. */
int target_check_range(const struct target *target, int64_t low, int64_t last, struct err *err);

#endif
