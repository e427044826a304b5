/* What the files of the fake engine have in common: the engine itself (connections, answers, what
 * it is told to refuse), fake_containers.c and fake_swarm.c. */
#ifndef QUOIT_TESTS_SUPPORT_FAKE_ENGINE_PARTS_H
#define QUOIT_TESTS_SUPPORT_FAKE_ENGINE_PARTS_H

#include <cjson/cJSON.h>
#include <sys/queue.h>

#include "core/buf.h"
#include "tests/support/fake_engine.h"

#define MAX_LOG 4096

/* A container, or a service and its one task. */
struct container {
    TAILQ_ENTRY(container) link;
    char id[80], name[128], server[128], state[16];
    char address[32];
    char *spec; /* what it was made of; NULL: added by the test */
    char cluster[64];
    int status;
    size_t node;   /* a service's */
    char why[256]; /* a service's task: Err */
    bool removed;  /* its service has gone, its task has not */
};

enum connection_kind { PLAIN, EVENTS, ATTACHED };

struct connection {
    TAILQ_ENTRY(connection) link;
    struct fake_engine *engine;
    int fd;
    enum connection_kind kind;
    char id[80]; /* ATTACHED */
    struct ev_io io;
    struct buf in;
    bool *closed; /* set when it is closed while its request is taken */
    char *held;   /* an answer that waits */
};

struct rule {
    char request[128];
    int status;
    char message[256];
    unsigned n;
    bool swallows;
};

struct fake_config {
    TAILQ_ENTRY(fake_config) link;
    char *spec;
    char name[80];
};

struct fake_engine {
    struct ev_loop *loop;
    char *socket;
    int fd;
    struct ev_io listener;
    TAILQ_HEAD(, container) containers;
    TAILQ_HEAD(, connection) connections;
    struct rule rules[8];
    size_t n_rules;
    int start_status; /* of the next refused start; 0: none */
    char start_message[256];
    char hold[128];
    char newest[16], oldest[16];
    char *log[MAX_LOG]; /* requests: "METHOD path" */
    size_t n_log;
    char *last_spec;
    unsigned n_made;
    struct fake_node {
        bool down, silent, drained;
        char label[64];
    } nodes[FAKE_NODES];
    bool no_manager;
    TAILQ_HEAD(, fake_config) configs;
};

void fake_say(struct connection *connection, const char *bytes, size_t n);
void fake_answer(struct connection *connection, int status, const char *body);
void fake_answer_message(struct connection *connection, int status, const char *message);
/* Frees the tree. */
void fake_answer_tree(struct connection *connection, int status, cJSON *tree);
void fake_open_stream(struct connection *connection, enum connection_kind kind);
/* Those of that kind and ID ("": of the events). */
void fake_close_streams(struct fake_engine *engine, enum connection_kind kind, const char *id);

/* fake_containers.c */

/* By id or name. */
struct container *fake_find(const struct fake_engine *engine, const char *key);
bool fake_is_mode(const struct container *container, const char *mode);
cJSON *fake_labels_of(const struct container *container);
void fake_add_record(struct fake_engine *engine, const char *id, const char *name,
                     const char *server, const char *cluster, const char *state);
void fake_start_container(struct fake_engine *engine, struct container *container);
void fake_end_container(struct fake_engine *engine, struct container *container, int status);
void fake_remove_container(struct fake_engine *engine, struct container *container);
/* False: the call is none of containers. Cuts the path up. */
bool fake_containers_dispatch(struct connection *connection, const char *method, char *path,
                              const char *query, const char *body);
void fake_containers_free(struct fake_engine *engine);

/* fake_swarm.c */

/* False: the call is none of a swarm's. */
bool fake_swarm_dispatch(struct connection *connection, const char *method, const char *path,
                         const char *query, const char *body);
void fake_swarm_free(struct fake_engine *engine);

#endif
