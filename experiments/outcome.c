#include "experiments/outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/course_outcome.h"
#include "experiments/database_outcome.h"
#include "experiments/healing.h"
#include "experiments/lint.h"
#include "experiments/verdict.h"

/* ——— writing ——— */

static cJSON *texts_of(const char *const *texts, size_t n)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
    return array;
}

static void add_number(cJSON *object, const struct summary_number *number)
{
    json_add_double(object, "median", number->median);
    json_add_double(object, "low", number->interval.low);
    json_add_double(object, "high", number->interval.high);
    json_add_double(object, "min", number->min);
    json_add_double(object, "max", number->max);
}

static void add_servers(cJSON *object, const struct summary_point *point)
{
    cJSON *servers = cJSON_AddArrayToObject(object, "servers");
    if (experiment_has_database(&point->settings))
        return;
    for (size_t s = 0; s < point->n_servers; s++) {
        char name[24];
        cJSON *server = cJSON_CreateObject();
        snprintf(name, sizeof(name), "Server%zu", s + 1);
        cJSON_AddStringToObject(server, "name", name);
        json_add_double(server, "share", point->servers[s].share);
        json_add_double(server, "expected", point->servers[s].expected);
        cJSON *counts = cJSON_AddArrayToObject(server, "counts");
        for (size_t i = 0; i < point->n_samples; i++)
            cJSON_AddItemToArray(counts, json_double((double)point->samples[i]->counts[s]));
        if (point->n_samples)
            add_number(server, &point->servers[s].count);
        cJSON_AddItemToArray(servers, server);
    }
}

static void add_fit(cJSON *object, const struct summary_point *point)
{
    cJSON *fit = cJSON_AddObjectToObject(object, "fit");
    json_add_double(fit, "chi_square", point->chi_square);
    json_add_uint64(fit, "df", point->df);
    json_add_double(fit, "p", point->p);
    cJSON *each = cJSON_AddArrayToObject(fit, "sample_p");
    for (size_t i = 0; i < point->n_samples; i++)
        cJSON_AddItemToArray(each, json_double(point->sample_p[i]));
}

static void add_metrics(cJSON *object, const struct summary_point *point)
{
    cJSON *metrics = cJSON_AddObjectToObject(object, "metrics");
    const struct sample_metric *list = sample_metrics_of(&point->settings.load);
    for (size_t m = 0; list[m].name; m++) {
        if (!isfinite(point->metrics[m].median))
            continue;
        cJSON *metric = cJSON_AddObjectToObject(metrics, list[m].name);
        cJSON_AddStringToObject(metric, "unit", list[m].unit);
        add_number(metric, &point->metrics[m]);
        cJSON *values = cJSON_AddArrayToObject(metric, "values");
        for (size_t i = 0; i < point->n_samples; i++)
            cJSON_AddItemToArray(values,
                                 json_double(sample_metric_value(point->samples[i], &list[m])));
    }
}

/* Least, most, and most over mean of the servers' counts. */
static void add_spread(cJSON *tree, const struct summary_point *point)
{
    const struct {
        const char *name;
        double exact;
        const struct summary_number *measured;
    } numbers[] = {
        {"peak_to_mean", point->exact_peak_to_mean, &point->peak_to_mean},
        {"least", point->exact_least, &point->least},
        {"most", point->exact_most, &point->most},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cJSON *number = cJSON_AddObjectToObject(tree, numbers[i].name);
        json_add_double(number, "exact", numbers[i].exact);
        if (point->n_samples)
            add_number(number, numbers[i].measured);
    }
}

static cJSON *point_tree(const struct run *run, const struct summary *summary, size_t index)
{
    const struct experiment *experiment = run->experiment;
    const struct summary_point *point = &summary->points[index];
    cJSON *tree = cJSON_CreateObject();
    cJSON *values = cJSON_AddArrayToObject(tree, "values");
    cJSON *labels = cJSON_AddArrayToObject(tree, "labels");
    for (size_t a = 0; a < experiment->n_axes; a++) {
        size_t i = experiment_value_index(experiment, index, a);
        cJSON_AddItemToArray(values, cJSON_CreateString(experiment->axes[a].values[i]));
        cJSON_AddItemToArray(labels, cJSON_CreateString(experiment->axes[a].labels[i]));
    }
    json_add_uint64(tree, "n_servers", point->n_servers);
    json_add_uint64(tree, "requests", point->requests);
    json_add_uint64(tree, "n_samples", point->n_samples);
    add_servers(tree, point);
    bool database = experiment_has_database(&point->settings);
    if (!database)
        add_spread(tree, point);
    if (point->n_samples) {
        if (!experiment->events.n && !database) /* else the members change */
            add_fit(tree, point);
        add_metrics(tree, point);
        database_add_outcome(tree, run, summary, index);
        course_add_outcome(tree, run, point);
        healing_add_outcome(tree, run, point);
    }
    return tree;
}

/* How the requests are sent, as far as it is the same at all points. */
static void add_load(cJSON *result, const struct experiment *experiment)
{
    const struct experiment_load *load = &experiment->settings.load;
    cJSON *tree = cJSON_AddObjectToObject(result, "load");
    cJSON_AddStringToObject(tree, "client", load->client);
    json_add_uint64(tree, "threads", load->threads);
    json_add_uint64(tree, "in_flight", load->in_flight);
    json_add_double(tree, "rate", load->rate);
    cJSON_AddStringToObject(tree, "arrivals",
                            load->arrivals == EXPERIMENT_POISSON ? "poisson" : "constant");
    for (size_t i = 0; i < experiment->n_axes; i++)
        for (size_t k = 0; k < experiment->axes[i].n_keys; k++)
            if (!strncmp(experiment->axes[i].keys[k], "load.", 5))
                cJSON_DeleteItemFromObjectCaseSensitive(tree, experiment->axes[i].keys[k] + 5);
}

/* What started the servers, where it is the same at all points and not this machine's processes. */
static void add_spawner(cJSON *result, const struct experiment *experiment)
{
    const char *spawner = experiment->settings.cluster.spawner;
    for (size_t i = 0; i < experiment->n_axes; i++)
        for (size_t k = 0; k < experiment->axes[i].n_keys; k++)
            if (!strcmp(experiment->axes[i].keys[k], "cluster.spawner"))
                return;
    size_t n = strcspn(spawner, ":");
    if (n == strlen("process") && !strncmp(spawner, "process", n))
        return;
    char *name = mem_strndup(spawner, n);
    cJSON_AddStringToObject(result, "spawner", name);
    free(name);
}

cJSON *outcome_make(const struct run *run, const struct summary *summary)
{
    static const char *const tables[] = {[TABLE_SERVERS] = "servers",
                                         [TABLE_POINTS] = "points",
                                         [TABLE_EVENTS] = "events",
                                         [TABLE_STEPS] = "steps"};
    const struct experiment *experiment = run->experiment;
    const struct experiment_figure *figure = &experiment->figure;
    cJSON *result = cJSON_CreateObject();
    json_add_uint64(result, "format", OUTCOME_FORMAT);
    cJSON_AddStringToObject(result, "name", experiment->about.name);
    cJSON_AddStringToObject(result, "title", experiment->about.title);
    cJSON_AddStringToObject(result, "question", experiment->about.question);
    cJSON_AddStringToObject(result, "measures",
                            experiment->about.measures == MEASURES_COUNTS ? "counts" : "rates");
    cJSON_AddStringToObject(result, "table", tables[figure->table]);
    cJSON_AddItemToObject(result, "figures", texts_of(figure->kinds, figure->n_kinds));
    json_add_uint64(result, "requests", experiment->settings.load.requests);
    add_load(result, experiment);
    add_spawner(result, experiment);
    json_add_uint64(result, "repeats", experiment->about.repeats);
    json_add_uint64(result, "n_samples", run->n_samples);
    json_add_uint64(result, "n_planned", run->n_planned);
    cJSON_AddBoolToObject(result, "interrupted", run->interrupted);
    json_add_double(result, "confidence", 0.95);
    cJSON *axes = cJSON_AddArrayToObject(result, "axes");
    for (size_t a = 0; a < experiment->n_axes; a++) {
        const struct experiment_axis *axis = &experiment->axes[a];
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "vary", axis->vary);
        cJSON_AddItemToObject(tree, "values", texts_of(axis->values, axis->n_values));
        cJSON_AddItemToObject(tree, "labels", texts_of(axis->labels, axis->n_values));
        cJSON_AddItemToArray(axes, tree);
    }
    database_add_conditions(result, run);
    cJSON *points = cJSON_AddArrayToObject(result, "points");
    for (size_t i = 0; i < summary->n_points; i++)
        cJSON_AddItemToArray(points, point_tree(run, summary, i));
    if (run->endpoints)
        cJSON_AddItemToObject(result, "endpoints", cJSON_Duplicate(run->endpoints, true));
    cJSON_AddItemToObject(result, "verdict", verdict_judge(run, summary));
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    cJSON *objections = lint_plan(experiment, n_cores > 0 ? (unsigned)n_cores : 1);
    lint_run(objections, run, summary);
    cJSON_AddItemToObject(result, "lint", objections);
    return result;
}

void outcome_print_samples(const struct run *run, struct buf *out)
{
    const struct experiment *experiment = run->experiment;
    struct experiment_settings first;
    experiment_point(experiment, 0, &first);
    const struct sample_metric *metrics = sample_metrics_of(&first.load);
    bool database = experiment_has_database(&first);
    buf_appendf(
        out,
        "# %s: one row a sample, in the order in which they were taken; fields are separated "
        "by tabs\n# repeat: from 1; at: seconds after the start of the run; windows: of the "
        "warm-up until "
        "steady, with a ? when it never was; seed: of the load balancer; ok, errors: requests\n",
        experiment->about.name);
    for (const struct sample_metric *metric = metrics; metric->name; metric++)
        buf_appendf(out, "# %s: %s, in %s\n", metric->name, metric->help, metric->unit);
    if (!database)
        buf_append_str(out, "# counts: answers of each server, NAME=N, and of servers that were "
                            "not there at the start, other=N\n");
    for (size_t a = 0; a < experiment->n_axes; a++)
        buf_appendf(out, "%s\t", experiment->axes[a].vary);
    buf_append_str(out, "repeat\tat\twindows\tseed\tok\terrors\tseconds");
    for (const struct sample_metric *metric = metrics; metric->name; metric++)
        buf_appendf(out, "\t%s", metric->name);
    buf_append_str(out, database ? "\n" : "\tcounts\n");
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct sample *sample = &run->samples[i];
        struct experiment_settings settings;
        uint64_t n_ok = 0, n_errors = 0;
        double seconds = 0;
        const struct sample *load = sample;
        do {
            n_ok += load->n_ok;
            n_errors += load->n_errors;
            seconds += load->seconds;
        } while ((load = load->then));
        experiment_point(experiment, sample->point, &settings);
        for (size_t a = 0; a < experiment->n_axes; a++) {
            size_t value = experiment_value_index(experiment, sample->point, a);
            buf_appendf(out, "%s\t", experiment->axes[a].values[value]);
        }
        buf_appendf(out, "%" PRIu64 "\t%.3f\t%zu%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%.6f",
                    sample->repeat + 1, sample->at_s, sample->n_windows,
                    sample->unsteady ? "?" : "", sample->seed, n_ok, n_errors, seconds);
        for (const struct sample_metric *metric = metrics; metric->name; metric++)
            buf_appendf(out, "\t%.6g", sample_metric_value(sample, metric));
        if (!database)
            buf_append_str(out, "\t");
        for (size_t s = 0; !database && s < settings.cluster.servers; s++)
            buf_appendf(out, "%sServer%zu=%" PRIu64, s ? " " : "", s + 1, sample->counts[s]);
        if (sample->n_strangers && !database)
            buf_appendf(out, " other=%" PRIu64, sample->n_strangers);
        buf_append_str(out, "\n");
    }
}

/* The point's sample in the middle by p99; of an even number the lower of the two. */
static const struct sample *median_sample(const struct summary_point *point)
{
    for (size_t i = 0; i < point->n_samples; i++) {
        size_t n_below = 0;
        double p99 = point->samples[i]->p99_ms;
        for (size_t j = 0; j < point->n_samples; j++) {
            double other = point->samples[j]->p99_ms;
            n_below += other < p99 || (other == p99 && j < i);
        }
        if (n_below == (point->n_samples - 1) / 2)
            return point->samples[i];
    }
    return NULL;
}

static void print_latencies(const struct experiment *experiment, size_t point,
                            const struct sample *sample, uint64_t repeat, struct buf *out)
{
    const char *phase = sample_phase_name(sample->phase);
    if (!sample->hgrm)
        return;
    if (buf_len(out))
        buf_append_str(out, "\n\n");
    buf_append_str(out, "# ");
    for (size_t a = 0; a < experiment->n_axes; a++) {
        const struct experiment_axis *axis = &experiment->axes[a];
        buf_appendf(out, "%s = %s, ", axis->vary,
                    axis->values[experiment_value_index(experiment, point, a)]);
    }
    buf_appendf(out,
                "%s%srepeat %" PRIu64 ": the sample whose p99 is the median; latencies in ms\n",
                phase, *phase ? ", " : "", repeat + 1);
    buf_append_str(out, sample->hgrm);
}

void outcome_print_latencies(const struct run *run, const struct summary *summary, struct buf *out)
{
    for (size_t i = 0; i < summary->n_points; i++) {
        const struct sample *sample = median_sample(&summary->points[i]);
        for (const struct sample *load = sample; load; load = load->then)
            print_latencies(run->experiment, i, load, sample->repeat, out);
    }
}

/* ——— reading ——— */

double outcome_number(const cJSON *object, const char *key)
{
    const cJSON *node = json_get(object, key);
    return cJSON_IsNumber(node) ? node->valuedouble : NAN;
}

const char *outcome_text(const cJSON *object, const char *key)
{
    const char *text = json_get_string(object, key);
    return text ? text : "";
}

const char *outcome_place(const cJSON *result)
{
    const char *spawner = outcome_text(result, "spawner");
    if (!strcmp(spawner, "docker"))
        return "in containers";
    return strcmp(spawner, "swarm") ? "" : "in containers of a Swarm";
}

bool outcome_valid(const cJSON *result)
{
    return cJSON_IsTrue(json_get(json_get(result, "verdict"), "valid"));
}

/* The parts that readers walk without asking: names, arrays of the right kinds and lengths. */
static const char *outcome_flaw(const cJSON *result)
{
    static const char *const texts[] = {"name", "title", "question", "measures", "table"};
    int64_t format;
    if (json_get_int64(result, "format", &format) < 0 || format != OUTCOME_FORMAT)
        return "its format is not the one this program knows";
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!json_get_string(result, texts[i]))
            return texts[i];
    const cJSON *axes = json_get(result, "axes");
    const cJSON *points = json_get(result, "points");
    const cJSON *figures = json_get(result, "figures");
    const cJSON *node;
    if (!cJSON_IsArray(axes) || !cJSON_IsArray(points) || !cJSON_IsArray(figures))
        return "axes, points or figures";
    cJSON_ArrayForEach (node, figures) {
        if (!cJSON_IsString(node) || strpbrk(node->valuestring, "/."))
            return "figures";
    }
    cJSON_ArrayForEach (node, points) {
        const cJSON *labels = json_get(node, "labels");
        const cJSON *values = json_get(node, "values");
        if (cJSON_GetArraySize(labels) != cJSON_GetArraySize(axes) ||
            cJSON_GetArraySize(values) != cJSON_GetArraySize(axes) ||
            !cJSON_IsArray(json_get(node, "servers")))
            return "points";
    }
    return json_get(json_get(result, "verdict"), "valid") ? NULL : "verdict";
}

cJSON *outcome_read(const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, OUTCOME_MAX_BYTES);
    cJSON *result = NULL;
    if (file_read(path, &text, err) == 0) {
        result = json_parse(buf_head(&text), buf_len(&text), err);
        if (!result)
            err_prefix(err, "%s", path);
    }
    buf_done(&text);
    const char *flaw = result ? outcome_flaw(result) : NULL;
    if (flaw) {
        err_set(err, -EINVAL, "%s is not a result: %s", path, flaw);
        cJSON_Delete(result);
        result = NULL;
    }
    return result;
}
