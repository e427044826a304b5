/* The writer alone, over servers that do as they are told: every change on all replicas or on none,
 * in one order; who fails is given up before the client hears; copies miss no key. */
#include "lb/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/writer_bed.h"

/* ---- changes ----------------------------------------------------------------------------------
 */

static void a_write_is_on_every_replica_before_its_answer(void **state)
{
    (void)state;
    struct change_call *call = write_rows("a", 2, 5, 3);
    wait_all();
    assert_answer(call, 200, "2 Data entries added");
    assert_keys("3 5", "3 5", "");
    assert_string_equal(farm_text(farm->servers[1], 3), "{\"id\":3,\"name\":\"a\"}");
    assert_int_equal(atomic_load(&farm->live[0].valid_idx), 2);
}

static void no_answer_comes_while_one_replica_owes_its_own(void **state)
{
    (void)state;
    farm->servers[1]->deaf = true;
    write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[1]->n_kept == 1 && farm->servers[0]->n_rows == 1);
    turn(20);
    assert_int_equal(n_written, 0);
    farm_release(farm->servers[1]);
    wait_all();
    assert_int_equal(written[0]->status, 200);
}

static void updates_and_deletes_answer_as_the_contract_says(void **state)
{
    (void)state;
    write_rows("a", 1, 5);
    struct change_call *update =
        ask(CHANGE_UPDATE, "{\"id\":\"5\",\"data\":{\"id\":5,\"name\":\"b\"}}");
    wait_all();
    assert_string_equal(farm_text(farm->servers[0], 5), "{\"id\":5,\"name\":\"b\"}");
    struct change_call *gone = ask(CHANGE_DELETE, "{\"id\":5}");
    struct change_call *again = ask(CHANGE_DELETE, "{\"id\":5}");
    struct change_call *late = ask(CHANGE_UPDATE, "{\"id\":5,\"data\":{\"id\":5,\"name\":\"c\"}}");
    wait_all();
    assert_answer(update, 200, "Data entry for id: 5 updated");
    assert_answer(gone, 200, "Data entry with id:5 removed from all replicas");
    assert_answer(again, 404, "id 5 does not exist");
    assert_answer(late, 404, "id 5 does not exist");
    assert_keys("", "", "");
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
}

static void a_write_over_two_shards_is_whole(void **state)
{
    (void)state;
    struct change_call *call = write_rows("a", 3, 150, 50, 151);
    wait_all();
    assert_answer(call, 200, "3 Data entries added");
    assert_keys("50", "50 150 151", "150 151");
    assert_int_equal(atomic_load(&farm->live[0].valid_idx), 1);
    assert_int_equal(atomic_load(&farm->live[1].valid_idx), 2);
}

static void a_conflict_in_the_second_shard_leaves_the_first_as_it_was(void **state)
{
    (void)state;
    write_rows("a", 1, 150);
    wait_all();
    struct change_call *call = write_rows("b", 3, 50, 149, 150);
    wait_all();
    assert_answer(call, 409, "id 150 exists already");
    assert_keys("", "150", "150");
    /* It never came so far as to write. */
    assert_null(strstr(buf_str(&farm->servers[0]->story), "insert"));
    assert_int_equal(writer_metrics(writer)->undone, 0);
}

static void a_shard_that_fails_after_the_check_takes_back_the_other(void **state)
{
    (void)state;
    farm->servers[1]->failing = farm->servers[2]->failing = "the disk is gone";
    farm->servers[1]->failing_shard = farm->servers[2]->failing_shard = "sh2";
    struct change_call *call = write_rows("a", 2, 50, 150);
    wait_all();
    assert_answer(call, 503, "shard sh2 could not be changed: the disk is gone");
    assert_keys("", "", "");
    assert_non_null(strstr(buf_str(&farm->servers[0]->story), "insert sh1\ndelete sh1\n"));
    assert_int_equal(writer_metrics(writer)->undone, 1);
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
}

static void changes_of_one_key_take_their_turns(void **state)
{
    (void)state;
    char body[128];
    farm->servers[0]->held = farm->servers[1]->held = true;
    struct change_call *first = write_rows("a", 1, 7);
    struct change_call *wide = write_rows("w", 2, 8, 108);         /* locks 8 and 108 */
    struct change_call *second = ask(CHANGE_DELETE, "{\"id\":8}"); /* waits for it */
    struct change_call *third = write_rows("z", 1, 8);             /* and for that */
    for (int i = 0; i < 10; i++) {
        snprintf(body, sizeof(body), "{\"id\":7,\"data\":{\"id\":7,\"name\":\"%d\"}}", i);
        ask(CHANGE_UPDATE, body);
    }
    farm_turn(farm);
    farm_release(farm->servers[0]);
    farm_release(farm->servers[1]);
    wait_all();
    for (size_t i = 0; i < n_written; i++)
        if (written[i] != second)
            assert_int_equal(written[i]->status, 200);
    (void)first, (void)wide;
    assert_string_equal(farm_text(farm->servers[0], 7), "{\"id\":7,\"name\":\"9\"}");
    assert_string_equal(farm_text(farm->servers[1], 7), "{\"id\":7,\"name\":\"9\"}");
    assert_int_equal(second->status, 200);
    assert_int_equal(third->status, 200);
    assert_string_equal(farm_text(farm->servers[0], 8), "{\"id\":8,\"name\":\"z\"}");
    assert_string_equal(farm_text(farm->servers[1], 8), "{\"id\":8,\"name\":\"z\"}");
}

static void of_two_writes_of_a_key_one_wins_everywhere(void **state)
{
    (void)state;
    struct change_call *a = write_rows("a", 2, 50, 150), *b = write_rows("b", 2, 150, 51);
    struct change_call *c = write_rows("c", 1, 150);
    wait_all();
    assert_int_equal(a->status, 200);
    assert_answer(b, 409, "id 150 exists already");
    assert_answer(c, 409, "id 150 exists already");
    assert_keys("50", "50 150", "150");
    assert_string_equal(farm_text(farm->servers[2], 150), "{\"id\":150,\"name\":\"a\"}");
}

static void what_comes_while_batches_are_under_way_goes_as_one(void **state)
{
    (void)state;
    farm->servers[0]->deaf = true;
    write_rows("a", 1, 0);
    farm_wait(farm, farm->servers[0]->n_batches == 1);
    write_rows("a", 1, 1);
    farm_wait(farm, farm->servers[0]->n_batches == 2);
    for (int i = 2; i < 30; i++) {
        write_rows("a", 1, i);
        farm_turn(farm);
    }
    assert_int_equal(farm->servers[0]->n_batches, 2);
    farm_release(farm->servers[0]);
    wait_all();
    assert_int_equal(farm->servers[0]->n_batches, 3);
    assert_int_equal(farm->servers[0]->n_rows, 30);
}

/* ---- rounds -----------------------------------------------------------------------------------
 */

static void in_rounds_a_server_has_one_batch_at_a_time(void **state)
{
    (void)state;
    farm->servers[0]->deaf = true;
    write_rows("a", 1, 0);
    farm_wait(farm, farm->servers[0]->n_batches == 1);
    for (int i = 1; i < 30; i++) {
        write_rows("a", 1, i);
        farm_turn(farm);
    }
    assert_int_equal(farm->servers[0]->n_batches, 1);
    farm_release(farm->servers[0]);
    wait_all();
    assert_int_equal(farm->servers[0]->n_batches, 2);
    assert_int_equal(farm->servers[0]->n_rows, 30);
}

static void the_next_round_waits_for_this_one(void **state)
{
    (void)state;
    farm->servers[0]->deaf = true;
    ev_now_update(farm->loop); /* the patience is counted from here on, or later */
    uint64_t begin_ns = clock_now_ns();
    write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    write_rows("a", 1, 105); /* on S2 and S3, which owe nothing */
    farm_wait(farm, farm->servers[2]->n_batches == 1);
    assert_true((double)(clock_now_ns() - begin_ns) * 1e-9 >= OUTLET_PATIENCE_S);
    /* S1 still owes its answer, and nobody waits for it any more. */
    farm_wait(farm, n_written == 1);
    write_rows("a", 1, 106);
    farm_wait(farm, n_written == 2);
    assert_int_equal(farm->servers[0]->n_kept, 1);
    farm_release(farm->servers[0]);
    wait_all();
    assert_keys("5", "5 105 106", "105 106");
}

/* A machine that is busy for a millisecond just then loses it a try. */
static void whoever_comes_back_at_once_is_in_the_next_round(void **state)
{
    (void)state;
    size_t n_tries = 0, n_before;
    do {
        int id = (int)(3 * n_tries);
        n_before = farm->servers[0]->n_batches;
        farm->servers[0]->deaf = true;
        write_rows("a", 1, id);
        farm_wait(farm, farm->servers[0]->n_kept == 1);
        write_rows("a", 1, id + 1);
        uint64_t until_ns = clock_now_ns() + NS_PER_MS; /* the patience is twice this */
        while (clock_now_ns() < until_ns)
            farm_turn(farm);
        farm_release(farm->servers[0]);
        /* Not asleep until the gathering is over; and what may go goes. */
        while (n_written < n_asked - 1)
            ev_run(farm->loop, EVRUN_NOWAIT);
        ev_run(farm->loop, EVRUN_NOWAIT);
        write_rows("a", 1, id + 2);
        wait_all();
    } while (farm->servers[0]->n_batches - n_before != 2 && ++n_tries < BED_MAX_CALLS / 3);
    assert_in_range(n_tries, 0, BED_MAX_CALLS / 3 - 1);
}

static void a_round_ends_with_its_last_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        write_rows("a", 1, i);
        wait_all();
    }
    assert_int_equal(farm->servers[0]->n_batches, 50);
    write_rows("a", 2, 60, 160);
    write_rows("a", 1, 61);
    write_rows("a", 1, 161);
    wait_all();
    assert_int_equal(farm->servers[1]->n_rows, 54);
}

static void a_round_goes_on_without_a_server_that_dies(void **state)
{
    (void)state;
    farm->servers[0]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    write_rows("a", 1, 105);
    farm_kill(farm->servers[0]);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1 && n_written == 1);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
}

static void changes_past_the_limit_are_refused(void **state)
{
    (void)state;
    close_all();
    open_with((struct writer_config){.max_changes = 2}, 3, two_shards, 2);
    farm->servers[0]->held = true;
    write_rows("a", 1, 1);
    write_rows("a", 1, 2);
    struct change_call *third = write_rows("a", 1, 3);
    assert_answer(third, 503, "too many changes are waiting");
    farm_wait(farm, farm->servers[0]->n_kept > 0);
    farm_release(farm->servers[0]);
    wait_all();
    assert_keys("1 2", "1 2", "");
}

/* ---- failures ---------------------------------------------------------------------------------
 */

static void the_answer_waits_until_who_failed_is_fenced(void **state)
{
    (void)state;
    farm->servers[0]->failing = "no";
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    /* One that comes now is made by the other alone, and waits as well. */
    struct change_call *next = write_rows("a", 1, 6);
    farm_wait(farm, farm->servers[1]->n_rows == 2);
    turn(20);
    assert_int_equal(n_written, 0);
    /* A shard of others goes on. */
    struct change_call *elsewhere = write_rows("a", 1, 105);
    farm_wait(farm, n_written == 1);
    assert_int_equal(elsewhere->status, 200);
    static const char *const without_s1[] = {"2", "23"};
    farm_publish(farm, without_s1, 2, "1");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
    assert_int_equal(next->status, 200);
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 1);
}

static void a_server_that_dies_is_fenced(void **state)
{
    (void)state;
    farm->servers[0]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    farm_kill(farm->servers[0]);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    assert_true(farm_count_letters(farm, LETTER_SUSPECT, 1) > 0);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
}

static void a_server_that_leaves_the_snapshot_meanwhile_is_fenced_too(void **state)
{
    (void)state;
    static const char *const without_s1[] = {"2", "23"};
    farm->servers[0]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1 && farm->servers[1]->n_rows == 1);
    assert_int_equal(writer_n_under_way(writer, 1), 1);
    farm_publish(farm, without_s1, 2, "1");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    assert_int_equal(n_written, 0);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
}

static void a_hung_server_is_given_up_after_the_time_allowed(void **state)
{
    (void)state;
    close_all();
    open_with((struct writer_config){.timeout_ns = 200 * NS_PER_MS}, 3, two_shards, 2);
    farm->servers[0]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
}

static void when_all_replicas_fail_alike_nobody_is_fenced(void **state)
{
    (void)state;
    farm->servers[0]->failing = farm->servers[1]->failing = "No space left on device";
    struct change_call *call = write_rows("a", 1, 5);
    wait_all();
    assert_answer(call, 507, "shard sh1 could not be changed: No space left on device");
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
}

static void a_replica_with_a_row_too_many_is_found_and_fenced(void **state)
{
    (void)state;
    farm_plant(farm->servers[0], "sh1", 5, "{\"id\":5,\"name\":\"lost\"}");
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm_count_letters(farm, LETTER_FENCE, 1) == 1);
    post_fenced(1);
    wait_all();
    assert_int_equal(call->status, 200);
    assert_string_equal(farm_text(farm->servers[1], 5), "{\"id\":5,\"name\":\"a\"}");
}

static void at_the_end_everything_is_answered(void **state)
{
    (void)state;
    farm->servers[0]->held = true;
    write_rows("a", 1, 5);
    write_rows("a", 2, 6, 106);
    write_rows("a", 1, 6);
    post(LETTER_TRACK, 1, false);
    post(LETTER_TAKE_DIRTY, 1, true);
    write_rows("a", 1, 110);
    farm_wait(farm, farm->servers[0]->n_kept > 0);
    writer_abort(writer);
    wait_all();
    for (size_t i = 0; i < n_written; i++)
        assert_int_equal(written[i]->status, 503);
    write_rows("a", 1, 9);
    assert_int_equal(n_written, n_asked);
    assert_true(writer_is_idle(writer));
}

static void a_server_is_told_of_once_nothing_is_under_way_to_it(void **state)
{
    (void)state;
    farm->servers[0]->deaf = true;
    idle_uids = 0;
    write_rows("a", 1, 1);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    assert_int_equal(writer_n_under_way(writer, 1), 1);
    idle_uids = 0;
    farm_release(farm->servers[0]);
    farm_wait(farm, idle_uids & 1u << 1);
    assert_int_equal(writer_n_under_way(writer, 1), 0);
    assert_int_equal(writer_n_under_way(writer, 77), 0);
    wait_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TESTS_OF_BOTH                                                                              \
    TEST(a_write_is_on_every_replica_before_its_answer),                                           \
        TEST(no_answer_comes_while_one_replica_owes_its_own),                                      \
        TEST(updates_and_deletes_answer_as_the_contract_says),                                     \
        TEST(a_write_over_two_shards_is_whole),                                                    \
        TEST(a_conflict_in_the_second_shard_leaves_the_first_as_it_was),                           \
        TEST(a_shard_that_fails_after_the_check_takes_back_the_other),                             \
        TEST(changes_of_one_key_take_their_turns),                                                 \
        TEST(of_two_writes_of_a_key_one_wins_everywhere),                                          \
        TEST(changes_past_the_limit_are_refused),                                                  \
        TEST(the_answer_waits_until_who_failed_is_fenced), TEST(a_server_that_dies_is_fenced),     \
        TEST(a_server_that_leaves_the_snapshot_meanwhile_is_fenced_too),                           \
        TEST(a_hung_server_is_given_up_after_the_time_allowed),                                    \
        TEST(when_all_replicas_fail_alike_nobody_is_fenced),                                       \
        TEST(a_replica_with_a_row_too_many_is_found_and_fenced),                                   \
        TEST(at_the_end_everything_is_answered),                                                   \
        TEST(a_server_is_told_of_once_nothing_is_under_way_to_it)

int main(void)
{
    const struct CMUnitTest each_by_itself[] = {
        TESTS_OF_BOTH,
        TEST(what_comes_while_batches_are_under_way_goes_as_one),
    };
    const struct CMUnitTest together[] = {
        TESTS_OF_BOTH,
        TEST(in_rounds_a_server_has_one_batch_at_a_time),
        TEST(the_next_round_waits_for_this_one),
        TEST(whoever_comes_back_at_once_is_in_the_next_round),
        TEST(a_round_ends_with_its_last_answer),
        TEST(a_round_goes_on_without_a_server_that_dies),
    };
    int n_failed = cmocka_run_group_tests_name("lb writer", each_by_itself, NULL, NULL);
    in_rounds = true;
    return n_failed + cmocka_run_group_tests_name("lb writer, in rounds", together, NULL, NULL);
}
