/* One server's container, from the request to make it to its removal: of an engine's own
 * (direct.c), or as a service of a swarm (service.c). What both have in common is in container.c;
 * where they differ, they are a `fleet_kind`. Shared by the fleet's files alone.
 *
 *   CLEARING ─▶ CREATING ◀─▶ NAMING      ATTACHING ─▶ STARTING ─▶ RUNNING ─▶ ENDING
 *   (its place)     │     (name taken)       ▲           │ says that it       │  told SIGTERM
 *                   └────────────────────────┘           │ listens, and where │
 *                                     any failure, a stop ▼         its end   ▼
 *                                              REMOVING ──▶ freed once the engine has it no more
 *
 * One call to the engine at a time, so that what is known of the container is never older than what
 * is asked of it; beside it its output, where the server says that it listens. */
#ifndef QUOIT_SPAWNERD_CONTAINER_H
#define QUOIT_SPAWNERD_CONTAINER_H

#include <cjson/cJSON.h>
#include <ev.h>
#include <sys/queue.h>

#include "backends/spawner/docker_wire.h"
#include "core/addr.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/name.h"
#include "spawnerd/engine.h"
#include "spawnerd/fleet.h"

#define LABEL_CLUSTER "quoit.cluster"
#define LABEL_NAME "quoit.name"
#define LABEL_ID "quoit.id"
#define LABEL_DATA "quoit.data"
#define LABEL_START "quoit.start"
#define LABEL_GROUPS "quoit.groups"
#define LABEL_NODE "quoit.node"
#define LABEL_VOLUME "quoit.volume"
#define CONTAINER_PORT 5000
#define CONTAINER_DATA_DIR "/data"
#define CONTAINER_WHY_BYTES 256
#define START_BYTES 40
#define NODE_ID_BYTES 64
/* The engine takes its time for making and removing under load, and never this long. */
#define CALL_TIMEOUT_NS (60 * NS_PER_S)

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
    bool drop_data;   /* its volume goes after it */
    bool data_is_new; /* CLEARING: as its owner said */
    bool listed;      /* it was known when the list was asked for */
    bool was_here;    /* told as here, and not as gone yet */
    bool out_of_memory;
    bool removed; /* a service: the swarm has it no more, its task may be ending still */
    char node[NODE_ID_BYTES];       /* a service: where it is to be, or is; "": not chosen */
    char task[NODE_ID_BYTES];       /* a service: its one task */
    char volume[START_BYTES + 128]; /* a service with data: which */
    uint64_t since_ns;              /* a service: when it was made, or its removal was answered */
    bool taken_up;                  /* a service: its node's agent works on it */
    uint32_t *groups;
    size_t n_groups;
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
    unsigned n_tries;      /* that found it in use */
    struct ev_timer timer; /* the next try */
};

enum engine_state { ENGINE_DOWN, ENGINE_OPENING, ENGINE_LISTING, ENGINE_UP };

/* What is different between an engine's own containers and a swarm's services. */
struct fleet_kind {
    const char *trouble; /* begins the sentence that says why nothing works */
    /* Optional, beginning and end of the fleet; the engine answers, or not any more. */
    void (*open)(struct fleet *fleet);
    void (*close)(struct fleet *fleet);
    void (*up)(struct fleet *fleet);
    void (*down)(struct fleet *fleet);
    /* Of the event stream, JSON, to be freed; and what comes of it. */
    char *(*event_filter)(const struct fleet *fleet);
    void (*take_event)(struct fleet *fleet, const cJSON *event);
    /* Asks for all there are and makes what is known agree; ends in fleet_listed() or
     * fleet_down(). */
    void (*ask)(struct fleet *fleet);
    void (*make)(struct container *container);
    /* CLEARING: a moment has passed (container_retry_later()). */
    void (*again)(struct container *container);
    /* Optional: asks it to end; NULL: its removal does. */
    void (*terminate)(struct container *container);
    /* Optional: its owner takes it for dead. */
    void (*fence)(struct container *container);
    /* Asks for its removal; then container_vanished(), or container_remove_failed(). */
    void (*remove)(struct container *container);
    void (*drop)(struct volume_drop *drop);
};

extern const struct fleet_kind direct_kind, swarm_kind;

struct fleet {
    struct fleet_config config;
    const struct fleet_kind *kind;
    struct swarm *swarm; /* of that kind; else NULL */
    const struct fleet_handler *handler;
    void *context;
    struct engine *engine;
    TAILQ_HEAD(, container) containers;
    TAILQ_HEAD(, volume_drop) drops;
    enum engine_state engine_state;
    bool was_up; /* once: whoever ran then is known */
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
/* One that is there and was not known, with these labels. NULL: it is being made, and the answer to
 * that tells of it. */
struct container *container_found(struct fleet *fleet, const char *reference, const cJSON *labels);
/* It does not run any more: told, and removed. */
void container_ended(struct container *container, const char *why);
/* The engine has it no more: told, if it was not, and freed. */
void container_vanished(struct container *container, const char *why);
/* Killed and removed; while it starts, failure code and reason are told. */
void container_discard(struct container *container);
void container_stop(struct container *container, uint64_t grace_ns);
/* Takes up a removal that the engine's absence put off. */
void container_remove_again(struct container *container);
/* The engine did not do it: tries again, later and later. */
void container_remove_failed(struct container *container, const struct engine_answer *answer);
/* The answer to its making: goes on with the id in it, or removes it where it was stopped
 * meanwhile. False: as far as we know, nothing was made. */
bool container_take_id(struct container *container, const struct engine_answer *answer,
                       const char *key, void (*go_on)(struct container *container));
/* The same where an earlier call had made it: who has its name (id and labels, which may be NULL)
 * is itself. */
bool container_take_itself(struct container *container, const char *id, const cJSON *labels);
/* Its making failed so. What an engine that did not answer made all the same is looked for. */
void container_not_made(struct container *container, const struct engine_answer *answer, int code,
                        const char *what);
/* Its address, of n bytes; what is none is passed over. */
void container_take_host(struct container *container, const char *host, size_t n);
/* The reason, and all of it goes. */
void container_fail(struct container *container, int code, const char *what, const char *why);
/* Tells its end to whoever has to know, once. */
void container_tell_end(struct container *container, const char *why);
/* Its timer ends a moment later, each time a longer one. */
void container_retry_later(struct container *container);
/* STARTING: if it has said that it listens and has an address, it runs. */
void container_check_running(struct container *container);
/* Handlers of its output. */
void container_take_output(void *context, const char *data, size_t n);
void container_output_end(void *context, const struct engine_answer *answer);
/* "exit status 3", "killed by SIGKILL" into why[CONTAINER_WHY_BYTES]. */
void container_say_how(const struct container *container, uint64_t exit_code, char *why);
/* One on its way out has its data still. */
bool container_waits_for_data(const struct container *container);
void container_set_groups(struct container *container, const uint32_t *groups, size_t n);
void container_free(struct container *container);

/* container_spec.c */

/* The body of containers/create. To be freed. */
char *container_spec(const struct container *container);
/* What it is called in the engine. To be freed. */
char *container_engine_name(const struct fleet *fleet, const char *name);
/* The name of the volume of that number. To be freed. */
char *container_volume(const struct fleet *fleet, uint64_t data);

/* The server's command line, the labels: what both kinds have. */
void container_add_words(cJSON *tree, const char *key, const struct container *container,
                         const char *listen);
void container_add_labels(cJSON *tree, const struct container *container);
/* Its text, to be freed; the tree is freed. */
char *container_print_spec(cJSON *tree);

/* fleet.c */

void fleet_drop_volume(struct fleet *fleet, uint64_t data);
/* Asks for the removal of that; the answer ends the drop. */
void fleet_send_drop(struct volume_drop *drop, const char *what, const char *name);
struct container *fleet_find_reference(struct fleet *fleet, const char *reference);
/* Its making was asked for and not answered yet. */
bool fleet_is_being_made(struct fleet *fleet, const char *start);
uint64_t fleet_label_number(const cJSON *labels, const char *key);
/* "PATH?" and what restricts a list to the cluster's. To be freed. */
char *fleet_filtered(const struct fleet *fleet, const char *what);
/* Asks for such a list, the fleet being the handler's context. */
void fleet_ask_list(struct fleet *fleet, const char *what, const struct engine_handler *handler);
/* Its answer; NULL: it is none, and the engine counts as gone. To be freed. */
cJSON *fleet_take_list(struct fleet *fleet, const struct engine_answer *answer);
void fleet_listed(struct fleet *fleet);
void fleet_down(struct fleet *fleet, const char *why);
/* Something may be there that is not known, since a call was not answered: the events and the list
 * are asked for anew. */
void fleet_look_again(struct fleet *fleet, const char *why);

#endif
