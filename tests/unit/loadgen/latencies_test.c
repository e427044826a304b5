#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "loadgen/latencies.h"

/* More than one piece. */
#define MANY 200000

/* What latencies_write() says, read back; fails when it is not one number a line. */
static size_t written(const struct latencies *latencies, uint64_t *ret_values, size_t max)
{
    char *text = NULL, *at;
    size_t n_bytes = 0, n = 0;
    FILE *memory = open_memstream(&text, &n_bytes);

    assert_non_null(memory);
    assert_int_equal(latencies_write(latencies, memory), 0);
    fclose(memory);
    for (at = text; *at; n++) {
        assert_true(n < max);
        ret_values[n] = strtoull(at, &at, 10);
        assert_int_equal(*at++, '\n');
    }
    free(text);
    return n;
}

static void every_latency_is_written_in_the_order_of_recording(void **state)
{
    struct latencies *latencies = latencies_new(MANY);
    uint64_t *values = mem_zalloc(MANY, sizeof(*values));

    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        latencies_record(latencies, i * 7);
    assert_int_equal(written(latencies, values, MANY), MANY);
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(values[i], i * 7);
    assert_int_equal(latencies_lost(latencies), 0);
    latencies_free(latencies);
    free(values);
}

static void past_the_limit_they_are_counted_and_not_kept(void **state)
{
    struct latencies *latencies = latencies_new(3);
    uint64_t values[3];

    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        latencies_record(latencies, i);
    assert_int_equal(latencies_kept(latencies), 3);
    assert_int_equal(latencies_lost(latencies), 2);
    assert_int_equal(written(latencies, values, 3), 3);
    assert_int_equal(values[2], 3);
    latencies_free(latencies);
}

static void those_of_threads_stand_one_behind_the_other(void **state)
{
    struct latencies *whole = latencies_new(0);
    uint64_t values[5];

    (void)state;
    for (uint64_t thread = 0; thread < 4; thread++) {
        struct latencies *part = latencies_new(2);
        /* The second recorded nothing, the last one more than it may. */
        for (uint64_t i = 0; thread != 1 && i <= thread; i++)
            latencies_record(part, thread * 10 + i);
        latencies_take(whole, part);
        assert_int_equal(latencies_kept(part), 0);
        latencies_free(part);
    }
    assert_int_equal(latencies_kept(whole), 5);
    assert_int_equal(latencies_lost(whole), 3);
    assert_int_equal(written(whole, values, 5), 5);
    assert_int_equal(values[0], 0);
    assert_int_equal(values[1], 20);
    assert_int_equal(values[2], 21);
    assert_int_equal(values[4], 31);
    latencies_free(whole);
}

static void none_is_an_empty_file(void **state)
{
    struct latencies *latencies = latencies_new(10);

    (void)state;
    assert_int_equal(written(latencies, NULL, 0), 0);
    latencies_free(latencies);
    latencies_free(NULL);
}

static void a_full_disk_is_told(void **state)
{
    struct latencies *latencies = latencies_new(MANY);
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    if (!full)
        skip();
    for (uint64_t i = 0; i < MANY; i++)
        latencies_record(latencies, i);
    assert_true(latencies_write(latencies, full) < 0);
    fclose(full);
    latencies_free(latencies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_latency_is_written_in_the_order_of_recording),
        cmocka_unit_test(past_the_limit_they_are_counted_and_not_kept),
        cmocka_unit_test(those_of_threads_stand_one_behind_the_other),
        cmocka_unit_test(none_is_an_empty_file),
        cmocka_unit_test(a_full_disk_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
