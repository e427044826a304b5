/* Can a run be trusted? VALID, or INVALID with every reason; and what a reader should know. */
#ifndef QUOIT_EXPERIMENTS_VERDICT_H
#define QUOIT_EXPERIMENTS_VERDICT_H

#include <cjson/cJSON.h>

#include "experiments/run.h"

/* Repeats below this give no spread worth the name. */
#define VERDICT_MIN_REPEATS 3
/* Above this much of a core the load generator, not the cluster, may have set the pace. */
#define VERDICT_MAX_GENERATOR_CPU 0.9
/* Counts less likely than this under the exact shares did not come from them. */
#define VERDICT_MIN_P 1e-6

/* {"valid":bool,"reasons":["…"],"warnings":["…"]}, for cJSON_Delete(). */
cJSON *verdict_judge(const struct run *run, const struct summary *summary);

#endif
