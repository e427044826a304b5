#include "loadgen/replicas.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"

#define PAUSE_NS (200 * NS_PER_MS)

/* ---- reading ----------------------------------------------------------------------------------
 */

static const char *text_of(const cJSON *node)
{
    return cJSON_IsString(node) ? node->valuestring : "?";
}

/* One replica, and how it differs from the first: "" when it does not. */
static int read_replica(const cJSON *replica, const cJSON *first, struct replicas_shard *shard,
                        struct err *err)
{
    const char *server = json_get_string(replica, "server");
    const char *error = json_get_string(replica, "error");
    const cJSON *checksum = json_get(replica, "checksum");
    int64_t n_rows = 0;
    if (!server ||
        (!error && (!checksum || json_get_int64(replica, "rows", &n_rows) < 0 || n_rows < 0)))
        return err_set(err, -EPROTO,
                       "GET /cluster/digest: a replica of %s has no server, rows or checksum",
                       shard->name);
    if (replica == first)
        shard->n_rows = (uint64_t)n_rows;
    if (error)
        snprintf(shard->differs, REPLICAS_TEXT_BYTES, "%.64s did not tell: %.128s", server, error);
    else if (!shard->differs[0] && ((uint64_t)n_rows != shard->n_rows ||
                                    !cJSON_Compare(checksum, json_get(first, "checksum"), true)))
        snprintf(shard->differs, REPLICAS_TEXT_BYTES,
                 "%.64s has %" PRIu64 " rows, checksum %.16s, and %.64s has %" PRIu64
                 " rows, %.16s",
                 server, (uint64_t)n_rows, text_of(checksum), text_of(json_get(first, "server")),
                 shard->n_rows, text_of(json_get(first, "checksum")));
    return 0;
}

static int read_shard(const cJSON *node, struct replicas_shard *shard, struct err *err)
{
    const cJSON *replicas = json_get(node, "replicas"), *replica;
    cJSON_ArrayForEach (replica, replicas) {
        int rc = read_replica(replica, replicas->child, shard, err);
        if (rc < 0)
            return rc;
        shard->n_replicas++;
    }
    if (shard->n_replicas == 0)
        snprintf(shard->differs, REPLICAS_TEXT_BYTES, "no replica serves");
    shard->equal = !shard->differs[0];
    return 0;
}

static const cJSON *find_shard(const cJSON *shards, const char *name)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, shards) {
        const char *has = json_get_string(node, "shard");
        if (has && strcmp(has, name) == 0)
            return node;
    }
    return NULL;
}

int replicas_parse(const char *text, size_t n, const struct target *target,
                   struct replicas *ret_replicas, struct err *err)
{
    struct replicas replicas = {.compared = true, .equal = true, .n_shards = target->n_shards};
    int rc = 0;
    cJSON *tree = json_parse(text, n, err);
    if (!tree) {
        err_prefix(err, "GET /cluster/digest is no JSON");
        return -EPROTO;
    }
    replicas.shards = mem_zalloc(target->n_shards + 1, sizeof(*replicas.shards));
    for (size_t i = 0; i < target->n_shards && rc == 0; i++) {
        struct replicas_shard *shard = &replicas.shards[i];
        memcpy(shard->name, target->shards[i].name, sizeof(shard->name));
        rc = read_shard(find_shard(json_get(tree, "shards"), shard->name), shard, err);
        replicas.equal &= shard->equal;
        replicas.n_short += shard->n_replicas < target->shards[i].n_replicas;
    }
    cJSON_Delete(tree);
    if (rc < 0)
        replicas_done(&replicas);
    else
        *ret_replicas = replicas;
    return rc;
}

void replicas_done(struct replicas *replicas)
{
    free(replicas->shards);
    *replicas = (struct replicas){.compared = false};
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static int ask(struct inquiry *inquiry, const struct target *target, struct replicas *ret_replicas,
               struct err *err)
{
    struct buf *body;
    int status;
    int rc = inquiry_ask(inquiry, "GET", "/cluster/digest", NULL, &status, &body, err);
    if (rc < 0)
        return rc;
    if (status == 200)
        return replicas_parse(buf_head(body), buf_len(body), target, ret_replicas, err);
    if (status == 400 || status == 404 || status == 405) {
        *ret_replicas = (struct replicas){.compared = false};
        return 0;
    }
    return err_set(err, -EIO, "GET /cluster/digest: HTTP %d: %.160s", status, buf_str(body));
}

int replicas_compare(struct inquiry *inquiry, const struct target *target, uint64_t patience_ns,
                     struct replicas *ret_replicas, struct err *err)
{
    const uint64_t give_up_ns = clock_now_ns() + patience_ns;
    for (;;) {
        struct replicas replicas = {.compared = false};
        int rc = ask(inquiry, target, &replicas, err);
        bool settled = rc == 0 && (!replicas.compared || (replicas.equal && replicas.n_short == 0));
        if (rc == -EINTR)
            return rc;
        if (settled || clock_now_ns() >= give_up_ns) {
            if (rc == 0)
                *ret_replicas = replicas;
            else
                err->code = -EIO;
            return rc == 0 ? 0 : -EIO;
        }
        replicas_done(&replicas);
        rc = inquiry_pause(inquiry, PAUSE_NS, err);
        if (rc < 0)
            return rc;
    }
}
