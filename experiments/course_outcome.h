/* What the courses of a point's samples come to: for result.json, for the verdict, for people. */
#ifndef QUOIT_EXPERIMENTS_COURSE_OUTCOME_H
#define QUOIT_EXPERIMENTS_COURSE_OUTCOME_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "experiments/grid.h"
#include "experiments/run.h"

/* Adds to a point's tree, when its samples have a course:
 *
 *     "events":[{"action":"kill","label":"SIGKILL Server1","planned_s":1,"at_s":{number},
 *                "failed":{number},"retried":{number},"steps":{"detected":{number},…}}],
 *     "retried":{number},
 *     "timeline":{"bucket_ms":50,"repeats":[{"begin_s":-0.013,"ok":[…],"failed":[…],
 *                 "p50_ms":[…],"max_ms":[…]}]}         the last two null where nothing was answered
 *
 * where {number} is {"median","low","high","min","max","values":[one a sample]}; times of steps are
 * ms since the event, at_s and begin_s s since the load began. */
void course_add_outcome(cJSON *point_tree, const struct run *run,
                        const struct summary_point *point);
/* Adds a reason for every event that did not come to its end, and for requests that failed where
 * none should have: before the first event, at /rm, at /add. */
void course_judge(const struct run *run, cJSON *reasons);
/* One row an event of every point, from a result's tree. */
void course_make_table(const cJSON *result, struct grid *grid);
/* gnuplot's variables, none without events:
 *
 *     bucket_ms n_events     numbers
 *     has_latency            1: $timeline has p50 and max, in ms; old results do not
 *     event_label event_at event_end event_rows event_failed event_retried
 *                            arrays, one element an event of the first point: s since the load
 * began (the end: it is served again, or the call is answered), steps there are, most requests
 * failed, median of those retried $timeline  point repeat typical t rate failed     a row a whole
 * bucket: t in s at its begin, rates in requests/s; typical is 1 for the repeat in the middle
 *     $steps     point event row name repeat ms median  a row a step of an event of a repeat, row
 *                being its place by the median, from 1 */
void course_print_variables(const cJSON *result, struct buf *out);

#endif
