#include "core/metrics.h"

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
    return type == METRIC_COUNTER ? "counter" : "gauge";
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

static uint64_t metrics_sum(const struct metric_def *def, const struct metric_row *row)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < row->n_copies; i++)
        sum += __atomic_load_n((const uint64_t *)((const char *)row->copies[i] + def->offset),
                               __ATOMIC_RELAXED);
    return sum;
}

static int metrics_append_row(struct buf *out, const struct metric_def *def,
                              const struct metric_row *row)
{
    bool has_labels = row->labels != NULL && row->labels[0] != '\0';
    uint64_t sum = metrics_sum(def, row);
    char value[FORMAT_DOUBLE_BYTES];

    /* An unscaled count is printed whole: a double would round it past 2^53. */
    if (def->scale > 0 || def->scale < 0)
        format_double((double)sum * def->scale, value);
    else
        snprintf(value, sizeof(value), "%llu", (unsigned long long)sum);
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
