/* What the LB answers about itself: CONTRACT.md's /rep and what goes beyond the assignment. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "lb/control.h"
#include "lb/query.h"
#include "lb/writer.h"

#define JSON_TYPE "application/json"

static const char *const state_names[] = {
    [MEMBER_STARTING] = "starting", [MEMBER_CHECKING] = "checking", [MEMBER_FILLING] = "filling",
    [MEMBER_SERVING] = "serving",   [MEMBER_PARTING] = "parting",   [MEMBER_DRAINING] = "draining",
    [MEMBER_LEAVING] = "leaving",
};

void answer_send(struct control *control, struct admin_call *call, unsigned status,
                 const char *content_type)
{
    call->base.type = LETTER_ANSWER;
    call->status = status;
    call->content_type = content_type;
    mailbox_post(worker_mailbox(control->workers[call->base.worker]), &call->base.letter);
}

void answer_refuse(struct control *control, struct admin_call *call, unsigned status,
                   const char *format, ...)
{
    char message[ERR_MESSAGE_BYTES + 8] = "<Error> ";
    va_list args;
    va_start(args, format);
    vsnprintf(message + 8, sizeof(message) - 8, format, args);
    va_end(args);
    buf_append_str(&call->answer, "{\"message\":");
    json_escape(&call->answer, message, strlen(message));
    buf_append_str(&call->answer, ",\"status\":\"failure\"}");
    answer_send(control, call, status, JSON_TYPE);
}

static void send_tree(struct control *control, struct admin_call *call, unsigned status,
                      cJSON *root)
{
    json_print(&call->answer, root, false);
    cJSON_Delete(root);
    answer_send(control, call, status, JSON_TYPE);
}

void answer_rep(struct control *control, struct admin_call *call)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *message = cJSON_AddObjectToObject(root, "message");
    json_add_uint64(message, "N", member_count(control, MEMBER_SERVING));
    cJSON *replicas = cJSON_AddArrayToObject(message, "replicas");
    for (struct member *member = control->members; member; member = member->next)
        if (member->state == MEMBER_SERVING)
            cJSON_AddItemToArray(replicas, cJSON_CreateString(member->name));
    cJSON_AddStringToObject(root, "status", "successful");
    send_tree(control, call, 200, root);
}

/* The first shard that no replica answers for, or NULL. ret_n: how many there are. */
static const struct table_shard *find_unserved(const struct database *database, size_t *ret_n)
{
    const struct table_shard *first = NULL;
    *ret_n = 0;
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        if (shard->operation || database_count(shard, REPLICA_READY) > 0 ||
            database_count(shard, REPLICA_LEAVING) > 0)
            continue;
        if (!first)
            first = shard;
        ++*ret_n;
    }
    return first;
}

/* Readiness: whether requests of every kind can be answered now. (That the process lives is said by
 * its answering at all.) */
void answer_healthz(struct control *control, struct admin_call *call)
{
    size_t n_serving = member_count(control, MEMBER_SERVING);
    size_t n_unserved;
    const struct table_shard *unserved = find_unserved(&control->database, &n_unserved);
    if (n_serving == 0 && control->n_target > 0) {
        answer_refuse(control, call, 503, "none of %zu servers serves", control->n_target);
        return;
    }
    if (unserved) {
        answer_refuse(control, call, 503, "%zu of %zu shards without a replica that serves: %s%s",
                      n_unserved, database_n_seen(&control->database), unserved->range.name,
                      n_unserved > 1 ? ", ..." : "");
        return;
    }
    cJSON *root = cJSON_CreateObject();
    char message[64];
    snprintf(message, sizeof(message), "%zu of %zu servers serve", n_serving, control->n_target);
    cJSON_AddStringToObject(root, "message", message);
    cJSON_AddStringToObject(root, "status", "successful");
    send_tree(control, call, 200, root);
}

/* ---- CONTRACT.md, Part 2 ----------------------------------------------------------------------
 */

void answer_init(struct control *control, struct admin_call *call)
{
    buf_append_str(&call->answer, "{\"message\":\"Configured Database\",\"status\":\"success\"}");
    answer_send(control, call, 200, JSON_TYPE);
}

void answer_add(struct control *control, struct admin_call *call, const char *note)
{
    buf_appendf(&call->answer, "{\"N\":%zu,\"message\":\"%s\",\"status\":\"successful\"}",
                member_count(control, MEMBER_SERVING), note);
    answer_send(control, call, 200, JSON_TYPE);
}

void answer_rm(struct control *control, struct admin_call *call, const char *note)
{
    buf_appendf(&call->answer, "{\"message\":{\"N\":%zu,\"servers\":%s},\"status\":\"successful\"}",
                member_count(control, MEMBER_SERVING), note);
    answer_send(control, call, 200, JSON_TYPE);
}

static void print_shards(const struct database *database, struct buf *out)
{
    struct shard *ranges = mem_zalloc(database->n_shards + 1, sizeof(*ranges));
    size_t n = 0;
    for (size_t i = 0; i < database->n_shards; i++)
        if (!database->shards[i]->operation)
            ranges[n++] = database->shards[i]->range;
    shard_print_all(ranges, n, database->schema.columns[0].name, out);
    free(ranges);
}

static void print_holdings(const struct database *database, const struct member *member,
                           struct buf *out)
{
    size_t n = 0;
    buf_appendf(out, "\"%s\":[", member->name);
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        if (!shard->operation && database_find_replica(shard, member->uid))
            buf_appendf(out, "%s\"%s\"", n++ > 0 ? "," : "", shard->range.name);
    }
    buf_append_str(out, "]");
}

void answer_status(struct control *control, struct admin_call *call)
{
    const struct database *database = &control->database;
    struct buf *out = &call->answer;
    if (!database->configured) {
        answer_refuse(control, call, 409, "there is no database yet: POST /init first");
        return;
    }
    buf_appendf(out, "{\"N\":%zu,\"schema\":", member_count(control, MEMBER_SERVING));
    schema_print(&database->schema, out);
    buf_append_str(out, ",\"shards\":");
    print_shards(database, out);
    buf_append_str(out, ",\"servers\":{");
    size_t n = 0;
    for (struct member *member = control->members; member; member = member->next) {
        if (member->state != MEMBER_SERVING)
            continue;
        buf_append_str(out, n++ > 0 ? "," : "");
        print_holdings(database, member, out);
    }
    buf_append_str(out, "}}");
    answer_send(control, call, 200, JSON_TYPE);
}

/* ShardT(Stud_id_low, Shard_id, Shard_size, valid_idx) and MapT(Shard_id, Server_id), and beside it
 * the server's name and the replica's state. */
static void add_tables(const struct control *control, cJSON *root)
{
    static const char *const names[] = {
        [REPLICA_FILLING] = "filling", [REPLICA_READY] = "ready", [REPLICA_LEAVING] = "leaving"};
    const struct database *database = &control->database;
    cJSON *shards = cJSON_AddArrayToObject(root, "ShardT");
    cJSON *map = cJSON_AddArrayToObject(root, "MapT");
    char *low = mem_printf("%s_low", database->schema.columns[0].name);
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        if (shard->operation)
            continue;
        cJSON *row = cJSON_CreateObject();
        json_add_int64(row, low, shard->range.low);
        cJSON_AddStringToObject(row, "Shard_id", shard->range.name);
        json_add_uint64(row, "Shard_size",
                        (uint64_t)shard->range.last - (uint64_t)shard->range.low + 1);
        json_add_uint64(row, "valid_idx", atomic_load(&shard->live.valid_idx));
        cJSON_AddItemToArray(shards, row);
        for (const struct replica *replica = shard->replicas; replica; replica = replica->next) {
            const struct member *member = member_find((struct control *)control, replica->uid);
            cJSON *held = cJSON_CreateObject();
            cJSON_AddStringToObject(held, "Shard_id", shard->range.name);
            json_add_uint64(held, "Server_id", member->id);
            cJSON_AddStringToObject(held, "server", member->name);
            cJSON_AddStringToObject(held, "state", names[replica->state]);
            cJSON_AddItemToArray(map, held);
        }
    }
    free(low);
}

/* ---- the cluster ------------------------------------------------------------------------------
 */

static uint64_t sum_requests(const struct control *control, const struct member *member)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < control->n_workers; i++)
        sum += __atomic_load_n(&member->counters[i].requests, __ATOMIC_RELAXED);
    return sum;
}

static cJSON *member_json(const struct control *control, const struct member *member)
{
    char text[ADDR_TEXT_BYTES];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", member->name);
    json_add_uint64(object, "id", member->id);
    json_add_uint64(object, "uid", member->uid);
    cJSON_AddStringToObject(object, "state", state_names[member->state]);
    if (member->addr.len != 0) {
        cJSON_AddStringToObject(object, "address", addr_format(&member->addr, text));
        json_add_int64(object, "pid", member->pid);
    }
    json_add_uint64(object, "requests", sum_requests(control, member));
    return object;
}

void answer_cluster(struct control *control, struct admin_call *call)
{
    const struct lb_config *config = control->config;
    const struct snapshot *current = atomic_load(&control->publisher->current);
    cJSON *root = cJSON_CreateObject();
    json_add_uint64(root, "version", current->version);
    json_add_uint64(root, "N", member_count(control, MEMBER_SERVING));
    json_add_uint64(root, "target", control->n_target);
    cJSON_AddStringToObject(root, "placement", config->placement.text);
    cJSON *hash = cJSON_AddObjectToObject(root, "hash");
    cJSON_AddStringToObject(hash, "request", config->hashes.request.text);
    cJSON_AddStringToObject(hash, "server", config->hashes.server.text);
    json_add_uint64(root, "threads", config->n_threads);
    cJSON *servers = cJSON_AddArrayToObject(root, "servers");
    for (struct member *member = control->members; member; member = member->next)
        cJSON_AddItemToArray(servers, member_json(control, member));
    if (control->database.configured)
        add_tables(control, root);
    json_add_uint64(root, "monotonic_ns", clock_now_ns());
    cJSON_AddItemToObject(root, "events", timeline_json(&control->timeline));
    send_tree(control, call, 200, root);
}

void answer_kill(struct control *control, struct admin_call *call)
{
    struct err err = {0};
    cJSON *tree = json_parse_body(buf_head(&call->body), buf_len(&call->body), &err);
    const char *name = tree ? json_get_string(tree, "server") : NULL;
    struct member *member = name ? member_find_name(control, name) : NULL;
    if (!tree) {
        answer_refuse(control, call, 400, "%s", err.message);
    } else if (!name) {
        answer_refuse(control, call, 400, "\"server\" is missing or no string");
    } else if (!member) {
        answer_refuse(control, call, 400, "no server is named '%s'", name);
    } else {
        timeline_add(&control->timeline, TIMELINE_KILLED, member->uid, member->name, NULL);
        /* Told to the spawner alone: its end is to be found out as any other would be. */
        control->spawner->ops->stop(control->spawner, member->uid, 0);
        cJSON *root = cJSON_CreateObject();
        char *message = mem_printf("%s killed", name);
        cJSON_AddStringToObject(root, "message", message);
        cJSON_AddStringToObject(root, "status", "successful");
        free(message);
        send_tree(control, call, 200, root);
    }
    cJSON_Delete(tree);
}

/* ---- metrics ----------------------------------------------------------------------------------
 */

static const struct metric_def worker_table[] = {
    {"quoit_lb_requests_total", METRIC_COUNTER, "requests",
     "Requests taken, the LB's own endpoints included", offsetof(struct worker_metrics, requests),
     0},
    {"quoit_lb_routed_requests_total", METRIC_COUNTER, "requests",
     "Requests given to the placement", offsetof(struct worker_metrics, routed), 0},
    {"quoit_lb_answers_2xx_total", METRIC_COUNTER, "answers",
     "Routed requests answered with a status below 400",
     offsetof(struct worker_metrics, answered_2xx), 0},
    {"quoit_lb_answers_4xx_total", METRIC_COUNTER, "answers",
     "Routed requests answered with a status from 400 to 499",
     offsetof(struct worker_metrics, answered_4xx), 0},
    {"quoit_lb_answers_5xx_total", METRIC_COUNTER, "answers",
     "Routed requests answered with a status of 500 or more",
     offsetof(struct worker_metrics, answered_5xx), 0},
    {"quoit_lb_unknown_paths_total", METRIC_COUNTER, "requests",
     "Requests for a path that no server has", offsetof(struct worker_metrics, unknown_paths), 0},
    {"quoit_lb_retries_total", METRIC_COUNTER, "requests",
     "Requests sent to another server because the connection to one broke",
     offsetof(struct worker_metrics, retries), 0},
    {"quoit_lb_timeouts_total", METRIC_COUNTER, "requests",
     "Requests answered 504 because a server kept its answer to them for too long",
     offsetof(struct worker_metrics, timeouts), 0},
    {"quoit_lb_upstream_failures_total", METRIC_COUNTER, "requests",
     "Requests that a connection to a server broke under",
     offsetof(struct worker_metrics, upstream_failures), 0},
    {"quoit_lb_unroutable_total", METRIC_COUNTER, "requests",
     "Requests answered 503 because no server could be reached",
     offsetof(struct worker_metrics, unroutable), 0},
    {0},
};

static const struct metric_def server_table[] = {
    {"quoit_lb_server_requests_total", METRIC_COUNTER, "requests", "Requests sent to this server",
     offsetof(struct server_counters, requests), 0},
    {"quoit_lb_server_failures_total", METRIC_COUNTER, "requests",
     "Requests to this server that its connection broke under",
     offsetof(struct server_counters, failures), 0},
    {"quoit_lb_server_latency_seconds", METRIC_HISTOGRAM, "seconds",
     "Time from reading a request to reading this server's answer",
     offsetof(struct server_counters, latency), 1e-9},
    {0},
};

static const struct metric_def control_table[] = {
    {"quoit_lb_servers_serving", METRIC_GAUGE, "servers", "Servers in the placement",
     offsetof(struct control_metrics, serving), 0},
    {"quoit_lb_servers_target", METRIC_GAUGE, "servers", "Servers the cluster is to have",
     offsetof(struct control_metrics, target), 0},
    {"quoit_lb_server_deaths_total", METRIC_COUNTER, "servers",
     "Servers that ended, hung or failed to start without being told to",
     offsetof(struct control_metrics, deaths), 0},
    {"quoit_lb_server_starts_total", METRIC_COUNTER, "servers", "Servers the spawner was asked for",
     offsetof(struct control_metrics, starts), 0},
    {"quoit_lb_server_failed_starts_total", METRIC_COUNTER, "servers",
     "Servers that could not be started", offsetof(struct control_metrics, failed_starts), 0},
    {"quoit_lb_snapshots_total", METRIC_COUNTER, "snapshots", "Routing snapshots published",
     offsetof(struct control_metrics, snapshots), 0},
    {"quoit_lb_heartbeats_total", METRIC_COUNTER, "heartbeats", "Heartbeats asked for",
     offsetof(struct control_metrics, probes), 0},
    {"quoit_lb_heartbeats_missed_total", METRIC_COUNTER, "heartbeats",
     "Heartbeats not answered within their interval",
     offsetof(struct control_metrics, missed_probes), 0},
    {"quoit_lb_fenced_servers_total", METRIC_COUNTER, "servers",
     "Servers put out because a change failed on them that other replicas made",
     offsetof(struct control_metrics, fenced), 0},
    {"quoit_lb_demoted_replicas_total", METRIC_COUNTER, "replicas",
     "Replicas taken out because a change failed on them, on servers that have a last replica",
     offsetof(struct control_metrics, demoted), 0},
    {"quoit_lb_lost_shards_total", METRIC_COUNTER, "shards",
     "Shards whose rows went with the last server that held them",
     offsetof(struct control_metrics, lost_shards), 0},
    {"quoit_lb_copies_total", METRIC_COUNTER, "copies",
     "Shard replicas filled, or found to have their rows", offsetof(struct control_metrics, copies),
     0},
    {"quoit_lb_failed_copies_total", METRIC_COUNTER, "copies",
     "Copies of a shard given up, their server with them",
     offsetof(struct control_metrics, failed_copies), 0},
    {"quoit_lb_held_copies_total", METRIC_COUNTER, "copies",
     "Times that changes of a shard waited for the last keys of a copy",
     offsetof(struct control_metrics, held_copies), 0},
    {"quoit_lb_copied_rows_total", METRIC_COUNTER, "rows", "Rows sent to replicas being filled",
     offsetof(struct control_metrics, copied_rows), 0},
    {"quoit_lb_failed_saves_total", METRIC_COUNTER, "saves",
     "Times the state file could not be written", offsetof(struct control_metrics, failed_saves),
     0},
    {0},
};

static const struct metric_set worker_set = {"lb: requests", worker_table,
                                             sizeof(struct worker_metrics)};
static const struct metric_set server_set = {"lb: one server", server_table,
                                             sizeof(struct server_counters)};
static const struct metric_set control_set = {"lb: the cluster", control_table,
                                              sizeof(struct control_metrics)};
METRICS_REGISTER(worker_set);
METRICS_REGISTER(server_set);
METRICS_REGISTER(control_set);

/* A line a serving server; names hold no byte that a label would have to escape. */
static void print_servers(struct control *control, struct buf *out)
{
    struct arena arena;
    arena_init(&arena);
    size_t n = 0, n_serving = member_count(control, MEMBER_SERVING);
    struct metric_row *rows = arena_zalloc(&arena, n_serving + 1, sizeof(*rows));
    for (struct member *member = control->members; member; member = member->next) {
        if (member->state != MEMBER_SERVING)
            continue;
        const void **copies = arena_zalloc(&arena, control->n_workers + 1, sizeof(*copies));
        for (size_t i = 0; i < control->n_workers; i++)
            copies[i] = &member->counters[i];
        rows[n++] = (struct metric_row){
            .labels = arena_printf(&arena, "server=\"%s\"", member->name),
            .copies = copies,
            .n_copies = control->n_workers,
        };
    }
    metrics_print(out, &server_set, rows, n);
    arena_done(&arena);
}

void answer_metrics(struct control *control, struct admin_call *call)
{
    const void *http_copies[LB_MAX_THREADS], *worker_copies[LB_MAX_THREADS];
    const void *query_copies[LB_MAX_THREADS], *writer_copy = NULL;
    for (size_t i = 0; i < control->n_workers; i++) {
        http_copies[i] = worker_http_counters(control->workers[i]);
        worker_copies[i] = worker_metrics(control->workers[i]);
        query_copies[i] = worker_query_metrics(control->workers[i]);
        if (i == 0)
            writer_copy = worker_writer_metrics(control->workers[i]);
    }
    const void *control_copy = &control->metrics;
    struct metric_row http_row = {NULL, http_copies, control->n_workers};
    struct metric_row worker_row = {NULL, worker_copies, control->n_workers};
    struct metric_row query_row = {NULL, query_copies, control->n_workers};
    struct metric_row writer_row = {NULL, &writer_copy, writer_copy ? 1 : 0};
    struct metric_row control_row = {NULL, &control_copy, 1};
    metrics_print(&call->answer, &httpd_metric_set, &http_row, 1);
    metrics_print(&call->answer, &worker_set, &worker_row, 1);
    metrics_print(&call->answer, &query_metric_set, &query_row, 1);
    metrics_print(&call->answer, &writer_metric_set, &writer_row, 1);
    metrics_print(&call->answer, &control_set, &control_row, 1);
    print_servers(control, &call->answer);
    answer_send(control, call, 200, METRICS_CONTENT_TYPE);
}
