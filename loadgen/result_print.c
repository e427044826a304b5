#include <inttypes.h>
#include <math.h>

#include "core/clock.h"
#include "loadgen/result.h"

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
    print_server(out, &counts->unnamed, "(no name given)", result->n_ok);
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
                verdict_hint((enum verdict)v, result->address, hint, sizeof(hint)));
    }
}

void result_print(const struct result *result, FILE *out)
{
    const struct result_settings *settings = &result->settings;

    fprintf(out, "%s: closed loop, %" PRIu32 " in flight, client %s%s\n\n", settings->url,
            settings->n_in_flight, settings->client,
            result->interrupted ? " — interrupted, partial result" : "");
    fprintf(out, "requests    %" PRIu64 " in %.3f s", result_requests(result),
            result_duration_s(result));
    if (result->n_warmup)
        fprintf(out, ", after %" PRIu64 " of warm-up", result->n_warmup);
    if (result->n_abandoned)
        fprintf(out, ", %" PRIu64 " abandoned", result->n_abandoned);
    fprintf(out, "\nok          %" PRIu64 "\n", result->n_ok);
    fprintf(out, "failed      %" PRIu64 "\n", result->n_failed);
    fprintf(out, "rate        %.0f ok/s\n", round(result_rate(result)));
    print_latency(out, result->latency);
    fprintf(out, "connections %" PRIu64 " opened, %" PRIu64 " requests sent again\n",
            result->connections.n_connections, result->connections.n_resent);
    fprintf(out, "generator   %.1f µs CPU a request, %.0f %% of one core\n",
            result_cpu_us_per_request(result), 100. * result_cpu_share(result));
    print_servers(out, result);
    print_errors(out, result);
}
