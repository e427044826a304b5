#include "core/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/mem.h"

/* Weak: a program without a registered set links. */
extern const struct metric_set *const __start_quoit_metrics[]
    __attribute__((weak, visibility("hidden")));
extern const struct metric_set *const __stop_quoit_metrics[]
    __attribute__((weak, visibility("hidden")));

static const char *metrics_type_name(enum metric_type type)
{
    return type == METRIC_COUNTER ? "counter" : type == METRIC_GAUGE ? "gauge" : "histogram";
}

/* Prometheus text format 0.0.4: in HELP a backslash and a line feed are escaped. */
static int metrics_append_help(struct buf *out, const char *help)
{
    int result = 0;

    for (; *help != '\0' && result == 0; help++) {
        if (*help == '\\')
            result = buf_append_str(out, "\\\\");
        else if (*help == '\n')
            result = buf_append_str(out, "\\n");
        else
            result = buf_append(out, help, 1);
    }
    return result;
}

/* Of the uint64_t at this offset in the values struct. */
static uint64_t metrics_sum(size_t offset, const struct metric_row *row)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < row->n_copies; i++)
        sum += __atomic_load_n((const uint64_t *)((const char *)row->copies[i] + offset),
                               __ATOMIC_RELAXED);
    return sum;
}

/* A scaled value, or a whole one: a double would round it past 2^53. text holds
 * FORMAT_DOUBLE_BYTES. */
static const char *metrics_format(uint64_t value, double scale, char *text)
{
    /* 8192 × 1e-9 is 8.192000000000001e-06, 8192 / 1e9 is 8.192e-06. */
    if (scale > 0 && scale < 1)
        return format_double((double)value / rint(1 / scale), text);
    if (scale > 0 || scale < 0)
        return format_double((double)value * scale, text);
    snprintf(text, FORMAT_DOUBLE_BYTES, "%llu", (unsigned long long)value);
    return text;
}

/* NAME_bucket{LABELS,le="…"} with how many are at most that, then NAME_sum and NAME_count. */
static int metrics_append_histogram(struct buf *out, const struct metric_def *def,
                                    const struct metric_row *row)
{
    const char *labels = row->labels != NULL ? row->labels : "";
    const char *comma = labels[0] != '\0' ? "," : "";
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    char text[FORMAT_DOUBLE_BYTES];
    size_t counts = def->offset + offsetof(struct metric_histogram, counts);
    uint64_t n = 0;
    int result = 0;

    for (size_t i = 0; i <= METRIC_N_BOUNDS && result == 0; i++) {
        n += metrics_sum(counts + i * sizeof(uint64_t), row);
        result = buf_appendf(
            out, "%s_bucket{%s%sle=\"%s\"} %llu\n", def->name, labels, comma,
            i < METRIC_N_BOUNDS ? metrics_format(metric_bound_ns(i), def->scale, text) : "+Inf",
            (unsigned long long)n);
    }
    if (result == 0)
        result = buf_appendf(
            out, "%s_sum%s%s%s %s\n", def->name, open, labels, close,
            metrics_format(
                metrics_sum(def->offset + offsetof(struct metric_histogram, sum_ns), row),
                def->scale, text));
    if (result == 0)
        result = buf_appendf(out, "%s_count%s%s%s %llu\n", def->name, open, labels, close,
                             (unsigned long long)n);
    return result;
}

static int metrics_append_row(struct buf *out, const struct metric_def *def,
                              const struct metric_row *row)
{
    bool has_labels = row->labels != NULL && row->labels[0] != '\0';
    char value[FORMAT_DOUBLE_BYTES];

    if (def->type == METRIC_HISTOGRAM)
        return metrics_append_histogram(out, def, row);
    metrics_format(metrics_sum(def->offset, row), def->scale, value);
    return buf_appendf(out, "%s%s%s%s %s\n", def->name, has_labels ? "{" : "",
                       has_labels ? row->labels : "", has_labels ? "}" : "", value);
}

static int metrics_append_metric(struct buf *out, const struct metric_def *def,
                                 const struct metric_row *rows, size_t n_rows)
{
    int result = buf_appendf(out, "# HELP %s ", def->name);

    if (result == 0)
        result = metrics_append_help(out, def->help);
    if (result == 0)
        result = buf_appendf(out, "\n# TYPE %s %s\n", def->name, metrics_type_name(def->type));
    for (size_t i = 0; i < n_rows && result == 0; i++)
        result = metrics_append_row(out, def, &rows[i]);
    return result;
}

int metrics_print(struct buf *out, const struct metric_set *set, const struct metric_row *rows,
                  size_t n_rows)
{
    size_t n_before = buf_len(out);
    int result = 0;

    for (const struct metric_def *def = set->table; def->name != NULL && result == 0; def++)
        result = metrics_append_metric(out, def, rows, n_rows);
    if (result < 0)
        out->end = out->start + n_before;
    return result;
}

static int metrics_compare_sets(const void *a, const void *b)
{
    return strcmp((*(const struct metric_set *const *)a)->component,
                  (*(const struct metric_set *const *)b)->component);
}

static int metrics_compare_defs(const void *a, const void *b)
{
    return strcmp((*(const struct metric_def *const *)a)->name,
                  (*(const struct metric_def *const *)b)->name);
}

/* A cell of a Markdown table: a bar would end it, a line feed the row. */
static void metrics_print_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputs("\\|", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void metrics_print_table(const struct metric_set *set, FILE *out)
{
    const struct metric_def **sorted;
    size_t n = 0;

    while (set->table[n].name != NULL)
        n++;
    sorted = mem_zalloc(n, sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &set->table[i];
    if (n > 1)
        qsort(sorted, n, sizeof(*sorted), metrics_compare_defs);
    fprintf(out, "\n## %s\n\n| metric | type | unit | meaning |\n|---|---|---|---|\n",
            set->component);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "| `%s` | %s | %s | ", sorted[i]->name, metrics_type_name(sorted[i]->type),
                sorted[i]->unit != NULL ? sorted[i]->unit : "");
        metrics_print_cell(sorted[i]->help, out);
        fputs(" |\n", out);
    }
    free(sorted);
}

void metrics_print_docs(FILE *out)
{
    size_t n = (size_t)(__stop_quoit_metrics - __start_quoit_metrics);
    const struct metric_set **sorted = mem_zalloc(n, sizeof(*sorted));

    for (size_t i = 0; i < n; i++)
        sorted[i] = __start_quoit_metrics[i];
    if (n > 1)
        qsort(sorted, n, sizeof(*sorted), metrics_compare_sets);
    fputs("# Metrics\n\nGenerated from the tables in the source; served as Prometheus text on "
          "`GET /metrics`.\n",
          out);
    for (size_t i = 0; i < n; i++)
        metrics_print_table(sorted[i], out);
    free(sorted);
}
