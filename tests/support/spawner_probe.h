/* A loop and a handler that write down what a spawner tells, for the tests of the family.
 *
 * Calls of the spawner go through the probe, which fails the test if a callback runs inside one.
 * Waiting is bounded: a claim that does not come true in PROBE_PATIENCE_S fails, it does not hang.
 * All in this header: an object of tests/support is linked to benchmarks too, which have no cmocka.
 */
#ifndef QUOIT_TESTS_SUPPORT_SPAWNER_PROBE_H
#define QUOIT_TESTS_SUPPORT_SPAWNER_PROBE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/spawner.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/name.h"

#define PROBE_PATIENCE_S 40.

enum probe_kind { PROBE_STARTED, PROBE_FAILED, PROBE_EXITED };

struct probe_event {
    enum probe_kind kind;
    uint64_t uid;
    uint64_t at_ns;                /* clock_now_ns() */
    char name[NAME_MAX_BYTES + 1]; /* STARTED, and so down to pid */
    char reference[160];
    struct addr addr;
    long pid;
    int code;                     /* FAILED */
    char text[ERR_MESSAGE_BYTES]; /* FAILED: the reason; EXITED: why */
};

#define PROBE_MAX_EVENTS 1024

struct probe {
    struct ev_loop *loop;
    struct spawner *spawner; /* NULL when closed */
    struct probe_event events[PROBE_MAX_EVENTS];
    size_t n_events;
    bool in_call;
    void (*react)(struct probe *probe, const struct probe_event *event); /* may be NULL */
};

/* ---- what the spawner tells --------------------------------------------------------------- */

static inline struct probe_event *probe_add_event(struct probe *probe, enum probe_kind kind,
                                                  uint64_t uid)
{
    assert_false(probe->in_call);
    assert_true(probe->n_events < PROBE_MAX_EVENTS);
    struct probe_event *event = &probe->events[probe->n_events++];
    event->kind = kind;
    event->uid = uid;
    event->at_ns = clock_now_ns();
    return event;
}

static inline void probe_react(struct probe *probe, const struct probe_event *event)
{
    if (probe->react)
        probe->react(probe, event);
}

static inline void probe_on_started(void *context, const struct spawner_server *server)
{
    struct probe_event *event = probe_add_event(context, PROBE_STARTED, server->uid);

    assert_true(strlen(server->name) < sizeof(event->name));
    assert_true(strlen(server->reference) < sizeof(event->reference));
    strcpy(event->name, server->name);
    strcpy(event->reference, server->reference);
    event->addr = server->addr;
    event->pid = server->pid;
    probe_react(context, event);
}

static inline void probe_on_failed(void *context, uint64_t uid, const struct err *err)
{
    struct probe_event *event = probe_add_event(context, PROBE_FAILED, uid);

    event->code = err->code;
    snprintf(event->text, sizeof(event->text), "%s", err->message);
    probe_react(context, event);
}

static inline void probe_on_exit_told(void *context, uint64_t uid, const char *why)
{
    struct probe_event *event = probe_add_event(context, PROBE_EXITED, uid);

    snprintf(event->text, sizeof(event->text), "%s", why);
    probe_react(context, event);
}

static const struct spawner_handler probe_handler = {
    .on_started = probe_on_started, .on_failed = probe_on_failed, .on_exit = probe_on_exit_told};

/* ---- calls -------------------------------------------------------------------------------- */

/* Opens the probe's spawner on the probe's loop; config's own loop is not looked at. */
static inline void probe_open(struct probe *probe, const struct spec *spec,
                              const struct spawner_config *config)
{
    struct spawner_config mine = *config;
    struct err err = {0};

    mine.loop = probe->loop;
    assert_null(probe->spawner);
    if (spawner_open(spec, &mine, &probe_handler, probe, &probe->spawner, &err))
        fail_msg("%s", err.message);
}

static inline void probe_close(struct probe *probe)
{
    struct spawner *spawner = probe->spawner;

    probe->spawner = NULL;
    spawner_close(spawner);
}

static inline int probe_start(struct probe *probe, uint64_t uid, const char *name, struct err *err)
{
    struct spawner_request request = {.uid = uid, .name = name, .id = uid};

    probe->in_call = true;
    int code = probe->spawner->ops->start(probe->spawner, &request, err);
    probe->in_call = false;
    return code;
}

static inline void probe_stop(struct probe *probe, uint64_t uid, uint64_t grace_ns)
{
    probe->in_call = true;
    probe->spawner->ops->stop(probe->spawner, uid, grace_ns);
    probe->in_call = false;
}

/* Adopts the server of a STARTED event under another uid. */
static inline int probe_adopt(struct probe *probe, uint64_t uid, const struct probe_event *started,
                              struct err *err)
{
    struct spawner_server server = {.uid = uid,
                                    .name = started->name,
                                    .addr = started->addr,
                                    .pid = started->pid,
                                    .reference = started->reference};

    probe->in_call = true;
    int code = probe->spawner->ops->adopt(probe->spawner, &server, err);
    probe->in_call = false;
    return code;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static inline void probe_on_impatient(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)revents;
    *(bool *)timer->data = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs until n events are there (true), or `seconds` are over. */
static inline bool probe_run(struct probe *probe, size_t n, double seconds)
{
    bool over = false;
    ev_timer timer;

    ev_now_update(probe->loop);
    ev_timer_init(&timer, probe_on_impatient, seconds, 0.);
    timer.data = &over;
    ev_timer_start(probe->loop, &timer);
    while (!over && probe->n_events < n)
        ev_run(probe->loop, EVRUN_ONCE);
    ev_timer_stop(probe->loop, &timer);
    return probe->n_events >= n;
}

/* Runs the loop until n events are there. */
static inline void probe_wait(struct probe *probe, size_t n)
{
    if (!probe_run(probe, n, PROBE_PATIENCE_S))
        fail_msg("only %zu of %zu events came", probe->n_events, n);
}

/* Runs the loop for that long, whatever comes. */
static inline void probe_run_for(struct probe *probe, double seconds)
{
    probe_run(probe, SIZE_MAX, seconds);
}

/* Starts one and waits until it listens; nothing else may be going on. Returns its event. */
static inline const struct probe_event *probe_start_and_wait(struct probe *probe, uint64_t uid,
                                                             const char *name)
{
    size_t n = probe->n_events;
    struct err err = {0};

    if (probe_start(probe, uid, name, &err))
        fail_msg("%s", err.message);
    probe_wait(probe, n + 1);
    if (probe->events[n].kind != PROBE_STARTED)
        fail_msg("%s", probe->events[n].text);
    assert_int_equal(probe->events[n].uid, uid);
    return &probe->events[n];
}

/* Whether nothing keeps the loop going any more. */
static inline bool probe_loop_is_idle(struct probe *probe)
{
    bool over = false;
    ev_timer timer;

    ev_now_update(probe->loop);
    ev_timer_init(&timer, probe_on_impatient, 0.5, 0.);
    timer.data = &over;
    ev_timer_start(probe->loop, &timer);
    ev_unref(probe->loop); /* the timer alone does not keep the loop going */
    ev_run(probe->loop, 0);
    ev_ref(probe->loop);
    ev_timer_stop(probe->loop, &timer);
    return !over;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* The first event of that kind and uid, or NULL. */
static inline const struct probe_event *probe_find(const struct probe *probe, enum probe_kind kind,
                                                   uint64_t uid)
{
    for (size_t i = 0; i < probe->n_events; i++)
        if (probe->events[i].kind == kind && probe->events[i].uid == uid)
            return &probe->events[i];
    return NULL;
}

static inline size_t probe_count(const struct probe *probe, enum probe_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < probe->n_events; i++)
        n += probe->events[i].kind == kind;
    return n;
}

/* Open descriptors of this process. */
static inline unsigned probe_count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the folder itself */
}

/* ---- beginning and end -------------------------------------------------------------------- */

static inline struct probe *probe_new(void)
{
    struct probe *probe = mem_zalloc(1, sizeof(*probe));

    probe->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(probe->loop);
    return probe;
}

/* Stops without grace what still runs, known to the spawner or not, waits for its end, and frees
 * everything. `spec` and `config` as for probe_open(). */
static inline void probe_free(struct probe *probe, const struct spec *spec,
                              const struct spawner_config *config)
{
    enum { FAR = 1 << 30 };
    size_t n = probe->n_events;

    probe->react = NULL;
    probe_close(probe);
    probe_open(probe, spec, config);
    for (size_t i = 0; i < n; i++) {
        const struct probe_event *event = &probe->events[i];
        if (event->kind != PROBE_STARTED || probe_find(probe, PROBE_EXITED, event->uid))
            continue;
        size_t n_before = probe->n_events;
        if (probe_adopt(probe, FAR + i, event, NULL) == 0) {
            probe_stop(probe, FAR + i, 0);
            probe_wait(probe, n_before + 1);
        }
    }
    probe_close(probe);
    ev_loop_destroy(probe->loop);
    free(probe);
}

#endif
