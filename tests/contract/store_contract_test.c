/* What every store promises of its requests (backends/store.h), held against every one of the
 * registry (tests/support/store_world.h says which): shards, changes, many at a time. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/store_world.h"

/* ---- shards ---- */

static void creates_a_shard_with_name_and_schema(void **state)
{
    struct store_world *world = *state;
    struct store_bed *bed = &world->bed;
    assert_string_equal(world->shard->name, "sh1");
    assert_true(schema_equal(&world->shard->schema, store_bed_schema()));
    assert_ptr_equal(store_find(bed->store, "sh1", 3), world->shard);
    assert_null(store_find(bed->store, "sh", 2));
    assert_null(store_find(bed->store, "sh12", 4));
    struct store_shard *other = store_bed_create(bed, "Other-1.x_y");
    assert_ptr_not_equal(other, world->shard);
    assert_int_equal(bed->store->n_shards, 2);
}

static void takes_a_shard_that_is_there_with_its_rows(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    assert_int_equal(store_bed_insert_one(bed, world->shard, 1, "a"), 0);
    assert_int_equal(store_bed_insert_one(bed, world->shard, 2, "b"), 0);
    struct store_call call = {
        .request = {.op = STORE_CREATE, .name = "sh1", .schema = store_bed_schema()}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_ptr_equal(call.request.shard, world->shard);
    assert_int_equal(call.request.n_rows_now, 2);
    assert_int_equal(bed->store->n_shards, 1);
}

static void refuses_a_shard_that_is_there_with_another_schema(void **state)
{
    struct store_world *world = *state;
    struct store_bed *bed = &world->bed;
    store_bed_insert_one(bed, world->shard, 1, "a");
    struct store_call call = {
        .request = {.op = STORE_CREATE, .name = "sh1", .schema = store_bed_other_schema()}};
    assert_int_equal(store_bed_run(bed, &call), -EINVAL);
    assert_true(schema_equal(&world->shard->schema, store_bed_schema()));
    if (!(world->caps & STORE_FORGETS))
        assert_int_equal(store_bed_absent(bed, world->shard, 1), -EEXIST);
}

static void keeps_shards_apart(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_shard *other = store_bed_create(bed, "sh2");
    struct store_rows rows = {0}, others = {0};
    store_rows_fill(&rows, 0, 2, 50, 1);
    store_rows_fill(&others, 0, 3, 70, 2);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    assert_int_equal(store_bed_insert(bed, other, &others), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    store_bed_assert_holds(bed, other, &others);
    store_rows_free(&rows);
    store_rows_free(&others);
}

static void drops_a_shard_while_others_live(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_shard *other = store_bed_create(bed, "sh2");
    struct store_rows rows = {0}, none = {0};
    store_rows_fill(&rows, 0, 1, 500, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    assert_int_equal(store_bed_insert(bed, other, &rows), 0);
    assert_int_equal(store_bed_drop(bed, world->shard), 0);
    assert_null(store_find(bed->store, "sh1", 3));
    assert_int_equal(bed->store->n_shards, 1);
    store_bed_assert_holds(bed, other, &rows);
    /* Its name is free again, for another schema too. */
    struct store_call call = {
        .request = {.op = STORE_CREATE, .name = "sh1", .schema = store_bed_other_schema()}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_int_equal(call.request.n_rows_now, 0);
    store_bed_assert_holds(bed, call.request.shard, &none);
    world->shard = call.request.shard;
    store_rows_free(&rows);
}

static void drops_and_makes_again_in_one_go(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows none = {0};
    assert_int_equal(store_bed_insert_one(bed, world->shard, 1, "a"), 0);
    struct store_call drop = {.request = {.op = STORE_DROP, .shard = world->shard}};
    struct store_call create = {
        .request = {.op = STORE_CREATE, .name = "sh3", .schema = store_bed_schema()}};
    struct store_call again = create;
    store_bed_submit(bed, &drop);
    store_bed_submit(bed, &create);
    store_bed_submit(bed, &again);
    store_bed_wait_all(bed);
    assert_int_equal(drop.request.code, 0);
    assert_int_equal(create.request.code, 0);
    assert_int_equal(again.request.code, 0);
    assert_ptr_equal(create.request.shard, again.request.shard);
    assert_int_equal(bed->store->n_shards, 1);
    store_bed_assert_holds(bed, create.request.shard, &none);
}

static void holds_many_shards(void **state)
{
    enum { N_SHARDS = 200 };
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_call *calls = mem_zalloc(N_SHARDS, sizeof(*calls));
    char names[N_SHARDS][16];
    for (size_t i = 0; i < N_SHARDS; i++) {
        snprintf(names[i], sizeof(names[i]), "many%zu", i);
        calls[i].request.op = STORE_CREATE;
        calls[i].request.name = names[i];
        calls[i].request.schema = store_bed_schema();
        store_bed_submit(bed, &calls[i]);
    }
    store_bed_wait_all(bed);
    for (size_t i = 0; i < N_SHARDS; i++) {
        assert_int_equal(calls[i].request.code, 0);
        assert_string_equal(calls[i].request.shard->name, names[i]);
        assert_ptr_equal(store_find(bed->store, names[i], strlen(names[i])),
                         calls[i].request.shard);
    }
    assert_int_equal(store_bed_insert_one(bed, calls[7].request.shard, 7, "x"), 0);
    assert_int_equal(store_bed_absent(bed, calls[7].request.shard, 7), -EEXIST);
    assert_int_equal(store_bed_absent(bed, calls[8].request.shard, 7), 0);
    free(calls);
}

/* ---- changes ---- */

static void inserts_and_tells_how_many_there_are(void **state)
{
    struct store_world *world = *state;
    struct store_rows rows = {0}, more = {0};
    store_rows_fill(&rows, 0, 1, 3, 1);
    store_rows_fill(&more, 10, 1, 40, 1);
    struct store_call call = {
        .request = {
            .op = STORE_INSERT, .shard = world->shard, .rows = rows.rows, .n_rows_in = rows.n}};
    assert_int_equal(store_bed_run(&world->bed, &call), 0);
    assert_int_equal(call.request.n_rows_now, 3);
    call.request.rows = more.rows;
    call.request.n_rows_in = more.n;
    assert_int_equal(store_bed_run(&world->bed, &call), 0);
    assert_int_equal(call.request.n_rows_now, 43);
    store_rows_free(&rows);
    store_rows_free(&more);
}

static void keeps_copies_of_the_texts(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_rows rows = {0}, wanted = {0};
    store_rows_fill(&rows, -5, 1, 20, 1);
    store_rows_fill(&wanted, -5, 1, 20, 1);
    assert_int_equal(store_bed_insert(&world->bed, world->shard, &rows), 0);
    for (size_t i = 0; i < rows.n; i++)
        memset((char *)rows.rows[i].text, '#', rows.rows[i].n_bytes);
    store_rows_free(&rows);
    store_bed_assert_holds(&world->bed, world->shard, &wanted);
    store_rows_free(&wanted);
}

static void refuses_a_batch_with_a_key_that_is_there_whole(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows there = {0}, rows = {0};
    store_rows_fill(&there, 100, 7, 30, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &there), 0);
    /* The conflict first, in the middle, last; two of them: the smaller one is told. */
    static const struct {
        int64_t first, step;
        size_t n;
        int64_t conflict;
    } batches[] = {{100, 1, 5, 100}, {101, 3, 20, 107},    {90, 5, 3, 100},
                   {303, 1, 1, 303}, {1, 303 - 1, 2, 303}, {93, 7, 200, 100}};
    for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
        store_rows_fill(&rows, batches[i].first, batches[i].step, batches[i].n, 9);
        struct store_call call = {
            .request = {
                .op = STORE_INSERT, .shard = world->shard, .rows = rows.rows, .n_rows_in = rows.n}};
        assert_int_equal(store_bed_run(bed, &call), -EEXIST);
        assert_int_equal(call.request.key, batches[i].conflict);
        store_bed_assert_holds(bed, world->shard, &there);
        store_rows_free(&rows);
    }
    store_rows_free(&there);
}

static void updates_only_what_is_there(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows wanted = {0};
    assert_int_equal(store_bed_update_one(bed, world->shard, 5, "a"), -ENOENT);
    assert_int_equal(store_bed_insert_one(bed, world->shard, 5, "a"), 0);
    assert_int_equal(store_bed_update_one(bed, world->shard, 4, "b"), -ENOENT);
    assert_int_equal(store_bed_update_one(bed, world->shard, 5, "b"), 0);
    assert_int_equal(store_bed_update_one(bed, world->shard, 5, "much longer than before"), 0);
    assert_int_equal(store_bed_update_one(bed, world->shard, 5, "short"), 0);
    assert_int_equal(store_bed_update_one(bed, world->shard, 5, "short"), 0); /* as it is */
    store_rows_add(&wanted, 5, "short", 5);
    store_bed_assert_holds(bed, world->shard, &wanted);
    store_rows_free(&wanted);
}

static void deletes_only_what_is_there(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows none = {0};
    assert_int_equal(store_bed_delete(bed, world->shard, 5), -ENOENT);
    assert_int_equal(store_bed_insert_one(bed, world->shard, 5, "a"), 0);
    struct store_call call = {.request = {.op = STORE_DELETE, .shard = world->shard, .low = 5}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_int_equal(call.request.n_rows_now, 0);
    assert_int_equal(store_bed_delete(bed, world->shard, 5), -ENOENT);
    store_bed_assert_holds(bed, world->shard, &none);
    assert_int_equal(store_bed_insert_one(bed, world->shard, 5, "again"), 0);
}

static void replaces_a_range_and_leaves_the_rest(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, some = {0}, none = {0}, wanted = {0};
    store_rows_fill(&rows, 0, 10, 100, 1); /* 0 … 990 */
    assert_int_equal(store_bed_replace(bed, world->shard, INT64_MIN, INT64_MAX, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    /* As it is. */
    assert_int_equal(store_bed_replace(bed, world->shard, 0, 990, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);

    store_rows_fill(&some, 205, 5, 10, 2); /* 205 … 250: new, changed */
    struct store_call call = {.request = {.op = STORE_REPLACE,
                                          .shard = world->shard,
                                          .low = 200,
                                          .last = 300,
                                          .rows = some.rows,
                                          .n_rows_in = some.n}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_int_equal(call.request.n_rows_now, 100 - 11 + 10);
    for (size_t i = 0; i < 20; i++)
        store_rows_add_text(&wanted, rows.rows[i].key, rows.rows[i].text, rows.rows[i].n_bytes);
    for (size_t i = 0; i < some.n; i++)
        store_rows_add_text(&wanted, some.rows[i].key, some.rows[i].text, some.rows[i].n_bytes);
    for (size_t i = 31; i < 100; i++)
        store_rows_add_text(&wanted, rows.rows[i].key, rows.rows[i].text, rows.rows[i].n_bytes);
    store_bed_assert_holds(bed, world->shard, &wanted);

    /* Nothing to nothing, all to nothing. */
    assert_int_equal(store_bed_replace(bed, world->shard, 201, 204, &none), 0);
    store_bed_assert_holds(bed, world->shard, &wanted);
    assert_int_equal(store_bed_replace(bed, world->shard, INT64_MIN, INT64_MAX, &none), 0);
    store_bed_assert_holds(bed, world->shard, &none);
    store_rows_free(&rows);
    store_rows_free(&some);
    store_rows_free(&wanted);
}

static void tells_the_smallest_key_that_is_not_absent(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 10, 100, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    struct row asked[] = {{.key = -7}, {.key = 5}, {.key = 310}, {.key = 311}, {.key = 990}};
    struct store_call call = {
        .request = {.op = STORE_ABSENT, .shard = world->shard, .rows = asked, .n_rows_in = 5}};
    assert_int_equal(store_bed_run(bed, &call), -EEXIST);
    assert_int_equal(call.request.key, 310);
    asked[2].key = 309;
    assert_int_equal(store_bed_run(bed, &call), -EEXIST);
    assert_int_equal(call.request.key, 990);
    asked[4].key = INT64_MAX;
    assert_int_equal(store_bed_run(bed, &call), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    store_rows_free(&rows);
}

static void holds_the_ends_of_the_key_range(void **state)
{
    static const int64_t keys[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    enum { N = sizeof(keys) / sizeof(*keys) };
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, got = {0};
    uint64_t checksum;
    for (size_t i = 0; i < N; i++)
        store_rows_add(&rows, keys[i], "end", 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    store_bed_assert_holds(bed, world->shard, &rows);
    for (size_t i = 0; i < N; i++) {
        store_bed_read(bed, world->shard, keys[i], keys[i], &got);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.rows[0].key, keys[i]);
        store_rows_free(&got);
        assert_int_equal(store_bed_digest(bed, world->shard, keys[i], INT64_MAX, &checksum), N - i);
        assert_int_equal(store_bed_digest(bed, world->shard, INT64_MIN, keys[i], &checksum), i + 1);
        assert_int_equal(store_bed_insert_one(bed, world->shard, keys[i], "no"), -EEXIST);
        assert_int_equal(store_bed_update_one(bed, world->shard, keys[i], "end"), 0);
    }
    struct store_rows none = {0};
    assert_int_equal(store_bed_replace(bed, world->shard, INT64_MAX, INT64_MAX, &none), 0);
    assert_int_equal(store_bed_replace(bed, world->shard, INT64_MIN, INT64_MIN, &none), 0);
    for (size_t i = 1; i < N - 1; i++)
        assert_int_equal(store_bed_delete(bed, world->shard, keys[i]), 0);
    store_bed_assert_holds(bed, world->shard, &none);
    store_rows_free(&rows);
}

/* ---- many at a time ---- */

static void does_what_is_asked_of_a_shard_in_order(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, two = {0}, wanted = {0};
    store_rows_add(&rows, 1, "first", 1);
    store_rows_add(&rows, 1, "second", 1);
    store_rows_add(&rows, 1, "third", 1);
    store_rows_add(&two, 1, "two", 1);
    store_rows_add(&two, 2, "two", 1);
    static const struct {
        enum store_op op;
        size_t at;
        int code;
    } steps[] = {
        {STORE_UPDATE, 0, -ENOENT}, {STORE_DELETE, 0, -ENOENT}, {STORE_ABSENT, 0, 0},
        {STORE_INSERT, 0, 0},       {STORE_INSERT, 1, -EEXIST}, {STORE_ABSENT, 1, -EEXIST},
        {STORE_UPDATE, 1, 0},       {STORE_DELETE, 0, 0},       {STORE_ABSENT, 1, 0},
        {STORE_UPDATE, 2, -ENOENT}, {STORE_INSERT, 2, 0},       {STORE_REPLACE, 0, 0},
        {STORE_UPDATE, 2, 0},
    };
    enum { N = sizeof(steps) / sizeof(*steps) };
    struct store_call calls[N];
    for (size_t i = 0; i < N; i++) {
        calls[i] = store_world_change(world, steps[i].op, &rows, steps[i].at);
        store_bed_submit(bed, &calls[i]);
    }
    /* One that fails among those that do not; its first row must not stay. */
    struct store_call batch = {
        .request = {
            .op = STORE_INSERT, .shard = world->shard, .rows = two.rows, .n_rows_in = two.n}};
    store_bed_submit(bed, &batch);
    struct store_call after = store_world_change(world, STORE_INSERT, &two, 1);
    store_bed_submit(bed, &after);
    store_bed_wait_all(bed);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(calls[i].request.code, steps[i].code);
    assert_int_equal(batch.request.code, -EEXIST);
    assert_int_equal(batch.request.key, 1);
    assert_int_equal(after.request.code, 0);
    assert_int_equal(after.request.n_rows_now, 2);
    store_rows_add(&wanted, 1, "third", 1);
    store_rows_add(&wanted, 2, "two", 1);
    store_bed_assert_holds(bed, world->shard, &wanted);
    store_rows_free(&rows);
    store_rows_free(&two);
    store_rows_free(&wanted);
}

static void takes_thousands_at_once(void **state)
{
    enum { N = 3000, N_SHARDS = 3 };
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_shard *shards[N_SHARDS] = {world->shard, store_bed_create(bed, "sh2"),
                                            store_bed_create(bed, "sh3")};
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 1, N, 1);
    struct store_call *calls = mem_zalloc(N * N_SHARDS, sizeof(*calls));
    for (size_t i = 0; i < N * N_SHARDS; i++) {
        calls[i] = store_world_change(world, STORE_INSERT, &rows, i / N_SHARDS * 7 % N);
        calls[i].request.shard = shards[i % N_SHARDS];
        store_bed_submit(bed, &calls[i]);
        if (i % 500 == 0)
            store_bed_turn(bed);
    }
    store_bed_wait_all(bed);
    for (size_t i = 0; i < N * N_SHARDS; i++)
        assert_int_equal(calls[i].request.code, 0);
    for (size_t i = 0; i < N_SHARDS; i++)
        store_bed_assert_holds(bed, shards[i], &rows);
    free(calls);
    store_rows_free(&rows);
}

/* Ten large reads, of far more than a page, with writes between them. */
static void reads_much_while_it_is_written_to(void **state)
{
    enum { N = 20000, N_READS = 10 };
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, later = {0};
    store_rows_fill(&rows, 0, 1, N, 1);
    store_rows_fill(&later, N, 1, N_READS, 1);
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    struct store_call reads[N_READS] = {0}, writes[N_READS];
    for (size_t i = 0; i < N_READS; i++) {
        reads[i].request = (struct store_request){
            .op = STORE_READ, .shard = world->shard, .low = 0, .last = N - 1};
        store_bed_submit(bed, &reads[i]);
        writes[i] = store_world_change(world, STORE_INSERT, &later, i);
        store_bed_submit(bed, &writes[i]);
    }
    store_bed_wait_all(bed);
    for (size_t i = 0; i < N_READS; i++) {
        assert_int_equal(writes[i].request.code, 0);
        assert_int_equal(reads[i].request.code, 0);
        assert_int_equal(reads[i].request.n_rows, N);
        store_rows_assert_equal(&reads[i].got, &rows);
        store_call_done(&reads[i]);
    }
    store_rows_free(&rows);
    store_rows_free(&later);
}

struct chain {
    const struct store_rows *rows;
    size_t n;
};

static struct chain chain;

static void insert_the_next(struct store_bed *bed, struct store_call *call)
{
    assert_int_equal(call->request.code, 0);
    /* Those that are done within submit() would go deeper with each. */
    if (!bed->in_submit && ++chain.n < chain.rows->n) {
        call->request.rows = &chain.rows->rows[chain.n];
        store_bed_submit(bed, call);
    }
}

static void may_be_asked_again_from_on_done(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 1, 50, 1);
    chain = (struct chain){.rows = &rows};
    struct store_call call = store_world_change(world, STORE_INSERT, &rows, 0);
    call.on_done = insert_the_next;
    store_bed_submit(bed, &call);
    if (call.done) {
        store_rows_free(&rows);
        skip();
    }
    store_bed_wait_all(bed);
    while (chain.n < rows.n && call.pending)
        store_bed_wait(bed, &call);
    assert_int_equal(chain.n, rows.n);
    store_bed_assert_holds(bed, world->shard, &rows);
    store_rows_free(&rows);
}

static const struct CMUnitTest tests[] = {
    STORE_TEST(creates_a_shard_with_name_and_schema),
    STORE_TEST(takes_a_shard_that_is_there_with_its_rows),
    STORE_TEST(refuses_a_shard_that_is_there_with_another_schema),
    STORE_TEST(keeps_shards_apart),
    STORE_TEST(drops_a_shard_while_others_live),
    STORE_TEST(drops_and_makes_again_in_one_go),
    STORE_TEST(holds_many_shards),
    STORE_TEST(inserts_and_tells_how_many_there_are),
    STORE_TEST(keeps_copies_of_the_texts),
    STORE_TEST(refuses_a_batch_with_a_key_that_is_there_whole),
    STORE_TEST(updates_only_what_is_there),
    STORE_TEST(deletes_only_what_is_there),
    STORE_TEST(replaces_a_range_and_leaves_the_rest),
    STORE_TEST(tells_the_smallest_key_that_is_not_absent),
    STORE_TEST(holds_the_ends_of_the_key_range),
    STORE_TEST(does_what_is_asked_of_a_shard_in_order),
    STORE_TEST(takes_thousands_at_once),
    STORE_TEST(reads_much_while_it_is_written_to),
    STORE_TEST(may_be_asked_again_from_on_done),
};

int main(int argc, char **argv)
{
    return store_world_run_all(argc, argv, tests, sizeof(tests) / sizeof(*tests));
}
