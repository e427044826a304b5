/* One life of the fleet: containers made, ended and removed. Restarts, of the engine or of the
 * fleet, are in fleet_restart_test.c. */
#include "spawnerd/fleet.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "tests/support/fleet_world.h"

/* ---- a life in order ---------------------------------------------------------------------- */

static void starts_a_server_and_tells_where_it_listens(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 7, "halves", 0), 0);
    assert_string_equal(wait_for(world, "started 7"), "started 7 127.9.0.2:5000");
    assert_int_equal(world->pid, 4321);
    assert_true(fake_engine_has(world->engine, "halves"));
}

static const char *text_at(const cJSON *tree, const char *list, int index)
{
    return cJSON_GetArrayItem(json_get(tree, list), index)->valuestring;
}

static void makes_containers_that_may_do_little(void **state)
{
    struct world *world = *state;
    int64_t number;

    assert_int_equal(start(world, 7, "S7", 12), 0);
    wait_for(world, "started 7");
    const char *spec = fake_engine_last_spec(world->engine);
    cJSON *tree = json_parse(spec, strlen(spec), NULL);
    const cJSON *host = json_get(tree, "HostConfig");
    assert_string_equal(json_get_string(tree, "Image"), "quoit:test");
    assert_string_equal(json_get_string(tree, "Hostname"), "S7");
    assert_string_equal(text_at(host, "CapDrop", 0), "ALL");
    assert_string_equal(text_at(host, "SecurityOpt", 0), "no-new-privileges");
    assert_true(cJSON_IsTrue(json_get(host, "ReadonlyRootfs")));
    assert_null(json_get(host, "Privileged"));
    assert_null(json_get(host, "Binds"));
    assert_int_equal(json_get_int64(host, "Memory", &number), 0);
    assert_int_equal(number, 64 << 20);
    assert_int_equal(json_get_int64(host, "PidsLimit", &number), 0);
    assert_int_equal(number, 32);
    assert_string_equal(json_get_string(host, "NetworkMode"), "n1");
    const cJSON *labels = json_get(tree, "Labels");
    assert_string_equal(json_get_string(labels, "quoit.cluster"), "ours");
    assert_string_equal(json_get_string(labels, "quoit.id"), "7");
    const cJSON *mount = cJSON_GetArrayItem(json_get(host, "Mounts"), 0);
    assert_string_equal(json_get_string(mount, "Type"), "volume");
    assert_string_equal(json_get_string(mount, "Source"), "quoit-ours-12");
    assert_string_equal(text_at(tree, "Cmd", 0), "server");
    assert_string_equal(text_at(tree, "Cmd", 9), "--store");
    assert_string_equal(text_at(tree, "Cmd", 11), "--data");
    cJSON_Delete(tree);
    /* A number that nobody used before: what an earlier cluster left under it went first. */
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/quoit-ours-12"), 1);
}

static void stops_with_grace_and_leaves_nothing(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 7, "S7");
    fleet_stop(world->fleet, 7, 60 * NS_PER_S);
    assert_string_equal(wait_for(world, "exited 7"), "exited 7 exit status 0");
    wait_until_empty(world);
    assert_int_equal(world->n_told, 2);
}

static void kills_what_does_not_end_within_its_grace(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 7, "stubborn");
    fleet_stop(world->fleet, 7, 30 * NS_PER_MS);
    assert_string_equal(wait_for(world, "exited 7"), "exited 7 killed by SIGKILL");
    wait_until_empty(world);
}

static void shortens_the_grace_when_it_is_told_again(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 7, "stubborn");
    fleet_stop(world->fleet, 7, 60 * NS_PER_S);
    fleet_stop(world->fleet, 7, 90 * NS_PER_S);
    fleet_stop(world->fleet, 7, 0);
    wait_for(world, "exited 7");
    wait_until_empty(world);
}

static void takes_back_a_start_that_is_stopped(void **state)
{
    static const char *const moments[] = {"POST containers/create", "POST containers",
                                          "GET containers", "DELETE volumes"};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
        char line[32];
        size_t n = fake_engine_n_requests(world->engine, moments[i]);
        snprintf(line, sizeof(line), "failed %d ", (int)i);
        fake_engine_hold(world->engine, moments[i]);
        assert_int_equal(start(world, i, "mute", i + 1), 0);
        while (fake_engine_n_requests(world->engine, moments[i]) == n)
            ev_run(world->loop, EVRUN_ONCE);
        fleet_stop(world->fleet, i, 60 * NS_PER_S);
        fake_engine_hold(world->engine, NULL);
        assert_non_null(strstr(wait_for(world, line), "was stopped before it listened"));
        wait_until_empty(world);
    }
    assert_int_equal(count(world, "failed"), 4);
    assert_int_equal(count(world, "started"), 0);
}

/* ---- deaths ------------------------------------------------------------------------------- */

static void tells_a_death_at_once_and_how_it_was(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S2");
    start_and_wait(world, 3, "S3");
    fake_engine_end(world->engine, "S1", 137, false);
    assert_string_equal(wait_for(world, "exited 1"), "exited 1 killed by SIGKILL");
    fake_engine_end(world->engine, "S2", 5, false);
    assert_string_equal(wait_for(world, "exited 2"), "exited 2 exit status 5");
    fake_engine_end(world->engine, "S3", 137, true);
    assert_string_equal(wait_for(world, "exited 3"),
                        "exited 3 killed: over its memory limit of 64 MiB");
    wait_until_empty(world);
}

static void tells_a_container_that_somebody_removed(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_remove(world->engine, "S1");
    assert_string_equal(wait_for(world, "exited 1"), "exited 1 killed by SIGKILL");
    wait_until_empty(world);
    assert_int_equal(count(world, "exited"), 1);
}

static void tells_the_last_words_of_a_server_that_never_listened(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "fails", 0), 0);
    const char *line = wait_for(world, "failed 1");
    assert_non_null(strstr(line, "exit status 3"));
    assert_non_null(strstr(line, "the disk is on fire"));
    wait_until_empty(world);
}

static void refuses_a_server_that_tells_no_address(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "garbles", 0), 0);
    assert_non_null(strstr(wait_for(world, "failed 1"), "quoit.example:80"));
    assert_int_equal(start(world, 2, "nowhere", 0), 0);
    assert_non_null(strstr(wait_for(world, "failed 2"), "no address in its network: n1"));
    wait_until_empty(world);
}

/* ---- what the engine refuses -------------------------------------------------------------- */

static void says_that_the_image_is_missing(void **state)
{
    struct world *world = *state;

    fake_engine_refuse(world->engine, "POST containers/create", 404, "No such image: quoit:test",
                       1);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    const char *line = wait_for(world, "failed 1");
    assert_non_null(strstr(line, "without the image quoit:test"));
    assert_non_null(strstr(line, "make image"));
    wait_until_empty(world);
}

static void says_that_the_network_is_missing_and_removes_the_container(void **state)
{
    struct world *world = *state;
    char line[64];

    fake_engine_refuse_start(world->engine, 404, "network n1 not found");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    snprintf(line, sizeof(line), "failed 1 %d ", -ENETDOWN);
    assert_non_null(strstr(wait_for(world, line), "network n1 not found"));
    wait_until_empty(world);
}

static void says_that_a_stranger_has_the_name_and_leaves_it_alone(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", NULL, ID_A, "running");
    fake_engine_add(world->engine, "S2", "theirs", ID_B, "running");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_int_equal(start(world, 2, "S2", 0), 0);
    assert_non_null(strstr(wait_for(world, "failed 1"), "which is not of cluster ours"));
    assert_non_null(strstr(wait_for(world, "failed 2"), "which is not of cluster ours"));
    assert_int_equal(fake_engine_n_containers(world->engine), 2);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE"), 0);
}

static void moves_a_predecessor_of_the_same_name_aside(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S1");
    assert_int_equal(fake_engine_n_containers(world->engine), 2);
    fleet_stop(world->fleet, 1, 0);
    wait_for(world, "exited 1");
    fake_engine_end(world->engine, "S1", 0, false); /* the name is the second one's now */
    wait_for(world, "exited 2");
    wait_until_empty(world);
}

static void takes_as_its_own_what_it_made_twice(void **state)
{
    struct world *world = *state;

    /* The engine did it and its answer was lost with a kept connection: libcurl asks again. */
    fake_engine_swallow(world->engine, "POST containers/create", 1);
    start_and_wait(world, 1, "S1");
    assert_int_equal(fake_engine_n_requests(world->engine, "POST containers/create"), 2);
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
    assert_int_equal(fake_engine_n_requests(world->engine, "POST containers/00"),
                     2); /* attach, start */
}

static void removes_what_was_made_without_an_answer(void **state)
{
    struct world *world = *state;

    fake_engine_swallow(world->engine, "POST containers/create", 2); /* libcurl's second try too */
    assert_int_equal(start(world, 1, "S1", 0), 0);
    wait_for(world, "failed 1");
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
    wait_for(world, "up");
    wait_until_empty(world);
    start_and_wait(world, 2, "S1");
}

static void removes_what_is_made_after_its_start_was_given_up(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_add(world->engine, "S2", "ours", ID_A, "created");
    fake_engine_tell_made(world->engine, "S2");
    fleet_stop(world->fleet, 1, 0);
    wait_until_empty(world);
    assert_int_equal(count(world, "here") + count(world, "gone"), 0);
}

static void goes_on_removing_until_the_engine_lets_it(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_refuse(world->engine, "DELETE containers", 500, "device or resource busy", 2);
    fake_engine_refuse(world->engine, "DELETE containers", 409, "removal is in progress", 1);
    fleet_stop(world->fleet, 1, 0);
    wait_until_empty(world);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE containers"), 4);
    assert_int_equal(count(world, "exited 1"), 1);
}

static void answers_a_start_whose_container_cannot_be_removed(void **state)
{
    struct world *world = *state;
    char line[64];

    fake_engine_refuse(world->engine, "DELETE containers", 500, "device or resource busy", 6);
    fake_engine_refuse_start(world->engine, 500, "no space left");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    snprintf(line, sizeof(line), "failed 1 %d ", -EIO);
    assert_non_null(strstr(wait_for(world, line), "no space left"));
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
    wait_until_empty(world); /* its removal goes on */
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE containers"), 7);
    assert_int_equal(world->n_told, 1);
}

/* ---- volumes ------------------------------------------------------------------------------ */

static void removes_a_volume_after_its_container(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    size_t n = fake_engine_n_requests(world->engine, "DELETE volumes/");
    fleet_remove_data(world->fleet, 12);
    run_until(world, NULL, NULL, 0.05);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/"), n);
    fleet_stop(world->fleet, 1, 0);
    wait_until_empty(world);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/"), n + 1);
    fleet_remove_data(world->fleet, 13); /* nobody has it any more */
    run_until(world, NULL, NULL, 0.05);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/quoit-ours-13"), 1);
}

static void goes_on_removing_a_volume_that_is_in_use_for_a_while(void **state)
{
    struct world *world = *state;

    fake_engine_refuse(world->engine, "DELETE volumes/quoit-ours-12", 409, "volume is in use", 2);
    fake_engine_refuse(world->engine, "DELETE volumes/quoit-ours-13", 409, "volume is in use", 99);
    fake_engine_swallow(world->engine, "DELETE volumes/quoit-ours-14", 2);
    for (uint64_t data = 12; data <= 14; data++)
        fleet_remove_data(world->fleet, data);
    wait_until_empty(world);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/quoit-ours-12"), 3);
    assert_int_equal(fake_engine_n_requests(world->engine, "DELETE volumes/quoit-ours-13"), 7);
    assert_true(fake_engine_n_requests(world->engine, "DELETE volumes/quoit-ours-14") >= 3);
}

static void removes_no_volume_that_is_wanted_again(void **state)
{
    struct world *world = *state;
    static const char removal[] = "DELETE volumes/quoit-ours-12";
    const struct fleet_server server = {.uid = 1, .name = "S1", .data = 12};

    fake_engine_refuse(world->engine, removal, 409, "volume is in use", 1);
    fleet_remove_data(world->fleet, 12);
    wait_until_asked(world, removal);
    assert_int_equal(fleet_start(world->fleet, &server, NULL), 0);
    wait_for(world, "started 1");
    run_until(world, NULL, NULL, 0.2);
    assert_int_equal(fake_engine_n_requests(world->engine, removal), 1);
}

static void waits_for_a_volume_that_a_predecessor_is_letting_go(void **state)
{
    struct world *world = *state;

    fake_engine_refuse(world->engine, "DELETE volumes/", 409, "volume is in use", 2);
    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    fake_engine_refuse(world->engine, "DELETE volumes/", 409, "volume is in use", 1000);
    assert_int_equal(start(world, 2, "S2", 13), 0); /* a stranger has it, and keeps it */
    assert_non_null(strstr(wait_for(world, "failed 2"), "volume is in use"));
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
}

static void makes_and_removes_a_hundred_without_a_trace(void **state)
{
    struct world *world = *state;

    for (uint64_t uid = 1; uid <= 100; uid++) {
        char name[32];
        forget_told(world);
        snprintf(name, sizeof(name), "Server%d", (int)uid);
        start_and_wait(world, uid, name);
        fleet_stop(world->fleet, uid, uid % 2 ? 0 : NS_PER_S);
        wait_for(world, "exited");
    }
    wait_until_empty(world);
}

/* ---- limits ------------------------------------------------------------------------------- */

static void makes_no_more_servers_than_it_may(void **state)
{
    const struct fleet_server one_more = {.uid = MAX_SERVERS + 1, .name = "S"};
    struct world *world = *state;
    struct err err = {0};
    char name[32];

    for (uint64_t uid = 1; uid <= MAX_SERVERS; uid++) {
        snprintf(name, sizeof(name), "S%d", (int)uid);
        assert_int_equal(start(world, uid, name, 0), 0);
    }
    assert_int_equal(fleet_start(world->fleet, &one_more, &err), -EDQUOT);
    assert_non_null(strstr(err.message, "40 already"));
    assert_non_null(strstr(err.message, "--max-servers"));
    snprintf(name, sizeof(name), "started %d ", MAX_SERVERS);
    wait_for(world, name);
    fleet_stop(world->fleet, 1, 0);
    wait_for(world, "exited 1");
    run_until(world, NULL, NULL, 0.05);
    assert_int_equal(fleet_start(world->fleet, &one_more, &err), 0);
    snprintf(name, sizeof(name), "started %d ", MAX_SERVERS + 1);
    wait_for(world, name);
}

static void keeps_no_more_removals_of_volumes_than_it_may(void **state)
{
    struct world *world = *state;

    fake_engine_hold(world->engine, "DELETE volumes");
    for (uint64_t data = 1; data <= MAX_SERVERS; data++) {
        fleet_remove_data(world->fleet, data);
        fleet_remove_data(world->fleet, 1); /* asked for already */
        assert_int_equal(fleet_n_leaving(world->fleet), data);
    }
    fleet_remove_data(world->fleet, MAX_SERVERS + 1);
    assert_int_equal(fleet_n_leaving(world->fleet), MAX_SERVERS);
    wait_until_asked(world, "DELETE volumes/quoit-ours-40");
    fake_engine_hold(world->engine, NULL);
    wait_until_empty(world);
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(starts_a_server_and_tells_where_it_listens),
        CLAIM(makes_containers_that_may_do_little),
        CLAIM(stops_with_grace_and_leaves_nothing),
        CLAIM(kills_what_does_not_end_within_its_grace),
        CLAIM(shortens_the_grace_when_it_is_told_again),
        CLAIM(takes_back_a_start_that_is_stopped),
        CLAIM(tells_a_death_at_once_and_how_it_was),
        CLAIM(tells_a_container_that_somebody_removed),
        CLAIM(tells_the_last_words_of_a_server_that_never_listened),
        CLAIM(refuses_a_server_that_tells_no_address),
        CLAIM(says_that_the_image_is_missing),
        CLAIM(says_that_the_network_is_missing_and_removes_the_container),
        CLAIM(says_that_a_stranger_has_the_name_and_leaves_it_alone),
        CLAIM(moves_a_predecessor_of_the_same_name_aside),
        CLAIM(takes_as_its_own_what_it_made_twice),
        CLAIM(removes_what_was_made_without_an_answer),
        CLAIM(removes_what_is_made_after_its_start_was_given_up),
        CLAIM(goes_on_removing_until_the_engine_lets_it),
        CLAIM(answers_a_start_whose_container_cannot_be_removed),
        CLAIM(removes_a_volume_after_its_container),
        CLAIM(goes_on_removing_a_volume_that_is_in_use_for_a_while),
        CLAIM(removes_no_volume_that_is_wanted_again),
        CLAIM(makes_no_more_servers_than_it_may),
        CLAIM(keeps_no_more_removals_of_volumes_than_it_may),
        CLAIM(waits_for_a_volume_that_a_predecessor_is_letting_go),
        CLAIM(makes_and_removes_a_hundred_without_a_trace),
    };
    return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
