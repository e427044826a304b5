#include "experiments/database_outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "experiments/figure.h"
#include "experiments/outcome.h"
#include "experiments/table.h"
#include "tests/support/run_fixture.h"

/* Rows as published are in no override: they are labels. */
static const char *const database[] = {"cluster.shards=2",
                                       "cluster.replicas=2",
                                       "cluster.store=file",
                                       "load.write=db-write",
                                       "load.read=db-read",
                                       "load.requests=1000",
                                       "load.warmup=0",
                                       "figure.table=points",
                                       "load.in_flight=8",
                                       "axis.vary=cluster.servers,cluster.replicas",
                                       "axis.values=3,2 4,4",
                                       "axis.labels=3/2/2 | 4/2/4",
                                       NULL};

static struct run_fixture fixture;
static struct buf out;

/* The result of the fixture, read back from its text. */
static cJSON *result_now(void)
{
    cJSON *result = run_fixture_result(&fixture);
    buf_clear(&out);
    return result;
}

static cJSON *result_of(unsigned repeats, bool published)
{
    run_fixture_open(&fixture, repeats, database);
    snprintf(fixture.run.storage, sizeof(fixture.run.storage), "ext4");
    fixture.experiment.published[0] = (struct experiment_published){"3/2/2", 20, 100};
    fixture.experiment.published[1] = (struct experiment_published){"4/2/4", 10, 150};
    fixture.experiment.n_published = published ? 2 : 0;
    cJSON *result = result_now();
    run_fixture_close(&fixture);
    return result;
}

static void expect(const char *text)
{
    run_fixture_expect(&out, text);
}

static const cJSON *point_of(const cJSON *result, int i)
{
    return cJSON_GetArrayItem(json_get(result, "points"), i);
}

static void phases_have_numbers_of_their_own(void **state)
{
    cJSON *result = result_of(3, false);
    (void)state;
    const cJSON *metrics = json_get(point_of(result, 0), "metrics");
    assert_true(outcome_number(json_get(metrics, "write_rate"), "median") == 2000);
    assert_true(outcome_number(json_get(metrics, "write_rows"), "median") == 2000);
    assert_true(outcome_number(json_get(metrics, "read_rate"), "median") == 20000);
    assert_null(json_get(metrics, "rate"));
    const cJSON *told = json_get(point_of(result, 1), "database");
    assert_string_equal(outcome_text(told, "shape"), "4/2/4");
    assert_string_equal(outcome_text(told, "store"), "file");
    assert_true(outcome_number(told, "shard_size") == 500); /* 1000 rows fill two */
    assert_int_equal(cJSON_GetArraySize(json_get(point_of(result, 0), "servers")), 0);
    assert_null(json_get(point_of(result, 0), "fit"));
    assert_true(outcome_valid(result));
    cJSON_Delete(result);
}

static void ratios_are_to_the_first_value_with_intervals(void **state)
{
    cJSON *result = result_of(6, false);
    (void)state;
    assert_null(json_get(point_of(result, 0), "ratios"));
    const cJSON *ratios = json_get(point_of(result, 1), "ratios");
    const cJSON *write = json_get(ratios, "write_rate"), *read = json_get(ratios, "read_rate");
    assert_true(outcome_number(write, "ratio") == 0.5);
    assert_true(outcome_number(read, "ratio") == 2);
    assert_true(outcome_number(write, "low") < 0.5 && outcome_number(write, "high") > 0.5);
    assert_string_equal(cJSON_GetArrayItem(json_get(ratios, "to"), 0)->valuestring, "3/2/2");
    cJSON_Delete(result);
}

static void the_table_has_both_phases_and_what_was_published(void **state)
{
    struct grid grid;
    cJSON *result = result_of(3, true);
    (void)state;
    table_make(result, &grid);
    assert_int_equal(grid.n_rows, 4);
    grid_print_markdown(&grid, &out);
    expect("| servers, replicas | writes/s | 95 % interval | p50, ms | p99, ms | × 3/2/2 | "
           "reads/s | 95 % interval | p50, ms | p99, ms | × 3/2/2 |");
    expect("| 3/2/2 | 2000 | 1000 – 3000 | 0.500 |");
    expect("| 1 | 20000 |");
    expect("| 4/2/4 | 1000 | 500 – 1500 |");
    expect("| published: 3/2/2 | 20 | – | – | – | – | 100 | – | – | – | – |");
    expect("| published: 4/2/4 | 10 | – | – | – | 0.50 | 150 | – | – | – | 1.50 |");
    grid_done(&grid);
    buf_clear(&out);
    table_print_conditions(result, &out);
    expect("3/2/2, 4/2/4 (servers/shards/replicas), 1000 writes and then as many reads, "
           "rows a write: 1, in flight: 8, files on ext4, 3 repeats; published by others: one "
           "request at a time");
    cJSON_Delete(result);
}

static void figures_get_ratios_measured_and_published(void **state)
{
    cJSON *result = result_of(3, true);
    (void)state;
    figure_print_variables(result, "light", "x.svg", &out);
    expect("base = '3/2/2'\nin_flight = 8\nn_published = 2\n");
    expect("array published_label[2] = ['3/2/2', '4/2/4']\n");
    expect("array ratio_write[2] = [NaN, 0.5]\n");
    expect("array published_ratio_write[2] = [NaN, 0.5]\n");
    expect("array published_ratio_read[2] = [NaN, 1.5]\n");
    expect("array rows_a_request[2] = [1, 1]\n");
    expect("\twrite_rate_median\t");
    expect("\tread_p99_median\t");
    cJSON_Delete(result);
}

static void results_without_a_database_are_as_they_were(void **state)
{
    (void)state;
    run_fixture_open(&fixture, 3, NULL);
    cJSON *result = result_now();
    run_fixture_close(&fixture);
    assert_false(database_is_result(result));
    assert_null(json_get(point_of(result, 0), "database"));
    assert_null(json_get(result, "storage"));
    figure_print_variables(result, "light", "x.svg", &out);
    assert_null(strstr(buf_str(&out), "conditions"));
    cJSON_Delete(result);
}

static void samples_and_latencies_tell_of_both_phases(void **state)
{
    struct summary summary;
    (void)state;
    run_fixture_open(&fixture, 3, database);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    buf_clear(&out);
    outcome_print_samples(&fixture.run, &out);
    expect("\twrite_rate\t");
    expect("\tread_generator_cpu\n");
    expect("\t2000\t0\t1.000000\t"); /* answered, failed, seconds: of both */
    assert_null(strstr(buf_str(&out), "counts"));
    buf_clear(&out);
    outcome_print_latencies(&fixture.run, &summary, &out);
    expect("= 3,2, write, repeat ");
    expect("= 4,4, read, repeat ");
    expect("reads: hgrm of point 1");
    summary_done(&summary);
    run_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_have_numbers_of_their_own),
        cmocka_unit_test(ratios_are_to_the_first_value_with_intervals),
        cmocka_unit_test(the_table_has_both_phases_and_what_was_published),
        cmocka_unit_test(figures_get_ratios_measured_and_published),
        cmocka_unit_test(results_without_a_database_are_as_they_were),
        cmocka_unit_test(samples_and_latencies_tell_of_both_phases),
    };
    buf_init(&out, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return failed;
}
