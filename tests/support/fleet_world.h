/* For tests of the fleet: a loop, a fake engine, a fleet, and what it tells, a line each. Included
 * by programs that are a test each; names are short for that. */
#ifndef QUOIT_TESTS_SUPPORT_FLEET_WORLD_H
#define QUOIT_TESTS_SUPPORT_FLEET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "spawnerd/fleet.h"
#include "tests/support/fake_engine.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

#define PATIENCE_S 30.
/* As long as an engine's. */
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- what the fleet tells, one line each --------------------------------------------------- */

enum { MAX_TOLD = 256, MAX_SERVERS = 40 };

struct world {
    char dir[64], socket[96];
    struct ev_loop *loop;
    struct fake_engine *engine;
    struct fleet *fleet;
    char *told[MAX_TOLD]; /* "started 7 127.9.0.2:5000", "failed 7 CODE why", … */
    size_t n_told;
    char reference[128]; /* of the last one started */
    int64_t pid;
};

static void tell(struct world *world, char *line)
{
    assert_true(world->n_told < MAX_TOLD);
    world->told[world->n_told++] = line;
}

static void on_started(void *context, uint64_t uid, const char *reference, const char *address,
                       int64_t pid)
{
    struct world *world = context;
    world->pid = pid;
    snprintf(world->reference, sizeof(world->reference), "%s", reference);
    tell(world, mem_printf("started %d %s", (int)uid, address));
}

static void on_failed(void *context, uint64_t uid, const struct err *err)
{
    tell(context, mem_printf("failed %d %d %s", (int)uid, err->code, err->message));
}

static void on_exited(void *context, uint64_t uid, const char *why)
{
    tell(context, mem_printf("exited %d %s", (int)uid, why));
}

static void on_here(void *context, const char *reference, const char *name)
{
    tell(context, mem_printf("here %.4s %s", reference, name));
}

static void on_gone(void *context, const char *reference, const char *why)
{
    tell(context, mem_printf("gone %.4s %s", reference, why));
}

static void on_engine(void *context, bool answers, const char *why)
{
    tell(context, mem_printf("%s%s", answers ? "up" : "down ", why));
}

static const struct fleet_handler handler = {on_started, on_failed, on_exited,
                                             on_here,    on_gone,   on_engine};

/* ---- the loop ----------------------------------------------------------------------------- */

static void on_impatient(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)revents;
    *(bool *)timer->data = true;
    ev_break(loop, EVBREAK_ALL);
}

static void run_until(struct world *world, bool (*done)(struct world *world, const char *text),
                      const char *text, double seconds)
{
    bool over = false;
    ev_timer timer;

    ev_now_update(world->loop);
    ev_timer_init(&timer, on_impatient, seconds, 0.);
    timer.data = &over;
    ev_timer_start(world->loop, &timer);
    while (!over && !(done && done(world, text)))
        ev_run(world->loop, EVRUN_ONCE);
    ev_timer_stop(world->loop, &timer);
}

static size_t count(const struct world *world, const char *begin)
{
    size_t n = 0;
    for (size_t i = 0; i < world->n_told; i++)
        n += strncmp(world->told[i], begin, strlen(begin)) == 0;
    return n;
}

static bool was_told(struct world *world, const char *begin)
{
    return count(world, begin) > 0;
}

/* Waits for a line that begins so, and returns it. */
static const char *wait_for(struct world *world, const char *begin)
{
    run_until(world, was_told, begin, PATIENCE_S);
    for (size_t i = 0; i < world->n_told; i++)
        if (strncmp(world->told[i], begin, strlen(begin)) == 0)
            return world->told[i];
    for (size_t i = 0; i < world->n_told; i++)
        print_message("# told: %s\n", world->told[i]);
    fail_msg("'%s' was not told", begin);
    return NULL;
}

static bool is_empty(struct world *world, const char *text)
{
    (void)text;
    return fake_engine_n_containers(world->engine) == 0 && fleet_n_leaving(world->fleet) == 0;
}

static void wait_until_empty(struct world *world)
{
    run_until(world, is_empty, NULL, PATIENCE_S);
    assert_int_equal(fake_engine_n_containers(world->engine), 0);
    assert_int_equal(fleet_n_leaving(world->fleet), 0);
}

static bool was_asked(struct world *world, const char *request)
{
    return fake_engine_n_requests(world->engine, request) > 0;
}

static void wait_until_asked(struct world *world, const char *request)
{
    run_until(world, was_asked, request, PATIENCE_S);
    assert_true(was_asked(world, request));
}

static void forget_told(struct world *world)
{
    while (world->n_told > 0)
        free(world->told[--world->n_told]);
}

/* ---- life --------------------------------------------------------------------------------- */

static void open_fleet_of(struct world *world, bool swarm, const char *node_label)
{
    const struct fleet_config config = {.loop = world->loop,
                                        .engine_socket = world->socket,
                                        .image = "quoit:test",
                                        .network = "n1",
                                        .cluster = "ours",
                                        .prefix = "",
                                        .swarm = swarm,
                                        .node_label = node_label,
                                        .memory_bytes = UINT64_C(64) << 20,
                                        .n_pids = 32,
                                        .max_servers = MAX_SERVERS};
    world->fleet = fleet_new(&config, &handler, world);
}

static void open_fleet(struct world *world)
{
    open_fleet_of(world, false, "");
}

static int set_up_away(void **state)
{
    struct world *world = mem_zalloc(1, sizeof(*world));

    strcpy(world->dir, "/tmp/quoit-fleet.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->socket, sizeof(world->socket), "%s/engine", world->dir);
    world->loop = ev_loop_new(EVFLAG_AUTO);
    world->engine = fake_engine_new(world->loop, world->socket);
    *state = world;
    return 0;
}

static int set_up(void **state)
{
    set_up_away(state);
    struct world *world = *state;
    open_fleet(world);
    wait_for(world, "up");
    forget_told(world);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    forget_told(world);
    fleet_free(world->fleet);
    fake_engine_free(world->engine);
    ev_loop_destroy(world->loop);
    rmdir(world->dir);
    free(world);
    return 0;
}

static int start(struct world *world, uint64_t uid, const char *name, uint64_t data)
{
    static const char *const words[] = {"--store", "file", NULL};
    const struct fleet_server server = {.uid = uid,
                                        .name = name,
                                        .id = uid,
                                        .words = words,
                                        .data = data,
                                        .data_is_new = data != 0};
    return fleet_start(world->fleet, &server, NULL);
}

static void start_and_wait(struct world *world, uint64_t uid, const char *name)
{
    char line[32];

    assert_int_equal(start(world, uid, name, 0), 0);
    snprintf(line, sizeof(line), "started %d ", (int)uid);
    wait_for(world, line);
}

#pragma GCC diagnostic pop

#endif
