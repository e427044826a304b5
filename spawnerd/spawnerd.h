/* `quoit spawner`: the process that alone holds the container engine's socket, and makes the
 * servers' containers for one load balancer.
 *
 *   LB ── private unix socket, few verbs (backends/spawner/docker_wire.h) ──▶ desk ──▶ fleet ──▶
 * engine
 *
 * Why the LB does not hold that socket itself: whoever can write to it is root on the machine, with
 * one call that makes a privileged container with / mounted. The LB reads requests from anybody, so
 * a flaw in it must not lead there. This process reads from the LB alone, only verbs with a name,
 * some numbers and words off a list; image, network, limits and rights are told on its own command
 * line. With a broken LB in front of it, the worst is servers that come and go, of our own image,
 * in our own network, without any right. */
#ifndef QUOIT_SPAWNERD_SPAWNERD_H
#define QUOIT_SPAWNERD_SPAWNERD_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct spawnerd;

struct spawnerd_config {
    const char *socket; /* where the LB comes to; (ref), as all of these */
    const char *engine_socket;
    const char *image;
    const char *network;
    const char *cluster;
    const char *prefix;     /* "": none */
    bool swarm;             /* services of a swarm, in place of containers of one engine */
    const char *node_label; /* fleet.h; "": none */
    uint64_t memory_bytes;
    uint64_t n_pids;
    uint64_t max_servers;
};

/* Listens, and connects to the engine as soon as it answers. 0 or a negative errno. */
int spawnerd_open(const struct spawnerd_config *config, struct ev_loop *loop,
                  struct spawnerd **ret_spawnerd, struct err *err);
/* Leaves the servers as they are. Takes NULL. */
void spawnerd_close(struct spawnerd *self);
/* Takes no more orders; idle once nothing that ends is under way. */
void spawnerd_drain(struct spawnerd *self);
bool spawnerd_is_idle(const struct spawnerd *self);

/* Serves until SIGTERM or SIGINT: what is ending is seen to its end (for ten seconds, or until a
 * second signal), what runs stays. Blocks. 0 or a negative errno. */
int spawnerd_run(const struct spawnerd_config *config, struct err *err);

#endif
