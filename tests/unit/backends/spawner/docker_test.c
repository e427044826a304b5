/* The LB's side of the docker spawner: what is its own beside the family's contract. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/spawner/docker_wire.h"
#include "core/json.h"
#include "tests/support/docker_bed.h"
#include "tests/support/spawner_probe.h"

#define LONG_NS (60 * NS_PER_S)

struct world {
    struct docker_bed *bed;
    struct spec spec;
    struct spawner_config config;
    struct probe *probe;
};

static void parse(struct world *world, const char *options)
{
    struct err err = {0};
    char text[256];

    snprintf(text, sizeof(text), "docker:socket=%s%s", docker_bed_socket(world->bed), options);
    spec_done(&world->spec);
    if (spec_parse(&spawner_family, text, &world->spec, &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    static const char *const server_args[] = {"--log-level", "debug", NULL};
    struct world *world = mem_zalloc(1, sizeof(*world));

    world->bed = docker_bed_new(false);
    parse(world, "");
    world->config = (struct spawner_config){.program = "unused",
                                            .orphan_after_ns = 30 * NS_PER_S,
                                            .start_timeout_ns = 15 * NS_PER_S,
                                            .server_args = server_args};
    world->probe = probe_new();
    probe_open(world->probe, &world->spec, &world->config);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (!world->probe->spawner)
        probe_open(world->probe, &world->spec, &world->config);
    probe_free(world->probe, &world->spec, &world->config);
    spec_done(&world->spec);
    docker_bed_free(world->bed);
    free(world);
    return 0;
}

static void wait_for_containers(struct world *world, size_t n)
{
    uint64_t until_ns = clock_now_ns() + 10 * NS_PER_S;

    while (docker_bed_n_containers(world->bed) != n) {
        if (clock_now_ns() > until_ns)
            fail_msg("%zu containers, not %zu", docker_bed_n_containers(world->bed), n);
        probe_run_for(world->probe, 0.005);
    }
}

static void starts_anew_until_it_works(struct world *world, uint64_t uid, const char *name)
{
    uint64_t until_ns = clock_now_ns() + 10 * NS_PER_S;

    while (probe_start(world->probe, uid, name, NULL) != 0) {
        if (clock_now_ns() > until_ns)
            fail_msg("%s cannot be started", name);
        probe_run_for(world->probe, 0.005);
    }
}

static void tells_a_death_and_why(void **state)
{
    struct world *world = *state;

    probe_start_and_wait(world->probe, 1, "Server1");
    docker_bed_end(world->bed, "Server1", 137);
    probe_wait(world->probe, 2);
    assert_int_equal(world->probe->events[1].kind, PROBE_EXITED);
    assert_string_equal(world->probe->events[1].text, "killed by SIGKILL");
    wait_for_containers(world, 0);
}

static void tells_the_engines_reason_for_a_failed_start(void **state)
{
    struct world *world = *state;

    assert_int_equal(probe_start(world->probe, 1, "fails.1", NULL), 0);
    probe_wait(world->probe, 1);
    assert_int_equal(world->probe->events[0].kind, PROBE_FAILED);
    assert_int_equal(world->probe->events[0].code, -ECHILD);
    assert_non_null(strstr(world->probe->events[0].text, "the disk is on fire"));
    wait_for_containers(world, 0);
}

static void gives_up_a_server_that_does_not_listen_in_time(void **state)
{
    struct world *world = *state;

    probe_close(world->probe);
    parse(world, ",start-timeout=50ms");
    probe_open(world->probe, &world->spec, &world->config);
    assert_int_equal(probe_start(world->probe, 1, "mute.1", NULL), 0);
    probe_wait(world->probe, 1);
    assert_int_equal(world->probe->events[0].code, -ETIMEDOUT);
    wait_for_containers(world, 0);
}

static void refuses_a_process_that_makes_something_else(void **state)
{
    struct world *world = *state;
    struct spawner_config config = world->config;
    struct spawner *spawner;
    struct spec spec = {0};
    struct err err = {0};
    char text[256];

    probe_close(world->probe);
    config.loop = world->probe->loop;
    snprintf(text, sizeof(text), "swarm:socket=%s,wait=100ms", docker_bed_socket(world->bed));
    assert_int_equal(spec_parse(&spawner_family, text, &spec, &err), 0);
    assert_int_equal(spawner_open(&spec, &config, &probe_handler, world->probe, &spawner, &err),
                     -EHOSTDOWN);
    assert_non_null(strstr(err.message, "makes containers, and services are wanted"));
    spec_done(&spec);
}

static void says_what_is_missing_when_it_cannot_open(void **state)
{
    struct world *world = *state;
    struct spawner_config config = world->config;
    struct spawner *spawner;
    struct err err = {0};

    probe_close(world->probe);
    parse(world, ",wait=100ms");
    config.loop = world->probe->loop;
    docker_bed_stop_engine(world->bed);
    assert_int_equal(
        spawner_open(&world->spec, &config, &probe_handler, world->probe, &spawner, &err),
        -EHOSTDOWN);
    assert_non_null(strstr(err.message, "the container engine does not answer"));
    docker_bed_kill_spawnerd(world->bed);
    assert_true(spawner_open(&world->spec, &config, &probe_handler, world->probe, &spawner, &err) <
                0);
    assert_non_null(strstr(err.message, "no spawner process that works"));
    docker_bed_start_engine(world->bed);
    docker_bed_start_spawnerd(world->bed);
    parse(world, "");
}

static void waits_at_the_beginning_for_a_process_that_is_late(void **state)
{
    struct world *world = *state;

    probe_close(world->probe);
    docker_bed_stop_engine(world->bed);
    docker_bed_start_engine(world->bed); /* not known to be back yet */
    probe_open(world->probe, &world->spec, &world->config);
    probe_start_and_wait(world->probe, 1, "Server1");
}

static void refuses_a_second_load_balancer(void **state)
{
    struct world *world = *state;
    struct spawner_config config = world->config;
    struct spawner *second;
    struct err err = {0};

    parse(world, ",wait=100ms");
    config.loop = world->probe->loop;
    assert_int_equal(
        spawner_open(&world->spec, &config, &probe_handler, world->probe, &second, &err),
        -EHOSTDOWN);
    assert_non_null(strstr(err.message, "another load balancer is connected"));
    parse(world, "");
    probe_start_and_wait(world->probe, 1, "Server1");
}

static void keeps_its_servers_when_the_process_dies(void **state)
{
    struct world *world = *state;

    probe_start_and_wait(world->probe, 1, "Server1");
    probe_start_and_wait(world->probe, 2, "Server2");
    docker_bed_kill_spawnerd(world->bed);
    probe_run_for(world->probe, 0.05);
    assert_int_equal(world->probe->n_events, 2);
    docker_bed_end(world->bed, "Server2", 1); /* told once somebody can tell */
    docker_bed_start_spawnerd(world->bed);
    probe_wait(world->probe, 3);
    assert_int_equal(world->probe->events[2].kind, PROBE_EXITED);
    assert_int_equal(world->probe->events[2].uid, 2);
    starts_anew_until_it_works(world, 3, "Server3");
    probe_wait(world->probe, 4);
    docker_bed_end(world->bed, "Server1", 137);
    probe_wait(world->probe, 5);
    assert_int_equal(world->probe->events[4].uid, 1);
    wait_for_containers(world, 1);
}

static void fails_what_starts_when_the_process_dies_and_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct err err = {0};

    assert_int_equal(probe_start(world->probe, 1, "mute.1", NULL), 0);
    assert_int_equal(probe_start(world->probe, 2, "mute.2", NULL), 0);
    wait_for_containers(world, 2);
    probe_run_for(world->probe, 0.05); /* they run by now */
    docker_bed_kill_spawnerd(world->bed);
    probe_wait(world->probe, 2);
    assert_int_equal(world->probe->events[0].kind, PROBE_FAILED);
    assert_int_equal(world->probe->events[0].code, -ECONNRESET);
    assert_int_equal(probe_start(world->probe, 3, "Server3", &err), -EHOSTDOWN);
    assert_non_null(strstr(err.message, "Server3"));
    docker_bed_start_spawnerd(world->bed);
    wait_for_containers(world, 0);
}

static void stops_again_what_was_stopped_while_the_process_was_away(void **state)
{
    struct world *world = *state;

    probe_start_and_wait(world->probe, 1, "stubborn");
    docker_bed_kill_spawnerd(world->bed);
    probe_run_for(world->probe, 0.05);
    probe_stop(world->probe, 1, 0);
    docker_bed_start_spawnerd(world->bed);
    probe_wait(world->probe, 2);
    assert_int_equal(world->probe->events[1].kind, PROBE_EXITED);
    wait_for_containers(world, 0);
}

static void refuses_starts_while_the_engine_is_away(void **state)
{
    struct world *world = *state;
    struct err err = {0};

    probe_start_and_wait(world->probe, 1, "Server1");
    docker_bed_stop_engine(world->bed);
    probe_run_for(world->probe, 0.1);
    assert_int_equal(probe_start(world->probe, 2, "Server2", &err), -EHOSTDOWN);
    assert_non_null(strstr(err.message, "the container engine does not answer"));
    docker_bed_start_engine(world->bed);
    starts_anew_until_it_works(world, 2, "Server2");
    probe_wait(world->probe, 2);
    assert_int_equal(world->probe->events[1].kind, PROBE_STARTED);
}

/* Whoever gets at the private socket: what is no order of ours ends the connection, unheard. */
static void listens_to_no_one_who_says_something_else(void **state)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r",
        "{",
        "[]",
        "{\"do\":\"privileged\"}",
        "{\"do\":7}",
        "{\"do\":\"start\",\"uid\":1,\"id\":1,\"data\":0,\"name\":\"../x\",\"words\":[]}",
        "{\"do\":\"start\",\"uid\":1,\"id\":1,\"data\":0,\"name\":\"S1\",\"words\":[\"-v\"]}",
        "{\"do\":\"start\",\"uid\":1,\"id\":1,\"data\":-1,\"name\":\"S1\",\"words\":[]}",
        "{\"do\":\"start\",\"uid\":1,\"id\":1,\"data\":0,\"words\":[]}",
        "{\"do\":\"stop\",\"uid\":1}",
        "{\"do\":\"adopt\",\"uid\":1}",
    };
    struct world *world = *state;
    char told[4096];

    probe_close(world->probe);
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        int fd = docker_wire_connect(docker_bed_socket(world->bed), NULL);
        char *line = mem_printf("%s\n", lines[i]);
        assert_true(send(fd, line, strlen(line), MSG_NOSIGNAL) > 0);
        free(line);
        struct pollfd wire = {.fd = fd, .events = POLLIN};
        ssize_t n;
        do { /* what it says, and then the end */
            assert_int_equal(poll(&wire, 1, 10000), 1);
            n = recv(fd, told, sizeof(told), 0);
        } while (n > 0);
        assert_int_equal(n, 0);
        close(fd);
    }
    assert_int_equal(docker_bed_n_containers(world->bed), 0);
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(tells_a_death_and_why),
        CLAIM(tells_the_engines_reason_for_a_failed_start),
        CLAIM(gives_up_a_server_that_does_not_listen_in_time),
        CLAIM(refuses_a_process_that_makes_something_else),
        CLAIM(says_what_is_missing_when_it_cannot_open),
        CLAIM(waits_at_the_beginning_for_a_process_that_is_late),
        CLAIM(refuses_a_second_load_balancer),
        CLAIM(keeps_its_servers_when_the_process_dies),
        CLAIM(fails_what_starts_when_the_process_dies_and_leaves_nothing),
        CLAIM(stops_again_what_was_stopped_while_the_process_was_away),
        CLAIM(refuses_starts_while_the_engine_is_away),
        CLAIM(listens_to_no_one_who_says_something_else),
    };
    return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
