/* The cluster as GET /cluster tells it. */
#ifndef QUOIT_CTL_CLUSTER_H
#define QUOIT_CTL_CLUSTER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/call.h"

/* Texts are borrowed from the tree. */
struct cluster_server {
    const char *name, *state;
    const char *address; /* NULL until it has one */
    uint64_t id, uid;
    uint64_t requests; /* since it is a member */
    long pid;          /* 0: none to tell */
    bool serving;      /* in the placement */
    /* When it began to serve, on the clock of monotonic_ns; 0 when the timeline has lost it. */
    uint64_t serving_since_ns;
};

/* Of the database's table. */
struct cluster_shard {
    const char *name;
    int64_t low, last;
    uint64_t n_rows;
    char *replicas; /* "Server0, Server2 (filling)" */
    size_t n_ready;
};

struct cluster_event {
    const char *at, *step, *server;
    const char *detail; /* NULL: none */
    uint64_t uid, monotonic_ns;
};

struct cluster {
    cJSON *tree; /* the answer itself */
    uint64_t version, n, target, threads;
    uint64_t monotonic_ns; /* the LB's clock when it answered */
    const char *placement, *request_hash, *server_hash;
    struct cluster_server *servers;
    size_t n_servers;
    uint64_t n_requests; /* of all servers */
    struct cluster_event *events;
    size_t n_events;              /* oldest first */
    struct cluster_shard *shards; /* ascending by key; NULL: there is no database */
    size_t n_shards;
};

/* Takes the tree over. 0, or -EPROTO saying what it lacks. Pair with cluster_done(), which takes a
 * zeroed or half-made one. */
int cluster_read(cJSON *tree, struct cluster *ret_cluster, struct err *err);
/* Asks for it. */
int cluster_get(struct caller *caller, struct cluster *ret_cluster, struct err *err);
void cluster_done(struct cluster *cluster);
/* The one that starts, checks or serves under that name, or NULL: a name can come back while its
 * last bearer is still leaving. */
const struct cluster_server *cluster_find(const struct cluster *cluster, const char *name);
/* In whatever state; NULL once it has gone. */
const struct cluster_server *cluster_find_uid(const struct cluster *cluster, uint64_t uid);

#endif
