/* Two results beside each other: what changed, how sure that is, and what weakens the comparison.
 *
 * A side is a result folder of `quoit run` (results/NAME/UTC-COMMIT), one file of `quoit load
 * --json`, or a folder of such files, each of which is a sample then.
 *
 *   compare_open ─▶ compare_side ─┐
 *   compare_open ─▶ compare_side ─┴▶ compare_make ─▶ compare ─▶ compare_print, compare_json
 *                                                     └▶ compare_limit_judge
 *
 * A metric is judged by the bootstrap interval of the change in its median. Fewer than
 * COMPARE_MIN_SAMPLES values on a side are never called better or worse: of 4 and 4 values the most
 * extreme order comes up by chance once in 35 times, of 3 and 3 once in 10. */
#ifndef QUOIT_EXPERIMENTS_COMPARE_H
#define QUOIT_EXPERIMENTS_COMPARE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/stats.h"

#define COMPARE_MIN_SAMPLES 5u
#define COMPARE_LEVEL 0.95
#define COMPARE_RESAMPLES 10000u
#define COMPARE_MAX_FILES 1000u

enum compare_better { COMPARE_HIGHER, COMPARE_LOWER, COMPARE_NEITHER };

/* One metric's values, one a sample. */
struct compare_values {
    const char *name; /* "p99", "share:Server1", "kill.serving": of all events of that action */
    const char *unit; /* "" for a ratio */
    enum compare_better better;
    double *values;
    size_t n;
};

/* All metrics of one combination of the axes' values; a load has one point without label. */
struct compare_point {
    const char *label;
    struct compare_values *metrics;
    size_t n_metrics;
};

/* A condition that should be the same on both sides: "host.kernel". */
struct compare_condition {
    const char *key;
    const char *text;
};

struct compare_side {
    struct arena arena; /* everything below lives there */
    const char *path;
    bool is_experiment;
    const char *name;   /* of the experiment, or the loads' target */
    const char *kind;   /* what must be the same: the axes and their values; a load's workload */
    const char *commit; /* "" where it is not known */
    bool dirty;
    const char *began, *ended; /* ISO 8601; ended is "" where it is not known */
    struct compare_point *points;
    size_t n_points;
    struct compare_condition *conditions;
    size_t n_conditions;
    size_t n_samples; /* of the point that has the fewest */
    bool failed;      /* a request failed */
    bool counts_only; /* an experiment that claims counts, not rates */
};

/* Reads a side. 0; -EBADMSG: it is INVALID, err saying why; else a negative errno with the reason:
 * not there, broken, neither kind. Pair with compare_close(), also after a failure. */
int compare_open(const char *path, struct compare_side *ret_side, struct err *err);
void compare_close(struct compare_side *side);

enum compare_verdict {
    COMPARE_TOO_FEW,
    COMPARE_NOT_SHOWN, /* the interval holds "no change" */
    COMPARE_BETTER,
    COMPARE_WORSE,
    COMPARE_DIFFERENT, /* and neither is better */
};

/* "too few samples", "no difference shown", "better" … */
const char *compare_verdict_text(enum compare_verdict verdict);

struct compare_row {
    const struct compare_values *old, *new;
    double old_median, new_median;
    struct stats_change change; /* its intervals are NaN with one value on both sides */
    enum compare_verdict verdict;
};

struct compare_rows {
    const char *label;
    struct compare_row *rows;
    size_t n_rows;
};

struct compare {
    struct arena arena;
    const struct compare_side *old, *new; /* (ref) */
    uint64_t seed;
    struct compare_rows *points;
    size_t n_points;
    const char **notes; /* what weakens it, a sentence each */
    size_t n_notes;
};

/* 0, or -EINVAL: they are not the same experiment. The sides must outlive it. Pair with
 * compare_done(), also after a failure. */
int compare_make(const struct compare_side *old, const struct compare_side *new, uint64_t seed,
                 struct compare *ret_compare, struct err *err);
void compare_done(struct compare *compare);

/* "rate<-5%": fails when the median of the rate fell by more than five percent.
 *
 *   METRIC OP [+|-]NUMBER%     OP: < <= > >=; blanks between them are allowed
 *
 * The change is that of the medians, in percent of OLD's. It does not count where there are
 * COMPARE_MIN_SAMPLES values on each side and they show no difference. */
struct compare_limit {
    const char *text; /* as given (ref) */
    char metric[80];
    bool below, or_equal;
    double percent;
};

struct compare_limit_outcome {
    const struct compare_limit *limit; /* (ref) */
    const char *label;                 /* of the point (ref) */
    double percent;                    /* the change; NaN: no such metric on both sides */
    bool missed;                       /* also where there was nothing to judge */
};

/* 0 or -EINVAL: what is wrong and what is known. */
int compare_limit_parse(const char *text, struct compare_limit *ret_limit, struct err *err);
/* For the point-th of compare->points. */
struct compare_limit_outcome compare_limit_judge(const struct compare_limit *limit,
                                                 const struct compare *compare, size_t point);

/* The tables and notes for a person. */
void compare_print(const struct compare *compare, struct buf *out);
/* A new tree, for cJSON_Delete():
 *
 *     {"kind":"compare","schema_version":1,"confidence":0.95,"resamples":10000,"seed":1,
 *      "old":{"path","name","commit","dirty","began","n_samples"},"new":{the same},
 *      "points":[{"label","metrics":[{"name","unit","better":"higher"|"lower"|null,
 *                 "old":{"n","median"},"new":{"n","median"},
 *                 "difference":{"value","low","high"},"ratio":{"value","low","high"},
 *                 "verdict"}]}],
 *      "notes":[…]}
 *
 * A number that cannot be had is null. */
cJSON *compare_json(const struct compare *compare);

#endif
