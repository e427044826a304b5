#include "experiments/healing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/gnuplot.h"
#include "experiments/outcome.h"

#define N_ACTIONS (EVENT_ADD + 1)
/* Of the golden ratio: its multiples, less whole numbers, lie far from each other. */
#define GOLDEN 0.6180339887498949

/* ——— result.json ——— */

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Whole microseconds are enough, and short. */
static double rounded(double value)
{
    return round(value * 1000) / 1000;
}

/* Of n values; those that are not finite are left out. Reorders them. */
static void add_pool(cJSON *object, const char *key, double *values, size_t n, uint64_t seed)
{
    cJSON *pool = cJSON_AddObjectToObject(object, key);
    size_t n_finite = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            values[n_finite++] = values[i];
        }
    json_add_uint64(pool, "n", n_finite);
    if (!n_finite)
        return;
    struct summary_number number = summary_number_of(values, n_finite, seed);
    qsort(values, n_finite, sizeof(*values), compare_doubles);
    json_add_double(pool, "sum", rounded(sum));
    json_add_double(pool, "median", rounded(number.median));
    json_add_double(pool, "low", rounded(number.interval.low));
    json_add_double(pool, "high", rounded(number.interval.high));
    json_add_double(pool, "p90", rounded(values[(n_finite * 9 + 9) / 10 - 1]));
    json_add_double(pool, "min", rounded(number.min));
    json_add_double(pool, "max", rounded(number.max));
}

/* The events of one action in all samples of the point; returns how many. */
static size_t collect(const struct run *run, const struct summary_point *point,
                      enum event_action action, const struct course_event **ret_events)
{
    const struct event_list *events = &run->experiment->events;
    size_t n = 0;
    for (size_t s = 0; s < point->n_samples; s++)
        for (size_t e = 0; e < events->n; e++)
            if (events->at[e].action == action)
                ret_events[n++] = &point->samples[s]->course->events[e];
    return n;
}

static void add_action(cJSON *pooled, const struct run *run, enum event_action action,
                       const struct course_event *const *events, size_t n)
{
    double *values = mem_zalloc(n, sizeof(*values));
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddItemToArray(pooled, tree);
    cJSON_AddStringToObject(tree, "action", event_action_name(action));
    json_add_uint64(tree, "n", n);
    for (size_t i = 0; i < n; i++)
        values[i] = events[i]->n_failed;
    add_pool(tree, "failed", values, n, run->seed);
    for (size_t i = 0; i < n; i++)
        values[i] = events[i]->n_retried;
    add_pool(tree, "retried", values, n, run->seed);
    cJSON *steps = cJSON_AddObjectToObject(tree, "steps");
    for (int step = 0; step < COURSE_N_STEPS; step++) {
        if (!course_step_follows((enum course_step)step, action))
            continue;
        for (size_t i = 0; i < n; i++)
            values[i] = events[i]->step_ms[step];
        add_pool(steps, course_steps[step].name, values, n, run->seed);
    }
    free(values);
}

void healing_add_outcome(cJSON *point_tree, const struct run *run,
                         const struct summary_point *point)
{
    const struct course_event **events;
    cJSON *pooled;
    if (!point->n_samples || !point->samples[0]->course)
        return;
    pooled = cJSON_AddArrayToObject(point_tree, "pooled");
    events = mem_zalloc(point->n_samples * run->experiment->events.n + 1, sizeof(*events));
    for (int action = 0; action < (int)N_ACTIONS; action++) {
        size_t n = collect(run, point, (enum event_action)action, events);
        if (n)
            add_action(pooled, run, (enum event_action)action, events, n);
    }
    free(events);
}

/* ——— reading it ——— */

/* A file may say anything; these words go into a script. */
static bool is_known_step(const char *name)
{
    for (int step = 0; step < COURSE_N_STEPS; step++)
        if (!strcmp(course_steps[step].name, name))
            return true;
    return false;
}

static bool is_known_action(const char *name)
{
    for (int action = 0; action < (int)N_ACTIONS; action++)
        if (!strcmp(event_action_name((enum event_action)action), name))
            return true;
    return false;
}

/* The action's steps that came, by the median, into ret_steps; returns how many. */
static int steps_by_median(const cJSON *action, const cJSON *ret_steps[COURSE_N_STEPS])
{
    const cJSON *step;
    int n = 0;
    cJSON_ArrayForEach (step, json_get(action, "steps")) {
        double median = outcome_number(step, "median");
        int at = n;
        if (!isfinite(median) || n == COURSE_N_STEPS || !is_known_step(step->string))
            continue;
        for (; at > 0 && outcome_number(ret_steps[at - 1], "median") > median; at--)
            ret_steps[at] = ret_steps[at - 1];
        ret_steps[at] = step;
        n++;
    }
    return n;
}

/* ——— table ——— */

static void add_ms(struct grid *grid, double ms)
{
    grid_add(grid, ms < 10 ? "%.2f ms" : ms < 100 ? "%.1f ms" : "%.0f ms", ms);
}

static void add_step_row(struct grid *grid, const cJSON *step)
{
    char low[FORMAT_DOUBLE_BYTES], high[FORMAT_DOUBLE_BYTES];
    double most = outcome_number(step, "high");
    int decimals = most < 10 ? 2 : most < 100 ? 1 : 0;
    grid_add(grid, "%s", step->string);
    grid_add(grid, "%.0f", outcome_number(step, "n"));
    add_ms(grid, outcome_number(step, "median"));
    snprintf(low, sizeof(low), "%.*f", decimals, outcome_number(step, "low"));
    snprintf(high, sizeof(high), "%.*f", decimals, most);
    grid_add(grid, "%s – %s ms", low, high);
    add_ms(grid, outcome_number(step, "p90"));
    add_ms(grid, outcome_number(step, "max"));
}

static void add_requests_row(struct grid *grid, const char *what, const cJSON *pool)
{
    double sum = outcome_number(pool, "sum");
    grid_add(grid, "requests %s: %.0f", what, sum);
    grid_add(grid, "%.0f", outcome_number(pool, "n"));
    grid_add(grid, "%.0f", outcome_number(pool, "median"));
    grid_add(grid, "%.0f – %.0f", outcome_number(pool, "low"), outcome_number(pool, "high"));
    grid_add(grid, "%.0f", outcome_number(pool, "p90"));
    grid_add(grid, "%.0f", outcome_number(pool, "max"));
}

static void add_lead_cells(struct grid *grid, const cJSON *point, const cJSON *action)
{
    const cJSON *value;
    cJSON_ArrayForEach (value, json_get(point, "values")) {
        grid_add(grid, "%s", cJSON_IsString(value) ? value->valuestring : "");
    }
    grid_add(grid, "%s", outcome_text(action, "action"));
}

void healing_make_table(const cJSON *result, struct grid *grid)
{
    static const char *const numbers[] = {"events", "median", "95 % interval", "90 % within",
                                          "worst"};
    const cJSON *point, *action;
    grid_add_column(grid, "done", false);
    grid_add_column(grid, "then", false);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        grid_add_column(grid, numbers[i], true);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        cJSON_ArrayForEach (action, json_get(point, "pooled")) {
            const cJSON *steps[COURSE_N_STEPS];
            int n = steps_by_median(action, steps);
            for (int i = 0; i < n; i++) {
                add_lead_cells(grid, point, action);
                add_step_row(grid, steps[i]);
            }
            add_lead_cells(grid, point, action);
            add_requests_row(grid, "that failed", json_get(action, "failed"));
            add_lead_cells(grid, point, action);
            add_requests_row(grid, "sent to another server", json_get(action, "retried"));
        }
    }
}

/* ——— figure ——— */

static const cJSON *most_frequent(const cJSON *pooled)
{
    const cJSON *action, *most = NULL;
    cJSON_ArrayForEach (action, pooled) {
        if (!is_known_action(outcome_text(action, "action")))
            continue;
        if (!most || outcome_number(action, "n") > outcome_number(most, "n"))
            most = action;
    }
    return most;
}

static void print_scalar(const char *name, double value, struct buf *out)
{
    buf_appendf(out, "%s = ", name);
    gnuplot_print_number(value, out);
    buf_append_str(out, "\n");
}

static void print_array(const char *name, const char *key, const cJSON *const *steps, int n,
                        struct buf *out)
{
    buf_appendf(out, "array %s[%d] = [", name, n);
    for (int i = 0; i < n; i++) {
        gnuplot_print_number(outcome_number(steps[i], key), out);
        buf_append_str(out, i + 1 < n ? ", " : "]\n");
    }
}

/* Every value of the step, from all events of the action. */
static void print_values(const cJSON *point, const cJSON *action, const cJSON *step, int row,
                         struct buf *out)
{
    const cJSON *event, *value;
    int n = 0;
    cJSON_ArrayForEach (event, json_get(point, "events")) {
        if (strcmp(outcome_text(event, "action"), outcome_text(action, "action")))
            continue;
        cJSON_ArrayForEach (value,
                            json_get(json_get(json_get(event, "steps"), step->string), "values")) {
            double spread = GOLDEN * ++n;
            if (!cJSON_IsNumber(value))
                continue;
            buf_appendf(out, "%d\t", row);
            gnuplot_print_number(value->valuedouble, out);
            buf_append_str(out, "\t");
            gnuplot_print_number(rounded(spread - floor(spread)), out);
            buf_append_str(out, "\n");
        }
    }
}

/* All of it, for figures that set points or actions beside each other. */
static void print_pools(const cJSON *result, struct buf *out)
{
    static const char *const keys[] = {"n", "median", "low", "high", "p90", "min", "max"};
    const cJSON *point, *action, *step;
    int n_point = 0;
    buf_append_str(out, "$pooled << QUOIT_END\npoint\taction\tstep");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        buf_appendf(out, "\t%s", keys[i]);
    buf_append_str(out, "\n");
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        n_point++;
        cJSON_ArrayForEach (action, json_get(point, "pooled")) {
            cJSON_ArrayForEach (step, json_get(action, "steps")) {
                const char *done = outcome_text(action, "action");
                if (!is_known_action(done) || !is_known_step(step->string))
                    continue;
                buf_appendf(out, "%d\t%s\t%s", n_point, done, step->string);
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                    buf_append_str(out, "\t");
                    gnuplot_print_number(outcome_number(step, keys[i]), out);
                }
                buf_append_str(out, "\n");
            }
        }
    }
    buf_append_str(out, "QUOIT_END\n");
}

void healing_print_variables(const cJSON *result, struct buf *out)
{
    const cJSON *point = cJSON_GetArrayItem(json_get(result, "points"), 0);
    const cJSON *action = most_frequent(json_get(point, "pooled"));
    const cJSON *steps[COURSE_N_STEPS];
    int n = action ? steps_by_median(action, steps) : 0;
    if (!n)
        return;
    buf_appendf(out, "heal_action = '%s'\nheal_rows = %d\n", outcome_text(action, "action"), n);
    print_scalar("heal_n", outcome_number(action, "n"), out);
    print_scalar("heal_failed", outcome_number(json_get(action, "failed"), "sum"), out);
    print_scalar("heal_retried", outcome_number(json_get(action, "retried"), "sum"), out);
    print_scalar("heal_most_failed", outcome_number(json_get(action, "failed"), "max"), out);
    print_scalar("heal_most_retried", outcome_number(json_get(action, "retried"), "max"), out);
    buf_appendf(out, "array heal_name[%d] = [", n);
    for (int i = 0; i < n; i++)
        buf_appendf(out, "'%s'%s", steps[i]->string, i + 1 < n ? ", " : "]\n");
    print_array("heal_median", "median", steps, n, out);
    print_array("heal_low", "low", steps, n, out);
    print_array("heal_high", "high", steps, n, out);
    print_array("heal_p90", "p90", steps, n, out);
    print_array("heal_most", "max", steps, n, out);
    buf_append_str(out, "$healing << QUOIT_END\nrow\tms\tspread\n");
    for (int i = 0; i < n; i++)
        print_values(point, action, steps[i], i + 1, out);
    buf_append_str(out, "QUOIT_END\n");
    print_pools(result, out);
}
