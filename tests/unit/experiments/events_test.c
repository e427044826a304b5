#include "experiments/events.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct arena arena;
static struct event_list list;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    list = (struct event_list){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void add(const char *when, const char *what)
{
    if (events_add(&list, &arena, when, what, &err) < 0)
        fail_msg("%s = %s: %s", when, what, err.message);
}

static void refuse(const char *when, const char *what, const char *words)
{
    size_t n = list.n;
    assert_int_equal(events_add(&list, &arena, when, what, &err), -EINVAL);
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
    assert_int_equal(list.n, n);
}

static void events_say_what_is_done_when_and_to_whom(void **state)
{
    (void)state;
    add("at 1s", "kill Server1");
    add("at 2.5s", "stop random");
    add("at 3200ms", "cont last");
    add("at 4s", "rm 2");
    add("at 5s", "add S5");
    assert_int_equal(list.n, 5);
    assert_int_equal(list.at[0].action, EVENT_KILL);
    assert_string_equal(list.at[0].target, "Server1");
    assert_string_equal(list.at[0].label, "SIGKILL Server1");
    assert_int_equal(list.at[1].at_ns, 2500 * MS);
    assert_string_equal(list.at[1].target, "random");
    assert_string_equal(list.at[1].label, "SIGSTOP");
    assert_int_equal(list.at[2].action, EVENT_CONT);
    assert_int_equal(list.at[2].at_ns, 3200 * MS);
    assert_null(list.at[3].target);
    assert_int_equal(list.at[3].n, 2);
    assert_string_equal(list.at[3].label, "/rm 2");
    assert_int_equal(list.at[4].action, EVENT_ADD);
    assert_string_equal(list.at[4].target, "S5");
    assert_int_equal(list.at[4].n, 1);
}

static void events_stand_in_the_order_of_time(void **state)
{
    (void)state;
    add("at 3s", "add 1");
    add("at 1s", "kill random");
    add("at 500ms every 1s times 3", "stop random");
    static const uint64_t at_ms[] = {500, 1000, 1500, 2500, 3000};
    assert_int_equal(list.n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(list.at[i].at_ns, at_ms[i] * MS);
    assert_int_equal(list.at[1].action, EVENT_KILL);
    assert_int_equal(list.at[4].action, EVENT_ADD);
}

static void events_refuse_what_they_do_not_understand(void **state)
{
    (void)state;
    refuse("1s", "kill Server1", "neither 'at TIME'");
    refuse("at", "kill Server1", "neither 'at TIME'");
    refuse("at 1s every 2s", "kill Server1", "neither 'at TIME'");
    refuse("at 1s every 0s times 3", "kill random", "every 0 is never");
    refuse("at soon", "kill Server1", "soon");
    refuse("at 1", "kill Server1", "1");
    refuse("at 9999.5s", "kill Server1", "600 s");
    refuse("at 1s", "kil Server1", "did you mean 'kill'?");
    refuse("at 1s", "explode Server1", "there are kill, stop, cont, rm, add");
    refuse("at 1s", "kill", "'kill'");
    refuse("at 1s", "kill ../x", "not the name of a server");
    refuse("at 1s", "cont random", "random goes with kill and stop");
    refuse("at 1s", "rm random", "a number leaves the choice");
    refuse("at 1s", "kill last", "last goes with cont");
    refuse("at 1s", "rm 0", "rm");
    refuse("at 1s", "add 65", "add");
}

static void events_are_bounded(void **state)
{
    (void)state;
    add("at 1s every 10ms times 64", "kill random");
    refuse("at 2s", "kill random", "more than 64 events");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_say_what_is_done_when_and_to_whom, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(events_stand_in_the_order_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_refuse_what_they_do_not_understand, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(events_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
