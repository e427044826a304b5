#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/json.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

static void add_replica(struct table *table, const cJSON *shard, const cJSON *replica, bool first)
{
    bool equal = cJSON_IsTrue(json_get(shard, "equal"));
    const char *error = json_get_string(replica, "error");
    const char *server = json_get_string(replica, "server");
    const char *checksum = json_get_string(replica, "checksum");
    int64_t n_rows;
    table_add(table, STYLE_PLAIN, "%s", first ? json_get_string(shard, "shard") : "");
    table_add(table, STYLE_PLAIN, "%s", server ? server : "");
    if (json_get_int64(replica, "rows", &n_rows) == 0)
        table_add(table, STYLE_PLAIN, "%" PRId64, n_rows);
    else
        table_add(table, STYLE_PLAIN, "%s", "");
    table_add(table, STYLE_PLAIN, "%s", checksum ? checksum : "");
    table_add(table, equal ? STYLE_GREEN : STYLE_RED, "%s",
              error   ? error
              : equal ? "equal"
                      : "differs");
}

/* Returns how many shards are not equal. */
static size_t add_shards(struct table *table, const cJSON *shards)
{
    const cJSON *shard, *replica;
    size_t n_unequal = 0;
    cJSON_ArrayForEach (shard, shards) {
        const cJSON *replicas = json_get(shard, "replicas");
        n_unequal += !cJSON_IsTrue(json_get(shard, "equal"));
        cJSON_ArrayForEach (replica, replicas)
            add_replica(table, shard, replica, replica == replicas->child);
        if (cJSON_GetArraySize(replicas) > 0)
            continue;
        table_add(table, STYLE_PLAIN, "%s", json_get_string(shard, "shard"));
        for (size_t i = 0; i < 3; i++)
            table_add(table, STYLE_PLAIN, "%s", "");
        table_add(table, STYLE_RED, "%s", "no replica serves");
    }
    return n_unequal;
}

static bool is_answer(const cJSON *tree)
{
    const cJSON *shards = json_get(tree, "shards"), *shard;
    if (!cJSON_IsBool(json_get(tree, "equal")) || !cJSON_IsArray(shards))
        return false;
    cJSON_ArrayForEach (shard, shards)
        if (!json_get_string(shard, "shard") || !cJSON_IsArray(json_get(shard, "replicas")))
            return false;
    return true;
}

int ctl_digest(struct ctl *ctl, struct err *err)
{
    static const char *const heads[] = {"SHARD", "SERVER", ">ROWS", "CHECKSUM", "STATE"};
    cJSON *tree;
    struct table table;
    struct buf out;
    if (ctl->caller.timeout_ns == 0) /* every row may be counted, and writes waited for */
        ctl->caller.timeout_ns = CALL_CHANGE_TIMEOUT_NS;
    int rc = caller_ask_json(&ctl->caller, "GET", "/cluster/digest", NULL, &tree, err);
    if (rc != 0)
        return rc;
    if (!is_answer(tree)) {
        cJSON_Delete(tree);
        return err_set(err, -EPROTO, "%s answers /cluster/digest with something else",
                       ctl->caller.address);
    }
    buf_init(&out, 0);
    table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
    size_t n_unequal = add_shards(&table, json_get(tree, "shards"));
    if (ctl->json) {
        ctl_print_json(tree);
    } else {
        table_print(&table, &ctl->style, &out);
        ctl_print(&out);
        cJSON_Delete(tree);
    }
    table_done(&table);
    buf_done(&out);
    if (n_unequal == 0)
        return 0;
    return err_set(err, -EBADE, "the replicas of %zu shard%s are not equal", n_unequal,
                   n_unequal == 1 ? "" : "s");
}
