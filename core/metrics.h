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

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric_def {
    const char *name; /* Prometheus name, e.g. "quoit_lb_requests_total" */
    enum metric_type type;
    const char *unit; /* "requests", "bytes", "seconds" … */
    const char *help; /* one sentence */
    size_t offset;    /* of the uint64_t in the values struct */
    double scale;     /* printed value = stored × scale (ns → s: 1e-9); 0 means 1 */
};

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
