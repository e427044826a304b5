/* Every endpoint, asked once and held against CONTRACT.md: request, status, answer. Of Part 1, or
 * of Part 2 where the cluster has shards. What is asked: endpoints_calls.h. */
#ifndef QUOIT_EXPERIMENTS_ENDPOINTS_H
#define QUOIT_EXPERIMENTS_ENDPOINTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "core/err.h"
#include "experiments/grid.h"
#include "experiments/sample.h"

/* Starts the cluster, asks, stops it. An array for cJSON_Delete():
 *
 *     [{"to":"load balancer","request":"GET /rep","status":200,"answer":"…","expected":"200 …",
 *       "good":true},…]
 *
 * In "expected", # stands for a number and … for anything. A wrong answer is no failure of this
 * function. 0; -EINTR; or a negative errno: the cluster did not start, or did not answer. */
int endpoints_ask(const struct sample_config *config, cJSON **ret_answers, struct err *err);
/* The text has the form of the pattern. */
bool endpoints_match(const char *pattern, const char *text);
/* A reason for every answer that is not as it must be. */
void endpoints_judge(const cJSON *answers, cJSON *reasons);
/* One row a request. */
void endpoints_make_table(const cJSON *answers, struct grid *grid);

#endif
