#include "loadgen/arrivals.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/option.h"

/* Two rates that are the same request, but for rounding: 0.1 s at 30/s are 3 requests. */
#define EPSILON 1e-6

static double segment_requests(const struct arrivals_segment *segment)
{
    if (segment->duration_ns == UINT64_MAX)
        return INFINITY;
    return (segment->rate_from + segment->rate_to) / 2. * (double)segment->duration_ns /
           (double)NS_PER_S;
}

int arrivals_plan_add(struct arrivals_plan *plan, double rate_from, double rate_to,
                      uint64_t duration_ns, bool warmup)
{
    struct arrivals_segment *segment = &plan->segments[plan->n_segments];

    assert(rate_from >= 0. && rate_from <= ARRIVALS_MAX_RATE);
    assert(rate_to >= 0. && rate_to <= ARRIVALS_MAX_RATE);
    assert(duration_ns > 0 && (duration_ns != UINT64_MAX || rate_from > 0.));
    if (plan->n_segments == ARRIVALS_MAX_SEGMENTS)
        return -E2BIG;
    *segment = (struct arrivals_segment){
        .rate_from = rate_from, .rate_to = rate_to, .duration_ns = duration_ns, .warmup = warmup};
    if (plan->n_segments > 0) {
        const struct arrivals_segment *before = segment - 1;
        assert(before->duration_ns != UINT64_MAX);
        segment->n_before = before->n_before + segment_requests(before);
        segment->start_ns = before->start_ns + before->duration_ns;
    }
    plan->n_segments++;
    return 0;
}

int arrivals_plan_parse(struct arrivals_plan *plan, const char *text, struct err *err)
{
    struct stage {
        double rate;
        uint64_t duration_ns;
    };
    static const struct option_def rate = {.name = "rate",
                                           .type = OPTION_DOUBLE,
                                           .offset = offsetof(struct stage, rate),
                                           .max = (uint64_t)ARRIVALS_MAX_RATE};
    static const struct option_def duration = {.name = "time",
                                               .type = OPTION_DURATION,
                                               .offset = offsetof(struct stage, duration_ns),
                                               .min = NS_PER_MS,
                                               .max = 31536000 * NS_PER_S,
                                               .unit = "s"};
    size_t n_stages = 0;
    bool any = false;

    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        char *word = mem_strndup(at, n);
        char *colon = strchr(word, ':');
        struct stage stage = {0};
        struct err why;
        int rc = 0;

        n_stages++;
        if (!colon)
            rc = err_set(err, -EINVAL, "stage %zu, '%s': no RATE:TIME, such as 1000:10s", n_stages,
                         word);
        else if (n_stages > ARRIVALS_MAX_STAGES)
            rc = err_set(err, -EINVAL, "more than %u stages", ARRIVALS_MAX_STAGES);
        else {
            *colon = '\0';
            if (option_set(&rate, &stage, word, &why) < 0 ||
                option_set(&duration, &stage, colon + 1, &why) < 0)
                rc = err_set(err, -EINVAL, "stage %zu: %s", n_stages, why.message);
        }
        free(word);
        if (rc < 0)
            return rc;
        rc = arrivals_plan_add(plan, stage.rate, stage.rate, stage.duration_ns, false);
        assert(rc == 0);
        any |= stage.rate > 0.;
        at += n;
        if (!*at)
            break;
    }
    return any ? 0 : err_set(err, -EINVAL, "'%s': every stage has rate 0", text);
}

uint64_t arrivals_plan_duration_ns(const struct arrivals_plan *plan)
{
    const struct arrivals_segment *last = &plan->segments[plan->n_segments - 1];

    assert(plan->n_segments > 0);
    return last->duration_ns == UINT64_MAX ? UINT64_MAX : last->start_ns + last->duration_ns;
}

uint64_t arrivals_plan_warmup_ns(const struct arrivals_plan *plan)
{
    size_t i = 0;

    while (i < plan->n_segments && plan->segments[i].warmup)
        i++;
    assert(i < plan->n_segments);
    return plan->segments[i].start_ns;
}

uint64_t arrivals_plan_count(const struct arrivals_plan *plan, size_t segment)
{
    const struct arrivals_segment *at = &plan->segments[segment];
    double end = at->n_before + segment_requests(at);

    assert(segment < plan->n_segments);
    if (isinf(end))
        return UINT64_MAX;
    return (uint64_t)(ceil(end - EPSILON) - ceil(at->n_before - EPSILON));
}

void arrivals_init(struct arrivals *arrivals, const struct arrivals_plan *plan,
                   enum arrivals_kind kind, uint64_t seed, uint32_t index, uint32_t n_threads)
{
    assert(plan->n_segments > 0 && index < n_threads);
    *arrivals = (struct arrivals){.plan = plan, .kind = kind, .step = n_threads};
    rng_seed(&arrivals->rng, rng_mix64(seed + ((uint64_t)index << 32)));
    arrivals->position =
        kind == ARRIVALS_POISSON ? rng_exponential(&arrivals->rng, arrivals->step) : (double)index;
}

/* The time within a segment by which n requests (a real number) are due. The linear rate r + a·t
 * has integral r·t + a·t²/2; the quadratic is solved in the form that does not cancel. */
static uint64_t invert(const struct arrivals_segment *segment, double n)
{
    double from = segment->rate_from;
    double slope, t;

    if (segment->duration_ns == UINT64_MAX || fabs(segment->rate_to - from) <= 0.)
        t = n / from;
    else {
        slope = (segment->rate_to - from) / ((double)segment->duration_ns / (double)NS_PER_S);
        t = 2. * n / (from + sqrt(fmax(0., from * from + 2. * slope * n)));
        if (!isfinite(t))
            t = 0.; /* 0 ÷ 0: the first of a ramp from 0 */
    }
    t = floor(t * (double)NS_PER_S + .5);
    return t < (double)segment->duration_ns ? (uint64_t)t : segment->duration_ns;
}

bool arrivals_next(struct arrivals *arrivals, struct arrival *ret_arrival)
{
    const struct arrivals_plan *plan = arrivals->plan;
    const struct arrivals_segment *segment = &plan->segments[arrivals->segment];
    double n;

    while (arrivals->position >= segment->n_before + segment_requests(segment) - EPSILON) {
        if (arrivals->segment + 1 == plan->n_segments)
            return false;
        segment = &plan->segments[++arrivals->segment];
    }
    n = fmax(0., arrivals->position - segment->n_before);
    ret_arrival->at_ns = segment->start_ns + invert(segment, n);
    ret_arrival->segment = arrivals->segment;
    arrivals->position += arrivals->kind == ARRIVALS_POISSON
                              ? rng_exponential(&arrivals->rng, arrivals->step)
                              : arrivals->step;
    return true;
}
