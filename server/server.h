/* A server of the cluster: CONTRACT.md's server endpoints on one loop.
 *
 *   GET /home       {"message":"Hello from Server: ID","status":"successful"}
 *   GET /heartbeat  200, empty
 *   GET /metrics    Prometheus text */
#ifndef QUOIT_SERVER_SERVER_H
#define QUOIT_SERVER_SERVER_H

#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"

struct server_config {
    struct addr listen;
    const char *name;         /* valid by name_valid() (ref) */
    const char *id;           /* the ID that /home says (ref) */
    uint64_t orphan_after_ns; /* ends by itself when no heartbeat came for so long; 0 = never */
    int ready_fd;             /* told the address once it listens; −1 = none */
};

/* Serves until SIGTERM or SIGINT (ends in order: what has begun is answered, for at most two
 * seconds), or until it is an orphan. 0, or a negative errno with the reason. Blocks; takes over
 * the process's signals. */
int server_run(const struct server_config *config, struct err *err);

#endif
