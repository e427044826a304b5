#include "loadgen/schedule.h"

#include <errno.h>
#include <string.h>

#include "core/option.h"

int schedule_limit_parse(const char *text, struct schedule_limit *ret_limit, struct err *err)
{
    static const struct option_def duration = {
        .name = "warmup",
        .type = OPTION_DURATION,
        .offset = offsetof(struct schedule_limit, duration_ns),
    };
    static const struct option_def count = {
        .name = "warmup",
        .type = OPTION_U64,
        .offset = offsetof(struct schedule_limit, n_requests),
    };
    struct schedule_limit limit = {0};
    int rc;

    if (*text && strspn(text, "0123456789") == strlen(text))
        rc = option_set(&count, &limit, text, err);
    else
        rc = option_set(&duration, &limit, text, err);
    if (rc < 0)
        return err_set(err, -EINVAL,
                       "'%s' is neither a number of requests (1000) nor a duration (2s, 500ms)",
                       text);
    *ret_limit = limit;
    return 0;
}

void schedule_init(struct schedule *schedule, struct schedule_limit warmup,
                   struct schedule_limit measured)
{
    *schedule =
        (struct schedule){.limits = {[SCHEDULE_WARMUP] = warmup, [SCHEDULE_MEASURED] = measured}};
}

static bool phase_is_over(const struct schedule *schedule, uint64_t now_ns)
{
    const struct schedule_limit *limit = &schedule->limits[schedule->phase];

    if (limit->n_requests == 0 && limit->duration_ns == 0)
        return true;
    if (limit->n_requests && schedule->n_started >= limit->n_requests)
        return true;
    return limit->duration_ns && schedule->phase_started_ns &&
           now_ns - schedule->phase_started_ns >= limit->duration_ns;
}

enum schedule_phase schedule_next(struct schedule *schedule, uint64_t now_ns)
{
    while (schedule->phase != SCHEDULE_OVER && phase_is_over(schedule, now_ns)) {
        schedule->phase++;
        schedule->phase_started_ns = 0;
        schedule->n_started = 0;
    }
    if (schedule->phase == SCHEDULE_OVER)
        return SCHEDULE_OVER;
    if (schedule->phase_started_ns == 0)
        schedule->phase_started_ns = now_ns;
    schedule->n_started++;
    return schedule->phase;
}

void schedule_stop(struct schedule *schedule)
{
    schedule->phase = SCHEDULE_OVER;
}
