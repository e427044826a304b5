#include "loadgen/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "loadgen/student.h"

#define MAX_THREADS 3

struct fixture {
    struct journal *all[MAX_THREADS];
    struct journals journals;
};

static struct fixture make(size_t n, int64_t low)
{
    struct fixture fixture = {.journals = {.n = n}};
    for (size_t i = 0; i < n; i++)
        fixture.all[i] = journal_new(low);
    return fixture;
}

static const struct journals *sealed(struct fixture *fixture)
{
    fixture->journals.journals = fixture->all;
    journals_seal(&fixture->journals);
    return &fixture->journals;
}

static void free_all(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->journals.n; i++)
        journal_free(fixture->all[i]);
}

static bool admits(const struct journals *journals, int64_t key, uint64_t before, uint64_t value)
{
    return journals_judge(journals, key, before, value).admitted;
}

static void a_key_that_nobody_wrote_holds_what_it_held(void **state)
{
    (void)state;
    struct fixture fixture = make(2, 0);
    journal_done(fixture.all[0], 5, 1, 10, 20);
    const struct journals *journals = sealed(&fixture);
    assert_true(admits(journals, 6, 9, 9));
    assert_false(admits(journals, 6, 9, 8));
    assert_false(admits(journals, 6, 9, STUDENT_NONE));
    assert_true(admits(journals, -1, STUDENT_NONE, STUDENT_NONE));
    assert_true(journals_judge(journals, 6, STUDENT_NONE, 3).absence);
    assert_false(journals_judge(journals, 6, STUDENT_NONE, 3).presence);
    free_all(&fixture);
}

static void a_write_that_was_done_supersedes_what_ended_before_it_began(void **state)
{
    (void)state;
    struct fixture fixture = make(2, 100);
    journal_done(fixture.all[0], 105, 1, 10, 20);
    journal_done(fixture.all[0], 105, 2, 21, 30);
    journal_done(fixture.all[1], 105, 3, 30, 40); /* began as the second ended: concurrent */
    const struct journals *journals = sealed(&fixture);
    assert_false(admits(journals, 105, 0, 0));
    assert_false(admits(journals, 105, 0, 1));
    assert_true(admits(journals, 105, 0, 2));
    assert_true(admits(journals, 105, 0, 3));
    assert_false(journals_judge(journals, 105, 0, 3).absence);
    free_all(&fixture);
}

static void a_long_write_of_another_thread_may_be_the_last(void **state)
{
    (void)state;
    struct fixture fixture = make(2, 0);
    journal_done(fixture.all[0], 1, 7, 10, 1000);
    for (uint64_t i = 0; i < 50; i++)
        journal_done(fixture.all[1], 1, 100 + i, 20 + 10 * i, 25 + 10 * i);
    const struct journals *journals = sealed(&fixture);
    assert_true(admits(journals, 1, 0, 7));
    assert_true(admits(journals, 1, 0, 149));
    assert_false(admits(journals, 1, 0, 148));
    free_all(&fixture);
}

static void a_write_in_doubt_may_take_effect_at_any_time_or_never(void **state)
{
    (void)state;
    struct fixture fixture = make(1, 0);
    journal_in_doubt(fixture.all[0], 1, 50);
    journal_done(fixture.all[0], 2, 60, 10, 20);
    journal_in_doubt(fixture.all[0], 2, STUDENT_NONE);
    journal_done(fixture.all[0], 2, 61, 30, 40);
    const struct journals *journals = sealed(&fixture);
    assert_true(admits(journals, 1, STUDENT_NONE, 50));
    assert_true(admits(journals, 1, STUDENT_NONE, STUDENT_NONE));
    assert_true(journals_judge(journals, 1, STUDENT_NONE, 50).in_doubt);
    assert_true(admits(journals, 2, 0, 61));
    assert_true(admits(journals, 2, 0, STUDENT_NONE));
    assert_false(admits(journals, 2, 0, 60));
    assert_int_equal(journals_judge(journals, 2, 0, 60).wanted, 61);
    free_all(&fixture);
}

static void keys_are_told_in_order_over_all_threads(void **state)
{
    (void)state;
    static const int64_t expected[] = {-5, 7, 5000, 100000, 100001};
    struct fixture fixture = make(2, -5);
    journal_done(fixture.all[0], 5000, 1, 1, 2);
    journal_in_doubt(fixture.all[0], 100001, 1);
    journal_done(fixture.all[0], -5, 1, 3, 4);
    journal_done(fixture.all[1], 100000, 1, 1, 2);
    journal_done(fixture.all[1], 5000, 1, 3, 4);
    journal_done(fixture.all[1], 7, 1, 5, 6);
    const struct journals *journals = sealed(&fixture);
    int64_t key, from = INT64_MIN;
    size_t n = 0;
    for (; journals_next(journals, from, &key); from = key + 1)
        assert_true(key == expected[n++]);
    assert_int_equal(n, 5);
    free_all(&fixture);
}

static void what_cannot_be_kept_is_counted(void **state)
{
    (void)state;
    struct fixture fixture = make(1, 0);
    fixture.journals.n = 1;
    journal_done(fixture.all[0], -1, 1, 1, 2);
    journal_in_doubt(fixture.all[0], (int64_t)JOURNAL_MAX_KEYS, 1);
    journal_done(fixture.all[0], (int64_t)JOURNAL_MAX_KEYS - 1, 1, 1, 2);
    assert_int_equal(journal_lost(fixture.all[0]), 2);
    free_all(&fixture);
}

/* A write of the history: it takes effect at a moment between its begin and its end, if at all. */
struct write {
    uint64_t value, start, effect, end;
    uint32_t thread;
    bool in_doubt;
};

static int by_end(const void *a, const void *b)
{
    uint64_t x = ((const struct write *)a)->end, y = ((const struct write *)b)->end;
    return (x > y) - (x < y);
}

/* By definition: no write that was done began after this one's end. */
static bool may_be_last(const struct write *writes, size_t n, const struct write *one)
{
    for (size_t i = 0; i < n && !one->in_doubt; i++)
        if (!writes[i].in_doubt && writes[i].start > one->end)
            return false;
    return true;
}

static void of_random_histories_just_the_possible_values_are_admitted(void **state)
{
    (void)state;
    enum { N = 60 };
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < 500; round++) {
        struct fixture fixture = make(MAX_THREADS, 0);
        struct write writes[N];
        uint64_t last_effect = 0, last_value = 0;
        for (size_t i = 0; i < N; i++) {
            struct write *write = &writes[i];
            write->value = i + 1;
            write->start = 1 + rng_below(&rng, 1000);
            write->effect = write->start + rng_below(&rng, 40);
            write->end = write->effect + rng_below(&rng, 40);
            write->thread = (uint32_t)rng_below(&rng, MAX_THREADS);
            write->in_doubt = rng_below(&rng, 20) == 0;
        }
        qsort(writes, N, sizeof(*writes), by_end);
        for (size_t i = 0; i < N; i++) {
            const struct write *write = &writes[i];
            bool took_effect = !write->in_doubt || rng_below(&rng, 2);
            if (took_effect && write->effect >= last_effect) {
                last_effect = write->effect;
                last_value = write->value;
            }
            if (write->in_doubt)
                journal_in_doubt(fixture.all[write->thread], 3, write->value);
            else
                journal_done(fixture.all[write->thread], 3, write->value, write->start, write->end);
        }
        const struct journals *journals = sealed(&fixture);
        assert_true(admits(journals, 3, 0, last_value));
        assert_false(admits(journals, 3, 0, 0));
        for (size_t i = 0; i < N; i++)
            assert_int_equal(admits(journals, 3, 0, writes[i].value),
                             may_be_last(writes, N, &writes[i]));
        free_all(&fixture);
    }
}

static void compaction_keeps_just_what_may_still_count(void **state)
{
    (void)state;
    struct fixture fixture = make(1, 0);
    /* Always two under way: each ends after the next has begun. */
    for (uint64_t i = 1; i <= 200000; i++)
        journal_done(fixture.all[0], (int64_t)(i % 3), i, 10 * i, 10 * i + 45);
    const struct journals *journals = sealed(&fixture);
    for (int64_t key = 0; key < 3; key++) {
        size_t n = 0;
        for (uint64_t value = 199900; value <= 200000; value++)
            n += admits(journals, key, 0, value);
        assert_int_equal(n, 2);
    }
    free_all(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_nobody_wrote_holds_what_it_held),
        cmocka_unit_test(a_write_that_was_done_supersedes_what_ended_before_it_began),
        cmocka_unit_test(a_long_write_of_another_thread_may_be_the_last),
        cmocka_unit_test(a_write_in_doubt_may_take_effect_at_any_time_or_never),
        cmocka_unit_test(keys_are_told_in_order_over_all_threads),
        cmocka_unit_test(what_cannot_be_kept_is_counted),
        cmocka_unit_test(of_random_histories_just_the_possible_values_are_admitted),
        cmocka_unit_test(compaction_keeps_just_what_may_still_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
