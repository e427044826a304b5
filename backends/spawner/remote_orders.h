/* What a remote spawner (remote.c) tells the `quoit spawner` process to do: a line of JSON each
 * (docker_wire.h). Over a connection that is closed nothing is said. */
#ifndef QUOIT_BACKENDS_SPAWNER_REMOTE_ORDERS_H
#define QUOIT_BACKENDS_SPAWNER_REMOTE_ORDERS_H

#include "backends/spawner.h"
#include "backends/spawner/docker_wire.h"

/* The server's words are those of the configuration and of the request, less what only its
 * container can know. */
void remote_order_start(struct docker_wire *wire, const struct spawner_request *request,
                        const struct spawner_config *config);
void remote_order_stop(struct docker_wire *wire, uint64_t uid, uint64_t grace_ns);
void remote_order_adopt(struct docker_wire *wire, uint64_t uid, const char *reference);
void remote_order_remove_data(struct docker_wire *wire, uint64_t data_id);
/* Of all that nobody has adopted. */
void remote_order_purge(struct docker_wire *wire);

#endif
