#include "experiments/usage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static void usage_a_request_is_the_difference_over_their_number(void **state)
{
    const struct usage before = {true, 1000000, 7}, after = {true, 26000000, 7};
    (void)state;
    assert_true(usage_per_request_us(&before, &after, 1000) == 25);
    assert_true(usage_per_request_us(&before, &before, 1000) == 0);
}

static void usage_is_not_known_of_other_processes_or_no_request(void **state)
{
    const struct usage before = {true, 1000, 7}, after = {true, 2000, 7};
    const struct usage others = {true, 2000, 8}, unseen = {false, 2000, 7};
    (void)state;
    assert_true(isnan(usage_per_request_us(&before, &others, 10)));
    assert_true(isnan(usage_per_request_us(&before, &unseen, 10)));
    assert_true(isnan(usage_per_request_us(&unseen, &after, 10)));
    assert_true(isnan(usage_per_request_us(&after, &before, 10)));
    assert_true(isnan(usage_per_request_us(&before, &after, 0)));
}

/* Nobody answers on that port, which is no client's to get. */
static void usage_of_a_cluster_that_does_not_answer_is_not_known(void **state)
{
    struct testbed testbed = {.lb = {.pid = getpid()}, .address = "127.0.0.1:1"};
    struct usage usage = {.known = true};
    (void)state;
    usage_read(&testbed, &usage);
    assert_false(usage.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_a_request_is_the_difference_over_their_number),
        cmocka_unit_test(usage_is_not_known_of_other_processes_or_no_request),
        cmocka_unit_test(usage_of_a_cluster_that_does_not_answer_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
