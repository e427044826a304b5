/* The database's workloads: what is written, read and changed in CONTRACT.md's Part 2.
 *
 *   db-write   adds rows, each id once, `rows` a request
 *   db-read    reads `width` keys at once, which must all be there
 *   db-mix     reads, scans, updates, inserts, deletes and read-modify-writes in given percentages
 *   ycsb-a … ycsb-f  the mixes of Cooper et al., "Benchmarking Cloud Serving Systems with YCSB"
 *              (SoCC 2010), table 2: presets of db-mix
 *
 * Every row that comes back is proven to be one that was written (loadgen/student.h). */
#ifndef QUOIT_LOADGEN_WORKLOAD_DB_H
#define QUOIT_LOADGEN_WORKLOAD_DB_H

#include "core/err.h"
#include "core/registry.h"
#include "loadgen/workload.h"

struct workload_db_ops {
    struct part part;
    /* Required. keys: which keys are read and changed (NULL: uniform over low … low + ids − 1). 0
     * or -EINVAL with the reason. */
    int (*open)(const void *params, const struct spec *keys, const struct keys_place *place,
                struct workload **ret_workload, struct err *err);
};

/* `--workload NAME[:k=v,…]`. */
extern const struct family workload_family;

#define WORKLOAD_REGISTER(ops) FAMILY_REGISTER(workload, ops)

int workload_db_new(const struct spec *spec, const struct spec *keys,
                    const struct keys_place *place, struct workload **ret_workload,
                    struct err *err);

#endif
