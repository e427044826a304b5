/* When requests go out, and which of them count.
 *
 * Closed loop: a slot's next request goes out when its last one is over, so that the number in
 * flight is constant and the rate is the answerer's. The schedule only says whether there is a next
 * one: first those of the warm-up, which are sent and not counted, then the measured ones. */
#ifndef QUOIT_LOADGEN_SCHEDULE_H
#define QUOIT_LOADGEN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* How long a phase lasts: until so many requests were started, until so much time has passed,
 * whichever comes first. 0 means no limit of that kind; both 0 is a phase that is over at once. */
struct schedule_limit {
    uint64_t n_requests;
    uint64_t duration_ns;
};

/* "1000" is a number of requests, "2s" or "500ms" a duration. 0 or -EINVAL with the reason. */
int schedule_limit_parse(const char *text, struct schedule_limit *ret_limit, struct err *err);

enum schedule_phase { SCHEDULE_WARMUP, SCHEDULE_MEASURED, SCHEDULE_OVER };

struct schedule {
    struct schedule_limit limits[2]; /* by phase */
    enum schedule_phase phase;
    uint64_t phase_started_ns; /* 0: it has not begun */
    uint64_t n_started;        /* in this phase */
};

void schedule_init(struct schedule *schedule, struct schedule_limit warmup,
                   struct schedule_limit measured);
/* A slot is free at now_ns. Returns the phase that a request sent now belongs to, and counts it as
 * started; SCHEDULE_OVER: none is to be sent, now or later. */
enum schedule_phase schedule_next(struct schedule *schedule, uint64_t now_ns);
/* No further requests, whatever the limits. */
void schedule_stop(struct schedule *schedule);

#endif
