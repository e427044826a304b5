/* What the control loop asks of the writer: copies miss no key, and a shard that is held changes no
 * more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/writer_bed.h"

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
    turn(20);
    assert_keys("1", "1 110", "110");
    /* The copy is done: S3 has the shard as well, and gets what waited. */
    static const char *const with_s3[] = {"123", "23"};
    farm_plant(farm->servers[2], "sh1", 1, "{\"id\":1,\"name\":\"a\"}");
    farm_publish(farm, with_s3, 2, "");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    turn(20);
    assert_int_equal(n_written, 2);
    post(LETTER_RELEASE, 0, false);
    wait_all();
    assert_keys("1 2 3", "1 2 3 103 110", "1 2 3 103 110");
}

/* ---- holds ------------------------------------------------------------------------------------
 */

static void post_hold(enum letter_type type, uint64_t number)
{
    struct shard_letter *letter = shard_letter_new(type, &farm->live[0]);
    letter->base.version = number;
    writer_take_letter(writer, &letter->base);
}

/* Something of sh1 is under way until farm_release() of S1. */
static void begin_something(void)
{
    farm->servers[0]->deaf = true;
    write_rows("a", 1, 5);
    farm_wait(farm, farm->servers[0]->n_kept == 1);
}

static void a_hold_waits_for_what_is_under_way_and_keeps_the_rest_back(void **state)
{
    (void)state;
    begin_something();
    post_hold(LETTER_HOLD, 1);
    struct change_call *late = write_rows("b", 1, 6);
    write_rows("c", 1, 150); /* of the other shard */
    farm_wait(farm, n_written == 1);
    assert_int_equal(farm_count_letters(farm, LETTER_HELD, 0), 0);
    farm_release(farm->servers[0]);
    farm_wait(farm, farm_count_letters(farm, LETTER_HELD, 0) == 1 && n_written == 2);
    turn(20);
    assert_keys("5", "5 150", "150");
    post_hold(LETTER_LET, 1);
    wait_all();
    assert_int_equal(late->status, 200);
    assert_keys("5 6", "5 6 150", "150");
}

static void changes_wait_until_the_last_of_several_holds_is_over(void **state)
{
    (void)state;
    post_hold(LETTER_HOLD, 1);
    post_hold(LETTER_HOLD, 2);
    post(LETTER_TRACK, 0, false);
    post(LETTER_TAKE_DIRTY, 0, true); /* a copy's own */
    farm_wait(farm, farm_count_letters(farm, LETTER_HELD, 0) == 2 && dirty(0));
    write_rows("a", 1, 5);
    post_hold(LETTER_LET, 2);
    post(LETTER_RELEASE, 0, false);
    turn(20);
    assert_int_equal(n_written, 0);
    post_hold(LETTER_LET, 1);
    wait_all();
    assert_int_equal(written[0]->status, 200);
}

static void a_hold_that_is_over_before_it_began_is_not_answered(void **state)
{
    (void)state;
    begin_something();
    post_hold(LETTER_HOLD, 1);
    post_hold(LETTER_HOLD, 2);
    post_hold(LETTER_LET, 1);
    farm_release(farm->servers[0]);
    farm_wait(farm, farm_count_letters(farm, LETTER_HELD, 0) == 1);
    post_hold(LETTER_LET, 2);
    write_rows("b", 1, 6);
    wait_all();
    assert_int_equal(written[1]->status, 200);
    assert_int_equal(farm_count_letters(farm, LETTER_HELD, 0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_hears_of_keys_changed_and_of_those_under_way),
        TEST(a_held_shard_lets_what_is_under_way_end_and_nothing_begin),
        TEST(a_hold_waits_for_what_is_under_way_and_keeps_the_rest_back),
        TEST(changes_wait_until_the_last_of_several_holds_is_over),
        TEST(a_hold_that_is_over_before_it_began_is_not_answered),
    };
    return cmocka_run_group_tests_name("lb writer, lanes", tests, NULL, NULL);
}
