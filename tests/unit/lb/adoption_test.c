/* What an LB does about the servers that an earlier life of it left behind, by what its state file
 * says of them. */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/letters.h"
#include "lb/state.h"
#include "tests/support/lb_bed.h"

static struct lb_bed *bed;
static char dir[64];

static int set_up(void **state)
{
    (void)state;
    bed = lb_bed_new();
    dir[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    lb_bed_free(bed);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return dir[0] ? system(command) : 0;
}

/* ---- a life before ------------------------------------------------------------------------------
 */

static char references[3][64];
static struct addr addrs[3];
static unsigned n_started;

static int give_address(void *context, const struct spawner_request *request, struct addr *ret_addr)
{
    (void)context;
    *ret_addr = lb_bed_plant(bed, request->name);
    return 0;
}

static void on_started(void *context, const struct spawner_server *server)
{
    (void)context;
    snprintf(references[server->uid - 1], sizeof(references[0]), "%s", server->reference);
    addrs[server->uid - 1] = server->addr;
    n_started++;
}

static void on_failed(void *context, uint64_t uid, const struct err *err)
{
    (void)context;
    fail_msg("%d: %s", (int)uid, err->message);
}

static void on_exit_told(void *context, uint64_t uid, const char *why)
{
    (void)context;
    fail_msg("%d: %s", (int)uid, why);
}

/* Server1 … Server3 run, and no LB has them. */
static void leave_servers_behind(void)
{
    static const struct spawner_handler handler = {on_started, on_failed, on_exit_told};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct spawner_config config = {.loop = loop};
    struct spawner *spawner;
    struct spec spec;

    assert_int_equal(spec_parse(&spawner_family, "fake", &spec, NULL), 0);
    assert_int_equal(spawner_open(&spec, &config, &handler, NULL, &spawner, NULL), 0);
    fake_spawner_set_address(spawner, give_address, NULL);
    n_started = 0;
    for (uint64_t uid = 1; uid <= 3; uid++) {
        char name[16];
        snprintf(name, sizeof(name), "Server%d", (int)uid);
        struct spawner_request request = {.uid = uid, .name = name, .id = uid};
        assert_int_equal(spawner->ops->start(spawner, &request, NULL), 0);
    }
    while (n_started < 3)
        ev_run(loop, EVRUN_ONCE);
    spawner_close(spawner);
    spec_done(&spec);
    ev_loop_destroy(loop);
    assert_int_equal(fake_world_n_orphans(), 3);
}

static void drop_letter(void *context, struct letter *letter)
{
    (void)context;
    free(letter);
}

/* The state file of an LB that had these three. */
static void leave_state_behind(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct mailbox mailbox;
    struct arena arena;
    struct state_store *store;
    struct state old;
    struct state_server servers[3];
    static const char *const names[] = {"Server1", "Server2", "Server3"};
    int found;

    strcpy(dir, "/tmp/quoit-adoption-XXXXXX");
    assert_non_null(mkdtemp(dir));
    mailbox_open(&mailbox, loop, drop_letter, NULL);
    arena_init(&arena);
    assert_int_equal(state_open(dir, &mailbox, &arena, &old, &found, &store, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        servers[i] = (struct state_server){.uid = i + 1,
                                           .id = i + 1,
                                           .name = names[i],
                                           .addr = addrs[i],
                                           .reference = references[i]};
    struct state state = {.next_uid = 4, .n_target = 3, .n_servers = 3, .servers = servers};
    state_save(store, &state, 1);
    state_close(store, 0);
    mailbox_close(&mailbox);
    arena_done(&arena);
    ev_loop_destroy(loop);
    lb_bed_config(bed)->state_dir = dir;
    lb_bed_config(bed)->n_servers = 7; /* of a new cluster; this one is not */
}

/* ---- claims -----------------------------------------------------------------------------------
 */

static void servers_of_an_earlier_life_are_adopted(void **state)
{
    (void)state;
    leave_servers_behind();
    leave_state_behind();
    lb_bed_start(bed);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    assert_int_equal(lb_bed_n_starts(bed, "Server1"), 0);
    assert_true(lb_bed_event_says(bed, "listens", "adopted"));
    lb_bed_home(bed, NULL);
    /* They are ours: their end is told, and they are stopped at ours. */
    lb_bed_exit(bed, "Server2", "exit status 1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server2"));
    lb_bed_tell_to_end(bed);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    assert_int_equal(fake_world_n_orphans(), 0);
    assert_true(lb_bed_was_stopped(bed, "Server1", NULL));
}

static void one_that_is_gone_by_then_is_replaced(void **state)
{
    (void)state;
    leave_servers_behind();
    snprintf(references[1], sizeof(references[1]), "fake/999999");
    leave_state_behind();
    lb_bed_start(bed);
    lb_bed_wait(lb_bed_is_healed(bed, "Server2"));
    assert_non_null(strstr(lb_bed_rep(bed), "Server1"));
    assert_non_null(strstr(lb_bed_rep(bed), "Server3"));
}

static void all_may_be_gone_by_then(void **state)
{
    (void)state;
    leave_servers_behind();
    fake_world_end_orphans();
    leave_state_behind();
    lb_bed_start(bed);
    lb_bed_wait(lb_bed_n_serving(bed) == 3);
    assert_null(strstr(lb_bed_rep(bed), "Server1 "));
}

static void those_that_cannot_be_reached_are_replaced(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 16; i++) { /* each, pairs, all */
        unsigned which = i % 8;
        /* Connecting to a broadcast address fails before it begins; to a shut port, later. */
        bool at_once = i > 8;
        leave_servers_behind();
        for (unsigned j = 0; j < 3; j++) {
            static const char *const names[] = {"Server1", "Server2", "Server3"};
            if (!(which & 1u << j))
                continue;
            if (at_once)
                addr_parse("127.255.255.255:1", &addrs[j], NULL);
            else
                lb_bed_shut(bed, names[j]);
        }
        leave_state_behind();
        lb_bed_start(bed);
        lb_bed_wait(lb_bed_n_serving(bed) == 3);
        char rep[256];
        snprintf(rep, sizeof(rep), " %s ", lb_bed_rep(bed));
        for (unsigned j = 0; j < 3; j++) {
            static const char *const names[] = {" Server1 ", " Server2 ", " Server3 "};
            assert_int_equal(strstr(rep, names[j]) == NULL, which >> j & 1);
        }
        lb_bed_tell_to_end(bed);
        assert_int_equal(lb_bed_wait_end(bed), 0);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        assert_int_equal(system(command), 0);
    }
}

static void one_that_hangs_or_is_somebody_else_by_then_is_replaced(void **state)
{
    (void)state;
    leave_servers_behind();
    leave_state_behind();
    lb_bed_config(bed)->fall = 4;
    lb_bed_hang(bed, "Server1", true);
    lb_bed_rename(bed, "Server3", "Stranger");
    lb_bed_start(bed);
    lb_bed_wait(lb_bed_n_serving(bed) == 3);
    char rep[256];
    snprintf(rep, sizeof(rep), "%s", lb_bed_rep(bed));
    assert_true(strncmp(rep, "Server2 ", 8) == 0);
    assert_null(strstr(rep, "Server1 "));
    assert_true(lb_bed_was_stopped(bed, "Server1", NULL));
    assert_true(lb_bed_was_stopped(bed, "Server3", NULL));
}

static void an_orderly_end_is_not_the_end_of_the_cluster(void **state)
{
    char command[128];

    (void)state;
    strcpy(dir, "/tmp/quoit-adoption-XXXXXX");
    assert_non_null(mkdtemp(dir));
    lb_bed_config(bed)->state_dir = dir;
    lb_bed_start(bed);
    lb_bed_call(bed, "POST", "/add", "{\"n\":2,\"hostnames\":[\"A7\",\"x\"]}", NULL);
    lb_bed_call(bed, "DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"Server2\"]}", NULL);
    for (int life = 0; life < 3; life++) {
        lb_bed_tell_to_end(bed);
        assert_int_equal(lb_bed_wait_end(bed), 0);
        assert_int_equal(fake_world_n_orphans(), 0);
        lb_bed_config(bed)->n_servers = 7; /* of a new cluster; this one is not */
        lb_bed_start(bed);
        assert_string_equal(lb_bed_rep(bed), "Server1 Server3 A7 x");
        assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 4);
    }
    lb_bed_tell_to_end(bed);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void a_start_that_fails_leaves_them_and_the_state_as_they_are(void **state)
{
    char message[512], path[128];

    (void)state;
    leave_servers_behind();
    leave_state_behind();
    struct lb_config *config = lb_bed_config(bed);
    /* The port is taken: nothing was adopted yet. */
    struct addr taken = lb_bed_plant(bed, "Taken");
    struct addr before = config->listen;
    config->listen = taken;
    assert_int_equal(lb_bed_start_in_vain(bed, message, sizeof(message)), -EADDRINUSE);
    assert_int_equal(fake_world_n_orphans(), 3);
    snprintf(path, sizeof(path), "%s/cluster.json", dir);
    assert_int_equal(access(path, F_OK), 0);
    config->listen = before;
    lb_bed_start(bed);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(servers_of_an_earlier_life_are_adopted),
        TEST(an_orderly_end_is_not_the_end_of_the_cluster),
        TEST(one_that_is_gone_by_then_is_replaced),
        TEST(all_may_be_gone_by_then),
        TEST(those_that_cannot_be_reached_are_replaced),
        TEST(one_that_hangs_or_is_somebody_else_by_then_is_replaced),
        TEST(a_start_that_fails_leaves_them_and_the_state_as_they_are),
    };
    return cmocka_run_group_tests_name("lb adoption", tests, NULL, NULL);
}
