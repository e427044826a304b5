/* A run of an experiment: its samples, and what they add up to. */
#ifndef QUOIT_EXPERIMENTS_RUN_H
#define QUOIT_EXPERIMENTS_RUN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/stats.h"
#include "experiments/experiment.h"
#include "experiments/sample.h"

/* In the order in which they were taken. */
struct run {
    const struct experiment *experiment; /* (ref) */
    uint64_t seed;
    uint64_t started_ns;    /* wall clock */
    uint64_t duration_ns;   /* of all samples */
    size_t n_planned;       /* samples there were to be */
    struct sample *samples; /* n_samples of them; room for n_planned */
    size_t n_samples;
    bool interrupted;
    char storage[24]; /* the kind of file system that stores write to; "" when it is not known */
    cJSON *endpoints; /* what endpoints_ask() heard; NULL: not asked */
};

/* All points are databases, or none is: cluster.shards of the first one. */
bool run_has_database(const struct run *run);

/* A number over the samples of one point. */
struct summary_number {
    double median;
    struct interval interval; /* 95 % bootstrap interval of the median */
    double min, max;
};

struct summary_server {
    double share;    /* exact, over all request ids */
    double expected; /* share × requests; NaN where it is not known how many they are */
    struct summary_number count;
};

struct summary_point {
    struct experiment_settings settings;
    const struct sample **samples; /* by repeat */
    size_t n_samples;
    size_t n_servers; /* of a database that grew: after that */
    /* Of one sample; when a duration sets their number, as many as the median sample had, 0 without
     * a sample. */
    uint64_t requests;
    /* Shares and counts, up to p: none of a database, where each shard has its own. */
    struct summary_server servers[EXPERIMENT_MAX_SERVERS];
    /* As in sample_metrics_of(); NaN where a sample has no such number. */
    struct summary_number metrics[SAMPLE_MAX_METRICS];
    struct summary_number peak_to_mean; /* of the counts of each sample */
    struct summary_number least, most;  /* counts of each sample's least and most loaded server */
    double exact_peak_to_mean;
    double exact_least, exact_most; /* the smallest and the largest expected */
    double *sample_p;               /* of each sample's counts against the exact shares */
    double
        chi_square; /* summed over the samples; infinite when a server without a share answered */
    unsigned df;
    double p;
};

struct summary {
    struct summary_point *points;
    size_t n_points;
};

/* 0 or -EINVAL with the reason. Points without samples have n_samples 0 and no numbers. The run
 * must outlive the summary. Pair with summary_done(). */
int summary_make(const struct run *run, struct summary *ret_summary, struct err *err);
void summary_done(struct summary *summary);
/* The number of n > 0 values. */
struct summary_number summary_number_of(const double *values, size_t n, uint64_t seed);

#endif
