#include "experiments/sample.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REST                                                                                       \
    "\"duration_s\":0.25,\"rate\":40000,\"generator\":{\"cpu_share\":0.75},"                       \
    "\"latency_ms\":{\"p50\":1,\"p90\":2,\"p99\":3,\"p99_9\":4,\"max\":5}"

static int parse(const char *text, struct sample *sample, struct err *err)
{
    *sample = (struct sample){0};
    return sample_parse(text, strlen(text), 3, sample, err);
}

static void sample_takes_every_number(void **state)
{
    struct sample sample;
    (void)state;
    assert_int_equal(parse("{\"ok\":10,\"failed\":0,\"servers\":{\"Server3\":3,\"Server1\":7}," REST
                           ",\"errors\":{}}",
                           &sample, NULL),
                     0);
    assert_int_equal(sample.n_ok, 10);
    assert_int_equal(sample.n_errors, 0);
    assert_int_equal(sample.counts[0], 7);
    assert_int_equal(sample.counts[1], 0);
    assert_int_equal(sample.counts[2], 3);
    assert_int_equal(sample.n_strangers, 0);
    assert_string_equal(sample.error, "");
    const double expected[] = {40000, 1, 2, 3, 4, 5, 0.75};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(sample_metric_value(&sample, &sample_metrics[i]) == expected[i]);
    /* which the load cannot know */
    assert_string_equal(sample_metrics[sizeof(expected) / sizeof(expected[0])].name, "cluster_cpu");
    assert_null(sample_metrics[SAMPLE_N_METRICS].name);
    assert_true(sample.seconds == 0.25);
}

static void sample_counts_strangers_apart(void **state)
{
    struct sample sample;
    (void)state;
    /* not of three servers: too high an id, another spelling, another name, none at all */
    assert_int_equal(parse("{\"ok\":31,\"failed\":0,\"servers\":{\"Server2\":1,\"Server4\":2,"
                           "\"Server02\":4,\"Server\":8,\"Other1\":16},\"unnamed\":32,"
                           "\"other_servers\":64," REST "}",
                           &sample, NULL),
                     0);
    assert_int_equal(sample.counts[1], 1);
    assert_int_equal(sample.n_strangers, 2 + 4 + 8 + 16 + 32 + 64);
}

static void sample_keeps_the_commonest_error(void **state)
{
    struct sample sample;
    (void)state;
    assert_int_equal(parse("{\"ok\":0,\"failed\":9,\"servers\":{}," REST ",\"errors\":{"
                           "\"reset\":{\"count\":2,\"example\":null},"
                           "\"status_5xx\":{\"count\":7,\"example\":\"HTTP 503 from Server2\"}}}",
                           &sample, NULL),
                     0);
    assert_int_equal(sample.n_errors, 9);
    assert_string_equal(sample.error, "status_5xx, e.g. HTTP 503 from Server2");
}

static void sample_takes_what_the_generator_says_of_itself(void **state)
{
    struct sample sample;
    (void)state;
    assert_int_equal(
        parse("{\"ok\":1,\"failed\":0,\"servers\":{\"Server1\":1},\"duration_s\":1,\"rate\":1,"
              "\"generator\":{\"cpu_share\":1.1,\"threads\":[{\"cpu_share\":0.3},"
              "{\"cpu_share\":0.8}]},\"open\":{\"dropped\":5},"
              "\"verdict\":{\"valid\":false,\"reasons\":[\"saturated\",\"more\"]}}",
              &sample, NULL),
        0);
    assert_true(sample.generator_cpu == 1.1 && sample.thread_cpu == 0.8);
    assert_int_equal(sample.n_dropped, 5);
    assert_string_equal(sample.distrust, "saturated");
    /* One of an older program, and one that trusts itself. */
    assert_int_equal(
        parse("{\"ok\":1,\"failed\":0,\"servers\":{\"Server1\":1}," REST "}", &sample, NULL), 0);
    assert_true(sample.thread_cpu == 0 && sample.n_dropped == 0 && !*sample.distrust);
    assert_int_equal(parse("{\"ok\":1,\"failed\":0,\"servers\":{\"Server1\":1}," REST
                           ",\"open\":null,\"verdict\":{\"valid\":true,\"reasons\":[]}}",
                           &sample, NULL),
                     0);
    assert_true(sample.n_dropped == 0 && !*sample.distrust);
}

#define VERIFIED(rows, replicas)                                                                   \
    "{\"ok\":1,\"failed\":0,\"servers\":{}," REST ",\"verification\":{\"mode\":\"all\","           \
    "\"done\":true,\"rows\":{" rows "},\"replicas\":{" replicas "},"                               \
    "\"examples\":[\"Stud_id 42 is missing\"]}}"

static void sample_takes_what_became_of_the_rows(void **state)
{
    static const struct {
        const char *text, *doubt;
        bool verified;
    } cases[] = {
        {VERIFIED("\"missing\":0,\"wrong\":0,\"unexpected\":0", "\"compared\":true,\"equal\":true"),
         "", true},
        {VERIFIED("\"missing\":3,\"wrong\":0,\"unexpected\":1", "\"compared\":true,\"equal\":true"),
         "3 rows are missing, 0 wrong, 1 not to be there: Stud_id 42 is missing", true},
        {VERIFIED("\"missing\":0", "\"compared\":true,\"equal\":false"), "not equal", true},
        {VERIFIED("\"missing\":0", "\"compared\":false"), "were not compared", true},
        {"{\"ok\":1,\"failed\":0,\"servers\":{}," REST ",\"verification\":null}", "", false},
        {"{\"ok\":1,\"failed\":0,\"servers\":{}," REST
         ",\"verification\":{\"done\":false,\"rows\":null}}",
         "", false},
    };
    struct sample sample;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].text, &sample, NULL), 0);
        assert_int_equal(sample.verified, cases[i].verified);
        if (*cases[i].doubt ? !strstr(sample.doubt, cases[i].doubt) : *sample.doubt)
            fail_msg("wanted '%s', got '%s'", cases[i].doubt, sample.doubt);
    }
}

static void sample_numbers_are_those_of_its_phases(void **state)
{
    const struct experiment_load both = {.write = "db-write", .read = "db-read"};
    const struct experiment_load reads = {.read = "db-read"};
    const struct experiment_load mixed = {.workload = "db-mix"};
    struct sample read = {.phase = PHASE_READ, .rate = 20};
    struct sample sample = {.phase = PHASE_WRITE, .rate = 10, .row_rate = 100, .then = &read};
    (void)state;
    assert_ptr_equal(sample_metrics_of(&mixed), sample_metrics);
    assert_string_equal(sample_metrics_of(&reads)[0].name, "read_rate");
    size_t n = 0;
    for (const struct sample_metric *metric = sample_metrics_of(&both); metric->name; metric++) {
        double value = sample_metric_value(&sample, metric);
        n++;
        if (!strcmp(metric->name, "write_rate"))
            assert_true(value == 10);
        if (!strcmp(metric->name, "write_rows"))
            assert_true(value == 100);
        if (!strcmp(metric->name, "read_rate"))
            assert_true(value == 20);
    }
    assert_int_equal(n, 2 * (SAMPLE_N_METRICS - 1) + 1);
    assert_true(n < SAMPLE_MAX_METRICS);
    /* A number of a load that there is not. */
    assert_true(isnan(sample_metric_value(&sample, &sample_metrics[0])));
}

static void sample_without_answers_has_no_latency(void **state)
{
    struct sample sample;
    (void)state;
    assert_int_equal(parse("{\"ok\":0,\"failed\":5,\"servers\":{},\"duration_s\":0.1,\"rate\":0,"
                           "\"generator\":{\"cpu_share\":0},\"latency_ms\":null,\"errors\":{}}",
                           &sample, NULL),
                     0);
    assert_true(sample.p99_ms == 0);
}

static void sample_names_what_is_missing(void **state)
{
    static const char *const bad[][2] = {
        {"[", "the result of quoit load"},
        {"{}", "no 'duration_s'"},
        {"{" REST "}", "no 'ok' and 'failed'"},
        {"{\"ok\":1,\"failed\":0," REST "}", "no 'servers'"},
        {"{\"ok\":-1,\"failed\":0,\"servers\":{}," REST "}", "no 'ok' and 'failed'"},
        {"{\"ok\":1,\"failed\":0,\"servers\":{\"Server1\":-1}," REST "}", "'Server1'"},
        {"{\"ok\":1,\"failed\":0,\"servers\":{\"Server1\":0.5}," REST "}", "'Server1'"},
        {"{\"ok\":1,\"failed\":0,\"servers\":{},\"duration_s\":1,\"rate\":1}", "no 'cpu_share'"},
    };
    struct sample sample;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i][0], &sample, &err), -EINVAL);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("wanted '%s', got '%s'", bad[i][1], err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_takes_every_number),
        cmocka_unit_test(sample_counts_strangers_apart),
        cmocka_unit_test(sample_keeps_the_commonest_error),
        cmocka_unit_test(sample_takes_what_the_generator_says_of_itself),
        cmocka_unit_test(sample_takes_what_became_of_the_rows),
        cmocka_unit_test(sample_numbers_are_those_of_its_phases),
        cmocka_unit_test(sample_without_answers_has_no_latency),
        cmocka_unit_test(sample_names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
