#include "experiments/database_outcome.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/stats.h"
#include "experiments/gnuplot.h"
#include "experiments/outcome.h"

#define RATIO_LEVEL 0.95
#define RATIO_RESAMPLES 10000

/* The phases, and a load that has none. */
static const struct {
    const char *prefix, *what;
} loads[] = {{"write_", "writes/s"}, {"read_", "reads/s"}, {"", "requests/s"}};
#define N_LOADS (sizeof(loads) / sizeof(loads[0]))

/* ——— result.json ——— */

static void add_shape(cJSON *tree, const char *key, const struct layout_shape *shape)
{
    char text[80];
    snprintf(text, sizeof(text), "%" PRIu64 "/%" PRIu64 "/%" PRIu64, shape->servers, shape->shards,
             shape->replicas);
    cJSON_AddStringToObject(tree, key, text);
}

static void add_database(cJSON *point_tree, const struct experiment_settings *settings)
{
    const struct experiment_cluster *cluster = &settings->cluster;
    const struct layout_shape begun = {cluster->servers, cluster->shards, cluster->replicas};
    const struct layout_shape shape = experiment_shape(cluster);
    const char *write = settings->load.write;
    cJSON *tree = cJSON_AddObjectToObject(point_tree, "database");
    cJSON_AddStringToObject(tree, "store", cluster->store);
    add_shape(tree, "shape", &shape);
    if (cluster->grow)
        add_shape(tree, "grown_from", &begun);
    else
        cJSON_AddNullToObject(tree, "grown_from");
    json_add_uint64(tree, "shard_size", cluster->shard_size);
    json_add_uint64(tree, "preload", settings->load.preload);
    json_add_uint64(tree, "in_flight", settings->load.in_flight);
    json_add_double(tree, "duration_s", (double)settings->load.duration_ns / (double)NS_PER_S);
    json_add_uint64(tree, "rows", write ? experiment_rows_a_request(write) : 0);
}

static size_t take_values(const struct summary_point *point, const struct sample_metric *metric,
                          double *values)
{
    for (size_t i = 0; i < point->n_samples; i++)
        values[i] = sample_metric_value(point->samples[i], metric);
    return point->n_samples;
}

static void add_ratio(cJSON *ratios, const struct summary_point *base,
                      const struct summary_point *point, const struct sample_metric *metric,
                      uint64_t seed)
{
    double *before = mem_zalloc(base->n_samples, sizeof(*before));
    double *after = mem_zalloc(point->n_samples, sizeof(*after));
    size_t n_before = take_values(base, metric, before);
    size_t n_after = take_values(point, metric, after);
    struct stats_change change = stats_bootstrap_change(before, n_before, after, n_after,
                                                        RATIO_LEVEL, RATIO_RESAMPLES, seed);
    cJSON *ratio = cJSON_AddObjectToObject(ratios, metric->name);
    json_add_double(ratio, "ratio", change.ratio);
    json_add_double(ratio, "low", change.ratio_interval.low);
    json_add_double(ratio, "high", change.ratio_interval.high);
    free(before);
    free(after);
}

static void add_ratios(cJSON *point_tree, const struct run *run, const struct summary *summary,
                       size_t index)
{
    const struct experiment *experiment = run->experiment;
    const struct summary_point *point = &summary->points[index];
    /* The axes after the first turn faster. */
    size_t n_rest =
        experiment->n_axes ? experiment_n_points(experiment) / experiment->axes[0].n_values : 1;
    size_t at = index % n_rest;
    const struct summary_point *base = &summary->points[at];
    if (!experiment->n_axes || at == index || !base->n_samples || !point->n_samples)
        return;
    cJSON *ratios = cJSON_AddObjectToObject(point_tree, "ratios");
    cJSON *to = cJSON_AddArrayToObject(ratios, "to");
    for (size_t a = 0; a < experiment->n_axes; a++) {
        size_t value = experiment_value_index(experiment, at, a);
        cJSON_AddItemToArray(to, cJSON_CreateString(experiment->axes[a].labels[value]));
    }
    const struct sample_metric *metrics = sample_metrics_of(&point->settings.load);
    for (size_t m = 0; metrics[m].name; m++)
        if (strstr(metrics[m].unit, "/s"))
            add_ratio(ratios, base, point, &metrics[m], run->seed + m);
}

void database_add_outcome(cJSON *point_tree, const struct run *run, const struct summary *summary,
                          size_t index)
{
    const struct experiment_settings *settings = &summary->points[index].settings;
    if (!experiment_has_database(settings))
        return;
    add_database(point_tree, settings);
    add_ratios(point_tree, run, summary, index);
}

void database_add_conditions(cJSON *result, const struct run *run)
{
    const struct experiment *experiment = run->experiment;
    if (run_has_database(run) && *run->storage)
        cJSON_AddStringToObject(result, "storage", run->storage);
    if (!experiment->n_published)
        return;
    cJSON *list = cJSON_AddArrayToObject(result, "published");
    for (size_t i = 0; i < experiment->n_published; i++) {
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "label", experiment->published[i].label);
        json_add_double(tree, "write", experiment->published[i].write);
        json_add_double(tree, "read", experiment->published[i].read);
        cJSON_AddItemToArray(list, tree);
    }
}

/* ——— reading it ——— */

static const cJSON *first_point(const cJSON *result)
{
    return cJSON_GetArrayItem(json_get(result, "points"), 0);
}

bool database_is_result(const cJSON *result)
{
    return cJSON_IsObject(json_get(first_point(result), "database"));
}

/* "write_" + "p99" of a point. */
static const cJSON *metric_of(const cJSON *point, const char *prefix, const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "%s%s", prefix, name);
    return json_get(json_get(point, "metrics"), key);
}

static bool has_load(const cJSON *result, size_t load)
{
    return metric_of(first_point(result), loads[load].prefix, "rate") != NULL;
}

/* Smallest and largest of a number of the databases: "64", "1 to 100". */
static void print_range(const cJSON *result, const char *key, struct buf *out)
{
    const cJSON *point;
    double least = INFINITY, most = -INFINITY;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        double value = outcome_number(json_get(point, "database"), key);
        least = fmin(least, value);
        most = fmax(most, value);
    }
    if (least < most)
        buf_appendf(out, "%.0f to %.0f", least, most);
    else
        buf_appendf(out, "%.0f", isfinite(least) ? least : 0.);
}

/* The number of all databases, or NaN. */
static double same_number(const cJSON *result, const char *key)
{
    const cJSON *point;
    double first = outcome_number(json_get(first_point(result), "database"), key);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        if (outcome_number(json_get(point, "database"), key) != first)
            return NAN;
    }
    return first;
}

/* Each shape once, in the order of the points. */
static void print_shapes(const cJSON *result, struct buf *out)
{
    const cJSON *point, *other;
    const char *before = "";
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        const char *shape = outcome_text(json_get(point, "database"), "shape");
        bool seen = false;
        for (other = first_point(result); other != point; other = other->next)
            seen = seen || !strcmp(shape, outcome_text(json_get(other, "database"), "shape"));
        if (seen)
            continue;
        buf_appendf(out, "%s%s", before, shape);
        before = ", ";
    }
}

void database_print_conditions(const cJSON *result, struct buf *out)
{
    bool writes = has_load(result, 0), reads = has_load(result, 1);
    double duration_s = same_number(result, "duration_s");
    const char *what = writes && reads ? "writes and then reads"
                       : writes        ? "writes"
                       : reads         ? "reads"
                                       : "requests";
    print_shapes(result, out);
    buf_append_str(out, " (servers/shards/replicas), ");
    if (duration_s > 0)
        buf_appendf(out, "%s%s for %g s", what, writes && reads ? ", each" : "", duration_s);
    else
        buf_appendf(out, "%.0f %s", outcome_number(first_point(result), "requests"),
                    writes && reads ? "writes and then as many reads" : what);
    if (writes) {
        buf_append_str(out, ", rows a write: ");
        print_range(result, "rows", out);
    }
    buf_append_str(out, ", in flight: ");
    print_range(result, "in_flight", out);
    if (*outcome_text(result, "storage"))
        buf_appendf(out, ", files on %s", outcome_text(result, "storage"));
}

/* ——— the table ——— */

static void add_rate(struct grid *grid, const cJSON *number)
{
    double median = outcome_number(number, "median"), low = outcome_number(number, "low");
    if (isfinite(median))
        grid_add(grid, "%.0f", median);
    else
        grid_add(grid, "–");
    if (isfinite(low))
        grid_add(grid, "%.0f – %.0f", low, outcome_number(number, "high"));
    else
        grid_add(grid, "–");
}

static void add_latency(struct grid *grid, const cJSON *number)
{
    double median = outcome_number(number, "median");
    if (isfinite(median))
        grid_add(grid, "%.3f", median);
    else
        grid_add(grid, "–");
}

static void add_ratio_cell(struct grid *grid, const cJSON *point, const char *prefix)
{
    char key[64];
    snprintf(key, sizeof(key), "%srate", prefix);
    const cJSON *ratio = json_get(json_get(point, "ratios"), key);
    if (ratio)
        grid_add(grid, "%.2f (%.2f – %.2f)", outcome_number(ratio, "ratio"),
                 outcome_number(ratio, "low"), outcome_number(ratio, "high"));
    else
        grid_add(grid, json_get(point, "ratios") ? "–" : "1");
}

/* What the columns are, the same for headings and cells. */
struct columns {
    bool shape, rows, ratios;
    bool load[N_LOADS];
    int n_axes;
    char base[64]; /* "× memory" */
};

static struct columns columns_of(const cJSON *result)
{
    struct columns columns = {.n_axes = cJSON_GetArraySize(json_get(result, "axes"))};
    const cJSON *point;
    int n_points = 0, n_shapes = 0, n_told = 0;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        const cJSON *database = json_get(point, "database");
        const cJSON *first = json_get(first_point(result), "database");
        columns.ratios = columns.ratios || json_get(point, "ratios");
        columns.rows = columns.rows || outcome_number(database, "rows") > 1;
        columns.shape =
            columns.shape || strcmp(outcome_text(database, "shape"), outcome_text(first, "shape"));
    }
    columns.shape = n_shapes && n_told < n_points; /* the labels may say it already */
    const cJSON *base = cJSON_GetArrayItem(json_get(first_point(result), "labels"), 0);
    snprintf(columns.base, sizeof(columns.base), "× %.40s",
             cJSON_IsString(base) ? base->valuestring : "");
    for (size_t i = 0; i < N_LOADS; i++)
        columns.load[i] = has_load(result, i);
    return columns;
}

static void add_headings(const struct columns *columns, struct grid *grid)
{
    if (columns->shape)
        grid_add_column(grid, "shape", false);
    for (size_t i = 0; i < N_LOADS; i++) {
        if (!columns->load[i])
            continue;
        grid_add_column(grid, loads[i].what, true);
        grid_add_column(grid, "95 % interval", true);
        if (i == 0 && columns->rows)
            grid_add_column(grid, "rows/s", true);
        grid_add_column(grid, "p50, ms", true);
        grid_add_column(grid, "p99, ms", true);
        if (columns->ratios)
            grid_add_column(grid, columns->base, true);
    }
}

static void add_point(const struct columns *columns, const cJSON *point, struct grid *grid)
{
    const cJSON *label;
    cJSON_ArrayForEach (label, json_get(point, "labels")) {
        grid_add(grid, "%s", cJSON_IsString(label) ? label->valuestring : "");
    }
    if (columns->shape)
        grid_add(grid, "%s", outcome_text(json_get(point, "database"), "shape"));
    for (size_t i = 0; i < N_LOADS; i++) {
        const char *prefix = loads[i].prefix;
        if (!columns->load[i])
            continue;
        add_rate(grid, metric_of(point, prefix, "rate"));
        if (i == 0 && columns->rows)
            grid_add(grid, "%.0f", outcome_number(metric_of(point, prefix, "rows"), "median"));
        add_latency(grid, metric_of(point, prefix, "p50"));
        add_latency(grid, metric_of(point, prefix, "p99"));
        if (columns->ratios)
            add_ratio_cell(grid, point, prefix);
    }
}

/* The ratio of a publication to the one that bears the first point's label, or to the first. */
static void add_publication(const struct columns *columns, const cJSON *published,
                            const cJSON *first, struct grid *grid)
{
    static const char *const keys[] = {"write", "read"};
    for (int a = 0; a < columns->n_axes || a < 1; a++)
        grid_add(grid, "%s%s", a ? "" : "published: ", a ? "" : outcome_text(published, "label"));
    if (columns->shape)
        grid_add(grid, "–");
    for (size_t i = 0; i < N_LOADS; i++) {
        if (!columns->load[i])
            continue;
        double rate = i < 2 ? outcome_number(published, keys[i]) : NAN;
        if (isfinite(rate))
            grid_add(grid, "%.0f", rate);
        else
            grid_add(grid, "–");
        for (int n = (i == 0 && columns->rows) ? 4 : 3; n > 0; n--)
            grid_add(grid, "–");
        if (columns->ratios)
            grid_add(grid, published == first || !isfinite(rate) ? "–" : "%.2f",
                     rate / outcome_number(first, keys[i % 2]));
    }
}

void database_make_table(const cJSON *result, struct grid *grid)
{
    const cJSON *point, *published, *list = json_get(result, "published");
    struct columns columns = columns_of(result);
    if (!columns.n_axes)
        grid_add_column(grid, "", false);
    add_headings(&columns, grid);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        if (!columns.n_axes)
            grid_add(grid, "measured");
        add_point(&columns, point, grid);
    }
    cJSON_ArrayForEach (published, list) {
        add_publication(&columns, published, cJSON_GetArrayItem(list, 0), grid);
    }
}

/* ——— gnuplot's variables ——— */

/* An array of one element a member of the list, which has n > 0. */
static void print_array(const char *name, const cJSON *list,
                        void (*print)(const cJSON *node, const char *key, struct buf *out),
                        const char *key, struct buf *out)
{
    const cJSON *node;
    buf_appendf(out, "array %s[%d] = [", name, cJSON_GetArraySize(list));
    cJSON_ArrayForEach (node, list) {
        print(node, key, out);
        buf_append_str(out, node->next ? ", " : "]\n");
    }
}

static void print_its_text(const cJSON *node, const char *key, struct buf *out)
{
    gnuplot_print_text(outcome_text(node, key), out);
}

static void print_its_number(const cJSON *node, const char *key, struct buf *out)
{
    gnuplot_print_number(outcome_number(node, key), out);
}

static void print_its_shape(const cJSON *point, const char *key, struct buf *out)
{
    gnuplot_print_text(outcome_text(json_get(point, "database"), key), out);
}

static void print_its_rows(const cJSON *point, const char *key, struct buf *out)
{
    gnuplot_print_number(outcome_number(json_get(point, "database"), key), out);
}

static const cJSON *find_publication(const cJSON *result, const cJSON *point)
{
    const cJSON *published;
    const cJSON *label = cJSON_GetArrayItem(json_get(point, "labels"), 0);
    cJSON_ArrayForEach (published, json_get(result, "published")) {
        if (cJSON_IsString(label) && !strcmp(outcome_text(published, "label"), label->valuestring))
            return published;
    }
    return NULL;
}

static void print_ratios(const cJSON *result, const char *what, struct buf *out)
{
    static const char *const keys[] = {"ratio", "low", "high"};
    static const char *const suffixes[] = {"", "_low", "_high"};
    const cJSON *point, *points = json_get(result, "points");
    int n = cJSON_GetArraySize(points);
    char metric[32];
    snprintf(metric, sizeof(metric), "%s_rate", what);
    for (size_t i = 0; i < 3; i++) {
        buf_appendf(out, "array ratio_%s%s[%d] = [", what, suffixes[i], n);
        cJSON_ArrayForEach (point, points) {
            gnuplot_print_number(
                outcome_number(json_get(json_get(point, "ratios"), metric), keys[i]), out);
            buf_append_str(out, point->next ? ", " : "]\n");
        }
    }
    const cJSON *base = find_publication(result, first_point(result));
    buf_appendf(out, "array published_ratio_%s[%d] = [", what, n);
    cJSON_ArrayForEach (point, points) {
        const cJSON *published = find_publication(result, point);
        gnuplot_print_number(published && base && published != base
                                 ? outcome_number(published, what) / outcome_number(base, what)
                                 : NAN,
                             out);
        buf_append_str(out, point->next ? ", " : "]\n");
    }
}

void database_print_variables(const cJSON *result, struct buf *out)
{
    const cJSON *points = json_get(result, "points"), *published = json_get(result, "published");
    struct buf conditions;
    if (!database_is_result(result))
        return;
    buf_init(&conditions, 0);
    database_print_conditions(result, &conditions);
    buf_append_str(out, "conditions = ");
    gnuplot_print_text(buf_str(&conditions), out);
    buf_done(&conditions);
    const cJSON *base = cJSON_GetArrayItem(json_get(first_point(result), "labels"), 0);
    buf_append_str(out, "\nbase = ");
    gnuplot_print_text(cJSON_IsString(base) ? base->valuestring : "", out);
    buf_append_str(out, "\nin_flight = ");
    gnuplot_print_number(same_number(result, "in_flight"), out);
    buf_appendf(out, "\nn_published = %d\n", cJSON_GetArraySize(published));
    if (cJSON_GetArraySize(published)) {
        print_array("published_label", published, print_its_text, "label", out);
        print_array("published_write", published, print_its_number, "write", out);
        print_array("published_read", published, print_its_number, "read", out);
    }
    print_array("shape", points, print_its_shape, "shape", out);
    print_array("rows_a_request", points, print_its_rows, "rows", out);
    print_ratios(result, "write", out);
    print_ratios(result, "read", out);
}
