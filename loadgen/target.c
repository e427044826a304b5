#include "loadgen/target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"

#define COLUMNS_TEXT "StudT(Stud_id Number, Stud_name String, Stud_marks)"

/* ---- reading ----------------------------------------------------------------------------------
 */

static bool holds_text(const cJSON *array, int at, const char *text)
{
    const char *has = cJSON_GetStringValue(cJSON_GetArrayItem(array, at));
    return has && strcmp(has, text) == 0;
}

/* Marks may be Number or String: a number is taken and answered as that either way (CONTRACT.md).
 */
static int check_schema(const cJSON *schema, struct err *err)
{
    const cJSON *columns = json_get(schema, "columns"), *types = json_get(schema, "dtypes");
    if (cJSON_GetArraySize(columns) == 3 && cJSON_GetArraySize(types) == 3 &&
        holds_text(columns, 0, "Stud_id") && holds_text(columns, 1, "Stud_name") &&
        holds_text(columns, 2, "Stud_marks") && holds_text(types, 0, "Number") &&
        holds_text(types, 1, "String"))
        return 0;
    struct buf text;
    buf_init(&text, 0);
    if (schema)
        json_print(&text, schema, false);
    err_set(err, -EINVAL, "its table is not the example's, " COLUMNS_TEXT ", but %.160s",
            schema ? buf_str(&text) : "none");
    buf_done(&text);
    return -EINVAL;
}

static int read_shard(const cJSON *node, struct target_shard *shard, struct err *err)
{
    const char *name = json_get_string(node, "Shard_id");
    int64_t size = 0;
    if (!name || strlen(name) > NAME_MAX_BYTES ||
        json_get_int64(node, "Stud_id_low", &shard->low) < 0 ||
        json_get_int64(node, "Shard_size", &size) < 0 || size < 1 ||
        __builtin_add_overflow(shard->low, size - 1, &shard->last))
        return err_set(err, -EPROTO, "a shard of it has no Shard_id, Stud_id_low or Shard_size");
    memcpy(shard->name, name, strlen(name) + 1);
    return 0;
}

static int compare_shards(const void *a, const void *b)
{
    int64_t x = ((const struct target_shard *)a)->low, y = ((const struct target_shard *)b)->low;
    return (x > y) - (x < y);
}

static void count_replicas(const cJSON *servers, struct target *target)
{
    const cJSON *server, *shard;
    cJSON_ArrayForEach (server, servers)
        cJSON_ArrayForEach (shard, server)
            for (size_t i = 0; i < target->n_shards; i++)
                target->shards[i].n_replicas +=
                    cJSON_IsString(shard) &&
                    strcmp(shard->valuestring, target->shards[i].name) == 0;
}

static int read_tree(const cJSON *tree, struct target *target, struct err *err)
{
    const cJSON *shards = json_get(tree, "shards"), *node;
    if (!cJSON_IsArray(shards) || !cJSON_IsObject(json_get(tree, "schema")))
        return err_set(err, -EPROTO, "it tells no schema and no shards");
    int rc = check_schema(json_get(tree, "schema"), err);
    if (rc < 0)
        return rc;
    target->shards = mem_zalloc((size_t)cJSON_GetArraySize(shards) + 1, sizeof(*target->shards));
    cJSON_ArrayForEach (node, shards) {
        rc = read_shard(node, &target->shards[target->n_shards], err);
        if (rc < 0)
            return rc;
        target->n_shards++;
    }
    qsort(target->shards, target->n_shards, sizeof(*target->shards), compare_shards);
    for (size_t i = 1; i < target->n_shards; i++)
        if (target->shards[i].low <= target->shards[i - 1].last)
            return err_set(err, -EPROTO, "its shards %s and %s overlap", target->shards[i - 1].name,
                           target->shards[i].name);
    count_replicas(json_get(tree, "servers"), target);
    return 0;
}

int target_parse(const char *text, size_t n, struct target *ret_target, struct err *err)
{
    struct target target = {.n_shards = 0};
    cJSON *tree = json_parse(text, n, err);
    if (!tree) {
        err_prefix(err, "its answer is no JSON");
        return -EPROTO;
    }
    int rc = read_tree(tree, &target, err);
    cJSON_Delete(tree);
    if (rc < 0)
        target_done(&target);
    else
        *ret_target = target;
    return rc;
}

int target_ask(struct inquiry *inquiry, struct target *ret_target, struct err *err)
{
    struct buf *body;
    int status;
    int rc = inquiry_ask(inquiry, "GET", "/status", NULL, &status, &body, err);
    if (rc < 0)
        return rc;
    if (status == 409)
        return err_set(err, -ENOTCONN, "there is no database yet: POST /init first");
    if (status != 200)
        return err_set(err, -EPROTO,
                       "it is no load balancer with a database: GET /status is answered %d",
                       status);
    return target_parse(buf_head(body), buf_len(body), ret_target, err);
}

void target_done(struct target *target)
{
    free(target->shards);
    *target = (struct target){.n_shards = 0};
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

uint64_t target_room(const struct target *target, int64_t low)
{
    uint64_t room = 0;
    for (size_t i = 0; i < target->n_shards; i++) {
        const struct target_shard *shard = &target->shards[i];
        if (shard->last < low)
            continue;
        if (shard->low > low)
            break;
        room += (uint64_t)shard->last - (uint64_t)low + 1;
        if (shard->last == INT64_MAX)
            break;
        low = shard->last + 1;
    }
    return room;
}

int target_check_range(const struct target *target, int64_t low, int64_t last, struct err *err)
{
    uint64_t room = target_room(target, low), wanted = (uint64_t)last - (uint64_t)low + 1;
    if (room >= wanted)
        return 0;
    if (target->n_shards == 0)
        return err_set(err, -ERANGE, "the database has no shard");
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < target->n_shards && i < 8; i++)
        buf_appendf(&text, "%s%s %" PRId64 " to %" PRId64, i > 0 ? ", " : "",
                    target->shards[i].name, target->shards[i].low, target->shards[i].last);
    err_set(err, -ERANGE,
            "keys %" PRId64 " to %" PRId64 " are asked for, and no shard holds %" PRId64
            "; there are %s%s",
            low, last, low + (int64_t)room, buf_str(&text), target->n_shards > 8 ? ", …" : "");
    buf_done(&text);
    return -ERANGE;
}
