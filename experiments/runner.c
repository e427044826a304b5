#include "experiments/runner.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cli.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/rng.h"
#include "experiments/availability.h"
#include "experiments/child.h"
#include "experiments/endpoints.h"
#include "experiments/environment.h"
#include "experiments/figure.h"
#include "experiments/laboratory.h"
#include "experiments/lint.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"
#include "experiments/resultdir.h"
#include "experiments/suite.h"
#include "experiments/table.h"

static const char *const themes[] = {"light", "dark"};

/* Everything one run holds. */
struct runner {
    const struct runner_config *config;
    struct experiment experiment;
    struct run run;
    struct resultdir dir;
    char *scratch; /* a folder for what processes write, below TMPDIR */
    char *gnuplot; /* its version; NULL without figures */
    cJSON *manifest;
    cJSON *result;
    struct err draw_err; /* why a figure is missing */
};

/* ——— before ——— */

static void append_name(const char *name, void *context)
{
    struct buf *names = context;
    buf_appendf(names, "%s%s", buf_len(names) ? ", " : "", name);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Calls visit for every NAME.ini of the folder, in order. 0 or a negative errno. */
static int experiments_visit(const char *dir, void (*visit)(const char *name, void *context),
                             void *context, struct err *err)
{
    char **names = NULL;
    size_t n = 0;
    DIR *listing = opendir(dir);
    if (!listing)
        return err_set_errno(err, -errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(listing));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || dot == entry->d_name || strcmp(dot, ".ini"))
            continue;
        names = mem_realloc(names, n + 1, sizeof(*names));
        names[n++] = mem_strndup(entry->d_name, (size_t)(dot - entry->d_name));
    }
    closedir(listing);
    if (n)
        qsort(names, n, sizeof(*names), compare_texts);
    for (size_t i = 0; i < n; i++) {
        visit(names[i], context);
        free(names[i]);
    }
    free(names);
    return 0;
}

static int fail_unknown(const struct runner_config *config, const char *name, struct err *err)
{
    struct buf names;
    buf_init(&names, 300);
    if (experiments_visit(config->experiments, append_name, &names, err) == 0)
        err_set(err, -EINVAL, "no experiment '%s' in %s: there is %s", name, config->experiments,
                buf_len(&names) ? buf_str(&names) : "none");
    buf_done(&names);
    return -EINVAL;
}

static int runner_read_experiment(struct runner *runner, const char *name, struct err *err)
{
    const struct runner_config *config = runner->config;
    if (!name_valid(name))
        return err_set(err, -EINVAL, "'%s' is not the name of an experiment", name);
    char *path = mem_printf("%s/%s.ini", config->experiments, name);
    int status = access(path, F_OK) < 0
                     ? fail_unknown(config, name, err)
                     : experiment_read(path, config->overrides, config->n_overrides,
                                       &runner->experiment, err);
    if (status >= 0)
        status = availability_trim(&runner->experiment, availability_check_store, err);
    if (status >= 0 && strcmp(runner->experiment.about.name, name)) {
        err_set(err, -EINVAL, "%s: the experiment is called '%s', unlike its file", path,
                runner->experiment.about.name);
        status = -EINVAL;
    }
    free(path);
    return status;
}

static int runner_make_scratch(struct runner *runner, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *path = mem_printf("%s/quoit-run-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(path)) {
        int status = err_set_errno(err, -errno, "cannot make the folder %s", path);
        free(path);
        return status;
    }
    runner->scratch = path;
    environment_filesystem(path, runner->run.storage, sizeof(runner->run.storage));
    return 0;
}

/* Figures are drawn at the end; that they can be is found out at the start. */
static int runner_check_figures(struct runner *runner, struct err *err)
{
    const char *plots = runner->config->plots;
    const struct experiment_figure *figure = &runner->experiment.figure;
    if (!plots || !figure->n_kinds)
        return 0;
    for (size_t i = 0; i < figure->n_kinds; i++)
        if (figure_check_kind(plots, figure->kinds[i], err) < 0)
            return -ENOENT;
    runner->gnuplot = figure_gnuplot_version(runner->scratch, err);
    if (runner->gnuplot)
        return 0;
    err_prefix(err, "figures need gnuplot (Debian: gnuplot-nox), --no-figures runs without");
    return -ENOENT;
}

/* ——— samples ——— */

struct slot {
    size_t point;
    uint64_t repeat;
};

/* Points and repeats in a random order: what drifts with time must not look like the axis. */
static struct slot *schedule_make(const struct experiment *experiment, uint64_t seed, size_t *ret_n)
{
    struct rng rng;
    size_t n_points = experiment_n_points(experiment);
    size_t n = n_points * experiment->about.repeats;
    struct slot *slots = mem_zalloc(n, sizeof(*slots));
    for (size_t i = 0; i < n; i++)
        slots[i] = (struct slot){.point = i % n_points, .repeat = i / n_points};
    rng_seed(&rng, seed);
    rng_shuffle(&rng, slots, n, sizeof(*slots));
    *ret_n = n;
    return slots;
}

static void show_progress(const struct runner *runner, const struct sample *sample)
{
    const struct experiment *experiment = &runner->experiment;
    FILE *out = runner->config->progress;
    if (!out)
        return;
    fprintf(out, "%s [%zu/%zu]", experiment->about.name, runner->run.n_samples,
            runner->run.n_planned);
    for (size_t a = 0; a < experiment->n_axes; a++) {
        const struct experiment_axis *axis = &experiment->axes[a];
        fprintf(out, " %s = %s,", axis->vary,
                axis->values[experiment_value_index(experiment, sample->point, a)]);
    }
    fprintf(out, " repeat %" PRIu64 ":", sample->repeat + 1);
    for (const struct sample *load = sample; load; load = load->then) {
        const char *phase = sample_phase_name(load->phase);
        fprintf(out, "%s%s%s %" PRIu64 " answered, %" PRIu64 " failed, %.0f/s, p99 %.2f ms",
                load == sample ? "" : ";", *phase ? " " : "", phase, load->n_ok, load->n_errors,
                load->rate, load->p99_ms);
    }
    fprintf(out, "\n");
}

static int runner_take_sample(struct runner *runner, const struct slot *slot, struct err *err)
{
    struct run *run = &runner->run;
    struct experiment_settings settings;
    experiment_point(run->experiment, slot->point, &settings);
    struct sample *sample = &run->samples[run->n_samples];
    *sample = (struct sample){.point = slot->point, .repeat = slot->repeat};
    sample->at_s = (double)(clock_wall_ns() - run->started_ns) / (double)NS_PER_S;
    /* The seed is that of the point and repeat, whatever place in the order they got. */
    uint64_t mixed = rng_mix64(rng_mix64(run->seed + slot->repeat) + slot->point);
    sample->seed = mixed >> 12; /* exact in a double, for readers of the JSON */
    char *dir = mem_printf("%s/sample", runner->scratch);
    const struct sample_config config = {.program = runner->config->program,
                                         .dir = dir,
                                         .settings = &settings,
                                         .events = &runner->experiment.events,
                                         .seed = sample->seed};
    int status = mkdir(dir, 0755) < 0 ? err_set_errno(err, -errno, "%s", dir)
                                      : sample_take(&config, sample, err);
    resultdir_remove_tree(dir);
    free(dir);
    if (status >= 0) {
        run->n_samples++;
        show_progress(runner, sample);
    }
    return status;
}

/* Asks every endpoint, if the experiment wants that, on a cluster of the first point. */
static int runner_ask_endpoints(struct runner *runner, struct err *err)
{
    struct run *run = &runner->run;
    struct experiment_settings settings;
    if (!runner->experiment.about.endpoints)
        return 0;
    experiment_point(run->experiment, 0, &settings);
    char *dir = mem_printf("%s/endpoints", runner->scratch);
    const struct sample_config config = {.program = runner->config->program,
                                         .dir = dir,
                                         .settings = &settings,
                                         .seed = rng_mix64(run->seed) >> 12};
    int status = mkdir(dir, 0755) < 0 ? err_set_errno(err, -errno, "%s", dir)
                                      : endpoints_ask(&config, &run->endpoints, err);
    resultdir_remove_tree(dir);
    free(dir);
    return status;
}

/* All samples, or those before an interrupt. 0 or a negative errno. */
static int runner_take_samples(struct runner *runner, struct err *err)
{
    struct run *run = &runner->run;
    struct slot *slots = schedule_make(&runner->experiment, run->seed, &run->n_planned);
    uint64_t begin_ns = clock_now_ns();
    int status = runner_ask_endpoints(runner, err);
    run->samples = mem_zalloc(run->n_planned, sizeof(*run->samples));
    for (size_t i = 0; i < run->n_planned && status >= 0; i++)
        status = interrupt_came() ? -EINTR : runner_take_sample(runner, &slots[i], err);
    if (status == -EINTR) {
        run->interrupted = true;
        status = 0;
    }
    run->duration_ns = clock_now_ns() - begin_ns;
    free(slots);
    return status;
}

/* ——— after ——— */

/* Writes one file and puts it into the manifest. */
static int runner_write(struct runner *runner, const char *name, struct buf *text, struct err *err)
{
    int status = resultdir_write(&runner->dir, name, buf_head(text), buf_len(text), err);
    if (status >= 0)
        status = manifest_add_file(runner->manifest, runner->dir.work, name, err);
    return status;
}

/* Draws what can be drawn: numbers are not thrown away because a script is broken. 0, or a negative
 * errno when a figure could not be written. */
static int runner_draw(struct runner *runner, struct err *err)
{
    const struct experiment_figure *figure = &runner->experiment.figure;
    int status = 0;
    for (size_t i = 0; i < figure->n_kinds * 2 && status >= 0; i++) {
        struct buf svg;
        const char *kind = figure->kinds[i / 2];
        char *name = mem_printf("%s-%s.svg", kind, themes[i % 2]);
        buf_init(&svg, 0);
        if (figure_draw(runner->result, runner->config->plots, kind, themes[i % 2], runner->scratch,
                        &svg, &runner->draw_err) == 0)
            status = runner_write(runner, name, &svg, err);
        buf_done(&svg);
        free(name);
    }
    return status;
}

static int runner_write_numbers(struct runner *runner, const struct summary *summary,
                                struct err *err)
{
    struct buf json, samples, latencies;
    buf_init(&json, 0);
    buf_init(&samples, 0);
    buf_init(&latencies, 0);
    cJSON *made = outcome_make(&runner->run, summary);
    json_print(&json, made, true);
    cJSON_Delete(made);
    /* Table and figures are made from what a reader of the file gets. */
    runner->result = json_parse(buf_head(&json), buf_len(&json), err);
    assert(runner->result);
    outcome_print_samples(&runner->run, &samples);
    outcome_print_latencies(&runner->run, summary, &latencies);
    int status = runner_write(runner, "result.json", &json, err);
    if (status >= 0)
        status = runner_write(runner, "samples.tsv", &samples, err);
    if (status >= 0)
        status = runner_write(runner, "latency.hgrm", &latencies, err);
    buf_done(&json);
    buf_done(&samples);
    buf_done(&latencies);
    return status;
}

static int runner_write_all(struct runner *runner, struct err *err)
{
    struct summary summary;
    struct buf text;
    int status = summary_make(&runner->run, &summary, err);
    if (status < 0)
        return status;
    manifest_close(runner->manifest, &runner->run);
    status = runner_write_numbers(runner, &summary, err);
    summary_done(&summary);
    /* An interrupted run may lack whole points: nothing to draw. */
    if (status >= 0 && runner->gnuplot && !runner->run.interrupted)
        status = runner_draw(runner, err);
    if (status < 0)
        return status;
    buf_init(&text, 0);
    json_print(&text, runner->manifest, true);
    status = resultdir_write(&runner->dir, "manifest.json", buf_head(&text), buf_len(&text), err);
    buf_done(&text);
    return status < 0 ? status : resultdir_finish(&runner->dir, err);
}

static void runner_print(const struct runner *runner)
{
    struct grid grid;
    struct buf out;
    const cJSON *file;
    buf_init(&out, 0);
    buf_appendf(&out, "%s: %s\n%s\n", outcome_text(runner->result, "name"),
                outcome_text(runner->result, "title"), outcome_text(runner->result, "question"));
    table_print_conditions(runner->result, &out);
    buf_append_str(&out, "\n\n");
    table_make(runner->result, &grid);
    grid_print(&grid, &out);
    grid_done(&grid);
    buf_append_str(&out, "\n");
    table_print_fits(runner->result, "", &out);
    if (json_get(runner->result, "endpoints")) {
        buf_append_str(&out, "Every endpoint, asked once:\n\n");
        grid_init(&grid);
        endpoints_make_table(json_get(runner->result, "endpoints"), &grid);
        grid_print(&grid, &out);
        grid_done(&grid);
    }
    buf_append_str(&out, "\n");
    table_print_verdict(runner->result, &out);
    table_print_lint(runner->result, &out);
    buf_appendf(&out, "\n%s/\n", runner->dir.final);
    cJSON_ArrayForEach (file, json_get(runner->manifest, "files")) {
        const char *name = outcome_text(file, "name");
        if (strstr(name, ".svg"))
            buf_appendf(&out, "%s/%s\n", runner->dir.final, name);
    }
    fputs(buf_str(&out), stdout);
    buf_done(&out);
}

static void runner_done(struct runner *runner)
{
    for (size_t i = 0; i < runner->run.n_samples; i++)
        sample_done(&runner->run.samples[i]);
    free(runner->run.samples);
    resultdir_done(&runner->dir);
    if (runner->scratch)
        resultdir_remove_tree(runner->scratch);
    free(runner->scratch);
    free(runner->gnuplot);
    cJSON_Delete(runner->manifest);
    cJSON_Delete(runner->result);
    cJSON_Delete(runner->run.endpoints);
    experiment_done(&runner->experiment);
}

static int runner_exit_code(const struct runner *runner)
{
    if (runner->draw_err.code)
        fprintf(stderr, "quoit run: the numbers are kept, but a figure is missing: %s\n",
                runner->draw_err.message);
    if (runner->run.interrupted || runner->draw_err.code == -EINTR)
        return EXIT_INTERRUPTED;
    if (!outcome_valid(runner->result))
        return EXIT_INVALID;
    return runner->draw_err.code ? EXIT_FAILED : EXIT_OK;
}

/* One that is computed (experiments/laboratory.h): 1 and the laboratory; 0 for any other; or a
 * negative errno. */
static int runner_find_laboratory(const struct runner_config *config, const char *name,
                                  struct laboratory *ret_laboratory, struct err *err)
{
    char *path = mem_printf("%s/%s.ini", config->experiments, name);
    int status =
        name_valid(name) && access(path, F_OK) == 0
            ? laboratory_read(path, config->overrides, config->n_overrides, ret_laboratory, err)
            : 0;
    free(path);
    return status;
}

int runner_run(const struct runner_config *config, const char *name, struct err *err)
{
    struct laboratory laboratory = {0};
    int found = runner_find_laboratory(config, name, &laboratory, err);
    if (found > 0) {
        found = laboratory_run(config, &laboratory, err);
        laboratory_done(&laboratory);
        return found;
    }
    if (found < 0)
        return found;
    struct runner runner = {.config = config};
    runner.run = (struct run){.experiment = &runner.experiment, .seed = config->seed};
    runner.run.started_ns = clock_wall_ns();
    int status = runner_read_experiment(&runner, name, err);
    bool understood = status >= 0;
    if (status >= 0)
        status = runner_make_scratch(&runner, err);
    if (status >= 0)
        status = runner_check_figures(&runner, err);
    if (status >= 0)
        status = resultdir_open(&runner.dir, config->results, name, runner.run.started_ns, err);
    if (status >= 0) {
        runner.manifest =
            manifest_make(&runner.run, config->overrides, config->n_overrides, runner.gnuplot);
        if (config->doctor)
            cJSON_AddItemToObject(runner.manifest, "doctor", cJSON_Duplicate(config->doctor, true));
        status = runner_take_samples(&runner, err);
    }
    if (status >= 0 && runner.run.interrupted && !runner.run.n_samples) {
        fprintf(stderr, "quoit run: %s was interrupted before its first sample\n", name);
        status = EXIT_INTERRUPTED;
    } else if (status >= 0) {
        status = runner_write_all(&runner, err);
        if (status >= 0) {
            runner_print(&runner);
            status = runner_exit_code(&runner);
        }
    }
    runner_done(&runner);
    /* From here on it is no fault of what the caller wrote. */
    return status == -EINVAL && understood ? -EPROTO : status;
}

int runner_lint(const struct runner_config *config, const char *name, FILE *out, struct err *err)
{
    struct runner runner = {.config = config};
    struct laboratory laboratory = {0};
    struct buf text;
    int status = runner_find_laboratory(config, name, &laboratory, err);
    if (status > 0) {
        fprintf(out, "%s: %s\n  computed, not measured: nothing to object to\n", name,
                laboratory.title);
        laboratory_done(&laboratory);
        return 0;
    }
    if (status == 0)
        status = runner_read_experiment(&runner, name, err);
    if (status < 0)
        return status;
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    cJSON *objections = lint_plan(&runner.experiment, n_cores > 0 ? (unsigned)n_cores : 1);
    buf_init(&text, 0);
    lint_print(objections, &text);
    fprintf(out, "%s: %s\n%s", name, runner.experiment.about.title,
            buf_len(&text) ? buf_str(&text) : "  nothing to object to\n");
    buf_done(&text);
    cJSON_Delete(objections);
    runner_done(&runner);
    return 0;
}

struct listing {
    const char *dir;
    FILE *out;
    int status;
    struct err *err;
};

static void list_one(const char *name, void *context)
{
    struct listing *listing = context;
    struct experiment experiment;
    struct suite suite;
    struct err *err = listing->status < 0 ? NULL : listing->err;
    char *path = mem_printf("%s/%s.ini", listing->dir, name);
    int status = suite_read(path, &suite, err);
    if (status > 0) {
        fprintf(listing->out, "%-16s %s (", name, suite.title);
        for (size_t i = 0; i < suite.n_runs; i++)
            fprintf(listing->out, "%s%s", i ? ", " : "", suite.runs[i]);
        fprintf(listing->out, ")\n");
        suite_done(&suite);
        free(path);
        return;
    }
    struct laboratory laboratory = {0};
    if (status == 0)
        status = laboratory_read(path, NULL, 0, &laboratory, err);
    if (status > 0) {
        fprintf(listing->out, "%-16s %s\n", name, laboratory.title);
        laboratory_done(&laboratory);
        free(path);
        return;
    }
    if (status == 0)
        status = experiment_read(path, NULL, 0, &experiment, err);
    if (status >= 0) {
        fprintf(listing->out, "%-16s %s\n", name, experiment.about.title);
        experiment_done(&experiment);
    } else if (listing->status >= 0) {
        listing->status = status;
    }
    free(path);
}

int runner_list(const char *experiments, FILE *out, struct err *err)
{
    struct listing listing = {.dir = experiments, .out = out, .err = err};
    int status = experiments_visit(experiments, list_one, &listing, err);
    return status < 0 ? status : listing.status;
}
