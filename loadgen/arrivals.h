/* When requests are due in an open loop: a plan of rates, and each thread's walk through it.
 *
 * A plan is a sequence of segments, each with a rate that is constant or changes linearly. Its
 * integral Λ(t), the number of requests due by t, is inverted in closed form, so that nothing
 * drifts and the n-th request's time does not depend on the ones before:
 *
 *   constant   the i-th request is due at Λ⁻¹(i), i = 0, 1, 2, …; thread k of N has i ≡ k (mod N)
 *   poisson    each thread walks in steps of N times an exponential of mean 1: a Poisson process of
 *              rate Λ′/N, by time rescaling (Çinlar 1975, inversion); N of them are one of rate Λ′
 */
#ifndef QUOIT_LOADGEN_ARRIVALS_H
#define QUOIT_LOADGEN_ARRIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

#define ARRIVALS_MAX_STAGES 32u
#define ARRIVALS_MAX_RATE 10000000.
/* A warm-up and a ramp may come before the stages. */
#define ARRIVALS_MAX_SEGMENTS (ARRIVALS_MAX_STAGES + 2)

enum arrivals_kind { ARRIVALS_CONSTANT, ARRIVALS_POISSON };

struct arrivals_segment {
    double rate_from, rate_to; /* requests a second at its begin and end */
    uint64_t duration_ns;      /* UINT64_MAX: endless; only the last may be, and only constant */
    bool warmup;               /* sent and not counted */
    /* Sums over the segments before: */
    double n_before; /* requests */
    uint64_t start_ns;
};

struct arrivals_plan {
    struct arrivals_segment segments[ARRIVALS_MAX_SEGMENTS];
    size_t n_segments;
};

/* Appends a segment. Rates in 0 … ARRIVALS_MAX_RATE; 0 throughout is a pause. -E2BIG when the plan
 * is full. */
int arrivals_plan_add(struct arrivals_plan *plan, double rate_from, double rate_to,
                      uint64_t duration_ns, bool warmup);
/* "RATE:TIME,RATE:TIME,…": appends a constant segment for each; a bare TIME is in seconds. 0 or
 * -EINVAL with the reason. */
int arrivals_plan_parse(struct arrivals_plan *plan, const char *text, struct err *err);
/* All of it; UINT64_MAX for an endless one. */
uint64_t arrivals_plan_duration_ns(const struct arrivals_plan *plan);
/* Where the first segment that is no warm-up begins. */
uint64_t arrivals_plan_warmup_ns(const struct arrivals_plan *plan);
/* Requests due in a segment under constant arrivals, exactly. UINT64_MAX for an endless one. */
uint64_t arrivals_plan_count(const struct arrivals_plan *plan, size_t segment);

struct arrival {
    uint64_t at_ns; /* since the plan's begin */
    uint32_t segment;
};

struct arrivals {
    const struct arrivals_plan *plan; /* (ref) */
    enum arrivals_kind kind;
    struct rng rng;
    double position; /* in requests: Λ of the next arrival */
    double step;     /* threads */
    uint32_t segment;
};

/* The arrivals of thread `index` of n_threads. */
void arrivals_init(struct arrivals *arrivals, const struct arrivals_plan *plan,
                   enum arrivals_kind kind, uint64_t seed, uint32_t index, uint32_t n_threads);
/* The next one, never earlier than the one before. false: the plan is over. */
bool arrivals_next(struct arrivals *arrivals, struct arrival *ret_arrival);

#endif
