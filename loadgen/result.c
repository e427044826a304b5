#include "loadgen/result.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"

struct result *result_new(const struct result_settings *settings, const struct addr *addr)
{
    struct result *result = mem_zalloc(1, sizeof(*result));

    result->settings = *settings;
    addr_format(addr, result->address);
    result->latency = hist_new();
    server_counts_init(&result->servers);
    return result;
}

void result_free(struct result *result)
{
    if (!result)
        return;
    hist_free(result->latency);
    server_counts_done(&result->servers);
    free(result);
}

void result_record(struct result *result, enum verdict verdict, const struct client_answer *answer)
{
    assert(verdict < VERDICT_N);
    if (result->n_by_verdict[verdict]++ == 0 && verdict != VERDICT_OK)
        verdict_describe(verdict, answer, result->examples[verdict], RESULT_EXAMPLE_BYTES);
    if (answer->status > 0 && answer->status < RESULT_N_STATUSES)
        result->n_by_status[answer->status]++;
    if (answer->status > 0)
        server_counts_add(&result->servers, answer->server, answer->server_bytes,
                          verdict == VERDICT_OK);
    result->n_body_bytes += answer->n_body_bytes;
    result->ended_ns = answer->done_ns;
    if (verdict == VERDICT_OK) {
        result->n_ok++;
        hist_record(result->latency, answer->done_ns - answer->submitted_ns);
    } else {
        result->n_failed++;
    }
}

void result_finish(struct result *result)
{
    server_counts_sort(&result->servers);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0.;
}

double result_duration_s(const struct result *result)
{
    if (result->started_ns == 0 || result->ended_ns <= result->started_ns)
        return 0.;
    return (double)(result->ended_ns - result->started_ns) / (double)NS_PER_S;
}

double result_rate(const struct result *result)
{
    return ratio((double)result->n_ok, result_duration_s(result));
}

double result_cpu_us_per_request(const struct result *result)
{
    return ratio((double)result->cpu_ns / (double)NS_PER_US, (double)result_requests(result));
}

double result_cpu_share(const struct result *result)
{
    return ratio((double)result->cpu_ns / (double)NS_PER_S, result_duration_s(result));
}
