#include "lb/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

int snapshot_new(const struct spec *placement, const struct hash_pair *hashes,
                 const struct snapshot_server *servers, size_t n_placed, size_t n_servers,
                 struct snapshot **ret_snapshot, struct err *err)
{
    struct snapshot *snapshot = mem_zalloc(1, sizeof(*snapshot));
    arena_init(&snapshot->arena);
    snapshot->n_placed = n_placed;
    snapshot->n_servers = n_servers;
    struct snapshot_server *copies = arena_zalloc(&snapshot->arena, n_servers + 1, sizeof(*copies));
    struct placement_member *members =
        arena_zalloc(&snapshot->arena, n_placed + 1, sizeof(*members));
    for (size_t i = 0; i < n_servers; i++) {
        copies[i] = servers[i];
        copies[i].name = arena_strdup(&snapshot->arena, servers[i].name);
        if (i < n_placed)
            members[i] =
                (struct placement_member){.id = copies[i].id, .name = copies[i].name, .weight = 1};
    }
    snapshot->servers = copies;
    int rc = placement_build(placement, members, n_placed, hashes, &snapshot->placement, err);
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
