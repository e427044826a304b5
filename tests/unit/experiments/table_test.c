#include "experiments/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "experiments/outcome.h"
#include "tests/support/run_fixture.h"

static struct run_fixture fixture;
static struct buf out;

/* The result of a fixture, read back from its text. */
static cJSON *result_of(unsigned repeats, const char *const *overrides)
{
    struct summary summary;
    struct buf text;
    run_fixture_open(&fixture, repeats, overrides);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    cJSON *made = outcome_make(&fixture.run, &summary);
    buf_init(&text, 0);
    json_print(&text, made, false);
    cJSON_Delete(made);
    cJSON *result = json_parse(buf_head(&text), buf_len(&text), NULL);
    assert_non_null(result);
    buf_done(&text);
    summary_done(&summary);
    run_fixture_close(&fixture);
    buf_clear(&out);
    return result;
}

static void expect(const char *text)
{
    if (!strstr(buf_str(&out), text))
        fail_msg("no '%s' in:\n%s", text, buf_str(&out));
}

static void table_has_a_row_for_every_server_of_a_point(void **state)
{
    struct grid grid;
    cJSON *result = result_of(3, NULL);
    (void)state;
    table_make(result, &grid);
    assert_int_equal(grid.n_rows, 6);
    grid_print_markdown(&grid, &out);
    expect(
        "| hash | server | answered, median | 95 % interval | least – most | expected exactly |");
    expect("| quadratic | Server1 | 8437 | 8437 – 8437 | 8437 – 8437 | 8437.5 | 84.37 % |");
    expect("| xxh64 | Server3 |");
    grid_done(&grid);
    cJSON_Delete(result);
}

static void table_has_cpu_time_where_it_is_known(void **state)
{
    static const char *const known[] = {"figure.table=points", NULL};
    static const char *const unknown[] = {"figure.table=points", "cluster.threads=9", NULL};
    struct grid grid;
    cJSON *result = result_of(3, known);
    (void)state;
    table_make(result, &grid);
    grid_print_markdown(&grid, &out);
    expect("| p99, ms | CPU, µs a request |\n");
    expect("| 12.50 |\n");
    grid_done(&grid);
    cJSON_Delete(result);
    result = result_of(3, unknown);
    assert_null(json_get(json_get(json_get(result, "points")->child, "metrics"), "cluster_cpu"));
    table_make(result, &grid);
    grid_print_markdown(&grid, &out);
    assert_null(strstr(buf_str(&out), "CPU"));
    grid_done(&grid);
    cJSON_Delete(result);
}

static void conditions_say_where_servers_ran_unless_an_axis_does(void **state)
{
    static const char *const containers[] = {"cluster.spawner=docker:socket=/tmp/x", NULL};
    static const char *const axis[] = {"cluster.spawner=docker", "axis.vary=cluster.spawner",
                                       "axis.values=process docker", NULL};
    cJSON *result = result_of(3, containers);
    (void)state;
    table_print_conditions(result, &out);
    expect(", servers in containers");
    assert_null(strstr(buf_str(&out), "/tmp/x"));
    cJSON_Delete(result);
    result = result_of(3, axis);
    table_print_conditions(result, &out);
    assert_null(strstr(buf_str(&out), "in containers"));
    cJSON_Delete(result);
    result = result_of(3, NULL);
    table_print_conditions(result, &out);
    assert_null(strstr(buf_str(&out), "in containers"));
    cJSON_Delete(result);
}

static void table_of_points_has_rates_only_where_they_are_measured(void **state)
{
    static const char *const rates[] = {"figure.table=points", NULL};
    static const char *const counts[] = {"figure.table=points", "experiment.measures=counts", NULL};
    struct grid grid;
    cJSON *result = result_of(3, rates);
    (void)state;
    table_make(result, &grid);
    assert_int_equal(grid.n_rows, 2);
    grid_print_markdown(&grid, &out);
    expect("| hash | servers | mean a server | least loaded | exactly | most loaded | exactly | "
           "most/mean | "
           "exactly | requests/s |");
    expect("| quadratic | 3 | 3333 | 469 | 469 | 8437 | 8437 | 2.531 | 2.531 | 2000 |");
    grid_done(&grid);
    cJSON_Delete(result);
    result = result_of(3, counts);
    table_make(result, &grid);
    grid_print_markdown(&grid, &out);
    assert_null(strstr(buf_str(&out), "requests/s"));
    grid_done(&grid);
    cJSON_Delete(result);
}

static void table_says_conditions_fit_and_verdict(void **state)
{
    static const char *const servers[] = {"axis.vary=cluster.servers", "axis.values=2 6",
                                          "axis.labels=two | six", NULL};
    cJSON *result = result_of(2, servers);
    (void)state;
    table_print_conditions(result, &out);
    expect("N = 2 to 6 servers, 10000 requests a run, 2 repeats");
    table_print_fits(result, "- ", &out);
    expect("- 6: the busiest server answered ");
    expect("p = 1.000 (χ² = 0.0, 10 degrees of freedom)");
    table_print_verdict(result, &out);
    expect("INVALID\n  too few repeats: 2");
    cJSON_Delete(result);
}

static void table_says_how_the_load_was_sent_where_it_is_not_as_usual(void **state)
{
    static const char *const open[] = {"load.rate=2500", "load.arrivals=poisson", "load.client=raw",
                                       "load.threads=2", NULL};
    static const char *const varies[] = {"axis.vary=load.rate", "axis.values=100 200", NULL};
    cJSON *result = result_of(3, open);
    (void)state;
    table_print_conditions(result, &out);
    expect("3 repeats, open loop of 2500 requests/s (poisson arrivals), client raw, 2 generator "
           "threads");
    cJSON_Delete(result);
    result = result_of(3, varies);
    table_print_conditions(result, &out);
    assert_null(strstr(buf_str(&out), "open loop"));
    cJSON_Delete(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_a_row_for_every_server_of_a_point),
        cmocka_unit_test(table_has_cpu_time_where_it_is_known),
        cmocka_unit_test(conditions_say_where_servers_ran_unless_an_axis_does),
        cmocka_unit_test(table_of_points_has_rates_only_where_they_are_measured),
        cmocka_unit_test(table_says_conditions_fit_and_verdict),
        cmocka_unit_test(table_says_how_the_load_was_sent_where_it_is_not_as_usual),
    };
    buf_init(&out, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return failed;
}
