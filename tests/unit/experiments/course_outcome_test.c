#include "experiments/course_outcome.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/mem.h"
#include "experiments/outcome.h"
#include "tests/support/run_fixture.h"

/* A database of two shards, three replicas each, one server of which is killed in each of three
 * repeats: 200 rows are copied, and every bucket has 30 reads and 20 writes. */

#define N_REPEATS 3
#define N_BUCKETS 4

static struct run_fixture fixture;
static struct buf out;
static cJSON *reasons, *result;

static void fill_course(struct sample *sample)
{
    struct course *course = course_new();
    double **buckets[] = {&course->ok,        &course->failed,
                          &course->writes_ok, &course->writes_failed,
                          &course->p50_ms,    &course->max_ms};
    static const double values[] = {50, 0, 20, 0, 0.5, 2};
    sample->course = course;
    course->n_buckets = N_BUCKETS;
    course->has_writes = true;
    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
        *buckets[i] = mem_zalloc(N_BUCKETS, sizeof(double));
        for (size_t b = 0; b < N_BUCKETS; b++)
            (*buckets[i])[b] = values[i];
    }
    course->n_events = 1;
    struct course_event *ran = &course->events[0];
    ran->monotonic_ns = 1000000000;
    for (int step = 0; step < COURSE_N_STEPS; step++)
        ran->step_ms[step] = course_step_follows((enum course_step)step, EVENT_KILL)
                                 ? (double)step + 1
                                 : (double)NAN;
    ran->n_rows = 200;
    ran->n_copied_rows = 200;
    ran->n_copied_bytes = 14000;
}

static int set_up(void **state)
{
    static const char *const overrides[] = {"axis.values=xxh64",
                                            "load.duration=9s",
                                            "experiment.measures=counts",
                                            "cluster.shards=2",
                                            "load.workload=db-mix:read=60,update=40",
                                            "figure.table=points",
                                            NULL};
    struct err err;
    (void)state;
    run_fixture_open(&fixture, N_REPEATS, overrides);
    assert_int_equal(events_add(&fixture.experiment.events, &fixture.experiment.arena, "at 1s",
                                "kill Server1", &err),
                     0);
    fixture.experiment.figure.table = TABLE_EVENTS;
    for (size_t i = 0; i < fixture.run.n_samples; i++)
        fill_course(&fixture.run.samples[i]);
    reasons = cJSON_CreateArray();
    buf_init(&out, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cJSON_Delete(reasons);
    cJSON_Delete(result);
    result = NULL;
    buf_done(&out);
    run_fixture_close(&fixture);
    return 0;
}

static struct course_event *event_of(size_t sample)
{
    return &fixture.run.samples[sample].course->events[0];
}

static void make_result(void)
{
    result = run_fixture_result(&fixture);
}

static void expect(const char *text)
{
    run_fixture_expect(&out, text);
}

static void expect_one_reason(const char *wanted)
{
    course_judge(&fixture.run, reasons);
    assert_int_equal(cJSON_GetArraySize(reasons), 1);
    assert_string_equal(cJSON_GetArrayItem(reasons, 0)->valuestring, wanted);
}

static void a_course_that_lost_nothing_is_well(void **state)
{
    (void)state;
    event_of(1)->n_failed = event_of(1)->n_failed_writes = 3; /* in doubt, when a server died */
    course_judge(&fixture.run, reasons);
    assert_int_equal(cJSON_GetArraySize(reasons), 0);
}

static void a_replacement_that_never_got_its_rows_is_a_reason(void **state)
{
    (void)state;
    event_of(2)->step_ms[STEP_COPIED] = NAN;
    expect_one_reason("sample 3: after SIGKILL Server1 at 1 s, 'copied' never came");
}

static void a_read_that_failed_is_a_reason_where_another_replica_is(void **state)
{
    (void)state;
    event_of(0)->n_failed = 5;
    event_of(0)->n_failed_writes = 3;
    expect_one_reason("sample 1: after SIGKILL Server1 at 1 s, 2 reads failed");
}

static void a_read_that_failed_is_none_where_there_was_one_replica(void **state)
{
    (void)state;
    fixture.experiment.settings.cluster.replicas = 1;
    event_of(0)->n_failed = 5;
    course_judge(&fixture.run, reasons);
    assert_int_equal(cJSON_GetArraySize(reasons), 0);
}

static void the_table_tells_rows_and_failures_of_reads_and_of_writes(void **state)
{
    struct grid grid;
    (void)state;
    event_of(1)->n_failed = event_of(1)->n_failed_writes = 3;
    make_result();
    grid_init(&grid);
    grid_add_column(&grid, "hash", false);
    course_make_table(result, &grid);
    grid_print(&grid, &out);
    grid_done(&grid);
    expect("copied");
    expect("rows it held then");
    expect("200, 200 sent");
    expect("failed reads");
    expect("0 (most: 3)");
}

static void the_table_of_a_web_cluster_has_no_column_for_rows(void **state)
{
    struct grid grid;
    (void)state;
    for (size_t i = 0; i < N_REPEATS; i++) {
        struct course_event *ran = event_of(i);
        fixture.run.samples[i].course->has_writes = false;
        ran->step_ms[STEP_COPIED] = ran->n_rows = ran->n_copied_rows = ran->n_copied_bytes = NAN;
    }
    make_result();
    grid_init(&grid);
    grid_add_column(&grid, "hash", false);
    course_make_table(result, &grid);
    grid_print(&grid, &out);
    grid_done(&grid);
    assert_null(strstr(buf_str(&out), "copied"));
    assert_null(strstr(buf_str(&out), "rows"));
    assert_null(strstr(buf_str(&out), "failed reads"));
    expect("failed");
}

static void the_figure_gets_writes_beside_the_sum_and_what_was_copied(void **state)
{
    (void)state;
    make_result();
    course_print_variables(result, &out);
    expect("has_writes = 1\n");
    expect("point\trepeat\ttypical\tt\trate\tfailed\tp50\tmax\twrites\n");
    expect("\t1000\t0\t0.5\t2\t400\n"); /* a second, of buckets of 50 ms */
    expect("array event_held_rows[1] = [200]\n");
    expect("array event_copied_bytes[1] = [14000]\n");
    expect("array event_failed_reads[1] = [0]\n");
    expect("\tcopied\t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_course_that_lost_nothing_is_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replacement_that_never_got_its_rows_is_a_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_failed_is_a_reason_where_another_replica_is,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_failed_is_none_where_there_was_one_replica,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_table_tells_rows_and_failures_of_reads_and_of_writes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_table_of_a_web_cluster_has_no_column_for_rows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_figure_gets_writes_beside_the_sum_and_what_was_copied,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
