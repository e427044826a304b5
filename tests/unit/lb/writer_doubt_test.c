/* The writer where nobody can say what became of a change: it is made everywhere or nowhere, or one
 * replica alone is left to say what it is; and the last replica of a shard is never lost to that.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "lb/epoch.h"
#include "tests/support/writer_bed.h"

/* The server's next n batches come to nothing, or, with `made`, their answers alone do. */
static void lose(size_t server, size_t n, bool made)
{
    farm->servers[server]->n_to_lose = n;
    farm->servers[server]->loses_answers = made;
}

static void post_code(enum letter_type type, uint64_t uid, int code)
{
    struct lb_letter *letter = type == LETTER_DEMOTED
                                   ? &shard_letter_new(type, &farm->live[0])->base
                                   : letter_new(type, 0);
    letter->uid = uid;
    letter->code = code;
    writer_take_letter(writer, letter);
}

static void assert_no_fence(void)
{
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
    assert_int_equal(farm_count_letters(farm, LETTER_DEMOTE, 0), 0);
}

/* ---- sent once more ---------------------------------------------------------------------------
 */

static void a_write_that_no_replica_answered_is_sent_once_more(void **state)
{
    (void)state;
    lose(0, 1, true);
    lose(1, 1, false);
    struct change_call *call = write_rows("a", 1, 5);
    wait_all();
    assert_answer(call, 200, "1 Data entries added");
    assert_keys("5", "5", "");
    assert_int_equal(atomic_load(&farm->live[0].valid_idx), 1);
    assert_int_equal(writer_metrics(writer)->redone, 1);
    assert_no_fence();
}

static void so_are_an_update_and_a_delete(void **state)
{
    (void)state;
    write_rows("a", 1, 5);
    wait_all();
    lose(0, 1, true);
    lose(1, 1, false);
    ask(CHANGE_UPDATE, "{\"id\":5,\"data\":{\"id\":5,\"name\":\"b\"}}");
    wait_all();
    assert_int_equal(written[1]->status, 200);
    assert_string_equal(farm_text(farm->servers[0], 5), "{\"id\":5,\"name\":\"b\"}");
    assert_string_equal(farm_text(farm->servers[1], 5), "{\"id\":5,\"name\":\"b\"}");
    lose(0, 1, false);
    lose(1, 1, true);
    ask(CHANGE_DELETE, "{\"id\":5}");
    wait_all();
    assert_int_equal(written[2]->status, 200);
    assert_keys("", "", "");
    assert_no_fence();
}

static void what_all_had_made_already_is_told_to_be_unknown_and_is_the_same_on_all(void **state)
{
    (void)state;
    lose(0, 1, true);
    lose(1, 1, true);
    struct change_call *call = write_rows("a", 1, 5);
    wait_all();
    assert_answer(call, 503,
                  "outcome unknown: id 5 is there now, by this request or by an earlier one");
    assert_keys("5", "5", "");
    lose(0, 1, true);
    lose(1, 1, true);
    call = ask(CHANGE_DELETE, "{\"id\":5}");
    wait_all();
    assert_answer(call, 503,
                  "outcome unknown: id 5 is not there now; this request may have removed it");
    assert_keys("", "", "");
    assert_no_fence();
}

static void who_does_not_answer_the_second_time_is_fenced(void **state)
{
    (void)state;
    lose(0, 1, true);
    lose(1, 2, true);
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 2) == 1);
    turn(20);
    assert_int_equal(n_written, 0);
    post_fenced(2);
    wait_all();
    /* One is left, and says that the row is there. */
    assert_int_equal(call->status, 503);
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 1), 0);
}

static void when_nobody_answers_twice_one_replica_alone_is_left(void **state)
{
    (void)state;
    farm->servers[0]->held = farm->servers[1]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1 && farm->servers[1]->n_kept == 1);
    farm_kill(farm->servers[0]);
    farm_kill(farm->servers[1]);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 2) == 1);
    assert_int_equal(n_written, 0);
    post_fenced(2);
    wait_all();
    assert_int_equal(call->status, 503);
    assert_non_null(strstr(call->reason, "outcome unknown"));
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 1);
    /* Nobody listens now: surely nothing was done. */
    struct change_call *next = write_rows("a", 1, 6);
    wait_all();
    assert_int_equal(next->status, 503);
    assert_null(strstr(next->reason, "outcome unknown"));
}

static void rows_of_several_shards_are_taken_back_when_one_shard_is_silent(void **state)
{
    (void)state;
    struct change_call *call = write_rows("a", 2, 50, 150);
    /* The checks go to S1 and S2; the writes that follow are lost on both of sh1's replicas. */
    farm_wait(farm, farm->servers[0]->n_batches == 1 && farm->servers[1]->n_batches == 1);
    lose(0, 1, true);
    lose(1, 1, true);
    wait_all();
    assert_answer(call, 503, "a shard's replicas did not answer; nothing was changed");
    assert_keys("", "", "");
    assert_no_fence();
}

static void more_rows_than_can_be_taken_back_at_once_are_refused(void **state)
{
    static const size_t counts[] = {CHANGE_MAX_ROWS, CHANGE_MAX_ROWS + 1};
    (void)state;
    close_all();
    farm = farm_new(1, 1);
    farm->n_shard_keys = 100000;
    static const char *const shards[] = {"1"};
    snapshot = farm_publish(farm, shards, 1, "");
    for (size_t i = 0; i < 2; i++) {
        struct change_call *call = mem_zalloc(1, sizeof(*call));
        struct err err = {0};
        struct buf body;
        buf_init(&body, 0);
        for (size_t key = 0; key < counts[i]; key++)
            buf_appendf(&body, "%s{\"id\":%zu,\"name\":\"\"}", key > 0 ? "," : "{\"data\":[", key);
        buf_append_str(&body, "]}");
        struct http_view view = {buf_head(&body), buf_len(&body)};
        assert_int_equal(change_read(snapshot, CHANGE_WRITE, view, &call->change, &err),
                         i == 0 ? 0 : 413);
        change_call_free(call);
        buf_done(&body);
    }
    farm_free(farm);
    open_with((struct writer_config){0}, 3, two_shards, 2); /* for the tear-down */
}

static void a_connection_that_broke_is_followed_by_a_later_epoch(void **state)
{
    (void)state;
    close_all();
    open_with((struct writer_config){.timeout_ns = 200 * NS_PER_MS}, 3, two_shards, 2);
    write_rows("a", 1, 5);
    wait_all();
    uint64_t first = farm->servers[0]->epoch;
    assert_true(first > 0);
    write_rows("a", 1, 6);
    wait_all();
    assert_int_equal(farm->servers[0]->epoch, first);
    farm->servers[0]->held = farm->servers[1]->held = true;
    struct change_call *call = write_rows("a", 1, 7);
    farm_wait(farm, farm->servers[0]->n_kept == 2 && farm->servers[1]->n_kept == 2);
    assert_true(farm->servers[0]->epoch > first);
    farm_release(farm->servers[0]);
    farm_release(farm->servers[1]);
    wait_all();
    assert_true(call->status == 200 || call->status == 503);
    assert_keys("5 6 7", "5 6 7", "");
}

/* A replica that the snapshot brings was filled by a copy: it takes nothing earlier than that. */
static void each_snapshot_is_followed_by_a_later_epoch_than_the_copies_before_it(void **state)
{
    (void)state;
    write_rows("a", 1, 5);
    wait_all();
    uint64_t copy = epoch_next();
    assert_true(farm->servers[0]->epoch < copy);
    farm_publish(farm, two_shards, 2, "");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    write_rows("a", 1, 6);
    wait_all();
    assert_true(farm->servers[0]->epoch > copy);
    assert_true(farm->servers[1]->epoch > copy);
    assert_keys("5 6", "5 6", "");
}

/* ---- last replicas ----------------------------------------------------------------------------
 */

static void open_with_a_last_replica(void)
{
    static const char *const shards[] = {"12", "1"}; /* sh2 is on S1 alone */
    close_all();
    open_with((struct writer_config){0}, 2, shards, 2);
    farm->servers[0]->failing = "no";
    farm->servers[0]->failing_shard = "sh1";
}

static void a_server_with_a_last_replica_is_not_fenced_but_its_failed_one_is_demoted(void **state)
{
    (void)state;
    open_with_a_last_replica();
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_DEMOTE, 1) == 1);
    assert_ptr_equal(((struct shard_letter *)farm->letters[farm->n_letters - 1])->live,
                     &farm->live[0]);
    /* Until nobody reads from it, nothing is answered; what comes goes to the other alone. */
    struct change_call *next = write_rows("a", 1, 6);
    turn(20);
    assert_int_equal(n_written, 0);
    post_code(LETTER_DEMOTED, 1, 0);
    wait_all();
    assert_int_equal(call->status, 200);
    assert_int_equal(next->status, 200);
    assert_string_equal(farm_keys(farm->servers[0]), "");
    assert_string_equal(farm_keys(farm->servers[1]), "5 6");
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
    assert_int_equal(farm_count_letters(farm, LETTER_DEMOTE, 0), 1);
    /* sh2 takes changes as before. */
    struct change_call *other = write_rows("a", 1, 150);
    wait_all();
    assert_int_equal(other->status, 200);
}

static void a_change_whose_makers_died_meanwhile_is_not_acknowledged(void **state)
{
    (void)state;
    farm->servers[0]->failing = "no";
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    post_code(LETTER_FENCED, 1, -EBUSY); /* S2 has died: S1 has the last replica now */
    wait_all();
    assert_answer(call, 503, "outcome unknown: the servers that made the change have gone");
    /* It takes changes again. */
    farm->servers[0]->failing = NULL;
    call = write_rows("a", 1, 6);
    wait_all();
    assert_int_equal(call->status, 200);
    assert_string_equal(farm_keys(farm->servers[0]), "6");
}

static void a_demotion_that_would_take_the_last_replica_is_not_acknowledged(void **state)
{
    (void)state;
    open_with_a_last_replica();
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_DEMOTE, 1) == 1);
    post_code(LETTER_DEMOTED, 1, -EBUSY);
    wait_all();
    assert_answer(call, 503, "outcome unknown: the servers that made the change have gone");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_write_that_no_replica_answered_is_sent_once_more),
        TEST(so_are_an_update_and_a_delete),
        TEST(what_all_had_made_already_is_told_to_be_unknown_and_is_the_same_on_all),
        TEST(who_does_not_answer_the_second_time_is_fenced),
        TEST(when_nobody_answers_twice_one_replica_alone_is_left),
        TEST(rows_of_several_shards_are_taken_back_when_one_shard_is_silent),
        TEST(more_rows_than_can_be_taken_back_at_once_are_refused),
        TEST(a_connection_that_broke_is_followed_by_a_later_epoch),
        TEST(each_snapshot_is_followed_by_a_later_epoch_than_the_copies_before_it),
        TEST(a_server_with_a_last_replica_is_not_fenced_but_its_failed_one_is_demoted),
        TEST(a_change_whose_makers_died_meanwhile_is_not_acknowledged),
        TEST(a_demotion_that_would_take_the_last_replica_is_not_acknowledged),
    };
    return cmocka_run_group_tests_name("lb writer, doubt", tests, NULL, NULL);
}
