/* What a copy sends that is read late: by a server (the real one's endpoints over a memory store)
 * that has been busy, or stopped, while the copy was given up or its load balancer killed. The
 * control loop is the test's own, before any worker runs. */
#include "lb/copy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "lb/control.h"
#include "lb/copy_private.h"
#include "lb/epoch.h"
#include "tests/support/shard_server.h"

#define SCHEMA "{\"columns\":[\"k\",\"v\"],\"dtypes\":[\"Number\",\"Number\"]}"
/* Row k of the shard, with one digit. */
#define ROW(k, v) #k " 13\n{\"k\":" #k ",\"v\":" #v "}\n"
#define LATE "refused a later copy of the shard was begun\n"

static struct ev_loop *loop;
static struct flusher flusher;               /* the servers' */
static struct shard_server *source, *target; /* uids 1 and 2 */
static struct control control;               /* of this life */
static struct member members[2];
static struct operation boot;
static struct table_shard *shard;

static void assert_rows(struct shard_server *server, const char *rows)
{
    char *expected = mem_printf("{\"sh1\":[%s],\"status\":\"success\"}", rows);
    assert_string_equal(shard_server_ask(server, "/copy", "{\"shards\":[\"sh1\"]}"), expected);
    free(expected);
}

/* As it was changed meanwhile by the writer. */
static void change(struct shard_server *server, const char *batch)
{
    assert_memory_equal(shard_server_ask(server, "/batch", batch), "ok ", 3);
}

/* ---- a load balancer --------------------------------------------------------------------------
 */

/* has_rows: of the target, which may be equal already. */
static void lb_open(bool has_rows)
{
    struct shard range = {.name = "sh1", .low = 0, .last = 9};
    struct shard_server *servers[] = {source, target};
    memset(&control, 0, sizeof(control));
    control.loop = loop;
    flusher_init(&control.flusher, loop);
    database_init(&control.database, false);
    control.database.configured = true;
    shard = database_add_shard(&control.database, &range, NULL);
    boot = (struct operation){.type = OPERATION_BOOT, .filling = true};
    for (size_t i = 0; i < 2; i++) {
        members[i] = (struct member){.next = i == 0 ? &members[1] : NULL,
                                     .control = &control,
                                     .uid = i + 1,
                                     .state = MEMBER_FILLING,
                                     .addr = shard_server_addr(servers[i]),
                                     .operation = &boot};
        database_add_replica(shard, i + 1, i == 0 ? REPLICA_READY : REPLICA_FILLING);
    }
    control.members = &members[0];
    database_find_replica(shard, 2)->has_rows = has_rows;
}

/* As one that is killed: nothing is said to anybody. */
static void lb_close(void)
{
    copy_stop_all(&control);
    copy_free_dead(&control);
    database_done(&control.database);
    flusher_done(&control.flusher);
}

static bool is_ready(void)
{
    return database_find_replica(shard, 2)->state == REPLICA_READY;
}

static int set_up(void **state)
{
    (void)state;
    epoch_next(); /* 1 is an earlier one, then */
    loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&flusher, loop);
    source = shard_server_new(loop, &flusher, "Server1");
    target = shard_server_new(loop, &flusher, "Server2");
    const char *config = "{\"schema\":" SCHEMA ",\"shards\":[\"sh1\",\"sh2\"]}";
    assert_non_null(strstr(shard_server_ask(source, "/config", config), "configured"));
    assert_non_null(strstr(shard_server_ask(target, "/config", config), "configured"));
    change(source, "insert sh1 2\n" ROW(1, 1) ROW(2, 1));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lb_close();
    shard_server_free(source);
    shard_server_free(target);
    flusher_done(&flusher);
    ev_loop_destroy(loop);
    return 0;
}

/* Has a copy begun whose first page the target takes and does not begin. */
static void copy_until_a_page_is_held(void)
{
    shard_server_hold(target, true);
    copy_schedule(&control);
    shard_server_wait(target, shard_server_held_path(target));
    shard_server_hold(target, false);
}

/* That page once more, as over another connection, on which it is late. */
static struct late_request begin_held_page(void)
{
    return late_request_begin(target, shard_server_held_path(target),
                              shard_server_held_body(target));
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_copy_makes_the_target_equal_and_a_page_of_it_that_comes_again_is_late(void **state)
{
    (void)state;
    lb_open(false);
    copy_schedule(&control);
    shard_server_wait(target, is_ready());
    assert_rows(target, "{\"k\":1,\"v\":1},{\"k\":2,\"v\":1}");
    assert_int_equal(control.metrics.failed_copies, 0);
    assert_string_equal(shard_server_ask(target, "/batch?copy=1", "replace sh1 0 9 0\n"), LATE);
    /* The source has no part in it. */
    assert_string_equal(shard_server_ask(source, "/batch?copy=1", "delete sh1 2\n"), "ok 1\n");
}

/* As a start does: in each shard one replica is claimed, and is then the other's source. */
static void replicas_of_several_shards_are_claimed_and_then_copied_from(void **state)
{
    struct shard range = {.name = "sh2", .low = 10, .last = 19};
    (void)state;
    lb_open(true);
    struct table_shard *other = database_add_shard(&control.database, &range, NULL);
    for (uint64_t uid = 1; uid <= 2; uid++)
        database_add_replica(other, uid, REPLICA_FILLING)->has_rows = true;
    database_find_replica(shard, 1)->state = REPLICA_FILLING;
    database_find_replica(shard, 1)->whole = database_find_replica(other, 1)->whole = true;
    copy_schedule(&control);
    shard_server_wait(target, is_ready() && database_count(other, REPLICA_READY) == 2);
    assert_int_equal(control.metrics.copies, 4);
    assert_int_equal(database_count(shard, REPLICA_READY), 2);
    assert_rows(target, "{\"k\":1,\"v\":1},{\"k\":2,\"v\":1}");
}

/* The target is equal, so the later life sends no page of its own: it only compares. */
static void a_late_page_of_a_dead_balancers_copy_is_refused(void **state)
{
    (void)state;
    lb_open(false);
    copy_until_a_page_is_held();
    struct late_request late = begin_held_page();
    lb_close();
    change(source, "update sh1\n" ROW(1, 2));
    change(target, "insert sh1 2\n" ROW(1, 2) ROW(2, 1));
    lb_open(true);
    copy_schedule(&control);
    shard_server_wait(target, is_ready());
    assert_int_equal(control.metrics.copied_rows, 0);
    assert_string_equal(late_request_end(&late), LATE);
    assert_rows(target, "{\"k\":1,\"v\":2},{\"k\":2,\"v\":1}");
}

static void so_is_its_emptying_of_a_shard_that_nobody_had(void **state)
{
    (void)state;
    lb_open(false);
    database_drop_replicas(&control.database, 1);
    copy_until_a_page_is_held();
    assert_string_equal(shard_server_held_body(target), "replace sh1 0 9 0\n");
    struct late_request late = begin_held_page();
    lb_close();
    change(target, "insert sh1 2\n" ROW(1, 1) ROW(2, 1));
    lb_open(true);
    copy_schedule(&control);
    shard_server_wait(target, is_ready());
    assert_string_equal(late_request_end(&late), LATE);
    assert_rows(target, "{\"k\":1,\"v\":1},{\"k\":2,\"v\":1}");
}

static void a_late_page_of_a_copy_that_the_same_balancer_gave_up_is_refused(void **state)
{
    (void)state;
    lb_open(false);
    copy_until_a_page_is_held();
    struct late_request late = begin_held_page();
    httpc_break(control.copies.first->to, -ECONNRESET);
    change(source, "update sh1\n" ROW(1, 2));
    shard_server_wait(target, is_ready());
    assert_string_equal(late_request_end(&late), LATE);
    assert_rows(target, "{\"k\":1,\"v\":2},{\"k\":2,\"v\":1}");
}

/* Of the shard to be copied, over the writer's connection to the target: the replica was one of
 * those that it writes, until it missed a change. The second one was sent while the copy went on,
 * and given up before the writer held. */
static void a_late_change_from_before_the_hold_is_refused(void **state)
{
    char path[64];
    (void)state;
    lb_open(true);
    control.copies.epoch = 1; /* workers run: digests say nothing to the server as a whole */
    uint64_t first = epoch_next();
    snprintf(path, sizeof(path), "/batch?epoch=%llu", (unsigned long long)first);
    struct late_request before = late_request_begin(target, path, "insert sh1 1\n" ROW(3, 1));
    shard_server_hold(target, true); /* so that the copy waits */
    copy_schedule(&control);
    shard_server_wait(target, shard_server_held_path(target));
    struct copy *copy = control.copies.first;
    uint64_t second = epoch_next();
    assert_true(copy->epoch > first && copy->epoch < second);
    snprintf(path, sizeof(path), "/batch?epoch=%llu", (unsigned long long)second);
    struct late_request within = late_request_begin(target, path, "insert sh1 1\n" ROW(4, 1));
    shard_server_hold(target, false);
    copy->held = true; /* the writer is about to say so */
    copy->phase = PHASE_ASKING;
    struct shard_letter letter = {.base.version = copy->number, .live = &shard->live};
    copy_on_dirty(&control, &letter);
    shard_server_let(target);
    shard_server_wait(target, is_ready());
    assert_string_equal(late_request_end(&before), LATE);
    assert_string_equal(late_request_end(&within), LATE);
    assert_rows(target, "{\"k\":1,\"v\":1},{\"k\":2,\"v\":1}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_makes_the_target_equal_and_a_page_of_it_that_comes_again_is_late),
        TEST(replicas_of_several_shards_are_claimed_and_then_copied_from),
        TEST(a_late_page_of_a_dead_balancers_copy_is_refused),
        TEST(so_is_its_emptying_of_a_shard_that_nobody_had),
        TEST(a_late_page_of_a_copy_that_the_same_balancer_gave_up_is_refused),
        TEST(a_late_change_from_before_the_hold_is_refused),
    };
    return cmocka_run_group_tests_name("lb copy", tests, NULL, NULL);
}
