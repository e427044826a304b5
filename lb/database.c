#include "lb/database.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/mem.h"

void database_init(struct database *database, bool durable)
{
    *database = (struct database){.durable = durable};
}

static void free_shard(struct table_shard *shard)
{
    while (shard->replicas) {
        struct replica *replica = shard->replicas;
        shard->replicas = replica->next;
        free(replica);
    }
    free(shard);
}

void database_done(struct database *database)
{
    for (size_t i = 0; i < database->n_shards; i++)
        free_shard(database->shards[i]);
    free(database->shards);
    while (database->vacancies)
        database_drop_vacancy(database);
    *database = (struct database){0};
}

/* ---- shards -----------------------------------------------------------------------------------
 */

uint32_t database_group(const char *shard)
{
    return crc32c(0, shard, strlen(shard));
}

size_t database_n_seen(const struct database *database)
{
    size_t n = 0;
    for (size_t i = 0; i < database->n_shards; i++)
        n += !database->shards[i]->operation;
    return n;
}

struct table_shard *database_find(const struct database *database, const char *name)
{
    for (size_t i = 0; i < database->n_shards; i++)
        if (strcmp(database->shards[i]->range.name, name) == 0)
            return database->shards[i];
    return NULL;
}

struct table_shard *database_add_shard(struct database *database, const struct shard *range,
                                       struct operation *operation)
{
    struct table_shard *shard = mem_zalloc(1, sizeof(*shard));
    shard->range = *range;
    shard->operation = operation;
    atomic_init(&shard->live.valid_idx, 0);
    size_t n = database->n_shards++;
    database->shards =
        mem_realloc(database->shards, database->n_shards, sizeof(struct table_shard *));
    for (; n > 0 && database->shards[n - 1]->range.low > range->low; n--)
        database->shards[n] = database->shards[n - 1];
    database->shards[n] = shard;
    return shard;
}

void database_forget_shards(struct database *database, const struct operation *operation)
{
    size_t n = 0;
    assert(operation);
    for (size_t i = 0; i < database->n_shards; i++) {
        if (database->shards[i]->operation == operation)
            free_shard(database->shards[i]); /* no snapshot has ever named it */
        else
            database->shards[n++] = database->shards[i];
    }
    database->n_shards = n;
}

/* ---- replicas ---------------------------------------------------------------------------------
 */

struct replica *database_add_replica(struct table_shard *shard, uint64_t uid,
                                     enum replica_state state)
{
    struct replica **link = &shard->replicas;
    while (*link)
        link = &(*link)->next;
    *link = mem_zalloc(1, sizeof(**link));
    (*link)->uid = uid;
    (*link)->state = state;
    return *link;
}

struct replica *database_find_replica(const struct table_shard *shard, uint64_t uid)
{
    for (struct replica *replica = shard->replicas; replica; replica = replica->next)
        if (replica->uid == uid)
            return replica;
    return NULL;
}

size_t database_count(const struct table_shard *shard, enum replica_state state)
{
    size_t n = 0;
    for (const struct replica *replica = shard->replicas; replica; replica = replica->next)
        n += replica->state == state;
    return n;
}

bool database_is_safe_without(const struct table_shard *shard, const uint64_t *without, size_t n)
{
    for (const struct replica *replica = shard->replicas; replica; replica = replica->next) {
        bool stays = true;
        for (size_t i = 0; i < n; i++)
            stays &= replica->uid != without[i];
        if (stays && (replica->state == REPLICA_READY || replica->whole))
            return true;
    }
    return false;
}

size_t database_n_replicas_of(const struct database *database, uint64_t uid)
{
    size_t n = 0;
    for (size_t i = 0; i < database->n_shards; i++)
        n += !database->shards[i]->operation && database_find_replica(database->shards[i], uid);
    return n;
}

bool database_is_filled(const struct database *database, uint64_t uid)
{
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct replica *replica = database_find_replica(database->shards[i], uid);
        if (replica && !database->shards[i]->operation && replica->state == REPLICA_FILLING)
            return false;
    }
    return true;
}

void database_set_ready(struct database *database, struct table_shard *shard,
                        struct replica *replica)
{
    replica->state = REPLICA_READY;
    for (struct replica *other = shard->replicas; other; other = other->next)
        other->whole = false;
    for (struct vacancy *vacancy = database->vacancies; vacancy; vacancy = vacancy->next)
        for (size_t i = 0; i < vacancy->n_shards; i++)
            if (vacancy->shards[i].shard == shard)
                vacancy->shards[i].whole = false;
}

bool database_waits_for_whole(const struct database *database, const struct table_shard *shard)
{
    for (const struct replica *replica = shard->replicas; replica; replica = replica->next)
        if (replica->whole)
            return true;
    for (const struct vacancy *vacancy = database->vacancies; vacancy; vacancy = vacancy->next)
        for (size_t i = 0; i < vacancy->n_shards; i++)
            if (vacancy->shards[i].shard == shard && vacancy->shards[i].whole)
                return true;
    return false;
}

static void drop_replica(struct table_shard *shard, uint64_t uid)
{
    for (struct replica **link = &shard->replicas; *link; link = &(*link)->next) {
        struct replica *replica = *link;
        if (replica->uid != uid)
            continue;
        *link = replica->next;
        free(replica);
        return;
    }
}

bool database_has_last(const struct database *database, uint64_t uid, const struct shard_live *live)
{
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        const struct replica *replica = database_find_replica(shard, uid);
        if (!replica || replica->state == REPLICA_FILLING || shard->operation ||
            (live && live != &shard->live))
            continue;
        if (database_count(shard, REPLICA_READY) == (replica->state == REPLICA_READY))
            return true;
    }
    return false;
}

bool database_demote(struct database *database, const struct shard_live *live, uint64_t uid)
{
    for (size_t i = 0; i < database->n_shards; i++) {
        struct table_shard *shard = database->shards[i];
        struct replica *replica = &shard->live == live ? database_find_replica(shard, uid) : NULL;
        if (!replica || replica->state == REPLICA_FILLING)
            continue;
        if (replica->state == REPLICA_LEAVING) {
            drop_replica(shard, uid);
        } else {
            replica->state = REPLICA_FILLING;
            replica->has_rows = true;
            replica->whole = false;
        }
        return true;
    }
    return false;
}

void database_leave(struct database *database, uint64_t uid)
{
    for (size_t i = 0; i < database->n_shards; i++) {
        struct replica *replica = database_find_replica(database->shards[i], uid);
        if (replica && replica->state == REPLICA_READY)
            replica->state = REPLICA_LEAVING;
        else if (replica && replica->state == REPLICA_FILLING)
            drop_replica(database->shards[i], uid);
    }
}

void database_drop_replicas(struct database *database, uint64_t uid)
{
    for (size_t i = 0; i < database->n_shards; i++)
        drop_replica(database->shards[i], uid);
}

/* ---- vacancies --------------------------------------------------------------------------------
 */

struct vacancy *database_add_vacancy(struct database *database, size_t max_shards, uint64_t data_id)
{
    struct vacancy *vacancy =
        mem_zalloc(1, sizeof(*vacancy) + max_shards * sizeof(vacancy->shards[0]));
    vacancy->data_id = data_id;
    struct vacancy **link = &database->vacancies;
    while (*link)
        link = &(*link)->next;
    *link = vacancy;
    return vacancy;
}

void database_drop_vacancy(struct database *database)
{
    struct vacancy *vacancy = database->vacancies;
    database->vacancies = vacancy->next;
    free(vacancy);
}

/* Whether the dead replica had every acknowledged row, and no other has. */
static bool was_last(const struct table_shard *shard, const struct replica *replica)
{
    if (replica->state == REPLICA_FILLING)
        return replica->whole;
    for (const struct replica *other = shard->replicas; other; other = other->next)
        if (other != replica && other->state != REPLICA_FILLING)
            return false;
    return true;
}

struct vacancy *database_vacate(struct database *database, uint64_t uid, uint64_t data_id,
                                size_t *ret_n_lost)
{
    size_t n = database_n_replicas_of(database, uid), n_lost = 0;
    struct vacancy *vacancy = NULL;
    if (n > 0 || data_id != 0)
        vacancy = database_add_vacancy(database, n, data_id);
    for (size_t i = 0; i < database->n_shards; i++) {
        struct table_shard *shard = database->shards[i];
        const struct replica *replica = database_find_replica(shard, uid);
        if (!replica)
            continue;
        if (!shard->operation) {
            assert(vacancy);
            bool last = was_last(shard, replica);
            n_lost += last && !database->durable;
            vacancy->shards[vacancy->n_shards++] =
                (struct vacant_shard){shard, last && database->durable};
        }
        drop_replica(shard, uid);
    }
    *ret_n_lost = n_lost;
    return vacancy;
}

uint32_t *database_groups_of(const struct vacancy *vacancy)
{
    uint32_t *groups = mem_zalloc(vacancy->n_shards + 1, sizeof(*groups));
    for (size_t i = 0; i < vacancy->n_shards; i++)
        groups[i] = database_group(vacancy->shards[i].shard->range.name);
    return groups;
}

void database_occupy(struct database *database, struct vacancy *vacancy, uint64_t uid)
{
    struct vacancy **link = &database->vacancies;
    while (*link != vacancy)
        link = &(*link)->next;
    *link = vacancy->next;
    for (size_t i = 0; i < vacancy->n_shards; i++) {
        struct replica *replica =
            database_add_replica(vacancy->shards[i].shard, uid, REPLICA_FILLING);
        replica->whole = vacancy->shards[i].whole;
        replica->has_rows = vacancy->data_id != 0;
    }
    free(vacancy);
}
