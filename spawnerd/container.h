/* One container, from the request to make it to its removal. Shared by the fleet's files alone.
 *
 *   CLEARING ─▶ CREATING ◀─▶ NAMING      ATTACHING ─▶ STARTING ─▶ RUNNING ─▶ ENDING
 *   (volume)        │     (name taken)       ▲           │ says that it       │  told SIGTERM
 *                   └────────────────────────┘           │ listens, and where │
 *                                     any failure, a stop ▼         its end   ▼
 *                                                      REMOVING ──▶ freed once the engine has it no
 * more
 *
 * One call to the engine at a time, so that what is known of the container is never older than what
 * is asked of it; beside it the attached output, where the server says that it listens. */
#ifndef QUOIT_SPAWNERD_CONTAINER_H
#define QUOIT_SPAWNERD_CONTAINER_H

#include <cjson/cJSON.h>
#include <ev.h>
#include <sys/queue.h>

#include "backends/spawner/docker_wire.h"
#include "core/addr.h"
#include "core/buf.h"
#include "core/name.h"
#include "spawnerd/engine.h"
#include "spawnerd/fleet.h"

#define LABEL_CLUSTER "quoit.cluster"
#define LABEL_NAME "quoit.name"
#define LABEL_ID "quoit.id"
#define LABEL_DATA "quoit.data"
#define LABEL_START "quoit.start"
#define CONTAINER_PORT 5000
#define CONTAINER_DATA_DIR "/data"
#define CONTAINER_WHY_BYTES 256
#define START_BYTES 40

enum container_state {
    CONTAINER_CLEARING,
    CONTAINER_CREATING,
    CONTAINER_NAMING,
    CONTAINER_ATTACHING,
    CONTAINER_STARTING,
    CONTAINER_RUNNING,
    CONTAINER_ENDING,
    CONTAINER_REMOVING,
};

/* Who is told of its end. */
enum container_owner { OWNER_NONE, OWNER_STARTS, OWNER_RUNS };

struct container {
    TAILQ_ENTRY(container) link;
    struct fleet *fleet;
    enum container_state state;
    enum container_owner owner;
    uint64_t uid; /* with an owner */
    uint64_t id;
    uint64_t data; /* 0: no volume */
    char name[NAME_MAX_BYTES + 1];
    char reference[DOCKER_REFERENCE_BYTES]; /* "": not made yet, as far as we know */
    char start[START_BYTES];                /* label of this very start */
    char **words;
    unsigned n_renames;
    bool drop_data; /* its volume goes after it */
    bool listed;    /* it was known when the list was asked for */
    bool was_here;  /* told as here, and not as gone yet */
    bool out_of_memory;
    struct engine_call *call, *output;
    struct buf frames;    /* of the attached output */
    struct buf said;      /* its standard output: the ready line */
    char last_words[160]; /* its last line of standard error */
    char host[ADDR_TEXT_BYTES];
    int64_t pid;   /* on the machine; 0: not known */
    uint16_t port; /* 0: has not said that it listens */
    struct err failure;
    unsigned n_tries;
    struct ev_timer timer; /* the grace of a stop; the next try of a removal */
};

struct volume_drop {
    TAILQ_ENTRY(volume_drop) link;
    struct fleet *fleet;
    uint64_t data;
    struct engine_call *call;
};

enum engine_state { ENGINE_DOWN, ENGINE_OPENING, ENGINE_LISTING, ENGINE_UP };

struct fleet {
    struct fleet_config config;
    const struct fleet_handler *handler;
    void *context;
    struct engine *engine;
    TAILQ_HEAD(, container) containers;
    TAILQ_HEAD(, volume_drop) drops;
    enum engine_state engine_state;
    struct engine_call *events, *list;
    struct buf event_line;
    struct ev_timer retry;
    double retry_s;
    char trouble[ERR_MESSAGE_BYTES];
    uint64_t n_starts;
};

/* container.c */

/* Begins to make it. */
void container_make(struct fleet *fleet, const struct fleet_server *server);
/* One that is there. */
struct container *container_found(struct fleet *fleet, const char *reference, const char *name,
                                  uint64_t data);
/* It does not run any more: told, and removed. */
void container_ended(struct container *container, const char *why);
/* The engine has it no more: told, if it was not, and freed. */
void container_vanished(struct container *container, const char *why);
/* Killed and removed; while it starts, failure code and reason are told. */
void container_discard(struct container *container);
void container_stop(struct container *container, uint64_t grace_ns);
/* Takes up a removal that the engine's absence put off. */
void container_remove_again(struct container *container);
void container_free(struct container *container);

/* container_spec.c */

/* The body of containers/create. To be freed. */
char *container_spec(const struct container *container);
/* What it is called in the engine. To be freed. */
char *container_engine_name(const struct fleet *fleet, const char *name);
/* The name of the volume of that number. To be freed. */
char *container_volume(const struct fleet *fleet, uint64_t data);

/* fleet.c */

void fleet_drop_volume(struct fleet *fleet, uint64_t data);

#endif
