/* The table: its schema, its shards, and which server holds which replica in which state. The
 * control loop's alone; workers see it through snapshots.
 *
 *   FILLING ── copied and compared, or claimed ──▶ READY ── /rm ──▶ LEAVING ──▶ gone
 *      ▲ ▲─── a change failed on it alone ◀──────────┤
 *      └────────── vacancy ◀───── its server died ◀──┘
 *
 * What a dead server held is a vacancy until a replacement takes it over. Of a shard without a
 * READY replica, those are `whole` that had every acknowledged row when they were last heard of:
 * one of them is claimed, never one that had fallen behind. A replica is whole when it was the last
 * one that was READY, or READY in the state file. Only a durable store has rows left to claim. */
#ifndef QUOIT_LB_DATABASE_H
#define QUOIT_LB_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"
#include "lb/snapshot.h"
#include "lb/timeline.h"
#include "table/schema.h"
#include "table/shard.h"

struct copy;
struct operation;

enum replica_state {
    REPLICA_FILLING, /* neither read nor written */
    REPLICA_READY,   /* read and written */
    REPLICA_LEAVING, /* written until no worker reads from it any more */
};

struct replica {
    struct replica *next;
    uint64_t uid; /* of the member that holds it */
    enum replica_state state;
    bool has_rows; /* FILLING: may hold rows; pages are compared before they are copied */
    bool whole;    /* FILLING: see above */
    struct timeline_rows filled; /* READY: what making it so came to */
};

struct table_shard {
    struct shard range;
    struct shard_live live;
    struct operation *operation; /* that makes it: nobody else sees it yet; NULL = none */
    struct replica *replicas;    /* in the order they were added */
    struct copy *copy;           /* under way (lb/copy.h), or NULL */
};

/* What a dead server held. */
struct vacancy {
    struct vacancy *next;
    uint64_t data_id;              /* its data directory; 0 = none */
    char name[NAME_MAX_BYTES + 1]; /* it is to be started again under this name; "" = any */
    uint64_t id;                   /* with a name */
    size_t n_shards;
    struct vacant_shard {
        struct table_shard *shard;
        bool whole;
    } shards[];
};

struct database {
    bool configured;
    bool durable; /* rows outlive their server's process */
    struct schema schema;
    struct table_shard **shards; /* ascending by key */
    size_t n_shards;
    struct vacancy *vacancies; /* the oldest first */
};

void database_init(struct database *database, bool durable);
void database_done(struct database *database);

/* ---- shards ---- */

/* Shards that are seen, those of an operation under way not among them. */
size_t database_n_seen(const struct database *database);
struct table_shard *database_find(const struct database *database, const char *name);
/* It overlaps no other (shard_read_all() has seen to that). */
struct table_shard *database_add_shard(struct database *database, const struct shard *range,
                                       struct operation *operation);
/* Forgets the shards that the operation was to make; the operation has failed. */
void database_forget_shards(struct database *database, const struct operation *operation);

/* The number by which a spawner knows that two servers hold the same shard. Two shards may have
 * one: that keeps more servers apart than must be. */
uint32_t database_group(const char *shard);

/* ---- replicas ---- */

struct replica *database_add_replica(struct table_shard *shard, uint64_t uid,
                                     enum replica_state state);
struct replica *database_find_replica(const struct table_shard *shard, uint64_t uid);
size_t database_count(const struct table_shard *shard, enum replica_state state);
/* Whether the shard's rows are all there without the replicas that `without` names. */
bool database_is_safe_without(const struct table_shard *shard, const uint64_t *without, size_t n);
/* How many replicas the member has, in shards that are seen. */
size_t database_n_replicas_of(const struct database *database, uint64_t uid);
/* Whether every replica of the member in shards that are seen is READY. */
bool database_is_filled(const struct database *database, uint64_t uid);
/* It has all rows now; the others' `whole` ends with that. */
void database_set_ready(struct database *database, struct table_shard *shard,
                        struct replica *replica);
/* Whether a replica or a vacancy of the shard is whole: then another must not begin empty. */
bool database_waits_for_whole(const struct database *database, const struct table_shard *shard);
/* Whether the member's is the only replica of a shard that is read from; of that shard alone, with
 * live. */
bool database_has_last(const struct database *database, uint64_t uid,
                       const struct shard_live *live);
/* A change failed on the member's replica of that shard: READY becomes FILLING, its rows to be
 * compared; LEAVING is dropped. False: nothing of it was read or written any more. */
bool database_demote(struct database *database, const struct shard_live *live, uint64_t uid);
/* Makes the member's READY replicas LEAVING, and drops its others. */
void database_leave(struct database *database, uint64_t uid);
/* Drops all of its replicas. */
void database_drop_replicas(struct database *database, uint64_t uid);

/* ---- vacancies ---- */

/* Makes what the member holds a vacancy. NULL: it held nothing and has no directory. ret_n_lost:
 * shards whose last copy is gone for good with it. */
struct vacancy *database_vacate(struct database *database, uint64_t uid, uint64_t data_id,
                                size_t *ret_n_lost);
/* Room for so many shards, n_shards 0 for now; put at the end of the vacancies. */
struct vacancy *database_add_vacancy(struct database *database, size_t max_shards,
                                     uint64_t data_id);
/* Forgets the oldest one. */
void database_drop_vacancy(struct database *database);
/* Of each of its shards the number by which a spawner knows that two servers hold it; n_shards of
 * them, to be freed. */
uint32_t *database_groups_of(const struct vacancy *vacancy);
/* The member takes the vacancy over: its replicas are FILLING. Frees the vacancy. */
void database_occupy(struct database *database, struct vacancy *vacancy, uint64_t uid);

#endif
