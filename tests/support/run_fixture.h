/* A run of an experiment made by hand: samples whose counts are exactly what is asked for. */
#ifndef QUOIT_TESTS_SUPPORT_RUN_FIXTURE_H
#define QUOIT_TESTS_SUPPORT_RUN_FIXTURE_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "experiments/run.h"

struct run_fixture {
    struct experiment experiment;
    struct run run;
};

/* Three servers, 10000 requests, the slot map, cluster.hash = quadratic and xxh64; `repeats` of
 * each, the counts being those of the exact shares, rounded, and the rates 1000, 2000, 3000 … by
 * repeat. With load.write there are two phases: the second point writes at half the first one's
 * rate and reads at twice it, which is ten times the first one's writes. overrides: as of
 * experiment_parse(), NULL-ended, or NULL. Dies when they do not parse. */
void run_fixture_open(struct run_fixture *fixture, unsigned repeats, const char *const *overrides);
void run_fixture_close(struct run_fixture *fixture);
/* Its result, read back from its text, as a report reads it. A new tree. */
cJSON *run_fixture_result(struct run_fixture *fixture);
/* Fails unless the text stands in what was printed. */
void run_fixture_expect(struct buf *printed, const char *text);
/* The text of the experiment above. */
extern const char run_fixture_ini[];

#endif
