#include "experiments/course_outcome.h"

#include <math.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/outcome.h"

/* ——— result.json ——— */

/* Values that are not finite are left out of the summary, but stand among the values as null. */
static void add_number(cJSON *object, const char *key, const double *values, size_t n,
                       uint64_t seed)
{
    double *finite = mem_zalloc(n + 1, sizeof(*finite));
    size_t n_finite = 0;
    cJSON *number = cJSON_AddObjectToObject(object, key);
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            finite[n_finite++] = values[i];
    if (n_finite) {
        struct summary_number summary = summary_number_of(finite, n_finite, seed);
        json_add_double(number, "median", summary.median);
        json_add_double(number, "low", summary.interval.low);
        json_add_double(number, "high", summary.interval.high);
        json_add_double(number, "min", summary.min);
        json_add_double(number, "max", summary.max);
    }
    cJSON *list = cJSON_AddArrayToObject(number, "values");
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(list, json_double(values[i]));
    free(finite);
}

/* Whole microseconds are enough, and short. */
static double rounded(double value)
{
    return round(value * 1000) / 1000;
}

static double seconds_since_start(const struct course *course, uint64_t ns)
{
    return rounded((double)((int64_t)ns - (int64_t)course->started_ns) / (double)NS_PER_S);
}

static bool any_finite(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            return true;
    return false;
}

/* Numbers of a course_event that are there only when they say something. */
static const struct {
    const char *key;
    size_t offset;
} optional_numbers[] = {
    {"rows", offsetof(struct course_event, n_rows)},
    {"copied_rows", offsetof(struct course_event, n_copied_rows)},
    {"copied_bytes", offsetof(struct course_event, n_copied_bytes)},
};
#define N_OPTIONAL_NUMBERS (sizeof(optional_numbers) / sizeof(optional_numbers[0]))

static const struct course_event *event_of(const struct summary_point *point, size_t sample,
                                           size_t index)
{
    return &point->samples[sample]->course->events[index];
}

static void add_optional_numbers(cJSON *tree, const struct run *run,
                                 const struct summary_point *point, size_t index, double *values)
{
    size_t n = point->n_samples;
    for (size_t o = 0; o < N_OPTIONAL_NUMBERS; o++) {
        for (size_t i = 0; i < n; i++)
            values[i] = *(const double *)((const char *)event_of(point, i, index) +
                                          optional_numbers[o].offset);
        if (any_finite(values, n))
            add_number(tree, optional_numbers[o].key, values, n, run->seed);
    }
    if (!point->samples[0]->course->has_writes)
        return;
    for (size_t i = 0; i < n; i++)
        values[i] = event_of(point, i, index)->n_failed_writes;
    add_number(tree, "failed_writes", values, n, run->seed);
    for (size_t i = 0; i < n; i++)
        values[i] = event_of(point, i, index)->n_failed - values[i];
    add_number(tree, "failed_reads", values, n, run->seed);
}

static void add_event(cJSON *events, const struct run *run, const struct summary_point *point,
                      size_t index)
{
    const struct event *event = &run->experiment->events.at[index];
    size_t n = point->n_samples;
    double *values = mem_zalloc(n + 1, sizeof(*values));
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddItemToArray(events, tree);
    cJSON_AddStringToObject(tree, "action", event_action_name(event->action));
    cJSON_AddStringToObject(tree, "label", event->label);
    json_add_double(tree, "planned_s", (double)event->at_ns / (double)NS_PER_S);
    for (size_t i = 0; i < n; i++) {
        const struct course *course = point->samples[i]->course;
        values[i] = seconds_since_start(course, course->events[index].monotonic_ns);
    }
    add_number(tree, "at_s", values, n, run->seed);
    for (size_t i = 0; i < n; i++)
        values[i] = event_of(point, i, index)->n_failed;
    add_number(tree, "failed", values, n, run->seed);
    for (size_t i = 0; i < n; i++)
        values[i] = event_of(point, i, index)->n_retried;
    add_number(tree, "retried", values, n, run->seed);
    add_optional_numbers(tree, run, point, index, values);
    cJSON *steps = cJSON_AddObjectToObject(tree, "steps");
    for (int step = 0; step < COURSE_N_STEPS; step++) {
        if (!course_step_follows((enum course_step)step, event->action))
            continue;
        for (size_t i = 0; i < n; i++)
            values[i] = rounded(event_of(point, i, index)->step_ms[step]);
        /* Not every cluster has rows to copy. */
        if (step == STEP_COPIED && !any_finite(values, n))
            continue;
        add_number(steps, course_steps[step].name, values, n, run->seed);
    }
    free(values);
}

static void add_buckets(cJSON *tree, const char *key, const double *values, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(tree, key);
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(list, json_double(rounded(values[i])));
}

void course_add_outcome(cJSON *point_tree, const struct run *run, const struct summary_point *point)
{
    if (!point->n_samples || !point->samples[0]->course)
        return;
    cJSON *events = cJSON_AddArrayToObject(point_tree, "events");
    for (size_t i = 0; i < run->experiment->events.n; i++)
        add_event(events, run, point, i);
    double *values = mem_zalloc(point->n_samples, sizeof(*values));
    for (size_t i = 0; i < point->n_samples; i++)
        values[i] = point->samples[i]->course->n_retried;
    add_number(point_tree, "retried", values, point->n_samples, run->seed);
    free(values);
    cJSON *timeline = cJSON_AddObjectToObject(point_tree, "timeline");
    json_add_uint64(timeline, "bucket_ms", COURSE_BUCKET_MS);
    cJSON *repeats = cJSON_AddArrayToObject(timeline, "repeats");
    for (size_t i = 0; i < point->n_samples; i++) {
        const struct course *course = point->samples[i]->course;
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddItemToArray(repeats, tree);
        json_add_double(tree, "begin_s", seconds_since_start(course, course->begin_ns));
        add_buckets(tree, "ok", course->ok, course->n_buckets);
        add_buckets(tree, "failed", course->failed, course->n_buckets);
        if (course->has_writes) {
            add_buckets(tree, "writes_ok", course->writes_ok, course->n_buckets);
            add_buckets(tree, "writes_failed", course->writes_failed, course->n_buckets);
        }
        add_buckets(tree, "p50_ms", course->p50_ms, course->n_buckets);
        add_buckets(tree, "max_ms", course->max_ms, course->n_buckets);
    }
}

/* ——— verdict ——— */

static void say(cJSON *reasons, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(cJSON *reasons, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text, 600);
    va_start(args, format);
    buf_vappendf(&text, format, args);
    va_end(args);
    cJSON_AddItemToArray(reasons, cJSON_CreateString(buf_str(&text)));
    buf_done(&text);
}

static bool is_required(enum course_step step, const struct experiment_cluster *cluster)
{
    return course_steps[step].required == ALWAYS_REQUIRED ||
           (course_steps[step].required == DATABASE_REQUIRED && cluster->shards > 0);
}

static void judge_event(const struct event *event, const struct course_event *ran,
                        const struct experiment_cluster *cluster, size_t sample, cJSON *reasons)
{
    double at_s = (double)event->at_ns / (double)NS_PER_S;
    for (int step = 0; step < COURSE_N_STEPS; step++)
        if (course_step_follows((enum course_step)step, event->action) &&
            is_required((enum course_step)step, cluster) && !isfinite(ran->step_ms[step]))
            say(reasons, "sample %zu: after %s at %.3g s, '%s' never came", sample, event->label,
                at_s, course_steps[step].name);
    bool in_order = event->action == EVENT_RM || event->action == EVENT_ADD;
    if (in_order && ran->n_failed > 0)
        say(reasons, "sample %zu: after %s at %.3g s, %.0f requests failed", sample, event->label,
            at_s, ran->n_failed);
}

/* Another replica has the rows: no read is to fail for one that is dead. */
static void judge_reads(const struct event *event, const struct course_event *ran, size_t sample,
                        cJSON *reasons)
{
    double n_failed = ran->n_failed - ran->n_failed_writes;
    if (n_failed > 0.5)
        say(reasons, "sample %zu: after %s at %.3g s, %.0f reads failed", sample, event->label,
            (double)event->at_ns / (double)NS_PER_S, n_failed);
}

static void judge_before(const struct course *course, size_t sample, cJSON *reasons)
{
    double n_failed = 0;
    for (size_t i = 0; i < course->n_buckets; i++)
        n_failed += course->failed[i];
    for (size_t i = 0; i < course->n_events; i++)
        n_failed -= course->events[i].n_failed;
    if (n_failed > 0.5)
        say(reasons, "sample %zu: %.0f requests failed before anything was done", sample, n_failed);
}

void course_judge(const struct run *run, cJSON *reasons)
{
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct course *course = run->samples[i].course;
        if (!course)
            continue;
        struct experiment_settings settings;
        experiment_point(run->experiment, run->samples[i].point, &settings);
        judge_before(course, i + 1, reasons);
        for (size_t e = 0; e < course->n_events; e++) {
            const struct event *event = &run->experiment->events.at[e];
            judge_event(event, &course->events[e], &settings.cluster, i + 1, reasons);
            if (course->has_writes && settings.cluster.shards > 0 && settings.cluster.replicas > 1)
                judge_reads(event, &course->events[e], i + 1, reasons);
        }
    }
}

/* ——— table ——— */

static void add_ms(struct grid *grid, const cJSON *number)
{
    double median = outcome_number(number, "median");
    if (!isfinite(median))
        grid_add(grid, "–");
    else
        grid_add(grid, median < 10 ? "%.2f ms" : median < 100 ? "%.1f ms" : "%.0f ms", median);
}

static void add_count(struct grid *grid, const cJSON *number)
{
    double median = outcome_number(number, "median"), most = outcome_number(number, "max");
    if (most > median)
        grid_add(grid, "%.0f (most: %.0f)", median, most);
    else
        grid_add(grid, "%.0f", median);
}

/* Whether an event of the result has that key, or its object `of` has. */
static bool any_event_has(const cJSON *result, const char *of, const char *key)
{
    const cJSON *point, *event;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        cJSON_ArrayForEach (event, json_get(point, "events")) {
            if (json_get(of ? json_get(event, of) : event, key))
                return true;
        }
    }
    return false;
}

/* Fewer were sent than are held where the others were there already; more, where rows changed
 * while they were copied. */
static void add_rows(struct grid *grid, const cJSON *event)
{
    double held = outcome_number(json_get(event, "rows"), "median");
    double copied = outcome_number(json_get(event, "copied_rows"), "median");
    if (!isfinite(held) || !isfinite(copied))
        grid_add(grid, "–");
    else
        grid_add(grid, "%.0f, %.0f sent", held, copied);
}

void course_make_table(const cJSON *result, struct grid *grid)
{
    const cJSON *point, *event, *value;
    bool has_step[COURSE_N_STEPS];
    bool has_rows = any_event_has(result, NULL, "copied_rows");
    bool has_writes = any_event_has(result, NULL, "failed_writes");
    grid_add_column(grid, "done", false);
    grid_add_column(grid, "at, s", true);
    for (int step = 0; step < COURSE_N_STEPS; step++) {
        has_step[step] =
            step != STEP_COPIED || any_event_has(result, "steps", course_steps[step].name);
        if (has_step[step])
            grid_add_column(grid, course_steps[step].name, true);
    }
    if (has_rows)
        grid_add_column(grid, "rows it held then", true);
    grid_add_column(grid, has_writes ? "failed reads" : "failed", true);
    if (has_writes)
        grid_add_column(grid, "failed writes", true);
    grid_add_column(grid, "retried", true);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        cJSON_ArrayForEach (event, json_get(point, "events")) {
            cJSON_ArrayForEach (value, json_get(point, "values")) {
                grid_add(grid, "%s", cJSON_IsString(value) ? value->valuestring : "");
            }
            grid_add(grid, "%s", outcome_text(event, "label"));
            grid_add(grid, "%.2f", outcome_number(json_get(event, "at_s"), "median"));
            for (int step = 0; step < COURSE_N_STEPS; step++)
                if (has_step[step])
                    add_ms(grid, json_get(json_get(event, "steps"), course_steps[step].name));
            if (has_rows)
                add_rows(grid, event);
            add_count(grid, json_get(event, has_writes ? "failed_reads" : "failed"));
            if (has_writes)
                add_count(grid, json_get(event, "failed_writes"));
            add_count(grid, json_get(event, "retried"));
        }
    }
}

/* ——— figure ——— */

/* The repeat that stands for all: in the middle by its number of answers. */
static int typical_repeat(const cJSON *repeats)
{
    int n = cJSON_GetArraySize(repeats);
    double *sums = mem_zalloc((size_t)n + 1, sizeof(*sums));
    const cJSON *repeat, *bucket;
    int i = 0, found = 0;
    cJSON_ArrayForEach (repeat, repeats) {
        cJSON_ArrayForEach (bucket, json_get(repeat, "ok")) {
            sums[i] += cJSON_IsNumber(bucket) ? bucket->valuedouble : 0;
        }
        i++;
    }
    for (i = 0; i < n; i++) {
        int n_below = 0;
        for (int j = 0; j < n; j++)
            n_below += sums[j] < sums[i] || (sums[j] == sums[i] && j < i);
        if (n_below == (n - 1) / 2)
            found = i;
    }
    free(sums);
    return found;
}

static void print_value(double value, struct buf *out)
{
    char text[FORMAT_DOUBLE_BYTES];
    buf_append_str(out, isfinite(value) ? format_double(value, text) : "NaN");
}

/* A field more, of a bucket's latency, when the result has any. */
static void print_latency(const cJSON *value, struct buf *out)
{
    if (!value)
        return;
    buf_append_str(out, "\t");
    print_value(cJSON_IsNumber(value) ? value->valuedouble : NAN, out);
}

/* A field more, of a bucket's rate, when the result has any. */
static void print_rate(const cJSON *value, double bucket_s, struct buf *out)
{
    if (!value)
        return;
    buf_append_str(out, "\t");
    print_value(cJSON_IsNumber(value) ? value->valuedouble / bucket_s : NAN, out);
}

/* The first and the last bucket are not whole and left out; a blank line ends each repeat. */
static void print_rates(const cJSON *timeline, int n_point, struct buf *out)
{
    const cJSON *repeats = json_get(timeline, "repeats");
    double bucket_s = outcome_number(timeline, "bucket_ms") / 1000;
    int typical = typical_repeat(repeats), n_repeat = 0;
    const cJSON *repeat, *bucket;
    cJSON_ArrayForEach (repeat, repeats) {
        const cJSON *failed = cJSON_GetArrayItem(json_get(repeat, "failed"), 0);
        const cJSON *p50 = cJSON_GetArrayItem(json_get(repeat, "p50_ms"), 0);
        const cJSON *max = cJSON_GetArrayItem(json_get(repeat, "max_ms"), 0);
        const cJSON *writes = cJSON_GetArrayItem(json_get(repeat, "writes_ok"), 0);
        double begin_s = outcome_number(repeat, "begin_s");
        int i = 0;
        cJSON_ArrayForEach (bucket, json_get(repeat, "ok")) {
            if (i > 0 && bucket->next) {
                buf_appendf(out, "%d\t%d\t%d\t", n_point, n_repeat + 1, n_repeat == typical);
                print_value(rounded(begin_s + i * bucket_s), out);
                buf_append_str(out, "\t");
                print_value(bucket->valuedouble / bucket_s, out);
                buf_append_str(out, "\t");
                print_value(failed ? failed->valuedouble / bucket_s : 0, out);
                print_latency(p50, out);
                print_latency(max, out);
                print_rate(writes, bucket_s, out);
                buf_append_str(out, "\n");
            }
            failed = failed ? failed->next : NULL;
            p50 = p50 ? p50->next : NULL;
            max = max ? max->next : NULL;
            writes = writes ? writes->next : NULL;
            i++;
        }
        buf_append_str(out, "\n");
        n_repeat++;
    }
}

static double step_median(const cJSON *event, int step)
{
    return outcome_number(json_get(json_get(event, "steps"), course_steps[step].name), "median");
}

/* Its place among the event's steps that came, by the median; 0 when it did not. */
static int step_row(const cJSON *event, int step)
{
    double median = step_median(event, step);
    int row = isfinite(median);
    for (int other = 0; row && other < COURSE_N_STEPS; other++) {
        double its = step_median(event, other);
        row += its < median || (its == median && other < step);
    }
    return row;
}

static void print_steps(const cJSON *event, int n_point, int n_event, struct buf *out)
{
    const cJSON *value;
    for (int step = 0; step < COURSE_N_STEPS; step++) {
        const cJSON *number = json_get(json_get(event, "steps"), course_steps[step].name);
        int n_repeat = 0, row = step_row(event, step);
        cJSON_ArrayForEach (value, json_get(number, "values")) {
            if (!row)
                continue;
            buf_appendf(out, "%d\t%d\t%d\t%s\t%d\t", n_point, n_event, row, course_steps[step].name,
                        ++n_repeat);
            print_value(cJSON_IsNumber(value) ? value->valuedouble : NAN, out);
            buf_append_str(out, "\t");
            print_value(step_median(event, step), out);
            buf_append_str(out, "\n");
        }
    }
}

/* An array of a number of every event; NaN where an event has none. */
static void print_event_numbers(const cJSON *events, const char *name, const char *key,
                                const char *of, struct buf *out)
{
    const cJSON *event;
    buf_appendf(out, "array %s[%d] = [", name, cJSON_GetArraySize(events));
    cJSON_ArrayForEach (event, events) {
        print_value(outcome_number(json_get(event, key), of), out);
        buf_append_str(out, event->next ? ", " : "]\n");
    }
}

/* What a script needs before it draws: of every event of the first point. */
static void print_event_arrays(const cJSON *result, struct buf *out)
{
    const cJSON *events = json_get(cJSON_GetArrayItem(json_get(result, "points"), 0), "events");
    const cJSON *event;
    int n = cJSON_GetArraySize(events);
    buf_appendf(out, "n_events = %d\narray event_rows[%d] = [", n, n);
    cJSON_ArrayForEach (event, events) {
        int n_rows = 0;
        for (int step = 0; step < COURSE_N_STEPS; step++)
            n_rows += step_row(event, step) > 0;
        buf_appendf(out, "%d%s", n_rows, event->next ? ", " : "]\n");
    }
    buf_appendf(out, "array event_at[%d] = [", n);
    cJSON_ArrayForEach (event, events) {
        print_value(outcome_number(json_get(event, "at_s"), "median"), out);
        buf_append_str(out, event->next ? ", " : "]\n");
    }
    buf_appendf(out, "array event_end[%d] = [", n);
    cJSON_ArrayForEach (event, events) {
        double ms = step_median(event, STEP_SERVING);
        if (!isfinite(ms))
            ms = step_median(event, STEP_ANSWERED);
        print_value(outcome_number(json_get(event, "at_s"), "median") +
                        (isfinite(ms) ? ms : 0) / 1000,
                    out);
        buf_append_str(out, event->next ? ", " : "]\n");
    }
    buf_appendf(out, "array event_label[%d] = [", n);
    cJSON_ArrayForEach (event, events) {
        /* Labels are made of names and numbers: no quotes among them. */
        buf_appendf(out, "'%s'%s", outcome_text(event, "label"), event->next ? ", " : "]\n");
    }
    print_event_numbers(events, "event_failed", "failed", "max", out);
    print_event_numbers(events, "event_retried", "retried", "median", out);
    print_event_numbers(events, "event_failed_reads", "failed_reads", "max", out);
    print_event_numbers(events, "event_failed_writes", "failed_writes", "max", out);
    print_event_numbers(events, "event_held_rows", "rows", "median", out);
    print_event_numbers(events, "event_copied_rows", "copied_rows", "median", out);
    print_event_numbers(events, "event_copied_bytes", "copied_bytes", "median", out);
}

void course_print_variables(const cJSON *result, struct buf *out)
{
    const cJSON *point, *event;
    const cJSON *first = cJSON_GetArrayItem(json_get(result, "points"), 0);
    bool has_latency =
        json_get(cJSON_GetArrayItem(json_get(json_get(first, "timeline"), "repeats"), 0), "max_ms");
    int n_point = 0;
    if (!cJSON_GetArraySize(json_get(first, "events")))
        return;
    bool has_writes =
        has_latency &&
        json_get(cJSON_GetArrayItem(json_get(json_get(first, "timeline"), "repeats"), 0),
                 "writes_ok");
    buf_appendf(out, "bucket_ms = %d\nhas_latency = %d\nhas_writes = %d\n", COURSE_BUCKET_MS,
                has_latency, has_writes);
    print_event_arrays(result, out);
    buf_appendf(out, "$timeline << QUOIT_END\npoint\trepeat\ttypical\tt\trate\tfailed%s%s\n",
                has_latency ? "\tp50\tmax" : "", has_writes ? "\twrites" : "");
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        print_rates(json_get(point, "timeline"), ++n_point, out);
    }
    buf_append_str(out, "QUOIT_END\n$steps << QUOIT_END\npoint\tevent\trow\tname\trepeat\tms"
                        "\tmedian\n");
    n_point = 0;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        int n_event = 0;
        n_point++;
        cJSON_ArrayForEach (event, json_get(point, "events")) {
            print_steps(event, n_point, ++n_event, out);
        }
    }
    buf_append_str(out, "QUOIT_END\n");
}
