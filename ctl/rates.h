/* What happened between two looks at a load balancer, per second. */
#ifndef QUOIT_CTL_RATES_H
#define QUOIT_CTL_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/cluster.h"
#include "ctl/prom.h"

/* One look: GET /cluster and GET /metrics, one right after the other. */
struct glance {
    struct cluster cluster;
    struct prom prom;
};

/* 0 or a negative errno. Pair with glance_done(), which takes a zeroed one. */
int glance_take(struct caller *caller, struct glance *ret_glance, struct err *err);
void glance_done(struct glance *glance);

/* NaN where nothing was answered. Right to the width of a histogram's bucket, interpolated in it.
 */
struct quantiles {
    double p50_s, p99_s;
};

struct server_rates {
    const struct cluster_server *server; /* (ref in the later glance) */
    double requests;                     /* per second */
    double share;                        /* of all servers' requests in the interval */
    double failures;                     /* per second: its connection broke under them */
    struct quantiles latency;
};

struct rates {
    double interval_s;
    struct server_rates *servers; /* all that the later glance has */
    size_t n_servers;
    double requests, retries, failures, answers_4xx, answers_5xx; /* per second */
    struct quantiles latency;                                     /* of all servers */
};

/* A counter that fell was started anew: all it has counts. Pair with rates_done(). */
void rates_make(const struct glance *before, const struct glance *now, struct rates *ret_rates);
void rates_done(struct rates *rates);

/* The q-quantile, 0 < q < 1, of counts[n] with the upper bounds upper[n], the last of them
 * infinite: by linear interpolation within its bucket, as Prometheus's histogram_quantile(); beyond
 * the last finite bound that bound. NaN when all are 0. */
double rates_quantile(const double *upper, const double *counts, size_t n, double q);

#endif
