#include "experiments/figure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/child.h"
#include "experiments/course_outcome.h"
#include "experiments/database_outcome.h"
#include "experiments/gnuplot.h"
#include "experiments/healing.h"
#include "experiments/laboratory.h"
#include "experiments/outcome.h"
#include "experiments/sample.h"

#define GNUPLOT "gnuplot"
#define GNUPLOT_TIMEOUT_NS (UINT64_C(60) * NS_PER_S)
#define FIGURE_MAX_BYTES (4 * 1024 * 1024)

/* ——— variables ——— */

/* A field of a data block; tabs and line ends would end it. */
static void print_field(const char *text, struct buf *out)
{
    for (; *text; text++)
        buf_appendf(out, "%c", (unsigned char)*text < ' ' || *text == '"' ? ' ' : *text);
}

static void print_text_variable(const char *name, const char *text, struct buf *out)
{
    buf_appendf(out, "%s = ", name);
    gnuplot_print_text(text, out);
    buf_append_str(out, "\n");
}

/* A figure is looked at without its conditions: where servers ran stands in its title. */
static void print_title(const cJSON *result, struct buf *out)
{
    const char *place = outcome_place(result);
    char *title = mem_printf("%s%s%s", outcome_text(result, "title"), *place ? ", " : "", place);
    print_text_variable("title", title, out);
    free(title);
}

/* An array of the axis-th text of every point. */
static void print_text_array(const cJSON *result, const char *name, const char *key, int axis,
                             struct buf *out)
{
    const cJSON *points = json_get(result, "points");
    const cJSON *point;
    buf_appendf(out, "array %s[%d] = [", name, cJSON_GetArraySize(points));
    cJSON_ArrayForEach (point, points) {
        const cJSON *text = cJSON_GetArrayItem(json_get(point, key), axis);
        gnuplot_print_text(cJSON_IsString(text) ? text->valuestring : "", out);
        buf_append_str(out, point->next ? ", " : "]\n");
    }
}

/* An array of a number of every point, or of one of its objects. */
static void print_number_array(const cJSON *result, const char *name, const char *object,
                               const char *key, struct buf *out)
{
    const cJSON *points = json_get(result, "points");
    const cJSON *point;
    buf_appendf(out, "array %s[%d] = [", name, cJSON_GetArraySize(points));
    cJSON_ArrayForEach (point, points) {
        gnuplot_print_number(outcome_number(object ? json_get(point, object) : point, key), out);
        buf_append_str(out, point->next ? ", " : "]\n");
    }
}

static const char *const number_keys[] = {"median", "low", "high", "min", "max"};
#define N_NUMBER_KEYS (sizeof(number_keys) / sizeof(number_keys[0]))

static void print_server_rows(const cJSON *result, struct buf *out)
{
    const cJSON *point, *server;
    int n_point = 0;
    buf_append_str(out, "$servers << QUOIT_END\npoint\tserver\tname\tshare\texpected");
    for (size_t i = 0; i < N_NUMBER_KEYS; i++)
        buf_appendf(out, "\t%s", number_keys[i]);
    buf_append_str(out, "\n");
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        int n_server = 0;
        n_point++;
        cJSON_ArrayForEach (server, json_get(point, "servers")) {
            buf_appendf(out, "%d\t%d\t", n_point, ++n_server);
            print_field(outcome_text(server, "name"), out);
            buf_append_str(out, "\t");
            gnuplot_print_number(outcome_number(server, "share"), out);
            buf_append_str(out, "\t");
            gnuplot_print_number(outcome_number(server, "expected"), out);
            for (size_t i = 0; i < N_NUMBER_KEYS; i++) {
                buf_append_str(out, "\t");
                gnuplot_print_number(outcome_number(server, number_keys[i]), out);
            }
            buf_append_str(out, "\n");
        }
    }
    buf_append_str(out, "QUOIT_END\n");
}

static void print_metric_columns(const char *name, struct buf *out)
{
    for (size_t i = 0; i < N_NUMBER_KEYS; i++)
        buf_appendf(out, "\t%s_%s", name, number_keys[i]);
}

static void print_metric_fields(const cJSON *number, struct buf *out)
{
    for (size_t i = 0; i < N_NUMBER_KEYS; i++) {
        buf_append_str(out, "\t");
        gnuplot_print_number(outcome_number(number, number_keys[i]), out);
    }
}

/* The names of the metrics: those every result has columns of, then what else the first point has.
 * Returns how many. */
static size_t metric_names(const cJSON *result, const char **names, size_t max)
{
    const cJSON *metric;
    size_t n = 0;
    for (const struct sample_metric *base = sample_metrics; base->name; base++)
        names[n++] = base->name;
    const cJSON *first = cJSON_GetArrayItem(json_get(result, "points"), 0);
    cJSON_ArrayForEach (metric, json_get(first, "metrics")) {
        size_t i = 0;
        while (i < n && strcmp(names[i], metric->string))
            i++;
        if (i == n && n < max)
            names[n++] = metric->string;
    }
    return n;
}

static void print_point_rows(const cJSON *result, struct buf *out)
{
    const cJSON *point;
    const char *names[SAMPLE_N_METRICS + SAMPLE_MAX_METRICS];
    size_t n_names = metric_names(result, names, sizeof(names) / sizeof(names[0]));
    int n_point = 0;
    buf_append_str(out, "$points << QUOIT_END\npoint\tn_servers\trequests");
    print_metric_columns("peak", out);
    print_metric_columns("least", out);
    print_metric_columns("most", out);
    for (size_t i = 0; i < n_names; i++)
        print_metric_columns(names[i], out);
    buf_append_str(out, "\n");
    cJSON_ArrayForEach (point, json_get(result, "points")) {
        buf_appendf(out, "%d\t", ++n_point);
        gnuplot_print_number(outcome_number(point, "n_servers"), out);
        buf_append_str(out, "\t");
        gnuplot_print_number(outcome_number(point, "requests"), out);
        print_metric_fields(json_get(point, "peak_to_mean"), out);
        print_metric_fields(json_get(point, "least"), out);
        print_metric_fields(json_get(point, "most"), out);
        for (size_t i = 0; i < n_names; i++)
            print_metric_fields(json_get(json_get(point, "metrics"), names[i]), out);
        buf_append_str(out, "\n");
    }
    buf_append_str(out, "QUOIT_END\n");
}

void figure_print_variables(const cJSON *result, const char *theme, const char *output,
                            struct buf *out)
{
    static const char *const texts[] = {"name", "question", "measures"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        print_text_variable(texts[i], outcome_text(result, texts[i]), out);
    print_title(result, out);
    print_text_variable("theme", theme, out);
    print_text_variable("output", output, out);
    if (laboratory_is_result(result)) {
        laboratory_print_variables(result, out);
        return;
    }
    buf_append_str(out, "requests = ");
    gnuplot_print_number(outcome_number(result, "requests"), out);
    buf_append_str(out, "\nrepeats = ");
    gnuplot_print_number(outcome_number(result, "repeats"), out);
    buf_append_str(out, "\nconfidence = ");
    gnuplot_print_number(outcome_number(result, "confidence") * 100, out);
    buf_appendf(out, "\nn_points = %d\nn_axes = %d\n",
                cJSON_GetArraySize(json_get(result, "points")),
                cJSON_GetArraySize(json_get(result, "axes")));
    print_text_array(result, "label1", "labels", 0, out);
    print_text_array(result, "label2", "labels", 1, out);
    print_text_array(result, "value1", "values", 0, out);
    print_text_array(result, "value2", "values", 1, out);
    print_number_array(result, "n_servers", NULL, "n_servers", out);
    print_number_array(result, "point_requests", NULL, "requests", out);
    print_number_array(result, "peak_exact", "peak_to_mean", "exact", out);
    print_number_array(result, "peak_median", "peak_to_mean", "median", out);
    print_number_array(result, "least_exact", "least", "exact", out);
    print_number_array(result, "most_exact", "most", "exact", out);
    print_number_array(result, "fit_p", "fit", "p", out);
    print_server_rows(result, out);
    print_point_rows(result, out);
    database_print_variables(result, out);
    course_print_variables(result, out);
    healing_print_variables(result, out);
}

/* ——— gnuplot ——— */

/* Runs gnuplot to its end; what it says goes to scratch_dir/gnuplot.stderr. 0 or a negative errno
 * with its words. */
static int gnuplot_run(const char *const *argv, const char *scratch_dir, struct err *err)
{
    char text[32];
    struct child child;
    char *said = mem_printf("%s/gnuplot.stderr", scratch_dir);
    int status = child_run(&child, GNUPLOT, argv, said, GNUPLOT_TIMEOUT_NS, err);
    free(said);
    if (status < 0)
        return status;
    if (child.status)
        status = child_fail(&child, -EPROTO, child_status_text(&child, text), err);
    child_done(&child);
    return status;
}

char *figure_gnuplot_version(const char *scratch_dir, struct err *err)
{
    char *version = NULL;
    struct buf text;
    char *path = mem_printf("%s/version", scratch_dir);
    char *said = mem_printf("%s/gnuplot.stderr", scratch_dir);
    char *command = mem_printf("set print '%s'; print GPVAL_VERSION, GPVAL_PATCHLEVEL", path);
    const char *const argv[] = {GNUPLOT, "-d", "-e", command, NULL};
    buf_init(&text, 256);
    if (gnuplot_run(argv, scratch_dir, err) == 0 && file_read(path, &text, err) == 0) {
        double number = strtod(buf_str(&text), NULL);
        const char *level = strchr(buf_str(&text), ' ');
        version = mem_printf("%.1f patchlevel %.*s", number,
                             level ? (int)strcspn(level + 1, "\n") : 0, level ? level + 1 : "");
    }
    unlink(path);
    unlink(said);
    buf_done(&text);
    free(path);
    free(said);
    free(command);
    return version;
}

int figure_check_kind(const char *plots_dir, const char *kind, struct err *err)
{
    int status = 0;
    char *path = mem_printf("%s/%s.gp", plots_dir, kind);
    if (access(path, R_OK) < 0)
        status = err_set_errno(err, -errno, "figure kind '%s': %s", kind, path);
    free(path);
    return status;
}

/* ——— the SVG ——— */

static void print_xml(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text == '<')
            buf_append_str(out, "&lt;");
        else if (*text == '&')
            buf_append_str(out, "&amp;");
        else
            buf_append(out, (unsigned char)*text < ' ' ? " " : text, 1);
    }
}

/* Copies the SVG with the experiment's title and question in place of "Gnuplot" and "Produced by
 * GNUPLOT 5.4 …": what a screen reader says, and no version in the bytes. */
static int svg_copy(const char *svg, const cJSON *result, struct buf *out, struct err *err)
{
    const char *title = strstr(svg, "<title>");
    const char *end = title ? strstr(title, "</desc>") : NULL;
    size_t n = strlen(svg);
    if (!end || n < 7 || !strstr(svg + n - 8, "</svg>"))
        return err_set(err, -EPROTO, "gnuplot wrote no whole SVG");
    buf_append(out, svg, (size_t)(title - svg));
    buf_append_str(out, "<title>");
    print_xml(outcome_text(result, "title"), out);
    buf_append_str(out, "</title>\n<desc>");
    print_xml(outcome_text(result, "question"), out);
    buf_append_str(out, end);
    return 0;
}

int figure_draw(const cJSON *result, const char *plots_dir, const char *kind, const char *theme,
                const char *scratch_dir, struct buf *ret_svg, struct err *err)
{
    struct buf variables, svg;
    char *variables_path = mem_printf("%s/figure.gp", scratch_dir);
    char *svg_path = mem_printf("%s/figure.svg", scratch_dir);
    char *said = mem_printf("%s/gnuplot.stderr", scratch_dir);
    char *theme_path = mem_printf("%s/theme.gp", plots_dir);
    char *kind_path = mem_printf("%s/%s.gp", plots_dir, kind);
    const char *const argv[] = {GNUPLOT, "-d", variables_path, theme_path, kind_path, NULL};
    buf_init(&variables, 0);
    buf_init(&svg, FIGURE_MAX_BYTES);
    figure_print_variables(result, theme, svg_path, &variables);
    int status = file_write_atomic(variables_path, buf_head(&variables), buf_len(&variables), err);
    if (status >= 0)
        status = gnuplot_run(argv, scratch_dir, err);
    if (status >= 0)
        status = file_read(svg_path, &svg, err);
    if (status >= 0)
        status = svg_copy(buf_str(&svg), result, ret_svg, err);
    if (status < 0)
        err_prefix(err, "figure '%s'", kind);
    unlink(variables_path);
    unlink(svg_path);
    unlink(said);
    buf_done(&variables);
    buf_done(&svg);
    free(variables_path);
    free(svg_path);
    free(said);
    free(theme_path);
    free(kind_path);
    return status;
}
