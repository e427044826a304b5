#include <stdio.h>

#include "core/clock.h"
#include "core/json.h"
#include "loadgen/result.h"

static double ms(uint64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text)
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_settings(cJSON *root, const struct result_settings *settings)
{
    cJSON *object = cJSON_AddObjectToObject(root, "settings");

    add_text(object, "url", settings->url);
    add_text(object, "workload", settings->workload);
    add_text(object, "loop", "closed");
    add_text(object, "client", settings->client);
    json_add_uint64(object, "in_flight", settings->n_in_flight);
    json_add_uint64(object, "requests", settings->measured.n_requests);
    json_add_double(object, "duration_s", seconds(settings->measured.duration_ns));
    json_add_uint64(object, "warmup_requests", settings->warmup.n_requests);
    json_add_double(object, "warmup_s", seconds(settings->warmup.duration_ns));
    json_add_double(object, "timeout_ms", ms(settings->timeout_ns));
    add_text(object, "expect", settings->expect);
    json_add_uint64(object, "seed", settings->seed);
}

static void add_latency(cJSON *root, const struct hist *hist)
{
    static const struct {
        const char *key;
        double percentile;
    } rows[] = {{"p50", 50.}, {"p90", 90.}, {"p99", 99.}, {"p99_9", 99.9}};
    cJSON *object;

    if (hist_count(hist) == 0) {
        cJSON_AddNullToObject(root, "latency_ms");
        return;
    }
    object = cJSON_AddObjectToObject(root, "latency_ms");
    json_add_uint64(object, "count", hist_count(hist));
    json_add_double(object, "min", ms(hist_min(hist)));
    json_add_double(object, "mean", hist_mean(hist) / (double)NS_PER_MS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        json_add_double(object, rows[i].key, ms(hist_percentile(hist, rows[i].percentile)));
    json_add_double(object, "max", ms(hist_max(hist)));
}

static void add_servers(cJSON *root, const struct server_counts *counts)
{
    cJSON *ok = cJSON_AddObjectToObject(root, "servers");
    cJSON *failed = cJSON_AddObjectToObject(root, "servers_failed");

    for (size_t i = 0; i < counts->n_servers; i++) {
        const struct server_count *server = &counts->servers[i];
        if (server->n_ok)
            json_add_uint64(ok, server->name, server->n_ok);
        if (server->n_failed)
            json_add_uint64(failed, server->name, server->n_failed);
    }
    json_add_uint64(root, "unnamed", counts->unnamed.n_ok);
    json_add_uint64(root, "other_servers", counts->others.n_ok);
}

static void add_statuses(cJSON *root, const uint64_t *n_by_status)
{
    cJSON *object = cJSON_AddObjectToObject(root, "statuses");

    for (int status = 0; status < RESULT_N_STATUSES; status++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", status);
        if (n_by_status[status])
            json_add_uint64(object, key, n_by_status[status]);
    }
}

static void add_errors(cJSON *root, const struct result *result)
{
    cJSON *object = cJSON_AddObjectToObject(root, "errors");

    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++) {
        char hint[256];
        cJSON *error;
        if (result->n_by_verdict[v] == 0)
            continue;
        error = cJSON_AddObjectToObject(object, verdict_name((enum verdict)v));
        json_add_uint64(error, "count", result->n_by_verdict[v]);
        add_text(error, "example", result->examples[v]);
        add_text(error, "hint", verdict_hint((enum verdict)v, result->address, hint, sizeof(hint)));
    }
}

static void add_times(cJSON *root, const struct result *result)
{
    char text[CLOCK_ISO_BYTES];
    uint64_t duration_ns = result->ended_ns > result->started_ns && result->started_ns
                               ? result->ended_ns - result->started_ns
                               : 0;

    if (result->started_wall_ns) {
        clock_format_iso(result->started_wall_ns, text);
        add_text(root, "started", text);
        clock_format_iso(result->started_wall_ns + duration_ns, text);
        add_text(root, "ended", text);
    } else {
        add_text(root, "started", NULL);
        add_text(root, "ended", NULL);
    }
    json_add_double(root, "duration_s", result_duration_s(result));
}

cJSON *result_json(const struct result *result)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *object;

    add_text(root, "kind", "load");
    json_add_uint64(root, "schema_version", RESULT_SCHEMA_VERSION);
    add_settings(root, &result->settings);
    add_times(root, result);
    cJSON_AddBoolToObject(root, "interrupted", result->interrupted);
    json_add_uint64(root, "requests", result_requests(result));
    json_add_uint64(root, "ok", result->n_ok);
    json_add_uint64(root, "failed", result->n_failed);
    json_add_uint64(root, "abandoned", result->n_abandoned);
    json_add_uint64(root, "warmup", result->n_warmup);
    json_add_double(root, "rate", result_rate(result));
    json_add_uint64(root, "body_bytes", result->n_body_bytes);
    add_latency(root, result->latency);
    add_servers(root, &result->servers);
    add_statuses(root, result->n_by_status);
    add_errors(root, result);
    object = cJSON_AddObjectToObject(root, "connections");
    json_add_uint64(object, "opened", result->connections.n_connections);
    json_add_uint64(object, "resent", result->connections.n_resent);
    object = cJSON_AddObjectToObject(root, "generator");
    json_add_double(object, "cpu_us_per_request", result_cpu_us_per_request(result));
    json_add_double(object, "cpu_share", result_cpu_share(result));
    return root;
}
