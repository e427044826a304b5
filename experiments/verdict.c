#include "experiments/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "experiments/course_outcome.h"
#include "experiments/endpoints.h"

static void say(cJSON *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(cJSON *list, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

static void judge_completeness(const struct run *run, cJSON *reasons)
{
    uint64_t repeats = run->experiment->about.repeats;
    if (run->interrupted)
        say(reasons, "interrupted after %zu of %zu samples", run->n_samples, run->n_planned);
    if (repeats < VERDICT_MIN_REPEATS)
        say(reasons, "too few repeats: %" PRIu64 ", at least %d are needed to see a spread",
            repeats, VERDICT_MIN_REPEATS);
}

static void judge_errors(const struct run *run, cJSON *reasons)
{
    uint64_t n_errors = 0;
    const char *example = "";
    for (size_t i = 0; i < run->n_samples; i++)
        for (const struct sample *load = &run->samples[i]; load; load = load->then) {
            n_errors += load->n_errors;
            if (load->n_errors && !*example)
                example = load->error;
        }
    if (n_errors)
        say(reasons, "%" PRIu64 " requests failed%s%s", n_errors, *example ? ": " : "", example);
}

/* Of a database: every request ended once, whoever answered. */
static void judge_ended(const struct run *run, size_t i, const struct sample *load, cJSON *reasons)
{
    struct experiment_settings settings;
    experiment_point(run->experiment, run->samples[i].point, &settings);
    const char *phase = sample_phase_name(load->phase);
    uint64_t n = load->n_ok + load->n_errors + load->n_dropped;
    if (!settings.load.duration_ns && n != settings.load.requests)
        say(reasons,
            "sample %zu%s%s: %" PRIu64 " requests were to be sent, %" PRIu64
            " were answered, failed "
            "or were dropped",
            i + 1, *phase ? ", " : "", phase, settings.load.requests, n);
}

/* And every row that was written is in every replica. */
static void judge_rows(const struct run *run, cJSON *reasons)
{
    const char *doubt = NULL, *phase = "";
    size_t n = 0, n_loads = 0, sample = 0;
    for (size_t i = 0; i < run->n_samples; i++)
        for (const struct sample *load = &run->samples[i]; load; load = load->then) {
            judge_ended(run, i, load, reasons);
            n_loads++;
            n += *load->doubt != 0;
            if (!*load->doubt || doubt)
                continue;
            doubt = load->doubt;
            phase = sample_phase_name(load->phase);
            sample = i + 1;
        }
    if (doubt)
        say(reasons, "rows are not vouched for after %zu of %zu loads, first in sample %zu%s%s: %s",
            n, n_loads, sample, *phase ? ", " : "", phase, doubt);
}

/* What a reader must know of points that are not there, or whose rows nobody looked for. */
static void warn_of_points(const struct run *run, cJSON *warnings)
{
    const struct experiment *experiment = run->experiment;
    const char *store = NULL;
    for (size_t i = 0; i < experiment->n_left_out; i++)
        say(warnings, "left out: %s", experiment->left_out[i]);
    for (size_t i = 0; i < experiment_n_points(experiment) && !store; i++) {
        struct experiment_settings settings;
        experiment_point(experiment, i, &settings);
        if (experiment_has_database(&settings) && experiment_store_forgets(&settings.cluster))
            store = settings.cluster.store;
    }
    if (store)
        say(warnings, "store %s keeps no rows: what it was given was not looked for", store);
}

/* Every request ended once, and every good answer came from a server that was there at the start.
 */
static void judge_counts(const struct run *run, cJSON *reasons)
{
    uint64_t n_strangers = 0;
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct sample *sample = &run->samples[i];
        struct experiment_settings settings;
        experiment_point(run->experiment, sample->point, &settings);
        uint64_t sum = sample->n_strangers;
        for (size_t s = 0; s < settings.cluster.servers; s++)
            sum += sample->counts[s];
        n_strangers += sample->n_strangers;
        if (settings.load.duration_ns && sum != sample->n_ok)
            say(reasons,
                "sample %zu: %" PRIu64 " requests were answered, but the servers' counts add up "
                "to %" PRIu64,
                i + 1, sample->n_ok, sum);
        else if (!settings.load.duration_ns &&
                 (sample->n_ok + sample->n_errors + sample->n_dropped != settings.load.requests ||
                  sum != sample->n_ok))
            say(reasons,
                "sample %zu: requests were lost: %" PRIu64 " were to be sent, %" PRIu64
                " were answered, %" PRIu64 " failed, %" PRIu64
                " were dropped; the servers' counts add up to %" PRIu64,
                i + 1, settings.load.requests, sample->n_ok, sample->n_errors, sample->n_dropped,
                sum);
    }
    if (n_strangers && !run->experiment->events.n)
        say(reasons,
            "%" PRIu64 " answers came from servers that the cluster was not started with: a "
            "server was replaced during the run",
            n_strangers);
}

/* Of the thread that is the bottleneck. */
static double busiest_cpu(const struct run *run, const struct sample *sample)
{
    struct experiment_settings settings;
    experiment_point(run->experiment, sample->point, &settings);
    double most = 0;
    for (const struct sample *load = sample; load; load = load->then)
        most = fmax(most, settings.load.threads > 1 ? load->thread_cpu : load->generator_cpu);
    return most;
}

static void judge_generator(const struct run *run, cJSON *reasons, cJSON *warnings)
{
    double most = 0;
    size_t n = 0;
    for (size_t i = 0; i < run->n_samples; i++) {
        double cpu = busiest_cpu(run, &run->samples[i]);
        n += cpu > VERDICT_MAX_GENERATOR_CPU;
        most = cpu > most ? cpu : most;
    }
    if (!n)
        return;
    if (run->experiment->about.measures == MEASURES_COUNTS)
        say(warnings,
            "the load generator used up to %.0f %% of a core in %zu of %zu samples: the counts do "
            "not depend on it, the rates and latencies are bounds",
            most * 100, n, run->n_samples);
    else
        say(reasons,
            "the load generator was saturated: it used up to %.0f %% of a core, above %.0f %% in "
            "%zu of %zu samples",
            most * 100, VERDICT_MAX_GENERATOR_CPU * 100, n, run->n_samples);
}

/* What quoit load itself says: an open loop whose requests went out late through its own doing, or
 * not at all, did not offer the load that it was to offer. */
static void judge_open_loop(const struct run *run, cJSON *reasons, cJSON *warnings)
{
    bool counts = run->experiment->about.measures == MEASURES_COUNTS;
    uint64_t n_dropped = 0;
    const char *distrust = NULL;
    size_t n = 0;
    for (size_t i = 0; i < run->n_samples; i++) {
        const char *why = NULL;
        for (const struct sample *load = &run->samples[i]; load; load = load->then) {
            n_dropped += load->n_dropped;
            why = *load->distrust && !why ? load->distrust : why;
        }
        n += why != NULL;
        distrust = distrust ? distrust : why;
    }
    if (distrust && counts)
        say(warnings,
            "in %zu of %zu samples %s: the counts do not depend on it, latencies are bounds", n,
            run->n_samples, distrust);
    else if (distrust)
        say(reasons, "quoit load calls %zu of %zu samples INVALID: %s", n, run->n_samples,
            distrust);
    if (n_dropped)
        say(run->experiment->events.n ? warnings : reasons,
            "%" PRIu64 " requests were dropped, unsent when it was too late for them", n_dropped);
}

static void judge_fit(const struct run *run, const struct summary *summary, cJSON *reasons)
{
    for (size_t i = 0; i < summary->n_points; i++) {
        const struct summary_point *point = &summary->points[i];
        if (!point->n_samples || point->p >= VERDICT_MIN_P)
            continue;
        struct buf where;
        buf_init(&where, 400);
        for (size_t a = 0; a < run->experiment->n_axes; a++) {
            const struct experiment_axis *axis = &run->experiment->axes[a];
            buf_appendf(&where, "%s = %s: ", axis->vary,
                        axis->values[experiment_value_index(run->experiment, i, a)]);
        }
        say(reasons,
            "%sthe counts do not fit the exact shares (chi-square %.1f, %u degrees of freedom, "
            "p = %.2g)",
            buf_str(&where), point->chi_square, point->df, point->p);
        buf_done(&where);
    }
}

cJSON *verdict_judge(const struct run *run, const struct summary *summary)
{
    cJSON *reasons = cJSON_CreateArray();
    cJSON *warnings = cJSON_CreateArray();
    judge_completeness(run, reasons);
    warn_of_points(run, warnings);
    bool events = run->experiment->events.n > 0;
    bool database = run_has_database(run);
    if (events)
        course_judge(run, reasons);
    else
        judge_errors(run, reasons);
    if (database)
        judge_rows(run, reasons);
    else
        judge_counts(run, reasons);
    judge_generator(run, reasons, warnings);
    judge_open_loop(run, reasons, warnings);
    if (!events && !database)
        judge_fit(run, summary, reasons);
    endpoints_judge(run->endpoints, reasons);
    cJSON *verdict = cJSON_CreateObject();
    cJSON_AddBoolToObject(verdict, "valid", !cJSON_GetArraySize(reasons));
    cJSON_AddItemToObject(verdict, "reasons", reasons);
    cJSON_AddItemToObject(verdict, "warnings", warnings);
    return verdict;
}
