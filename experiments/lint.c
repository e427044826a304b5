#include "experiments/lint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store.h"
#include "core/build_info.h"
#include "core/mem.h"
#include "experiments/outcome.h"

static void object(cJSON *list, const char *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void object(cJSON *list, const char *about, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON *objection = cJSON_CreateObject();
    cJSON_AddStringToObject(objection, "about", about);
    cJSON_AddStringToObject(objection, "says", text);
    cJSON_AddItemToArray(list, objection);
}

static bool claims_rates(const struct experiment *experiment)
{
    return experiment->about.measures == MEASURES_RATES;
}

/* ——— the plan ——— */

static void plan_repeats(const struct experiment *experiment, cJSON *list)
{
    uint64_t n = experiment->about.repeats;
    if (experiment->figure.table == TABLE_STEPS)
        object(list, "independence",
               "%zu events in each of %" PRIu64 " runs are taken for independent of each other",
               experiment->events.n, n);
    else if (n == 1)
        object(list, "repeats", "one repeat: no spread can be seen");
    else if (n < LINT_MIN_REPEATS)
        object(list, "repeats",
               "%" PRIu64 " repeats: even from the least to the most of them holds the median with "
               "%.1f %% only; 95 %% take %d",
               n, 100 * (1 - pow(2, 1 - (double)n)), LINT_MIN_REPEATS);
}

static void plan_baseline(const struct experiment *experiment, cJSON *list)
{
    /* With events, what came before them is the baseline. */
    if (experiment_n_points(experiment) == 1 && !experiment->events.n)
        object(list, "baseline", "nothing varies: there is nothing to compare with");
}

/* Rates are of everything that has to run at the same time. */
static void plan_cores(const struct experiment *experiment, unsigned n_cores, cJSON *list)
{
    uint64_t most = 0;
    for (size_t i = 0; i < experiment_n_points(experiment); i++) {
        struct experiment_settings settings;
        experiment_point(experiment, i, &settings);
        uint64_t n =
            (experiment_has_database(&settings) ? experiment_shape(&settings.cluster).servers
                                                : settings.cluster.servers) +
            settings.cluster.threads + settings.load.threads;
        most = n > most ? n : most;
    }
    if (most > n_cores)
        object(list, "cores",
               "up to %" PRIu64 " busy threads (servers, load balancer, load generator) share %u "
               "cores: a rate is that of all of them together, not the cluster's capacity",
               most, n_cores);
    object(list, "network", "all of it is one machine: no network between machines is measured");
}

static void plan_load(const struct experiment *experiment, cJSON *list)
{
    uint64_t closed = 0; /* in flight of a closed loop; 0: there is none */
    bool constant = false;
    for (size_t i = 0; i < experiment_n_points(experiment); i++) {
        struct experiment_settings settings;
        experiment_point(experiment, i, &settings);
        if (!(settings.load.rate > 0))
            closed = closed > settings.load.in_flight ? closed : settings.load.in_flight;
        else
            constant |= settings.load.arrivals == EXPERIMENT_CONSTANT;
    }
    if (!experiment->settings.load.warmup)
        object(list, "warm-up", "none: connections and caches are set up on the clock");
    if (closed)
        object(list, "closed loop",
               "%" PRIu64 " in flight wait while a server stalls, so latencies leave out what "
               "clients that do not wait would see: compare them among these points, quote them "
               "for nothing else",
               closed);
    if (constant)
        object(list, "arrivals",
               "evenly spaced: clients that know nothing of each other come in bunches, which "
               "makes them wait longer (load.arrivals = poisson)");
}

cJSON *lint_plan(const struct experiment *experiment, unsigned n_cores)
{
    cJSON *list = cJSON_CreateArray();
    plan_repeats(experiment, list);
    plan_baseline(experiment, list);
    if (claims_rates(experiment)) {
        plan_cores(experiment, n_cores, list);
        plan_load(experiment, list);
    }
    return list;
}

/* ——— the run ——— */

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double lint_outlier_z(const double *values, size_t n, size_t i)
{
    if (n < LINT_OUTLIER_MIN_SAMPLES)
        return 0;
    double *sorted = mem_zalloc(n, sizeof(*sorted));
    memcpy(sorted, values, n * sizeof(*sorted));
    double median = median_of(sorted, n);
    for (size_t k = 0; k < n; k++)
        sorted[k] = fabs(values[k] - median);
    double deviation = median_of(sorted, n);
    free(sorted);
    return deviation > 0 ? 0.6745 * fabs(values[i] - median) / deviation : 0;
}

/* "cluster.servers = 4, " for each axis. */
static void print_where(const struct experiment *experiment, size_t point, struct buf *out)
{
    buf_clear(out);
    for (size_t a = 0; a < experiment->n_axes; a++) {
        const struct experiment_axis *axis = &experiment->axes[a];
        buf_appendf(out, "%s = %s, ", axis->vary,
                    axis->values[experiment_value_index(experiment, point, a)]);
    }
}

/* Of one rate: a sample's, or a phase's. */
static void run_outliers_of(const struct run *run, const struct summary *summary, size_t metric,
                            cJSON *list)
{
    double *values = mem_zalloc(run->n_samples + 1, sizeof(*values));
    struct buf where;
    buf_init(&where, 0);
    for (size_t p = 0; p < summary->n_points; p++) {
        const struct summary_point *point = &summary->points[p];
        const struct sample_metric *rate = &sample_metrics_of(&point->settings.load)[metric];
        const char *phase = sample_phase_name(rate->phase);
        print_where(run->experiment, p, &where);
        for (size_t i = 0; i < point->n_samples; i++)
            values[i] = sample_metric_value(point->samples[i], rate);
        for (size_t i = 0; i < point->n_samples; i++) {
            double z = lint_outlier_z(values, point->n_samples, i);
            if (z > LINT_OUTLIER_Z)
                object(list, "outlier",
                       "%s%s%srepeat %" PRIu64 ": %.0f requests/s beside a median of %.0f "
                       "(modified z-score %.1f)",
                       buf_str(&where), phase, *phase ? ", " : "", point->samples[i]->repeat + 1,
                       values[i], point->metrics[metric].median, z);
        }
    }
    buf_done(&where);
    free(values);
}

static bool is_rate(const struct sample_metric *metric)
{
    return !strcmp(metric->unit, "requests/s");
}

/* Rates have the same places at all points. */
static void run_outliers(const struct run *run, const struct summary *summary, cJSON *list)
{
    const struct sample_metric *metrics = sample_metrics_of(&summary->points[0].settings.load);
    for (size_t m = 0; metrics[m].name; m++)
        if (is_rate(&metrics[m]))
            run_outliers_of(run, summary, m, list);
}

/* Of a point's rates: width of the interval over the median. */
static double widest_interval(const struct summary_point *point)
{
    const struct sample_metric *metrics = sample_metrics_of(&point->settings.load);
    double widest = 0;
    for (size_t m = 0; metrics[m].name && point->n_samples; m++) {
        const struct summary_number *rate = &point->metrics[m];
        if (is_rate(&metrics[m]) && rate->median > 0)
            widest = fmax(widest, (rate->interval.high - rate->interval.low) / rate->median);
    }
    return widest;
}

/* Wide intervals, short samples. */
static void run_spread(const struct summary *summary, cJSON *list)
{
    size_t n_wide = 0, n_short = 0, n_points = 0;
    double widest = 0, shortest = INFINITY;
    for (size_t p = 0; p < summary->n_points; p++) {
        const struct summary_point *point = &summary->points[p];
        double width = widest_interval(point);
        n_points += point->n_samples > 0;
        n_wide += width > 0.1;
        widest = fmax(widest, width);
        for (size_t i = 0; i < point->n_samples; i++) {
            double seconds = INFINITY;
            for (const struct sample *load = point->samples[i]; load; load = load->then)
                seconds = fmin(seconds, load->seconds);
            n_short += seconds < LINT_MIN_SECONDS;
            shortest = fmin(shortest, seconds);
        }
    }
    if (n_wide)
        object(
            list, "spread",
            "the interval of the rate is wider than 10 %% of its median at %zu of %zu points (up "
            "to %.0f %%): smaller differences are not shown",
            n_wide, n_points, widest * 100);
    if (n_short)
        object(list, "duration", "%zu samples lasted less than %g s (down to %.2f s)", n_short,
               LINT_MIN_SECONDS, shortest);
}

static void run_warmup(const struct run *run, cJSON *list)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_samples; i++)
        n += run->samples[i].unsteady;
    if (n)
        object(list, "warm-up", "%zu of %zu samples began before the throughput was steady", n,
               run->n_samples);
}

/* What is synced to memory is synced for nothing. */
static void run_durability(const struct run *run, const struct summary *summary, cJSON *list)
{
    bool durable = false;
    for (size_t p = 0; p < summary->n_points; p++) {
        const struct experiment_settings *settings = &summary->points[p].settings;
        struct store_spec store;
        if (!experiment_has_database(settings) ||
            store_spec_parse(settings->cluster.store, &store, NULL) < 0)
            continue;
        durable = durable || store_spec_caps(&store) & STORE_DURABLE;
        store_spec_done(&store);
    }
    if (durable && (!strcmp(run->storage, "tmpfs") || !strcmp(run->storage, "ramfs")))
        object(list, "durability",
               "the stores' files were in memory (%s), where a sync costs nothing: set TMPDIR to a "
               "folder on a disk",
               run->storage);
}

void lint_run(cJSON *objections, const struct run *run, const struct summary *summary)
{
    if (build_info.dirty)
        object(objections, "source", "built from changes that no commit has");
    if (!claims_rates(run->experiment))
        return;
    run_durability(run, summary, objections);
    run_warmup(run, objections);
    run_spread(summary, objections);
    run_outliers(run, summary, objections);
}

void lint_print(const cJSON *objections, struct buf *out)
{
    const cJSON *objection;
    cJSON_ArrayForEach (objection, objections) {
        buf_appendf(out, "  %s: %s\n", outcome_text(objection, "about"),
                    outcome_text(objection, "says"));
    }
}
