/* How the control loop asks a server for the count and the checksum of a shard's rows, or of a
 * range of its keys (GET /digest, server/server.h): what two replicas are compared by. */
#ifndef QUOIT_LB_SHARD_DIGEST_H
#define QUOIT_LB_SHARD_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/httpc.h"

/* Keys low … last. */
struct key_range {
    int64_t low, last;
};

struct shard_digest {
    uint64_t n_rows, checksum;
    int64_t last; /* of the keys that it covers */
    bool more;    /* there are rows behind it */
};

/* By what a server tells a late request (server/server.h); 0 each: by nothing. */
struct shard_age {
    uint64_t epoch; /* of all that goes to the server */
    uint64_t copy;  /* of a copy to it, of this shard */
};

/* Sends GET PATH for the shard; of this range of keys and at most n_rows of them (0: no limit).
 * range NULL: of all. path: "/digest" or "/page". As httpc_send(). */
int shard_ask(struct httpc *httpc, struct httpc_request *call, const char *path, const char *shard,
              const struct key_range *range, size_t n_rows, struct shard_age age);
/* 0, or -EPROTO: that was no digest. */
int shard_digest_read(const struct http_message *answer, struct shard_digest *ret_digest);
/* Whether they speak of the same rows. */
static inline bool shard_digest_equal(const struct shard_digest *a, const struct shard_digest *b)
{
    return a->n_rows == b->n_rows && a->checksum == b->checksum;
}

#endif
