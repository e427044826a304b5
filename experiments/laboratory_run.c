/* A laboratory from its INI to its results' folder. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli.h"
#include "core/clock.h"
#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/figure.h"
#include "experiments/grid.h"
#include "experiments/laboratory.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"
#include "experiments/resultdir.h"

/* What is being written. */
struct output {
    struct resultdir dir;
    struct experiment experiment; /* as far as a manifest looks at one */
    struct run run;
    cJSON *manifest, *result;
    char *scratch, *gnuplot;
};

bool laboratory_is_result(const cJSON *result)
{
    return json_get(result, "laboratory") != NULL;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void print_cell(const cJSON *cell, const char *none, struct buf *out)
{
    char text[FORMAT_DOUBLE_BYTES];
    if (cJSON_IsString(cell)) {
        for (const char *at = cell->valuestring; *at; at++)
            buf_appendf(out, "%c", (unsigned char)*at < ' ' || *at == '"' ? ' ' : *at);
    } else {
        buf_append_str(out, cJSON_IsNumber(cell) ? format_double(cell->valuedouble, text) : none);
    }
}

/* A heading, then a line a row; tabs between. */
static void print_rows(const cJSON *result, const char *none, struct buf *out)
{
    const cJSON *row, *cell;
    cJSON_ArrayForEach (cell, json_get(result, "columns")) {
        print_cell(cell, none, out);
        buf_append_str(out, cell->next ? "\t" : "\n");
    }
    cJSON_ArrayForEach (row, json_get(result, "rows")) {
        cJSON_ArrayForEach (cell, row) {
            print_cell(cell, none, out);
            buf_append_str(out, cell->next ? "\t" : "\n");
        }
    }
}

static void print_array(const char *name, const cJSON *list, struct buf *out)
{
    const cJSON *item;
    buf_appendf(out, "array %s[%d] = [", name, cJSON_GetArraySize(list));
    cJSON_ArrayForEach (item, list) {
        if (cJSON_IsString(item)) {
            buf_append_str(out, "'");
            for (const char *at = item->valuestring; *at; at++)
                buf_appendf(out, *at == '\'' ? "’" : "%c", *at);
            buf_append_str(out, "'");
        } else {
            buf_appendf(out, "%.0f", item->valuedouble);
        }
        buf_append_str(out, item->next ? ", " : "]\n");
    }
}

void laboratory_print_variables(const cJSON *result, struct buf *out)
{
    const cJSON *about = json_get(result, "laboratory");
    const cJSON *placements = json_get(about, "placements"), *hashes = json_get(about, "hashes");
    const cJSON *servers = json_get(about, "servers");
    buf_appendf(out, "n_placements = %d\nn_hashes = %d\nn_sizes = %d\nn_draws = %.0f\n",
                cJSON_GetArraySize(placements), cJSON_GetArraySize(hashes),
                cJSON_GetArraySize(servers), outcome_number(about, "draws"));
    print_array("placement_label", placements, out);
    print_array("hash_label", hashes, out);
    print_array("n_servers", servers, out);
    buf_append_str(out, "$rows << QUOIT_END\n");
    print_rows(result, "NaN", out);
    buf_append_str(out, "QUOIT_END\n");
}

static int column_of(const cJSON *result, const char *name)
{
    const cJSON *cell;
    int at = 0;
    cJSON_ArrayForEach (cell, json_get(result, "columns")) {
        if (cJSON_IsString(cell) && strcmp(cell->valuestring, name) == 0)
            return at;
        at++;
    }
    return -1;
}

static void add_cell(struct grid *grid, const cJSON *cell)
{
    if (cJSON_IsString(cell))
        grid_add(grid, "%s", cell->valuestring);
    else if (!cJSON_IsNumber(cell))
        grid_add(grid, "–");
    else if (cell->valuedouble >= 100 || fabs(cell->valuedouble - round(cell->valuedouble)) < 1e-12)
        grid_add(grid, "%.0f", cell->valuedouble);
    else
        grid_add(grid, "%.4g", cell->valuedouble);
}

/* The columns that were asked for, of every row. 0 or -EINVAL for one that there is not. */
static int make_table(const struct laboratory *lab, const cJSON *result, struct grid *grid,
                      struct err *err)
{
    int at[LABORATORY_MAX_COLUMNS];
    const cJSON *row, *first = cJSON_GetArrayItem(json_get(result, "rows"), 0);
    for (size_t c = 0; c < lab->columns.n; c++) {
        at[c] = column_of(result, lab->columns.at[c]);
        if (at[c] < 0)
            return err_set(err, -EINVAL, "columns: there is no '%s'", lab->columns.at[c]);
        grid_add_column(grid, lab->columns.at[c],
                        !cJSON_IsString(cJSON_GetArrayItem(first, at[c])));
    }
    cJSON_ArrayForEach (row, json_get(result, "rows")) {
        for (size_t c = 0; c < lab->columns.n; c++)
            add_cell(grid, cJSON_GetArrayItem(row, at[c]));
    }
    return 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int write_file(struct output *output, const char *name, struct buf *text, struct err *err)
{
    int rc = resultdir_write(&output->dir, name, buf_head(text), buf_len(text), err);
    return rc < 0 ? rc : manifest_add_file(output->manifest, output->dir.work, name, err);
}

/* A row a line; and the result becomes what a reader of the file gets, where a number that there is
 * not is null. */
static void print_json(struct output *output, struct buf *out)
{
    struct buf row_text;
    const cJSON *row;
    struct err err;
    buf_init(&row_text, 0);
    cJSON *rows = cJSON_DetachItemFromObject(output->result, "rows");
    json_print(out, output->result, false);
    while (buf_len(out) > 0 && buf_head(out)[buf_len(out) - 1] != '}')
        out->end--;
    out->end--; /* the bracket comes after the rows */
    buf_append_str(out, ",\n\"rows\":[");
    cJSON_ArrayForEach (row, rows) {
        buf_clear(&row_text);
        json_print(&row_text, row, false);
        buf_appendf(out, "\n%s%s", buf_str(&row_text), row->next ? "," : "\n]}\n");
    }
    buf_done(&row_text);
    cJSON_Delete(rows);
    cJSON_Delete(output->result);
    output->result = json_parse(buf_head(out), buf_len(out), &err);
    assert(output->result);
}

static int write_numbers(struct output *output, struct buf *json, struct err *err)
{
    struct buf rows;
    buf_init(&rows, 0);
    print_rows(output->result, "", &rows);
    int rc = write_file(output, "result.json", json, err);
    if (rc >= 0)
        rc = write_file(output, "rows.tsv", &rows, err);
    buf_done(&rows);
    return rc;
}

static int draw(const struct runner_config *config, const struct laboratory *lab,
                struct output *output, struct err *err)
{
    static const char *const themes[] = {"light", "dark"};
    int rc = 0;
    for (size_t i = 0; i < 2 * lab->figures.n && rc >= 0; i++) {
        struct buf svg;
        const char *kind = lab->figures.at[i / 2];
        char *name = mem_printf("%s-%s.svg", kind, themes[i % 2]);
        buf_init(&svg, 0);
        rc = figure_draw(output->result, config->plots, kind, themes[i % 2], output->scratch, &svg,
                         err);
        if (rc >= 0)
            rc = write_file(output, name, &svg, err);
        buf_done(&svg);
        free(name);
    }
    return rc;
}

static int write_manifest(struct output *output, struct err *err)
{
    struct buf text;
    buf_init(&text, 0);
    json_print(&text, output->manifest, true);
    int rc = resultdir_write(&output->dir, "manifest.json", buf_head(&text), buf_len(&text), err);
    buf_done(&text);
    return rc < 0 ? rc : resultdir_finish(&output->dir, err);
}

static int prepare(const struct runner_config *config, const struct laboratory *lab,
                   struct output *output, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    output->scratch = mem_printf("%s/quoit-run-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(output->scratch)) {
        int rc = err_set_errno(err, -errno, "cannot make the folder %s", output->scratch);
        free(output->scratch);
        output->scratch = NULL;
        return rc;
    }
    for (size_t i = 0; i < lab->figures.n && config->plots; i++)
        if (figure_check_kind(config->plots, lab->figures.at[i], err) < 0)
            return -ENOENT;
    if (config->plots && lab->figures.n > 0) {
        output->gnuplot = figure_gnuplot_version(output->scratch, err);
        if (!output->gnuplot) {
            err_prefix(err,
                       "figures need gnuplot (Debian: gnuplot-nox), --no-figures runs without");
            return -ENOENT;
        }
    }
    output->experiment.about.name = lab->name;
    output->experiment.texts = lab->texts;
    output->run = (struct run){
        .experiment = &output->experiment, .seed = config->seed, .started_ns = clock_wall_ns()};
    return resultdir_open(&output->dir, config->results, lab->name, output->run.started_ns, err);
}

static void output_done(struct output *output)
{
    resultdir_done(&output->dir);
    if (output->scratch)
        resultdir_remove_tree(output->scratch);
    free(output->scratch);
    free(output->gnuplot);
    cJSON_Delete(output->manifest);
    cJSON_Delete(output->result);
}

static void print_outcome(const struct laboratory *lab, const struct output *output,
                          const struct grid *grid)
{
    struct buf out;
    const cJSON *file;
    buf_init(&out, 0);
    buf_appendf(&out, "%s: %s\n%s\n\n", lab->name, lab->title, lab->question);
    grid_print(grid, &out);
    buf_appendf(&out, "\n%s/\n", output->dir.final);
    cJSON_ArrayForEach (file, json_get(output->manifest, "files")) {
        const char *name = outcome_text(file, "name");
        if (strstr(name, ".svg"))
            buf_appendf(&out, "%s/%s\n", output->dir.final, name);
    }
    fputs(buf_str(&out), stdout);
    buf_done(&out);
}

int laboratory_run(const struct runner_config *config, struct laboratory *lab, struct err *err)
{
    struct output output = {0};
    struct grid grid;
    struct buf json;
    grid_init(&grid);
    buf_init(&json, 0);
    int rc = prepare(config, lab, &output, err);
    uint64_t begin_ns = clock_now_ns();
    if (rc >= 0) {
        output.manifest =
            manifest_make(&output.run, config->overrides, config->n_overrides, output.gnuplot);
        struct err why = {0};
        output.result = laboratory_compute(lab, config->seed, config->progress, &why);
        if (!output.result) {
            *err = why;
            rc = why.code;
        } else {
            print_json(&output, &json);
        }
    }
    if (rc >= 0)
        rc = make_table(lab, output.result, &grid, err);
    if (rc >= 0) {
        output.run.duration_ns = clock_now_ns() - begin_ns;
        manifest_close(output.manifest, &output.run);
        rc = write_numbers(&output, &json, err);
    }
    if (rc >= 0 && output.gnuplot)
        rc = draw(config, lab, &output, err);
    if (rc >= 0)
        rc = write_manifest(&output, err);
    if (rc >= 0)
        print_outcome(lab, &output, &grid);
    grid_done(&grid);
    buf_done(&json);
    output_done(&output);
    return rc == -EINTR ? EXIT_INTERRUPTED : rc < 0 ? rc : EXIT_OK;
}
