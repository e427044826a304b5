/* A log-linear histogram of latencies: relative error at most 1/1024 (three significant digits)
 * over 1 ns … 2^40 ns (18 minutes), constant memory, O(1) record without branches on the value.
 *
 * The form is HdrHistogram's (Tene): below 2^11 every value has its own bucket; above, each power
 * of two is cut into 1024 equal buckets. A larger value counts in the last bucket and in
 * `n_clipped`. Merging is exact: it adds counts. Not thread-safe: one per thread, merged at the
 * end. */
#ifndef QUOIT_CORE_HIST_H
#define QUOIT_CORE_HIST_H

#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

struct hist;

struct hist *hist_new(void);
void hist_free(struct hist *hist);
void hist_reset(struct hist *hist);
void hist_record(struct hist *hist, uint64_t value);
void hist_record_n(struct hist *hist, uint64_t value, uint64_t n);
/* Adds what `from` counted. */
void hist_merge(struct hist *into, const struct hist *from);

uint64_t hist_count(const struct hist *hist);
/* Exact; 0 when empty. */
uint64_t hist_min(const struct hist *hist);
uint64_t hist_max(const struct hist *hist);
double hist_mean(const struct hist *hist);
uint64_t hist_clipped(const struct hist *hist);
/* The smallest recorded value v such that at least percentile % of the values are ≤ v, to bucket
 * precision (the bucket's highest value, never above the exact maximum). percentile in [0, 100];
 * 0 when empty. Same definition as sorting and taking element ⌈p/100·n⌉. */
uint64_t hist_percentile(const struct hist *hist, double percentile);

/* HdrHistogram's percentile text format (.hgrm), values divided by unit (1e6: ns → ms), with
 * 5 ticks per half distance. 0, or -errno of the stream. */
int hist_write_hgrm(const struct hist *hist, FILE *out, double unit);

#endif
