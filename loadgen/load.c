#include "loadgen/load.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "loadgen/progress.h"

#define DRAIN_S 1.0
/* For all that is not a connection: the loop, files, libraries. */
#define SPARE_DESCRIPTORS 64

struct load {
    const struct load_config *config;
    struct ev_loop *loop;
    struct client *client;
    struct schedule schedule;
    struct verify verify;
    struct rng rng;
    struct result *result;
    struct progress progress;
    uint32_t n_busy;
    bool *slot_is_measured; /* by slot: which phase its request belongs to */
    uint64_t cpu_started_ns;
    uint64_t warmup_started_ns;
    uint64_t n_warmup_failed;
    struct ev_signal on_int, on_term;
    struct ev_timer drain;
    struct ev_timer tick;
};

static int raise_descriptor_limit(uint32_t n_connections, struct err *err)
{
    const rlim_t need = (rlim_t)n_connections + SPARE_DESCRIPTORS;
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

static void begin_measured(struct load *load, uint64_t now_ns)
{
    load->cpu_started_ns = clock_cpu_ns();
    load->result->started_ns = now_ns;
    load->result->ended_ns = now_ns;
    load->result->started_wall_ns = clock_wall_ns();
}

static void send_next(struct load *load, uint32_t slot, uint64_t now_ns)
{
    enum schedule_phase phase = schedule_next(&load->schedule, now_ns);
    struct client_request request = {.target = NULL};

    if (phase == SCHEDULE_OVER) {
        if (load->n_busy == 0)
            ev_break(load->loop, EVBREAK_ALL);
        return;
    }
    if (phase == SCHEDULE_WARMUP && load->warmup_started_ns == 0)
        load->warmup_started_ns = now_ns;
    if (phase == SCHEDULE_MEASURED && load->result->started_ns == 0)
        begin_measured(load, now_ns);
    load->slot_is_measured[slot] = phase == SCHEDULE_MEASURED;
    load->n_busy++;
    workload_next(load->config->workload, &load->rng, slot, &request);
    client_submit(load->client, slot, &request);
}

static void on_done(void *context, uint32_t slot, const struct client_answer *answer)
{
    struct load *load = context;
    enum verdict verdict = verify_answer(&load->verify, answer);

    assert(load->n_busy > 0);
    load->n_busy--;
    if (load->slot_is_measured[slot]) {
        result_record(load->result, verdict, answer);
    } else {
        load->result->n_warmup++;
        load->n_warmup_failed += verdict != VERDICT_OK;
    }
    send_next(load, slot, answer->done_ns);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct load *load = timer->data;
    const struct result *result = load->result;
    const bool warming_up = result->started_ns == 0;
    const struct progress_state state = {
        .warming_up = warming_up,
        .n_done = warming_up ? result->n_warmup : result_requests(result),
        .n_failed = warming_up ? load->n_warmup_failed : result->n_failed,
        .elapsed_ns = clock_now_ns() - (warming_up ? load->warmup_started_ns : result->started_ns),
        .limit = warming_up ? load->config->settings.warmup : load->config->settings.measured,
    };

    (void)loop, (void)events;
    progress_show(&load->progress, &state);
}

static void on_drained(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    struct load *load = watcher->data;

    (void)events;
    if (load->result->interrupted || load->n_busy == 0) {
        load->result->interrupted = true;
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    load->result->interrupted = true;
    schedule_stop(&load->schedule);
    ev_now_update(loop);
    ev_timer_set(&load->drain, DRAIN_S, 0.);
    ev_timer_start(loop, &load->drain);
}

static void start_watchers(struct load *load)
{
    const double interval_s = progress_interval_s(&load->progress);

    ev_signal_init(&load->on_int, on_signal, SIGINT);
    ev_signal_init(&load->on_term, on_signal, SIGTERM);
    load->on_int.data = load->on_term.data = load;
    ev_signal_start(load->loop, &load->on_int);
    ev_signal_start(load->loop, &load->on_term);
    ev_init(&load->drain, on_drained);
    ev_timer_init(&load->tick, on_tick, interval_s, interval_s);
    load->tick.data = load;
    if (load->config->progress)
        ev_timer_start(load->loop, &load->tick);
}

static void stop_watchers(struct load *load)
{
    ev_signal_stop(load->loop, &load->on_int);
    ev_signal_stop(load->loop, &load->on_term);
    ev_timer_stop(load->loop, &load->drain);
    ev_timer_stop(load->loop, &load->tick);
}

/* The run itself; everything is open. */
static void drive(struct load *load)
{
    const uint32_t n_slots = load->config->settings.n_in_flight;

    start_watchers(load);
    for (uint32_t slot = 0; slot < n_slots; slot++)
        send_next(load, slot, clock_now_ns());
    if (load->n_busy > 0)
        ev_run(load->loop, 0);
    stop_watchers(load);
    progress_clear(&load->progress);

    if (load->result->started_ns)
        load->result->cpu_ns = clock_cpu_ns() - load->cpu_started_ns;
    load->result->n_abandoned = load->n_busy;
    load->result->connections = client_counts(load->client);
    result_finish(load->result);
}

int load_run(const struct load_config *config, struct result **ret_result, struct err *err)
{
    static const struct client_handler handler = {.on_done = on_done};
    const struct result_settings *settings = &config->settings;
    struct load load = {.config = config, .verify = {.expect = settings->expect}};
    int rc;

    rc = raise_descriptor_limit(settings->n_in_flight, err);
    if (rc < 0)
        return rc;
    load.loop = ev_loop_new(EVFLAG_AUTO);
    if (!load.loop)
        return err_set(err, -EMFILE, "no event loop could be made");
    const struct client_config client_config = {
        .loop = load.loop,
        .addr = config->addr,
        .n_slots = settings->n_in_flight,
        .timeout_ns = settings->timeout_ns,
        .keep_body_bytes = verify_keep_bytes(&load.verify),
    };
    rc = client_open(config->client, &client_config, &handler, &load, &load.client, err);
    if (rc < 0)
        goto out;
    rng_seed(&load.rng, settings->seed);
    schedule_init(&load.schedule, settings->warmup, settings->measured);
    progress_init(&load.progress, config->progress);
    load.slot_is_measured = mem_zalloc(settings->n_in_flight, sizeof(bool));
    load.result = result_new(settings, &config->addr);
    drive(&load);
    *ret_result = load.result;
out:
    client_close(load.client);
    ev_loop_destroy(load.loop);
    free(load.slot_is_measured);
    return rc;
}
