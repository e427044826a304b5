#include "core/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/support/forked.h"

static void buf_new_is_empty_and_without_memory(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_len(&buf), 0);
    assert_int_equal(buf.capacity, 0);
    assert_null(buf.data);
    assert_string_equal(buf_str(&buf), "");
    buf_done(&buf);
    buf_done(&buf);
    assert_int_equal(buf.max_bytes, 10);
}

static void buf_appends_and_consumes_in_order(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 0);
    assert_int_equal(buf_append_str(&buf, "GET "), 0);
    assert_int_equal(buf_append(&buf, "/home\0x", 7), 0);
    assert_int_equal(buf_len(&buf), 11);
    buf_consume(&buf, 4);
    assert_int_equal(buf_len(&buf), 7);
    assert_memory_equal(buf_head(&buf), "/home\0x", 7);
    buf_consume(&buf, 7);
    assert_int_equal(buf_len(&buf), 0);
    assert_int_equal(buf.start, 0); /* space is reclaimed when it is empty */
    buf_done(&buf);
}

static void buf_takes_exactly_its_maximum(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
    assert_string_equal(buf_str(&buf), "0123456789"); /* the NUL does not count */
    buf_done(&buf);
}

static void buf_refuses_growth_past_its_maximum(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_append_str(&buf, "01234567"), 0);
    assert_int_equal(buf_append_str(&buf, "89x"), -EMSGSIZE);
    assert_int_equal(buf_appendf(&buf, "%s", "89x"), -EMSGSIZE);
    assert_null(buf_reserve(&buf, 3));
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_string_equal(buf_str(&buf), "01234567");
    assert_int_equal(buf_appendf(&buf, "%d", 89), 0);
    assert_string_equal(buf_str(&buf), "0123456789");
    /* What was consumed makes room again. */
    buf_consume(&buf, 5);
    assert_int_equal(buf_append_str(&buf, "abcde"), 0);
    assert_int_equal(buf_append_str(&buf, "f"), -EMSGSIZE);
    assert_string_equal(buf_str(&buf), "56789abcde");
    buf_done(&buf);
}

static void buf_refuses_a_size_that_overflows(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 0);
    assert_int_equal(buf_append_str(&buf, "x"), 0);
    assert_null(buf_reserve(&buf, SIZE_MAX));
    buf_done(&buf);
}

static void buf_appendf_formats_longer_than_the_room(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 0);
    /* Every length about the first capacity, where the text fits but its NUL does not. */
    for (int n = 250; n < 260; n++) {
        buf_done(&buf);
        assert_int_equal(buf_appendf(&buf, "%0*d", n, 5), 0);
        assert_int_equal(buf_len(&buf), n);
        assert_int_equal(buf_head(&buf)[n - 1], '5');
    }
    assert_int_equal(buf_appendf(&buf, "|%s|", "tail"), 0);
    assert_string_equal(buf_str(&buf) + 259, "|tail|");
    buf_done(&buf);
}

static void buf_reserve_and_commit_add_what_was_written(void **state)
{
    struct buf buf;
    char *place;

    (void)state;
    buf_init(&buf, 100);
    place = buf_reserve(&buf, 100);
    assert_non_null(place);
    memcpy(place, "abc", 3);
    buf_commit(&buf, 3);
    assert_string_equal(buf_str(&buf), "abc");
    assert_non_null(buf_reserve(&buf, 97));
    assert_null(buf_reserve(&buf, 98));
    assert_non_null(buf_reserve(&buf, 0));
    buf_done(&buf);
}

static void call_consume_too_much(void *unused)
{
    struct buf buf;

    (void)unused;
    buf_init(&buf, 0);
    buf_append_str(&buf, "abc");
    buf_consume(&buf, 4);
}

static void call_commit_too_much(void *unused)
{
    struct buf buf;

    (void)unused;
    buf_init(&buf, 10);
    buf_reserve(&buf, 10);
    buf_commit(&buf, 11);
}

static void buf_asserts_that_its_caller_can_count(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_consume_too_much, NULL));
    assert_true(forked_aborts(call_commit_too_much, NULL));
}

static void buf_shrink_frees_only_an_empty_and_large_one(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 0);
    assert_non_null(buf_reserve(&buf, 100000));
    buf_append_str(&buf, "x");
    buf_shrink(&buf, 1000);
    assert_true(buf.capacity >= 100000);
    buf_clear(&buf);
    assert_int_equal(buf_len(&buf), 0);
    assert_true(buf.capacity >= 100000);
    buf_shrink(&buf, buf.capacity);
    assert_true(buf.capacity >= 100000);
    buf_shrink(&buf, 1000);
    assert_int_equal(buf.capacity, 0);
    assert_int_equal(buf_append_str(&buf, "again"), 0);
    assert_string_equal(buf_str(&buf), "again");
    buf_done(&buf);
}

/* A stream that is read slower than it is written stays within twice what it holds, so that a
 * connection that lives for days does not grow. */
static void buf_as_a_queue_keeps_order_and_bounded_memory(void **state)
{
    struct buf buf;
    struct rng rng;
    unsigned char next_in = 0, next_out = 0;

    (void)state;
    buf_init(&buf, 5000);
    rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        size_t n_in = (size_t)rng_below(&rng, 700), n_out;
        char *place = buf_reserve(&buf, n_in);

        if (place == NULL) {
            assert_true(buf_len(&buf) + n_in > 5000);
        } else {
            for (size_t k = 0; k < n_in; k++)
                place[k] = (char)next_in++;
            buf_commit(&buf, n_in);
        }
        n_out = (size_t)rng_below(&rng, buf_len(&buf) + 1);
        for (size_t k = 0; k < n_out; k++)
            assert_int_equal((unsigned char)buf_head(&buf)[k], next_out++);
        buf_consume(&buf, n_out);
    }
    assert_true(buf.capacity <= 4 * 5000);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_new_is_empty_and_without_memory),
        cmocka_unit_test(buf_appends_and_consumes_in_order),
        cmocka_unit_test(buf_takes_exactly_its_maximum),
        cmocka_unit_test(buf_refuses_growth_past_its_maximum),
        cmocka_unit_test(buf_refuses_a_size_that_overflows),
        cmocka_unit_test(buf_appendf_formats_longer_than_the_room),
        cmocka_unit_test(buf_reserve_and_commit_add_what_was_written),
        cmocka_unit_test(buf_asserts_that_its_caller_can_count),
        cmocka_unit_test(buf_shrink_frees_only_an_empty_and_large_one),
        cmocka_unit_test(buf_as_a_queue_keeps_order_and_bounded_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
