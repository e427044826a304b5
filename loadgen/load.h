/* A load: one or more generator threads over one address, merged into one result at the end.
 *
 *   main thread    signals, progress ── stop ──▶ generators
 *   generator 0 … N−1 (loadgen/generator.h) each with its share of the requests, rate and window
 *                  result 0 … N−1 ──▶ result_merge ──▶ one result */
#ifndef QUOIT_LOADGEN_LOAD_H
#define QUOIT_LOADGEN_LOAD_H

#include <stdint.h>
#include <stdio.h>

#include "core/addr.h"
#include "core/err.h"
#include "core/registry.h"
#include "loadgen/result.h"
#include "loadgen/workload.h"

#define LOAD_MAX_REQUESTS UINT64_C(1000000000000)

struct load_config {
    struct addr addr;
    struct workload *const *workloads; /* one a thread (ref) */
    const struct spec *client;         /* of client_family (ref) */
    /* Limits, timeout, window, threads, seed and the open loop's plan are taken from here. */
    struct result_settings settings;
    FILE *progress; /* where progress is shown; NULL: nowhere */
    int ready_fd;   /* told (core/ready.h) whom it loads, when it begins, and closed; 0: none */
};

/* Runs it to its end, or until SIGINT or SIGTERM: then nothing more is sent, what is in flight has
 * a second to end (a second signal cuts that short), and the result is marked interrupted. Raises
 * the soft limit of file descriptors to what the window needs. Failed requests are no failure of
 * this function. 0; -EMFILE when the hard limit of descriptors is too low; what client_open says.
 */
int load_run(const struct load_config *config, struct result **ret_result, struct err *err);

#endif
