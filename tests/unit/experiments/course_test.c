#include "experiments/course.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"

#define MS UINT64_C(1000000)

static struct course *course;
static struct event_list events;
static struct arena arena;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    course = course_new();
    events = (struct event_list){0};
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    course_free(course);
    arena_done(&arena);
    return 0;
}

/* An event that was done so many ms after the clock's zero. */
static struct course_event *done(const char *what, uint64_t at_ms, uint64_t uid)
{
    char when[32];
    snprintf(when, sizeof(when), "at %dms", (int)at_ms);
    assert_int_equal(events_add(&events, &arena, when, what, &err), 0);
    struct course_event *ran = &course->events[course->n_events++];
    *ran = (struct course_event){.monotonic_ns = at_ms * MS, .uid = uid};
    return ran;
}

static int merge(const char *json)
{
    cJSON *tree = json_parse(json, strlen(json), &err);
    assert_non_null(tree);
    int status = course_merge(course, &events, tree, &err);
    cJSON_Delete(tree);
    return status;
}

static void close_to(double value, double wanted)
{
    if (!(fabs(value - wanted) < 1e-9))
        fail_msg("%g, wanted %g", value, wanted);
}

static void course_takes_the_steps_of_its_own_server_and_its_replacement(void **state)
{
    (void)state;
    const struct course_event *kill = done("kill Server1", 1000, 1);
    assert_int_equal(merge("[{\"step\":\"serving\",\"monotonic_ns\":900000000,\"uid\":1},"
                           "{\"step\":\"detected\",\"monotonic_ns\":1000500000,\"uid\":2},"
                           "{\"step\":\"spawned\",\"monotonic_ns\":1000600000,\"uid\":7},"
                           "{\"step\":\"detected\",\"monotonic_ns\":1001000000,\"uid\":1},"
                           "{\"step\":\"out\",\"monotonic_ns\":1002000000,\"uid\":1},"
                           "{\"step\":\"spawned\",\"monotonic_ns\":1002500000,\"uid\":9},"
                           "{\"step\":\"serving\",\"monotonic_ns\":1003000000,\"uid\":7},"
                           "{\"step\":\"listens\",\"monotonic_ns\":1010000000,\"uid\":9},"
                           "{\"step\":\"serving\",\"monotonic_ns\":1012250000,\"uid\":9}]"),
                     0);
    close_to(kill->step_ms[STEP_DETECTED], 1);
    close_to(kill->step_ms[STEP_OUT], 2);
    close_to(kill->step_ms[STEP_SPAWNED], 2.5);
    close_to(kill->step_ms[STEP_LISTENS], 10);
    close_to(kill->step_ms[STEP_SERVING], 12.25);
    assert_true(isnan(kill->step_ms[STEP_EXITED]));
    assert_true(isnan(kill->step_ms[STEP_DRAINED]));
    assert_true(isnan(kill->step_ms[STEP_ANSWERED]));
}

static void course_takes_the_rows_that_the_replacement_got(void **state)
{
    (void)state;
    const struct course_event *kill = done("kill Server1", 1000, 1);
    assert_int_equal(merge("[{\"step\":\"detected\",\"monotonic_ns\":1001000000,\"uid\":1},"
                           "{\"step\":\"spawned\",\"monotonic_ns\":1002000000,\"uid\":9},"
                           "{\"step\":\"filled\",\"monotonic_ns\":1050000000,\"uid\":9,"
                           "\"rows\":60,\"copied_rows\":61,\"copied_bytes\":4000},"
                           "{\"step\":\"copied\",\"monotonic_ns\":1070000000,\"uid\":8,"
                           "\"rows\":1,\"copied_rows\":1,\"copied_bytes\":1},"
                           "{\"step\":\"copied\",\"monotonic_ns\":1080000000,\"uid\":9,"
                           "\"rows\":100,\"copied_rows\":103,\"copied_bytes\":7000},"
                           "{\"step\":\"serving\",\"monotonic_ns\":1080500000,\"uid\":9}]"),
                     0);
    close_to(kill->step_ms[STEP_COPIED], 80);
    close_to(kill->step_ms[STEP_SERVING], 80.5);
    close_to(kill->n_rows, 100);
    close_to(kill->n_copied_rows, 103);
    close_to(kill->n_copied_bytes, 7000);
}

static void course_has_no_rows_where_there_is_no_database(void **state)
{
    (void)state;
    const struct course_event *kill = done("kill Server1", 1000, 1);
    assert_int_equal(merge("[{\"step\":\"detected\",\"monotonic_ns\":1001000000,\"uid\":1},"
                           "{\"step\":\"spawned\",\"monotonic_ns\":1002000000,\"uid\":9},"
                           "{\"step\":\"serving\",\"monotonic_ns\":1080500000,\"uid\":9}]"),
                     0);
    assert_true(isnan(kill->step_ms[STEP_COPIED]));
    assert_true(isnan(kill->n_rows) && isnan(kill->n_copied_rows) && isnan(kill->n_copied_bytes));
}

static void course_waits_for_the_last_of_several(void **state)
{
    (void)state;
    struct course_event *rm = done("rm 2", 1000, 0);
    rm->answered_ns = 1003 * MS;
    const struct course_event *add = done("add 1", 2000, 0);
    assert_int_equal(merge("[{\"step\":\"drained\",\"monotonic_ns\":1001000000,\"uid\":1},"
                           "{\"step\":\"drained\",\"monotonic_ns\":1002000000,\"uid\":3},"
                           "{\"step\":\"exited\",\"monotonic_ns\":1004000000,\"uid\":3},"
                           "{\"step\":\"spawned\",\"monotonic_ns\":2001000000,\"uid\":4},"
                           "{\"step\":\"serving\",\"monotonic_ns\":2008000000,\"uid\":4}]"),
                     0);
    close_to(rm->step_ms[STEP_DRAINED], 2);
    close_to(rm->step_ms[STEP_ANSWERED], 3);
    assert_true(isnan(rm->step_ms[STEP_EXITED])); /* one of the two has not */
    close_to(add->step_ms[STEP_SERVING], 8);
}

static void course_refuses_a_timeline_without_times(void **state)
{
    (void)state;
    done("kill Server1", 1000, 1);
    assert_int_equal(merge("[{\"step\":\"detected\",\"uid\":1}]"), -EINVAL);
    assert_int_equal(merge("{}"), -EINVAL);
}

static int parse(const char *text)
{
    return course_parse_buckets(course, text, strlen(text), &err);
}

#define HEADING "t_s\tmonotonic_ns\tok\tfailed\tdropped\tp50_ms\tp99_ms\tmax_ms\tserver:Server1\n"

static void course_puts_buckets_and_events_on_one_clock(void **state)
{
    (void)state;
    done("kill Server1", 1120, 1);
    done("kill Server2", 1200, 2);
    /* The load began 20 ms into the first bucket; the third has no row. */
    assert_int_equal(parse(HEADING "-0.02\t1000000000\t7\t0\t0\t0.4\t1\t2.5\t7\n"
                                   "0.03\t1050000000\t10\t1\t0\t0.5\t1\t3\t10\n"
                                   "0.13\t1150000000\t0\t4\t0\tNaN\tNaN\tNaN\t11\n"
                                   "0.18\t1200000000\t12\t5\t0\t0.6\t1\t1100\tNaN\n"),
                     0);
    assert_int_equal(course->n_buckets, 5);
    assert_int_equal(course->begin_ns, 1000 * MS);
    assert_int_equal(course->started_ns, 1020 * MS);
    static const double ok[] = {7, 10, 0, 0, 12};
    static const double max_ms[] = {2.5, 3, NAN, NAN, 1100};
    for (size_t i = 0; i < 5; i++) {
        close_to(course->ok[i], ok[i]);
        if (isnan(max_ms[i]))
            assert_true(isnan(course->max_ms[i]) && isnan(course->p50_ms[i]));
        else
            close_to(course->max_ms[i], max_ms[i]);
    }
    close_to(course->p50_ms[4], .6);
    assert_false(course->has_writes);
    /* What failed before the first event is nobody's. */
    close_to(course->events[0].n_failed, 4);
    close_to(course->events[1].n_failed, 5);
}

static void course_tells_writes_from_reads_where_the_load_does(void **state)
{
    (void)state;
    done("kill Server1", 1060, 1);
    assert_int_equal(parse("t_s\tmonotonic_ns\tok\tfailed\tdropped\tp50_ms\tp99_ms\tmax_ms\t"
                           "writes_ok\twrites_failed\tserver:Server1\n"
                           "0\t1000000000\t7\t0\t0\t0.4\t1\t2.5\t3\t0\t7\n"
                           "0.1\t1100000000\t9\t5\t0\t0.4\t1\t2.5\t4\t2\t9\n"),
                     0);
    assert_true(course->has_writes);
    assert_int_equal(course->n_buckets, 3);
    close_to(course->writes_ok[0], 3);
    close_to(course->writes_ok[1], 0);
    close_to(course->writes_ok[2], 4);
    close_to(course->writes_failed[2], 2);
    close_to(course->events[0].n_failed, 5);
    close_to(course->events[0].n_failed_writes, 2);
    assert_int_equal(parse("t_s\tmonotonic_ns\tok\tfailed\tp50_ms\tmax_ms\twrites_ok\t"
                           "writes_failed\n0\t2000000000\t7\t0\t1\t1\tx\t0\n"),
                     -EINVAL);
}

static void course_refuses_broken_buckets(void **state)
{
    (void)state;
    assert_int_equal(parse("monotonic_ns\tok\n1\t2\n"), -EINVAL);
    assert_non_null(strstr(err.message, "line 1: no column 't_s'"));
    assert_int_equal(parse(HEADING "0\t1000000000\tx\t0\t0\t1\t1\t1\t7\n"), -EINVAL);
    assert_non_null(strstr(err.message, "line 2: not a row of numbers"));
    assert_int_equal(parse(HEADING "0\t1000000000\t1\n"), -EINVAL);
    assert_int_equal(parse(""), -EINVAL);
    assert_int_equal(parse(HEADING "0\t1000000000\t1\t0\t0\t1\t1\t1\t1\n"
                                   "0\t1\t1\t0\t0\t1\t1\t1\t1\n"),
                     -EINVAL);
    assert_non_null(strstr(err.message, "out of order"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            course_takes_the_steps_of_its_own_server_and_its_replacement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(course_takes_the_rows_that_the_replacement_got, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(course_has_no_rows_where_there_is_no_database, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(course_waits_for_the_last_of_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(course_refuses_a_timeline_without_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(course_puts_buckets_and_events_on_one_clock, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(course_tells_writes_from_reads_where_the_load_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(course_refuses_broken_buckets, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
