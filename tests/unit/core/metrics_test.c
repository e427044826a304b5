#include "core/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
    uint64_t requests;
    uint64_t busy_ns;
    uint64_t open;
};

static const struct metric_def table[] = {
    {"quoit_test_requests_total", METRIC_COUNTER, "requests", "Requests, any outcome.",
     offsetof(struct values, requests), 0},
    {"quoit_test_busy_seconds_total", METRIC_COUNTER, "seconds", "Two\nlines, a \\ and a | bar.",
     offsetof(struct values, busy_ns), 1e-9},
    {"quoit_test_open", METRIC_GAUGE, "connections", "Open now.", offsetof(struct values, open), 1},
    {0},
};

static const struct metric_set test_set = {"aaa-test", table, sizeof(struct values)};
METRICS_REGISTER(test_set);

static void metrics_print_sums_the_copies_of_a_row(void **state)
{
    const struct values a = {3, 1500000000, 2}, b = {4, 250000000, 5};
    const void *const copies[] = {&a, &b};
    const struct metric_row row = {NULL, copies, 2};
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    assert_int_equal(metrics_print(&out, &test_set, &row, 1), 0);
    assert_string_equal(buf_str(&out),
                        "# HELP quoit_test_requests_total Requests, any outcome.\n"
                        "# TYPE quoit_test_requests_total counter\n"
                        "quoit_test_requests_total 7\n"
                        "# HELP quoit_test_busy_seconds_total Two\\nlines, a \\\\ and a | bar.\n"
                        "# TYPE quoit_test_busy_seconds_total counter\n"
                        "quoit_test_busy_seconds_total 1.75\n"
                        "# HELP quoit_test_open Open now.\n"
                        "# TYPE quoit_test_open gauge\n"
                        "quoit_test_open 7\n");
    buf_done(&out);
}

struct timed {
    uint64_t ignored;
    struct metric_histogram wait;
};

static const struct metric_def timed_table[] = {
    {"quoit_test_wait_seconds", METRIC_HISTOGRAM, "seconds", "Time waited",
     offsetof(struct timed, wait), 1e-9},
    {0},
};

static const struct metric_set timed_set = {"aab-timed", timed_table, sizeof(struct timed)};

/* How many of the bounds are below ns: the bucket it belongs into. */
static size_t bucket_by_search(uint64_t ns)
{
    size_t i = 0;

    while (i < METRIC_N_BOUNDS && metric_bound_ns(i) < ns)
        i++;
    return i;
}

static void histogram_bounds_grow_by_half_and_by_a_third_in_turn(void **state)
{
    (void)state;
    assert_int_equal(metric_bound_ns(0), 1 << 13);
    assert_int_equal(metric_bound_ns(1), 3 << 12);
    assert_int_equal(metric_bound_ns(2), 1 << 14);
    assert_true(metric_bound_ns(METRIC_N_BOUNDS - 1) == UINT64_C(1) << METRIC_LAST_OCTAVE);
    for (size_t i = 1; i < METRIC_N_BOUNDS; i++)
        assert_true(metric_bound_ns(i) * 2 ==
                    metric_bound_ns(i - 1) * 2 + metric_bound_ns((i - 1) / 2 * 2));
}

static void histogram_puts_each_value_under_the_least_bound_that_holds_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_N_BOUNDS; i++) {
        const uint64_t values[] = {metric_bound_ns(i) - 1, metric_bound_ns(i),
                                   metric_bound_ns(i) + 1};

        for (size_t j = 0; j < 3; j++) {
            struct metric_histogram histogram = {{0}, 0};

            metric_observe_ns(&histogram, values[j]);
            assert_int_equal(histogram.counts[bucket_by_search(values[j])], 1);
            assert_true(histogram.sum_ns == values[j]);
        }
    }
    struct metric_histogram ends = {{0}, 0};
    metric_observe_ns(&ends, 0);
    metric_observe_ns(&ends, UINT64_MAX);
    assert_int_equal(ends.counts[0], 1);
    assert_int_equal(ends.counts[METRIC_N_BOUNDS], 1);
}

static void histogram_prints_cumulative_buckets_then_sum_and_count(void **state)
{
    struct timed a = {0}, b = {0};
    const void *const copies[] = {&a, &b};
    const struct metric_row rows[] = {{"server=\"S1\"", copies, 2}, {NULL, copies, 1}};
    struct buf out;

    (void)state;
    metric_observe_ns(&a.wait, 8192);
    metric_observe_ns(&b.wait, 10000);
    metric_observe_ns(&b.wait, UINT64_C(10000000000));
    buf_init(&out, 0);
    assert_int_equal(metrics_print(&out, &timed_set, rows, 2), 0);
    const char *text = buf_str(&out);
    assert_non_null(strstr(text,
                           "# TYPE quoit_test_wait_seconds histogram\n"
                           "quoit_test_wait_seconds_bucket{server=\"S1\",le=\"8.192e-06\"} 1\n"
                           "quoit_test_wait_seconds_bucket{server=\"S1\",le=\"1.2288e-05\"} 2\n"));
    assert_non_null(strstr(text, "{server=\"S1\",le=\"8.589934592\"} 2\n"
                                 "quoit_test_wait_seconds_bucket{server=\"S1\",le=\"+Inf\"} 3\n"
                                 "quoit_test_wait_seconds_sum{server=\"S1\"} 10.000018192\n"
                                 "quoit_test_wait_seconds_count{server=\"S1\"} 3\n"
                                 "quoit_test_wait_seconds_bucket{le=\"8.192e-06\"} 1\n"));
    assert_non_null(strstr(text, "quoit_test_wait_seconds_sum 8.192e-06\n"
                                 "quoit_test_wait_seconds_count 1\n"));
    buf_done(&out);
}

static void metrics_print_says_help_once_for_all_rows(void **state)
{
    const struct values a = {3, 0, 0}, b = {4, 0, 0};
    const void *const copies_a[] = {&a}, *const copies_b[] = {&b};
    const struct metric_row rows[] = {
        {"server=\"S1\"", copies_a, 1}, {"server=\"S2\"", copies_b, 1}, {"", NULL, 0}};
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    assert_int_equal(metrics_print(&out, &test_set, rows, 3), 0);
    assert_memory_equal(buf_str(&out),
                        "# HELP quoit_test_requests_total Requests, any outcome.\n"
                        "# TYPE quoit_test_requests_total counter\n"
                        "quoit_test_requests_total{server=\"S1\"} 3\n"
                        "quoit_test_requests_total{server=\"S2\"} 4\n"
                        "quoit_test_requests_total 0\n"
                        "# HELP quoit_test_busy",
                        strlen("# HELP quoit_test_requests_total Requests, any outcome.\n"
                               "# TYPE quoit_test_requests_total counter\n"
                               "quoit_test_requests_total{server=\"S1\"} 3\n"
                               "quoit_test_requests_total{server=\"S2\"} 4\n"
                               "quoit_test_requests_total 0\n"
                               "# HELP quoit_test_busy"));
    buf_done(&out);
}

static void metrics_print_keeps_a_count_past_2_to_53(void **state)
{
    const struct values a = {UINT64_C(9007199254740993), 0, UINT64_MAX};
    const void *const copies[] = {&a};
    const struct metric_row row = {NULL, copies, 1};
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    assert_int_equal(metrics_print(&out, &test_set, &row, 1), 0);
    assert_non_null(strstr(buf_str(&out), "quoit_test_requests_total 9007199254740993\n"));
    buf_done(&out);
}

static void metrics_print_past_the_maximum_leaves_the_buffer(void **state)
{
    const struct values a = {1, 2, 3};
    const void *const copies[] = {&a};
    const struct metric_row row = {NULL, copies, 1};
    struct buf whole, out;

    (void)state;
    buf_init(&whole, 0);
    assert_int_equal(metrics_print(&whole, &test_set, &row, 1), 0);
    for (size_t max = 2; max < buf_len(&whole) + 2; max++) {
        buf_init(&out, max);
        assert_int_equal(buf_append_str(&out, "ab"), 0);
        assert_int_equal(metrics_print(&out, &test_set, &row, 1), -EMSGSIZE);
        assert_string_equal(buf_str(&out), "ab");
        buf_done(&out);
    }
    buf_init(&out, buf_len(&whole));
    assert_int_equal(metrics_print(&out, &test_set, &row, 1), 0);
    buf_done(&out);
    buf_done(&whole);
}

static void *bump_100000(void *counter)
{
    for (int i = 0; i < 100000; i++)
        metric_add(counter, 1);
    return NULL;
}

static void metrics_add_loses_nothing_between_threads(void **state)
{
    pthread_t threads[4];
    uint64_t counter = 0, gauge = 5;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, bump_100000, &counter), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(counter, 400000);
    metric_bump(&counter);
    assert_int_equal(counter, 400001);
    metric_set_gauge(&gauge, 3);
    assert_int_equal(gauge, 3);
}

static void metrics_docs_are_a_table_a_set_sorted_by_name(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    assert_non_null(out);
    metrics_print_docs(out);
    fclose(out);
    assert_memory_equal(text, "# Metrics\n", 10);
    assert_non_null(
        strstr(text, "\n## aaa-test\n\n| metric | type | unit | meaning |\n|---|---|---|---|\n"
                     "| `quoit_test_busy_seconds_total` | counter | seconds | Two lines, a \\ and "
                     "a \\| bar. |\n"
                     "| `quoit_test_open` | gauge | connections | Open now. |\n"
                     "| `quoit_test_requests_total` | counter | requests | Requests, any outcome. "
                     "|\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_print_sums_the_copies_of_a_row),
        cmocka_unit_test(histogram_bounds_grow_by_half_and_by_a_third_in_turn),
        cmocka_unit_test(histogram_puts_each_value_under_the_least_bound_that_holds_it),
        cmocka_unit_test(histogram_prints_cumulative_buckets_then_sum_and_count),
        cmocka_unit_test(metrics_print_says_help_once_for_all_rows),
        cmocka_unit_test(metrics_print_keeps_a_count_past_2_to_53),
        cmocka_unit_test(metrics_print_past_the_maximum_leaves_the_buffer),
        cmocka_unit_test(metrics_add_loses_nothing_between_threads),
        cmocka_unit_test(metrics_docs_are_a_table_a_set_sorted_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
