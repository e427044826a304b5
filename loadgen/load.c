#include "loadgen/load.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/ready.h"
#include "loadgen/generator.h"
#include "loadgen/progress.h"

#define DRAIN_NS NS_PER_S
/* For all that is not a connection: the loops, files, libraries. */
#define SPARE_DESCRIPTORS 64
#define DESCRIPTORS_A_THREAD (4 + CLIENT_SPARE_DESCRIPTORS)
/* From the start of the threads to the plan's begin: time for all of them to be there. */
#define START_NS (5 * NS_PER_MS)

struct load {
    const struct load_config *config;
    struct ev_loop *loop;
    struct generator *generators[RESULT_MAX_THREADS];
    uint32_t n_generators;
    bool interrupted;
    uint64_t began_ns;
    struct progress progress;
    struct ev_signal on_int, on_term;
    struct ev_async ended; /* a generator did */
    struct ev_timer tick;
};

static int raise_descriptor_limit(uint32_t n_connections, uint32_t n_threads, struct err *err)
{
    const rlim_t need =
        (rlim_t)n_connections + SPARE_DESCRIPTORS + (rlim_t)n_threads * DESCRIPTORS_A_THREAD;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set_errno(err, -errno, "the limit of file descriptors cannot be read");
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= need)
        return 0;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need)
        return err_set(err, -EMFILE,
                       "%u requests in flight need %llu file descriptors, and the hard limit is "
                       "%llu; raise it (ulimit -Hn) or lower -c",
                       n_connections, (unsigned long long)need, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = need;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set_errno(err, -errno, "the limit of file descriptors cannot be raised to %llu",
                             (unsigned long long)need);
    return 0;
}

/* ---- progress ---- */

/* What the plan or the limits say about a phase, whichever is nearer. */
static struct schedule_limit limit_of(const struct result_settings *settings, bool warming_up)
{
    struct schedule_limit limit = warming_up ? settings->warmup : settings->measured;

    if (settings->plan && !warming_up) {
        uint64_t whole_ns = arrivals_plan_duration_ns(settings->plan);
        if (whole_ns != UINT64_MAX)
            limit.duration_ns = whole_ns - arrivals_plan_warmup_ns(settings->plan);
    }
    return limit;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct load *load = timer->data;
    struct generator_progress sum = {.started_ns = 0};
    struct progress_state state;

    (void)loop, (void)events;
    for (uint32_t i = 0; i < load->n_generators; i++) {
        struct generator_progress one = generator_look(load->generators[i]);
        if (one.started_ns && (!sum.started_ns || one.started_ns < sum.started_ns))
            sum.started_ns = one.started_ns;
        sum.n_warmup += one.n_warmup;
        sum.n_warmup_failed += one.n_warmup_failed;
        sum.n_done += one.n_done;
        sum.n_failed += one.n_failed;
    }
    state = (struct progress_state){
        .warming_up = sum.started_ns == 0,
        .n_done = sum.started_ns ? sum.n_done : sum.n_warmup,
        .n_failed = sum.started_ns ? sum.n_failed : sum.n_warmup_failed,
        .elapsed_ns = clock_now_ns() - (sum.started_ns ? sum.started_ns : load->began_ns),
        .limit = limit_of(&load->config->settings, sum.started_ns == 0),
    };
    progress_show(&load->progress, &state);
}

/* ---- life ---- */

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    struct load *load = watcher->data;

    (void)loop, (void)events;
    /* The second one cuts short what the first lets end. */
    for (uint32_t i = 0; i < load->n_generators; i++)
        generator_stop(load->generators[i], load->interrupted ? 0 : DRAIN_NS);
    load->interrupted = true;
}

/* On a generator's thread. */
static void tell_end(void *context)
{
    struct load *load = context;

    ev_async_send(load->loop, &load->ended);
}

static void on_ended(struct ev_loop *loop, struct ev_async *watcher, int events)
{
    struct load *load = watcher->data;
    uint32_t n_running = 0;

    (void)events;
    for (uint32_t i = 0; i < load->n_generators; i++)
        n_running += !generator_has_ended(load->generators[i]);
    if (n_running == 0)
        ev_break(loop, EVBREAK_ALL);
}

static void start_watchers(struct load *load)
{
    const double interval_s = progress_interval_s(&load->progress);

    ev_signal_init(&load->on_int, on_signal, SIGINT);
    ev_signal_init(&load->on_term, on_signal, SIGTERM);
    ev_async_init(&load->ended, on_ended);
    ev_timer_init(&load->tick, on_tick, interval_s, interval_s);
    load->on_int.data = load->on_term.data = load->ended.data = load->tick.data = load;
    ev_signal_start(load->loop, &load->on_int);
    ev_signal_start(load->loop, &load->on_term);
    ev_async_start(load->loop, &load->ended);
    if (load->config->progress)
        ev_timer_start(load->loop, &load->tick);
}

static void stop_watchers(struct load *load)
{
    ev_signal_stop(load->loop, &load->on_int);
    ev_signal_stop(load->loop, &load->on_term);
    ev_async_stop(load->loop, &load->ended);
    ev_timer_stop(load->loop, &load->tick);
}

static struct result *gather(struct load *load)
{
    struct result *whole = result_new(&load->config->settings, &load->config->addr);

    for (uint32_t i = 0; i < load->n_generators; i++) {
        struct result *part = generator_result(load->generators[i]);
        if (i == 0 && part->timeline) {
            whole->timeline = part->timeline;
            part->timeline = NULL;
        }
        if (i == 0 && part->latencies)
            whole->latencies = latencies_new(0);
        if (part->latencies)
            latencies_take(whole->latencies, part->latencies);
        result_merge(whole, part);
    }
    whole->interrupted = load->interrupted;
    result_finish(whole);
    return whole;
}

/* The run itself; everything is open. */
static int drive(struct load *load, struct err *err)
{
    uint32_t n_started = 0;
    int rc = 0;

    start_watchers(load);
    load->began_ns = clock_now_ns();
    while (rc == 0 && n_started < load->n_generators) {
        rc =
            generator_start(load->generators[n_started], load->began_ns, load->began_ns + START_NS);
        n_started += rc == 0;
    }
    if (rc < 0) {
        err_set_errno(err, rc, "no thread could be started");
        for (uint32_t i = 0; i < n_started; i++)
            generator_stop(load->generators[i], 0);
    } else {
        if (load->config->ready_fd > 0) /* if nobody reads it, so be it */
            ready_tell(load->config->ready_fd, &load->config->addr);
        ev_run(load->loop, 0);
    }
    for (uint32_t i = 0; i < n_started; i++)
        generator_join(load->generators[i]);
    stop_watchers(load);
    progress_clear(&load->progress);
    return rc;
}

/* No more threads than have something to do. */
static uint32_t choose_n_generators(const struct result_settings *settings)
{
    uint32_t n = settings->n_threads ? settings->n_threads : 1;

    assert(n <= RESULT_MAX_THREADS);
    if (n > settings->n_in_flight)
        n = settings->n_in_flight;
    if (settings->measured.n_requests && n > settings->measured.n_requests)
        n = (uint32_t)settings->measured.n_requests;
    return n;
}

int load_run(const struct load_config *config, struct result **ret_result, struct err *err)
{
    const struct result_settings *settings = &config->settings;
    struct load load = {.config = config};
    uint32_t n_generators = choose_n_generators(settings);
    int rc;

    rc = raise_descriptor_limit(settings->n_in_flight, n_generators, err);
    if (rc < 0)
        return rc;
    load.loop = ev_loop_new(EVFLAG_AUTO);
    if (!load.loop)
        return err_set(err, -EMFILE, "no event loop could be made");
    progress_init(&load.progress, config->progress);
    while (rc == 0 && load.n_generators < n_generators) {
        const struct generator_config generator_config = {.load = config,
                                                          .index = load.n_generators,
                                                          .n_generators = n_generators,
                                                          .on_end = tell_end,
                                                          .context = &load};
        rc = generator_new(&generator_config, &load.generators[load.n_generators], err);
        load.n_generators += rc == 0;
    }
    if (rc == 0)
        rc = drive(&load, err);
    if (rc == 0)
        *ret_result = gather(&load);
    for (uint32_t i = 0; i < load.n_generators; i++)
        generator_free(load.generators[i]);
    ev_loop_destroy(load.loop);
    return rc;
}
