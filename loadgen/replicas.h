/* Whether all replicas of each shard hold the same: GET /cluster/digest of the load balancer. Its
 * own word "equal" is not taken for it: rows and checksums are compared here. */
#ifndef QUOIT_LOADGEN_REPLICAS_H
#define QUOIT_LOADGEN_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/name.h"
#include "loadgen/inquiry.h"
#include "loadgen/target.h"

#define REPLICAS_TEXT_BYTES 256

struct replicas_shard {
    char name[NAME_MAX_BYTES + 1];
    uint64_t n_rows; /* of its first replica */
    size_t n_replicas;
    bool equal;
    char differs[REPLICAS_TEXT_BYTES]; /* when not equal: who from whom, or who did not answer */
};

struct replicas {
    bool compared;                 /* false: the target has no such call */
    bool equal;                    /* every shard's */
    struct replicas_shard *shards; /* as many and in the order of the target's */
    size_t n_shards;
    size_t n_short; /* shards with fewer replicas than the target's */
};

/* Asks until all are equal and none is short, for at most patience_ns; then ret_replicas is what
 * was seen last. 0, also when they are not equal; or with the reason −EINTR, −EIO: no digest could
 * be had. Pair with replicas_done(). */
int replicas_compare(struct inquiry *inquiry, const struct target *target, uint64_t patience_ns,
                     struct replicas *ret_replicas, struct err *err);
/* Of the body of a 200. 0, or −EPROTO: what it lacks. */
int replicas_parse(const char *text, size_t n, const struct target *target,
                   struct replicas *ret_replicas, struct err *err);
/* Takes a zeroed one. */
void replicas_done(struct replicas *replicas);

#endif
