/* The writer and changes of several shards that were left in doubt: whole, gone, or taken back, and
 * nobody gets at their keys before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "lb/intents.h"
#include "tests/support/writer_bed.h"

static char dir[64], path[80];

static struct intents *intents_here(void)
{
    struct intents *intents;
    struct err err = {0};
    if (intents_open(farm->loop, dir, false, &intents, &err) != 0)
        fail_msg("%s", err.message);
    return intents;
}

/* A writer over the file of intents, on the servers as they are. */
static void begin_life(void)
{
    struct writer_config config = {.loop = farm->loop,
                                   .flusher = &farm->flusher,
                                   .control = &farm->control,
                                   .intents = intents_here(),
                                   .timeout_ns = 300 * NS_PER_MS};
    writer = writer_bed_new(config);
    writer_take(writer, snapshot);
}

static int set_up_dir(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/quoit-recovery-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/intents", dir);
    int rc = set_up(state);
    writer_free(writer);
    return rc;
}

static int tear_down_dir(void **state)
{
    int rc = tear_down(state);
    unlink(path);
    rmdir(dir);
    return rc;
}

/* What a life that was killed left: an intent of key 50 of sh1 and key 150 of sh2. */
static void leave_intent(void)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("begin 4 2 50 150 .\n", file);
    fclose(file);
}

static void plant(size_t server, const char *shard, int64_t key)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"id\":%lld,\"name\":\"x\"}", (long long)key);
    farm_plant(farm->servers[server], shard, key, text);
}

static bool is_file_empty(void)
{
    static char text[256];
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[n] = '\0';
    if (file)
        fclose(file);
    return strstr(text, "end 4 .\n") != NULL;
}

static void half_a_change_of_a_life_before_is_taken_back(void **state)
{
    (void)state;
    leave_intent();
    plant(0, "sh1", 50);
    plant(1, "sh1", 50);
    begin_life();
    /* Whoever asks now waits until that is done. */
    struct change_call *call = write_rows("a", 1, 50);
    wait_all();
    assert_int_equal(call->status, 200);
    assert_keys("50", "50", "");
    assert_string_equal(farm_text(farm->servers[0], 50), "{\"id\":50,\"name\":\"a\"}");
    assert_int_equal(writer_metrics(writer)->recovered, 1);
    assert_true(is_file_empty());
}

static void a_whole_one_stays(void **state)
{
    (void)state;
    leave_intent();
    plant(0, "sh1", 50);
    plant(1, "sh1", 50);
    plant(1, "sh2", 150);
    plant(2, "sh2", 150);
    begin_life();
    struct change_call *call = write_rows("a", 1, 150);
    wait_all();
    assert_int_equal(call->status, 409);
    assert_keys("50", "50 150", "150");
    assert_true(is_file_empty());
}

static void one_that_was_never_written_is_forgotten(void **state)
{
    (void)state;
    leave_intent();
    begin_life();
    farm_wait(farm, is_file_empty());
    assert_keys("", "", "");
    assert_int_equal(writer_metrics(writer)->undone, 0);
}

static void it_is_looked_at_again_until_its_servers_answer(void **state)
{
    (void)state;
    leave_intent();
    plant(1, "sh2", 150);
    plant(2, "sh2", 150);
    farm->servers[0]->status = farm->servers[1]->status = farm->servers[2]->status = 500;
    begin_life();
    struct change_call *call = write_rows("a", 1, 150);
    farm_wait(farm, farm->servers[0]->n_batches > 5);
    assert_int_equal(n_written, 0);
    farm->servers[0]->status = farm->servers[1]->status = farm->servers[2]->status = 0;
    wait_all();
    assert_int_equal(call->status, 200);
    assert_keys("", "150", "150");
    assert_string_equal(farm_text(farm->servers[2], 150), "{\"id\":150,\"name\":\"a\"}");
    assert_int_equal(atomic_load(&farm->live[1].valid_idx), 1);
}

static void a_change_whose_taking_back_fails_is_looked_at_again(void **state)
{
    static const char *const shards[] = {"1", "2"};
    (void)state;
    farm_publish(farm, shards, 2, "");
    snapshot = publisher_take(farm->publisher, 0);
    begin_life();
    /* The check, the write that fails in sh2, the taking back in sh1, which is lost twice. */
    farm->servers[1]->failing = "no";
    struct change_call *call = write_rows("a", 2, 50, 150);
    farm_wait(farm, farm->servers[0]->n_rows == 1);
    farm->servers[0]->n_to_lose = 2;
    wait_all();
    assert_int_equal(call->status, 503);
    assert_non_null(strstr(call->reason, "outcome unknown"));
    farm_wait(farm, farm->servers[0]->n_rows == 0);
    farm->servers[1]->failing = NULL;
    struct change_call *next = write_rows("b", 2, 50, 150);
    wait_all();
    assert_int_equal(next->status, 200);
    assert_string_equal(farm_keys(farm->servers[0]), "50");
}

static void an_acknowledged_change_is_ended_in_the_file(void **state)
{
    (void)state;
    begin_life();
    struct change_call *call = write_rows("a", 2, 50, 150);
    wait_all();
    assert_int_equal(call->status, 200);
    /* Its keys are free once the end is on disk. */
    struct change_call *gone = ask(CHANGE_DELETE, "{\"id\":50}");
    wait_all();
    assert_int_equal(gone->status, 200);
    writer_free(writer);
    begin_life();
    turn(50);
    assert_keys("", "150", "150");
    assert_int_equal(writer_metrics(writer)->recovered, 0);
}

static void at_the_end_what_is_in_doubt_stays_in_the_file(void **state)
{
    (void)state;
    leave_intent();
    plant(1, "sh2", 150);
    plant(2, "sh2", 150);
    farm->servers[0]->status = 500;
    farm->servers[1]->status = 500;
    begin_life();
    write_rows("a", 1, 150); /* waits for its key */
    turn(20);
    writer_abort(writer);
    wait_all();
    assert_int_equal(written[0]->status, 503);
    assert_true(writer_is_idle(writer));
    writer_free(writer);
    farm->servers[0]->status = farm->servers[1]->status = 0;
    begin_life();
    farm_wait(farm, farm->servers[2]->n_rows == 0);
    assert_keys("", "", "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_dir, tear_down_dir)
    const struct CMUnitTest tests[] = {
        TEST(half_a_change_of_a_life_before_is_taken_back),
        TEST(a_whole_one_stays),
        TEST(one_that_was_never_written_is_forgotten),
        TEST(it_is_looked_at_again_until_its_servers_answer),
        TEST(a_change_whose_taking_back_fails_is_looked_at_again),
        TEST(an_acknowledged_change_is_ended_in_the_file),
        TEST(at_the_end_what_is_in_doubt_stays_in_the_file),
    };
    return cmocka_run_group_tests_name("lb writer, recovery", tests, NULL, NULL);
}
