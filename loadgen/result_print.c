#include <inttypes.h>
#include <math.h>

#include "core/clock.h"
#include "loadgen/result.h"
#include "loadgen/threshold.h"
#include "loadgen/trust.h"
#include "loadgen/verification.h"

static void print_ms(FILE *out, const char *name, double ns)
{
    double ms = ns / (double)NS_PER_MS;

    /* Three significant digits are what the histogram has. */
    fprintf(out, "  %s %.*f", name, ms >= 100. ? 0 : ms >= 10. ? 1 : ms >= 1. ? 2 : 3, ms);
}

static void print_latency(FILE *out, const struct hist *hist)
{
    if (hist_count(hist) == 0)
        return;
    fputs("latency   ", out);
    print_ms(out, "p50", (double)hist_percentile(hist, 50.));
    print_ms(out, "p90", (double)hist_percentile(hist, 90.));
    print_ms(out, "p99", (double)hist_percentile(hist, 99.));
    print_ms(out, "p99.9", (double)hist_percentile(hist, 99.9));
    print_ms(out, "max", (double)hist_max(hist));
    print_ms(out, "mean", hist_mean(hist));
    fputs("  ms\n", out);
}

static void print_server(FILE *out, const struct server_count *server, const char *name,
                         uint64_t n_ok)
{
    if (server->n_ok == 0 && server->n_failed == 0)
        return;
    fprintf(out, "%-20s %12" PRIu64 " %8.2f %% %10" PRIu64 "\n", name, server->n_ok,
            n_ok ? 100. * (double)server->n_ok / (double)n_ok : 0., server->n_failed);
}

static void print_servers(FILE *out, const struct result *result)
{
    const struct server_counts *counts = &result->servers;

    /* A target that names no server is no cluster: no table. */
    if (counts->n_servers == 0)
        return;
    fprintf(out, "\n%-20s %12s %10s %10s\n", "server", "ok", "share", "failed");
    for (size_t i = 0; i < counts->n_servers; i++)
        print_server(out, &counts->servers[i], counts->servers[i].name, result->n_ok);
    print_server(out, &counts->others, "(further servers)", result->n_ok);
    /* On the database: writes, and reads that were joined of several servers' answers. */
    print_server(out, &counts->unnamed,
                 result->settings.operations ? "(load balancer)" : "(no name given)", result->n_ok);
}

static void print_errors(FILE *out, const struct result *result)
{
    if (result->n_failed == 0)
        return;
    fputs("\nerrors\n", out);
    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++) {
        char hint[256];
        if (result->n_by_verdict[v] == 0)
            continue;
        fprintf(out, "  %-12s %12" PRIu64 "  %s\n", verdict_name((enum verdict)v),
                result->n_by_verdict[v], result->examples[v]);
        fprintf(out, "  %-12s %12s  hint: %s\n", "", "",
                result_hint(result, (enum verdict)v, hint, sizeof(hint)));
    }
}

/* A cell of the table of distributions: three significant digits, in ms. */
static void print_cell(FILE *out, double ns)
{
    double ms = ns / (double)NS_PER_MS;

    fprintf(out, " %9.*f", ms >= 100. ? 0 : ms >= 10. ? 1 : ms >= 1. ? 2 : 3, ms);
}

static void print_row(FILE *out, const char *name, const struct hist *hist, const char *what)
{
    if (!hist || hist_count(hist) == 0)
        return;
    fprintf(out, "%-10s", name);
    print_cell(out, (double)hist_percentile(hist, 50.));
    print_cell(out, (double)hist_percentile(hist, 90.));
    print_cell(out, (double)hist_percentile(hist, 99.));
    print_cell(out, (double)hist_percentile(hist, 99.9));
    print_cell(out, (double)hist_max(hist));
    print_cell(out, hist_mean(hist));
    fprintf(out, "  %s\n", what);
}

static void print_open(const struct result *result, FILE *out)
{
    fprintf(out, "scheduled   %" PRIu64 ", %.0f requests/s; sent %.0f requests/s\n",
            result->n_scheduled, round(result_rate_scheduled(result)),
            round(result_rate_sent(result)));
    fprintf(out, "late        %" PRIu64 " (no slot was free), %" PRIu64 " dropped\n\n",
            result->n_late, result->n_dropped);
    fprintf(out, "%-10s %9s %9s %9s %9s %9s %9s\n", "ms", "p50", "p90", "p99", "p99.9", "max",
            "mean");
    print_row(out, "latency", result->latency, "from the intended start");
    print_row(out, "service", result->service, "from the actual send");
    print_row(out, "lag", result->lag, "of sends behind their time");
    print_row(out, "wait", result->wait, "of the late ones for a slot");
    fputc('\n', out);
}

static void print_stages(const struct result *result, FILE *out)
{
    const struct arrivals_plan *plan = result->settings.plan;

    if (result_n_stages(result) < 2)
        return;
    fprintf(out, "\n%-22s %9s %9s %7s %7s %7s %9s %9s %9s\n", "stage", "scheduled", "ok", "failed",
            "late", "dropped", "p50 ms", "p99 ms", "max ms");
    for (size_t i = 0; i < plan->n_segments; i++) {
        const struct arrivals_segment *segment = &plan->segments[i];
        const struct result_stage *stage = &result->stages[i];
        char name[64];

        if (segment->warmup)
            continue;
        if (segment->rate_from < segment->rate_to || segment->rate_from > segment->rate_to)
            snprintf(name, sizeof(name), "%g to %g/s, %g s", segment->rate_from, segment->rate_to,
                     result_stage_duration_s(result, i));
        else
            snprintf(name, sizeof(name), "%g/s, %.4g s", segment->rate_from,
                     result_stage_duration_s(result, i));
        fprintf(out, "%-22s %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64, name,
                stage->n_scheduled, stage->n_ok, stage->n_failed, stage->n_late, stage->n_dropped);
        if (stage->latency) {
            print_cell(out, (double)hist_percentile(stage->latency, 50.));
            print_cell(out, (double)hist_percentile(stage->latency, 99.));
            print_cell(out, (double)hist_max(stage->latency));
        }
        fputc('\n', out);
    }
}

/* Of the database workloads: a kind of requests a row. */
static void print_operations(const struct result *result, FILE *out)
{
    const char *const *names = result->settings.operations;
    const double duration_s = result_duration_s(result);

    if (!names)
        return;
    fprintf(out, "\n%-10s %10s %8s %10s %9s %9s %9s %9s\n", "operation", "ok", "failed", "ok/s",
            "p50 ms", "p99 ms", "p99.9 ms", "max ms");
    for (size_t i = 0; names[i]; i++) {
        const struct result_operation *operation = &result->operations[i];
        if (operation->n_ok == 0 && operation->n_failed == 0)
            continue;
        fprintf(out, "%-10s %10" PRIu64 " %8" PRIu64 " %10.0f", names[i], operation->n_ok,
                operation->n_failed, round(result_rate_of(operation->n_ok, duration_s)));
        if (operation->latency) {
            print_cell(out, (double)hist_percentile(operation->latency, 50.));
            print_cell(out, (double)hist_percentile(operation->latency, 99.));
            print_cell(out, (double)hist_percentile(operation->latency, 99.9));
            print_cell(out, (double)hist_max(operation->latency));
        }
        fputc('\n', out);
    }
}

static void print_rows(const struct result *result, FILE *out)
{
    const double duration_s = result_duration_s(result);

    if (result->n_rows_read)
        fprintf(out, "rows read   %" PRIu64 ", %.0f rows/s\n", result->n_rows_read,
                round(result_rate_of(result->n_rows_read, duration_s)));
    if (result->n_rows_written)
        fprintf(out, "rows written %" PRIu64 ", %.0f rows/s\n", result->n_rows_written,
                round(result_rate_of(result->n_rows_written, duration_s)));
}

static void print_generator(const struct result *result, FILE *out)
{
    fprintf(out, "generator   %.1f µs CPU a request, %.0f %% of one core",
            result_cpu_us_per_request(result), 100. * result_cpu_share(result));
    if (result->n_threads > 1) {
        fputs(", by thread", out);
        for (uint32_t i = 0; i < result->n_threads; i++)
            fprintf(out, " %.0f %%", 100. * result_thread_cpu_share(&result->threads[i]));
    }
    fputc('\n', out);
}

static void print_judgement(const struct result *result, FILE *out)
{
    struct trust trust;

    trust_judge(result, &trust);
    if (trust.n_reasons || trust.n_warnings || result->n_thresholds)
        fputc('\n', out);
    for (size_t i = 0; i < trust.n_reasons; i++)
        fprintf(out, "INVALID: %s\n", trust.reasons[i]);
    for (size_t i = 0; i < trust.n_warnings; i++)
        fprintf(out, "warning: %s\n", trust.warnings[i]);
    for (size_t i = 0; i < result->n_thresholds; i++) {
        const struct threshold_outcome *outcome = &result->thresholds[i];
        fprintf(out, "threshold   %-16s %s", outcome->threshold->text,
                outcome->missed ? "MISSED" : "kept");
        if (outcome->known)
            fprintf(out, ": %.4g%s%s\n", outcome->value,
                    *threshold_unit(outcome->threshold) == 'm' ? " " : "",
                    threshold_unit(outcome->threshold));
        else
            fputs(": nothing was measured\n", out);
    }
}

static void print_title(const struct result *result, FILE *out)
{
    const struct result_settings *settings = &result->settings;

    fprintf(out, "%s: ", settings->url);
    if (!settings->plan)
        fputs("closed loop, ", out);
    else if (settings->stages)
        fprintf(out, "open loop, stages %s, at most ", settings->stages);
    else
        fprintf(out, "open loop, %g requests/s %s, at most ", settings->rate,
                settings->arrivals == ARRIVALS_POISSON ? "poisson" : "constant");
    fprintf(out, "%" PRIu32 " in flight, client %s", settings->n_in_flight, settings->client);
    if (settings->n_threads > 1)
        fprintf(out, ", %" PRIu32 " threads", settings->n_threads);
    fprintf(out, "%s\n\n", result->interrupted ? " — interrupted, partial result" : "");
}

void result_print(const struct result *result, FILE *out)
{
    print_title(result, out);
    fprintf(out, "requests    %" PRIu64 " in %.3f s", result_requests(result),
            result_duration_s(result));
    if (result->n_warmup)
        fprintf(out, ", after %" PRIu64 " of warm-up", result->n_warmup);
    if (result->n_abandoned)
        fprintf(out, ", %" PRIu64 " abandoned", result->n_abandoned);
    fprintf(out, "\nok          %" PRIu64 "\n", result->n_ok);
    fprintf(out, "failed      %" PRIu64 "\n", result->n_failed);
    fprintf(out, "rate        %.0f ok/s\n", round(result_rate(result)));
    print_rows(result, out);
    if (result->settings.plan)
        print_open(result, out);
    else
        print_latency(out, result->latency);
    fprintf(out, "connections %" PRIu64 " opened, %" PRIu64 " requests sent again\n",
            result->connections.n_connections, result->connections.n_resent);
    print_generator(result, out);
    print_operations(result, out);
    print_stages(result, out);
    print_servers(out, result);
    print_errors(out, result);
    if (result->verification) {
        fputc('\n', out);
        verification_print(result->verification, out);
    }
    print_judgement(result, out);
}
