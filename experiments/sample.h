/* One sample: one run of the load generator against one fresh cluster, and what came of it; of a
 * database one run that writes and then one that reads. */
#ifndef QUOIT_EXPERIMENTS_SAMPLE_H
#define QUOIT_EXPERIMENTS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "experiments/course.h"
#include "experiments/experiment.h"
#include "experiments/testbed.h"

/* Which of a sample's loads it is. */
enum sample_phase { PHASE_LOAD, PHASE_WRITE, PHASE_READ };

struct sample {
    size_t point;      /* of the experiment, see experiment_point() */
    uint64_t repeat;   /* from 0 */
    double at_s;       /* when it was taken, after the run's start */
    size_t n_windows;  /* of the warm-up until steady, see warmup.h */
    bool unsteady;     /* it never was */
    uint64_t seed;     /* of the load balancer */
    uint64_t n_ok;     /* requests answered well */
    uint64_t n_errors; /* requests that were not */
    char error[160];   /* what went wrong most often; "" without errors */
    double seconds;    /* from the first counted request to the last answer */
    double rate;       /* good answers a second */
    double p50_ms;     /* latency */
    double p90_ms;
    double p99_ms;
    double p999_ms;
    double max_ms;
    double generator_cpu;  /* CPU time of the load generator over wall time: 1 = one whole core */
    double thread_cpu;     /* the same of its busiest thread; 0 when it did not say */
    double cluster_cpu_us; /* CPU time of load balancer and servers a request; NaN: not known */
    uint64_t n_dropped;    /* requests of an open loop that were given up unsent */
    char distrust[320];    /* why quoit load itself calls its result INVALID; "" when it does not */
    uint64_t counts[EXPERIMENT_MAX_SERVERS]; /* answers of Server1, Server2 … */
    uint64_t n_strangers;                    /* answers of any other server */
    char *hgrm;                              /* HdrHistogram text of the latencies; may be NULL */
    struct course *course;                   /* of an experiment with events, else NULL */
    enum sample_phase phase;
    double row_rate;     /* rows a second that were written, of a database */
    bool verified;       /* quoit load looked for them */
    char doubt[320];     /* why its rows are not vouched for; "" when they are, or there are none */
    struct sample *then; /* the load that followed in the same cluster; NULL: none */
};

/* A number of every sample that is summarised, drawn and tabulated under one name. */
struct sample_metric {
    const char *name;
    const char *unit;
    const char *help;
    size_t offset; /* of the double in struct sample */
    enum sample_phase phase;
};

/* Of samples with one load; ended by a NULL name. */
extern const struct sample_metric sample_metrics[];
#define SAMPLE_N_METRICS 8
#define SAMPLE_MAX_METRICS 16
/* Those of a point with these settings, ended by a NULL name: SAMPLE_MAX_METRICS at most. */
const struct sample_metric *sample_metrics_of(const struct experiment_load *load);

/* NaN where the sample has no such load. */
double sample_metric_value(const struct sample *sample, const struct sample_metric *metric);

/* "write", "read"; "" of a sample's only load. */
const char *sample_phase_name(enum sample_phase phase);

/* Takes the sample's numbers from the text that `quoit load --json` wrote. n_servers: of the
 * cluster. 0, or -EINVAL naming what is missing. */
int sample_parse(const char *text, size_t n, size_t n_servers, struct sample *sample,
                 struct err *err);

struct sample_config {
    const char *program; /* the quoit executable */
    const char *dir;     /* an empty folder for what the processes write */
    const struct experiment_settings *settings;
    const struct event_list *events; /* NULL or empty: none */
    uint64_t seed;
};

/* Starts a cluster, loads it, stops it, fills the sample's numbers. 0; -EINTR when interrupted;
 * else a negative errno with the reason. Nothing is left running. Pair with sample_done(). */
int sample_take(const struct sample_config *config, struct sample *sample, struct err *err);
void sample_done(struct sample *sample);

#endif
