#include "experiments/healing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/mem.h"
#include "experiments/outcome.h"
#include "experiments/table.h"
#include "tests/support/run_fixture.h"

#define N_KILLS 5
#define N_REPEATS 4

static struct run_fixture fixture;
static cJSON *result;
static struct buf out;

/* Five kills and one /rm in each of four repeats: the kill number k of repeat r was detected after
 * 10·r + k ms (1 … 35), its replacement served 100 ms later, but for one that never did. */
static void fill_course(struct sample *sample)
{
    struct course *course = course_new();
    sample->course = course;
    course->n_events = N_KILLS + 1;
    course->ok = mem_zalloc(2, sizeof(double));
    course->failed = mem_zalloc(2, sizeof(double));
    course->p50_ms = mem_zalloc(2, sizeof(double));
    course->max_ms = mem_zalloc(2, sizeof(double));
    course->n_buckets = 2;
    for (size_t e = 0; e <= N_KILLS; e++) {
        struct course_event *ran = &course->events[e];
        for (int step = 0; step < COURSE_N_STEPS; step++)
            ran->step_ms[step] = NAN;
        if (e == N_KILLS) {
            ran->step_ms[STEP_DRAINED] = 7;
            continue;
        }
        ran->step_ms[STEP_DETECTED] = 10. * (double)sample->repeat + (double)e + 1;
        if (sample->repeat || e)
            ran->step_ms[STEP_SERVING] = ran->step_ms[STEP_DETECTED] + 100;
        ran->n_retried = e == 0 ? 6 : 0;
        ran->n_failed = sample->repeat == 2 && e == 3 ? 2 : 0;
    }
}

static int set_up(void **state)
{
    static const char *const overrides[] = {"axis.values=xxh64", "load.duration=9s",
                                            "experiment.measures=counts", NULL};
    struct err err;
    (void)state;
    run_fixture_open(&fixture, N_REPEATS, overrides);
    struct event_list *events = &fixture.experiment.events;
    assert_int_equal(events_add(events, &fixture.experiment.arena, "at 1s every 1s times 5",
                                "kill random", &err),
                     0);
    assert_int_equal(events_add(events, &fixture.experiment.arena, "at 7s", "rm 1", &err), 0);
    fixture.experiment.figure.table = TABLE_STEPS;
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        fill_course(&fixture.run.samples[i]);
    result = run_fixture_result(&fixture);
    buf_init(&out, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&out);
    cJSON_Delete(result);
    run_fixture_close(&fixture);
    return 0;
}

static const cJSON *pooled(int i)
{
    const cJSON *point = cJSON_GetArrayItem(json_get(result, "points"), 0);
    return cJSON_GetArrayItem(json_get(point, "pooled"), i);
}

static void close_to(const cJSON *pool, const char *key, double wanted)
{
    double value = outcome_number(pool, key);
    if (!(fabs(value - wanted) < 1e-9))
        fail_msg("%s: %g, wanted %g", key, value, wanted);
}

static void expect(const char *text)
{
    run_fixture_expect(&out, text);
}

static void all_kills_of_all_repeats_are_one_distribution(void **state)
{
    const cJSON *kill = pooled(0), *step;
    (void)state;
    assert_string_equal(outcome_text(kill, "action"), "kill");
    close_to(kill, "n", N_KILLS * N_REPEATS);
    step = json_get(json_get(kill, "steps"), "detected");
    /* 1…5, 11…15, 21…25, 31…35 */
    close_to(step, "n", 20);
    close_to(step, "median", 18);
    close_to(step, "min", 1);
    close_to(step, "max", 35);
    close_to(step, "p90", 33); /* the 18th of 20 */
    close_to(step, "sum", 4 * 15 + 5 * 60);
    assert_true(outcome_number(step, "low") <= 18 && outcome_number(step, "high") >= 18);
}

static void a_step_that_never_came_is_not_in_its_distribution(void **state)
{
    const cJSON *steps = json_get(pooled(0), "steps");
    (void)state;
    close_to(json_get(steps, "serving"), "n", 19);
    close_to(json_get(steps, "serving"), "max", 135);
    close_to(json_get(steps, "spawned"), "n", 0);
    assert_null(json_get(json_get(steps, "spawned"), "median"));
    assert_null(json_get(steps, "drained")); /* follows no kill */
}

static void requests_are_summed_over_the_events(void **state)
{
    (void)state;
    close_to(json_get(pooled(0), "retried"), "sum", 6 * N_REPEATS);
    close_to(json_get(pooled(0), "retried"), "max", 6);
    close_to(json_get(pooled(0), "failed"), "sum", 2);
    close_to(json_get(pooled(1), "failed"), "sum", 0);
}

static void each_action_has_a_distribution_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(outcome_text(pooled(1), "action"), "rm");
    close_to(pooled(1), "n", N_REPEATS);
    close_to(json_get(json_get(pooled(1), "steps"), "drained"), "median", 7);
    assert_null(pooled(2));
}

static void the_table_has_a_row_a_step_that_came_and_two_of_requests(void **state)
{
    struct grid grid;
    (void)state;
    table_make(result, &grid);
    grid_print_markdown(&grid, &out);
    assert_int_equal(grid.n_rows, 2 + 2 + 1 + 2);
    grid_done(&grid);
    expect("| hash | done | then | events | median | 95 % interval | 90 % within | worst |");
    expect("| xxh64 | kill | detected | 20 | 18.0 ms |");
    expect("| 33.0 ms | 35.0 ms |");
    expect("| xxh64 | kill | serving | 19 | 121 ms |");
    expect("| xxh64 | kill | requests that failed: 2 | 20 | 0 |");
    expect("| xxh64 | kill | requests sent to another server: 24 | 20 |");
    expect("| xxh64 | rm | drained | 4 | 7.00 ms | 7.00 – 7.00 ms | 7.00 ms | 7.00 ms |");
}

static void the_figure_gets_the_commonest_action_and_every_single_value(void **state)
{
    size_t n_rows = 0;
    (void)state;
    healing_print_variables(result, &out);
    expect("heal_action = 'kill'\nheal_rows = 2\nheal_n = 20\nheal_failed = 2\n");
    expect("array heal_name[2] = ['detected', 'serving']\narray heal_median[2] = [18, 121]\n");
    const char *end = strstr(buf_str(&out), "$pooled");
    assert_non_null(end);
    for (const char *at = strstr(buf_str(&out), "$healing"); (at = strchr(at, '\n')) < end; at++)
        n_rows++;
    assert_int_equal(n_rows, 2 + 20 + 19 + 1); /* the names, and the end */
}

static void the_figure_gets_the_pools_of_every_point_and_action(void **state)
{
    (void)state;
    healing_print_variables(result, &out);
    expect("$pooled << QUOIT_END\npoint\taction\tstep\tn\tmedian\tlow\thigh\tp90\tmin\tmax\n"
           "1\tkill\tdetected\t20\t18\t");
    expect("\n1\tkill\tserving\t19\t121\t");
    expect("\n1\trm\tdrained\t4\t7\t7\t7\t7\t7\t7\n");
}

static void words_of_a_file_that_are_none_of_ours_reach_no_script(void **state)
{
    static const char evil[] =
        "{\"points\":[{\"pooled\":[{\"action\":\"'; system('x')\",\"n\":99,\"steps\":{}},"
        "{\"action\":\"kill\",\"n\":1,\"steps\":{\"`x`\":{\"median\":1},"
        "\"detected\":{\"median\":2}}}]}]}";
    cJSON *tree = json_parse(evil, strlen(evil), NULL);
    (void)state;
    healing_print_variables(tree, &out);
    expect("heal_action = 'kill'\nheal_rows = 1\n");
    assert_null(strstr(buf_str(&out), "system"));
    assert_null(strchr(buf_str(&out), '`'));
    cJSON_Delete(tree);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_kills_of_all_repeats_are_one_distribution),
        TEST(a_step_that_never_came_is_not_in_its_distribution),
        TEST(requests_are_summed_over_the_events),
        TEST(each_action_has_a_distribution_of_its_own),
        TEST(the_table_has_a_row_a_step_that_came_and_two_of_requests),
        TEST(the_figure_gets_the_commonest_action_and_every_single_value),
        TEST(the_figure_gets_the_pools_of_every_point_and_action),
        TEST(words_of_a_file_that_are_none_of_ours_reach_no_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
