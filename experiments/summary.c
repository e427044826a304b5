#include "experiments/run.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "experiments/shares.h"

#define BOOTSTRAP_RESAMPLES 10000
#define BOOTSTRAP_LEVEL 0.95

struct summary_number summary_number_of(const double *values, size_t n, uint64_t seed)
{
    return (struct summary_number){
        .median = stats_median(values, n),
        .interval = stats_bootstrap_median(values, n, BOOTSTRAP_LEVEL, BOOTSTRAP_RESAMPLES, seed),
        .min = stats_min(values, n),
        .max = stats_max(values, n),
    };
}

static double least_of(const uint64_t *counts, size_t n)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < n; i++)
        least = counts[i] < least ? counts[i] : least;
    return (double)least;
}

static double most_of(const uint64_t *counts, size_t n)
{
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = counts[i] > most ? counts[i] : most;
    return (double)most;
}

static double peak_to_mean_of(const uint64_t *counts, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += counts[i];
    return sum ? most_of(counts, n) * (double)n / (double)sum : 0;
}

/* A number of each sample's counts. */
static struct summary_number counts_number(const struct summary_point *point,
                                           double (*of)(const uint64_t *counts, size_t n),
                                           double *values, uint64_t seed)
{
    for (size_t i = 0; i < point->n_samples; i++)
        values[i] = of(point->samples[i]->counts, point->n_servers);
    return summary_number_of(values, point->n_samples, seed);
}

/* χ² of every sample, and of all of them together: sums of independent χ² are χ² with the sum of
 * the degrees of freedom. */
static void point_fit(struct summary_point *point)
{
    double shares[EXPERIMENT_MAX_SERVERS];
    for (size_t i = 0; i < point->n_servers; i++)
        shares[i] = point->servers[i].share;
    for (size_t i = 0; i < point->n_samples; i++) {
        unsigned df;
        double x =
            stats_chi_square_pooled(point->samples[i]->counts, shares, point->n_servers, &df);
        point->chi_square += x;
        point->df += df;
        point->sample_p[i] = isinf(x) ? 0 : df ? stats_chi_square_p(x, df) : 1;
    }
    if (isinf(point->chi_square))
        point->p = 0;
    else
        point->p = point->df ? stats_chi_square_p(point->chi_square, point->df) : 1;
}

static bool all_finite(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static void point_count(struct summary_point *point, double *values, uint64_t seed)
{
    size_t n = point->n_samples;
    const struct sample_metric *metrics = sample_metrics_of(&point->settings.load);
    for (size_t m = 0; metrics[m].name; m++) {
        for (size_t i = 0; i < n; i++)
            values[i] = sample_metric_value(point->samples[i], &metrics[m]);
        point->metrics[m] =
            all_finite(values, n)
                ? summary_number_of(values, n, seed)
                : (struct summary_number){NAN, .interval = {NAN, NAN}, .min = NAN, .max = NAN};
    }
    if (experiment_has_database(&point->settings))
        return;
    for (size_t s = 0; s < point->n_servers; s++) {
        for (size_t i = 0; i < n; i++)
            values[i] = (double)point->samples[i]->counts[s];
        point->servers[s].count = summary_number_of(values, n, seed);
    }
    point->peak_to_mean = counts_number(point, peak_to_mean_of, values, seed);
    point->least = counts_number(point, least_of, values, seed);
    point->most = counts_number(point, most_of, values, seed);
}

static uint64_t point_requests(const struct summary_point *point)
{
    double *values = mem_zalloc(point->n_samples + 1, sizeof(double));
    uint64_t n = point->settings.load.requests;
    for (size_t i = 0; i < point->n_samples; i++)
        values[i] = (double)(point->samples[i]->n_ok + point->samples[i]->n_errors);
    if (point->settings.load.duration_ns && point->n_samples)
        n = (uint64_t)stats_median(values, point->n_samples);
    free(values);
    return n;
}

/* What each server is to answer. */
static int point_expect(struct summary_point *point, struct err *err)
{
    double shares[EXPERIMENT_MAX_SERVERS];
    int status = shares_exact(&point->settings.cluster, shares, err);
    if (status < 0)
        return status;
    point->n_servers = point->settings.cluster.servers;
    double requests = point->requests ? (double)point->requests : NAN;
    point->exact_least = point->exact_most = shares[0] * requests;
    for (size_t i = 0; i < point->n_servers; i++) {
        point->servers[i].share = shares[i];
        point->servers[i].expected = shares[i] * requests;
        point->exact_peak_to_mean =
            fmax(point->exact_peak_to_mean, shares[i] * (double)point->n_servers);
        point->exact_least = fmin(point->exact_least, point->servers[i].expected);
        point->exact_most = fmax(point->exact_most, point->servers[i].expected);
    }
    return 0;
}

static int point_make(const struct run *run, size_t index, struct summary_point *point,
                      struct err *err)
{
    experiment_point(run->experiment, index, &point->settings);
    bool database = experiment_has_database(&point->settings);
    point->samples = mem_zalloc(run->n_samples + 1, sizeof(struct sample *));
    for (uint64_t repeat = 0; repeat < run->experiment->about.repeats; repeat++)
        for (size_t i = 0; i < run->n_samples; i++)
            if (run->samples[i].point == index && run->samples[i].repeat == repeat)
                point->samples[point->n_samples++] = &run->samples[i];
    point->sample_p = mem_zalloc(point->n_samples + 1, sizeof(double));
    point->requests = point_requests(point);
    int status = database ? 0 : point_expect(point, err);
    if (status < 0)
        return status;
    if (database)
        point->n_servers = experiment_shape(&point->settings.cluster).servers;
    if (!point->n_samples)
        return 0;
    double *values = mem_zalloc(point->n_samples, sizeof(double));
    point_count(point, values, run->seed);
    free(values);
    if (!database)
        point_fit(point);
    return 0;
}

bool run_has_database(const struct run *run)
{
    struct experiment_settings settings;
    experiment_point(run->experiment, 0, &settings);
    return experiment_has_database(&settings);
}

int summary_make(const struct run *run, struct summary *ret_summary, struct err *err)
{
    struct summary summary = {.n_points = experiment_n_points(run->experiment)};
    summary.points = mem_zalloc(summary.n_points, sizeof(struct summary_point));
    for (size_t i = 0; i < summary.n_points; i++) {
        int status = point_make(run, i, &summary.points[i], err);
        if (status < 0) {
            summary_done(&summary);
            return status;
        }
    }
    *ret_summary = summary;
    return 0;
}

void summary_done(struct summary *summary)
{
    for (size_t i = 0; i < summary->n_points; i++) {
        free(summary->points[i].samples);
        free(summary->points[i].sample_p);
    }
    free(summary->points);
    *summary = (struct summary){0};
}
