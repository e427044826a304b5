/* Metrics: declared once with type, unit and prose; printed as Prometheus text.
 *
 * A metric set is a table of struct metric_def; the values live in a struct of uint64_t the module
 * owns, one copy per thread, summed when read (relaxed atomics: a counter is bumped without a
 * lock). docs/metrics.md is generated from the same tables. */
#ifndef QUOIT_CORE_METRICS_H
#define QUOIT_CORE_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_def {
    const char *name; /* Prometheus name, e.g. "quoit_lb_requests_total" */
    enum metric_type type;
    const char *unit; /* "requests", "bytes", "seconds" … */
    const char *help; /* one sentence */
    size_t offset;    /* of the uint64_t, or the struct metric_histogram, in the values struct */
    double scale;     /* printed value = stored × scale (ns → s: 1e-9); 0 means 1 */
};

/* Durations in ns, cheap enough for a data path: two buckets to each power of two, bounds
 *
 *     2^13, 1.5 · 2^13, 2^14, … 2^33 ns        8.2 µs … 8.6 s
 *
 * so a quantile read from it is right within a factor of 1.5 at worst (core/hist.h is the precise
 * one). Bucket i holds what is above bound i − 1 and at most bound i. */
#define METRIC_FIRST_OCTAVE 13
#define METRIC_LAST_OCTAVE 33
#define METRIC_N_BOUNDS (2 * (METRIC_LAST_OCTAVE - METRIC_FIRST_OCTAVE) + 1)

struct metric_histogram {
    uint64_t counts[METRIC_N_BOUNDS + 1]; /* the last: above every bound */
    uint64_t sum_ns;
};

/* Upper bound of bucket i < METRIC_N_BOUNDS. */
static inline uint64_t metric_bound_ns(size_t i)
{
    return (UINT64_C(2) + i % 2) << (METRIC_FIRST_OCTAVE - 1 + i / 2);
}

struct metric_set {
    const char *component;          /* "lb", "server" */
    const struct metric_def *table; /* ended by a NULL name */
    size_t values_size;             /* sizeof the values struct */
};

#define METRICS_REGISTER(set)                                                                      \
    static const struct metric_set *const set##_registered                                         \
        __attribute__((used, section("quoit_metrics"))) = &(set)

static inline void metric_add(uint64_t *value, uint64_t n)
{
    __atomic_fetch_add(value, n, __ATOMIC_RELAXED);
}

/* For a value only one thread writes: no locked instruction. */
static inline void metric_bump(uint64_t *value)
{
    __atomic_store_n(value, __atomic_load_n(value, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static inline void metric_bump_by(uint64_t *value, uint64_t n)
{
    __atomic_store_n(value, __atomic_load_n(value, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void metric_set_gauge(uint64_t *value, uint64_t to)
{
    __atomic_store_n(value, to, __ATOMIC_RELAXED);
}

/* For a histogram only one thread writes. */
static inline void metric_observe_ns(struct metric_histogram *histogram, uint64_t ns)
{
    size_t i = 0;
    if (ns > UINT64_C(1) << METRIC_FIRST_OCTAVE) {
        uint64_t below = ns - 1; /* a bound itself belongs to the bucket under it */
        unsigned octave = 63u - (unsigned)__builtin_clzll(below);
        i = 2 * (size_t)(octave - METRIC_FIRST_OCTAVE) + (below >> (octave - 1) & 1) + 1;
        if (i > METRIC_N_BOUNDS)
            i = METRIC_N_BOUNDS;
    }
    metric_bump(&histogram->counts[i]);
    metric_bump_by(&histogram->sum_ns, ns);
}

/* Of the text metrics_print() makes. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* One line of a metric: where its values stand and which labels it bears. */
struct metric_row {
    const char *labels;        /* what stands in the braces, e.g. server="S5"; NULL = none */
    const void *const *copies; /* values structs, summed: one a thread */
    size_t n_copies;
};

/* Appends, for every metric of the set, HELP and TYPE once and then a line a row.
 * 0 or -EMSGSIZE. */
int metrics_print(struct buf *out, const struct metric_set *set, const struct metric_row *rows,
                  size_t n_rows);
/* docs/metrics.md: every registered set as a Markdown table, sorted by name. */
void metrics_print_docs(FILE *out);

#endif
