#include "experiments/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "experiments/course_outcome.h"
#include "experiments/database_outcome.h"
#include "experiments/healing.h"
#include "experiments/lint.h"
#include "experiments/outcome.h"

/* The keys of "cluster.hash" or "cluster.servers,cluster.replicas". */
static void print_axis_heading(const cJSON *axis, struct buf *out)
{
    const char *vary = outcome_text(axis, "vary");
    while (*vary) {
        size_t n = strcspn(vary, ",");
        const char *dot = memchr(vary, '.', n);
        size_t skip = dot ? (size_t)(dot - vary) + 1 : 0;
        buf_appendf(out, "%s%.*s", buf_len(out) ? ", " : "", (int)(n - skip), vary + skip);
        vary += n + (vary[n] == ',');
    }
}

static bool measures_rates(const cJSON *result)
{
    return !strcmp(outcome_text(result, "measures"), "rates");
}

static void add_axis_columns(const cJSON *result, struct grid *grid)
{
    const cJSON *axis;
    cJSON_ArrayForEach (axis, json_get(result, "axes")) {
        struct buf heading;
        buf_init(&heading, 0);
        print_axis_heading(axis, &heading);
        grid_add_column(grid, buf_str(&heading), false);
        buf_done(&heading);
    }
}

static void add_axis_cells(const cJSON *point, struct grid *grid)
{
    const cJSON *value;
    cJSON_ArrayForEach (value, json_get(point, "values")) {
        grid_add(grid, "%s", cJSON_IsString(value) ? value->valuestring : "");
    }
}

static void add_number(struct grid *grid, const char *format, double value)
{
    char text[64];
    snprintf(text, sizeof(text), format, value);
    grid_add(grid, "%s", isfinite(value) ? text : "–");
}

static void add_interval(struct grid *grid, const char *format, const cJSON *number)
{
    char low[64], high[64];
    snprintf(low, sizeof(low), format, outcome_number(number, "low"));
    snprintf(high, sizeof(high), format, outcome_number(number, "high"));
    if (isfinite(outcome_number(number, "low")))
        grid_add(grid, "%s – %s", low, high);
    else
        grid_add(grid, "–");
}

/* ——— one row a server ——— */

static void make_servers(const cJSON *result, struct grid *grid)
{
    const cJSON *point, *server;
    grid_add_column(grid, "server", false);
    grid_add_column(grid, "answered, median", true);
    grid_add_column(grid, "95 % interval", true);
    grid_add_column(grid, "least – most", true);
    grid_add_column(grid, "expected exactly", true);
    grid_add_column(grid, "exact share", true);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        cJSON_ArrayForEach (server, json_get(point, "servers")) {
            add_axis_cells(point, grid);
            grid_add(grid, "%s", outcome_text(server, "name"));
            add_number(grid, "%.0f", outcome_number(server, "median"));
            add_interval(grid, "%.0f", server);
            if (isfinite(outcome_number(server, "min")))
                grid_add(grid, "%.0f – %.0f", outcome_number(server, "min"),
                         outcome_number(server, "max"));
            else
                grid_add(grid, "–");
            add_number(grid, "%.1f", outcome_number(server, "expected"));
            add_number(grid, "%.2f %%", outcome_number(server, "share") * 100);
        }
    }
}

/* ——— one row a point ——— */

/* Whether a column of the axes says already how many servers there are. */
static bool axes_tell_servers(const cJSON *result)
{
    const cJSON *axis;
    cJSON_ArrayForEach (axis, json_get(result, "axes")) {
        if (!strcmp(outcome_text(axis, "vary"), "cluster.servers"))
            return true;
    }
    return false;
}

static bool any_point_has_metric(const cJSON *result, const char *name)
{
    const cJSON *point;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        if (json_get(json_get(point, "metrics"), name))
            return true;
    }
    return false;
}

static const struct {
    const char *key, *heading, *format;
} spread_columns[] = {
    {"least", "least loaded", "%.0f"},
    {"most", "most loaded", "%.0f"},
    {"peak_to_mean", "most/mean", "%.3f"},
};
#define N_SPREAD_COLUMNS (sizeof(spread_columns) / sizeof(spread_columns[0]))

/* Mean a server, then measured and exact by turns. */
static void add_spread_columns(struct grid *grid)
{
    grid_add_column(grid, "mean a server", true);
    for (size_t i = 0; i < N_SPREAD_COLUMNS; i++) {
        grid_add_column(grid, spread_columns[i].heading, true);
        grid_add_column(grid, "exactly", true);
    }
}

static void add_spread(const cJSON *point, struct grid *grid)
{
    add_number(grid, "%.0f",
               outcome_number(point, "requests") / outcome_number(point, "n_servers"));
    for (size_t i = 0; i < N_SPREAD_COLUMNS; i++) {
        const cJSON *number = json_get(point, spread_columns[i].key);
        add_number(grid, spread_columns[i].format, outcome_number(number, "median"));
        add_number(grid, spread_columns[i].format, outcome_number(number, "exact"));
    }
}

static void make_points(const cJSON *result, struct grid *grid)
{
    static const char *const latencies[] = {"p50", "p99"};
    const cJSON *point;
    bool rates = measures_rates(result), told = axes_tell_servers(result);
    bool cpu = any_point_has_metric(result, "cluster_cpu");
    if (!told)
        grid_add_column(grid, "servers", true);
    add_spread_columns(grid);
    if (rates) {
        grid_add_column(grid, "requests/s", true);
        grid_add_column(grid, "95 % interval", true);
        grid_add_column(grid, "p50, ms", true);
        grid_add_column(grid, "p99, ms", true);
    }
    if (rates && cpu)
        grid_add_column(grid, "CPU, µs a request", true);
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        const cJSON *metrics = json_get(point, "metrics");
        add_axis_cells(point, grid);
        if (!told)
            add_number(grid, "%.0f", outcome_number(point, "n_servers"));
        add_spread(point, grid);
        if (!rates)
            continue;
        add_number(grid, "%.0f", outcome_number(json_get(metrics, "rate"), "median"));
        add_interval(grid, "%.0f", json_get(metrics, "rate"));
        for (size_t i = 0; i < 2; i++)
            add_number(grid, "%.3f", outcome_number(json_get(metrics, latencies[i]), "median"));
        if (cpu)
            add_number(grid, "%.2f", outcome_number(json_get(metrics, "cluster_cpu"), "median"));
    }
}

void table_make(const cJSON *result, struct grid *ret_grid)
{
    grid_init(ret_grid);
    add_axis_columns(result, ret_grid);
    bool points = !strcmp(outcome_text(result, "table"), "points");
    if (points && database_is_result(result))
        database_make_table(result, ret_grid);
    else if (points)
        make_points(result, ret_grid);
    else if (!strcmp(outcome_text(result, "table"), "events"))
        course_make_table(result, ret_grid);
    else if (!strcmp(outcome_text(result, "table"), "steps"))
        healing_make_table(result, ret_grid);
    else
        make_servers(result, ret_grid);
}

/* ——— lines ——— */

/* Smallest and largest of a number over the points. */
static void print_range(const cJSON *result, const char *key, struct buf *out)
{
    double least = INFINITY, most = -INFINITY;
    const cJSON *point;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        least = fmin(least, outcome_number(point, key));
        most = fmax(most, outcome_number(point, key));
    }
    if (least < most)
        buf_appendf(out, "%.0f to %.0f", least, most);
    else
        buf_appendf(out, "%.0f", isfinite(least) ? least : 0.);
}

/* What is not as usual. */
static void print_load(const cJSON *load, struct buf *out)
{
    const char *client = outcome_text(load, "client");
    if (outcome_number(load, "rate") > 0)
        buf_appendf(out, ", open loop of %.6g requests/s (%s arrivals)",
                    outcome_number(load, "rate"), outcome_text(load, "arrivals"));
    if (*client && strcmp(client, "curl"))
        buf_appendf(out, ", client %s", client);
    if (outcome_number(load, "threads") > 1)
        buf_appendf(out, ", %.0f generator threads", outcome_number(load, "threads"));
}

void table_print_conditions(const cJSON *result, struct buf *out)
{
    if (database_is_result(result)) {
        database_print_conditions(result, out);
        buf_appendf(out, ", %.0f repeats", outcome_number(result, "repeats"));
        if (json_get(result, "published"))
            buf_append_str(out, "; published by others: one request at a time, other machines");
    } else {
        buf_append_str(out, "N = ");
        print_range(result, "n_servers", out);
        buf_append_str(out, " servers, ");
        print_range(result, "requests", out);
        buf_appendf(out, " requests a run, %.0f repeats", outcome_number(result, "repeats"));
    }
    print_load(json_get(result, "load"), out);
    if (*outcome_place(result))
        buf_appendf(out, ", servers %s", outcome_place(result));
}

static void print_p(double p, struct buf *out)
{
    if (p < 0.001)
        buf_append_str(out, "p < 0.001");
    else
        buf_appendf(out, "p = %.3f", p);
}

void table_print_fits(const cJSON *result, const char *line_start, struct buf *out)
{
    const cJSON *point, *value;
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        const cJSON *peak = json_get(point, "peak_to_mean");
        const cJSON *fit = json_get(point, "fit");
        if (!fit)
            continue;
        buf_append_str(out, line_start);
        cJSON_ArrayForEach (value, json_get(point, "values")) {
            if (cJSON_IsString(value))
                buf_appendf(out, "%s%s", value->valuestring, value->next ? ", " : ": ");
        }
        buf_appendf(out,
                    "the busiest server answered %.2f times an even share (exactly: %.2f); the "
                    "counts fit the exact shares with ",
                    outcome_number(peak, "median"), outcome_number(peak, "exact"));
        print_p(outcome_number(fit, "p"), out);
        double x = outcome_number(fit, "chi_square");
        if (isfinite(x))
            buf_appendf(out, " (χ² = %.1f, %.0f degrees of freedom)", x, outcome_number(fit, "df"));
        buf_append_str(out, "\n");
    }
}

static void print_list(const cJSON *list, const char *before, struct buf *out)
{
    const cJSON *text;
    cJSON_ArrayForEach (text, list) {
        if (cJSON_IsString(text))
            buf_appendf(out, "%s%s\n", before, text->valuestring);
    }
}

void table_print_verdict(const cJSON *result, struct buf *out)
{
    const cJSON *verdict = json_get(result, "verdict");
    buf_appendf(out, "%s\n", outcome_valid(result) ? "VALID" : "INVALID");
    print_list(json_get(verdict, "reasons"), "  ", out);
    print_list(json_get(verdict, "warnings"), "  note: ", out);
}

void table_print_lint(const cJSON *result, struct buf *out)
{
    const cJSON *objections = json_get(result, "lint");
    if (!cJSON_GetArraySize(objections))
        return;
    buf_append_str(out, "A careful reviewer would object:\n");
    lint_print(objections, out);
}
