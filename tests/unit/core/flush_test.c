#include "core/flush.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    struct flush_item item;
    char letter;
    struct item *adds; /* queued again while this one is flushed */
    int times;
    struct item *removes;
};

static struct ev_loop *loop;
static struct flusher flusher;
static char flushed[64];

static void on_flush(struct flush_item *base)
{
    struct item *item = (struct item *)base;

    strncat(flushed, &item->letter, 1);
    if (item->removes)
        flusher_remove(&flusher, &item->removes->item);
    if (item->adds && item->times-- > 0)
        flusher_add(&flusher, &item->adds->item);
}

static struct item make(char letter)
{
    return (struct item){.item = {.flush = on_flush}, .letter = letter};
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&flusher, loop);
    flushed[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flusher_done(&flusher);
    ev_loop_destroy(loop);
    return 0;
}

static void flusher_flushes_once_before_the_loop_sleeps(void **state)
{
    struct item a = make('a'), b = make('b'), c = make('c');

    (void)state;
    flusher_add(&flusher, &b.item);
    flusher_add(&flusher, &a.item);
    flusher_add(&flusher, &b.item);
    flusher_add(&flusher, &c.item);
    assert_string_equal(flushed, "");
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "bac");
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "bac");
    flusher_add(&flusher, &c.item);
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "bacc");
}

static void flusher_runs_what_is_queued_meanwhile_in_the_same_pass(void **state)
{
    struct item a = make('a'), b = make('b');

    (void)state;
    a.adds = &a; /* itself, twice more */
    a.times = 2;
    b.adds = &a;
    b.times = 1;
    flusher_add(&flusher, &a.item);
    flusher_add(&flusher, &b.item);
    ev_run(loop, EVRUN_NOWAIT);
    /* a queues itself behind b, which finds it there. */
    assert_string_equal(flushed, "abaa");
}

static void flusher_forgets_what_is_removed(void **state)
{
    struct item items[] = {make('a'), make('b'), make('c'), make('d')};

    (void)state;
    for (size_t removed = 0; removed < 4; removed++) {
        char expected[8] = "", *to = expected;
        flushed[0] = '\0';
        for (size_t i = 0; i < 4; i++) {
            flusher_add(&flusher, &items[i].item);
            if (i != removed)
                *to++ = items[i].letter;
        }
        flusher_remove(&flusher, &items[removed].item);
        flusher_remove(&flusher, &items[removed].item);
        ev_run(loop, EVRUN_NOWAIT);
        assert_string_equal(flushed, expected);
    }
}

static void flusher_may_lose_items_while_it_flushes(void **state)
{
    struct item a = make('a'), b = make('b'), c = make('c');

    (void)state;
    a.removes = &b;
    c.removes = &c; /* not queued any more */
    flusher_add(&flusher, &a.item);
    flusher_add(&flusher, &b.item);
    flusher_add(&flusher, &c.item);
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "ac");
    flusher_add(&flusher, &b.item);
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "acb");
}

static void flusher_does_not_keep_its_loop_alive(void **state)
{
    struct item a = make('a');

    (void)state;
    flusher_add(&flusher, &a.item);
    ev_run(loop, 0); /* returns */
    assert_string_equal(flushed, "a");
}

static void flusher_done_leaves_items_that_another_can_take(void **state)
{
    struct item a = make('a'), b = make('b');
    struct flusher other;

    (void)state;
    flusher_init(&other, loop);
    flusher_add(&other, &a.item);
    flusher_add(&other, &b.item);
    flusher_done(&other);
    flusher_add(&flusher, &b.item);
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(flushed, "b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(flusher_flushes_once_before_the_loop_sleeps),
        TEST(flusher_runs_what_is_queued_meanwhile_in_the_same_pass),
        TEST(flusher_forgets_what_is_removed),
        TEST(flusher_may_lose_items_while_it_flushes),
        TEST(flusher_does_not_keep_its_loop_alive),
        TEST(flusher_done_leaves_items_that_another_can_take),
    };
    return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
