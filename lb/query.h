/* POST /read (GET too): a range of keys, put together from one replica of each shard.
 *
 *   body ─▶ shards of the range ─┬─▶ a replica ─▶ "data":[…] ─┐
 *                                ├─▶ a replica ─▶ "data":[…] ─┼─▶ joined by commas ─▶ answer
 *                                └─▶ a replica ─▶ "data":[…] ─┘
 *
 * A shard's placement chooses the replica, with the request's own key. A replica that fails,
 * answers a 5xx or hangs is replaced by another within the request. Rows are copied, never parsed.
 */
#ifndef QUOIT_LB_QUERY_H
#define QUOIT_LB_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/httpd.h"
#include "core/metrics.h"
#include "lb/upstream.h"

/* Of one answer, and of all that a worker holds of unfinished ones. */
#define QUERY_MAX_ANSWER_BYTES ((size_t)64 << 20)
#define QUERY_MAX_HELD_BYTES ((size_t)256 << 20)
/* A wider range of a shard goes over the connection for long answers. */
#define QUERY_SHORT_KEYS 256u

/* Counted by each worker. */
struct query_metrics {
    _Alignas(64) uint64_t reads, parts, bulk_parts, bytes, retries, failed;
};

/* Describes struct query_metrics for /metrics. */
extern const struct metric_set query_metric_set;

/* One a worker. */
struct querier {
    struct routes *routes; /* (ref) */
    size_t n_held_bytes;
    struct buf scratch, request;
    struct query_metrics metrics;
};

void querier_init(struct querier *querier, struct routes *routes);
/* No query may be under way. */
void querier_done(struct querier *querier);
/* Answers the exchange, now or later. key: the request's (lb/key.h). */
void query_begin(struct querier *querier, struct httpd_exchange *exchange, uint64_t key);

#endif
