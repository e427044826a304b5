/* Every single latency of a run, where a histogram is not enough: 8 bytes an answer, in pieces that
 * are never moved, so that a run is not held up. Not thread-safe: one a thread, put together at the
 * end. */
#ifndef QUOIT_LOADGEN_LATENCIES_H
#define QUOIT_LOADGEN_LATENCIES_H

#include <stdint.h>
#include <stdio.h>

/* Of one run: 256 MiB. */
#define LATENCIES_MAX (UINT64_C(1) << 25)

struct latencies;

/* Keeps the first max of what is recorded, and counts the rest. */
struct latencies *latencies_new(uint64_t max);
/* Takes NULL. */
void latencies_free(struct latencies *latencies);
void latencies_record(struct latencies *latencies, uint64_t latency_ns);
/* Moves what `from` keeps behind what `into` does; from is then empty, and into's limit is that of
 * both. */
void latencies_take(struct latencies *into, struct latencies *from);

uint64_t latencies_kept(const struct latencies *latencies);
/* Recorded past the limit. */
uint64_t latencies_lost(const struct latencies *latencies);
/* What is kept, in the order in which it was recorded: whole nanoseconds, one a line. 0, or -errno
 * of the stream. */
int latencies_write(const struct latencies *latencies, FILE *out);

#endif
