/* What the cluster is, for those who ask no questions: the workers, as a snapshot, and the next
 * life of the LB, as a state. */
#include <stdlib.h>

#include "core/arena.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

/* ---- snapshots --------------------------------------------------------------------------------
 */

/* What a snapshot is made of, while it is being made. */
struct draft {
    struct snapshot_server *servers;
    size_t n_servers;
    struct snapshot_shard *shards;
    size_t n_shards;
    uint32_t *indices; /* of readers and writers */
    size_t n_indices;
};

static void gather(struct control *control, enum member_state state, struct draft *draft)
{
    for (struct member *member = control->members; member; member = member->next) {
        if (member->state != state)
            continue;
        member->index = (uint32_t)draft->n_servers;
        draft->servers[draft->n_servers++] =
            (struct snapshot_server){.uid = member->uid,
                                     .id = member->id,
                                     .name = member->name,
                                     .addr = member->addr,
                                     .counters = member->counters,
                                     .draining = state == MEMBER_DRAINING};
    }
}

static size_t gather_replicas(struct control *control, const struct table_shard *shard,
                              enum replica_state state, struct draft *draft)
{
    size_t n = 0;
    for (const struct replica *replica = shard->replicas; replica; replica = replica->next) {
        if (replica->state != state)
            continue;
        draft->indices[draft->n_indices++] = member_find(control, replica->uid)->index;
        n++;
    }
    return n;
}

/* READY replicas are read and written, LEAVING ones written; but they are read where no other is
 * left. */
static void gather_shards(struct control *control, struct draft *draft)
{
    const struct database *database = &control->database;
    size_t n_replicas = 0;
    for (size_t i = 0; i < database->n_shards; i++)
        for (struct replica *replica = database->shards[i]->replicas; replica;
             replica = replica->next)
            n_replicas++;
    draft->shards = mem_zalloc(database->n_shards + 1, sizeof(*draft->shards));
    draft->indices = mem_zalloc(n_replicas + 1, sizeof(*draft->indices));
    for (size_t i = 0; i < database->n_shards; i++) {
        struct table_shard *shard = database->shards[i];
        if (shard->operation)
            continue;
        const uint32_t *first = draft->indices + draft->n_indices;
        size_t n_ready = gather_replicas(control, shard, REPLICA_READY, draft);
        size_t n_leaving = gather_replicas(control, shard, REPLICA_LEAVING, draft);
        draft->shards[draft->n_shards++] =
            (struct snapshot_shard){.range = shard->range,
                                    .live = &shard->live,
                                    .readers = first,
                                    .n_readers = n_ready > 0 ? n_ready : n_leaving,
                                    .writers = first,
                                    .n_writers = n_ready + n_leaving};
    }
}

static void note_version(struct control *control, uint64_t version)
{
    for (struct member *member = control->members; member; member = member->next) {
        if (member->state == MEMBER_FILLING || member->state == MEMBER_SERVING ||
            member->state == MEMBER_PARTING || member->state == MEMBER_DRAINING)
            member->last_version = version;
        if (member->state == MEMBER_PARTING && member->parted_version == 0)
            member->parted_version = version;
    }
}

void control_publish_first(struct control *control)
{
    const struct lb_config *config = control->config;
    const struct database *database = &control->database;
    size_t n_members = 0;
    struct draft draft = {0};
    for (struct member *member = control->members; member; member = member->next)
        n_members++;
    draft.servers = mem_zalloc(n_members + 1, sizeof(*draft.servers));
    gather(control, MEMBER_SERVING, &draft);
    size_t n_placed = draft.n_servers;
    gather(control, MEMBER_FILLING, &draft);
    gather(control, MEMBER_PARTING, &draft);
    gather(control, MEMBER_DRAINING, &draft);
    gather_shards(control, &draft);
    struct snapshot_plan plan = {.placement = &config->placement,
                                 .hashes = &config->hashes.pair,
                                 .servers = draft.servers,
                                 .n_placed = n_placed,
                                 .n_servers = draft.n_servers,
                                 .schema = database->configured ? &database->schema : NULL,
                                 .shards = draft.shards,
                                 .n_shards = draft.n_shards};
    struct snapshot *snapshot;
    struct err err = {0};
    int rc = snapshot_new(&plan, &snapshot, &err);
    free(draft.servers);
    free(draft.shards);
    free(draft.indices);
    if (rc != 0) { /* operations check this before they begin: it is a bug if it comes to that */
        log_error("lb", "cannot build the placement: %s", err.message);
        return;
    }
    note_version(control, publisher_publish(control->publisher, snapshot));
    metric_bump(&control->metrics.snapshots);
    metric_set_gauge(&control->metrics.serving, n_placed);
    metric_set_gauge(&control->metrics.target, control->n_target);
    control_tell_workers(control, LETTER_TAKE);
    control_save(control);
}

void control_publish(struct control *control)
{
    if (control->live)
        control_publish_first(control);
}

/* ---- state ------------------------------------------------------------------------------------
 */

static bool is_whole(const struct replica *replica)
{
    return replica->state == REPLICA_READY || replica->whole;
}

static void list_replicas(const struct control *control, uint64_t uid, struct arena *arena,
                          struct state_replica **ret_replicas, size_t *ret_n)
{
    const struct database *database = &control->database;
    *ret_replicas = arena_zalloc(arena, database->n_shards + 1, sizeof(**ret_replicas));
    *ret_n = 0;
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        const struct replica *replica = database_find_replica(shard, uid);
        if (replica && !shard->operation)
            (*ret_replicas)[(*ret_n)++] =
                (struct state_replica){shard->range.name, is_whole(replica)};
    }
}

/* One that starts is a vacancy still: should this LB end now, nobody could find it. So is, under
 * its name, each that ends with the LB. */
static void list_vacancy(const struct control *control, const struct member *member, bool named,
                         struct arena *arena, struct state *state)
{
    struct state_vacancy *vacancy = &state->vacancies[state->n_vacancies++];
    vacancy->data_id = member->data_id;
    vacancy->name = named || member->returning ? member->name : NULL;
    vacancy->id = member->id;
    list_replicas(control, member->uid, arena, &vacancy->replicas, &vacancy->n_replicas);
}

static void list_database(const struct control *control, struct arena *arena, struct state *state)
{
    const struct database *database = &control->database;
    state->schema = &database->schema;
    state->store = control->config->store_name;
    state->shards = arena_zalloc(arena, database->n_shards + 1, sizeof(*state->shards));
    for (size_t i = 0; i < database->n_shards; i++)
        if (!database->shards[i]->operation)
            state->shards[state->n_shards++] = database->shards[i]->range;
}

/* Those there are, with room for as many as there are members. */
static void list_vacancies(const struct control *control, size_t n_members, struct arena *arena,
                           struct state *state)
{
    const struct database *database = &control->database;
    size_t n = n_members;
    for (const struct vacancy *vacancy = database->vacancies; vacancy; vacancy = vacancy->next)
        n++;
    state->vacancies = arena_zalloc(arena, n + 1, sizeof(*state->vacancies));
    for (const struct vacancy *from = database->vacancies; from; from = from->next) {
        struct state_vacancy *to = &state->vacancies[state->n_vacancies++];
        to->data_id = from->data_id;
        to->name = from->name[0] ? from->name : NULL;
        to->id = from->id;
        to->replicas = arena_zalloc(arena, from->n_shards + 1, sizeof(*to->replicas));
        for (size_t i = 0; i < from->n_shards; i++)
            to->replicas[to->n_replicas++] =
                (struct state_replica){from->shards[i].shard->range.name, from->shards[i].whole};
    }
}

/* Half an /add or an /init is not kept: should this LB be killed now, the next must not serve by
 * it. */
static bool is_kept(const struct member *member)
{
    return !member->operation || member->operation->type == OPERATION_BOOT;
}

static bool is_found_by_address(const struct member *member)
{
    return member->state == MEMBER_CHECKING || member->state == MEMBER_FILLING ||
           member->state == MEMBER_SERVING;
}

/* ends: the servers are about to be stopped, and are to come again. */
static void save(struct control *control, bool ends)
{
    struct arena arena;
    struct state state = {.next_uid = control->next_uid, .n_target = control->n_target};
    size_t most = 0;
    bool configured = control->database.configured;
    for (struct member *member = control->members; member; member = member->next)
        most++;
    arena_init(&arena);
    state.servers = arena_zalloc(&arena, most + 1, sizeof(*state.servers));
    if (configured)
        list_database(control, &arena, &state);
    list_vacancies(control, most, &arena, &state);
    for (struct member *member = control->members; member; member = member->next) {
        if (!is_kept(member))
            continue;
        bool starts = member->state == MEMBER_STARTING && (configured || member->returning);
        if (starts || (ends && (member->state == MEMBER_STARTING || is_found_by_address(member))))
            list_vacancy(control, member, ends, &arena, &state);
        if (ends || !is_found_by_address(member))
            continue;
        struct state_server *server = &state.servers[state.n_servers++];
        *server = (struct state_server){.uid = member->uid,
                                        .id = member->id,
                                        .name = member->name,
                                        .addr = member->addr,
                                        .pid = member->pid,
                                        .reference = member->reference,
                                        .data_id = member->data_id};
        list_replicas(control, member->uid, &arena, &server->replicas, &server->n_replicas);
    }
    state_save(control->state_store, &state, ++control->state_version);
    arena_done(&arena);
}

void control_save(struct control *control)
{
    if (control->state_store && !control->stopping)
        save(control, false);
}

void control_save_end(struct control *control)
{
    if (control->state_store)
        save(control, true);
}
