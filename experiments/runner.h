/* Runs an experiment: samples in random order, environment, result, verdict, figures, table.
 *
 *     read INI ─▶ RESULTS/NAME/.hidden/ ─▶ for each (point × repeat, shuffled): LB + servers, load
 *              ─▶ result.json samples.tsv latency.hgrm *.svg manifest.json ─▶
 * RESULTS/NAME/UTC-COMMIT
 */
#ifndef QUOIT_EXPERIMENTS_RUNNER_H
#define QUOIT_EXPERIMENTS_RUNNER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

struct runner_config {
    const char *program;          /* the quoit executable that is run */
    const char *experiments;      /* folder of NAME.ini */
    const char *plots;            /* folder of KIND.gp; NULL: no figures */
    const char *results;          /* folder of results, made when missing */
    const char *const *overrides; /* "SECTION.KEY=VALUE" */
    size_t n_overrides;
    uint64_t seed;
    FILE *progress;      /* NULL: none */
    const cJSON *doctor; /* findings for the manifest; NULL: none */
};

/* Runs EXPERIMENTS/NAME.ini, prints the table on stdout. Returns EXIT_OK, EXIT_INVALID or
 * EXIT_INTERRUPTED (core/cli.h), or a negative errno with the reason: -EINVAL for what the caller
 * wrote (no such experiment, a bad INI or override). interrupt_open() was called before. */
int runner_run(const struct runner_config *config, const char *name, struct err *err);
/* Prints what lint_plan() says of it, without running it. 0 or a negative errno as above. */
int runner_lint(const struct runner_config *config, const char *name, FILE *out, struct err *err);
/* Prints name and title of every experiment and suite. 0 or a negative errno. */
int runner_list(const char *experiments, FILE *out, struct err *err);

#endif
