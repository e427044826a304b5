/* The state file: enough of the cluster, on disk at every change, for a killed and restarted LB to
 * find its running servers again.
 *
 * DIR/cluster.json is replaced whole (core/file.h) by a thread of its own, since the control loop
 * must not wait for fsync (law 2); of several changes that wait, the last one is written. DIR/lock
 * keeps two LBs from sharing a directory. DIR/servers/ID are the data directories of servers whose
 * store is durable. DIR/intents is the writer's (lb/intents.h). DIR/life counts the LB's lives
 * (lb/epoch.h); state_open() begins one.
 *
 * Format 1 knows servers, and places that wait for one; format 2 the database as well, and is
 * written where there is one. After an orderly end of a cluster without a database the file names
 * no servers, but a place for each under its name and id: the next start fills them. */
#ifndef QUOIT_LB_STATE_H
#define QUOIT_LB_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/mailbox.h"
#include "table/schema.h"
#include "table/shard.h"

/* A replica that a server holds, or that one which is to be started again held. */
struct state_replica {
    const char *shard; /* the name of one of the state's */
    bool whole;        /* it had every acknowledged row */
};

struct state_server {
    uint64_t uid, id;
    const char *name;
    struct addr addr;
    long pid;
    const char *reference; /* the spawner's, to adopt it by */
    uint64_t data_id;      /* its data directory, DIR/servers/ID; 0 = none */
    size_t n_replicas;
    struct state_replica *replicas;
};

/* A server that was dead, or not there yet, or that the LB took with it when it ended in order. */
struct state_vacancy {
    uint64_t data_id;
    const char *name; /* it is to have this name and the id; NULL = any */
    uint64_t id;
    size_t n_replicas;
    struct state_replica *replicas;
};

struct state {
    uint64_t next_uid;
    size_t n_target; /* servers the cluster is to have */
    size_t n_servers;
    struct state_server *servers;
    const struct schema *schema; /* NULL: no database, hence no store and no shards */
    const char *store;           /* the name of that which keeps its rows; NULL: not told */
    size_t n_shards;
    struct shard *shards;
    /* Also without a database, then without replicas. */
    size_t n_vacancies;
    struct state_vacancy *vacancies;
};

struct state_store;

/* Makes and locks the directory, reads what it holds into *ret_state (allocated in arena; n_servers
 * 0 and next_uid 1 for a new one, *ret_found then 0) and starts the writing thread, which posts an
 * lb_letter LETTER_SAVED to `control` after each write. A state file that cannot be understood is
 * an error: it is never overwritten unread. */
int state_open(const char *dir, struct mailbox *control, struct arena *arena,
               struct state *ret_state, int *ret_found, struct state_store **ret_store,
               struct err *err);
/* Has the state written, as number `version` (ascending). Copies it. Takes a NULL store: nothing is
 * kept. */
void state_save(struct state_store *store, const struct state *state, uint64_t version);
/* Has the data directory removed, by the same thread, once what waits to be saved is on disk. Takes
 * a NULL store. */
void state_remove_data(struct state_store *store, uint64_t data_id);
/* Writes what waits, ends the thread, unlocks. forget: removes the file, since nothing is left to
 * adopt. Takes NULL. */
void state_close(struct state_store *store, int forget);

#endif
