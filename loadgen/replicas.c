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

static void describe(char text[NAME_MAX_BYTES + 32], const char *server, int64_t n_rows)
{
    snprintf(text, NAME_MAX_BYTES + 32, "%.*s %" PRId64 " rows", NAME_MAX_BYTES, server, n_rows);
}

static int read_shard(const cJSON *node, struct replicas_shard *shard, struct err *err)
{
    const cJSON *replica, *first = NULL;
    int64_t first_rows = 0;
    shard->equal = true;
    cJSON_ArrayForEach (replica, json_get(node, "replicas")) {
        const char *server = json_get_string(replica, "server");
        const cJSON *checksum = json_get(replica, "checksum");
        int64_t n_rows;
        if (!server || !checksum || json_get_int64(replica, "rows", &n_rows) < 0 || n_rows < 0)
            return err_set(err, -EPROTO, "a replica of %s has no server, rows or checksum",
                           shard->name);
        shard->n_replicas++;
        if (!first) {
            first = replica;
            first_rows = n_rows;
            shard->n_rows = (uint64_t)n_rows;
        } else if (shard->equal && (n_rows != first_rows ||
                                    !cJSON_Compare(checksum, json_get(first, "checksum"), true))) {
            shard->equal = false;
            describe(shard->differs[0], server, n_rows);
            describe(shard->differs[1], json_get_string(first, "server"), first_rows);
        }
    }
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
        if (rc == 0 && shard->n_replicas == 0)
            rc = err_set(err, -EPROTO, "GET /cluster/digest has no replica of %s", shard->name);
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
