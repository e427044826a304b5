/* quoit doctor: is this machine fit to run and to measure on. */
#include <stdio.h>

#include "cmd/verbs.h"
#include "core/json.h"
#include "doctor/doctor.h"

struct doctor_options {
    const char *results;
    uint64_t n_connections;
    bool quick;
    bool verbose;
    bool json;
};

static const struct option_def options[] = {
    {.name = "results",
     .type = OPTION_STRING,
     .offset = offsetof(struct doctor_options, results),
     .metavar = "DIR",
     .fallback = "results",
     .help = "Where results are going to be written"},
    {.name = "connections",
     .short_name = 'c',
     .type = OPTION_U64,
     .offset = offsetof(struct doctor_options, n_connections),
     .metavar = "N",
     .fallback = "1024",
     .min = 1,
     .max = 1u << 20,
     .help = "How many a run is going to hold at a time"},
    {.name = "quick",
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_options, quick),
     .help = "Only what is checked before every experiment: starts no other program"},
    {.name = "verbose",
     .short_name = 'v',
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_options, verbose),
     .help = "Say why it matters also where all is well"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_options, json),
     .help = "Print JSON"},
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb doctor_verb = {
    .name = "doctor",
    .summary = "check whether this machine is fit to run and to measure on",
    .usage = "[options]",
    .details = "Each line is ok, note (worth knowing, or optional and not there), warn (it works,\n"
               "but figures suffer) or fail, with why it matters and what to do about it.\n\n"
               "Exit codes: 0, 1 something required fails, 2 wrong usage.",
    .options = options,
    .run = run,
};

static int run(int argc, char **argv)
{
    struct doctor_options opts;
    struct doctor_report report;
    struct style style;
    struct buf out;
    cli_parse(&doctor_verb, argc, argv, &opts, 0, 0, NULL);
    const struct doctor_wants wants = {.results_dir = opts.results,
                                       .n_connections = opts.n_connections};
    doctor_run(&wants, opts.quick ? DOCTOR_QUICK : DOCTOR_FULL, &report);
    style_init(&style, stdout);
    buf_init(&out, 0);
    if (opts.json) {
        cJSON *tree = doctor_json(&report);
        json_print(&out, tree, true);
        cJSON_Delete(tree);
    } else {
        doctor_print(&report, &style, opts.verbose, &out);
    }
    fwrite(buf_head(&out), 1, buf_len(&out), stdout);
    buf_done(&out);
    int code = report.n_of[DOCTOR_FAIL] > 0 ? EXIT_FAILED : EXIT_OK;
    doctor_report_done(&report);
    return code;
}

VERB_REGISTER(doctor_verb);
