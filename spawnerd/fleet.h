/* The cluster's containers: every container of the engine that carries the cluster's label; or, in
 * a swarm, every service that does (swarm.h).
 *
 *   events stream open ─▶ list by label ─▶ what is there and what is known are made to agree ─▶ up
 *        ▲                                                                                      │
 *        └────────────── a moment later ◀── the stream broke, the engine restarted ◀────────────┘
 *
 * A server is a uid to its owner (the LB: desk.h) and a container id to the engine. A container
 * whose owner is unknown yet (an earlier life of ours or of the LB started it) is `here`, for the
 * LB to adopt. One that does not run has no business being there, and is removed: nothing half made
 * stays, whatever died in between.
 *
 * Callbacks may come within a call; they must call nothing here. */
#ifndef QUOIT_SPAWNERD_FLEET_H
#define QUOIT_SPAWNERD_FLEET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/spawner/docker_wire.h"
#include "core/err.h"

struct fleet;

/* Groups of a server, at the most. */
#define FLEET_MAX_GROUPS DOCKER_WIRE_MAX_GROUPS

/* What every container is made of; nothing of it comes from the LB. (ref), all of it */
struct fleet_config {
    struct ev_loop *loop;
    const char *engine_socket;
    const char *image;
    const char *network;
    const char *cluster;    /* valid as a name; the label that makes a container ours */
    const char *prefix;     /* of container names; "" none */
    bool swarm;             /* services of a swarm, in place of containers of one engine */
    const char *node_label; /* of the swarm's nodes that may have servers: "KEY" or "KEY=VALUE"; ""
                               all */
    uint64_t memory_bytes;
    uint64_t n_pids;
    uint64_t max_servers; /* containers there may be, those on their way out too; as many volumes
                             may wait for their removal */
};

/* What is started. Borrowed during the call. */
struct fleet_server {
    uint64_t uid;
    const char *name; /* valid by name_valid() */
    uint64_t id;
    const char *const *words; /* checked by words.h, NULL-ended */
    uint64_t data;            /* number of its volume, 0: none */
    bool data_is_new;
    const uint32_t *groups; /* those that share one are kept on different machines, where there are
                               enough */
    size_t n_groups;
};

/* Of a uid exactly one of on_started and on_failed comes, and after on_started one on_exited. */
struct fleet_handler {
    void (*on_started)(void *context, uint64_t uid, const char *reference, const char *address,
                       int64_t pid);
    void (*on_failed)(void *context, uint64_t uid, const struct err *err);
    void (*on_exited)(void *context, uint64_t uid, const char *why);
    /* One that nobody owns runs, and: it has ended. */
    void (*on_here)(void *context, const char *reference, const char *name);
    void (*on_gone)(void *context, const char *reference, const char *why);
    /* The engine answers and all that run have been told, or it does not (why). Told when it
     * changes. */
    void (*on_engine)(void *context, bool answers, const char *why);
};

struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_handler *handler,
                        void *context);
/* Leaves the containers as they are. Takes NULL. */
void fleet_free(struct fleet *fleet);

/* NULL while the engine answers; else why it does not. */
const char *fleet_engine_trouble(const struct fleet *fleet);
/* on_here for each that runs and has no owner. */
void fleet_tell_here(struct fleet *fleet);
/* 0: on_started or on_failed follows; else a negative errno with the reason. */
int fleet_start(struct fleet *fleet, const struct fleet_server *server, struct err *err);
/* -ESRCH: no such container runs; -EEXIST: it, or the uid, has an owner. */
int fleet_adopt(struct fleet *fleet, uint64_t uid, const char *reference, struct err *err);
/* Asks it to end; kills it after grace_ns. Unknown uids are no error. */
void fleet_stop(struct fleet *fleet, uint64_t uid, uint64_t grace_ns);
/* The volume of that number goes, with its container if it has one. One that is in use for longer
 * than an end takes stays, which the log tells. */
void fleet_remove_data(struct fleet *fleet, uint64_t data);
/* Those without an owner are killed and removed. */
void fleet_purge(struct fleet *fleet);
/* The owner has gone: what is starting is removed, what runs has no owner any more. Nobody is told
 * of their ends. */
void fleet_abandon(struct fleet *fleet);
/* Containers that are on their way out. */
size_t fleet_n_leaving(const struct fleet *fleet);

#endif
