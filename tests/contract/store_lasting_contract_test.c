/* What every store promises over time (backends/store.h), held against every one of the registry
 * (tests/support/store_world.h says which): long random runs against a model, closing, opening
 * again, the death of the process, a limit of its size. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/store_world.h"

/* ---- against a model ---- */

#define MODEL_KEYS 300
#define MODEL_TURNS 2500

struct model {
    struct store_rows rows[MODEL_KEYS]; /* none or one each */
};

/* Ascending in i, with both ends. */
static int64_t model_key(size_t i)
{
    if (i == 0)
        return INT64_MIN;
    if (i == MODEL_KEYS - 1)
        return INT64_MAX;
    return ((int64_t)i - MODEL_KEYS / 2) * 1000003;
}

static void model_set(struct model *model, size_t i, const struct row *row)
{
    store_rows_free(&model->rows[i]);
    if (row)
        store_rows_add_text(&model->rows[i], row->key, row->text, row->n_bytes);
}

static size_t model_count(const struct model *model)
{
    size_t n = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        n += model->rows[i].n;
    return n;
}

/* A row of the i-th key whose text no other has. */
static void add_random_row(struct store_rows *rows, struct rng *rng, size_t i)
{
    char name[256];
    int length = (int)rng_below(rng, 12) == 0 ? (int)rng_below(rng, 200) : (int)rng_below(rng, 30);
    snprintf(name, sizeof(name), "%" PRIx64 "%0*d", rng_next(rng), length, 0);
    store_rows_add(rows, model_key(i), name, (int64_t)rng_below(rng, 1000) - 500);
}

/* Rows of ascending keys among the indexes from … last; their indexes in ret_at. */
static void add_random_rows(struct store_rows *rows, struct rng *rng, size_t from, size_t last,
                            uint64_t gap, size_t *ret_at)
{
    for (size_t i = from + rng_below(rng, gap); i <= last; i += 1 + rng_below(rng, gap)) {
        ret_at[rows->n] = i;
        add_random_row(rows, rng, i);
    }
}

static void model_insert(struct store_world *world, struct model *model, struct rng *rng)
{
    struct store_rows rows = {0};
    size_t at[MODEL_KEYS], from = rng_below(rng, MODEL_KEYS);
    add_random_rows(&rows, rng, from, from, 1, at);
    if (rng_below(rng, 2) == 0)
        for (size_t i = from + 1; i < MODEL_KEYS && rng_below(rng, 12) > 0;
             i += 1 + rng_below(rng, 5)) {
            at[rows.n] = i;
            add_random_row(&rows, rng, i);
        }
    size_t conflict = 0;
    while (conflict < rows.n && model->rows[at[conflict]].n == 0)
        conflict++;
    struct store_call call = {
        .request = {
            .op = STORE_INSERT, .shard = world->shard, .rows = rows.rows, .n_rows_in = rows.n}};
    int code = store_bed_run(&world->bed, &call);
    if (conflict < rows.n) {
        assert_int_equal(code, -EEXIST);
        assert_int_equal(call.request.key, rows.rows[conflict].key);
    } else {
        assert_int_equal(code, 0);
        for (size_t i = 0; i < rows.n; i++)
            model_set(model, at[i], &rows.rows[i]);
        assert_int_equal(call.request.n_rows_now, model_count(model));
    }
    store_rows_free(&rows);
}

static void model_change_one(struct store_world *world, struct model *model, struct rng *rng)
{
    struct store_rows rows = {0};
    size_t i = rng_below(rng, MODEL_KEYS);
    bool update = rng_below(rng, 2) == 0;
    add_random_row(&rows, rng, i);
    struct store_call call =
        store_world_change(world, update ? STORE_UPDATE : STORE_DELETE, &rows, 0);
    int code = store_bed_run(&world->bed, &call);
    assert_int_equal(code, model->rows[i].n > 0 ? 0 : -ENOENT);
    if (code == 0) {
        model_set(model, i, update ? &rows.rows[0] : NULL);
        assert_int_equal(call.request.n_rows_now, model_count(model));
    }
    store_rows_free(&rows);
}

static void model_replace(struct store_world *world, struct model *model, struct rng *rng)
{
    struct store_rows rows = {0};
    size_t at[MODEL_KEYS], from = rng_below(rng, MODEL_KEYS);
    size_t last = from + rng_below(rng, MODEL_KEYS - from);
    if (last > from + 40)
        last = from + 40;
    if (rng_below(rng, 4) > 0)
        add_random_rows(&rows, rng, from, last, 1 + rng_below(rng, 6), at);
    struct store_call call = {.request = {.op = STORE_REPLACE,
                                          .shard = world->shard,
                                          .low = model_key(from),
                                          .last = model_key(last),
                                          .rows = rows.rows,
                                          .n_rows_in = rows.n}};
    assert_int_equal(store_bed_run(&world->bed, &call), 0);
    for (size_t i = from; i <= last; i++)
        model_set(model, i, NULL);
    for (size_t i = 0; i < rows.n; i++)
        model_set(model, at[i], &rows.rows[i]);
    assert_int_equal(call.request.n_rows_now, model_count(model));
    store_rows_free(&rows);
}

static void model_look(struct store_world *world, const struct model *model, struct rng *rng)
{
    size_t from = rng_below(rng, MODEL_KEYS), last = from + rng_below(rng, MODEL_KEYS - from);
    size_t max = rng_below(rng, 3) == 0 ? 1 + rng_below(rng, 60) : 0;
    bool whole = rng_below(rng, 4) == 0;
    if (whole)
        from = 0, last = MODEL_KEYS - 1;
    struct store_call call = {.request = {.op = rng_below(rng, 2) == 0 ? STORE_READ : STORE_DIGEST,
                                          .shard = world->shard,
                                          .low = model_key(from),
                                          .last = model_key(last),
                                          .max_rows = max}};
    assert_int_equal(store_bed_run(&world->bed, &call), 0);
    struct store_rows wanted = {0};
    bool more = false;
    for (size_t i = from; i <= last; i++) {
        if (model->rows[i].n == 0)
            continue;
        more = max > 0 && wanted.n == max;
        if (more)
            break;
        const struct row *row = &model->rows[i].rows[0];
        store_rows_add_text(&wanted, row->key, row->text, row->n_bytes);
    }
    assert_int_equal(call.request.more, more);
    assert_int_equal(call.request.n_rows, wanted.n);
    if (wanted.n > 0 && (call.request.op == STORE_READ || more))
        assert_int_equal(call.request.key, wanted.rows[wanted.n - 1].key);
    if (call.request.op == STORE_READ)
        store_rows_assert_equal(&call.got, &wanted);
    else
        assert_int_equal(call.request.checksum, store_rows_checksum(&wanted));
    store_call_done(&call);
    store_rows_free(&wanted);
}

static void behaves_as_a_plain_array_does(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct model *model = mem_zalloc(1, sizeof(*model));
    struct rng rng;
    rng_seed(&rng, 20261121);
    for (unsigned turn = 0; turn < MODEL_TURNS; turn++) {
        uint64_t what = rng_below(&rng, 100);
        if (what < 45)
            model_insert(world, model, &rng);
        else if (what < 65)
            model_change_one(world, model, &rng);
        else if (what < 75)
            model_replace(world, model, &rng);
        else
            model_look(world, model, &rng);
        if (turn % 500 == 499 && world->caps & STORE_DURABLE) {
            store_bed_reopen(&world->bed);
            world->shard = store_find(world->bed.store, "sh1", 3);
            assert_non_null(world->shard);
        }
    }
    for (size_t i = 0; i < MODEL_KEYS; i++)
        model_set(model, i, NULL);
    free(model);
}

static void digests_as_every_other_store_does(void **state)
{
    struct store_world *world = store_world_keeping(state);
    struct store_bed memory;
    store_bed_open(&memory, "memory");
    struct store_shard *other = store_bed_create(&memory, "elsewhere");
    struct store_rows rows = {0}, some = {0};
    store_rows_fill(&rows, -1000, 3, 700, 1);
    store_rows_fill(&some, -500, 1, 100, 4);
    struct store_bed *beds[] = {&world->bed, &memory};
    struct store_shard *shards[] = {world->shard, other};
    uint64_t n[2], sums[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(store_bed_insert(beds[i], shards[i], &rows), 0);
        assert_int_equal(store_bed_replace(beds[i], shards[i], -500, -350, &some), 0);
        assert_int_equal(store_bed_delete(beds[i], shards[i], -450), 0);
        assert_int_equal(store_bed_update_one(beds[i], shards[i], -1000, "x"), 0);
        assert_int_equal(store_bed_insert(beds[i], shards[i], &rows), -EEXIST);
        n[i] = store_bed_digest(beds[i], shards[i], INT64_MIN, INT64_MAX, &sums[i]);
    }
    assert_int_equal(n[0], n[1]);
    assert_int_equal(sums[0], sums[1]);
    store_bed_close(&memory);
    store_rows_free(&rows);
    store_rows_free(&some);
}

/* ---- ends ---- */

static void finishes_what_is_pending_when_it_is_closed(void **state)
{
    enum { N = 300 };
    struct store_world *world = *state;
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 1, N, 1);
    struct store_call *calls = mem_zalloc(N, sizeof(*calls));
    for (size_t i = 0; i < N; i++) {
        calls[i] = store_world_change(world, i % 3 == 2 ? STORE_READ : STORE_INSERT, &rows, i);
        if (i % 3 == 2)
            calls[i].request.low = INT64_MIN;
        store_bed_submit(bed, &calls[i]);
        if (i == N / 2)
            store_bed_turn(bed);
    }
    store_bed_shut(bed); /* asserts that nothing is pending */
    for (size_t i = 0; i < N; i++) {
        assert_true(calls[i].done);
        assert_int_equal(calls[i].request.code, 0);
        store_call_done(&calls[i]);
    }
    struct err err = {0};
    assert_int_equal(store_bed_start(bed, &err), 0);
    if (world->caps & STORE_DURABLE)
        assert_int_equal(store_bed_absent(bed, store_find(bed->store, "sh1", 3), N - 3), -EEXIST);
    free(calls);
    store_rows_free(&rows);
}

static void finds_everything_when_it_is_opened_again(void **state)
{
    struct store_world *world = store_world_durable(state);
    struct store_bed *bed = &world->bed;
    struct store_rows rows = {0}, others = {0}, none = {0};
    store_rows_fill(&rows, -3000, 3, 2000, 1);
    store_rows_fill(&others, INT64_MAX - 99, 1, 100, 2);
    struct store_shard *other = store_bed_create(bed, "sh2");
    struct store_shard *gone = store_bed_create(bed, "gone");
    store_bed_create(bed, "empty");
    assert_int_equal(store_bed_insert(bed, world->shard, &rows), 0);
    assert_int_equal(store_bed_insert(bed, other, &others), 0);
    assert_int_equal(store_bed_insert(bed, gone, &rows), 0);
    assert_int_equal(store_bed_drop(bed, gone), 0);
    for (int round = 0; round < 3; round++) {
        store_bed_reopen(bed);
        assert_int_equal(bed->store->n_shards, 3);
        assert_null(store_find(bed->store, "gone", 4));
        world->shard = store_find(bed->store, "sh1", 3);
        other = store_find(bed->store, "sh2", 3);
        assert_true(schema_equal(&world->shard->schema, store_bed_schema()));
        store_bed_assert_holds(bed, world->shard, &rows);
        store_bed_assert_holds(bed, other, &others);
        store_bed_assert_holds(bed, store_find(bed->store, "empty", 5), &none);
        /* It is taken up as it is, and goes on. */
        struct store_call call = {
            .request = {.op = STORE_CREATE, .name = "sh2", .schema = store_bed_schema()}};
        assert_int_equal(store_bed_run(bed, &call), 0);
        assert_ptr_equal(call.request.shard, other);
        assert_int_equal(call.request.n_rows_now, others.n);
        call.request.schema = store_bed_other_schema();
        assert_int_equal(store_bed_run(bed, &call), -EINVAL);
        store_rows_add(&rows, 100000 + round, "later", 7);
        struct store_call insert = store_world_change(world, STORE_INSERT, &rows, rows.n - 1);
        assert_int_equal(store_bed_run(bed, &insert), 0);
        assert_int_equal(insert.request.n_rows_now, rows.n);
        store_rows_free(&others);
        store_rows_fill(&others, INT64_MAX - 50, 1, 51, (unsigned)(20 + round));
        assert_int_equal(store_bed_replace(bed, other, INT64_MIN, INT64_MAX, &others), 0);
    }
    store_rows_free(&rows);
    store_rows_free(&others);
}

/* ---- the death of the process ---- */

#define KILL_WINDOW 16

/* What the child tells after each write that was done: the shard's rows up to that key are there.
 */
struct killed {
    struct store_bed bed;
    struct store_shard *shard;
    int64_t next_key;
    int acks;
};

static struct killed child;

/* Each row is inserted, every third one updated, every seventh one deleted again; an answer goes
 * out when its last step is done. */
static void next_step(struct store_bed *bed, struct store_call *call)
{
    int64_t key = call->request.op == STORE_DELETE ? call->request.low : call->request.rows[0].key;
    if (call->request.code != 0)
        _exit(3);
    if (call->request.op == STORE_INSERT && key % 3 == 0) {
        call->request.op = STORE_UPDATE;
    } else if (call->request.op != STORE_DELETE && key % 7 == 0) {
        call->request.op = STORE_DELETE;
        call->request.low = key;
    } else {
        if (write(child.acks, &key, sizeof(key)) != sizeof(key))
            _exit(4);
        key = child.next_key++;
        call->request.op = STORE_INSERT;
    }
    struct row *row = (struct row *)call->request.rows;
    free((char *)row->text);
    row->key = key;
    char *text = mem_printf("{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"%s\",\"Stud_marks\":1}", key,
                            call->request.op == STORE_UPDATE ? "updated" : "inserted");
    row->text = text;
    row->n_bytes = (uint32_t)strlen(text);
    store_bed_submit(bed, call);
}

static void write_until_killed(const char *spec, const char *dir, int acks)
{
    struct err err = {0};
    child.acks = acks;
    if (store_bed_open_in(&child.bed, spec, dir, &err) != 0)
        _exit(2);
    child.shard = store_bed_create(&child.bed, "sh1");
    struct store_call calls[KILL_WINDOW] = {0};
    struct row rows[KILL_WINDOW];
    for (size_t i = 0; i < KILL_WINDOW; i++) {
        int64_t key = child.next_key++;
        char *text = mem_printf(
            "{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"inserted\",\"Stud_marks\":1}", key);
        rows[i] = (struct row){.key = key, .text = text, .n_bytes = (uint32_t)strlen(text)};
        calls[i].request = (struct store_request){
            .op = STORE_INSERT, .shard = child.shard, .rows = &rows[i], .n_rows_in = 1};
        calls[i].on_done = next_step;
        store_bed_submit(&child.bed, &calls[i]);
    }
    store_bed_wait_all(&child.bed); /* there is always one pending */
    _exit(5);
}

static void check_acknowledged(struct store_bed *bed, const bool *acked, int64_t n)
{
    struct store_shard *shard = store_find(bed->store, "sh1", 3);
    struct store_rows got = {0};
    assert_non_null(shard);
    store_bed_read(bed, shard, INT64_MIN, INT64_MAX, &got);
    uint64_t checksum;
    assert_int_equal(store_bed_digest(bed, shard, INT64_MIN, INT64_MAX, &checksum), got.n);
    assert_int_equal(checksum, store_rows_checksum(&got));
    size_t at = 0;
    for (int64_t key = 0; key < n; key++) {
        bool there = at < got.n && got.rows[at].key == key;
        if (acked[key]) {
            assert_int_equal(there, key % 7 != 0);
            if (there)
                assert_int_equal(memmem(got.rows[at].text, got.rows[at].n_bytes, "updated", 7) !=
                                     NULL,
                                 key % 3 == 0);
        }
        at += there;
    }
    store_rows_free(&got);
}

static void loses_nothing_acknowledged_when_it_is_killed(void **state)
{
    enum { N_MAX = 1 << 20, N_ROUNDS = 3 };
    struct store_world *world = store_world_durable(state);
    bool *acked = mem_zalloc(N_MAX, sizeof(*acked));
    int64_t n = 0;
    store_bed_shut(&world->bed);
    for (int round = 0; round < N_ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        child.next_key = n;
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            write_until_killed(world->spec, world->bed.dir, ends[1]);
        }
        close(ends[1]);
        size_t n_acks = 0, wanted = 50 + 400 * (size_t)round;
        int64_t key, first = n;
        while (read(ends[0], &key, sizeof(key)) == sizeof(key) && key < N_MAX - KILL_WINDOW) {
            acked[key] = true;
            n = key + KILL_WINDOW > n ? key + KILL_WINDOW + 1 : n;
            if (++n_acks == wanted)
                kill(pid, SIGKILL); /* and goes on: what was said before counts */
        }
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(n_acks >= wanted && n > first);
        struct err err = {0};
        if (store_bed_start(&world->bed, &err) != 0)
            fail_msg("after SIGKILL: %s", err.message);
        check_acknowledged(&world->bed, acked, n);
        store_bed_shut(&world->bed);
    }
    struct err err = {0};
    assert_int_equal(store_bed_start(&world->bed, &err), 0);
    free(acked);
}

/* ---- a limit ---- */

/* Inserts batches until there is no room: what was taken stays, what was not leaves nothing. */
static void says_when_it_is_full_and_keeps_what_it_has(void **state)
{
    struct store_world *world = *state;
    struct store_bed *bed = &world->bed;
    if (!strstr(world->spec, "max="))
        skip();
    struct store_rows rows = {0};
    char name[2001];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int code = 0;
    size_t n_kept = 0;
    for (int batch = 0; batch < 1000 && code == 0; batch++) {
        n_kept = rows.n;
        for (int64_t i = 0; i < 50; i++)
            store_rows_add(&rows, batch * 50 + i, name, i);
        struct store_rows some = {.rows = rows.rows + n_kept, .n = 50};
        code = store_bed_insert(bed, world->shard, &some);
    }
    assert_int_equal(code, -ENOSPC);
    assert_true(n_kept >= 50);
    while (rows.n > n_kept)
        free((char *)rows.rows[--rows.n].text);
    store_bed_assert_holds(bed, world->shard, &rows);
    /* One that fits is taken beside one that does not. */
    assert_int_equal(store_bed_delete(bed, world->shard, 0), 0);
    assert_int_equal(store_bed_delete(bed, world->shard, 1), 0);
    struct store_rows batch = {0}, small = {0};
    for (int64_t i = 0; i < 5000; i++)
        store_rows_add(&batch, INT64_MAX - 5000 + i, name, i);
    store_rows_add(&small, 0, "small", 0);
    struct store_call calls[3] = {store_world_change(world, STORE_INSERT, &batch, 0),
                                  store_world_change(world, STORE_INSERT, &small, 0),
                                  store_world_change(world, STORE_DELETE, &rows, 2)};
    calls[0].request.n_rows_in = batch.n;
    for (size_t i = 0; i < 3; i++)
        store_bed_submit(bed, &calls[i]);
    store_bed_wait_all(bed);
    assert_int_equal(calls[0].request.code, -ENOSPC);
    assert_int_equal(calls[1].request.code, 0);
    assert_int_equal(calls[2].request.code, 0);
    assert_int_equal(calls[2].request.n_rows_now, n_kept - 2);
    if (world->caps & STORE_DURABLE) {
        store_bed_reopen(bed);
        world->shard = store_find(bed->store, "sh1", 3);
    }
    uint64_t checksum;
    assert_int_equal(store_bed_digest(bed, world->shard, INT64_MIN, INT64_MAX, &checksum),
                     n_kept - 2);
    store_rows_free(&batch);
    store_rows_free(&small);
    store_rows_free(&rows);
}

static const struct CMUnitTest tests[] = {
    STORE_TEST(behaves_as_a_plain_array_does),
    STORE_TEST(digests_as_every_other_store_does),
    STORE_TEST(finishes_what_is_pending_when_it_is_closed),
    STORE_TEST(finds_everything_when_it_is_opened_again),
    STORE_TEST(loses_nothing_acknowledged_when_it_is_killed),
    STORE_TEST(says_when_it_is_full_and_keeps_what_it_has),
};

int main(int argc, char **argv)
{
    return store_world_run_all(argc, argv, tests, sizeof(tests) / sizeof(*tests));
}
