/* What backends/spawner.h promises, asked of every spawner in the registry. A spawner that needs
 * more than its name to be tried has a row in `fixtures`. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/docker_bed.h"
#include "tests/support/ready_child.h"
#include "tests/support/spawner_probe.h"

#define LONG_NS (60 * NS_PER_S)
#define MAX_PARTS 32

/* How to try a member. Without a row: its name as the spec, and this very program as the server
 * (tests/support/ready_child.h). */
struct fixture {
    const char *part;
    const char *spec;
    const char *program; /* NULL: this very program */
    bool needs_engine;   /* of docker_bed.h, whose socket the spec then names */
};

static const struct fixture fixtures[] = {
    {.part = "process", .spec = "process"},
    {.part = "fake", .spec = "fake:delay=1ms"},
    {.part = "docker", .spec = "docker", .needs_engine = true},
    {.part = "swarm", .spec = "swarm", .needs_engine = true},
};

struct world {
    struct spec spec;
    struct spawner_config config;
    struct probe *probe;
    struct docker_bed *bed; /* or NULL */
};

static int set_up(void **state)
{
    const struct part *part = *state;
    struct fixture fixture = {.part = part->name, .spec = part->name};
    struct world *world = calloc(1, sizeof(*world));
    struct err err = {0};

    for (size_t i = 0; i < sizeof(fixtures) / sizeof(*fixtures); i++)
        if (strcmp(fixtures[i].part, part->name) == 0)
            fixture = fixtures[i];
    char spec[256];
    snprintf(spec, sizeof(spec), "%s", fixture.spec);
    if (fixture.needs_engine) {
        world->bed = docker_bed_new(strcmp(part->name, "swarm") == 0);
        snprintf(spec, sizeof(spec), "%s:socket=%s", fixture.spec, docker_bed_socket(world->bed));
    }
    if (spec_parse(&spawner_family, spec, &world->spec, &err))
        fail_msg("%s", err.message);
    world->config = (struct spawner_config){
        .program = fixture.program ? fixture.program : ready_child_program(),
        .orphan_after_ns = 30 * NS_PER_S,
        .start_timeout_ns = 15 * NS_PER_S,
    };
    world->probe = probe_new();
    probe_open(world->probe, &world->spec, &world->config);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    probe_free(world->probe, &world->spec, &world->config);
    spec_done(&world->spec);
    docker_bed_free(world->bed);
    free(world);
    return 0;
}

static struct probe *probe_of(void **state)
{
    return ((struct world *)*state)->probe;
}

static void tells_once_that_a_server_listens_and_where(void **state)
{
    struct probe *probe = probe_of(state);

    const struct probe_event *started = probe_start_and_wait(probe, 7, "Server7");
    assert_string_equal(started->name, "Server7");
    assert_int_not_equal(addr_port(&started->addr), 0);
    assert_true(started->pid >= 0);
    assert_in_range(strlen(started->reference), 1, 127);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 1);
}

static void refuses_a_name_that_is_not_one_and_tells_nothing(void **state)
{
    static const char *const names[] = {"", "-rf", "a b", "a/b", "../x", "a\nb", "$(x)"};
    struct probe *probe = probe_of(state);

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct err err = {0};
        assert_int_equal(probe_start(probe, i + 1, names[i], &err), -EINVAL);
        assert_int_equal(err.code, -EINVAL);
        assert_string_not_equal(err.message, "");
    }
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 0);
}

static void refuses_a_uid_in_use(void **state)
{
    struct probe *probe = probe_of(state);

    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    assert_int_equal(probe_start(probe, 1, "Server2", NULL), -EEXIST);
    assert_int_equal(probe_adopt(probe, 1, started, NULL), -EEXIST);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 1);
}

static void tells_the_end_of_a_stopped_server_once(void **state)
{
    static const uint64_t graces_ns[] = {LONG_NS, 0};
    struct probe *probe = probe_of(state);

    for (size_t i = 0; i < 2; i++) {
        probe_start_and_wait(probe, i, "Server1");
        probe_stop(probe, i, graces_ns[i]);
        probe_wait(probe, 2 * i + 2);
        assert_int_equal(probe->events[2 * i + 1].kind, PROBE_EXITED);
        assert_int_equal(probe->events[2 * i + 1].uid, i);
        assert_string_not_equal(probe->events[2 * i + 1].text, "");
    }
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 4);
}

static void takes_stops_of_unknown_uids_and_repeated_ones(void **state)
{
    struct probe *probe = probe_of(state);

    probe_stop(probe, 99, LONG_NS);
    probe_start_and_wait(probe, 1, "Server1");
    probe_stop(probe, 1, LONG_NS);
    probe_stop(probe, 1, LONG_NS);
    probe_stop(probe, 1, 0);
    probe_stop(probe, 1, 0);
    probe_wait(probe, 2);
    probe_stop(probe, 1, 0);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 2);
    assert_int_equal(probe->events[1].kind, PROBE_EXITED);
}

static void tells_a_start_that_was_stopped_as_failed(void **state)
{
    static const uint64_t graces_ns[] = {LONG_NS, 0};
    struct probe *probe = probe_of(state);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(probe_start(probe, i, "Server1", NULL), 0);
        probe_stop(probe, i, graces_ns[i]);
        probe_wait(probe, i + 1);
        assert_int_equal(probe->events[i].kind, PROBE_FAILED);
        assert_int_equal(probe->events[i].uid, i);
        assert_int_equal(probe->events[i].code, -ECANCELED);
        assert_non_null(strstr(probe->events[i].text, "Server1"));
    }
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 2);
}

/* A replacement may have its predecessor's name while that one is still ending. */
static void tells_servers_of_the_same_name_apart(void **state)
{
    struct probe *probe = probe_of(state);

    probe_start_and_wait(probe, 1, "Server1");
    probe_start_and_wait(probe, 2, "Server1");
    probe_stop(probe, 1, 0);
    probe_wait(probe, 3);
    assert_int_equal(probe->events[2].kind, PROBE_EXITED);
    assert_int_equal(probe->events[2].uid, 1);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 3);
}

static void start_the_next(struct probe *probe, const struct probe_event *event)
{
    if (event->kind == PROBE_EXITED && event->uid < 3)
        assert_int_equal(probe_start(probe, event->uid + 1, "Server1", NULL), 0);
    if (event->kind == PROBE_STARTED && event->uid < 3)
        probe_stop(probe, event->uid, 0);
}

static void lets_a_handler_stop_and_start_servers(void **state)
{
    struct probe *probe = probe_of(state);

    probe->react = start_the_next;
    assert_int_equal(probe_start(probe, 1, "Server1", NULL), 0);
    probe_wait(probe, 5);
    assert_int_equal(probe->events[4].kind, PROBE_STARTED);
    assert_int_equal(probe->events[4].uid, 3);
}

static enum probe_kind close_at;

static void close_the_spawner(struct probe *probe, const struct probe_event *event)
{
    if (event->kind == close_at)
        probe_close(probe);
}

static void lets_a_handler_close_it(void **state)
{
    struct world *world = *state;
    struct probe *probe = world->probe;

    for (close_at = PROBE_STARTED; close_at <= PROBE_EXITED; close_at++) {
        size_t n = probe->n_events;
        probe->react = close_the_spawner;
        assert_int_equal(probe_start(probe, n, "Server1", NULL), 0);
        if (close_at == PROBE_FAILED)
            probe_stop(probe, n, 0);
        probe_wait(probe, n + 1);
        if (close_at == PROBE_EXITED) {
            probe_stop(probe, n, 0);
            probe_wait(probe, n + 2);
        }
        assert_null(probe->spawner);
        assert_true(probe_loop_is_idle(probe));
        probe->react = NULL;
        probe_open(probe, &world->spec, &world->config);
    }
}

static void tells_nothing_after_close(void **state)
{
    struct probe *probe = probe_of(state);

    probe_start_and_wait(probe, 1, "Server1"); /* runs */
    probe_start_and_wait(probe, 2, "Server2"); /* ends */
    assert_int_equal(probe_start(probe, 3, "Server3", NULL), 0);
    probe_stop(probe, 2, 0);
    probe_close(probe);
    assert_true(probe_loop_is_idle(probe));
    probe_run_for(probe, 0.1);
    assert_int_equal(probe->n_events, 2);
}

/* What a restarted LB does. */
static void adopts_a_server_that_outlived_its_spawner(void **state)
{
    struct world *world = *state;
    struct probe *probe = world->probe;

    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    probe_close(probe);
    probe_open(probe, &world->spec, &world->config);
    assert_int_equal(probe_adopt(probe, 21, started, NULL), 0);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 1);
    probe_stop(probe, 21, LONG_NS);
    probe_wait(probe, 2);
    assert_int_equal(probe->events[1].kind, PROBE_EXITED);
    assert_int_equal(probe->events[1].uid, 21);
}

static void refuses_to_adopt_a_server_that_is_gone(void **state)
{
    struct world *world = *state;
    struct probe *probe = world->probe;
    struct err err = {0};

    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    probe_stop(probe, 1, 0);
    probe_wait(probe, 2);
    assert_int_equal(probe_adopt(probe, 2, started, &err), -ESRCH);
    assert_int_equal(err.code, -ESRCH);
    assert_non_null(strstr(err.message, "Server1"));
    probe_close(probe);
    probe_open(probe, &world->spec, &world->config);
    assert_int_equal(probe_adopt(probe, 2, started, NULL), -ESRCH);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 2);
}

/* A state file is read back from a disk: it may hold anything. */
static void refuses_to_adopt_by_a_reference_that_names_nothing(void **state)
{
    static const char *const references[] = {
        "", "/", "x", "1", "-1/2/3", "0/0/0", "1/", "4294967297/1/x", "99999999999999999999/1/x"};
    struct probe *probe = probe_of(state);
    struct probe_event wrong = {.name = "Server1"};

    addr_parse("127.0.0.1:1", &wrong.addr, NULL);
    for (size_t i = 0; i < sizeof(references) / sizeof(*references); i++) {
        strcpy(wrong.reference, references[i]);
        assert_int_equal(probe_adopt(probe, 1, &wrong, NULL), -ESRCH);
    }
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 0);
}

static void starts_and_stops_many_at_once(void **state)
{
    enum { N = 20 };
    struct probe *probe = probe_of(state);

    for (uint64_t uid = 0; uid < N; uid++) {
        char name[32];
        snprintf(name, sizeof(name), "Server%d", (int)uid);
        assert_int_equal(probe_start(probe, uid, name, NULL), 0);
    }
    probe_wait(probe, N);
    assert_int_equal(probe_count(probe, PROBE_STARTED), N);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(addr_equal(&probe->events[i].addr, &probe->events[j].addr));
    for (uint64_t uid = 0; uid < N; uid++)
        probe_stop(probe, uid, uid % 2 ? LONG_NS : 0);
    probe_wait(probe, 2 * N);
    for (uint64_t uid = 0; uid < N; uid++)
        assert_non_null(probe_find(probe, PROBE_EXITED, uid));
}

static void leaves_no_descriptor_behind(void **state)
{
    struct world *world = *state;
    struct probe *probe = world->probe;

    probe_start_and_wait(probe, 0, "Server0"); /* the loop has its own by now */
    probe_stop(probe, 0, 0);
    probe_wait(probe, 2);
    probe_close(probe);
    unsigned n_before = probe_count_descriptors();
    for (uint64_t uid = 1; uid <= 3; uid++) {
        probe_open(probe, &world->spec, &world->config);
        const struct probe_event *started = probe_start_and_wait(probe, uid, "Server1");
        assert_int_equal(probe_start(probe, uid + 10, "Server2", NULL), 0);
        probe_close(probe);
        assert_int_equal(probe_count_descriptors(), n_before);
        probe_open(probe, &world->spec, &world->config);
        assert_int_equal(probe_adopt(probe, uid, started, NULL), 0);
        probe_stop(probe, uid, 0);
        probe_wait(probe, 2 * uid + 2);
        probe_close(probe);
        assert_int_equal(probe_count_descriptors(), n_before);
    }
    probe_open(probe, &world->spec, &world->config);
}

/* Basic first: the first failure tells most. */
#define CLAIM(function)                                                                            \
    {                                                                                              \
#function, function                                                                        \
    }
static const struct {
    const char *name;
    CMUnitTestFunction function;
} claims[] = {
    CLAIM(tells_once_that_a_server_listens_and_where),
    CLAIM(refuses_a_name_that_is_not_one_and_tells_nothing),
    CLAIM(refuses_a_uid_in_use),
    CLAIM(tells_the_end_of_a_stopped_server_once),
    CLAIM(takes_stops_of_unknown_uids_and_repeated_ones),
    CLAIM(tells_a_start_that_was_stopped_as_failed),
    CLAIM(tells_servers_of_the_same_name_apart),
    CLAIM(lets_a_handler_stop_and_start_servers),
    CLAIM(lets_a_handler_close_it),
    CLAIM(tells_nothing_after_close),
    CLAIM(adopts_a_server_that_outlived_its_spawner),
    CLAIM(refuses_to_adopt_a_server_that_is_gone),
    CLAIM(refuses_to_adopt_by_a_reference_that_names_nothing),
    CLAIM(starts_and_stops_many_at_once),
    CLAIM(leaves_no_descriptor_behind),
};

#define N_CLAIMS (sizeof(claims) / sizeof(*claims))

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MAX_PARTS * N_CLAIMS];
    static char names[MAX_PARTS * N_CLAIMS][128];
    const struct part *parts[MAX_PARTS];
    size_t n = 0;

    ready_child_main(argc, argv);
    size_t n_parts = family_list(&spawner_family, parts, MAX_PARTS);
    if (n_parts == 0 || n_parts > MAX_PARTS) {
        fprintf(stderr, "%zu spawners in the registry\n", n_parts);
        return 1;
    }
    for (size_t i = 0; i < n_parts; i++) {
        for (size_t j = 0; j < N_CLAIMS; j++, n++) {
            snprintf(names[n], sizeof(names[n]), "%s_%s", parts[i]->name, claims[j].name);
            /* cmocka hands the state to set_up, which only reads it. */
            tests[n] = (struct CMUnitTest){.name = names[n],
                                           .test_func = claims[j].function,
                                           .setup_func = set_up,
                                           .teardown_func = tear_down,
                                           .initial_state = (void *)(uintptr_t)parts[i]};
        }
    }
    return _cmocka_run_group_tests("spawner_contract", tests, n, NULL, NULL);
}
