/* quoit run: experiments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/mem.h"
#include "core/rng.h"
#include "doctor/doctor.h"
#include "experiments/child.h"
#include "experiments/datadir.h"
#include "experiments/runner.h"
#include "experiments/suite.h"

#define MAX_OVERRIDES 64
#define MAX_NAMES 64

struct run_options {
    const char *set;
    const char *results;
    const char *experiments;
    const char *plots;
    const char *program;
    uint64_t seed;
    bool no_figures;
    bool quiet;
    bool list;
    bool lint;
};

#define FIELD(name) offsetof(struct run_options, name)

static const struct option_def options[] = {
    {.name = "set",
     .type = OPTION_STRING,
     .offset = FIELD(set),
     .metavar = "SECTION.KEY=VALUE",
     .help = "in place of what the experiment's file says; may be given several times"},
    {.name = "results",
     .type = OPTION_STRING,
     .offset = FIELD(results),
     .metavar = "DIR",
     .fallback = "results",
     .help = "results go to DIR/NAME/UTC-COMMIT"},
    {.name = "experiments",
     .type = OPTION_STRING,
     .offset = FIELD(experiments),
     .metavar = "DIR",
     .help =
         "where NAME.ini is (default: experiments, here or where quoit was built or installed)"},
    {.name = "plots",
     .type = OPTION_STRING,
     .offset = FIELD(plots),
     .metavar = "DIR",
     .help = "where the figures' scripts are (default: plots, likewise)"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = FIELD(seed),
     .metavar = "S",
     .help = "of the order and of the request ids; 0 draws one (default: 0)"},
    {.name = "program",
     .type = OPTION_STRING,
     .offset = FIELD(program),
     .metavar = "FILE",
     .help = "run FILE as load balancer and load generator (default: this program)"},
    {.name = "no-figures",
     .type = OPTION_FLAG,
     .offset = FIELD(no_figures),
     .help = "draw nothing; gnuplot is not needed"},
    {.name = "list",
     .short_name = 'l',
     .type = OPTION_FLAG,
     .offset = FIELD(list),
     .help = "print the experiments there are"},
    {.name = "lint",
     .type = OPTION_FLAG,
     .offset = FIELD(lint),
     .help = "run nothing, print what a careful reviewer would object to"},
    {.name = "quiet",
     .short_name = 'q',
     .type = OPTION_FLAG,
     .offset = FIELD(quiet),
     .help = "no progress on stderr"},
    {.name = NULL},
};

static int run_verb(int argc, char **argv);

static const struct cli_verb run_definition = {
    .name = "run",
    .summary = "run experiments: cluster, load, repeats, figures, verdict",
    .usage = "[options] NAME…",
    .details =
        "NAME is an experiment or a suite of them: A1 runs LB-A1, DB-A1 and two more.\n"
        "\n"
        "Each sample is a fresh cluster of this machine's processes under load, or of containers\n"
        "(--set cluster.spawner=docker, under tools/with-spawner); samples are taken in random\n"
        "order. The table goes to stdout, progress to stderr, everything to\n"
        "results/NAME/UTC-COMMIT: manifest.json, result.json, samples.tsv, latency.hgrm, *.svg.\n"
        "\n"
        "A run is INVALID when requests failed or were lost, servers were replaced, the counts do\n"
        "not fit the exact shares, rows of a database are lost, differ among replicas or were not\n"
        "verified, there are fewer than 3 repeats, or, where rates are measured, the load "
        "generator\n"
        "used more than 0.9 of a core or, in an open loop, was late.\n"
        "\n"
        "Exit code: 0 valid, 1 failed, 2 wrong usage, 4 invalid, 130 interrupted, what was\n"
        "measured until then being kept and marked.",
    .options = options,
    .run = run_verb,
};
VERB_REGISTER(run_definition);

/* Takes every `--set X` and `--set=X` out of argv, since an option's row keeps one value only.
 * Returns how many there are, or -E2BIG. */
static int take_overrides(int *argc, char **argv, const char **overrides)
{
    int n = 0, kept = 1;
    bool words_only = false;
    for (int i = 1; i < *argc; i++) {
        const char *value = NULL;
        words_only = words_only || !strcmp(argv[i], "--");
        if (!words_only && !strncmp(argv[i], "--set=", 6))
            value = argv[i] + 6;
        else if (!words_only && !strcmp(argv[i], "--set") && i + 1 < *argc)
            value = argv[++i];
        if (!value)
            argv[kept++] = argv[i];
        else if (n == MAX_OVERRIDES)
            return -E2BIG;
        else
            overrides[n++] = value;
    }
    argv[kept] = NULL;
    *argc = kept;
    return n;
}

/* The worst of two exit codes: an interrupt, then a failure, then an invalid run. */
static int worse(int a, int b)
{
    static const int order[] = {EXIT_INTERRUPTED, EXIT_USAGE, EXIT_FAILED, EXIT_INVALID};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_OK;
}

/* The quick checks, once: what is not well goes to stderr and, with all the rest, into the
 * manifests. */
static cJSON *ask_doctor(const struct runner_config *config)
{
    const struct doctor_wants wants = {.results_dir = config->results};
    struct doctor_report report;
    doctor_run(&wants, DOCTOR_QUICK, &report);
    for (size_t i = 0; i < report.n && config->progress; i++) {
        const struct doctor_finding *finding = &report.findings[i];
        if (finding->level >= DOCTOR_WARN)
            fprintf(config->progress, "quoit doctor: %s: %s: %s%s%s\n",
                    doctor_level_name(finding->level), finding->name, finding->found,
                    finding->advice ? "; " : "", finding->advice ? finding->advice : "");
    }
    cJSON *json = doctor_json(&report);
    doctor_report_done(&report);
    return json;
}

static int run_one(const struct runner_config *config, const char *name, bool lint)
{
    struct err err;
    int status = lint ? runner_lint(config, name, stdout, &err) : runner_run(config, name, &err);
    if (status >= 0)
        return status;
    fprintf(stderr, "quoit run: %s\n", err.message);
    return status == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int run_all(struct runner_config *config, char **given, int n_given, bool lint)
{
    struct err err;
    char **names;
    size_t n;
    int code = EXIT_OK;
    if (suite_expand(config->experiments, given, (size_t)n_given, &names, &n, &err) < 0) {
        fprintf(stderr, "quoit run: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (interrupt_open(&err) < 0) {
        fprintf(stderr, "quoit run: %s\n", err.message);
        suite_free_names(names, n);
        return EXIT_FAILED;
    }
    cJSON *doctor = lint ? NULL : ask_doctor(config);
    config->doctor = doctor;
    for (size_t i = 0; i < n && !interrupt_came(); i++) {
        code = worse(code, run_one(config, names[i], lint));
        if (i + 1 < n)
            printf("\n");
    }
    if (interrupt_came())
        code = EXIT_INTERRUPTED;
    interrupt_close();
    cJSON_Delete(doctor);
    suite_free_names(names, n);
    return code;
}

static int run_verb(int argc, char **argv)
{
    struct run_options opt;
    struct err err;
    const char *overrides[MAX_OVERRIDES + 1];
    char **names;
    int code = EXIT_FAILED;

    int n_overrides = take_overrides(&argc, argv, overrides);
    if (n_overrides < 0)
        return cli_usage_error(&run_definition, "more than %d times --set", MAX_OVERRIDES);
    int n_names = cli_parse(&run_definition, argc, argv, &opt, 0, MAX_NAMES, &names);
    if (opt.set)
        overrides[n_overrides++] = opt.set;
    if (!n_names && !opt.list)
        return cli_usage_error(&run_definition, "which experiment? --list prints them");

    char *program = opt.program ? mem_strdup(opt.program) : datadir_program();
    char *experiments =
        opt.experiments ? mem_strdup(opt.experiments) : datadir_find("experiments", &err);
    char *plots = NULL;
    bool found = experiments != NULL;
    if (found && !opt.no_figures && !opt.list) {
        plots = opt.plots ? mem_strdup(opt.plots) : datadir_find("plots", &err);
        found = plots != NULL;
    }
    struct runner_config config = {
        .program = program,
        .experiments = experiments,
        .plots = plots,
        .results = opt.results,
        .overrides = overrides,
        .n_overrides = (size_t)n_overrides,
        .seed = opt.seed ? opt.seed : rng_entropy() >> 12,
        .progress = opt.quiet ? NULL : stderr,
    };
    if (!found || (opt.list && runner_list(experiments, stdout, &err) < 0))
        fprintf(stderr, "quoit run: %s\n", err.message);
    else
        code = opt.list ? EXIT_OK : run_all(&config, names, n_names, opt.lint);
    free(program);
    free(experiments);
    free(plots);
    return code;
}
