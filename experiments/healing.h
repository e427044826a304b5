/* Events that were done again and again — fifty kills — as one distribution: their steps over all
 * events of one action and all repeats of a point. For result.json, for people, for the figure. */
#ifndef QUOIT_EXPERIMENTS_HEALING_H
#define QUOIT_EXPERIMENTS_HEALING_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "experiments/grid.h"
#include "experiments/run.h"

/* Adds to a point's tree, when its samples have a course:
 *
 *     "pooled":[{"action":"kill","n":50,
 *                "failed":{pool},"retried":{pool},        requests an event
 *                "steps":{"detected":{pool},…}}]          ms since the event
 *
 * where {pool} is {"n","sum","median","low","high","p90","min","max"}; n: of those events for which
 * there is such a number. low and high are the bootstrap interval of the median. */
void healing_add_outcome(cJSON *point_tree, const struct run *run,
                         const struct summary_point *point);
/* One row a step of an action of a point, by the median, then one for the requests that failed and
 * one for those that were sent to another server; from a result's tree. */
void healing_make_table(const cJSON *result, struct grid *grid);
/* gnuplot's variables, of the first point and of the action that was done most often, but $pooled,
 * which is of all; none without "pooled":
 *
 *     heal_action                text
 *     heal_n heal_rows heal_failed heal_retried heal_most_failed heal_most_retried
 *                                numbers: events, steps, requests in all and at one event
 *     heal_name heal_median heal_low heal_high heal_p90 heal_most
 *                                arrays, one element a step, by the median
 *     $healing   row ms spread   a row a step of an event; spread in [0, 1), to draw points apart
 *     $pooled    point action step n median low high p90 min max   a row a step of an action
 */
void healing_print_variables(const cJSON *result, struct buf *out);

#endif
