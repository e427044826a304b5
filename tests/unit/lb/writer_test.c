/* The writer alone, over servers that do as they are told: every change on all replicas or on none,
 * in one order; who fails is given up before the client hears; copies miss no key. */
#include "lb/writer.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "tests/support/rows_farm.h"

#define MAX_CALLS 64

static struct rows_farm *farm;
static struct writer *writer;
static const struct snapshot *snapshot;
static struct change_call *written[MAX_CALLS]; /* in the order of their answers */
static size_t n_written, n_asked;
static unsigned idle_uids; /* a bit each */

static void on_written(void *context, struct change_call *call)
{
    (void)context;
    assert(n_written < MAX_CALLS);
    written[n_written++] = call;
}

static void on_idle(void *context, uint64_t uid)
{
    (void)context;
    idle_uids |= 1u << uid;
}

static void open_with(struct writer_config config, size_t n_servers, const char *const *shards,
                      size_t n_shards)
{
    farm = farm_new(n_servers, 1);
    config.loop = farm->loop;
    config.flusher = &farm->flusher;
    config.control = &farm->control;
    config.on_written = on_written;
    config.on_idle = on_idle;
    writer = writer_new(&config);
    farm_publish(farm, shards, n_shards, "");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    n_written = n_asked = 0;
}

/* Three servers; sh1 (0 … 99) on S1 and S2, sh2 (100 … 199) on S2 and S3. */
static const char *const two_shards[] = {"12", "23"};

static int set_up(void **state)
{
    (void)state;
    open_with((struct writer_config){.timeout_ns = 10 * NS_PER_S}, 3, two_shards, 2);
    return 0;
}

static void close_all(void)
{
    for (size_t i = 0; i < n_written; i++)
        change_call_free(written[i]);
    if (!writer_is_idle(writer)) {
        size_t n = n_written;
        writer_abort(writer);
        farm_wait(farm, writer_is_idle(writer));
        for (; n < n_written; n++)
            change_call_free(written[n]);
    }
    writer_free(writer);
    farm_free(farm);
}

static int tear_down(void **state)
{
    (void)state;
    close_all();
    return 0;
}

static struct change_call *ask(enum change_type type, const char *body)
{
    struct change_call *call = mem_zalloc(1, sizeof(*call));
    struct err err = {0};
    if (change_read(snapshot, type, (struct http_view){body, strlen(body)}, &call->change, &err))
        fail_msg("%s", err.message);
    snprintf(call->key_column, sizeof(call->key_column), "id");
    n_asked++;
    writer_submit(writer, call);
    return call;
}

/* Asks to write rows with these keys, all named so. */
static struct change_call *write_rows(const char *name, size_t n, ...)
{
    char body[1024] = "{\"data\":[";
    va_list args;
    va_start(args, n);
    for (size_t i = 0; i < n; i++)
        snprintf(body + strlen(body), sizeof(body) - strlen(body), "%s{\"id\":%d,\"name\":\"%s\"}",
                 i > 0 ? "," : "", va_arg(args, int), name);
    va_end(args);
    strcat(body, "]}");
    return ask(CHANGE_WRITE, body);
}

static void wait_all(void)
{
    farm_wait(farm, n_written == n_asked);
}

static void assert_answer(const struct change_call *call, unsigned status, const char *text)
{
    assert_int_equal(call->status, status);
    assert_string_equal(status == 200 ? call->message : call->reason, text);
}

static void assert_keys(const char *s1, const char *s2, const char *s3)
{
    assert_string_equal(farm_keys(farm->servers[0]), s1);
    assert_string_equal(farm_keys(farm->servers[1]), s2);
    assert_string_equal(farm_keys(farm->servers[2]), s3);
}

static void post(enum letter_type type, size_t shard, bool hold)
{
    struct shard_letter *letter = shard_letter_new(type, &farm->live[shard]);
    letter->hold = hold;
    writer_take_letter(writer, &letter->base);
}

static void post_fenced(uint64_t uid)
{
    struct lb_letter *letter = letter_new(LETTER_FENCED, 0);
    letter->uid = uid;
    writer_take_letter(writer, letter);
}

/* The n-th LETTER_DIRTY from 0. */
static const struct shard_letter *dirty(size_t n)
{
    for (size_t i = 0; i < farm->n_letters; i++)
        if (farm->letters[i]->type == LETTER_DIRTY && n-- == 0)
            return (const struct shard_letter *)farm->letters[i];
    return NULL;
}

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
    for (int i = 0; i < 20; i++)
        farm_turn(farm);
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
    for (int i = 0; i < 20; i++)
        farm_turn(farm);
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

static void when_no_replica_answers_the_outcome_is_unknown(void **state)
{
    (void)state;
    farm->servers[0]->held = farm->servers[1]->held = true;
    struct change_call *call = write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1 && farm->servers[1]->n_kept == 1);
    farm_kill(farm->servers[0]);
    farm_kill(farm->servers[1]);
    wait_all();
    assert_int_equal(call->status, 503);
    assert_non_null(strstr(call->reason, "outcome unknown"));
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
    /* Nobody listens now: surely nothing was done. */
    struct change_call *next = write_rows("a", 1, 6);
    wait_all();
    assert_int_equal(next->status, 503);
    assert_null(strstr(next->reason, "outcome unknown"));
}

static void the_last_replica_of_a_shard_is_never_fenced(void **state)
{
    static const char *const shards[] = {"12", "1"}; /* sh2 is on S1 alone */
    (void)state;
    close_all();
    open_with((struct writer_config){0}, 2, shards, 2);
    farm->servers[0]->failing = "no";
    struct change_call *call = write_rows("a", 1, 5);
    wait_all();
    assert_int_equal(call->status, 503);
    assert_int_equal(farm_count_letters(farm, LETTER_FENCE, 0), 0);
    /* The insert was taken back where it had been made. */
    assert_string_equal(farm_keys(farm->servers[1]), "");
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

/* ---- copies -----------------------------------------------------------------------------------
 */

static void a_copy_hears_of_keys_changed_and_of_those_under_way(void **state)
{
    (void)state;
    write_rows("a", 1, 1);
    wait_all();
    farm->servers[0]->deaf = true;
    write_rows("a", 1, 2); /* under way when tracking begins */
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    post(LETTER_TRACK, 0, false);
    write_rows("a", 2, 4, 3);
    write_rows("a", 1, 104); /* another shard's */
    post(LETTER_TAKE_DIRTY, 0, false);
    farm_wait(farm, dirty(0));
    assert_int_equal(dirty(0)->n_keys, 3);
    assert_int_equal(dirty(0)->keys[0], 2);
    assert_int_equal(dirty(0)->keys[1], 3);
    assert_int_equal(dirty(0)->keys[2], 4);
    assert_false(dirty(0)->too_many);
    assert_ptr_equal(dirty(0)->live, &farm->live[0]);
    /* They are still under way, and may take effect only now: they are told of again. */
    post(LETTER_TAKE_DIRTY, 0, false);
    farm_wait(farm, dirty(1));
    assert_int_equal(dirty(1)->n_keys, 3);
    farm_release(farm->servers[0]);
    wait_all();
    post(LETTER_TAKE_DIRTY, 0, false);
    farm_wait(farm, dirty(2));
    assert_int_equal(dirty(2)->n_keys, 3);
    post(LETTER_TAKE_DIRTY, 0, false);
    farm_wait(farm, dirty(3));
    assert_int_equal(dirty(3)->n_keys, 0);
    post(LETTER_RELEASE, 0, false);
}

static void a_held_shard_lets_what_is_under_way_end_and_nothing_begin(void **state)
{
    (void)state;
    post(LETTER_TRACK, 0, false);
    farm->servers[0]->deaf = true;
    write_rows("a", 1, 1);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    post(LETTER_TAKE_DIRTY, 0, true);
    write_rows("a", 1, 2);
    write_rows("a", 2, 3, 103);
    struct change_call *elsewhere = write_rows("a", 1, 110);
    farm_wait(farm, n_written == 1);
    assert_ptr_equal(written[0], elsewhere);
    assert_null(dirty(0)); /* one is under way */
    farm_release(farm->servers[0]);
    farm_wait(farm, dirty(0) && n_written == 2);
    assert_int_equal(dirty(0)->n_keys, 1);
    assert_int_equal(dirty(0)->keys[0], 1);
    for (int i = 0; i < 20; i++)
        farm_turn(farm);
    assert_keys("1", "1 110", "110");
    /* The copy is done: S3 has the shard as well, and gets what waited. */
    static const char *const with_s3[] = {"123", "23"};
    farm_plant(farm->servers[2], "sh1", 1, "{\"id\":1,\"name\":\"a\"}");
    farm_publish(farm, with_s3, 2, "");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    for (int i = 0; i < 20; i++)
        farm_turn(farm);
    assert_int_equal(n_written, 2);
    post(LETTER_RELEASE, 0, false);
    wait_all();
    assert_keys("1 2 3", "1 2 3 103 110", "1 2 3 103 110");
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_on_every_replica_before_its_answer),
        TEST(no_answer_comes_while_one_replica_owes_its_own),
        TEST(updates_and_deletes_answer_as_the_contract_says),
        TEST(a_write_over_two_shards_is_whole),
        TEST(a_conflict_in_the_second_shard_leaves_the_first_as_it_was),
        TEST(a_shard_that_fails_after_the_check_takes_back_the_other),
        TEST(changes_of_one_key_take_their_turns),
        TEST(of_two_writes_of_a_key_one_wins_everywhere),
        TEST(what_comes_while_batches_are_under_way_goes_as_one),
        TEST(changes_past_the_limit_are_refused),
        TEST(the_answer_waits_until_who_failed_is_fenced),
        TEST(a_server_that_dies_is_fenced),
        TEST(a_server_that_leaves_the_snapshot_meanwhile_is_fenced_too),
        TEST(a_hung_server_is_given_up_after_the_time_allowed),
        TEST(when_all_replicas_fail_alike_nobody_is_fenced),
        TEST(when_no_replica_answers_the_outcome_is_unknown),
        TEST(the_last_replica_of_a_shard_is_never_fenced),
        TEST(a_replica_with_a_row_too_many_is_found_and_fenced),
        TEST(at_the_end_everything_is_answered),
        TEST(a_copy_hears_of_keys_changed_and_of_those_under_way),
        TEST(a_held_shard_lets_what_is_under_way_end_and_nothing_begin),
        TEST(a_server_is_told_of_once_nothing_is_under_way_to_it),
    };
    return cmocka_run_group_tests_name("lb writer", tests, NULL, NULL);
}
