/* The cluster of one sample: a load balancer, which starts its servers, as a child process; with
 * shards the servers are a database, made by POST /init. */
#ifndef QUOIT_EXPERIMENTS_TESTBED_H
#define QUOIT_EXPERIMENTS_TESTBED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "experiments/child.h"
#include "experiments/experiment.h"
#include "experiments/layout.h"

struct testbed_config {
    const char *program; /* the quoit executable */
    const char *dir;     /* an empty folder for its state and what it says */
    const struct experiment_cluster *settings;
    uint64_t seed;
    bool bare; /* servers without shards: nobody has said /init yet */
};

struct testbed {
    struct child lb;
    char address[ADDR_TEXT_BYTES]; /* "127.0.0.1:40123" */
    struct layout layout;          /* of a database */
};

/* Returns once every server serves, and the database is there. 0; -EINTR on an interrupt; else a
 * negative errno, err saying what the load balancer said. On failure nothing of it is left. Pair
 * with testbed_stop(). */
int testbed_start(struct testbed *testbed, const struct testbed_config *config, struct err *err);
/* Makes the database what cluster.grow says, by POST /add and, where old servers have to make room
 * (layout_grow()), DELETE /rm; nothing without it. 0 or a negative errno as above. */
int testbed_grow(struct testbed *testbed, const struct testbed_config *config, struct err *err);
/* Ends it in order, or by force after a bounded time; nothing of it is left. 0, or -EPROTO when it
 * did not end in order with status 0 or left processes behind, err saying which. */
int testbed_stop(struct testbed *testbed, struct err *err);

#endif
