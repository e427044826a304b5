#include "loadgen/result.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"

struct result *result_new(const struct result_settings *settings, const struct addr *addr)
{
    struct result *result = mem_zalloc(1, sizeof(*result));

    result->settings = *settings;
    addr_format(addr, result->address);
    result->latency = hist_new();
    if (settings->plan) {
        result->service = hist_new();
        result->lag = hist_new();
        result->wait = hist_new();
    }
    server_counts_init(&result->servers);
    return result;
}

void result_free(struct result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < ARRIVALS_MAX_SEGMENTS; i++) {
        hist_free(result->stages[i].latency);
        hist_free(result->stages[i].service);
    }
    for (size_t i = 0; i < WORKLOAD_MAX_OPERATIONS; i++)
        hist_free(result->operations[i].latency);
    timeline_free(result->timeline);
    latencies_free(result->latencies);
    hist_free(result->latency);
    hist_free(result->service);
    hist_free(result->lag);
    hist_free(result->wait);
    server_counts_done(&result->servers);
    free(result);
}

static void record(struct result *result, enum verdict verdict, const struct client_answer *answer,
                   uint64_t latency_ns)
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
        hist_record(result->latency, latency_ns);
        if (result->latencies)
            latencies_record(result->latencies, latency_ns);
    } else {
        result->n_failed++;
    }
    if (result->timeline)
        timeline_record(result->timeline, answer->done_ns, verdict, latency_ns, answer->server,
                        answer->server_bytes);
}

void result_record(struct result *result, enum verdict verdict, const struct client_answer *answer)
{
    record(result, verdict, answer, answer->done_ns - answer->submitted_ns);
}

void result_record_due(struct result *result, enum verdict verdict,
                       const struct client_answer *answer, uint64_t due_ns, uint32_t stage_index)
{
    struct result_stage *stage = &result->stages[stage_index];
    const uint64_t latency_ns = answer->done_ns - due_ns;
    const uint64_t service_ns = answer->done_ns - answer->submitted_ns;

    record(result, verdict, answer, latency_ns);
    if (verdict != VERDICT_OK) {
        stage->n_failed++;
        return;
    }
    stage->n_ok++;
    if (!stage->latency) {
        stage->latency = hist_new();
        stage->service = hist_new();
    }
    hist_record(result->service, service_ns);
    hist_record(stage->latency, latency_ns);
    hist_record(stage->service, service_ns);
}

void result_record_operation(struct result *result, const struct workload_done *done,
                             enum verdict verdict, uint64_t latency_ns)
{
    struct result_operation *operation = &result->operations[done->operation];

    assert(done->operation < WORKLOAD_MAX_OPERATIONS);
    result->n_rows_read += done->n_read;
    result->n_rows_written += done->n_written;
    if (verdict != VERDICT_OK) {
        operation->n_failed++;
        return;
    }
    operation->n_ok++;
    if (!operation->latency)
        operation->latency = hist_new();
    hist_record(operation->latency, latency_ns);
}

void result_sent(struct result *result, uint64_t due_ns, uint64_t now_ns, uint32_t stage, bool late)
{
    hist_record(late ? result->wait : result->lag, now_ns - due_ns);
    result->n_scheduled++;
    result->stages[stage].n_scheduled++;
    result->n_late += late;
    result->stages[stage].n_late += late;
    result->last_due_ns = due_ns;
    result->last_sent_ns = now_ns;
}

void result_dropped(struct result *result, uint64_t due_ns, uint64_t now_ns, uint32_t stage)
{
    result->n_scheduled++;
    result->stages[stage].n_scheduled++;
    result->n_dropped++;
    result->stages[stage].n_dropped++;
    result->last_due_ns = due_ns;
    result->last_sent_ns = now_ns;
    if (result->timeline)
        timeline_drop(result->timeline, now_ns);
}

static void merge_hist(struct hist **into, const struct hist *from)
{
    if (!from)
        return;
    if (!*into)
        *into = hist_new();
    hist_merge(*into, from);
}

static void merge_stage(struct result_stage *into, const struct result_stage *from)
{
    into->n_ok += from->n_ok;
    into->n_failed += from->n_failed;
    into->n_late += from->n_late;
    into->n_dropped += from->n_dropped;
    into->n_scheduled += from->n_scheduled;
    merge_hist(&into->latency, from->latency);
    merge_hist(&into->service, from->service);
}

static void merge_times(struct result *into, const struct result *from)
{
    if (from->started_ns && (!into->started_ns || from->started_ns < into->started_ns)) {
        into->started_ns = from->started_ns;
        into->started_wall_ns = from->started_wall_ns;
    }
    into->ended_ns = from->ended_ns > into->ended_ns ? from->ended_ns : into->ended_ns;
    into->last_due_ns =
        from->last_due_ns > into->last_due_ns ? from->last_due_ns : into->last_due_ns;
    into->last_sent_ns =
        from->last_sent_ns > into->last_sent_ns ? from->last_sent_ns : into->last_sent_ns;
}

void result_merge(struct result *into, const struct result *from)
{
    merge_times(into, from);
    into->cpu_ns += from->cpu_ns;
    into->n_ok += from->n_ok;
    into->n_failed += from->n_failed;
    into->n_warmup += from->n_warmup;
    into->n_abandoned += from->n_abandoned;
    into->n_body_bytes += from->n_body_bytes;
    into->n_scheduled += from->n_scheduled;
    into->n_late += from->n_late;
    into->n_dropped += from->n_dropped;
    for (int v = 0; v < VERDICT_N; v++) {
        if (into->n_by_verdict[v] == 0)
            memcpy(into->examples[v], from->examples[v], RESULT_EXAMPLE_BYTES);
        into->n_by_verdict[v] += from->n_by_verdict[v];
    }
    for (int status = 0; status < RESULT_N_STATUSES; status++)
        into->n_by_status[status] += from->n_by_status[status];
    merge_hist(&into->latency, from->latency);
    merge_hist(&into->service, from->service);
    merge_hist(&into->lag, from->lag);
    merge_hist(&into->wait, from->wait);
    for (size_t i = 0; i < ARRIVALS_MAX_SEGMENTS; i++)
        merge_stage(&into->stages[i], &from->stages[i]);
    for (size_t i = 0; i < WORKLOAD_MAX_OPERATIONS; i++) {
        into->operations[i].n_ok += from->operations[i].n_ok;
        into->operations[i].n_failed += from->operations[i].n_failed;
        merge_hist(&into->operations[i].latency, from->operations[i].latency);
    }
    into->n_rows_read += from->n_rows_read;
    into->n_rows_written += from->n_rows_written;
    server_counts_merge(&into->servers, &from->servers);
    into->connections.n_connections += from->connections.n_connections;
    into->connections.n_resent += from->connections.n_resent;
    into->interrupted |= from->interrupted;
    into->ran_out |= from->ran_out;
    if (into->timeline && from->timeline)
        timeline_merge(into->timeline, from->timeline);
    for (uint32_t i = 0; i < from->n_threads && into->n_threads < RESULT_MAX_THREADS; i++)
        into->threads[into->n_threads++] = from->threads[i];
}

const char *result_hint(const struct result *result, enum verdict verdict, char *text, size_t bytes)
{
    const unsigned first = verdict == VERDICT_STATUS_4XX ? 400 : 500;
    unsigned usual = first;

    for (unsigned status = first; status < first + 100; status++)
        if (result->n_by_status[status] > result->n_by_status[usual])
            usual = status;
    return verdict_hint(verdict, usual, result->address, text, bytes);
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

double result_rate_of(uint64_t n, double duration_s)
{
    return ratio((double)n, duration_s);
}

double result_rate(const struct result *result)
{
    return result_rate_of(result->n_ok, result_duration_s(result));
}

double result_cpu_us_per_request(const struct result *result)
{
    return ratio((double)result->cpu_ns / (double)NS_PER_US, (double)result_requests(result));
}

double result_cpu_share(const struct result *result)
{
    return ratio((double)result->cpu_ns / (double)NS_PER_S, result_duration_s(result));
}

double result_thread_cpu_share(const struct result_thread *thread)
{
    return ratio((double)thread->cpu_ns, (double)thread->span_ns);
}

double result_thread_busy_share(const struct result_thread *thread)
{
    return ratio((double)(thread->span_ns - thread->asleep_ns), (double)thread->span_ns);
}

static double rate_until(uint64_t n, uint64_t from_ns, uint64_t until_ns)
{
    /* n requests have n − 1 distances between them. */
    return until_ns > from_ns && n > 0
               ? (double)(n - 1) * (double)NS_PER_S / (double)(until_ns - from_ns)
               : 0.;
}

double result_rate_scheduled(const struct result *result)
{
    return rate_until(result->n_scheduled, result->started_ns, result->last_due_ns);
}

double result_rate_sent(const struct result *result)
{
    return rate_until(result->n_scheduled - result->n_dropped, result->started_ns,
                      result->last_sent_ns);
}

double result_late_share(const struct result *result)
{
    return ratio((double)result->n_late, (double)result->n_scheduled);
}

size_t result_n_stages(const struct result *result)
{
    const struct arrivals_plan *plan = result->settings.plan;
    size_t n = 0;

    for (size_t i = 0; plan && i < plan->n_segments; i++)
        n += !plan->segments[i].warmup;
    return n;
}

double result_stage_duration_s(const struct result *result, size_t segment)
{
    const struct arrivals_plan *plan = result->settings.plan;
    const struct arrivals_segment *at = &plan->segments[segment];
    uint64_t begin_ns = result->started_ns + at->start_ns - arrivals_plan_warmup_ns(plan);

    if (at->duration_ns != UINT64_MAX)
        return (double)at->duration_ns / (double)NS_PER_S;
    return result->last_due_ns > begin_ns
               ? (double)(result->last_due_ns - begin_ns) / (double)NS_PER_S
               : 0.;
}
