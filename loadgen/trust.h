/* Whether a load's result can be trusted, or says more about the generator than about its target.
 *
 * Open loop: the requests were to go out at times that do not depend on the target. A run in which
 * they did not, through the generator's own fault, is invalid:
 *   - the schedule lag's p99 (of requests that found a free slot) is above its bound;
 *   - a thread was busy more than TRUST_MAX_BUSY of the time and the rate was missed, that is, not
 *     TRUST_MIN_RATE_SHARE of it was sent.
 * Requests that waited for a slot are the target's doing, or -c's, and a warning: their latency
 * counts from their time all the same.
 *
 * Closed loop: there is no rate to miss. A saturated generator is a warning: the rate is its own.
 *
 * A verified run on the database is invalid when what it left there is not what it must be
 * (loadgen/verification.h), or could not be verified, or when any request failed, unless a
 * threshold on errors was asked and let it pass. */
#ifndef QUOIT_LOADGEN_TRUST_H
#define QUOIT_LOADGEN_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "loadgen/result.h"

#define TRUST_MAX_BUSY 0.9
#define TRUST_MIN_RATE_SHARE 0.99
#define TRUST_MAX_LATE_SHARE 0.01
#define TRUST_LAG_BOUND_NS (UINT64_C(1) * 1000 * 1000)
#define TRUST_MAX_REASONS 8
#define TRUST_TEXT_BYTES 320

struct trust {
    bool valid; /* no reason against it */
    size_t n_reasons, n_warnings;
    char reasons[TRUST_MAX_REASONS][TRUST_TEXT_BYTES];
    char warnings[TRUST_MAX_REASONS][TRUST_TEXT_BYTES];
};

void trust_judge(const struct result *result, struct trust *ret_trust);
/* Whether failed requests are what a threshold on errors was asked about and let pass. */
bool trust_errors_are_allowed(const struct result *result);

#endif
