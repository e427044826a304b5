/* quoit report: the published results, in the README and on a page of their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/file.h"
#include "core/mem.h"
#include "experiments/html.h"
#include "experiments/report.h"

#define README_MAX_BYTES (4 * 1024 * 1024)
#define PAGE_MAX_BYTES (64 * 1024 * 1024)

struct report_options {
    const char *readme;
    const char *report;
    const char *adopt;
    bool allow_dirty;
    bool check;
};

#define FIELD(name) offsetof(struct report_options, name)

static const struct option_def options[] = {
    {.name = "readme",
     .type = OPTION_STRING,
     .offset = FIELD(readme),
     .metavar = "FILE",
     .fallback = "README.md",
     .help = "the file whose blocks are written"},
    {.name = "report",
     .type = OPTION_STRING,
     .offset = FIELD(report),
     .metavar = "DIR",
     .fallback = "report",
     .help = "the published results, as the file's links name them"},
    {.name = "adopt",
     .type = OPTION_STRING,
     .offset = FIELD(adopt),
     .metavar = "RESULT",
     .help = "publish results/NAME/UTC-COMMIT: copy it to report/NAME"},
    {.name = "allow-dirty",
     .type = OPTION_FLAG,
     .offset = FIELD(allow_dirty),
     .help = "adopt also what a build with uncommitted changes measured"},
    {.name = "check",
     .type = OPTION_FLAG,
     .offset = FIELD(check),
     .help = "write nothing, print what differs; exit 1 if anything does"},
    {.name = NULL},
};

static int run_verb(int argc, char **argv);

static const struct cli_verb report_verb = {
    .name = "report",
    .summary = "write published results into the README, or check that they stand there",
    .usage = "[options]",
    .details =
        "Between the lines <!-- quoit:report NAME --> and <!-- /quoit:report --> goes what\n"
        "report/NAME holds: question, figures, table, conditions. report/index.html shows all of\n"
        "it on one page that opens offline. Nothing is run.\n"
        "\n"
        "Exit code: 0 ok, 1 failed or (--check) different, 2 wrong usage, 4 the result to adopt\n"
        "is INVALID.",
    .options = options,
    .run = run_verb,
};
VERB_REGISTER(report_verb);

static int fail(const struct err *err)
{
    fprintf(stderr, "quoit report: %s\n", err->message);
    return EXIT_FAILED;
}

static int adopt(const struct report_options *opt)
{
    struct err err;
    char *name = NULL;
    int status = report_adopt(opt->adopt, opt->report, opt->allow_dirty, &name, &err);
    if (status < 0) {
        fail(&err);
        return status == -EBADMSG ? EXIT_INVALID : EXIT_FAILED;
    }
    printf("%s/%s is %s now; `quoit report` shows it in %s\n", opt->report, name, opt->adopt,
           opt->readme);
    free(name);
    return EXIT_OK;
}

/* is: a file; should: what it is to be. Writes it, or with --check shows where they differ. */
static int finish(const struct report_options *opt, const char *path, const struct buf *is,
                  const struct buf *should)
{
    struct err err;
    struct buf difference;
    int code = EXIT_OK;
    bool same = buf_len(is) == buf_len(should) &&
                (!buf_len(is) || !memcmp(buf_head(is), buf_head(should), buf_len(is)));
    buf_init(&difference, 0);
    if (opt->check && !same) {
        report_print_difference(path, is, should, &difference);
        fputs(buf_str(&difference), stdout);
        fprintf(stderr, "quoit report: %s is not what %s says; `make report` rewrites it\n", path,
                opt->report);
        code = EXIT_FAILED;
    } else if (!same) {
        int status = file_write_atomic(path, buf_head(should), buf_len(should), &err);
        code = status < 0 ? fail(&err) : EXIT_OK;
    }
    buf_done(&difference);
    return code;
}

/* The page of all results; without results there is none. */
static int finish_page(const struct report_options *opt)
{
    struct err err;
    struct buf is, should;
    size_t n = 0;
    int code = EXIT_OK;
    char *path = mem_printf("%s/index.html", opt->report);
    buf_init(&is, PAGE_MAX_BYTES);
    buf_init(&should, PAGE_MAX_BYTES);
    int status = html_print_page(opt->report, &should, &n, &err);
    if (status >= 0 && n)
        status = file_read(path, &is, &err);
    if (status < 0 && status != -ENOENT)
        code = fail(&err);
    else if (n)
        code = finish(opt, path, &is, &should);
    buf_done(&is);
    buf_done(&should);
    free(path);
    return code;
}

static int run_verb(int argc, char **argv)
{
    struct report_options opt;
    struct err err;
    struct buf is, should;
    cli_parse(&report_verb, argc, argv, &opt, 0, 0, NULL);
    if (opt.adopt && opt.check)
        return cli_usage_error(&report_verb, "--adopt and --check exclude each other");
    if (opt.allow_dirty && !opt.adopt)
        return cli_usage_error(&report_verb, "--allow-dirty goes with --adopt");
    if (opt.adopt)
        return adopt(&opt);
    buf_init(&is, README_MAX_BYTES);
    buf_init(&should, 0);
    int code = EXIT_OK;
    if (file_read(opt.readme, &is, &err) < 0)
        code = fail(&err);
    else if (report_rewrite(buf_str(&is), buf_len(&is), opt.report, &should, &err) < 0) {
        err_prefix(&err, "%s", opt.readme);
        code = fail(&err);
    } else
        code = finish(&opt, opt.readme, &is, &should);
    if (code == EXIT_OK)
        code = finish_page(&opt);
    buf_done(&is);
    buf_done(&should);
    return code;
}
