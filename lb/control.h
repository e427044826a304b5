/* The control loop: owns the cluster. Everything that changes it runs here, on one thread.
 *
 *            start            listens           heartbeat answered,        has all its rows
 *                                               /config done
 *   (name) ────────▶ STARTING ──────▶ CHECKING ──────────────────▶ FILLING ──────────────▶ SERVING
 *                       │                 │                           │                       │ /rm
 *                       └─ could not ─────┴── exit, refused, missed, ─┤                       ▼
 *                                             a change failed on it   │                    PARTING
 *                                                                     │       nobody reads    │
 *                                                                     ▼       from it         ▼
 *                         freed: exited, and no worker knows it ◀─ LEAVING ◀───────────── DRAINING
 *                                                                           nothing is under way
 *
 * SERVING members are in the placement. FILLING ones are in the snapshot for the shards whose rows
 * they have, PARTING ones for changes of their shards only, DRAINING ones for what is under way;
 * the others are not in it. A member that holds no shard passes through FILLING and PARTING at
 * once. A member that dies leaves the snapshot first, then the cluster is healed up to its target.
 * This header is shared by the control loop's files; nobody else includes it but lb.c. */
#ifndef QUOIT_LB_CONTROL_H
#define QUOIT_LB_CONTROL_H

#include <ev.h>
#include <stdbool.h>

#include "backends/spawner.h"
#include "core/flush.h"
#include "core/httpc.h"
#include "core/name.h"
#include "core/rng.h"
#include "lb/copy.h"
#include "lb/database.h"
#include "lb/digest.h"
#include "lb/lb.h"
#include "lb/letters.h"
#include "lb/mariadb.h"
#include "lb/snapshot.h"
#include "lb/state.h"
#include "lb/timeline.h"
#include "lb/worker.h"

#define MEMBER_REFERENCE_BYTES 128

enum member_state {
    MEMBER_STARTING,
    MEMBER_CHECKING,
    MEMBER_FILLING,
    MEMBER_SERVING,
    MEMBER_PARTING,
    MEMBER_DRAINING,
    MEMBER_LEAVING,
};

struct operation;
struct control;

/* One life of one server. */
struct member {
    struct member *next; /* in the order of their start */
    struct control *control;
    uint64_t uid, id;
    char name[NAME_MAX_BYTES + 1];
    enum member_state state;
    struct addr addr;
    long pid;
    char reference[MEMBER_REFERENCE_BYTES];
    struct server_counters *counters; /* one row a worker */
    struct operation *operation;      /* that waits for it; NULL = it counts towards the target */
    bool ready;                       /* CHECKING: its heartbeat was answered */
    bool adopted;                     /* from an earlier life of the LB */
    bool returning;   /* adopted, or started again as it was: the boot goes on without it */
    bool retiring;    /* the /init under way ends it: its name and its id are free */
    bool unasked;     /* STARTING: the spawner has not been asked yet */
    bool removed;     /* its data directory goes when it has gone */
    uint64_t data_id; /* its data directory under the state directory; 0 = none */
    uint32_t *groups; /* STARTING: of the shards that it will hold */
    size_t n_groups;
    uint32_t index; /* within the snapshot being built */
    bool exited, out_told;
    uint64_t last_version;   /* the last snapshot that names it; 0 = none */
    size_t n_drained;        /* workers that have nothing under way to it */
    uint64_t parted_version; /* PARTING: from this snapshot on nobody reads from it; 0 = not yet */
    uint64_t drain_deadline_ns;
    /* filling.c */
    struct httpc *desk;
    struct httpc_request config_call;
    /* health.c */
    struct httpc *probe;
    struct httpc_request probe_call;
    bool probing, probed_again;
    unsigned misses;
};

enum operation_type { OPERATION_BOOT, OPERATION_INIT, OPERATION_ADD, OPERATION_RM };

/* A change of the cluster that takes several turns. One runs at a time, the others queue. */
struct operation {
    struct operation *next;
    enum operation_type type;
    struct admin_call *call; /* NULL: OPERATION_BOOT */
    bool part2;              /* /add and /rm of CONTRACT.md's Part 2 */
    struct schema schema;    /* OPERATION_INIT */
    struct buf note;         /* part2: what its answer says */
    size_t n_members;        /* it starts */
    size_t n_ready;
    bool filling;    /* all are ready; their shards are being copied */
    bool parting;    /* OPERATION_RM: some are still read from */
    bool publishing; /* waits for the two versions below */
    uint64_t snapshot_version, state_version;
};

/* A server that failed a change, or one replica on it: the writer is told when nobody can read from
 * it any more. */
struct fence {
    struct fence *next;
    uint64_t uid;
    struct shard_live *live; /* the replica's shard; NULL: the whole server */
    int code;                /* told to the writer */
    uint64_t snapshot_version, state_version;
};

/* Counted for /metrics. */
struct control_metrics {
    uint64_t deaths, starts, failed_starts, snapshots, probes, missed_probes, failed_saves;
    uint64_t serving, target, fenced, demoted, lost_shards, copies, failed_copies, copied_rows,
        held_copies;
};

/* The cluster's own MariaDB, for --store mysql (private_db.c). */
struct private_db {
    struct mariadb *mariadb; /* NULL: there is none */
    char *dir;
    struct arena arena; /* holds the state that the boot goes on with once it answers */
    struct state state;
    bool found, booted, stopping;
};

struct control {
    const struct lb_config *config;
    struct ev_loop *loop;
    struct flusher flusher;
    struct mailbox mailbox;
    struct spawner *spawner;
    struct publisher *publisher;
    struct worker *workers[LB_MAX_THREADS];
    size_t n_workers, n_workers_stopped;
    int listen_fds[LB_MAX_THREADS];
    struct addr bound;
    struct rng rng;
    size_t n_descriptors; /* that this process may open */
    struct member *members, **last_member;
    size_t n_target;
    uint64_t next_uid;
    struct operation *operations; /* the first is under way */
    struct database database;
    struct copies copies;
    struct comparisons comparisons;
    struct fence *fences;
    struct timeline timeline;
    struct state_store *state_store;
    struct private_db private_db;
    uint64_t state_version, saved_version;
    uint64_t ready_version; /* of the state: once it is on disk, ready_fd is told; 0: it was */
    struct ev_timer heartbeat, heal_timer;
    struct ev_timer round; /* of heartbeats: a turn after `heartbeat` rang */
    struct ev_signal on_term, on_int;
    uint64_t last_heartbeat_ns;
    double heal_backoff_s; /* the last pause before a replacement was tried again */
    uint64_t heal_not_before_ns;
    bool resumed;     /* there was a state file */
    bool booted;      /* and it has been acted on, or its absence */
    bool live;        /* every server of the start serves, and the workers run */
    bool stopping;    /* told to end */
    bool keeps_state; /* the state file stays, for the next start */
    bool spares;      /* leaves servers of an earlier life serving */
    int exit_code;    /* what lb_run returns */
    struct err *err;
    struct control_metrics metrics;
};

/* publish.c -------------------------------------------------------------------------------------
 */

/* Builds and publishes a snapshot of the members and shards as they are, tells the workers, has the
 * state saved. Nothing before the workers run. */
void control_publish(struct control *control);
/* The same, for the workers to begin with. */
void control_publish_first(struct control *control);
/* Has the state saved. */
void control_save(struct control *control);
/* The last time, in an orderly end without a database: its servers are places to be filled again.
 */
void control_save_end(struct control *control);

/* control.c -------------------------------------------------------------------------------------
 */

/* A letter of that type to each. */
void control_tell_workers(struct control *control, enum letter_type type);
/* A letter for the writer, which lives on the first worker. */
void control_tell_writer(struct control *control, struct lb_letter *letter);
/* The server's data directory, to be freed; NULL: it has none. */
char *control_data_dir(const struct control *control, uint64_t data_id);
/* Its rows go, wherever they are kept: nobody will start a server on them again. */
void control_remove_data(struct control *control, uint64_t data_id);
/* The end of the boot: workers run, and the parent is told, once the state is on disk. 0 or a
 * negative errno. */
int control_go_live(struct control *control, struct err *err);
/* Ends the LB: in order (kill false), or at once. code: what lb_run returns. */
void control_stop(struct control *control, bool kill, int code);

/* members.c -------------------------------------------------------------------------------------
 */

struct member *member_find(struct control *control, uint64_t uid);
/* The member of that name that starts, checks or serves, or NULL. */
struct member *member_find_name(struct control *control, const char *name);
/* Members that start, check or serve and belong to no operation: what is held against the target.
 */
size_t member_count_live(const struct control *control);
size_t member_count(const struct control *control, enum member_state state);
/* A free name `Server` + six digits. */
void member_invent_name(struct control *control, char *name);
/* What a member is to be started as. */
struct member_plan {
    const char *name;
    bool has_id;
    uint64_t id;      /* with has_id; else chosen by the name */
    uint64_t data_id; /* 0: a new directory, where the store needs one */
    struct operation *operation;
    const uint32_t *groups; /* of its shards (database_group()): replicas of one are kept apart */
    size_t n_groups;
};

/* Asks the spawner for a server. 0, or a negative errno with the reason: then there is no member.
 */
int member_start(struct control *control, const struct member_plan *plan,
                 struct member **ret_member, struct err *err);
/* Takes over a server that an earlier life of the LB started. As member_start. */
int member_adopt(struct control *control, const struct state_server *server,
                 struct operation *operation, struct member **ret_member, struct err *err);
/* Its first heartbeat was answered. */
void member_ready(struct member *member);
void member_set_serving(struct member *member);
/* It is dead, or as good as: out of the placement, killed, replaced. */
void member_lost(struct member *member, const char *cause);
/* Takes it out in order: nobody reads from it, then nothing new goes to it, and it is stopped when
 * nothing is under way. Its data directory goes with it. The caller publishes. */
void member_leave(struct member *member);
/* Those that nobody reads from any more go on to DRAINING. */
void member_part_all(struct control *control, uint64_t reached_version);
void member_drained(struct member *member);
/* Lets go of one that never served, or of any at the end. */
void member_stop(struct member *member, uint64_t grace_ns);
/* Lets go of an adopted one and leaves it serving. */
void member_spare(struct member *member);
/* Frees those that have exited and that no worker knows any more. */
void member_reap_all(struct control *control, uint64_t reached_version);
void member_free_all(struct control *control);
/* Starts what is missing to the target. */
void member_heal(struct control *control);
extern const struct spawner_handler member_spawner_handler;

/* Asks the spawner for a STARTING member, with the store's words (store: "NAME:OPTIONS"; NULL: the
 * options' own). As member_start. */
int member_ask_spawner(struct member *member, const char *store, struct err *err);
/* It could not be started, and nothing of it is left. */
void member_failed(struct member *member, const struct err *err);

/* private_db.c ----------------------------------------------------------------------------------
 */

/* Starts the cluster's MariaDB; the boot goes on with the state when it answers. Takes the arena
 * over. 0 or a negative errno. */
int private_db_start(struct control *control, struct arena *arena, const struct state *state,
                     bool found, struct err *err);
/* Has the member's server started with a database of its own. */
void private_db_add(struct member *member);
/* The rows of that data directory go. */
void private_db_remove(struct control *control, uint64_t data_id);
/* True once it has ended; until then this is called again by what it calls. Without servers only.
 */
bool private_db_stop(struct control *control);
void private_db_done(struct control *control);

/* filling.c -------------------------------------------------------------------------------------
 */

/* Its first heartbeat was answered: tells it its shards, and has them filled. */
void filling_begin(struct member *member);
/* If it has all its rows and belongs to no operation, it serves. */
void filling_check(struct member *member);
/* The replica has its shard's rows, as told in `filled`: puts that into the timeline. */
void filling_note_shard(struct control *control, const struct table_shard *shard,
                        const struct replica *replica);
/* A replica of the member has all its rows, and that is published: goes on. */
void filling_replica_ready(struct control *control, uint64_t uid);

/* health.c --------------------------------------------------------------------------------------
 */

/* One round: asks every member for its heartbeat and counts who owes the last one. */
void health_round(struct control *control);
/* Asks this member now. */
void health_probe(struct member *member);

/* operations.c ----------------------------------------------------------------------------------
 */

/* Queues /init, /add or /rm, or answers the refusal at once. */
void operation_submit(struct control *control, struct admin_call *call);
void operation_member_ready(struct operation *operation, struct member *member);
/* was_configured: it was counted as ready before. */
void operation_member_lost(struct operation *operation, struct member *member, bool was_configured,
                           const char *cause);
/* A copy has ended, or a replica is ready: goes on if it waited for that. */
void operation_filled(struct control *control);
/* A snapshot was taken by every worker, or a state was saved: answers what waited for it. */
void operation_check(struct control *control);
/* For boot.c: puts one at the end of the queue; takes the first one off. */
struct operation *operation_queue(struct control *control, enum operation_type type,
                                  struct admin_call *call);
void operation_finish_first(struct control *control);
/* For boot.c: starts n servers, the first n_names of these names. */
int operation_start_all(struct control *control, struct operation *operation, size_t n,
                        const char *const *names, size_t n_names, struct err *err);
/* For boot.c: every server of it is there and knows its shards. */
void operation_fill(struct control *control, struct operation *operation);
/* For configure.c: whether the placement takes so many servers more (alone: and no others). Tried
 * out before any is started. Dead ones whose replacement is put off count too: it comes. */
int operation_check_room(struct control *control, size_t n_new, bool alone, struct err *err);
/* For configure.c: starts one of the operation's servers. */
int operation_start(struct control *control, const struct member_plan *plan,
                    struct member **ret_member, struct err *err);
/* For configure.c: lets go of what the operation has started and made. */
void operation_abandon(struct control *control, struct operation *operation);
/* Answers every call with a refusal. */
void operation_refuse_all(struct control *control, const char *reason);

/* boot.c ----------------------------------------------------------------------------------------
 */

/* Starts the cluster that the options or the state file ask for. 0 or a negative errno. */
int operation_boot(struct control *control, const struct state *state, bool found, struct err *err);
/* Every copy of the boot is made: what can serves, and the workers begin. */
void operation_finish_boot(struct control *control, struct operation *operation);

/* configure.c -----------------------------------------------------------------------------------
 */

/* /init and Part 2's /add. 0: under way; else it is answered. */
int configure_begin_init(struct control *control, struct operation *operation);
int configure_begin_add(struct control *control, struct operation *operation, const cJSON *body);

/* answers.c -------------------------------------------------------------------------------------
 */

/* Sends a call back to its worker with its answer. */
void answer_send(struct control *control, struct admin_call *call, unsigned status,
                 const char *content_type);
/* {"message":"<Error> REASON","status":"failure"} */
void answer_refuse(struct control *control, struct admin_call *call, unsigned status,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* CONTRACT.md, Part 1: {"message":{"N":…,"replicas":[…]},"status":"successful"}. */
void answer_rep(struct control *control, struct admin_call *call);
/* CONTRACT.md, Part 2. */
void answer_status(struct control *control, struct admin_call *call);
void answer_init(struct control *control, struct admin_call *call);
/* note: "Add Server:4 and Server:5" */
void answer_add(struct control *control, struct admin_call *call, const char *note);
/* note: a JSON array of names */
void answer_rm(struct control *control, struct admin_call *call, const char *note);
void answer_cluster(struct control *control, struct admin_call *call);
/* POST /cluster/kill {"server":NAME}: kills it outright, as a failure would, for trying out
 * healing. */
void answer_kill(struct control *control, struct admin_call *call);
void answer_healthz(struct control *control, struct admin_call *call);
void answer_metrics(struct control *control, struct admin_call *call);

#endif
