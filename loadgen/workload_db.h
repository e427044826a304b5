/* The database's workloads: what is written, read and changed in CONTRACT.md's Part 2.
 *
 *   db-write   adds rows, each id once, `rows` a request
 *   db-read    reads `width` keys at once, which must all be there
 *   db-mix     reads, scans, updates, inserts, deletes and read-modify-writes in given percentages
 *   ycsb-a … ycsb-f  the mixes of Cooper et al., "Benchmarking Cloud Serving Systems with YCSB"
 *              (SoCC 2010), table 2: presets of db-mix, with zipfian keys
 *
 * Every row that comes back is proven to be one that was written (loadgen/student.h), and every
 * write is put down in a journal, so that the database can be read back and judged when the run is
 * over (loadgen/verification.h). */
#ifndef QUOIT_LOADGEN_WORKLOAD_DB_H
#define QUOIT_LOADGEN_WORKLOAD_DB_H

#include "core/err.h"
#include "core/registry.h"
#include "loadgen/journal.h"
#include "loadgen/workload.h"

enum workload_db_action {
    DB_READ,
    DB_SCAN,
    DB_UPDATE,
    DB_INSERT,
    DB_DELETE,
    DB_RMW, /* counted as the read and the update that it is */
    DB_N_ACTIONS,
};

enum workload_db_order { DB_ORDER_RANDOM, DB_ORDER_ASCENDING };

/* What a read must find. */
enum workload_db_found {
    DB_FOUND_ALL, /* every key of its range, where no request adds or removes rows */
    DB_FOUND_ANY, /* no matter how many, as of a store that keeps none */
};

/* What the options fill, for every member alike. */
struct workload_db_mix {
    uint64_t low, ids; /* the keys low … low + ids − 1 */
    uint64_t rows;     /* an insert */
    uint64_t width;    /* keys of a scan */
    int order;         /* of inserted ids */
    bool latest;       /* the newest keys are the most popular */
    int found;         /* enum workload_db_found */
    bool any_width;    /* of scans: from 1 to width, equally often */
    uint64_t percent[DB_N_ACTIONS];
};

struct workload_db_ops {
    struct part part;
    /* Optional. What the member adds to the options it was given. */
    void (*complete)(struct workload_db_mix *mix);
    /* Which keys are read and changed, as --keys says; NULL: uniform. Without low and high it is
     * given the mix's. */
    const char *keys;
};

/* `--workload NAME[:k=v,…]`. */
extern const struct family workload_family;

#define WORKLOAD_REGISTER(ops) FAMILY_REGISTER(workload, ops)

/* What the spec asks for. 0 or -EINVAL with the reason. */
int workload_db_mix(const struct spec *spec, struct workload_db_mix *ret_mix, struct err *err);
/* keys: in place of the member's own, as --keys says; NULL: none. 0 or -EINVAL with the reason. */
int workload_db_new(const struct spec *spec, const char *keys, const struct keys_place *place,
                    struct workload **ret_workload, struct err *err);

/* Of these workloads alone. */

/* The lowest and the highest key that is read or changed, or, where there is nothing but inserts,
 * added. */
void workload_db_range(const struct workload *workload, int64_t *ret_low, int64_t *ret_last);
/* Where inserts beside reads begin: behind the range. */
int64_t workload_db_insert_low(const struct workload_db_mix *mix);

/* What is known before the first request. */
struct workload_db_start {
    struct journal *journal; /* of this thread (ref); NULL: none is kept */
    uint64_t first_version;  /* no row has this version or a higher one; 0: nobody looked */
    uint64_t n_room;         /* ids from workload_db_insert_low() on that the database takes */
};

void workload_db_start(struct workload *workload, const struct workload_db_start *start);
/* After the last answer: what is still under way is in doubt. */
void workload_db_stop(struct workload *workload);

#endif
