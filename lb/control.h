/* The control loop: owns the cluster. Everything that changes it runs here, on one thread.
 *
 *            start            listens            heartbeat answered
 *   (name) ────────▶ STARTING ───────▶ CHECKING ────────────────────▶ SERVING ──/rm──▶ DRAINING
 *                       │                  │                             │                │ nothing
 *                       └─ could not ──────┴── exit, refused, missed ────┤                │ under
 * way ▼                ▼ LEAVING ◀──────────┘ stopped; freed once it has exited and no worker knows
 * it
 *
 * SERVING members are in the placement; DRAINING ones only in the snapshot; the others in neither.
 * A member that dies leaves the snapshot first, then the cluster is healed up to its target. This
 * header is shared by the control loop's files; nobody else includes it but lb.c. */
#ifndef QUOIT_LB_CONTROL_H
#define QUOIT_LB_CONTROL_H

#include <ev.h>
#include <stdbool.h>

#include "backends/spawner.h"
#include "core/flush.h"
#include "core/httpc.h"
#include "core/name.h"
#include "core/rng.h"
#include "lb/lb.h"
#include "lb/letters.h"
#include "lb/snapshot.h"
#include "lb/state.h"
#include "lb/timeline.h"
#include "lb/worker.h"

#define MEMBER_REFERENCE_BYTES 128

enum member_state {
    MEMBER_STARTING,
    MEMBER_CHECKING,
    MEMBER_SERVING,
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
    bool exited, out_told;
    uint64_t last_version; /* the last snapshot that names it; 0 = none */
    size_t n_drained;      /* workers that have nothing under way to it */
    uint64_t drain_deadline_ns;
    /* health.c */
    struct httpc *probe;
    struct httpc_request probe_call;
    bool probing, probed_again;
    unsigned misses;
};

enum operation_type { OPERATION_BOOT, OPERATION_ADD, OPERATION_RM };

/* A change of the cluster that takes several turns. One runs at a time, the others queue. */
struct operation {
    struct operation *next;
    enum operation_type type;
    struct admin_call *call; /* NULL: OPERATION_BOOT */
    size_t n_members;        /* it starts */
    size_t n_ready;
    bool publishing; /* waits for the two versions below */
    uint64_t snapshot_version, state_version;
};

/* Counted for /metrics. */
struct control_metrics {
    uint64_t deaths, starts, failed_starts, snapshots, probes, missed_probes, failed_saves;
    uint64_t serving, target;
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
    struct timeline timeline;
    struct state_store *state_store;
    uint64_t state_version, saved_version;
    struct ev_timer heartbeat, heal_timer;
    struct ev_signal on_term, on_int;
    uint64_t last_heartbeat_ns;
    double heal_backoff_s; /* the last pause before a replacement was tried again */
    uint64_t heal_not_before_ns;
    bool live;        /* every server of the start serves, and the workers run */
    bool stopping;    /* told to end */
    bool keeps_state; /* leaves servers behind that the state file names */
    int exit_code;    /* what lb_run returns */
    struct err *err;
    struct control_metrics metrics;
};

/* control.c -------------------------------------------------------------------------------------
 */

/* Builds and publishes a snapshot of the members as they are, tells the workers, has the state
 * saved. */
void control_publish(struct control *control);
/* Has the state saved. */
void control_save(struct control *control);
/* Workers run, the parent is told: the end of the boot. 0 or a negative errno. */
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
/* Asks the spawner for a server. 0, or a negative errno with the reason: then there is no member.
 */
int member_start(struct control *control, const char *name, struct operation *operation,
                 struct err *err);
/* Takes over a server that an earlier life of the LB started. As member_start. */
int member_adopt(struct control *control, const struct state_server *server,
                 struct operation *operation, struct err *err);
/* Its first heartbeat was answered. */
void member_ready(struct member *member);
void member_set_serving(struct member *member);
/* It is dead, or as good as: out of the placement, killed, replaced. */
void member_lost(struct member *member, const char *cause);
/* Takes it out in order: nothing new goes to it, and it is stopped when nothing is under way. The
 * caller publishes. */
void member_drain(struct member *member);
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

/* health.c --------------------------------------------------------------------------------------
 */

/* One round: asks every member for its heartbeat and counts who owes the last one. */
void health_round(struct control *control);
/* Asks this member now. */
void health_probe(struct member *member);

/* operations.c ----------------------------------------------------------------------------------
 */

/* Queues /add or /rm, or answers the refusal at once. */
void operation_submit(struct control *control, struct admin_call *call);
/* Starts the cluster that the options or the state file ask for. 0 or a negative errno. */
int operation_boot(struct control *control, const struct state *state, bool found, struct err *err);
void operation_member_ready(struct operation *operation, struct member *member);
void operation_member_lost(struct operation *operation, struct member *member, const char *cause);
/* A snapshot was taken by every worker, or a state was saved: answers what waited for it. */
void operation_check(struct control *control);
/* Answers every call with a refusal. */
void operation_refuse_all(struct control *control, const char *reason);

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
void answer_cluster(struct control *control, struct admin_call *call);
/* POST /cluster/kill {"server":NAME}: kills it outright, as a failure would, for trying out
 * healing. */
void answer_kill(struct control *control, struct admin_call *call);
void answer_healthz(struct control *control, struct admin_call *call);
void answer_metrics(struct control *control, struct admin_call *call);

#endif
