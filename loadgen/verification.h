/* Whether what a run on the database left there is what it must be. Around the run, and in none of
 * its figures:
 *
 *   before  GET /status    a database? the example's table? keys that no shard holds?
 *           POST /read …   every row that is there already (loadgen/rowlog.h)
 *   run     journals       every write, and whether it was done (loadgen/journal.h)
 *   after   GET /cluster/digest   are all replicas of each shard equal?
 *           POST /read …   every row of every shard, judged (loadgen/audit.h); a shard's rows are
 *                          as many as its replicas say
 *
 * Nobody else may write meanwhile. What a request in doubt (no answer, 5xx) wrote is allowed either
 * way, and counted as unknown.
 *
 * In JSON:
 *
 *   {"mode":"all"|"replicas"|"none",
 *    "done":true,                                       false: interrupted, or it could not be done
 *    "rows":{"before":0,"expected":10000,"read":10000,  null unless all were read back
 *            "missing":0,"wrong":0,"unexpected":0,
 *            "unknown":0},                              keys that requests in doubt leave open
 *    "replicas":{"compared":true,"equal":true,          compared false: the target has no such call
 *                "short":0},                            shards with fewer replicas than before the
 * run "shards":[{"shard":"sh1","read":2500,              null unless all were read back
 *               "rows":2500,"replicas":3,"equal":true}],   null unless compared
 *    "examples":["Stud_id 42 is missing: it must hold version 0"],
 *    "seconds_before":0.01,"seconds":0.05} */
#ifndef QUOIT_LOADGEN_VERIFICATION_H
#define QUOIT_LOADGEN_VERIFICATION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/addr.h"
#include "core/err.h"
#include "loadgen/audit.h"
#include "loadgen/replicas.h"
#include "loadgen/target.h"
#include "loadgen/workload_db.h"

enum verification_mode { VERIFICATION_ALL, VERIFICATION_REPLICAS, VERIFICATION_NONE };
#define VERIFICATION_MODES "all|replicas|none"

#define VERIFICATION_MAX_REASONS 4u
#define VERIFICATION_REASON_BYTES 320u

struct verification_config {
    enum verification_mode mode;
    const struct spec *client; /* (ref) */
    struct addr addr;
    uint64_t timeout_ns;  /* of a request */
    uint64_t patience_ns; /* how long afterwards what fails is tried again, such as while a server
                             is being replaced */
    struct workload_db_mix mix;
    struct workload *const *workloads; /* one a thread, of workload_db_new() (ref) */
    uint32_t n_threads;
    uint64_t n_requests; /* that will be sent at most; 0: not known */
};

struct verification {
    struct verification_config config;
    struct target target; /* as it was found last */
    struct rowlog before;
    uint64_t highest_version; /* before */
    struct journal **journals;
    bool done;
    bool rows_were_read;
    struct audit audit;
    uint64_t *n_read; /* rows, a shard of the target */
    struct replicas replicas;
    uint64_t before_ns, after_ns;                                      /* what it took */
    char reasons[VERIFICATION_MAX_REASONS][VERIFICATION_REASON_BYTES]; /* against the run */
    size_t n_reasons;
};

/* "all", "replicas" or "none". */
const char *verification_mode_name(enum verification_mode mode);

/* Asks what is to be known before, and tells the workloads. 0; -EINTR; or another negative errno
 * with the reason why the run cannot be, or cannot be verified. Pair with verification_done(), also
 * after a failure. */
int verification_begin(struct verification *verification, const struct verification_config *config,
                       struct err *err);
/* After the run: reads back, compares, judges. */
void verification_end(struct verification *verification, bool interrupted);
void verification_done(struct verification *verification);

/* Lines of the table for a person; nothing with mode none. */
void verification_print(const struct verification *verification, FILE *out);
/* A new tree. */
cJSON *verification_json(const struct verification *verification);

#endif
