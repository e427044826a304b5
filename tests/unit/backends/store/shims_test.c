/* delay, fault and null: what they do beside keeping the contract. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/store_bed.h"

static uint64_t insert_took_ns(struct store_bed *bed, struct store_shard *shard, int64_t key)
{
    uint64_t start = clock_now_ns();
    assert_int_equal(store_bed_insert_one(bed, shard, key, "a"), 0);
    return clock_now_ns() - start;
}

/* ---- delay ---- */

static void delay_holds_changes_and_reads_apart(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "delay:write=20ms+memory");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    assert_true(insert_took_ns(&bed, shard, 1) >= 20 * NS_PER_MS);
    struct store_call read = {.request = {.op = STORE_READ, .shard = shard, .last = 9}};
    store_bed_submit(&bed, &read);
    assert_true(read.done);
    assert_int_equal(read.got.n, 1);
    store_call_done(&read);
    store_bed_close(&bed);
}

static void delay_tells_later_what_was_done_at_once(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "delay:write=30ms,jitter=30ms+memory");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 1, 50, 1);
    struct store_call calls[50] = {0};
    uint64_t start = clock_now_ns();
    for (size_t i = 0; i < 50; i++) {
        calls[i].request = (struct store_request){
            .op = STORE_INSERT, .shard = shard, .rows = &rows.rows[i], .n_rows_in = 1};
        store_bed_submit(&bed, &calls[i]);
        assert_false(calls[i].done);
    }
    store_bed_assert_holds(&bed, shard, &rows);
    store_bed_wait_all(&bed);
    uint64_t took = clock_now_ns() - start;
    assert_true(took >= 30 * NS_PER_MS);
    /* All at a time, not one after the other. */
    assert_true(took < 50 * 30 * NS_PER_MS);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void delay_spares_those_that_its_probability_spares(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "delay:write=1ms,probability=0.25,seed=3+memory");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0};
    store_rows_fill(&rows, 0, 1, 400, 1);
    size_t n_late = 0;
    for (size_t i = 0; i < rows.n; i++) {
        struct store_call call = {
            .request = {.op = STORE_INSERT, .shard = shard, .rows = &rows.rows[i], .n_rows_in = 1}};
        store_bed_submit(&bed, &call);
        n_late += !call.done;
        store_bed_wait_all(&bed);
    }
    assert_in_range(n_late, 60, 140);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- fault ---- */

/* Inserts keys 0 … n − 1 one by one; a character for each, '.' when it went well. */
static char *inserts_under(const char *spec, size_t n)
{
    struct store_bed bed;
    char *story = calloc(n + 1, 1);
    store_bed_open(&bed, spec);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows there = {0};
    for (size_t i = 0; i < n; i++) {
        int code = store_bed_insert_one(&bed, shard, (int64_t)i, "a");
        story[i] = code == 0 ? '.' : code == -EIO ? 'E' : code == -ENOSPC ? 'S' : '?';
        if (code == 0)
            store_rows_add(&there, (int64_t)i, "a", (int64_t)i % 100);
    }
    /* What failed changed nothing. */
    store_bed_assert_holds(&bed, shard, &there);
    store_rows_free(&there);
    store_bed_close(&bed);
    return story;
}

static void fault_fails_those_that_it_is_told_to(void **state)
{
    static const struct {
        const char *spec, *story;
    } cases[] = {
        {"fault+memory", ".........."},
        {"fault:fail=insert+memory", "EEEEEEEEEE"},
        {"fault:fail=update+memory", ".........."},
        {"fault:fail=insert,after=4,code=ENOSPC+memory", "....SSSSSS"},
        {"fault:fail=insert,every=3+memory", "..E..E..E."},
        {"fault:fail=insert,after=3,every=2,times=2+memory", "....E.E..."},
        {"fault:fail=insert,after=8,late+memory", "........EE"},
        {"fault:fail=writes,after=5+memory", "....EEEEEE"}, /* the shard's making is one */
        {"fault:fail=insert,times=1+fault:fail=insert,after=1,times=1+memory", "E.E......."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *story = inserts_under(cases[i].spec, 10);
        assert_string_equal(story, cases[i].story);
        free(story);
    }
}

static void fault_repeats_itself_under_the_same_seed(void **state)
{
    (void)state;
    char *one = inserts_under("fault:fail=insert,probability=0.3,seed=5+memory", 200);
    char *same = inserts_under("fault:fail=insert,probability=0.3,seed=5+memory", 200);
    char *other = inserts_under("fault:fail=insert,probability=0.3,seed=6+memory", 200);
    size_t n = 0;
    for (const char *at = one; *at; at++)
        n += *at == 'E';
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
    assert_in_range(n, 30, 90);
    free(one);
    free(same);
    free(other);
}

static void fault_leaves_the_hung_until_it_is_closed(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "fault:fail=read,hang+memory");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_call read = {.request = {.op = STORE_READ, .shard = shard}};
    store_bed_submit(&bed, &read);
    assert_int_equal(store_bed_insert_one(&bed, shard, 1, "a"), 0);
    for (int i = 0; i < 5; i++)
        store_bed_turn(&bed);
    assert_false(read.done);
    store_bed_shut(&bed);
    assert_true(read.done);
    assert_int_equal(read.request.code, -EIO);
    assert_string_equal(read.request.reason, "it was told to fail");
    assert_int_equal(store_bed_start(&bed, NULL), 0);
    store_bed_close(&bed);
}

/* ---- null ---- */

static void null_counts_and_answers_nothing(void **state)
{
    (void)state;
    struct store_bed bed;
    uint64_t checksum;
    store_bed_open(&bed, "null");
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    struct store_rows rows = {0}, none = {0};
    store_rows_fill(&rows, 0, 1, 30, 1);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    assert_int_equal(store_bed_update_one(&bed, shard, 1000, "a"), 0);
    assert_int_equal(store_bed_delete(&bed, shard, 1000), 0);
    assert_int_equal(store_bed_absent(&bed, shard, 1), 0);
    assert_int_equal(store_bed_digest(&bed, shard, INT64_MIN, INT64_MAX, &checksum), 59);
    struct store_rows got = {0};
    store_bed_read(&bed, shard, INT64_MIN, INT64_MAX, &got);
    store_rows_assert_equal(&got, &none);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_holds_changes_and_reads_apart),
        cmocka_unit_test(delay_tells_later_what_was_done_at_once),
        cmocka_unit_test(delay_spares_those_that_its_probability_spares),
        cmocka_unit_test(fault_fails_those_that_it_is_told_to),
        cmocka_unit_test(fault_repeats_itself_under_the_same_seed),
        cmocka_unit_test(fault_leaves_the_hung_until_it_is_closed),
        cmocka_unit_test(null_counts_and_answers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
