#include "lb/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/placement_fixture.h"

#define N_READERS 3
#define N_VERSIONS 3000

static struct placement_fixture fixture;
static struct publisher *publisher;

static int set_up(void **state)
{
    (void)state;
    placement_fixture_open(&fixture, "slots", "splitmix64");
    publisher = mem_aligned_zalloc(_Alignof(struct publisher), sizeof(*publisher));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    placement_fixture_close(&fixture);
    free(publisher);
    return 0;
}

static int build(const struct snapshot_server *servers, size_t n_placed, size_t n_servers,
                 struct snapshot **ret_snapshot, struct err *err)
{
    struct snapshot_plan plan = {.placement = &fixture.spec,
                                 .hashes = &fixture.hashes.pair,
                                 .servers = servers,
                                 .n_placed = n_placed,
                                 .n_servers = n_servers};
    return snapshot_new(&plan, ret_snapshot, err);
}

/* Servers with uids first, first + 1, …, named after them. */
static struct snapshot *make(uint64_t first, size_t n_placed, size_t n_servers)
{
    struct snapshot_server servers[64];
    char names[64][32];
    struct snapshot *snapshot = NULL;
    struct err err = {0};

    for (size_t i = 0; i < n_servers; i++) {
        snprintf(names[i], sizeof(names[i]), "Server%llu", (unsigned long long)(first + i));
        servers[i] = (struct snapshot_server){.uid = first + i, .id = first + i, .name = names[i]};
    }
    if (build(servers, n_placed, n_servers, &snapshot, &err) != 0)
        fail_msg("%s", err.message);
    memset(names, 'x', sizeof(names)); /* they are copied */
    return snapshot;
}

static size_t n_retired(void)
{
    size_t n = 0;

    for (const struct snapshot *snapshot = publisher->retired; snapshot; snapshot = snapshot->older)
        n++;
    return n;
}

static void snapshot_places_the_first_servers_alone(void **state)
{
    struct snapshot *snapshot = make(7, 3, 5);
    unsigned n_hits[3] = {0};

    (void)state;
    assert_int_equal(snapshot->n_placed, 3);
    assert_int_equal(snapshot->n_servers, 5);
    for (uint64_t key = 0; key < 10000; key++) {
        uint32_t index = placement_lookup(snapshot->placement, key);
        assert_true(index < 3);
        n_hits[index]++;
    }
    assert_true(n_hits[0] > 0 && n_hits[1] > 0 && n_hits[2] > 0);
    assert_string_equal(snapshot->servers[0].name, "Server7");
    assert_string_equal(snapshot->servers[4].name, "Server11");
    assert_int_equal(snapshot->servers[4].uid, 11);
    snapshot_free(snapshot);
}

static void snapshot_of_nobody_places_nothing(void **state)
{
    struct snapshot *snapshot = make(1, 0, 0);

    (void)state;
    assert_int_equal(placement_lookup(snapshot->placement, 1), PLACEMENT_NONE);
    snapshot_free(snapshot);
    snapshot = make(1, 0, 2);
    assert_int_equal(placement_lookup(snapshot->placement, 1), PLACEMENT_NONE);
    assert_int_equal(snapshot->n_servers, 2);
    snapshot_free(snapshot);
    snapshot_free(NULL);
}

static void snapshot_says_why_it_cannot_be_built(void **state)
{
    struct snapshot_server servers[60] = {{0}};
    struct snapshot *snapshot = NULL;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < 60; i++)
        servers[i] = (struct snapshot_server){.uid = i + 1, .id = i, .name = "S"};
    /* 60 × 9 virtual servers do not fit into 512 slots; 56 do. */
    assert_int_equal(build(servers, 60, 60, &snapshot, &err), -EINVAL);
    assert_true(err.message[0] != '\0');
    assert_null(snapshot);
    assert_int_equal(build(servers, 56, 60, &snapshot, &err), 0);
    snapshot_free(snapshot);
    servers[1].id = 0; /* twice */
    assert_int_equal(build(servers, 2, 2, &snapshot, &err), -EINVAL);
}

static void snapshot_places_a_shards_readers_alone(void **state)
{
    struct snapshot_server servers[4];
    struct schema schema;
    struct err err = {0};
    static const char text[] = "{\"columns\":[\"id\",\"name\"],\"dtypes\":[\"Number\",\"String\"]}";
    uint32_t readers_a[] = {3, 1}, writers_a[] = {1, 2, 3}, readers_b[] = {0};
    struct shard_live live[2] = {{7}, {8}};
    struct snapshot_shard shards[] = {
        {.range = {"sh2", 100, 199},
         .live = &live[1],
         .n_readers = 2,
         .n_writers = 3,
         .readers = readers_a,
         .writers = writers_a},
        {.range = {"sh1", 0, 99},
         .live = &live[0],
         .n_readers = 1,
         .n_writers = 1,
         .readers = readers_b,
         .writers = readers_b},
    };
    struct snapshot *snapshot = NULL;
    bool seen[2] = {false};

    (void)state;
    assert_int_equal(schema_parse(text, sizeof(text) - 1, &schema, &err), 0);
    for (size_t i = 0; i < 4; i++)
        servers[i] = (struct snapshot_server){.uid = i + 1, .id = i, .name = "S"};
    struct snapshot_plan plan = {.placement = &fixture.spec,
                                 .hashes = &fixture.hashes.pair,
                                 .servers = servers,
                                 .n_placed = 4,
                                 .n_servers = 4,
                                 .schema = &schema,
                                 .shards = shards,
                                 .n_shards = 2};
    assert_int_equal(snapshot_new(&plan, &snapshot, &err), 0);
    memset(readers_a, 0xff, sizeof(readers_a)); /* it is copied */
    assert_true(schema_equal(snapshot->schema, &schema));
    assert_int_equal(snapshot->n_shards, 2);
    assert_string_equal(snapshot->shards[0].range.name, "sh1"); /* ascending */
    assert_ptr_equal(snapshot->shards[1].live, &live[1]);
    assert_int_equal(shard_find(snapshot->ranges, 2, 150), 1);
    for (uint64_t key = 0; key < 1000; key++) {
        uint32_t at = placement_lookup(snapshot->shards[1].placement, key);
        assert_true(at < 2);
        assert_int_equal(snapshot->shards[1].readers[at], at == 0 ? 3 : 1);
        seen[at] = true;
        assert_int_equal(placement_lookup(snapshot->shards[0].placement, key), 0);
    }
    assert_true(seen[0] && seen[1]);
    assert_int_equal(snapshot->shards[1].n_writers, 3);
    snapshot_free(snapshot);
}

static void publisher_numbers_snapshots_and_hands_out_the_current_one(void **state)
{
    (void)state;
    publisher_init(publisher, 1);
    assert_int_equal(publisher_reclaim(publisher), 0);
    for (uint64_t version = 1; version <= 5; version++) {
        assert_int_equal(publisher_publish(publisher, make(version * 10, 2, 2)), version);
        const struct snapshot *snapshot = publisher_take(publisher, 0);
        assert_int_equal(snapshot->version, version);
        assert_int_equal(snapshot->servers[0].uid, version * 10);
        assert_ptr_equal(publisher_take(publisher, 0), snapshot);
    }
    publisher_done(publisher);
}

static void publisher_frees_what_no_reader_can_have(void **state)
{
    const struct snapshot *slow;

    (void)state;
    publisher_init(publisher, 3);
    publisher_publish(publisher, make(1, 1, 1));
    for (size_t i = 0; i < 3; i++)
        publisher_take(publisher, i);
    slow = publisher_take(publisher, 2);
    for (uint64_t version = 2; version <= 10; version++) {
        publisher_publish(publisher, make(version, 1, 1));
        publisher_take(publisher, 0);
        publisher_take(publisher, 1);
    }
    /* The slow one holds on to its own; what came between stays too, being newer. */
    assert_int_equal(publisher_reclaim(publisher), 1);
    assert_int_equal(n_retired(), 9);
    assert_string_equal(slow->servers[0].name, "Server1");
    slow = publisher_take(publisher, 2);
    assert_int_equal(slow->version, 10);
    assert_int_equal(publisher_reclaim(publisher), 10);
    assert_int_equal(n_retired(), 0);
    publisher_done(publisher);
}

static void publisher_frees_nothing_before_every_reader_has_taken_one(void **state)
{
    (void)state;
    publisher_init(publisher, 2);
    for (uint64_t version = 1; version <= 4; version++) {
        publisher_publish(publisher, make(version, 1, 1));
        publisher_take(publisher, 0);
    }
    assert_int_equal(publisher_reclaim(publisher), 0);
    assert_int_equal(n_retired(), 3);
    publisher_done(publisher); /* frees them all, as the leak checker sees */
}

/* ---- under constant change --------------------------------------------------------------------
 */

static atomic_bool stopping;
static atomic_uint n_started;

struct reader {
    pthread_t thread;
    size_t index;
    uint64_t n_taken, last_version, n_wrong;
};

/* Every snapshot consists of servers whose uids and names follow from its version. */
static void *read_on(void *context)
{
    struct reader *reader = context;

    atomic_fetch_add(&n_started, 1);
    for (bool last = false; !last;) {
        last = atomic_load(&stopping);
        const struct snapshot *snapshot = publisher_take(publisher, reader->index);
        reader->n_wrong += snapshot->version < reader->last_version;
        reader->last_version = snapshot->version;
        reader->n_taken++;
        for (uint64_t key = 0; key < 20; key++) {
            char name[32];
            uint32_t index = placement_lookup(snapshot->placement, key * 7919);
            reader->n_wrong += index >= snapshot->n_placed;
            const struct snapshot_server *server = &snapshot->servers[index];
            snprintf(name, sizeof(name), "Server%llu", (unsigned long long)server->uid);
            reader->n_wrong += strcmp(name, server->name) != 0;
            reader->n_wrong += server->uid != snapshot->version * 100 + index;
        }
    }
    return NULL;
}

static void publisher_publishes_under_readers(void **state)
{
    struct reader readers[N_READERS] = {{0}};
    size_t most_retired = 0;

    (void)state;
    publisher_init(publisher, N_READERS);
    publisher_publish(publisher, make(100, 3, 4));
    atomic_store(&stopping, false);
    atomic_store(&n_started, 0);
    for (size_t i = 0; i < N_READERS; i++) {
        readers[i].index = i;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    while (atomic_load(&n_started) < N_READERS)
        sched_yield();
    for (uint64_t version = 2; version <= N_VERSIONS; version++) {
        assert_int_equal(
            publisher_publish(publisher, make(version * 100, 1 + version % 5, 5 + version % 2)),
            version);
        most_retired = n_retired() > most_retired ? n_retired() : most_retired;
        if (version % 16 == 0)
            sched_yield();
    }
    atomic_store(&stopping, true);
    for (size_t i = 0; i < N_READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].n_wrong, 0);
        assert_int_equal(readers[i].last_version, N_VERSIONS);
        assert_true(readers[i].n_taken > 2);
    }
    assert_true(most_retired < N_VERSIONS);
    assert_int_equal(publisher_reclaim(publisher), N_VERSIONS);
    assert_int_equal(n_retired(), 0);
    publisher_done(publisher);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(snapshot_places_the_first_servers_alone),
        TEST(snapshot_of_nobody_places_nothing),
        TEST(snapshot_says_why_it_cannot_be_built),
        TEST(snapshot_places_a_shards_readers_alone),
        TEST(publisher_numbers_snapshots_and_hands_out_the_current_one),
        TEST(publisher_frees_what_no_reader_can_have),
        TEST(publisher_frees_nothing_before_every_reader_has_taken_one),
        TEST(publisher_publishes_under_readers),
    };
    return cmocka_run_group_tests_name("lb snapshot", tests, NULL, NULL);
}
