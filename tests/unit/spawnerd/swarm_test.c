/* The fleet over a swarm: what is different from the containers of one engine (fleet_test.c). */
#include <errno.h>

#include "core/json.h"
#include "tests/support/fleet_world.h"

static int set_up_swarm(void **state)
{
    set_up_away(state);
    struct world *world = *state;
    open_fleet_of(world, true, "");
    wait_for(world, "up");
    forget_told(world);
    return 0;
}

static int start_with(struct world *world, uint64_t uid, const char *name, const uint32_t *groups,
                      size_t n_groups)
{
    const struct fleet_server server = {
        .uid = uid, .name = name, .id = uid, .groups = groups, .n_groups = n_groups};
    return fleet_start(world->fleet, &server, NULL);
}

static int start_on(struct world *world, uint64_t uid, const char *name, uint64_t data)
{
    const struct fleet_server server = {.uid = uid, .name = name, .id = uid, .data = data};
    return fleet_start(world->fleet, &server, NULL);
}

static bool none_leaves(struct world *world, const char *text)
{
    (void)text;
    return fleet_n_leaving(world->fleet) == 0;
}

static void settle(struct world *world)
{
    run_until(world, none_leaves, NULL, PATIENCE_S);
    assert_int_equal(fleet_n_leaving(world->fleet), 0);
}

/* ---- a life in order ---------------------------------------------------------------------- */

static void starts_a_server_and_tells_where_it_listens(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 7, "halves", 0), 0);
    assert_string_equal(wait_for(world, "started 7"), "started 7 127.9.0.2:5000");
    assert_int_equal(world->pid, 0); /* of another machine, perhaps */
    fleet_stop(world->fleet, 7, NS_PER_S);
    wait_for(world, "exited 7");
    wait_until_empty(world);
}

static const cJSON *at(const cJSON *tree, const char *path)
{
    char key[64];

    while (*path) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof(key), "%.*s", (int)n, path);
        tree = cJSON_IsArray(tree) ? cJSON_GetArrayItem(tree, atoi(key)) : json_get(tree, key);
        path += n + (path[n] == '.');
    }
    return tree;
}

static const char *text_at(const cJSON *tree, const char *path)
{
    const cJSON *node = at(tree, path);
    return cJSON_IsString(node) ? node->valuestring : "";
}

static void makes_services_that_may_do_little_and_never_restart(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 7, "S.7", 12), 0);
    wait_for(world, "started 7");
    const char *spec = fake_engine_last_spec(world->engine);
    cJSON *tree = json_parse(spec, strlen(spec), NULL);
    assert_string_equal(text_at(tree, "Name"), "S-7");              /* no dots in services' names */
    assert_string_equal(text_at(tree, "Labels.quoit.cluster"), ""); /* a dot in the label itself */
    assert_string_equal(json_get_string(at(tree, "Labels"), "quoit.cluster"), "ours");
    const cJSON *task = at(tree, "TaskTemplate");
    const cJSON *made = at(task, "ContainerSpec");
    assert_string_equal(text_at(made, "Image"), "quoit:test");
    assert_string_equal(text_at(made, "Hostname"), "S.7");
    assert_string_equal(text_at(made, "CapabilityDrop.0"), "ALL");
    assert_true(cJSON_IsTrue(at(made, "ReadOnly")));
    assert_string_equal(text_at(made, "Args.0"), "server");
    assert_string_equal(text_at(made, "Args.2"), "0.0.0.0:5000");
    assert_string_equal(text_at(made, "Mounts.0.Type"), "tmpfs");
    assert_string_equal(text_at(made, "Mounts.1.Type"), "volume");
    assert_memory_equal(text_at(made, "Mounts.1.Source"), "quoit-ours-12-", 14);
    assert_null(at(made, "Mounts.2"));
    assert_string_equal(text_at(task, "RestartPolicy.Condition"), "none");
    assert_string_equal(text_at(task, "Networks.0.Target"), "n1");
    assert_int_equal(at(task, "Resources.Limits.MemoryBytes")->valueint, 64 << 20);
    assert_int_equal(at(task, "Resources.Limits.Pids")->valueint, 32);
    assert_string_equal(text_at(tree, "EndpointSpec.Mode"), "dnsrr");
    cJSON_Delete(tree);
}

static void tells_a_death_on_its_own_node_by_the_event_and_elsewhere_by_the_task(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S2");
    assert_int_not_equal(fake_swarm_node_of(world->engine, "S1"),
                         fake_swarm_node_of(world->engine, "S2"));
    fake_engine_end(world->engine, "S1", 137, false);
    fake_engine_end(world->engine, "S2", 3, false);
    assert_string_equal(wait_for(world, "exited 1"), "exited 1 killed by SIGKILL");
    assert_string_equal(wait_for(world, "exited 2"), "exited 2 exit status 3");
    wait_until_empty(world);
}

static void tells_the_last_words_of_a_server_that_never_listened(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "fails", 0), 0);
    const char *told = wait_for(world, "failed 1");
    assert_non_null(strstr(told, "exit status 3"));
    assert_non_null(strstr(told, "the disk is on fire"));
    wait_until_empty(world);
}

static void tells_a_service_that_somebody_removes_before_it_ends(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_swarm_remove_service(world->engine, "S1");
    assert_string_equal(wait_for(world, "exited 1"),
                        "exited 1 its service was removed, or its node drained");
    fake_engine_remove(world->engine, "S1");
    wait_until_empty(world);
}

/* ---- where they go ------------------------------------------------------------------------ */

static void puts_servers_that_share_a_group_on_different_nodes(void **state)
{
    static const uint32_t shards[6][2] = {{1, 2}, {3, 4}, {1, 3}, {4, 2}, {1, 4}, {3, 2}};
    static const char *const names[] = {"S0", "S1", "S2", "S3", "S4", "S5"};
    struct world *world = *state;

    for (uint64_t uid = 0; uid < 6; uid++)
        assert_int_equal(start_with(world, uid, names[uid], shards[uid], 2), 0);
    wait_for(world, "started 5");
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < 4; k++)
                if (shards[i][k % 2] == shards[j][k / 2])
                    assert_int_not_equal(fake_swarm_node_of(world->engine, names[i]),
                                         fake_swarm_node_of(world->engine, names[j]));
}

static void knows_the_groups_of_those_it_finds(void **state)
{
    static const uint32_t one[] = {4000000001u}, two[] = {7, 4000000001u};
    struct world *world = *state;

    assert_int_equal(start_with(world, 1, "S1", one, 1), 0);
    wait_for(world, "started 1");
    size_t node = fake_swarm_node_of(world->engine, "S1");
    fleet_free(world->fleet);
    fake_swarm_drain(world->engine, (node + 1) % 3);
    forget_told(world);
    open_fleet_of(world, true, "");
    wait_for(world, "up");
    assert_int_equal(fleet_adopt(world->fleet, 1, world->reference, NULL), 0);
    for (uint64_t uid = 2; uid < 5; uid++) { /* the other node fills up, and has it all the same */
        char name[8];
        snprintf(name, sizeof(name), "S%d", (int)uid);
        assert_int_equal(start_with(world, uid, name, two, uid == 4 ? 2 : 0), 0);
    }
    wait_for(world, "started 4");
    assert_int_equal(fake_swarm_node_of(world->engine, "S4"), (node + 2) % 3);
}

static void uses_only_nodes_with_the_label(void **state)
{
    struct world *world = *state;

    fake_swarm_label(world->engine, 1, "rack");
    open_fleet_of(world, true, "rack=yes");
    wait_for(world, "up");
    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S2");
    assert_int_equal(fake_swarm_node_of(world->engine, "S1"), 1);
    assert_int_equal(fake_swarm_node_of(world->engine, "S2"), 1);
}

static void says_that_no_node_can_have_it(void **state)
{
    struct world *world = *state;

    for (size_t node = 0; node < FAKE_NODES; node++)
        fake_swarm_drain(world->engine, node);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_string_equal(wait_for(world, "failed 1"),
                        "failed 1 -113 server S1 finds no place in the swarm: of its 3 nodes none "
                        "is ready and active");
    wait_until_empty(world);
}

static void replaces_on_another_node_than_the_one_that_fell_silent(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    size_t node = fake_swarm_node_of(world->engine, "S1");
    fake_swarm_silence(world->engine, node, false); /* the swarm has not noticed */
    fleet_stop(world->fleet, 1, 0);                 /* the LB has */
    start_and_wait(world, 2, "S2");
    start_and_wait(world, 3, "S3");
    start_and_wait(world, 4, "S4");
    assert_int_not_equal(fake_swarm_node_of(world->engine, "S2"), node);
    assert_int_not_equal(fake_swarm_node_of(world->engine, "S3"), node);
    assert_int_not_equal(fake_swarm_node_of(world->engine, "S4"), node);
    assert_false(was_told(world, "exited 1"));
    fake_swarm_silence(world->engine, node, true);
    assert_string_equal(wait_for(world, "exited 1"), "exited 1 its node is down");
    fake_swarm_wake(world->engine, node); /* its agent ends what nobody wants */
    start_and_wait(world, 5, "S5");
    start_and_wait(world, 6, "S6");
    settle(world);
    assert_int_equal(fake_engine_n_containers(world->engine), 5);
}

static void waits_for_the_only_node_there_is(void **state)
{
    struct world *world = *state;

    for (size_t node = 1; node < FAKE_NODES; node++)
        fake_swarm_drain(world->engine, node);
    fake_swarm_silence(world->engine, 0, false);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    run_until(world, NULL, NULL, 3.5);
    assert_false(was_told(world, "failed 1"));
    fake_swarm_silence(world->engine, 0, true);
    assert_non_null(strstr(wait_for(world, "failed 1"), "(127.8.0.1): it is down"));
}

static void gives_up_a_node_that_takes_nothing_up(void **state)
{
    struct world *world = *state;

    for (size_t node = 0; node < FAKE_NODES; node++)
        fake_swarm_silence(world->engine, node, false);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_non_null(strstr(wait_for(world, "failed 1"), "(127.8.0.1): it does not answer"));
    fake_swarm_wake(world->engine, 0);
    fake_swarm_wake(world->engine, 1);
    fake_swarm_wake(world->engine, 2);
    start_and_wait(world, 2, "S2");
    assert_int_not_equal(fake_swarm_node_of(world->engine, "S2"), 0);
}

static void fails_a_start_whose_node_goes_down(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "mute", 0), 0);
    wait_until_asked(world, "GET services/");
    fake_swarm_silence(world->engine, 0, false);
    fleet_stop(world->fleet, 1, 0);
    fake_swarm_silence(world->engine, 0, true);
    assert_non_null(strstr(wait_for(world, "failed 1"), "was stopped"));
    settle(world);
}

/* ---- what may be in the way --------------------------------------------------------------- */

static void says_that_the_image_is_missing_on_a_node(void **state)
{
    struct world *world = *state;

    fake_engine_refuse_start(world->engine, 404, "No such image: quoit:test");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_string_equal(wait_for(world, "failed 1"),
                        "failed 1 -2 server S1 cannot be started on node node0 (127.8.0.1): it has "
                        "no image quoit:test (docker save and docker load bring it): No such "
                        "image: quoit:test");
    wait_until_empty(world);
}

static void says_that_the_kernel_lacks_the_overlay(void **state)
{
    struct world *world = *state;

    fake_engine_refuse_start(world->engine, 500,
                             "network sandbox join failed: error creating vxlan interface: "
                             "operation not supported");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_non_null(strstr(wait_for(world, "failed 1"), "--network host needs none"));
    wait_until_empty(world);
}

static void says_that_the_network_is_missing(void **state)
{
    struct world *world = *state;

    fake_engine_refuse(world->engine, "POST services/create", 404, "network n1 not found", 1);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_string_equal(wait_for(world, "failed 1"),
                        "failed 1 -100 server S1 cannot be made: network n1 not found");
    wait_until_empty(world);
}

static void refuses_a_network_without_addresses_of_the_swarm(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "nowhere", 0), 0);
    assert_string_equal(wait_for(world, "failed 1"),
                        "failed 1 -101 server nowhere has no address in its network, which is none "
                        "of the swarm's: n1");
    wait_until_empty(world);
}

static void says_that_a_stranger_has_the_name_and_leaves_it_alone(void **state)
{
    struct world *world = *state;

    fake_engine_add(world->engine, "S1", NULL, "feedfeed", "running");
    assert_int_equal(start(world, 1, "S1", 0), 0);
    assert_string_equal(wait_for(world, "failed 1"),
                        "failed 1 -17 server S1 cannot be made: a service named S1 is there "
                        "(feedfeed), which is not of cluster ours; remove it");
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
}

static void takes_another_name_beside_one_of_its_own(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    start_and_wait(world, 2, "S1");
    assert_int_equal(fake_engine_n_containers(world->engine), 2);
    assert_true(fake_engine_has(world->engine, "S1"));
}

static void takes_as_its_own_what_it_made_twice(void **state)
{
    struct world *world = *state;

    fake_engine_swallow(world->engine, "POST services/create", 1);
    assert_int_equal(start(world, 1, "S1", 0), 0);
    wait_for(world, "started 1");
    assert_int_equal(fake_engine_n_containers(world->engine), 1);
}

static void removes_what_was_made_without_an_answer(void **state)
{
    struct world *world = *state;

    fake_engine_swallow(world->engine, "POST services/create", 2); /* libcurl's second try too */
    assert_int_equal(start(world, 1, "S1", 0), 0);
    wait_for(world, "failed 1");
    wait_for(world, "up");
    wait_until_empty(world);
    assert_int_equal(count(world, "here"), 0);
}

static void says_that_the_engine_is_no_manager(void **state)
{
    struct world *world = *state;

    fake_swarm_demote(world->engine, true);
    open_fleet_of(world, true, "");
    run_until(world, NULL, NULL, 0.2);
    assert_string_equal(fleet_engine_trouble(world->fleet),
                        "the swarm cannot be managed: This node is not a swarm manager.");
    assert_int_equal(start(world, 1, "S1", 0), -EHOSTDOWN);
    fake_swarm_demote(world->engine, false);
    wait_for(world, "up");
}

static void keeps_servers_when_the_managers_lose_their_majority(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_swarm_demote(world->engine, true);
    assert_non_null(strstr(wait_for(world, "down"), "the swarm cannot be managed"));
    assert_int_equal(start(world, 2, "S2", 0), -EHOSTDOWN);
    forget_told(world);
    fake_swarm_demote(world->engine, false);
    wait_for(world, "up");
    start_and_wait(world, 2, "S2");
    assert_false(was_told(world, "exited 1"));
    assert_int_equal(fake_engine_n_containers(world->engine), 2);
}

static void removes_when_the_swarm_is_back_what_was_stopped_without_it(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    fake_engine_stop(world->engine, false);
    wait_for(world, "down");
    fleet_stop(world->fleet, 1, 0);
    fake_engine_start(world->engine);
    wait_for(world, "exited 1");
    wait_until_empty(world);
}

static void finds_what_runs_and_removes_what_was_half_made(void **state)
{
    struct world *world = *state;

    start_and_wait(world, 1, "S1");
    assert_int_equal(start(world, 2, "S2", 0), 0);
    wait_for(world, "started 2");
    fleet_free(world->fleet);
    fake_engine_end(world->engine, "S2", 1, false);
    forget_told(world);
    open_fleet_of(world, true, "");
    wait_for(world, "up");
    assert_int_equal(count(world, "here"), 1);
    while (fake_engine_has(world->engine, "S2"))
        ev_run(world->loop, EVRUN_ONCE);
    assert_true(fake_engine_has(world->engine, "S1"));
    fleet_purge(world->fleet);
    wait_until_empty(world);
}

/* ---- data --------------------------------------------------------------------------------- */

static void starts_again_where_its_data_are(void **state)
{
    struct world *world = *state;
    char volume[160];

    start_and_wait(world, 1, "S1"); /* on the first node */
    assert_int_equal(start(world, 2, "S2", 12), 0);
    wait_for(world, "started 2");
    assert_int_equal(fake_swarm_n_configs(world->engine), 1);
    size_t node = fake_swarm_node_of(world->engine, "S2");
    cJSON *tree = json_parse(fake_engine_last_spec(world->engine),
                             strlen(fake_engine_last_spec(world->engine)), NULL);
    snprintf(volume, sizeof(volume), "%s",
             text_at(tree, "TaskTemplate.ContainerSpec.Mounts.1.Source"));
    cJSON_Delete(tree);
    fleet_stop(world->fleet, 2, 0);
    wait_for(world, "exited 2");
    fleet_free(world->fleet); /* the swarm remembers */
    forget_told(world);
    open_fleet_of(world, true, "");
    wait_for(world, "up");
    start_and_wait(world, 3, "S3");
    start_and_wait(world, 4, "S4");
    assert_int_equal(start_on(world, 5, "S5", 12), 0);
    wait_for(world, "started 5");
    assert_int_equal(fake_swarm_node_of(world->engine, "S5"), node);
    tree = json_parse(fake_engine_last_spec(world->engine),
                      strlen(fake_engine_last_spec(world->engine)), NULL);
    assert_string_equal(text_at(tree, "TaskTemplate.ContainerSpec.Mounts.1.Source"), volume);
    cJSON_Delete(tree);
    fleet_remove_data(world->fleet, 12);
    fleet_stop(world->fleet, 5, 0);
    wait_for(world, "exited 5");
    settle(world);
    assert_int_equal(fake_swarm_n_configs(world->engine), 0);
}

static void starts_nowhere_else_than_where_its_data_are(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    fake_swarm_silence(world->engine, fake_swarm_node_of(world->engine, "S1"), true);
    fleet_stop(world->fleet, 1, 0);
    wait_for(world, "exited 1");
    assert_int_equal(start_on(world, 2, "S2", 12), 0);
    assert_non_null(strstr(wait_for(world, "failed 2"), "cannot have its data: they are on node"));
    assert_int_equal(start_on(world, 3, "S3", 99), 0);
    assert_non_null(
        strstr(wait_for(world, "failed 3"), "the swarm knows of no node that has them"));
}

static void gives_up_data_on_a_node_that_says_nothing(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    fake_swarm_silence(world->engine, fake_swarm_node_of(world->engine, "S1"), false);
    fleet_stop(world->fleet, 1, 0);
    assert_int_equal(start_on(world, 2, "S2", 12), 0);
    assert_non_null(strstr(wait_for(world, "failed 2"), "which does not answer"));
}

static void waits_longer_for_data_where_another_server_lives(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    size_t node = fake_swarm_node_of(world->engine, "S1");
    start_and_wait(world, 2, "S2");
    start_and_wait(world, 3, "S3");
    start_and_wait(world, 4, "S4");
    assert_int_equal(fake_swarm_node_of(world->engine, "S4"), node);
    fake_swarm_silence(world->engine, node, false); /* its agent is slow, and S4 serves */
    fleet_stop(world->fleet, 1, 0);
    assert_int_equal(start_on(world, 5, "S5", 12), 0);
    run_until(world, NULL, NULL, 4.);
    assert_false(was_told(world, "failed 5"));
    fake_swarm_wake(world->engine, node);
    wait_for(world, "started 5");
    assert_int_equal(fake_swarm_node_of(world->engine, "S5"), node);
}

static void waits_until_the_predecessor_lets_go_of_the_data(void **state)
{
    struct world *world = *state;

    assert_int_equal(start(world, 1, "S1", 12), 0);
    wait_for(world, "started 1");
    fake_swarm_remove_service(world->engine, "S1"); /* it ends in a while */
    wait_for(world, "exited 1");
    assert_int_equal(start_on(world, 2, "S2", 12), 0);
    run_until(world, NULL, NULL, 0.3);
    assert_false(was_told(world, "started 2"));
    fake_engine_remove(world->engine, "S1");
    wait_for(world, "started 2");
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up_swarm, tear_down)
#define CLAIM_AWAY(function) cmocka_unit_test_setup_teardown(function, set_up_away, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(starts_a_server_and_tells_where_it_listens),
        CLAIM(makes_services_that_may_do_little_and_never_restart),
        CLAIM(tells_a_death_on_its_own_node_by_the_event_and_elsewhere_by_the_task),
        CLAIM(tells_the_last_words_of_a_server_that_never_listened),
        CLAIM(tells_a_service_that_somebody_removes_before_it_ends),
        CLAIM(puts_servers_that_share_a_group_on_different_nodes),
        CLAIM(knows_the_groups_of_those_it_finds),
        CLAIM_AWAY(uses_only_nodes_with_the_label),
        CLAIM(says_that_no_node_can_have_it),
        CLAIM(replaces_on_another_node_than_the_one_that_fell_silent),
        CLAIM(waits_for_the_only_node_there_is),
        CLAIM(gives_up_a_node_that_takes_nothing_up),
        CLAIM(fails_a_start_whose_node_goes_down),
        CLAIM(says_that_the_image_is_missing_on_a_node),
        CLAIM(says_that_the_kernel_lacks_the_overlay),
        CLAIM(says_that_the_network_is_missing),
        CLAIM(refuses_a_network_without_addresses_of_the_swarm),
        CLAIM(says_that_a_stranger_has_the_name_and_leaves_it_alone),
        CLAIM(takes_another_name_beside_one_of_its_own),
        CLAIM(takes_as_its_own_what_it_made_twice),
        CLAIM(removes_what_was_made_without_an_answer),
        CLAIM_AWAY(says_that_the_engine_is_no_manager),
        CLAIM(keeps_servers_when_the_managers_lose_their_majority),
        CLAIM(removes_when_the_swarm_is_back_what_was_stopped_without_it),
        CLAIM(finds_what_runs_and_removes_what_was_half_made),
        CLAIM(starts_again_where_its_data_are),
        CLAIM(starts_nowhere_else_than_where_its_data_are),
        CLAIM(gives_up_data_on_a_node_that_says_nothing),
        CLAIM(waits_longer_for_data_where_another_server_lives),
        CLAIM(waits_until_the_predecessor_lets_go_of_the_data),
    };
    return cmocka_run_group_tests_name("swarm", tests, NULL, NULL);
}
