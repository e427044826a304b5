/* Reading one side of a comparison: the metrics' values, and the conditions they came about in. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/compare.h"
#include "experiments/course.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"

#define MAX_LOAD_BYTES (16u * 1024 * 1024)
#define MAX_SHARES 64u

/* ——— the metrics ——— */

static const struct {
    const char *name;
    const char *unit;
    enum compare_better better;
    const char *in_load;   /* object.key of a load's result */
    const char *in_result; /* of a point's "metrics"; NULL: computed */
} sources[] = {
    {"rate", "requests/s", COMPARE_HIGHER, "rate", "rate"},
    {"p50", "ms", COMPARE_LOWER, "latency_ms.p50", "p50"},
    {"p90", "ms", COMPARE_LOWER, "latency_ms.p90", "p90"},
    {"p99", "ms", COMPARE_LOWER, "latency_ms.p99", "p99"},
    {"p99.9", "ms", COMPARE_LOWER, "latency_ms.p99_9", "p999"},
    {"max", "ms", COMPARE_LOWER, "latency_ms.max", "max"},
    {"cpu", "us/request", COMPARE_LOWER, "generator.cpu_us_per_request", NULL},
};
#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))

static struct compare_values *add_metric(struct compare_side *side, struct compare_point *point,
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

static void add_value(struct compare_values *metric, double value)
{
    if (isfinite(value))
        metric->values[metric->n++] = value;
}

/* A metric that nothing was measured of is none. */
static void drop_empty(struct compare_point *point)
{
    size_t kept = 0;
    for (size_t i = 0; i < point->n_metrics; i++)
        if (point->metrics[i].n)
            point->metrics[kept++] = point->metrics[i];
    point->n_metrics = kept;
}

/* n_more: metrics besides those of `sources`. */
static void new_point(struct compare_side *side, struct compare_point *point, const char *label,
                      size_t n_more)
{
    point->label = arena_strdup(&side->arena, label);
    point->metrics = arena_zalloc(&side->arena, N_SOURCES + n_more, sizeof(*point->metrics));
    point->n_metrics = 0;
}

static void add_condition(struct compare_side *side, size_t max, const char *key, const char *text)
{
    if (side->n_conditions < max)
        side->conditions[side->n_conditions++] = (struct compare_condition){
            arena_strdup(&side->arena, key), arena_strdup(&side->arena, text)};
}

/* A scalar's text as it stands; NULL for what is none. */
static const char *scalar_text(struct compare_side *side, const cJSON *node)
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

/* Every scalar member but the ones named in `but`, as PREFIX.KEY. */
static void add_conditions(struct compare_side *side, size_t max, const char *prefix,
                           const cJSON *object, const char *const *but)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, object) {
        const char *text = scalar_text(side, node);
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
    struct compare_values *metric = add_metric(side, point, n, "peak_to_mean", "", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++)
        if (sums[i] > 0)
            add_value(metric, most[i] * n_servers / sums[i]);
    cJSON_ArrayForEach (server, servers) {
        const char *name = json_get_string(server, "name");
        if (!name)
            continue;
        metric = add_metric(side, point, n, arena_printf(&side->arena, "share:%s", name), "%",
                            COMPARE_NEITHER);
        for (size_t i = 0; i < n; i++)
            if (sums[i] > 0)
                add_value(metric, 100 * count_at(server, i) / sums[i]);
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
        add_metric(side, point, n, arena_printf(&side->arena, "%s.%s", action, key),
                   strcmp(key, "failed") ? "ms" : "requests", COMPARE_LOWER);
    cJSON_ArrayForEach (event, events) {
        cJSON_ArrayForEach (value, json_get(event_number(event, action, key), "values"))
            add_value(metric, cJSON_IsNumber(value) ? value->valuedouble : NAN);
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
    for (size_t s = 0; s < N_SOURCES && n; s++) {
        if (!sources[s].in_result)
            continue;
        const char *key = arena_printf(&side->arena, "%s_%s", phase, sources[s].in_result);
        struct compare_values *metric =
            add_metric(side, point, n, arena_printf(&side->arena, "%s_%s", phase, sources[s].name),
                       sources[s].unit, sources[s].better);
        for (size_t i = 0; i < n; i++)
            add_value(metric, value_at(metrics, key, i));
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
    new_point(side, point, buf_str(&text),
              1 + (size_t)cJSON_GetArraySize(servers) + MAX_EVENT_METRICS + 2 * N_SOURCES);
    buf_done(&text);
    for (size_t s = 0; s < N_SOURCES; s++) {
        struct compare_values *metric =
            add_metric(side, point, n, sources[s].name, sources[s].unit, sources[s].better);
        for (size_t i = 0; i < n; i++)
            add_value(metric, sources[s].in_result ? value_at(metrics, sources[s].in_result, i)
                                                   : 1e6 * value_at(metrics, "generator_cpu", i) /
                                                         value_at(metrics, "rate", i));
    }
    size_t n_writes = read_phase(side, point, metrics, "write");
    size_t n_reads = read_phase(side, point, metrics, "read");
    n = n ? n : n_writes ? n_writes : n_reads;
    read_result_shares(side, point, servers, n);
    read_events(side, point, events);
    drop_empty(point);
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

/* The machine, the build and the libraries, from an object that has them as members. */
static void read_environment(struct compare_side *side, size_t max, const cJSON *environment)
{
    static const char *const not_host[] = {"load_average", NULL};
    static const char *const not_library[] = {"gnuplot", NULL}; /* it draws, afterwards */
    const cJSON *quoit = json_get(environment, "quoit");
    if (!quoit)
        return;
    side->commit = arena_strdup(&side->arena, outcome_text(quoit, "commit"));
    side->dirty = cJSON_IsTrue(json_get(quoit, "dirty"));
    add_conditions(side, max, "host", json_get(environment, "host"), not_host);
    add_condition(side, max, "compiler", outcome_text(quoit, "compiler"));
    add_condition(side, max, "compiler flags", flags_text(side, outcome_text(quoit, "cflags")));
    add_conditions(side, max, "library", json_get(environment, "libraries"), not_library);
}

static void read_manifest(struct compare_side *side, const cJSON *manifest)
{
    static const char *const not_about[] = {"title", "question", NULL};
    static const char *const not_axis[] = {"labels", NULL};
    const size_t max = 256;
    const cJSON *section;
    side->conditions = arena_zalloc(&side->arena, max, sizeof(*side->conditions));
    side->began = arena_strdup(&side->arena, outcome_text(manifest, "date"));
    read_environment(side, max, manifest);
    cJSON_ArrayForEach (section, json_get(manifest, "experiment")) {
        if (!strcmp(section->string, "figure"))
            continue;
        add_conditions(side, max, section->string, section,
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

static int refuse_invalid(const char *path, const cJSON *verdict, struct err *err)
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
        status = refuse_invalid(side->path, json_get(result, "verdict"), err);
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

/* ——— results of `quoit load` ——— */

/* The number at "object.key", or "key". */
static double number_at(const cJSON *tree, const char *place)
{
    char object[32];
    const char *dot = strchr(place, '.');
    if (!dot)
        return outcome_number(tree, place);
    snprintf(object, sizeof(object), "%.*s", (int)(dot - place), place);
    return outcome_number(json_get(tree, object), dot + 1);
}

static cJSON *read_load(const char *path, struct err *err)
{
    struct buf text;
    cJSON *tree = NULL;
    const char *kind;
    buf_init(&text, MAX_LOAD_BYTES);
    if (file_read(path, &text, err) == 0) {
        tree = json_parse(buf_head(&text), buf_len(&text), err);
        if (!tree)
            err_prefix(err, "%s", path);
    }
    buf_done(&text);
    kind = tree ? json_get_string(tree, "kind") : NULL;
    if (tree && (!kind || strcmp(kind, "load") || !isfinite(outcome_number(tree, "rate")) ||
                 !cJSON_IsObject(json_get(tree, "settings")))) {
        err_set(err, -EINVAL, "%s is neither a result of quoit load nor one of quoit run", path);
        cJSON_Delete(tree);
        tree = NULL;
    }
    return tree;
}

static int check_load(const char *path, const cJSON *tree, struct err *err)
{
    const cJSON *verdict = json_get(tree, "verdict");
    if (cJSON_IsTrue(json_get(tree, "interrupted")))
        return err_set(err, -EBADMSG, "%s is INVALID: it was interrupted", path);
    if (!(outcome_number(tree, "ok") > 0))
        return err_set(err, -EBADMSG, "%s is INVALID: no request succeeded", path);
    if (cJSON_IsFalse(json_get(verdict, "valid")))
        return refuse_invalid(path, verdict, err);
    return 0;
}

/* Whatever chooses the target; where it listens does not. */
static const char *target_of(struct compare_side *side, const cJSON *settings)
{
    const char *url = outcome_text(settings, "url");
    const char *host = strstr(url, "://");
    const char *path = strchr(host ? host + 3 : url, '/');
    return arena_strdup(&side->arena, path ? path : "/");
}

static void read_load_conditions(struct compare_side *side, const cJSON *tree)
{
    static const char *const not [] = {"url", "workload", "loop", "seed", NULL};
    const size_t max = 64;
    side->conditions = arena_zalloc(&side->arena, max, sizeof(*side->conditions));
    side->n_conditions = 0;
    add_conditions(side, max, "load", json_get(tree, "settings"), not );
    read_environment(side, max, json_get(tree, "environment"));
}

/* One side's samples were all taken alike. */
static int check_alike(struct compare_side *side, const cJSON *first, const cJSON *other,
                       const char *path, struct err *err)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, json_get(first, "settings")) {
        const cJSON *its = json_get(json_get(other, "settings"), node->string);
        if (strcmp(node->string, "seed") && strcmp(node->string, "url") &&
            !cJSON_Compare(node, its, true))
            return err_set(err, -EINVAL,
                           "%s: its load differs from that of the other samples in %s (%s): %s",
                           side->path, node->string, scalar_text(side, node), path);
    }
    return 0;
}

/* Share of each server that any sample met, in the order they were met. */
static void read_load_shares(struct compare_side *side, struct compare_point *point,
                             cJSON *const *trees, size_t n)
{
    const char *names[MAX_SHARES];
    size_t n_names = 0;
    const cJSON *server;
    for (size_t i = 0; i < n; i++) {
        cJSON_ArrayForEach (server, json_get(trees[i], "servers")) {
            size_t s = 0;
            while (s < n_names && strcmp(names[s], server->string))
                s++;
            if (s == n_names && n_names < MAX_SHARES)
                names[n_names++] = arena_strdup(&side->arena, server->string);
        }
    }
    struct compare_values *peak = add_metric(side, point, n, "peak_to_mean", "", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++) {
        double sum = 0, most = 0, count;
        cJSON_ArrayForEach (server, json_get(trees[i], "servers")) {
            count = server->valuedouble;
            sum += count;
            most = fmax(most, count);
        }
        if (sum > 0)
            add_value(peak, most * (double)n_names / sum);
    }
    for (size_t s = 0; s < n_names; s++) {
        struct compare_values *metric = add_metric(
            side, point, n, arena_printf(&side->arena, "share:%s", names[s]), "%", COMPARE_NEITHER);
        for (size_t i = 0; i < n; i++) {
            double share = outcome_number(json_get(trees[i], "servers"), names[s]);
            share = isfinite(share) ? share : 0;
            add_value(metric, 100 * share / outcome_number(trees[i], "ok"));
        }
    }
}

static void read_loads(struct compare_side *side, cJSON *const *trees, size_t n)
{
    const cJSON *settings = json_get(trees[0], "settings");
    struct compare_point *point = arena_zalloc(&side->arena, 1, sizeof(*point));
    side->points = point;
    side->n_points = 1;
    side->n_samples = n;
    side->name = target_of(side, settings);
    side->kind = arena_printf(&side->arena, "workload %s, %s loop",
                              outcome_text(settings, "workload"), outcome_text(settings, "loop"));
    side->commit = "";
    side->began = side->ended = "";
    new_point(side, point, "", 2 + MAX_SHARES);
    for (size_t s = 0; s < N_SOURCES; s++) {
        struct compare_values *metric =
            add_metric(side, point, n, sources[s].name, sources[s].unit, sources[s].better);
        for (size_t i = 0; i < n; i++)
            add_value(metric, number_at(trees[i], sources[s].in_load));
    }
    for (size_t i = 0; i < n; i++)
        side->failed = side->failed || outcome_number(trees[i], "failed") > 0;
    struct compare_values *failed = add_metric(side, point, n, "failed", "%", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++)
        add_value(failed,
                  100 * outcome_number(trees[i], "failed") / outcome_number(trees[i], "requests"));
    read_load_shares(side, point, trees, n);
    drop_empty(point);
    for (size_t i = 0; i < n; i++) { /* ISO 8601 in UTC sorts as text */
        const char *began = outcome_text(trees[i], "started");
        const char *ended = outcome_text(trees[i], "ended");
        if (!*side->began || strcmp(began, side->began) < 0)
            side->began = arena_strdup(&side->arena, began);
        if (strcmp(ended, side->ended) > 0)
            side->ended = arena_strdup(&side->arena, ended);
    }
    read_load_conditions(side, trees[0]);
}

static int open_loads(struct compare_side *side, char *const *paths, size_t n, struct err *err)
{
    cJSON **trees = mem_zalloc(n, sizeof(*trees));
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        trees[i] = read_load(paths[i], err);
        status = trees[i] ? check_load(paths[i], trees[i], err) : err ? err->code : -EINVAL;
        if (!status)
            status = check_alike(side, trees[0], trees[i], paths[i], err);
    }
    if (!status)
        read_loads(side, trees, n);
    for (size_t i = 0; i < n; i++)
        cJSON_Delete(trees[i]);
    free(trees);
    return status;
}

/* ——— which of them it is ——— */

static int is_json(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && entry->d_name[0] != '.' && !strcmp(entry->d_name + n - 5, ".json");
}

static int open_load_folder(struct compare_side *side, struct err *err)
{
    struct dirent **entries;
    int n = scandir(side->path, &entries, is_json, alphasort);
    char **paths;
    int status;
    if (n < 0)
        return err_set_errno(err, -errno, "%s", side->path);
    paths = mem_zalloc((size_t)n + 1, sizeof(*paths));
    for (int i = 0; i < n; i++) {
        paths[i] = mem_printf("%s/%s", side->path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (n == 0)
        status = err_set(err, -ENOENT,
                         "%s holds neither manifest.json nor any result of quoit load", side->path);
    else if ((unsigned)n > COMPARE_MAX_FILES)
        status =
            err_set(err, -E2BIG, "%s holds more than %u results", side->path, COMPARE_MAX_FILES);
    else
        status = open_loads(side, paths, (size_t)n, err);
    for (int i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    return status;
}

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
        return found == 0 ? open_result(ret_side, err) : open_load_folder(ret_side, err);
    }
    return open_loads(ret_side, &(char *){(char *)ret_side->path}, 1, err);
}

void compare_close(struct compare_side *side)
{
    arena_done(&side->arena);
}
