#include "ctl/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/json.h"
#include "core/mem.h"

/* What the tree lacks, while it is read: the first that was missed. */
struct reading {
    const char *lacks;
};

static uint64_t need_number(struct reading *reading, const cJSON *object, const char *key)
{
    int64_t value = 0;
    if ((json_get_int64(object, key, &value) != 0 || value < 0) && !reading->lacks)
        reading->lacks = key;
    return value < 0 ? 0 : (uint64_t)value;
}

static const char *need_string(struct reading *reading, const cJSON *object, const char *key)
{
    const char *text = json_get_string(object, key);
    if (!text && !reading->lacks)
        reading->lacks = key;
    return text;
}

static const cJSON *need_array(struct reading *reading, const cJSON *object, const char *key)
{
    const cJSON *array = json_get(object, key);
    if (!cJSON_IsArray(array) && !reading->lacks)
        reading->lacks = key;
    return cJSON_IsArray(array) ? array : NULL;
}

static struct cluster_server read_server(struct reading *reading, const cJSON *object)
{
    int64_t pid = 0;
    struct cluster_server server = {
        .name = need_string(reading, object, "name"),
        .state = need_string(reading, object, "state"),
        .address = json_get_string(object, "address"),
        .id = need_number(reading, object, "id"),
        .uid = need_number(reading, object, "uid"),
        .requests = need_number(reading, object, "requests"),
    };
    json_get_int64(object, "pid", &pid);
    server.pid = (long)pid;
    server.serving = server.state && strcmp(server.state, "serving") == 0;
    return server;
}

static struct cluster_event read_event(struct reading *reading, const cJSON *object)
{
    return (struct cluster_event){
        .at = need_string(reading, object, "at"),
        .step = need_string(reading, object, "step"),
        .server = need_string(reading, object, "server"),
        .detail = json_get_string(object, "detail"),
        .uid = need_number(reading, object, "uid"),
        .monotonic_ns = need_number(reading, object, "monotonic_ns"),
    };
}

static void read_lists(struct reading *reading, struct cluster *cluster)
{
    const cJSON *servers = need_array(reading, cluster->tree, "servers");
    const cJSON *events = need_array(reading, cluster->tree, "events");
    const cJSON *item;
    cluster->servers =
        mem_zalloc((size_t)cJSON_GetArraySize(servers) + 1, sizeof(*cluster->servers));
    cluster->events = mem_zalloc((size_t)cJSON_GetArraySize(events) + 1, sizeof(*cluster->events));
    cJSON_ArrayForEach (item, servers) {
        cluster->servers[cluster->n_servers] = read_server(reading, item);
        cluster->n_requests += cluster->servers[cluster->n_servers++].requests;
    }
    cJSON_ArrayForEach (item, events) {
        cluster->events[cluster->n_events++] = read_event(reading, item);
    }
}

/* Who holds the shard, as MapT says. */
static void read_replicas(struct reading *reading, const cJSON *map, struct cluster_shard *shard)
{
    struct buf text;
    buf_init(&text, 0);
    const cJSON *item;
    cJSON_ArrayForEach (item, map) {
        const char *of = need_string(reading, item, "Shard_id");
        const char *server = need_string(reading, item, "server");
        const char *state = need_string(reading, item, "state");
        if (reading->lacks || !shard->name || strcmp(of, shard->name) != 0)
            continue;
        bool ready = strcmp(state, "ready") == 0;
        shard->n_ready += ready;
        buf_appendf(&text, "%s%s", buf_len(&text) > 0 ? ", " : "", server);
        if (!ready)
            buf_appendf(&text, " (%s)", state);
    }
    shard->replicas = mem_printf("%.*s", (int)buf_len(&text), buf_head(&text));
    buf_done(&text);
}

/* The key column gives its name to the first member: "Stud_id_low". */
static void read_shards(struct reading *reading, struct cluster *cluster)
{
    const cJSON *shards = json_get(cluster->tree, "ShardT");
    if (!shards)
        return;
    const cJSON *map = need_array(reading, cluster->tree, "MapT"), *item;
    cluster->shards = mem_zalloc((size_t)cJSON_GetArraySize(shards) + 1, sizeof(*cluster->shards));
    cJSON_ArrayForEach (item, shards) {
        struct cluster_shard *shard = &cluster->shards[cluster->n_shards++];
        shard->name = need_string(reading, item, "Shard_id");
        shard->n_rows = need_number(reading, item, "valid_idx");
        uint64_t size = need_number(reading, item, "Shard_size");
        if (!item->child || json_int64(item->child, &shard->low) != 0)
            reading->lacks = "ShardT";
        shard->last = (int64_t)((uint64_t)shard->low + size - 1);
        read_replicas(reading, map, shard);
    }
}

static void find_births(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_events; i++) {
        const struct cluster_event *event = &cluster->events[i];
        for (size_t j = 0; j < cluster->n_servers; j++)
            if (cluster->servers[j].uid == event->uid && strcmp(event->step, "serving") == 0)
                cluster->servers[j].serving_since_ns = event->monotonic_ns;
    }
}

int cluster_read(cJSON *tree, struct cluster *ret_cluster, struct err *err)
{
    struct reading reading = {0};
    struct cluster cluster = {.tree = tree};
    const cJSON *hash = json_get(tree, "hash");
    cluster.version = need_number(&reading, tree, "version");
    cluster.n = need_number(&reading, tree, "N");
    cluster.target = need_number(&reading, tree, "target");
    cluster.threads = need_number(&reading, tree, "threads");
    cluster.monotonic_ns = need_number(&reading, tree, "monotonic_ns");
    cluster.placement = need_string(&reading, tree, "placement");
    cluster.request_hash = need_string(&reading, hash, "request");
    cluster.server_hash = need_string(&reading, hash, "server");
    read_lists(&reading, &cluster);
    read_shards(&reading, &cluster);
    if (reading.lacks) {
        int rc =
            err_set(err, -EPROTO, "the answer to GET /cluster has no usable \"%s\"", reading.lacks);
        cluster_done(&cluster);
        return rc;
    }
    find_births(&cluster);
    *ret_cluster = cluster;
    return 0;
}

int cluster_get(struct caller *caller, struct cluster *ret_cluster, struct err *err)
{
    cJSON *tree;
    int rc = caller_ask_json(caller, "GET", "/cluster", NULL, &tree, err);
    if (rc != 0)
        return rc;
    rc = cluster_read(tree, ret_cluster, err);
    if (rc != 0)
        err_prefix(err, "%s is no quoit load balancer of this version", caller->address);
    return rc;
}

void cluster_done(struct cluster *cluster)
{
    free(cluster->servers);
    free(cluster->events);
    for (size_t i = 0; i < cluster->n_shards; i++)
        free(cluster->shards[i].replicas);
    free(cluster->shards);
    cJSON_Delete(cluster->tree);
    *cluster = (struct cluster){0};
}

const struct cluster_server *cluster_find(const struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->n_servers; i++) {
        const struct cluster_server *server = &cluster->servers[i];
        if (strcmp(server->name, name) == 0 && strcmp(server->state, "draining") != 0 &&
            strcmp(server->state, "leaving") != 0)
            return server;
    }
    return NULL;
}

const struct cluster_server *cluster_find_uid(const struct cluster *cluster, uint64_t uid)
{
    for (size_t i = 0; i < cluster->n_servers; i++)
        if (cluster->servers[i].uid == uid)
            return &cluster->servers[i];
    return NULL;
}
