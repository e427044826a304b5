#include "ctl/rates.h"

#include <math.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/metrics.h"

#define LATENCY "quoit_lb_server_latency_seconds_bucket"

int glance_take(struct caller *caller, struct glance *ret_glance, struct err *err)
{
    struct glance glance = {0};
    struct buf text;
    long status = 0;
    int rc = cluster_get(caller, &glance.cluster, err);
    buf_init(&text, CALL_MAX_ANSWER_BYTES);
    if (rc == 0)
        rc = caller_ask(caller, "GET", "/metrics", NULL, &status, &text, err);
    if (rc == 0)
        rc = prom_read(buf_head(&text), buf_len(&text), &glance.prom, err);
    buf_done(&text);
    if (rc == 0)
        *ret_glance = glance;
    else
        glance_done(&glance);
    return rc;
}

void glance_done(struct glance *glance)
{
    cluster_done(&glance->cluster);
    prom_done(&glance->prom);
}

static double grown(double before, double now)
{
    return now >= before ? now - before : now;
}

double rates_quantile(const double *upper, const double *counts, size_t n, double q)
{
    double total = 0, below = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    if (total <= 0)
        return NAN;
    for (size_t i = 0; i < n; i++) {
        double lower = i > 0 ? upper[i - 1] : 0;
        if (below + counts[i] < q * total) {
            below += counts[i];
            continue;
        }
        if (isinf(upper[i]))
            return lower;
        return counts[i] > 0 ? lower + (upper[i] - lower) * (q * total - below) / counts[i]
                             : upper[i];
    }
    return n > 1 ? upper[n - 2] : NAN;
}

/* The counts of one interval, by bucket. */
struct spread {
    double upper[METRIC_N_BOUNDS + 1], counts[METRIC_N_BOUNDS + 1];
    size_t n;
};

/* From cumulative counts to those of each bucket. Another number of buckets than this quoit's own
 * counts as none. */
static void spread_make(const struct glance *before, const struct glance *now, const char *server,
                        struct spread *spread)
{
    size_t n_before, n_now;
    const struct prom_value *old = prom_find(&before->prom, LATENCY, server, &n_before);
    const struct prom_value *new = prom_find(&now->prom, LATENCY, server, &n_now);
    double below = 0, old_below = 0;
    spread->n = 0;
    if (n_now != METRIC_N_BOUNDS + 1)
        return;
    /* A server of the same name that was started anew. */
    if (n_before != n_now || old[n_now - 1].value > new[n_now - 1].value)
        old = NULL;
    for (size_t i = 0; i < n_now; i++) {
        double count = new[i].value - below;
        below = new[i].value;
        if (old) {
            count -= old[i].value - old_below;
            old_below = old[i].value;
        }
        spread->upper[i] = new[i].upper;
        spread->counts[i] = fmax(count, 0);
    }
    spread->n = n_now;
}

static void spread_add(struct spread *into, const struct spread *from)
{
    if (into->n == 0) {
        *into = *from;
        return;
    }
    for (size_t i = 0; i < from->n; i++)
        into->counts[i] += from->counts[i];
}

static struct quantiles spread_quantiles(const struct spread *spread)
{
    return (struct quantiles){rates_quantile(spread->upper, spread->counts, spread->n, 0.5),
                              rates_quantile(spread->upper, spread->counts, spread->n, 0.99)};
}

static double total_rate(const struct glance *before, const struct glance *now, const char *name,
                         double interval_s)
{
    return grown(prom_get(&before->prom, name, ""), prom_get(&now->prom, name, "")) / interval_s;
}

static void add_servers(const struct glance *before, const struct glance *now, struct rates *rates,
                        struct spread *all)
{
    double n_requests = 0;
    for (size_t i = 0; i < now->cluster.n_servers; i++) {
        const struct cluster_server *server = &now->cluster.servers[i];
        const struct cluster_server *old = cluster_find_uid(&before->cluster, server->uid);
        const char *failures = "quoit_lb_server_failures_total";
        struct server_rates *row = &rates->servers[rates->n_servers++];
        struct spread spread;
        row->server = server;
        row->requests =
            grown(old ? (double)old->requests : 0, (double)server->requests) / rates->interval_s;
        row->failures = grown(old ? prom_get(&before->prom, failures, server->name) : 0,
                              prom_get(&now->prom, failures, server->name)) /
                        rates->interval_s;
        spread_make(before, now, server->name, &spread);
        row->latency = spread_quantiles(&spread);
        spread_add(all, &spread);
        n_requests += row->requests;
    }
    for (size_t i = 0; i < rates->n_servers; i++)
        rates->servers[i].share = n_requests > 0 ? rates->servers[i].requests / n_requests : 0;
}

void rates_make(const struct glance *before, const struct glance *now, struct rates *ret_rates)
{
    struct rates rates = {0};
    struct spread all = {.n = 0};
    uint64_t then_ns = before->cluster.monotonic_ns, now_ns = now->cluster.monotonic_ns;
    /* An LB on a machine that was started anew: its clock says nothing about the interval. */
    rates.interval_s = now_ns > then_ns ? (double)(now_ns - then_ns) / (double)NS_PER_S : 1;
    rates.servers = mem_zalloc(now->cluster.n_servers + 1, sizeof(*rates.servers));
    add_servers(before, now, &rates, &all);
    rates.latency = spread_quantiles(&all);
    rates.requests = total_rate(before, now, "quoit_lb_routed_requests_total", rates.interval_s);
    rates.retries = total_rate(before, now, "quoit_lb_retries_total", rates.interval_s);
    rates.failures = total_rate(before, now, "quoit_lb_upstream_failures_total", rates.interval_s);
    rates.answers_4xx = total_rate(before, now, "quoit_lb_answers_4xx_total", rates.interval_s);
    rates.answers_5xx = total_rate(before, now, "quoit_lb_answers_5xx_total", rates.interval_s);
    *ret_rates = rates;
}

void rates_done(struct rates *rates)
{
    free(rates->servers);
    *rates = (struct rates){0};
}
