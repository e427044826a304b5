/* quoit metrics: what each metric of /metrics means; docs/metrics.md is its output. */
#include <stdio.h>

#include "cmd/verbs.h"
#include "core/metrics.h"

struct metrics_options {
    char none; /* the verb takes no option */
};

static const struct option_def options[] = {
    {.name = NULL},
};

static int run_verb(int argc, char **argv);

static const struct cli_verb metrics_verb = {
    .name = "metrics",
    .summary = "print every metric of GET /metrics: type, unit, meaning",
    .usage = "[options]",
    .details = "Prints Markdown: docs/metrics.md is made of it.\n",
    .options = options,
    .run = run_verb,
};

static int run_verb(int argc, char **argv)
{
    struct metrics_options chosen = {0};

    cli_parse(&metrics_verb, argc, argv, &chosen, 0, 0, NULL);
    metrics_print_docs(stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EXIT_FAILED;
    return EXIT_OK;
}

VERB_REGISTER(metrics_verb);
