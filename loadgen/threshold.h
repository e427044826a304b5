/* What must not be: "p99>10ms" fails the run when the measured p99 is above ten milliseconds.
 *
 *   METRIC OP VALUE     blanks between them are allowed
 *
 *   pN.N min mean max            latency of good answers; with "service." before it, of their
 * service time (open loop), with "lag." the schedule lag: a duration with unit, 10ms, 250us errors
 * late dropped          a count, or with % the share of the requests rate good answers a second OP
 * >  >=  <  <=  */
#ifndef QUOIT_LOADGEN_THRESHOLD_H
#define QUOIT_LOADGEN_THRESHOLD_H

#include <stdbool.h>

#include "core/err.h"
#include "loadgen/result.h"

enum threshold_metric {
    THRESHOLD_PERCENTILE,
    THRESHOLD_MIN,
    THRESHOLD_MEAN,
    THRESHOLD_MAX,
    THRESHOLD_ERRORS,
    THRESHOLD_LATE,
    THRESHOLD_DROPPED,
    THRESHOLD_RATE,
};

enum threshold_of { THRESHOLD_OF_LATENCY, THRESHOLD_OF_SERVICE, THRESHOLD_OF_LAG };

enum threshold_op { THRESHOLD_ABOVE, THRESHOLD_AT_LEAST, THRESHOLD_BELOW, THRESHOLD_AT_MOST };

struct threshold {
    const char *text; /* as given (ref) */
    enum threshold_metric metric;
    enum threshold_of of; /* of times */
    double percentile;
    enum threshold_op op;
    bool percent; /* of counts: the value is a share in % */
    double value; /* ms, count, %, or a second */
};

struct threshold_outcome {
    const struct threshold *threshold; /* (ref) */
    bool known;                        /* there was something to measure */
    double value;
    bool missed; /* the run fails; so it does when nothing is known */
};

/* 0 or -EINVAL: what is wrong, at which character, what is known. */
int threshold_parse(const char *text, struct threshold *ret_threshold, struct err *err);
struct threshold_outcome threshold_judge(const struct threshold *threshold,
                                         const struct result *result);
/* "ms", "%", "/s" or "". */
const char *threshold_unit(const struct threshold *threshold);

#endif
