/* A comparison for people and for programs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "experiments/compare.h"
#include "experiments/grid.h"

#define NUMBER_BYTES 48

static const char *number(double value, char *text)
{
    snprintf(text, NUMBER_BYTES, fabs(value) >= 1000 ? "%.0f" : "%.4g", value);
    return text;
}

/* A factor as a change: 1.031 is +3.1 %. From one order of magnitude on as a factor. */
static const char *change(double ratio, char *text)
{
    if (!isfinite(ratio))
        snprintf(text, NUMBER_BYTES, "–");
    else if (ratio >= 10)
        snprintf(text, NUMBER_BYTES, "× %.3g", ratio);
    else
        snprintf(text, NUMBER_BYTES, "%+.1f %%", 100 * (ratio - 1));
    return text;
}

static void add_interval(struct grid *grid, const struct stats_change *it)
{
    char low[NUMBER_BYTES], high[NUMBER_BYTES];
    if (isfinite(it->ratio_interval.low))
        grid_add(grid, "%s … %s", change(it->ratio_interval.low, low),
                 change(it->ratio_interval.high, high));
    else if (isfinite(it->difference_interval.low)) /* from nothing there is no ratio */
        grid_add(grid, "%+.4g … %+.4g", it->difference_interval.low, it->difference_interval.high);
    else
        grid_add(grid, "–");
}

static void add_row(struct grid *grid, const struct compare_row *row)
{
    char text[NUMBER_BYTES];
    grid_add(grid, "%s", row->old->name);
    grid_add(grid, "%s", number(row->old_median, text));
    grid_add(grid, "%s", number(row->new_median, text));
    grid_add(grid, "%s", row->old->unit);
    grid_add(grid, "%+.4g", row->change.difference);
    grid_add(grid, "%s", change(row->change.ratio, text));
    add_interval(grid, &row->change);
    grid_add(grid, "%s", compare_verdict_text(row->verdict));
}

static void print_side(const char *name, const struct compare_side *side, struct buf *out)
{
    buf_appendf(out, "%s  %s: %zu sample%s", name, side->path, side->n_samples,
                side->n_samples == 1 ? "" : "s");
    if (*side->commit)
        buf_appendf(out, ", commit %.10s%s", side->commit, side->dirty ? " (dirty)" : "");
    if (*side->began)
        buf_appendf(out, ", %s", side->began);
    buf_append_str(out, "\n");
}

void compare_print(const struct compare *compare, struct buf *out)
{
    static const char *const headings[] = {"metric",     "OLD",    "NEW",        "",
                                           "difference", "change", "95 % of it", "verdict"};
    print_side("OLD", compare->old, out);
    print_side("NEW", compare->new, out);
    for (size_t i = 0; i < compare->n_points; i++) {
        const struct compare_rows *rows = &compare->points[i];
        struct grid grid;
        grid_init(&grid);
        for (size_t c = 0; c < sizeof(headings) / sizeof(headings[0]); c++)
            grid_add_column(&grid, headings[c], c > 0 && c != 3 && c != 7);
        for (size_t r = 0; r < rows->n_rows; r++)
            add_row(&grid, &rows->rows[r]);
        buf_append_str(out, "\n");
        if (*rows->label)
            buf_appendf(out, "%s\n", rows->label);
        grid_print(&grid, out);
        grid_done(&grid);
    }
    if (compare->n_notes)
        buf_append_str(out, "\nWhat weakens this comparison:\n");
    for (size_t i = 0; i < compare->n_notes; i++)
        buf_appendf(out, "  - %s\n", compare->notes[i]);
}

/* ——— JSON ——— */

static void add_side(cJSON *root, const char *key, const struct compare_side *side)
{
    cJSON *tree = cJSON_AddObjectToObject(root, key);
    cJSON_AddStringToObject(tree, "path", side->path);
    cJSON_AddStringToObject(tree, "name", side->name);
    if (*side->commit)
        cJSON_AddStringToObject(tree, "commit", side->commit);
    else
        cJSON_AddNullToObject(tree, "commit");
    cJSON_AddBoolToObject(tree, "dirty", side->dirty);
    cJSON_AddStringToObject(tree, "began", side->began);
    json_add_uint64(tree, "n_samples", side->n_samples);
}

static void add_values(cJSON *object, const char *key, const struct compare_values *values,
                       double median)
{
    cJSON *tree = cJSON_AddObjectToObject(object, key);
    json_add_uint64(tree, "n", values->n);
    json_add_double(tree, "median", median);
}

static void add_estimate(cJSON *object, const char *key, double value, struct interval interval)
{
    cJSON *tree = cJSON_AddObjectToObject(object, key);
    json_add_double(tree, "value", value);
    json_add_double(tree, "low", interval.low);
    json_add_double(tree, "high", interval.high);
}

static cJSON *row_tree(const struct compare_row *row)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "name", row->old->name);
    cJSON_AddStringToObject(tree, "unit", row->old->unit);
    if (row->old->better == COMPARE_NEITHER)
        cJSON_AddNullToObject(tree, "better");
    else
        cJSON_AddStringToObject(tree, "better",
                                row->old->better == COMPARE_HIGHER ? "higher" : "lower");
    add_values(tree, "old", row->old, row->old_median);
    add_values(tree, "new", row->new, row->new_median);
    add_estimate(tree, "difference", row->change.difference, row->change.difference_interval);
    add_estimate(tree, "ratio", row->change.ratio, row->change.ratio_interval);
    cJSON_AddStringToObject(tree, "verdict", compare_verdict_text(row->verdict));
    return tree;
}

cJSON *compare_json(const struct compare *compare)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", "compare");
    json_add_uint64(root, "schema_version", 1);
    json_add_double(root, "confidence", COMPARE_LEVEL);
    json_add_uint64(root, "resamples", COMPARE_RESAMPLES);
    json_add_uint64(root, "seed", compare->seed);
    add_side(root, "old", compare->old);
    add_side(root, "new", compare->new);
    cJSON *points = cJSON_AddArrayToObject(root, "points");
    for (size_t i = 0; i < compare->n_points; i++) {
        cJSON *point = cJSON_CreateObject();
        cJSON_AddStringToObject(point, "label", compare->points[i].label);
        cJSON *metrics = cJSON_AddArrayToObject(point, "metrics");
        for (size_t r = 0; r < compare->points[i].n_rows; r++)
            cJSON_AddItemToArray(metrics, row_tree(&compare->points[i].rows[r]));
        cJSON_AddItemToArray(points, point);
    }
    cJSON *notes = cJSON_AddArrayToObject(root, "notes");
    for (size_t i = 0; i < compare->n_notes; i++)
        cJSON_AddItemToArray(notes, cJSON_CreateString(compare->notes[i]));
    return root;
}
