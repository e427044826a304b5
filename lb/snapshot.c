#include "lb/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* The placement of `n` servers of weight 1, picked[i] (NULL: i) being the i-th's index. */
static int build_placement(const struct snapshot_plan *plan, struct arena *arena,
                           const uint32_t *picked, size_t n, struct placement **ret_placement,
                           struct err *err)
{
    struct placement_member *members = arena_zalloc(arena, n + 1, sizeof(*members));
    for (size_t i = 0; i < n; i++) {
        const struct snapshot_server *server = &plan->servers[picked ? picked[i] : i];
        members[i] = (struct placement_member){.id = server->id, .name = server->name, .weight = 1};
    }
    return placement_build(plan->placement, members, n, plan->hashes, ret_placement, err);
}

static void copy_servers(struct snapshot *snapshot, const struct snapshot_plan *plan)
{
    struct snapshot_server *copies =
        arena_zalloc(&snapshot->arena, plan->n_servers + 1, sizeof(*copies));
    for (size_t i = 0; i < plan->n_servers; i++) {
        copies[i] = plan->servers[i];
        copies[i].name = arena_strdup(&snapshot->arena, plan->servers[i].name);
    }
    snapshot->servers = copies;
    snapshot->n_placed = plan->n_placed;
    snapshot->n_servers = plan->n_servers;
}

static const uint32_t *copy_indices(struct arena *arena, const uint32_t *indices, size_t n)
{
    uint32_t *copy = arena_zalloc(arena, n + 1, sizeof(*copy));
    if (n > 0)
        memcpy(copy, indices, n * sizeof(*copy));
    return copy;
}

static int compare_shards(const void *a, const void *b)
{
    int64_t low_a = ((const struct snapshot_shard *)a)->range.low;
    int64_t low_b = ((const struct snapshot_shard *)b)->range.low;
    return (low_a > low_b) - (low_a < low_b);
}

/* snapshot->n_shards counts those whose placement is built, so that a failure frees just these. */
static int copy_shards(struct snapshot *snapshot, const struct snapshot_plan *plan, struct err *err)
{
    struct arena *arena = &snapshot->arena;
    struct snapshot_shard *shards = arena_zalloc(arena, plan->n_shards + 1, sizeof(*shards));
    struct shard *ranges = arena_zalloc(arena, plan->n_shards + 1, sizeof(*ranges));
    if (plan->n_shards > 0)
        memcpy(shards, plan->shards, plan->n_shards * sizeof(*shards));
    qsort(shards, plan->n_shards, sizeof(*shards), compare_shards);
    snapshot->shards = shards;
    snapshot->ranges = ranges;
    for (size_t i = 0; i < plan->n_shards; i++) {
        struct snapshot_shard *shard = &shards[i];
        ranges[i] = shard->range;
        shard->readers = copy_indices(arena, shard->readers, shard->n_readers);
        shard->writers = copy_indices(arena, shard->writers, shard->n_writers);
        int rc =
            build_placement(plan, arena, shard->readers, shard->n_readers, &shard->placement, err);
        if (rc != 0) {
            err_prefix(err, "shard %s", shard->range.name);
            return rc;
        }
        snapshot->n_shards++;
    }
    return 0;
}

int snapshot_new(const struct snapshot_plan *plan, struct snapshot **ret_snapshot, struct err *err)
{
    assert(plan->schema || plan->n_shards == 0);
    struct snapshot *snapshot = mem_zalloc(1, sizeof(*snapshot));
    arena_init(&snapshot->arena);
    copy_servers(snapshot, plan);
    if (plan->schema) {
        struct schema *schema = arena_alloc(&snapshot->arena, sizeof(*schema));
        *schema = *plan->schema;
        snapshot->schema = schema;
    }
    int rc =
        build_placement(plan, &snapshot->arena, NULL, plan->n_placed, &snapshot->placement, err);
    if (rc == 0)
        rc = copy_shards(snapshot, plan, err);
    if (rc != 0) {
        snapshot_free(snapshot);
        return rc;
    }
    *ret_snapshot = snapshot;
    return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->n_shards; i++)
        placement_free(snapshot->shards[i].placement);
    placement_free(snapshot->placement);
    arena_done(&snapshot->arena);
    free(snapshot);
}

void publisher_init(struct publisher *publisher, size_t n_readers)
{
    assert(n_readers <= SNAPSHOT_MAX_READERS);
    atomic_init(&publisher->current, NULL);
    publisher->retired = NULL;
    publisher->n_readers = n_readers;
    for (size_t i = 0; i < SNAPSHOT_MAX_READERS; i++)
        atomic_init(&publisher->seen[i].version, 0);
}

static void free_older_than(struct publisher *publisher, uint64_t version)
{
    struct snapshot **link = &publisher->retired;
    while (*link) {
        struct snapshot *snapshot = *link;
        if (snapshot->version < version) {
            *link = snapshot->older;
            snapshot_free(snapshot);
        } else {
            link = &snapshot->older;
        }
    }
}

void publisher_done(struct publisher *publisher)
{
    free_older_than(publisher, UINT64_MAX);
    snapshot_free((struct snapshot *)atomic_load(&publisher->current));
    atomic_store(&publisher->current, NULL);
}

uint64_t publisher_publish(struct publisher *publisher, struct snapshot *snapshot)
{
    struct snapshot *old = (struct snapshot *)atomic_load(&publisher->current);
    uint64_t version = old ? old->version + 1 : 1;
    snapshot->version = version;
    atomic_store_explicit(&publisher->current, snapshot, memory_order_release);
    if (old) {
        old->older = publisher->retired;
        publisher->retired = old;
    }
    publisher_reclaim(publisher);
    return version;
}

uint64_t publisher_reclaim(struct publisher *publisher)
{
    const struct snapshot *current = atomic_load(&publisher->current);
    uint64_t reached = current ? current->version : 0;
    for (size_t i = 0; i < publisher->n_readers; i++) {
        uint64_t seen = atomic_load_explicit(&publisher->seen[i].version, memory_order_acquire);
        if (seen < reached)
            reached = seen;
    }
    free_older_than(publisher, reached);
    return reached;
}

const struct snapshot *publisher_take(struct publisher *publisher, size_t reader)
{
    const struct snapshot *snapshot =
        atomic_load_explicit(&publisher->current, memory_order_acquire);
    atomic_store_explicit(&publisher->seen[reader].version, snapshot->version,
                          memory_order_release);
    return snapshot;
}
