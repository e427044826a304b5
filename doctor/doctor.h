/* `quoit doctor`: is this machine fit to run and to measure on, and if not, what to do.
 *
 * A check yields findings: what was found, why it matters, and what to do where it is not well.
 * The experiment runner asks for the quick ones before every run; the verb for all. */
#ifndef QUOIT_DOCTOR_DOCTOR_H
#define QUOIT_DOCTOR_DOCTOR_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/style.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_NOTE, /* worth knowing; an optional program that is not there */
    DOCTOR_WARN, /* it works, but numbers or convenience suffer */
    DOCTOR_FAIL, /* something required is missing: it will not work */
};

/* QUICK: some file reads and system calls, a few ms, no other program is started. */
enum doctor_depth { DOCTOR_QUICK, DOCTOR_FULL };

/* What is going to be run. */
struct doctor_wants {
    const char *results_dir; /* where results are written; NULL = "results" */
    uint64_t n_connections;  /* at the same time, of all processes together; 0 = 1024 */
};

#define DOCTOR_FOUND_BYTES 192

struct doctor_finding {
    enum doctor_level level;
    const char *group; /* "limits", "machine", "programs", "build"; static like the next two */
    const char *name;
    const char *why;                /* why it matters, a sentence without a full stop */
    char found[DOCTOR_FOUND_BYTES]; /* "soft 1024, hard 1048576" */
    const char *advice;             /* what to do; NULL where there is nothing. Static */
};

struct doctor_report {
    struct doctor_finding *findings; /* in the order of the checks, group by group */
    size_t n, n_allocated;
    size_t n_of[DOCTOR_FAIL + 1]; /* by level */
};

/* Checks. wants may be NULL. Changes nothing and needs no privilege; FULL starts programs to ask
 * for their versions and takes a second or so, at most 3 s for each that hangs. Pair with
 * doctor_report_done(), which takes a zeroed one. */
void doctor_run(const struct doctor_wants *wants, enum doctor_depth depth,
                struct doctor_report *ret_report);
void doctor_report_done(struct doctor_report *report);

/* "ok", "note", "warn", "fail". */
const char *doctor_level_name(enum doctor_level level);
/* For people: a line a finding; why and advice only below those that are worse than a note, or
 * below all when verbose. */
void doctor_print(const struct doctor_report *report, const struct style *style, bool verbose,
                  struct buf *out);
/* {"ok":…,"notes":…,"warnings":…,"failures":…,"findings":[{"level","group","name","found","why",
 * "advice"},…]}; for cJSON_Delete(). */
cJSON *doctor_json(const struct doctor_report *report);

#endif
