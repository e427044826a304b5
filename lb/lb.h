/* The load balancer: `quoit lb` from its options to its end. */
#ifndef QUOIT_LB_LB_H
#define QUOIT_LB_LB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/hash.h"
#include "core/addr.h"
#include "core/err.h"
#include "core/registry.h"
#include "lb/key.h"

#define LB_MAX_THREADS 64
#define LB_MAX_SERVERS 1024

struct lb_config {
    struct addr listen;
    size_t n_servers;      /* of a new cluster; a saved one keeps its own number */
    struct spec placement; /* owned by the caller, like the next two */
    struct hash_choice hashes;
    struct spec spawner;
    size_t n_threads;      /* 1 … LB_MAX_THREADS */
    const char *state_dir; /* NULL: nothing is kept */
    const char *program;   /* the quoit executable, to start servers from */
    uint64_t heartbeat_ns;
    uint64_t drain_ns;              /* how long a removed server may finish what it has; 0 = 5 s */
    unsigned fall;                  /* heartbeats missed in a row until a server counts as dead */
    uint64_t answer_timeout_ns;     /* of a server with a request passed on to it; 0 = none */
    uint64_t orphan_after_ns;       /* what servers are started with */
    const char *const *server_args; /* further words of their command lines, NULL-ended (ref) */
    const char *store;      /* what servers keep their rows in, as --store takes it; NULL: memory */
    const char *store_name; /* of that which keeps them, shims left out; NULL: memory */
    bool store_durable;     /* it outlives the server's process: needs state_dir */
    bool store_private; /* "mysql" without a database: one mariadbd is started for the cluster */
    struct key_source key_source;
    uint64_t seed;
    int ready_fd; /* told the address once every server serves; −1 = none */
};

/* Serves until SIGTERM or SIGINT, then ends in order: answers what has begun, stops its servers. A
 * second signal kills them. 0, or a negative errno with the reason; then every server it started is
 * stopped. Blocks; takes over the process's signals. */
int lb_run(const struct lb_config *config, struct err *err);

#endif
