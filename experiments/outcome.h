/* result.json: everything a run found, complete enough that table, figure and report need nothing
 * else. Their code reads this tree, never the run, so that an old result is drawn again just so.
 *
 *     {"format":1, "name", "title", "question", "measures", "table", "figures":["shares"],
 *      "requests", "load":{"client","threads","in_flight","rate","arrivals"}, less what an axis
 *      varies; "repeats", "n_samples", "n_planned", "interrupted", "confidence":0.95,
 *      "axes":[{"vary","values":[…],"labels":[…]}],
 *      "points":[{"values":["quadratic"], "labels":["…"], "n_servers":3, "requests", "n_samples",
 *                 "servers":[{"name","share","expected","counts":[…],"median","low","high","min",
 *                             "max"}],
 *                 "peak_to_mean":{"exact","median","low","high","min","max"},
 *                 "least":{the same}, "most":{the same},   counts of one server
 *                 "fit":{"chi_square","df","p","sample_p":[…]},
 *                 "metrics":{"rate":{"unit","median","low","high","min","max","values":[…]},…}}],
 *      "endpoints":[…],   as in endpoints.h; of an experiment with events, points also have what
 *                         course_outcome.h and healing.h say, and no "fit"; databases' have what
 *                         database_outcome.h says, no servers, counts and fit
 *      "verdict":{"valid","reasons":[…],"warnings":[…]}}
 *
 * A number that cannot be had is null. */
#ifndef QUOIT_EXPERIMENTS_OUTCOME_H
#define QUOIT_EXPERIMENTS_OUTCOME_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "core/err.h"
#include "experiments/run.h"

#define OUTCOME_FORMAT 1
#define OUTCOME_MAX_BYTES (16 * 1024 * 1024)

/* The tree, verdict included, for cJSON_Delete(). */
cJSON *outcome_make(const struct run *run, const struct summary *summary);
/* Reads DIR/result.json (or any such file) and checks its form as far as its readers lean on it.
 * NULL with the reason in err. */
cJSON *outcome_read(const char *path, struct err *err);
bool outcome_valid(const cJSON *result);

/* samples.tsv: comments that say what the columns are, a heading, one row a sample in the order in
 * which they were taken. */
void outcome_print_samples(const struct run *run, struct buf *out);
/* latency.hgrm: for every point the sample whose p99 is the median one, two blank lines between
 * points. */
void outcome_print_latencies(const struct run *run, const struct summary *summary, struct buf *out);

/* Shorthands for readers of the tree: the number (NaN where there is none) and the text ("" where
 * there is none) of a member. */
double outcome_number(const cJSON *object, const char *key);
const char *outcome_text(const cJSON *object, const char *key);
/* "in containers": where the servers of a result ran; "" where they were processes of this machine,
 * or an axis says it. */
const char *outcome_place(const cJSON *result);

#endif
