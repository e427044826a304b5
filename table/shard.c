#include "table/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "table/row.h"

static int compare_low(const void *left, const void *right)
{
    const struct shard *a = left, *b = right;
    return (a->low > b->low) - (a->low < b->low);
}

void shard_sort(struct shard *shards, size_t n)
{
    qsort(shards, n, sizeof(*shards), compare_low);
}

size_t shard_first_from(const struct shard *shards, size_t n, int64_t key)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shards[middle].last < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t shard_find(const struct shard *shards, size_t n, int64_t key)
{
    size_t at = shard_first_from(shards, n, key);
    return at < n && shards[at].low <= key ? at : n;
}

static int check_keys(const cJSON *object, const char *low_name, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, object) {
        if (strcmp(item->string, low_name) != 0 && strcmp(item->string, "Stud_id_low") != 0 &&
            strcmp(item->string, "Shard_id") != 0 && strcmp(item->string, "Shard_size") != 0)
            return err_set(err, -EINVAL,
                           "'%.80s' is not known in a shard: it has \"%s\", \"Shard_id\" and "
                           "\"Shard_size\"",
                           item->string, low_name);
    }
    return 0;
}

int shard_check_name(const char *text, const char *what, struct err *err)
{
    if (!text || !name_valid(text))
        return err_set(err, -EINVAL,
                       "%s no valid name (letters, digits, '_', '.' and '-', at most %d)", what,
                       NAME_MAX_BYTES);
    if (strcmp(text, "status") == 0)
        return err_set(err, -EINVAL,
                       "a shard cannot be called 'status': answers have a member of that name");
    return 0;
}

/* One shard by itself. */
static int read_shard(const cJSON *object, const char *low_name, struct shard *shard,
                      struct err *err)
{
    if (!cJSON_IsObject(object))
        return err_set(err, -EINVAL, "a shard is no JSON object");
    int rc = check_keys(object, low_name, err);
    if (rc != 0)
        return rc;
    const cJSON *name = json_get(object, "Shard_id");
    const cJSON *low = json_get(object, low_name);
    rc = shard_check_name(cJSON_GetStringValue(name), "\"Shard_id\" is missing or", err);
    if (rc != 0)
        return rc;
    snprintf(shard->name, sizeof(shard->name), "%s", name->valuestring);
    int64_t size;
    struct err why = {0};
    rc =
        row_key_from_json(low ? low : json_get(object, "Stud_id_low"), low_name, &shard->low, &why);
    if (rc == 0)
        rc = row_key_from_json(json_get(object, "Shard_size"), "Shard_size", &size, &why);
    if (rc != 0)
        return err_set(err, rc, "shard '%s': %s", shard->name, why.message);
    if (size < 1)
        return err_set(err, -EINVAL, "shard '%s': \"Shard_size\" is %lld: it must be at least 1",
                       shard->name, (long long)size);
    if (__builtin_add_overflow(shard->low, size - 1, &shard->last))
        return err_set(err, -EINVAL, "shard '%s' reaches past the largest key", shard->name);
    return 0;
}

int shard_read_all(const cJSON *array, const char *key_column, struct shard *shards, size_t max,
                   size_t *n, struct err *err)
{
    if (!cJSON_IsArray(array))
        return err_set(err, -EINVAL, "the shards are missing or no array");
    char *low_name = mem_printf("%s_low", key_column);
    size_t n_all = *n;
    int rc = 0;
    const cJSON *object;
    cJSON_ArrayForEach (object, array) {
        if (n_all == max) {
            rc = err_set(err, -EINVAL, "more than %zu shards", max);
            break;
        }
        struct shard *shard = &shards[n_all];
        rc = read_shard(object, low_name, shard, err);
        for (size_t i = 0; i < n_all && rc == 0; i++) {
            const struct shard *other = &shards[i];
            if (strcmp(other->name, shard->name) == 0)
                rc = err_set(err, -EINVAL, "shard '%s' is there already", shard->name);
            else if (other->low <= shard->last && shard->low <= other->last)
                rc = err_set(err, -EINVAL, "shard '%s' overlaps shard '%s'", shard->name,
                             other->name);
        }
        if (rc != 0)
            break;
        n_all++;
    }
    free(low_name);
    if (rc == 0)
        *n = n_all;
    return rc;
}

void shard_print_all(const struct shard *shards, size_t n, const char *key_column, struct buf *out)
{
    buf_append_str(out, "[");
    for (size_t i = 0; i < n; i++)
        buf_appendf(out,
                    "%s{\"%s_low\":%" PRId64 ",\"Shard_id\":\"%s\",\"Shard_size\":%" PRIu64 "}",
                    i > 0 ? "," : "", key_column, shards[i].low, shards[i].name,
                    (uint64_t)shards[i].last - (uint64_t)shards[i].low + 1);
    buf_append_str(out, "]");
}
