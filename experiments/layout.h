/* Which server holds which shard: the database of a sample's cluster, made by POST /init and grown
 * by POST /add (CONTRACT.md, Part 2). Shards are sh1, sh2 … of equal size from key 0 on.
 *
 * 6/4/3, said everywhere for 6 servers, 4 shards, 3 replicas of each, is exactly the contract's
 * default configuration; every other shape is dealt out evenly. */
#ifndef QUOIT_EXPERIMENTS_LAYOUT_H
#define QUOIT_EXPERIMENTS_LAYOUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

#define LAYOUT_MAX_SERVERS 64 /* at either end of a growth */
#define LAYOUT_MAX_SHARDS 64

struct layout_shape {
    uint64_t servers, shards, replicas;
};

struct layout_server {
    uint64_t number; /* of its name: Server7 */
    bool holds[LAYOUT_MAX_SHARDS];
    bool comes, goes; /* by the growth */
};

struct layout {
    struct layout_shape shape; /* what it is, or grows to */
    uint64_t shard_size;
    size_t n_old_shards; /* those there were before it grew */
    struct layout_server servers[2 * LAYOUT_MAX_SERVERS];
    size_t n_servers; /* those that go among them */
};

/* "6/4/3". 0 or -EINVAL: not of that form, more replicas than servers, too many of anything. */
int layout_parse_shape(const char *text, struct layout_shape *ret_shape, struct err *err);
int layout_check_shape(const struct layout_shape *shape, struct err *err);

/* Of a shape that layout_check_shape() takes. */
void layout_init(struct layout *layout, const struct layout_shape *shape, uint64_t shard_size);
/* The body of POST /init, whose table is that of the load's rows. */
void layout_print_init(const struct layout *layout, struct buf *out);

/* Plans how it becomes `to`, with as few new servers as can be. Only new servers can be given
 * shards, so that more replicas of a new shard than there are servers more to come means that some
 * of the old ones go. 0, or -EINVAL: fewer shards, or nothing would change. */
int layout_grow(struct layout *layout, const struct layout_shape *to, struct err *err);
/* The body of the POST /add that begins it. */
void layout_print_add(const struct layout *layout, struct buf *out);
/* How many servers go, and the body of the DELETE /rm that ends it. */
size_t layout_n_going(const struct layout *layout);
void layout_print_rm(const struct layout *layout, struct buf *out);

/* GET /status tells of just these servers with just these shards. 0 or -EPROTO naming the first
 * difference. */
int layout_check_status(const struct layout *layout, const cJSON *status, struct err *err);

#endif
