#include "loadgen/trust.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/clock.h"
#include "loadgen/threshold.h"
#include "loadgen/verification.h"

static void say(char texts[TRUST_MAX_REASONS][TRUST_TEXT_BYTES], size_t *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(char texts[TRUST_MAX_REASONS][TRUST_TEXT_BYTES], size_t *n, const char *format, ...)
{
    va_list args;

    assert(*n < TRUST_MAX_REASONS);
    va_start(args, format);
    vsnprintf(texts[(*n)++], TRUST_TEXT_BYTES, format, args);
    va_end(args);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Of the busiest thread. A thread that the kernel keeps from running is busy too, though it uses no
 * CPU: it has events to handle and does not get to them. */
static double busiest(const struct result *result)
{
    double most = 0.;

    for (uint32_t i = 0; i < result->n_threads; i++)
        most = larger(most, larger(result_thread_busy_share(&result->threads[i]),
                                   result_thread_cpu_share(&result->threads[i])));
    return most;
}

static void judge_open(const struct result *result, struct trust *trust)
{
    const struct result_settings *settings = &result->settings;
    const uint64_t bound_ns = settings->lag_bound_ns ? settings->lag_bound_ns : TRUST_LAG_BOUND_NS;
    const uint64_t lag_ns = hist_percentile(result->lag, 99.);
    const double wanted = result_rate_scheduled(result), sent = result_rate_sent(result);
    const double busy = busiest(result);

    if (lag_ns > bound_ns)
        say(trust->reasons, &trust->n_reasons,
            "requests went out late through the generator's own doing: schedule lag p99 %.3g ms, "
            "above %.3g ms (a busy machine, or more than the generator can send; try --threads or "
            "--client raw)",
            (double)lag_ns / (double)NS_PER_MS, (double)bound_ns / (double)NS_PER_MS);
    if (busy > TRUST_MAX_BUSY && sent < wanted * TRUST_MIN_RATE_SHARE)
        say(trust->reasons, &trust->n_reasons,
            "the generator was saturated and missed its rate: %.0f of %.0f requests/s sent, a "
            "thread busy %.0f %% of the time (try --threads or --client raw)",
            sent, wanted, 100. * busy);
    else if (result_late_share(result) > TRUST_MAX_LATE_SHARE)
        say(trust->warnings, &trust->n_warnings,
            "%.1f %% of the requests waited for one of the %" PRIu32
            " slots (p99 of the wait %.3g ms; %.0f of %.0f requests/s sent): the target did not "
            "keep up, or -c is too small",
            100. * result_late_share(result), settings->n_in_flight,
            (double)hist_percentile(result->wait, 99.) / (double)NS_PER_MS, sent, wanted);
    if (result->n_dropped)
        say(trust->warnings, &trust->n_warnings,
            "%" PRIu64 " of %" PRIu64
            " requests were dropped, unsent when --max-lag was over: no latency counts them",
            result->n_dropped, result->n_scheduled);
}

bool trust_errors_are_allowed(const struct result *result)
{
    for (size_t i = 0; i < result->n_thresholds; i++)
        if (result->thresholds[i].threshold->metric == THRESHOLD_ERRORS)
            return !result->thresholds[i].missed;
    return false;
}

static void judge_database(const struct result *result, struct trust *trust)
{
    const struct verification *verification = result->verification;

    if (!verification || verification->config.mode == VERIFICATION_NONE)
        return;
    for (size_t i = 0; i < verification->n_reasons; i++)
        say(trust->reasons, &trust->n_reasons, "%s", verification->reasons[i]);
    if (result->n_failed && !trust_errors_are_allowed(result))
        say(trust->reasons, &trust->n_reasons,
            "%" PRIu64 " of %" PRIu64
            " requests failed, and in a run on the database none may (--fail-if 'errors>N' says "
            "otherwise)",
            result->n_failed, result_requests(result));
    if (verification->done && !verification->replicas.compared)
        say(trust->warnings, &trust->n_warnings,
            "the replicas were not compared: the target has no GET /cluster/digest");
    else if (verification->replicas.n_short)
        say(trust->warnings, &trust->n_warnings,
            "%zu shards have fewer replicas than before the run", verification->replicas.n_short);
}

void trust_judge(const struct result *result, struct trust *ret_trust)
{
    struct trust *trust = ret_trust;

    memset(trust, 0, sizeof(*trust));
    if (result->settings.plan) {
        judge_open(result, trust);
    } else if (busiest(result) > TRUST_MAX_BUSY) {
        say(trust->warnings, &trust->n_warnings,
            "the generator was saturated (a thread busy %.0f %% of the time): the rate is the "
            "generator's, the target may be faster",
            100. * busiest(result));
    }
    judge_database(result, trust);
    if (result->ran_out)
        say(trust->warnings, &trust->n_warnings,
            "the run ended early: there were no more ids to add");
    if (result->interrupted)
        say(trust->warnings, &trust->n_warnings, "interrupted: the result is partial");
    trust->valid = trust->n_reasons == 0;
}
