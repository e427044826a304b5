/* A server of the cluster: CONTRACT.md's server endpoints on one loop. */
#ifndef QUOIT_SERVER_SERVER_H
#define QUOIT_SERVER_SERVER_H

#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"

struct server_config {
    struct addr listen;
    const char *name;
    uint64_t id;
    uint64_t orphan_after_ns; /* 0 = never */
    int ready_fd;             /* −1 = none */
};

/* Serves until SIGTERM or SIGINT (ends in order: answers what it has begun), or until no LB was
 * heard for orphan_after_ns. 0, or a negative errno with the reason. */
int server_run(const struct server_config *config, struct err *err);

#endif
