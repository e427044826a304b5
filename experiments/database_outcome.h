/* What the samples of a database come to: for result.json, for people, for figures. */
#ifndef QUOIT_EXPERIMENTS_DATABASE_OUTCOME_H
#define QUOIT_EXPERIMENTS_DATABASE_OUTCOME_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "core/buf.h"
#include "experiments/grid.h"
#include "experiments/run.h"

/* Adds to a point's tree, when it is a database:
 *
 *     "database":{"store","shape":"6/4/3","grown_from":"6/4/3" or null,"shard_size","preload",
 *                 "in_flight","duration_s","rows"}     rows a write request, 0 where nothing is
 *                                                      written; 0 s: a number of requests
 *     "ratios":{"to":[labels],"write_rate":{"ratio","low","high"},…}
 *
 * Ratios are of the medians of every rate, with bootstrap intervals, to the point that has the
 * first value of the first axis and is otherwise the same; that one has none. */
void database_add_outcome(cJSON *point_tree, const struct run *run, const struct summary *summary,
                          size_t index);
/* Adds to the result: "storage", the kind of file system that the stores wrote to, and
 * "published":[{"label","write","read"}], where there is any. */
void database_add_conditions(cJSON *result, const struct run *run);

/* The result is of databases. */
bool database_is_result(const cJSON *result);
/* "6/4/3 (servers/shards/replicas), 10000 requests a phase, 1 row a write, 64 in flight". */
void database_print_conditions(const cJSON *result, struct buf *out);
/* One row a point, then one a publication. Columns of the axes are there already. */
void database_make_table(const cJSON *result, struct grid *grid);
/* gnuplot's variables, none without a database:
 *
 *     conditions base                 texts: as above, and what ratios are to ('' without an axis)
 *     in_flight                       number: NaN when it varies
 *     n_published                     number
 *     published_label published_write published_read     arrays, one element a publication
 *     shape                           array of texts, one element a point: "6/4/3"
 *     rows_a_request                  array of numbers
 *     ratio_W ratio_W_low ratio_W_high published_ratio_W
 *                                     arrays of numbers, one element a point, W being write and
 *                                     read: NaN for what is not there. Publications are of the
 *                                     points that have their labels */
void database_print_variables(const cJSON *result, struct buf *out);

#endif
