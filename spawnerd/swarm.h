/* Servers as services of one replica each, of a Docker Swarm.
 *
 *   events stream open ─▶ nodes ─▶ data ─▶ services ─▶ tasks ─▶ up ─▶ tasks, again and again ─┐
 *                                                                └──────────◀────────────────┘
 *
 * A swarm's own healing is left out: a task that ended stays so (restart condition none), and the
 * service goes. Which node a server goes to is decided here (placing.h) and told as a constraint,
 * since the swarm spreads the replicas of one service and knows of no two services that hold the
 * same rows.
 *
 * Of a task's end the manager's event stream tells only where it was on the manager's own engine;
 * those of other nodes are seen by asking for all tasks, some times a second. A machine that dies
 * as a whole is `ready` to the swarm for many seconds more: a node whose server the LB declares
 * dead is under suspicion until it says something, and gets no server meanwhile if another can
 * have it.
 *
 * Volumes are a node's own, and no manager can reach another's. Where the data of a number is, is
 * kept in the swarm itself, as a config object of ours. */
#ifndef QUOIT_SPAWNERD_SWARM_H
#define QUOIT_SPAWNERD_SWARM_H

#include "spawnerd/container.h"

#define NODE_NAME_BYTES 128
/* How often one whose data's node is under suspicion asks for them: some 3 s; and some 15 s where
 * other servers on it live, so that it is busy rather than dead. */
#define SERVICE_DATA_TRIES 6
#define SERVICE_DATA_TRIES_ALIVE 12

struct node {
    char id[NODE_ID_BYTES];
    char name[NODE_NAME_BYTES];
    char address[ADDR_TEXT_BYTES];
    bool is_ready;             /* its agent is heard of */
    bool is_ours;              /* may have servers: active, and has the label */
    uint64_t suspect_until_ns; /* clock_now_ns() */
};

/* Where data are. */
struct stored {
    struct stored *next;
    uint64_t data;
    char node[NODE_ID_BYTES];
    char volume[sizeof(((struct container *)NULL)->volume)];
};

struct swarm {
    struct fleet *fleet;
    struct node *nodes;
    size_t n_nodes;
    struct stored *stored;
    struct ev_timer gather; /* servers that come together are placed together */
    struct ev_timer poll;
    struct engine_call *nodes_call, *tasks_call;
};

/* nodes.c */

/* Makes the nodes those of the list, keeping what is suspected. */
void nodes_take(struct swarm *swarm, const cJSON *list);
struct node *nodes_find(struct swarm *swarm, const char *id);
/* Its name, or what is known of it. */
const char *nodes_name(struct swarm *swarm, const char *id);
bool node_is_suspect(const struct node *node);
void node_suspect(struct node *node);
/* Another one may have servers, and can be trusted with one. */
bool nodes_have_another(struct swarm *swarm, const struct node *node);
/* A node for each container that has none yet (CLEARING, node ""), so that groups are apart. Those
 * whose data are somewhere are placed there, or fail. */
void nodes_place(struct fleet *fleet);

/* swarm.c */

/* Begins, or begins again, to place what has no place. */
void swarm_gather(struct fleet *fleet);
struct stored *swarm_find_stored(struct swarm *swarm, uint64_t data);
void swarm_add_stored(struct swarm *swarm, uint64_t data, const char *node, const char *volume);
void swarm_forget_stored(struct swarm *swarm, uint64_t data);

/* service.c: the hooks of one service, and */

void service_make(struct container *container);
void service_again(struct container *container);
void service_fence(struct container *container);
void service_remove(struct container *container);
/* It has a place: it is made there. */
void service_placed(struct container *container);
/* What the list of tasks says of its task. */
void service_take_task(struct container *container, const cJSON *task);
/* Its task was in the list before and is not now. */
void service_lost_task(struct container *container);

/* service_spec.c */

/* The body of services/create; of configs/create, that keeps where its data are. To be freed. */
char *service_spec(const struct container *container, const char *address);
char *service_data_spec(const struct container *container);
/* What it is called in the swarm; that config. To be freed. */
char *service_name(const struct container *container);
char *service_data_name(const struct fleet *fleet, uint64_t data);
bool service_uses_host(const struct fleet *fleet);

#endif
