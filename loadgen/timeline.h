/* What happened when: answers in buckets of equal width on CLOCK_MONOTONIC, the clock of the load
 * balancer's GET /cluster events, so that a failure and what it did to the load stand on one axis.
 *
 * Bucket borders are multiples of the width since the clock's zero, in every thread and process.
 * Memory is bounded: TIMELINE_MAX_BUCKETS buckets, the last of which takes what comes later, and
 * TIMELINE_MAX_SERVERS names, the last of which takes the further ones. Percentiles are within
 * 1/64; the maximum is exact. Not thread-safe: one a thread, merged at the end. */
#ifndef QUOIT_LOADGEN_TIMELINE_H
#define QUOIT_LOADGEN_TIMELINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "loadgen/verify.h"

#define TIMELINE_MAX_BUCKETS 100000u
#define TIMELINE_MAX_SERVERS 256u

struct timeline;

/* Nothing is recorded before origin_ns. */
struct timeline *timeline_new(uint64_t width_ns, uint64_t origin_ns);
/* Takes NULL. */
void timeline_free(struct timeline *timeline);
/* A request that ended at now_ns, which is never before the last call's. n_bytes 0: no name. */
void timeline_record(struct timeline *timeline, uint64_t now_ns, enum verdict verdict,
                     uint64_t latency_ns, const char *server, size_t n_bytes);
/* The same request was to change rows. After timeline_record() of it. */
void timeline_record_write(struct timeline *timeline, uint64_t now_ns, enum verdict verdict);
void timeline_drop(struct timeline *timeline, uint64_t now_ns);
/* Adds what `from`, of the same width and origin, counted. */
void timeline_merge(struct timeline *into, struct timeline *from);
/* Tab-separated, one header line, then a line for every bucket from the one of started_ns to the
 * last that counted anything, empty ones too:
 *
 *   t_s           the bucket's begin since started_ns
 *   monotonic_ns  the same on the clock
 *   ok failed dropped
 *   p50_ms p99_ms max_ms   of good answers; NaN where there is none
 *   CLASS…        failed ones of each class (loadgen/verify.h)
 *   writes_ok writes_failed   of those that were to change rows; when there were any
 *   server:NAME…  good answers by server, by name
 *
 * 0, or -errno of the stream. */
int timeline_write(struct timeline *timeline, uint64_t started_ns, FILE *out);

#endif
