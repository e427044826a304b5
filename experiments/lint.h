/* What a careful reviewer would object to in an experiment: before it runs, from its plan, and
 * after, from its samples. No objection makes a run INVALID (experiments/verdict.h); each is a
 * limit of what may be claimed, printed with the result and kept in it:
 *
 *     "lint":[{"about":"repeats","says":"…"},…] */
#ifndef QUOIT_EXPERIMENTS_LINT_H
#define QUOIT_EXPERIMENTS_LINT_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "experiments/run.h"

/* A median's 95 % interval needs this many: of n samples all lie on one side of it with probability
 * 2^(1−n), which 6 bring below 5 %. */
#define LINT_MIN_REPEATS 6
/* Shorter samples measure their own start. */
#define LINT_MIN_SECONDS 0.5
/* A sample farther than this from its point's median is an outlier: the modified z-score
 * 0.6745·|x − median| / MAD of Iglewicz and Hoaglin (1993), who propose 3.5. */
#define LINT_OUTLIER_Z 3.5
#define LINT_OUTLIER_MIN_SAMPLES 5

/* Objections to the plan, on a machine with n_cores. An array for cJSON_Delete(). */
cJSON *lint_plan(const struct experiment *experiment, unsigned n_cores);
/* Adds those to the run. */
void lint_run(cJSON *objections, const struct run *run, const struct summary *summary);
/* The modified z-score of values[i]; 0 where fewer than five or no spread make none. */
double lint_outlier_z(const double *values, size_t n, size_t i);

/* A line an objection: "  repeats: …". */
void lint_print(const cJSON *objections, struct buf *out);

#endif
