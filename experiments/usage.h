/* What a cluster's processes have used of the CPUs, wherever they run: children of the load
 * balancer or in containers of this machine. */
#ifndef QUOIT_EXPERIMENTS_USAGE_H
#define QUOIT_EXPERIMENTS_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "experiments/testbed.h"

struct usage {
    bool known;         /* of the load balancer and every server */
    uint64_t cpu_ns;    /* user and system, all threads, as the scheduler counts them */
    uint64_t processes; /* tells whether two of these are of the same processes */
};

/* Asks the load balancer who its servers are and looks each up in /proc. Not known, when one cannot
 * be seen: it is another machine's, or has ended. */
void usage_read(const struct testbed *testbed, struct usage *ret_usage);
/* Microseconds of CPU time a request between the two, NaN when either is not known, when processes
 * came or went between them or when there was no request. */
double usage_per_request_us(const struct usage *before, const struct usage *after,
                            uint64_t n_requests);

#endif
