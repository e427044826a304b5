/* quoit load's options, and everything a run borrows that is made from them. */
#ifndef QUOIT_CMD_LOAD_JOB_H
#define QUOIT_CMD_LOAD_JOB_H

#include "core/option.h"
#include "loadgen/load.h"
#include "loadgen/threshold.h"
#include "loadgen/url.h"
#include "loadgen/verification.h"

struct load_options {
    uint64_t n_requests;
    uint64_t duration_ns;
    uint64_t n_in_flight;
    uint64_t ready_fd;
    uint64_t n_threads;
    const char *warmup;
    double rate;
    int arrivals;
    uint64_t ramp_ns;
    const char *stages;
    uint64_t max_lag_ns;
    uint64_t lag_bound_ns;
    const char *method;
    struct option_list headers;
    const char *body;
    const char *workload;
    int verify;
    uint64_t verify_timeout_ns;
    const char *keys;
    const char *key_header;
    const char *trace;
    bool trace_once;
    struct option_list fail_if;
    const char *json;
    const char *hgrm;
    const char *latencies;
    const char *timeline;
    uint64_t timeline_ns;
    const char *client;
    uint64_t timeout_ns;
    const char *expect;
    uint64_t seed;
    bool quiet;
};

/* Everything a run borrows, made from the options. */
struct load_job {
    const struct load_options *opt;
    struct url url;
    struct spec client, keys, workload;
    struct trace trace;
    struct buf headers, body;
    struct arrivals_plan plan;
    struct threshold thresholds[OPTION_LIST_MAX];
    struct threshold_outcome outcomes[OPTION_LIST_MAX];
    struct workload *workloads[RESULT_MAX_THREADS];
    struct load_config config;
    /* With a database workload. */
    struct workload_db_mix mix;
    struct verification_config verify;
    struct verification verification; /* of the run, once it has begun */
};

/* 0, or a negative errno with what is wrong about the options: wrong usage, all of it. */
int load_job_init(struct load_job *job, const struct load_options *opt, const char *url,
                  struct err *err);
/* Also after a failed init. */
void load_job_done(struct load_job *job);

#endif
