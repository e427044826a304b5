/* What the writer counts, as /metrics tells it. */
#include <stddef.h>

#include "core/metrics.h"
#include "lb/writer.h"

static const struct metric_def table[] = {
    {"quoit_lb_changes_total", METRIC_COUNTER, "changes",
     "Changes of rows that clients asked for and that were not refused for their form",
     offsetof(struct writer_metrics, changes), 0},
    {"quoit_lb_rows_changed_total", METRIC_COUNTER, "rows",
     "Rows added, updated or removed, once for all replicas", offsetof(struct writer_metrics, rows),
     0},
    {"quoit_lb_changes_over_shards_total", METRIC_COUNTER, "changes",
     "Changes of more than one shard", offsetof(struct writer_metrics, over_shards), 0},
    {"quoit_lb_changes_refused_total", METRIC_COUNTER, "changes",
     "Changes whose key was there, or was not", offsetof(struct writer_metrics, refused), 0},
    {"quoit_lb_changes_failed_total", METRIC_COUNTER, "changes",
     "Changes answered with a status of 500 or more", offsetof(struct writer_metrics, failed), 0},
    {"quoit_lb_changes_too_many_total", METRIC_COUNTER, "changes",
     "Changes refused because too many waited", offsetof(struct writer_metrics, too_many), 0},
    {"quoit_lb_changes_undone_total", METRIC_COUNTER, "changes",
     "Changes taken back because one of their shards failed",
     offsetof(struct writer_metrics, undone), 0},
    {"quoit_lb_changes_redone_total", METRIC_COUNTER, "changes",
     "Changes sent once more because no replica had answered",
     offsetof(struct writer_metrics, redone), 0},
    {"quoit_lb_changes_recovered_total", METRIC_COUNTER, "changes",
     "Changes of several shards left in doubt, by a kill of the load balancer or by silent "
     "servers, that were found whole or gone, or taken back",
     offsetof(struct writer_metrics, recovered), 0},
    {"quoit_lb_fences_total", METRIC_COUNTER, "servers",
     "Servers given up because they failed a change that others made",
     offsetof(struct writer_metrics, fences), 0},
    {"quoit_lb_demotions_total", METRIC_COUNTER, "replicas",
     "Replicas given up because they failed a change, on servers that have a last replica",
     offsetof(struct writer_metrics, demotions), 0},
    {"quoit_lb_changes_waiting", METRIC_GAUGE, "changes", "Changes that wait or are under way",
     offsetof(struct writer_metrics, waiting), 0},
    {"quoit_lb_batches_total", METRIC_COUNTER, "batches", "Batches sent to servers",
     offsetof(struct writer_metrics, outlets.batches), 0},
    {"quoit_lb_batch_operations_total", METRIC_COUNTER, "operations",
     "Changes and checks in these batches", offsetof(struct writer_metrics, outlets.operations), 0},
    {"quoit_lb_batch_bytes_total", METRIC_COUNTER, "bytes", "Bytes of these batches",
     offsetof(struct writer_metrics, outlets.bytes), 0},
    {"quoit_lb_batches_resent_total", METRIC_COUNTER, "batches",
     "Batches sent once more because they had surely not reached their server",
     offsetof(struct writer_metrics, outlets.resent), 0},
    {"quoit_lb_change_latency_seconds", METRIC_HISTOGRAM, "seconds",
     "Time from taking a change to its answer", offsetof(struct writer_metrics, latency), 1e-9},
    {0},
};

const struct metric_set writer_metric_set = {"lb: changes of rows", table,
                                             sizeof(struct writer_metrics)};
METRICS_REGISTER(writer_metric_set);
