/* quoit compare: two results beside each other. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/verbs.h"
#include "core/json.h"
#include "experiments/compare.h"

struct compare_options {
    struct option_list fail_if;
    uint64_t seed;
    bool json;
};

#define FIELD(name) offsetof(struct compare_options, name)

static const struct option_def options[] = {
    {.name = "fail-if",
     .type = OPTION_LIST,
     .offset = FIELD(fail_if),
     .metavar = "LIMIT",
     .help = "exit 3 when a metric's change passes it, as in 'rate<-5%' or 'p99>+10%'; may be "
             "given again"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = FIELD(seed),
     .metavar = "S",
     .fallback = "1",
     .help = "of the bootstrap's draws"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = FIELD(json),
     .help = "print JSON in place of the tables"},
    {.name = NULL},
};

static int run_verb(int argc, char **argv);

static const struct cli_verb compare_verb = {
    .name = "compare",
    .summary = "compare two results: what changed, how sure that is, what weakens it",
    .usage = "[options] OLD NEW",
    .details =
        "OLD and NEW are result folders of quoit run (results/NAME/UTC-COMMIT) of the same\n"
        "experiment, files of quoit load --json, or folders of such files, each a sample.\n"
        "\n"
        "For every metric and every value of the axis: the medians, their difference, the change\n"
        "in percent of OLD with its 95 % interval (two-sample percentile bootstrap), and a "
        "verdict:\n"
        "better, worse, different (shares of servers), or no difference shown. With fewer than 5\n"
        "samples on a side nothing is called better or worse.\n"
        "\n"
        "A LIMIT is METRIC OP PERCENT with rate, p50, p90, p99, p99.9, max, cpu (of the "
        "generator,\n"
        "a request), failed, peak_to_mean, share:SERVER or EVENT.STEP, over all events of that "
        "kind\n"
        "(kill.serving, stop.detected, rm.failed). It holds for every value of the axis,\n"
        "is passed by the change of the medians, and is not where 5 or more samples on each side\n"
        "show no difference. A metric that is not there passes it.\n"
        "\n"
        "Exit code: 0 compared, 1 failed (not there, not the same experiment), 2 wrong usage, 3 a\n"
        "limit was passed, 4 OLD or NEW is INVALID.",
    .options = options,
    .run = run_verb,
};
VERB_REGISTER(compare_verb);

static int fail(const struct err *err)
{
    fprintf(stderr, "quoit compare: %s\n", err->message);
    return err->code == -EBADMSG ? EXIT_INVALID : EXIT_FAILED;
}

static void say_missed(const struct compare_limit_outcome *outcome)
{
    fprintf(stderr, "quoit compare: %s", outcome->limit->text);
    if (*outcome->label)
        fprintf(stderr, " (%s)", outcome->label);
    if (isnan(outcome->percent))
        fprintf(stderr, ": %s is not on both sides\n", outcome->limit->metric);
    else
        fprintf(stderr, ": %s changed by %+.1f %%\n", outcome->limit->metric, outcome->percent);
}

/* Whether any limit is passed anywhere; says where. */
static bool any_missed(const struct compare_limit *limits, size_t n, const struct compare *compare)
{
    bool missed = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t point = 0; point < compare->n_points; point++) {
            struct compare_limit_outcome outcome = compare_limit_judge(&limits[i], compare, point);
            if (outcome.missed)
                say_missed(&outcome);
            missed = missed || outcome.missed;
        }
    }
    return missed;
}

static int print(const struct compare *compare, bool json)
{
    struct buf text;
    int code = EXIT_OK;
    buf_init(&text, 0);
    if (json) {
        cJSON *tree = compare_json(compare);
        json_print(&text, tree, true);
        cJSON_Delete(tree);
    } else {
        compare_print(compare, &text);
    }
    if (fwrite(buf_head(&text), 1, buf_len(&text), stdout) != buf_len(&text) ||
        fflush(stdout) != 0) {
        fprintf(stderr, "quoit compare: stdout: %s\n", err_errno_text(errno));
        code = EXIT_FAILED;
    }
    buf_done(&text);
    return code;
}

static int run_verb(int argc, char **argv)
{
    struct compare_options opt;
    struct compare_limit limits[OPTION_LIST_MAX];
    struct compare_side old, new;
    struct compare compare;
    struct err err;
    char **words;
    int code;

    cli_parse(&compare_verb, argc, argv, &opt, 2, 2, &words);
    for (size_t i = 0; i < opt.fail_if.n; i++)
        if (compare_limit_parse(opt.fail_if.texts[i], &limits[i], &err) < 0)
            return cli_usage_error(&compare_verb, "--fail-if: %s", err.message);
    if (compare_open(words[0], &old, &err) < 0) {
        code = fail(&err);
        goto out_old;
    }
    if (compare_open(words[1], &new, &err) < 0) {
        code = fail(&err);
        goto out_new;
    }
    if (compare_make(&old, &new, opt.seed, &compare, &err) < 0) {
        code = fail(&err);
        goto out;
    }
    code = print(&compare, opt.json);
    if (any_missed(limits, opt.fail_if.n, &compare) && code == EXIT_OK)
        code = EXIT_THRESHOLD;
out:
    compare_done(&compare);
out_new:
    compare_close(&new);
out_old:
    compare_close(&old);
    return code;
}
