#include "tests/support/store_bed.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"

/* ---- schemas ---- */

static const struct schema *parsed(struct schema *schema, const char *text)
{
    if (schema->n_columns == 0)
        assert_int_equal(schema_parse(text, strlen(text), schema, NULL), 0);
    return schema;
}

const struct schema *store_bed_schema(void)
{
    static struct schema schema;
    return parsed(&schema, "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"
                           "\"dtypes\":[\"Number\",\"String\",\"Number\"]}");
}

const struct schema *store_bed_other_schema(void)
{
    static struct schema schema;
    return parsed(&schema, "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\",\"Stud_year\"],"
                           "\"dtypes\":[\"Number\",\"String\",\"Number\",\"Number\"]}");
}

/* ---- rows ---- */

void store_rows_free(struct store_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        free((char *)rows->rows[i].text);
    free(rows->rows);
    *rows = (struct store_rows){0};
}

void store_rows_add_text(struct store_rows *rows, int64_t key, const char *text, size_t n)
{
    if (rows->n == rows->capacity) {
        rows->capacity = rows->capacity ? 2 * rows->capacity : 16;
        rows->rows = mem_realloc(rows->rows, rows->capacity, sizeof(struct row));
    }
    /* Without an end of its own, so that a store that reads on is caught. */
    char *copy = mem_alloc(n);
    memcpy(copy, text, n);
    rows->rows[rows->n++] = (struct row){.key = key, .text = copy, .n_bytes = (uint32_t)n};
}

void store_rows_add(struct store_rows *rows, int64_t key, const char *name, int64_t marks)
{
    char *text =
        mem_printf("{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"%s\",\"Stud_marks\":%" PRId64 "}", key,
                   name, marks);
    store_rows_add_text(rows, key, text, strlen(text));
    free(text);
}

void store_rows_fill(struct store_rows *rows, int64_t first, int64_t step, size_t n, unsigned salt)
{
    char name[64];
    int64_t key = first;
    for (size_t i = 0; i < n; i++) {
        int length = (int)((i + salt) % 40);
        snprintf(name, sizeof(name), "N%u-%zu%.*s", salt, i, length,
                 "abcdefghijklmnopqrstuvwxyzabcdefghijklmn");
        store_rows_add(rows, key, name, (int64_t)i);
        if (i + 1 < n)
            key += step;
    }
}

uint64_t store_rows_checksum(const struct store_rows *rows)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < rows->n; i++)
        sum += row_checksum(rows->rows[i].text, rows->rows[i].n_bytes);
    return sum;
}

void store_rows_assert_equal(const struct store_rows *got, const struct store_rows *wanted)
{
    assert_int_equal(got->n, wanted->n);
    for (size_t i = 0; i < got->n; i++) {
        assert_int_equal(got->rows[i].key, wanted->rows[i].key);
        assert_int_equal(got->rows[i].n_bytes, wanted->rows[i].n_bytes);
        assert_memory_equal(got->rows[i].text, wanted->rows[i].text, wanted->rows[i].n_bytes);
    }
}

/* ---- the bed ---- */

void store_bed_make_dir(char path[STORE_BED_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, STORE_BED_PATH_BYTES, "%s/quoit-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void store_bed_remove_dir(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Keeps the loop alive and gives it turns. */
static void on_tick(struct ev_loop *loop, struct ev_timer *tick, int events)
{
    (void)loop;
    (void)tick;
    (void)events;
}

int store_bed_start(struct store_bed *bed, struct err *err)
{
    struct store_config config = {
        .loop = bed->loop, .flusher = &bed->flusher, .dir = bed->dir, .server = bed->server};
    return store_open(&bed->spec, &config, &bed->store, err);
}

static void lay(struct store_bed *bed, const char *spec)
{
    struct err err = {0};
    *bed = (struct store_bed){0};
    if (store_spec_parse(spec, &bed->spec, &err) != 0)
        fail_msg("%s: %s", spec, err.message);
    /* Always the same: who opens the same folder or database again is the same server. */
    snprintf(bed->server, sizeof(bed->server), "Server1");
    bed->loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&bed->flusher, bed->loop);
    ev_timer_init(&bed->tick, on_tick, 0.05, 0.05);
    ev_timer_start(bed->loop, &bed->tick);
}

static void clear_away(struct store_bed *bed)
{
    store_spec_done(&bed->spec);
    ev_timer_stop(bed->loop, &bed->tick);
    flusher_done(&bed->flusher);
    ev_loop_destroy(bed->loop);
    bed->loop = NULL;
}

int store_bed_open_in(struct store_bed *bed, const char *spec, const char *dir, struct err *err)
{
    lay(bed, spec);
    snprintf(bed->dir, sizeof(bed->dir), "%s", dir);
    int rc = store_bed_start(bed, err);
    if (rc != 0)
        clear_away(bed);
    return rc;
}

void store_bed_open(struct store_bed *bed, const char *spec)
{
    struct err err = {0};
    lay(bed, spec);
    store_bed_make_dir(bed->dir);
    bed->owns_dir = true;
    if (store_bed_start(bed, &err) != 0)
        fail_msg("%s: %s", spec, err.message);
}

void store_bed_shut(struct store_bed *bed)
{
    store_close(bed->store);
    bed->store = NULL;
    assert_int_equal(bed->n_pending, 0);
}

void store_bed_reopen(struct store_bed *bed)
{
    struct err err = {0};
    store_bed_shut(bed);
    if (store_bed_start(bed, &err) != 0)
        fail_msg("%s: %s", bed->spec.parts[0].text, err.message);
}

void store_bed_close(struct store_bed *bed)
{
    store_bed_shut(bed);
    clear_away(bed);
    if (bed->owns_dir)
        store_bed_remove_dir(bed->dir);
}

static bool on_row(struct store_request *request, const struct row *row)
{
    struct store_call *call = (struct store_call *)request;
    assert_false(call->done);
    assert_int_equal(request->op, STORE_READ);
    assert_true(request->low <= row->key && row->key <= request->last);
    if (call->got.n > 0)
        assert_true(call->got.rows[call->got.n - 1].key < row->key);
    if (call->stop_after > 0 && call->got.n == call->stop_after)
        return false;
    store_rows_add_text(&call->got, row->key, row->text, row->n_bytes);
    return true;
}

static void finish(struct store_bed *bed, struct store_call *call)
{
    call->done = true;
    assert_true(call->request.code <= 0);
    if (call->on_done)
        call->on_done(bed, call);
}

static void on_done(struct store_request *request)
{
    struct store_call *call = (struct store_call *)request;
    struct store_bed *bed = request->context;
    assert_false(bed->in_submit);
    assert_true(call->pending);
    call->pending = false;
    bed->n_pending--;
    finish(bed, call);
}

void store_bed_submit(struct store_bed *bed, struct store_call *call)
{
    call->done = false;
    call->request.context = bed;
    call->request.on_row = on_row;
    call->request.on_done = on_done;
    /* What is left of an earlier use must not show. */
    call->request.code = 77;
    call->request.n_rows = 77;
    call->request.checksum = 77;
    call->request.more = true;
    bool outer = bed->in_submit;
    bed->in_submit = true;
    enum store_submit answer = store_submit(bed->store, &call->request);
    bed->in_submit = outer;
    call->pending = answer == STORE_PENDING;
    bed->n_pending += call->pending;
    if (!call->pending)
        finish(bed, call);
}

static void turn_until(struct store_bed *bed, const bool *done, const unsigned *n_pending)
{
    ev_now_update(bed->loop);
    double end = ev_now(bed->loop) + STORE_BED_PATIENCE_S;
    while (done ? !*done : *n_pending > 0) {
        ev_run(bed->loop, EVRUN_ONCE);
        if (ev_now(bed->loop) > end)
            fail_msg("a request was not done in %.0f s", STORE_BED_PATIENCE_S);
    }
}

void store_bed_wait(struct store_bed *bed, const struct store_call *call)
{
    turn_until(bed, &call->done, NULL);
}

void store_bed_wait_all(struct store_bed *bed)
{
    turn_until(bed, NULL, &bed->n_pending);
}

void store_bed_turn(struct store_bed *bed)
{
    ev_run(bed->loop, EVRUN_NOWAIT);
}

int store_bed_run(struct store_bed *bed, struct store_call *call)
{
    store_bed_submit(bed, call);
    store_bed_wait(bed, call);
    return call->request.code;
}

void store_call_done(struct store_call *call)
{
    store_rows_free(&call->got);
}

/* ---- one request each ---- */

struct store_shard *store_bed_create(struct store_bed *bed, const char *name)
{
    struct store_call call = {
        .request = {.op = STORE_CREATE, .name = name, .schema = store_bed_schema()}};
    int code = store_bed_run(bed, &call);
    if (code != 0)
        fail_msg("creating %s: %d %s", name, code, call.request.reason ? call.request.reason : "");
    return call.request.shard;
}

int store_bed_drop(struct store_bed *bed, struct store_shard *shard)
{
    struct store_call call = {.request = {.op = STORE_DROP, .shard = shard}};
    return store_bed_run(bed, &call);
}

int store_bed_insert(struct store_bed *bed, struct store_shard *shard,
                     const struct store_rows *rows)
{
    struct store_call call = {
        .request = {.op = STORE_INSERT, .shard = shard, .rows = rows->rows, .n_rows_in = rows->n}};
    return store_bed_run(bed, &call);
}

static int change_one(struct store_bed *bed, struct store_shard *shard, enum store_op op,
                      int64_t key, const char *name)
{
    struct store_rows rows = {0};
    store_rows_add(&rows, key, name, key % 100);
    struct store_call call = {
        .request = {.op = op, .shard = shard, .rows = rows.rows, .n_rows_in = 1}};
    int code = store_bed_run(bed, &call);
    if (code == -EEXIST)
        assert_int_equal(call.request.key, key);
    store_rows_free(&rows);
    return code;
}

int store_bed_insert_one(struct store_bed *bed, struct store_shard *shard, int64_t key,
                         const char *name)
{
    return change_one(bed, shard, STORE_INSERT, key, name);
}

int store_bed_update_one(struct store_bed *bed, struct store_shard *shard, int64_t key,
                         const char *name)
{
    return change_one(bed, shard, STORE_UPDATE, key, name);
}

int store_bed_delete(struct store_bed *bed, struct store_shard *shard, int64_t key)
{
    struct store_call call = {.request = {.op = STORE_DELETE, .shard = shard, .low = key}};
    return store_bed_run(bed, &call);
}

int store_bed_replace(struct store_bed *bed, struct store_shard *shard, int64_t low, int64_t last,
                      const struct store_rows *rows)
{
    struct store_call call = {.request = {.op = STORE_REPLACE,
                                          .shard = shard,
                                          .low = low,
                                          .last = last,
                                          .rows = rows->rows,
                                          .n_rows_in = rows->n}};
    return store_bed_run(bed, &call);
}

int store_bed_absent(struct store_bed *bed, struct store_shard *shard, int64_t key)
{
    struct row row = {.key = key};
    struct store_call call = {
        .request = {.op = STORE_ABSENT, .shard = shard, .rows = &row, .n_rows_in = 1}};
    return store_bed_run(bed, &call);
}

void store_bed_read(struct store_bed *bed, struct store_shard *shard, int64_t low, int64_t last,
                    struct store_rows *ret_rows)
{
    struct store_call call = {
        .request = {.op = STORE_READ, .shard = shard, .low = low, .last = last}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_false(call.request.more);
    for (size_t i = 0; i < call.got.n; i++)
        store_rows_add_text(ret_rows, call.got.rows[i].key, call.got.rows[i].text,
                            call.got.rows[i].n_bytes);
    store_call_done(&call);
}

uint64_t store_bed_digest(struct store_bed *bed, struct store_shard *shard, int64_t low,
                          int64_t last, uint64_t *ret_checksum)
{
    struct store_call call = {
        .request = {.op = STORE_DIGEST, .shard = shard, .low = low, .last = last}};
    assert_int_equal(store_bed_run(bed, &call), 0);
    assert_false(call.request.more);
    *ret_checksum = call.request.checksum;
    return call.request.n_rows;
}

void store_bed_assert_holds(struct store_bed *bed, struct store_shard *shard,
                            const struct store_rows *wanted)
{
    struct store_rows got = {0};
    uint64_t checksum;
    store_bed_read(bed, shard, INT64_MIN, INT64_MAX, &got);
    store_rows_assert_equal(&got, wanted);
    store_rows_free(&got);
    assert_int_equal(store_bed_digest(bed, shard, INT64_MIN, INT64_MAX, &checksum), wanted->n);
    assert_int_equal(checksum, store_rows_checksum(wanted));
}
