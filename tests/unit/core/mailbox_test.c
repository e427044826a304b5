#include "core/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_SENDERS 4
#define N_LETTERS 20000

struct numbered {
    struct letter letter;
    unsigned sender, number;
    char text[16]; /* what a reader must see whole */
};

static struct ev_loop *loop;
static struct mailbox mailbox;
static unsigned next_number[N_SENDERS];
static unsigned n_received;
static unsigned n_expected;
static struct letter *sent_back;

static struct numbered *letter_of(unsigned sender, unsigned number)
{
    struct numbered *letter = calloc(1, sizeof(*letter));

    letter->sender = sender;
    letter->number = number;
    memset(letter->text, (int)('a' + number % 26), sizeof(letter->text));
    return letter;
}

static void on_letter(void *context, struct letter *raw)
{
    struct numbered *letter = (struct numbered *)raw;

    assert_ptr_equal(context, &mailbox);
    assert_int_equal(letter->number, next_number[letter->sender]);
    next_number[letter->sender]++;
    for (size_t i = 0; i < sizeof(letter->text); i++)
        assert_int_equal(letter->text[i], 'a' + letter->number % 26);
    if (sent_back) { /* a letter may be posted while letters are delivered */
        struct letter *other = sent_back;
        sent_back = NULL;
        mailbox_post(&mailbox, other);
    }
    free(letter);
    if (++n_received == n_expected)
        ev_break(loop, EVBREAK_ALL);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    memset(next_number, 0, sizeof(next_number));
    n_received = n_expected = 0;
    sent_back = NULL;
    mailbox_open(&mailbox, loop, on_letter, &mailbox);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mailbox_close(&mailbox);
    ev_loop_destroy(loop);
    return 0;
}

static void *post_many(void *context)
{
    unsigned sender = (unsigned)(uintptr_t)context;

    for (unsigned i = 0; i < N_LETTERS; i++) {
        mailbox_post(&mailbox, &letter_of(sender, i)->letter);
        if (i % 1000 == 0)
            sched_yield();
    }
    return NULL;
}

static void on_patience(struct ev_loop *l, struct ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

/* The loop sleeps between letters, so that a lost wake-up shows. */
static void run_until_all_came(double patience_s)
{
    struct ev_timer patience;

    ev_timer_init(&patience, on_patience, patience_s, 0.);
    ev_timer_start(loop, &patience);
    if (n_received < n_expected)
        ev_run(loop, 0);
    ev_timer_stop(loop, &patience);
}

static void mailbox_loses_no_letter_and_keeps_each_senders_order(void **state)
{
    pthread_t threads[N_SENDERS];

    (void)state;
    n_expected = N_SENDERS * N_LETTERS;
    for (uintptr_t i = 0; i < N_SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
    run_until_all_came(20.);
    for (int i = 0; i < N_SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n_received, n_expected);
}

static void *post_one_by_one(void *context)
{
    (void)context;
    for (unsigned i = 0; i < 500; i++) {
        mailbox_post(&mailbox, &letter_of(0, i)->letter);
        for (int spin = 0; spin < 20; spin++)
            sched_yield();
    }
    return NULL;
}

static void mailbox_wakes_a_sleeping_loop_for_each_letter(void **state)
{
    pthread_t thread;

    (void)state;
    n_expected = 500;
    assert_int_equal(pthread_create(&thread, NULL, post_one_by_one, NULL), 0);
    run_until_all_came(20.);
    pthread_join(thread, NULL);
    assert_int_equal(n_received, 500);
}

static void mailbox_takes_letters_before_its_loop_runs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        mailbox_post(&mailbox, &letter_of(0, i)->letter);
    assert_int_equal(n_received, 0);
    n_expected = 3;
    run_until_all_came(20.);
    assert_int_equal(n_received, 3);
}

static void mailbox_delivers_what_is_posted_during_a_delivery(void **state)
{
    (void)state;
    n_expected = 3;
    mailbox_post(&mailbox, &letter_of(0, 0)->letter);
    mailbox_post(&mailbox, &letter_of(0, 1)->letter);
    sent_back = &letter_of(1, 0)->letter;
    run_until_all_came(20.);
    assert_int_equal(n_received, 3);
    assert_int_equal(next_number[1], 1);
}

static void mailbox_close_delivers_what_is_left(void **state)
{
    struct ev_loop *other = ev_loop_new(EVFLAG_AUTO);
    struct mailbox second;

    (void)state;
    mailbox_open(&second, other, on_letter, &mailbox);
    mailbox_post(&second, &letter_of(0, 0)->letter);
    mailbox_post(&second, &letter_of(0, 1)->letter);
    mailbox_close(&second);
    assert_int_equal(n_received, 2);
    ev_loop_destroy(other);
}

static void mailbox_does_not_keep_its_loop_alive(void **state)
{
    (void)state;
    ev_run(loop, 0); /* returns */
    assert_int_equal(n_received, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mailbox_loses_no_letter_and_keeps_each_senders_order),
        TEST(mailbox_wakes_a_sleeping_loop_for_each_letter),
        TEST(mailbox_takes_letters_before_its_loop_runs),
        TEST(mailbox_delivers_what_is_posted_during_a_delivery),
        TEST(mailbox_close_delivers_what_is_left),
        TEST(mailbox_does_not_keep_its_loop_alive),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
