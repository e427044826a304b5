#include <stdio.h>

#include "core/clock.h"
#include "core/json.h"
#include "loadgen/result.h"
#include "loadgen/threshold.h"
#include "loadgen/trust.h"
#include "loadgen/verification.h"

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

static void add_number_or_null(cJSON *object, const char *key, bool known, double value)
{
    if (known)
        json_add_double(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_settings(cJSON *root, const struct result_settings *settings)
{
    cJSON *object = cJSON_AddObjectToObject(root, "settings");

    add_text(object, "url", settings->url);
    add_text(object, "workload", settings->workload);
    add_text(object, "loop", settings->plan ? "open" : "closed");
    add_text(object, "client", settings->client);
    json_add_uint64(object, "threads", settings->n_threads ? settings->n_threads : 1);
    json_add_uint64(object, "in_flight", settings->n_in_flight);
    json_add_uint64(object, "requests", settings->measured.n_requests);
    json_add_double(object, "duration_s", seconds(settings->measured.duration_ns));
    json_add_uint64(object, "warmup_requests", settings->warmup.n_requests);
    json_add_double(object, "warmup_s", seconds(settings->warmup.duration_ns));
    json_add_double(object, "timeout_ms", ms(settings->timeout_ns));
    add_text(object, "expect", settings->expect);
    json_add_uint64(object, "seed", settings->seed);
    add_text(object, "method", settings->method ? settings->method : "GET");
    add_text(object, "keys", settings->keys);
    add_text(object, "key_header", settings->key_header);
    add_text(object, "trace", settings->trace);
    if (settings->plan) {
        add_number_or_null(object, "rate", settings->rate > 0., settings->rate);
        add_text(object, "arrivals",
                 settings->arrivals == ARRIVALS_POISSON ? "poisson" : "constant");
        json_add_double(object, "ramp_s", seconds(settings->ramp_ns));
        add_text(object, "stages", settings->stages);
        json_add_double(object, "max_lag_ms", ms(settings->max_lag_ns));
        json_add_double(object, "lag_bound_ms", ms(settings->lag_bound_ns));
    } else {
        static const char *const open_only[] = {"rate",   "arrivals",   "ramp_s",
                                                "stages", "max_lag_ms", "lag_bound_ms"};
        for (size_t i = 0; i < sizeof(open_only) / sizeof(*open_only); i++)
            cJSON_AddNullToObject(object, open_only[i]);
    }
    add_text(object, "verify", settings->verify);
}

/* hist may be NULL. */
static void add_hist(cJSON *root, const char *key, const struct hist *hist)
{
    static const struct {
        const char *key;
        double percentile;
    } rows[] = {{"p50", 50.}, {"p90", 90.}, {"p99", 99.}, {"p99_9", 99.9}};
    cJSON *object;

    if (!hist || hist_count(hist) == 0) {
        cJSON_AddNullToObject(root, key);
        return;
    }
    object = cJSON_AddObjectToObject(root, key);
    json_add_uint64(object, "count", hist_count(hist));
    json_add_double(object, "min", ms(hist_min(hist)));
    json_add_double(object, "mean", hist_mean(hist) / (double)NS_PER_MS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        json_add_double(object, rows[i].key, ms(hist_percentile(hist, rows[i].percentile)));
    json_add_double(object, "max", ms(hist_max(hist)));
}

static void add_open(cJSON *root, const struct result *result)
{
    cJSON *object;

    if (!result->settings.plan) {
        cJSON_AddNullToObject(root, "open");
        return;
    }
    object = cJSON_AddObjectToObject(root, "open");
    json_add_uint64(object, "scheduled", result->n_scheduled);
    json_add_uint64(object, "late", result->n_late);
    json_add_double(object, "late_share", result_late_share(result));
    json_add_uint64(object, "dropped", result->n_dropped);
    json_add_double(object, "rate_scheduled", result_rate_scheduled(result));
    json_add_double(object, "rate_sent", result_rate_sent(result));
    add_hist(object, "lag_ms", result->lag);
    add_hist(object, "wait_ms", result->wait);
}

static void add_stages(cJSON *root, const struct result *result)
{
    const struct arrivals_plan *plan = result->settings.plan;
    cJSON *stages = cJSON_AddArrayToObject(root, "stages");

    if (result_n_stages(result) < 2)
        return;
    for (size_t i = 0; i < plan->n_segments; i++) {
        const struct arrivals_segment *segment = &plan->segments[i];
        const struct result_stage *stage = &result->stages[i];
        double duration_s = result_stage_duration_s(result, i);
        cJSON *object;

        if (segment->warmup)
            continue;
        object = cJSON_CreateObject();
        json_add_double(object, "rate_from", segment->rate_from);
        json_add_double(object, "rate_to", segment->rate_to);
        json_add_double(object, "duration_s", duration_s);
        json_add_uint64(object, "scheduled", stage->n_scheduled);
        json_add_uint64(object, "ok", stage->n_ok);
        json_add_uint64(object, "failed", stage->n_failed);
        json_add_uint64(object, "late", stage->n_late);
        json_add_uint64(object, "dropped", stage->n_dropped);
        json_add_double(object, "rate", duration_s > 0. ? (double)stage->n_ok / duration_s : 0.);
        add_hist(object, "latency_ms", stage->latency);
        add_hist(object, "service_ms", stage->service);
        cJSON_AddItemToArray(stages, object);
    }
}

/* Of the database workloads: rows beside requests, and the kinds of requests apart. */
static void add_operations(cJSON *root, const struct result *result)
{
    const char *const *names = result->settings.operations;
    const double duration_s = result_duration_s(result);
    cJSON *rows, *operations;

    if (!names) {
        cJSON_AddNullToObject(root, "rows");
        cJSON_AddArrayToObject(root, "operations");
        return;
    }
    rows = cJSON_AddObjectToObject(root, "rows");
    json_add_uint64(rows, "read", result->n_rows_read);
    json_add_uint64(rows, "written", result->n_rows_written);
    json_add_double(rows, "read_rate", result_rate_of(result->n_rows_read, duration_s));
    json_add_double(rows, "write_rate", result_rate_of(result->n_rows_written, duration_s));
    operations = cJSON_AddArrayToObject(root, "operations");
    for (size_t i = 0; names[i]; i++) {
        const struct result_operation *operation = &result->operations[i];
        cJSON *object;
        if (operation->n_ok == 0 && operation->n_failed == 0)
            continue;
        object = cJSON_CreateObject();
        add_text(object, "name", names[i]);
        json_add_uint64(object, "ok", operation->n_ok);
        json_add_uint64(object, "failed", operation->n_failed);
        json_add_double(object, "rate", result_rate_of(operation->n_ok, duration_s));
        add_hist(object, "latency_ms", operation->latency);
        cJSON_AddItemToArray(operations, object);
    }
}

static void add_generator(cJSON *root, const struct result *result)
{
    cJSON *object = cJSON_AddObjectToObject(root, "generator");
    cJSON *threads;

    json_add_double(object, "cpu_us_per_request", result_cpu_us_per_request(result));
    json_add_double(object, "cpu_share", result_cpu_share(result));
    threads = cJSON_AddArrayToObject(object, "threads");
    for (uint32_t i = 0; i < result->n_threads; i++) {
        cJSON *thread = cJSON_CreateObject();
        json_add_uint64(thread, "requests", result->threads[i].n_requests);
        json_add_double(thread, "cpu_share", result_thread_cpu_share(&result->threads[i]));
        json_add_double(thread, "busy_share", result_thread_busy_share(&result->threads[i]));
        cJSON_AddItemToArray(threads, thread);
    }
}

static void add_thresholds(cJSON *root, const struct result *result)
{
    cJSON *thresholds = cJSON_AddArrayToObject(root, "thresholds");

    for (size_t i = 0; i < result->n_thresholds; i++) {
        const struct threshold_outcome *outcome = &result->thresholds[i];
        cJSON *object = cJSON_CreateObject();
        add_text(object, "fail_if", outcome->threshold->text);
        add_number_or_null(object, "value", outcome->known, outcome->value);
        add_text(object, "unit", threshold_unit(outcome->threshold));
        cJSON_AddBoolToObject(object, "missed", outcome->missed);
        cJSON_AddItemToArray(thresholds, object);
    }
}

static void add_verdict(cJSON *root, const struct result *result)
{
    cJSON *object = cJSON_AddObjectToObject(root, "verdict");
    cJSON *reasons, *warnings;
    struct trust trust;

    trust_judge(result, &trust);
    cJSON_AddBoolToObject(object, "valid", trust.valid);
    reasons = cJSON_AddArrayToObject(object, "reasons");
    for (size_t i = 0; i < trust.n_reasons; i++)
        cJSON_AddItemToArray(reasons, cJSON_CreateString(trust.reasons[i]));
    warnings = cJSON_AddArrayToObject(object, "warnings");
    for (size_t i = 0; i < trust.n_warnings; i++)
        cJSON_AddItemToArray(warnings, cJSON_CreateString(trust.warnings[i]));
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
        add_text(error, "hint", result_hint(result, (enum verdict)v, hint, sizeof(hint)));
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
    if (result->started_ns)
        json_add_uint64(root, "started_monotonic_ns", result->started_ns);
    else
        cJSON_AddNullToObject(root, "started_monotonic_ns");
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
    add_operations(root, result);
    add_hist(root, "latency_ms", result->latency);
    add_hist(root, "service_ms", result->service);
    add_open(root, result);
    add_stages(root, result);
    add_servers(root, &result->servers);
    add_statuses(root, result->n_by_status);
    add_errors(root, result);
    object = cJSON_AddObjectToObject(root, "connections");
    json_add_uint64(object, "opened", result->connections.n_connections);
    json_add_uint64(object, "resent", result->connections.n_resent);
    add_generator(root, result);
    add_thresholds(root, result);
    if (result->verification)
        cJSON_AddItemToObject(root, "verification", verification_json(result->verification));
    else
        cJSON_AddNullToObject(root, "verification");
    add_verdict(root, result);
    return root;
}
