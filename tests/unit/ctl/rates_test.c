#include "ctl/rates.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/metrics.h"

struct counted {
    const char *name;
    uint64_t uid, requests, failures;
    struct metric_histogram latency;
};

static const struct metric_def table[] = {
    {"quoit_lb_server_latency_seconds", METRIC_HISTOGRAM, "seconds", "Latency",
     offsetof(struct counted, latency), 1e-9},
    {"quoit_lb_server_failures_total", METRIC_COUNTER, "requests", "Failures",
     offsetof(struct counted, failures), 0},
    {0},
};
static const struct metric_set set = {"test", table, sizeof(struct counted)};

/* What an LB with one or two servers says `ms` after its machine's start. */
static struct glance glance_of(unsigned ms, unsigned routed, const struct counted *servers,
                               size_t n_servers)
{
    struct glance glance;
    struct buf text;
    struct err err;
    buf_init(&text, 0);
    buf_appendf(&text,
                "{\"version\":1,\"N\":1,\"target\":1,\"placement\":\"slots\",\"hash\":{\"request\":"
                "\"q\",\"server\":\"q\"},\"threads\":1,\"monotonic_ns\":%u000000,\"events\":[],"
                "\"servers\":[",
                ms);
    for (size_t i = 0; i < n_servers; i++)
        buf_appendf(&text,
                    "%s{\"name\":\"%s\",\"id\":1,\"uid\":%u,\"state\":\"serving\","
                    "\"requests\":%u}",
                    i ? "," : "", servers[i].name, (unsigned)servers[i].uid,
                    (unsigned)servers[i].requests);
    buf_append_str(&text, "]}");
    cJSON *tree = json_parse(buf_head(&text), buf_len(&text), &err);
    assert_int_equal(cluster_read(tree, &glance.cluster, &err), 0);
    buf_clear(&text);
    buf_appendf(&text, "quoit_lb_routed_requests_total %u\n", routed);
    for (size_t i = 0; i < n_servers; i++) {
        char label[64];
        const void *copy = &servers[i];
        snprintf(label, sizeof(label), "server=\"%s\"", servers[i].name);
        const struct metric_row row = {label, &copy, 1};
        metrics_print(&text, &set, &row, 1);
    }
    assert_int_equal(prom_read(buf_head(&text), buf_len(&text), &glance.prom, &err), 0);
    buf_done(&text);
    return glance;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%g is not %g", value, expected);
}

static void rates_are_differences_over_the_lbs_own_clock(void **state)
{
    struct counted then[] = {{"S1", 1, 100, 0, {{0}, 0}}, {"S2", 2, 50, 4, {{0}, 0}}};
    struct counted later[] = {{"S1", 1, 700, 0, {{0}, 0}}, {"S2", 2, 250, 5, {{0}, 0}}};
    struct rates rates;
    (void)state;
    struct glance before = glance_of(1000, 150, then, 2), now = glance_of(3000, 900, later, 2);
    rates_make(&before, &now, &rates);
    assert_near(rates.interval_s, 2, 0);
    assert_near(rates.requests, 375, 0);
    assert_int_equal(rates.n_servers, 2);
    assert_near(rates.servers[0].requests, 300, 0);
    assert_near(rates.servers[0].share, 0.75, 1e-12);
    assert_near(rates.servers[1].share, 0.25, 1e-12);
    assert_near(rates.servers[1].failures, 0.5, 0);
    assert_true(isnan(rates.servers[0].latency.p50_s));
    assert_true(isnan(rates.latency.p99_s));
    rates_done(&rates);
    glance_done(&before);
    glance_done(&now);
}

static void a_server_that_is_new_or_was_started_anew_counts_from_zero(void **state)
{
    struct counted then[] = {{"S1", 1, 1000, 9, {{0}, 0}}};
    /* The same name, another life. */
    struct counted later[] = {{"S1", 7, 30, 2, {{0}, 0}}};
    struct rates rates;
    (void)state;
    for (int i = 0; i < 10; i++)
        metric_observe_ns(&then[0].latency, 1000);
    metric_observe_ns(&later[0].latency, 100 * NS_PER_MS);
    struct glance before = glance_of(1000, 5000, then, 1), now = glance_of(2000, 40, later, 1);
    rates_make(&before, &now, &rates);
    assert_near(rates.servers[0].requests, 30, 0);
    assert_near(rates.servers[0].failures, 2, 0);
    assert_near(rates.requests, 40, 0);
    assert_true(rates.servers[0].latency.p50_s > 0.05);
    rates_done(&rates);
    glance_done(&before);
    glance_done(&now);
}

static void quantiles_are_of_the_interval_alone_and_right_to_their_bucket(void **state)
{
    struct counted then[] = {{"S1", 1, 0, 0, {{0}, 0}}, {"S2", 2, 0, 0, {{0}, 0}}};
    struct counted later[2];
    struct rates rates;
    (void)state;
    for (int i = 0; i < 1000; i++)
        metric_observe_ns(&then[0].latency, NS_PER_S); /* long ago */
    memcpy(later, then, sizeof(then));
    for (int i = 0; i < 100; i++) /* 0.1 to 9.9 ms and one of 40 ms */
        metric_observe_ns(&later[0].latency,
                          i == 99 ? 40 * NS_PER_MS : (uint64_t)(i + 1) * 100 * NS_PER_US);
    for (int i = 0; i < 900; i++)
        metric_observe_ns(&later[1].latency, 20 * NS_PER_US);
    struct glance before = glance_of(1000, 0, then, 2), now = glance_of(2000, 0, later, 2);
    rates_make(&before, &now, &rates);
    assert_near(rates.servers[0].latency.p50_s, 5.0e-3, 0.4e-3);
    assert_true(rates.servers[0].latency.p99_s > 8.3e-3);
    assert_true(rates.servers[0].latency.p99_s <= 12.6e-3);
    assert_near(rates.servers[1].latency.p99_s, 20e-6, 5e-6);
    assert_near(rates.latency.p50_s, 20e-6, 5e-6);
    assert_near(rates.latency.p99_s, 9e-3, 2e-3);
    rates_done(&rates);
    glance_done(&before);
    glance_done(&now);
}

static void quantile_interpolates_within_its_bucket(void **state)
{
    const double upper[] = {1, 2, 4, INFINITY};
    const double counts[] = {0, 10, 10, 0}, beyond[] = {0, 0, 0, 5}, none[4] = {0};
    (void)state;
    assert_near(rates_quantile(upper, counts, 4, 0.25), 1.5, 1e-12);
    assert_near(rates_quantile(upper, counts, 4, 0.5), 2, 1e-12);
    assert_near(rates_quantile(upper, counts, 4, 0.75), 3, 1e-12);
    assert_near(rates_quantile(upper, beyond, 4, 0.5), 4, 0); /* the last bound that is one */
    assert_true(isnan(rates_quantile(upper, none, 4, 0.5)));
    assert_true(isnan(rates_quantile(upper, none, 0, 0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_differences_over_the_lbs_own_clock),
        cmocka_unit_test(a_server_that_is_new_or_was_started_anew_counts_from_zero),
        cmocka_unit_test(quantiles_are_of_the_interval_alone_and_right_to_their_bucket),
        cmocka_unit_test(quantile_interpolates_within_its_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
