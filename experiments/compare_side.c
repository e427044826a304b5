/* Reading one side of a comparison: the metrics' values, and the conditions they came about in;
 * from a result of `quoit run` here, from results of `quoit load` in compare_loads.c. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/json.h"
#include "core/mem.h"
#include "experiments/compare.h"
#include "experiments/compare_side.h"
#include "experiments/course.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"

/* ——— the metrics ——— */

const struct compare_source compare_sources[COMPARE_N_SOURCES] = {
    {"rate", "requests/s", COMPARE_HIGHER, "rate", "rate"},
    {"p50", "ms", COMPARE_LOWER, "latency_ms.p50", "p50"},
    {"p90", "ms", COMPARE_LOWER, "latency_ms.p90", "p90"},
    {"p99", "ms", COMPARE_LOWER, "latency_ms.p99", "p99"},
    {"p99.9", "ms", COMPARE_LOWER, "latency_ms.p99_9", "p999"},
    {"max", "ms", COMPARE_LOWER, "latency_ms.max", "max"},
    {"cpu", "us/request", COMPARE_LOWER, "generator.cpu_us_per_request", NULL},
};

struct compare_values *compare_add_metric(struct compare_side *side, struct compare_point *point,
                                          size_t max_values, const char *name, const char *unit,
                                          enum compare_better better)
{
    struct compare_values *metric = &point->metrics[point->n_metrics++];
    *metric = (struct compare_values){
        .name = name,
        .unit = unit,
        .better = better,
        .values = arena_zalloc(&side->arena, max_values, sizeof(double)),
    };
    return metric;
}

void compare_add_value(struct compare_values *metric, double value)
{
    if (isfinite(value))
        metric->values[metric->n++] = value;
}

void compare_drop_empty(struct compare_point *point)
{
    size_t kept = 0;
    for (size_t i = 0; i < point->n_metrics; i++)
        if (point->metrics[i].n)
            point->metrics[kept++] = point->metrics[i];
    point->n_metrics = kept;
}

void compare_new_point(struct compare_side *side, struct compare_point *point, const char *label,
                       size_t n_more)
{
    point->label = arena_strdup(&side->arena, label);
    point->metrics =
        arena_zalloc(&side->arena, COMPARE_N_SOURCES + n_more, sizeof(*point->metrics));
    point->n_metrics = 0;
}

static void add_condition(struct compare_side *side, size_t max, const char *key, const char *text)
{
    if (side->n_conditions < max)
        side->conditions[side->n_conditions++] = (struct compare_condition){
            arena_strdup(&side->arena, key), arena_strdup(&side->arena, text)};
}

const char *compare_scalar_text(struct compare_side *side, const cJSON *node)
{
    struct buf text;
    const char *copy;
    if (cJSON_IsObject(node) || cJSON_IsArray(node))
        return NULL;
    if (cJSON_IsString(node))
        return arena_strdup(&side->arena, node->valuestring);
    buf_init(&text, 0);
    json_print(&text, node, false);
    copy = arena_strdup(&side->arena, buf_str(&text));
    buf_done(&text);
    return copy;
}

void compare_add_conditions(struct compare_side *side, size_t max, const char *prefix,
                            const cJSON *object, const char *const *but)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, object) {
        const char *text = compare_scalar_text(side, node);
        const char *const *name = but;
        while (name && *name && strcmp(*name, node->string))
            name++;
        if (text && !(name && *name))
            add_condition(side, max, arena_printf(&side->arena, "%s.%s", prefix, node->string),
                          text);
    }
}

/* ——— a result of `quoit run` ——— */

static size_t n_values_of(const cJSON *metrics, const char *name)
{
    int n = cJSON_GetArraySize(json_get(json_get(metrics, name), "values"));
    return n > 0 ? (size_t)n : 0;
}

static double value_at(const cJSON *metrics, const char *name, size_t i)
{
    const cJSON *node = cJSON_GetArrayItem(json_get(json_get(metrics, name), "values"), (int)i);
    return cJSON_IsNumber(node) ? node->valuedouble : NAN;
}

static double count_at(const cJSON *server, size_t i)
{
    const cJSON *node = cJSON_GetArrayItem(json_get(server, "counts"), (int)i);
    return cJSON_IsNumber(node) ? node->valuedouble : 0;
}

static void read_result_shares(struct compare_side *side, struct compare_point *point,
                               const cJSON *servers, size_t n)
{
    const cJSON *server;
    int n_servers = cJSON_GetArraySize(servers);
    double *sums = arena_zalloc(&side->arena, n, sizeof(double));
    double *most = arena_zalloc(&side->arena, n, sizeof(double));
    cJSON_ArrayForEach (server, servers) {
        for (size_t i = 0; i < n; i++) {
            double count = count_at(server, i);
            sums[i] += count;
            most[i] = fmax(most[i], count);
        }
    }
    struct compare_values *metric =
        compare_add_metric(side, point, n, "peak_to_mean", "", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++)
        if (sums[i] > 0)
            compare_add_value(metric, most[i] * n_servers / sums[i]);
    cJSON_ArrayForEach (server, servers) {
        const char *name = json_get_string(server, "name");
        if (!name)
            continue;
        metric = compare_add_metric(side, point, n, arena_printf(&side->arena, "share:%s", name),
                                    "%", COMPARE_NEITHER);
        for (size_t i = 0; i < n; i++)
            if (sums[i] > 0)
                compare_add_value(metric, 100 * count_at(server, i) / sums[i]);
    }
}

/* What came of the events of one action, over all of them: requests that failed, how long every
 * step took. "kill.failed", "kill.serving". */
static const cJSON *event_number(const cJSON *event, const char *action, const char *key)
{
    if (strcmp(outcome_text(event, "action"), action))
        return NULL;
    return json_get(strcmp(key, "failed") ? json_get(event, "steps") : event, key);
}

static void read_event_metric(struct compare_side *side, struct compare_point *point,
                              const cJSON *events, const char *action, const char *key)
{
    const cJSON *event, *value;
    size_t n = 0;
    cJSON_ArrayForEach (event, events)
        n += (size_t)cJSON_GetArraySize(json_get(event_number(event, action, key), "values"));
    if (!n)
        return;
    struct compare_values *metric =
        compare_add_metric(side, point, n, arena_printf(&side->arena, "%s.%s", action, key),
                           strcmp(key, "failed") ? "ms" : "requests", COMPARE_LOWER);
    cJSON_ArrayForEach (event, events) {
        cJSON_ArrayForEach (value, json_get(event_number(event, action, key), "values"))
            compare_add_value(metric, cJSON_IsNumber(value) ? value->valuedouble : NAN);
    }
}

#define MAX_EVENT_METRICS ((EVENT_ADD + 1) * (COURSE_N_STEPS + 1))

static void read_events(struct compare_side *side, struct compare_point *point, const cJSON *events)
{
    for (int action = 0; action <= EVENT_ADD; action++) {
        const char *name = event_action_name((enum event_action)action);
        read_event_metric(side, point, events, name, "failed");
        for (int step = 0; step < COURSE_N_STEPS; step++)
            read_event_metric(side, point, events, name, course_steps[step].name);
    }
}

/* Of a database: what a phase of its own measured, as "write_rate". Returns how many samples have
 * it. */
static size_t read_phase(struct compare_side *side, struct compare_point *point,
                         const cJSON *metrics, const char *phase)
{
    size_t n = n_values_of(metrics, arena_printf(&side->arena, "%s_rate", phase));
    for (size_t s = 0; s < COMPARE_N_SOURCES && n; s++) {
        if (!compare_sources[s].in_result)
            continue;
        const char *key = arena_printf(&side->arena, "%s_%s", phase, compare_sources[s].in_result);
        struct compare_values *metric = compare_add_metric(
            side, point, n, arena_printf(&side->arena, "%s_%s", phase, compare_sources[s].name),
            compare_sources[s].unit, compare_sources[s].better);
        for (size_t i = 0; i < n; i++)
            compare_add_value(metric, value_at(metrics, key, i));
    }
    return n;
}

static void read_result_point(struct compare_side *side, struct compare_point *point,
                              const cJSON *tree)
{
    const cJSON *metrics = json_get(tree, "metrics"), *servers = json_get(tree, "servers"), *label;
    const cJSON *events = json_get(tree, "events");
    size_t n = n_values_of(metrics, "rate");
    struct buf text;
    buf_init(&text, 0);
    cJSON_ArrayForEach (label, json_get(tree, "labels"))
        buf_appendf(&text, "%s%s", buf_len(&text) ? ", " : "",
                    cJSON_IsString(label) ? label->valuestring : "");
    compare_new_point(side, point, buf_str(&text),
                      1 + (size_t)cJSON_GetArraySize(servers) + MAX_EVENT_METRICS +
                          2 * COMPARE_N_SOURCES);
    buf_done(&text);
    for (size_t s = 0; s < COMPARE_N_SOURCES; s++) {
        struct compare_values *metric =
            compare_add_metric(side, point, n, compare_sources[s].name, compare_sources[s].unit,
                               compare_sources[s].better);
        for (size_t i = 0; i < n; i++)
            compare_add_value(metric, compare_sources[s].in_result
                                          ? value_at(metrics, compare_sources[s].in_result, i)
                                          : 1e6 * value_at(metrics, "generator_cpu", i) /
                                                value_at(metrics, "rate", i));
    }
    size_t n_writes = read_phase(side, point, metrics, "write");
    size_t n_reads = read_phase(side, point, metrics, "read");
    n = n ? n : n_writes ? n_writes : n_reads;
    read_result_shares(side, point, servers, n);
    read_events(side, point, events);
    compare_drop_empty(point);
    if (n < side->n_samples)
        side->n_samples = n;
}

/* The axes and their values, by which two results are of the same kind. */
static const char *axes_text(struct compare_side *side, const cJSON *result)
{
    const cJSON *axis, *value;
    const char *copy;
    struct buf text;
    buf_init(&text, 0);
    cJSON_ArrayForEach (axis, json_get(result, "axes")) {
        buf_appendf(&text, "%s%s =", buf_len(&text) ? "; " : "", outcome_text(axis, "vary"));
        cJSON_ArrayForEach (value, json_get(axis, "values"))
            buf_appendf(&text, " %s", cJSON_IsString(value) ? value->valuestring : "?");
    }
    copy = arena_strdup(&side->arena, buf_len(&text) ? buf_str(&text) : "no axis");
    buf_done(&text);
    return copy;
}

/* Compiler flags less the folders they name, which differ between builds that do not. */
static const char *flags_text(struct compare_side *side, const char *flags)
{
    char *copy = arena_printf(&side->arena, "%s ", flags), *at = copy;
    for (const char *word = flags; *word;) {
        size_t n = strcspn(word, " ");
        if (n && strncmp(word, "-I", 2)) {
            memmove(at, word, n);
            at += n;
            *at++ = ' ';
        }
        word += n + (word[n] == ' ');
    }
    *at = '\0';
    return copy;
}

void compare_read_environment(struct compare_side *side, size_t max, const cJSON *environment)
{
    static const char *const not_host[] = {"load_average", NULL};
    static const char *const not_library[] = {"gnuplot", NULL}; /* it draws, afterwards */
    const cJSON *quoit = json_get(environment, "quoit");
    if (!quoit)
        return;
    side->commit = arena_strdup(&side->arena, outcome_text(quoit, "commit"));
    side->dirty = cJSON_IsTrue(json_get(quoit, "dirty"));
    compare_add_conditions(side, max, "host", json_get(environment, "host"), not_host);
    add_condition(side, max, "compiler", outcome_text(quoit, "compiler"));
    add_condition(side, max, "compiler flags", flags_text(side, outcome_text(quoit, "cflags")));
    compare_add_conditions(side, max, "library", json_get(environment, "libraries"), not_library);
}

static void read_manifest(struct compare_side *side, const cJSON *manifest)
{
    static const char *const not_about[] = {"title", "question", NULL};
    static const char *const not_axis[] = {"labels", NULL};
    const size_t max = 256;
    const cJSON *section;
    side->conditions = arena_zalloc(&side->arena, max, sizeof(*side->conditions));
    side->began = arena_strdup(&side->arena, outcome_text(manifest, "date"));
    compare_read_environment(side, max, manifest);
    cJSON_ArrayForEach (section, json_get(manifest, "experiment")) {
        if (!strcmp(section->string, "figure"))
            continue;
        compare_add_conditions(side, max, section->string, section,
                               !strcmp(section->string, "experiment")              ? not_about
                               : !strncmp(section->string, "axis", strlen("axis")) ? not_axis
                                                                                   : NULL);
    }
    /* What --set put in place of the file's values. */
    const cJSON *set;
    cJSON_ArrayForEach (set, json_get(manifest, "set")) {
        const char *equals = cJSON_IsString(set) ? strchr(set->valuestring, '=') : NULL;
        if (!equals)
            continue;
        char *key =
            arena_strndup(&side->arena, set->valuestring, (size_t)(equals - set->valuestring));
        size_t i = 0;
        while (i < side->n_conditions && strcmp(side->conditions[i].key, key))
            i++;
        if (i < side->n_conditions)
            side->conditions[i].text = arena_strdup(&side->arena, equals + 1);
        else
            add_condition(side, max, key, equals + 1);
    }
}

int compare_refuse_invalid(const char *path, const cJSON *verdict, struct err *err)
{
    const cJSON *reason = cJSON_GetArrayItem(json_get(verdict, "reasons"), 0);
    return err_set(err, -EBADMSG, "%s is INVALID: %s", path,
                   cJSON_IsString(reason) ? reason->valuestring : "it does not say why");
}

static int open_result(struct compare_side *side, struct err *err)
{
    cJSON *manifest = manifest_read(side->path, err);
    cJSON *result = NULL;
    int status = manifest ? 0 : err ? err->code : -EINVAL;
    if (!status)
        status = manifest_check_files(manifest, side->path, err);
    if (!status) {
        char *path = mem_printf("%s/result.json", side->path);
        result = outcome_read(path, err);
        status = result ? 0 : err ? err->code : -EINVAL;
        free(path);
    }
    if (!status && !outcome_valid(result))
        status = compare_refuse_invalid(side->path, json_get(result, "verdict"), err);
    if (!status) {
        const cJSON *points = json_get(result, "points"), *point;
        side->is_experiment = true;
        side->counts_only = !strcmp(outcome_text(result, "measures"), "counts");
        side->name = arena_strdup(&side->arena, outcome_text(result, "name"));
        side->kind = axes_text(side, result);
        side->points =
            arena_zalloc(&side->arena, (size_t)cJSON_GetArraySize(points), sizeof(*side->points));
        side->n_samples = SIZE_MAX;
        cJSON_ArrayForEach (point, points)
            read_result_point(side, &side->points[side->n_points++], point);
        read_manifest(side, manifest);
    }
    cJSON_Delete(result);
    cJSON_Delete(manifest);
    return status;
}

/* ——— which of them it is ——— */

int compare_open(const char *path, struct compare_side *ret_side, struct err *err)
{
    struct stat about;
    *ret_side = (struct compare_side){.commit = "", .began = "", .ended = ""};
    arena_init(&ret_side->arena);
    ret_side->path = arena_strdup(&ret_side->arena, path);
    if (stat(path, &about) < 0)
        return err_set_errno(err, -errno, "%s", path);
    if (S_ISDIR(about.st_mode)) {
        char *manifest = mem_printf("%s/manifest.json", path);
        int found = stat(manifest, &about);
        free(manifest);
        return found == 0 ? open_result(ret_side, err) : compare_open_loads_in(ret_side, err);
    }
    return compare_open_loads(ret_side, &(char *){(char *)ret_side->path}, 1, err);
}

void compare_close(struct compare_side *side)
{
    arena_done(&side->arena);
}
