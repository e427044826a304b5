#include "lb/change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "table/batch.h"
#include "table/plain.h"

/* What a call keeps for the next change: of the words for servers, of the rest. */
#define KEEP_BYTES ((size_t)16 * 1024)
#define KEEP_ARENA_BYTES ((size_t)64 * 1024)

struct reading {
    const struct snapshot *snapshot;
    struct change *change;
    struct buf rows_text; /* the rows' texts, in the order of the request */
    struct row *rows;
    size_t n_rows;
};

static const char *key_column(const struct reading *reading)
{
    return reading->snapshot->schema->columns[0].name;
}

/* ---- the body ---------------------------------------------------------------------------------
 */

/* The object, whose members are all among a and b (NULL: none). */
static cJSON *read_object(struct http_view body, const char *a, const char *b, struct err *err)
{
    cJSON *tree = json_parse_body(body.at, body.len, err);
    const cJSON *member = NULL, *stranger = NULL;
    cJSON_ArrayForEach (member, tree)
        if (strcmp(member->string, a) != 0 && (!b || strcmp(member->string, b) != 0))
            stranger = member;
    if (!stranger)
        return tree;
    err_set(err, -EINVAL, "\"%.80s\" is not known here", stranger->string);
    cJSON_Delete(tree);
    return NULL;
}

static int read_row(struct reading *reading, const cJSON *object, struct row *row, struct err *err)
{
    size_t n_before = buf_len(&reading->rows_text);
    int rc = row_from_json(reading->snapshot->schema, object, &reading->rows_text, &row->key, err);
    if (rc == 0)
        row->n_bytes = (uint32_t)(buf_len(&reading->rows_text) - n_before);
    return rc;
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

/* In the order of their keys; -EINVAL: one is there twice. */
static int order_rows(struct reading *reading, struct err *err)
{
    struct row *rows = reading->rows;
    size_t n = reading->n_rows, i = 1;
    while (i < n && rows[i - 1].key < rows[i].key)
        i++;
    if (i >= n)
        return 0;
    qsort(rows, n, sizeof(*rows), compare_rows);
    for (i = 1; i < n; i++)
        if (rows[i - 1].key == rows[i].key)
            return err_set(err, -EINVAL, "%s %lld is twice in the request", key_column(reading),
                           (long long)rows[i].key);
    return 0;
}

static int read_rows(struct reading *reading, const cJSON *array, struct err *err)
{
    int n = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (n == 0)
        return err_set(err, -EINVAL, "\"data\" is missing, empty or no array of rows");
    reading->rows = arena_alloc(&reading->change->arena, (size_t)n * sizeof(struct row));
    const cJSON *object;
    cJSON_ArrayForEach (object, array) {
        int rc = read_row(reading, object, &reading->rows[reading->n_rows], err);
        if (rc != 0) {
            err_prefix(err, "row %zu of \"data\"", reading->n_rows + 1);
            return rc;
        }
        reading->n_rows++;
    }
    /* Only now: the texts have moved while they grew. */
    const char *text = buf_head(&reading->rows_text);
    for (size_t i = 0; i < reading->n_rows; i++) {
        reading->rows[i].text = text;
        text += reading->rows[i].n_bytes;
    }
    return 0;
}

/* /update and /del: the key, and the row that it is to have. */
static int read_keyed(struct reading *reading, const cJSON *tree, struct err *err)
{
    const char *column = key_column(reading);
    struct row *row = arena_zalloc(&reading->change->arena, 1, sizeof(*row));
    int64_t key;
    reading->rows = row;
    reading->n_rows = 1;
    int rc = row_key_from_json(json_get(tree, column), column, &key, err);
    if (rc != 0 || reading->change->type == CHANGE_DELETE) {
        row->key = key;
        return rc;
    }
    const cJSON *data = json_get(tree, "data");
    if (!data)
        return err_set(err, -EINVAL, "\"data\" is missing");
    rc = read_row(reading, data, row, err);
    if (rc != 0) {
        err_prefix(err, "\"data\"");
        return rc;
    }
    row->text = buf_head(&reading->rows_text);
    if (row->key != key)
        return err_set(err, -EINVAL, "the row's %s is %lld: an update does not change the key %lld",
                       column, (long long)row->key, (long long)key);
    return 0;
}

/* ---- the words for servers --------------------------------------------------------------------
 */

static void put_part(struct change *change, const char *shard, const struct row *rows, size_t n)
{
    switch (change->type) {
    case CHANGE_WRITE:
        batch_put_insert(&change->text, shard, n);
        break;
    case CHANGE_UPDATE:
        batch_put_update(&change->text, shard);
        break;
    case CHANGE_DELETE:
        batch_put_delete(&change->text, shard, rows[0].key);
        return;
    }
    for (size_t i = 0; i < n; i++)
        batch_put_row(&change->text, rows[i].key, rows[i].text, rows[i].n_bytes);
}

/* Cuts the rows, which ascend, by shard. */
static int split(struct reading *reading, struct err *err)
{
    const struct snapshot *snapshot = reading->snapshot;
    struct change *change = reading->change;
    size_t n_most = reading->n_rows < snapshot->n_shards ? reading->n_rows : snapshot->n_shards;
    change->parts = arena_zalloc(&change->arena, n_most + 1, sizeof(*change->parts));
    change->keys = arena_alloc(&change->arena, reading->n_rows * sizeof(*change->keys));
    for (size_t i = 0; i < reading->n_rows;) {
        const struct row *rows = &reading->rows[i];
        size_t shard = shard_find(snapshot->ranges, snapshot->n_shards, rows[0].key), n = 0;
        if (shard == snapshot->n_shards)
            return err_set(err, -EINVAL, "no shard holds %s %lld", key_column(reading),
                           (long long)rows[0].key);
        const struct shard *range = &snapshot->ranges[shard];
        struct change_part *part = &change->parts[change->n_parts++];
        part->shard = *range;
        part->keys = change->keys + i;
        for (; i < reading->n_rows && reading->rows[i].key <= range->last; i++, n++)
            change->keys[i] = reading->rows[i].key;
        part->n_keys = n;
        size_t n_before = buf_len(&change->text);
        put_part(change, range->name, rows, n);
        part->n_bytes = buf_len(&change->text) - n_before;
    }
    change->n_keys = reading->n_rows;
    const char *text = buf_head(&change->text); /* only now: it has moved while it grew */
    for (size_t i = 0; i < change->n_parts; i++) {
        change->parts[i].text = text;
        text += change->parts[i].n_bytes;
    }
    return 0;
}

static int read_tree(struct reading *reading, struct http_view body, struct err *err)
{
    enum change_type type = reading->change->type;
    cJSON *tree = read_object(body, type == CHANGE_WRITE ? "data" : key_column(reading),
                              type == CHANGE_UPDATE ? "data" : NULL, err);
    if (!tree)
        return -EINVAL;
    int rc = type == CHANGE_WRITE ? read_rows(reading, json_get(tree, "data"), err)
                                  : read_keyed(reading, tree, err);
    cJSON_Delete(tree);
    return rc;
}

static bool read_plain(struct reading *reading, struct http_view body)
{
    return reading->change->type == CHANGE_WRITE && body.len > 0 &&
           plain_read_rows(reading->snapshot->schema, body.at, body.len, &reading->change->arena,
                           &reading->rows, &reading->n_rows);
}

unsigned change_read(const struct snapshot *snapshot, enum change_type type, struct http_view body,
                     struct change *change, struct err *err)
{
    struct reading reading = {.snapshot = snapshot, .change = change};
    change->type = type;
    buf_init(&reading.rows_text, 0);
    int rc = read_plain(&reading, body) ? 0 : read_tree(&reading, body, err);
    if (rc == 0)
        rc = order_rows(&reading, err);
    if (rc == 0)
        rc = split(&reading, err);
    if (rc == 0 && reading.n_rows > CHANGE_MAX_ROWS)
        rc = err_set(err, -EMSGSIZE, "%zu rows are more than %u: send fewer at a time",
                     reading.n_rows, CHANGE_MAX_ROWS);
    if (rc == 0 && buf_len(&change->text) > CHANGE_MAX_BYTES)
        rc = err_set(err, -EMSGSIZE, "the rows come to more than %u MiB: send fewer at a time",
                     CHANGE_MAX_BYTES >> 20);
    buf_done(&reading.rows_text);
    if (rc == 0)
        return 0;
    change_reset(change);
    return rc == -EMSGSIZE ? 413 : 400;
}

void change_reset(struct change *change)
{
    buf_clear(&change->text);
    buf_shrink(&change->text, KEEP_BYTES);
    if (arena_bytes(&change->arena) <= KEEP_ARENA_BYTES)
        arena_reset(&change->arena);
    else
        arena_done(&change->arena);
    change->n_keys = change->n_parts = 0;
    change->keys = NULL;
    change->parts = NULL;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

void change_call_reset(struct change_call *call)
{
    change_reset(&call->change);
    call->home = NULL;
    call->exchange = NULL;
    call->status = 0;
    call->message[0] = call->reason[0] = '\0';
}

void change_call_free(struct change_call *call)
{
    buf_done(&call->change.text);
    arena_done(&call->change.arena);
    free(call);
}

void change_call_succeed(struct change_call *call)
{
    const struct change *change = &call->change;
    call->status = 200;
    switch (change->type) {
    case CHANGE_WRITE:
        snprintf(call->message, sizeof(call->message), "%zu Data entries added", change->n_keys);
        break;
    case CHANGE_UPDATE: /* with the blank that CONTRACT.md has here, and not below */
        snprintf(call->message, sizeof(call->message), "Data entry for %s: %lld updated",
                 call->key_column, (long long)change->keys[0]);
        break;
    case CHANGE_DELETE:
        snprintf(call->message, sizeof(call->message),
                 "Data entry with %s:%lld removed from all replicas", call->key_column,
                 (long long)change->keys[0]);
        break;
    }
}

void change_call_fail(struct change_call *call, unsigned status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    call->status = status;
    vsnprintf(call->reason, sizeof(call->reason), format, args);
    va_end(args);
}
