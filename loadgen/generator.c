#include "loadgen/generator.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/alarm.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"

/* A slot whose request could not even be sent pauses, 1 ms and twice as long each time. */
#define MAX_PAUSE_DOUBLINGS 6

#define COALESCE_NS (50 * NS_PER_US)

struct slot {
    uint64_t due_ns;  /* open loop: intended start */
    uint32_t segment; /* of the plan */
    bool measured;
    uint8_t n_refused; /* one after another, up to MAX_PAUSE_DOUBLINGS + 1 */
};

/* Pauses end in the order of their times only within one length, hence a timer each; made when the
 * first is needed. */
struct pause {
    struct ev_timer timer;
    struct generator *generator;
    uint32_t slot;
};

struct generator {
    struct generator_config config;
    const struct result_settings *settings; /* (ref) */
    struct workload *workload;              /* (ref) */
    struct ev_loop *loop;
    struct client *client;
    struct verify verify;
    struct rng rng;
    struct result *result;
    struct slot *slots;
    uint32_t n_slots;
    uint32_t n_busy;
    bool stopping;
    bool ended;

    /* Closed loop. */
    struct schedule schedule;
    struct pause *pauses;
    uint32_t n_paused;

    /* Open loop. */
    struct arrivals arrivals;
    struct alarm alarm;
    struct arrival next; /* the first that is not sent */
    bool has_next;
    bool next_waits;      /* it was due when no slot was free */
    uint64_t n_left;      /* measured ones to come; UINT64_MAX: as the plan says */
    uint32_t *free_slots; /* a stack */
    uint32_t n_free;

    /* How the thread spent the measured phase. */
    struct ev_prepare before_sleep;
    struct ev_check after_sleep;
    uint64_t sleep_began_ns;
    uint64_t cpu_began_ns, began_ns;
    struct result_thread spent;

    struct ev_async stop;
    struct ev_timer drain;
    atomic_uint_fast64_t drain_ns;
    atomic_bool has_ended;
    pthread_t thread;

    /* For progress. */
    atomic_uint_fast64_t shown_started_ns, n_warmup, n_warmup_failed, n_done, n_failed;
};

static bool is_open(const struct generator *generator)
{
    return generator->settings->plan != NULL;
}

/* One writer: cheaper than an atomic addition. */
static void count(atomic_uint_fast64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void begin_measured(struct generator *generator, uint64_t started_ns, uint64_t now_ns)
{
    struct result *result = generator->result;

    generator->cpu_began_ns = clock_thread_cpu_ns();
    generator->began_ns = now_ns;
    generator->spent.asleep_ns = 0;
    result->started_ns = result->ended_ns = started_ns;
    result->started_wall_ns = clock_wall_ns() - clock_now_ns() + started_ns;
    atomic_store_explicit(&generator->shown_started_ns, started_ns, memory_order_relaxed);
}

static void end_if_over(struct generator *generator)
{
    if (generator->ended || generator->n_busy > 0 || generator->n_paused > 0 || generator->has_next)
        return;
    generator->ended = true;
    ev_break(generator->loop, EVBREAK_ALL);
}

static void send_on(struct generator *generator, uint32_t slot,
                    const struct client_request *request)
{
    generator->n_busy++;
    client_submit(generator->client, slot, request);
}

/* The next request of the slot; false: the workload has no more, and nothing follows. */
static bool fetch(struct generator *generator, uint32_t slot, struct client_request *ret_request)
{
    *ret_request = (struct client_request){.target = NULL};
    if (workload_next(generator->workload, &generator->rng, slot, ret_request))
        return true;
    generator->result->ran_out = true;
    generator->stopping = true;
    generator->has_next = false;
    schedule_stop(&generator->schedule);
    return false;
}

/* ---- closed loop ---- */

static void send_next(struct generator *generator, uint32_t slot, uint64_t now_ns)
{
    enum schedule_phase phase = schedule_next(&generator->schedule, now_ns);
    struct client_request request;

    if (phase == SCHEDULE_OVER || !fetch(generator, slot, &request)) {
        end_if_over(generator);
        return;
    }
    if (phase == SCHEDULE_MEASURED && generator->result->started_ns == 0)
        begin_measured(generator, now_ns, now_ns);
    generator->slots[slot].measured = phase == SCHEDULE_MEASURED;
    send_on(generator, slot, &request);
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct pause *pause = timer->data;

    (void)loop, (void)events;
    pause->generator->n_paused--;
    send_next(pause->generator, pause->slot, clock_now_ns());
}

/* Nothing was sent, so that the answer came at once: without a pause a dead port would be asked as
 * fast as the kernel can refuse. */
static void pause_slot(struct generator *generator, uint32_t slot)
{
    struct slot *state = &generator->slots[slot];
    struct pause *pause;

    if (!generator->pauses) {
        generator->pauses = mem_zalloc(generator->n_slots, sizeof(*generator->pauses));
        for (uint32_t i = 0; i < generator->n_slots; i++) {
            generator->pauses[i].generator = generator;
            generator->pauses[i].slot = i;
            ev_init(&generator->pauses[i].timer, on_pause_over);
            generator->pauses[i].timer.data = &generator->pauses[i];
        }
    }
    pause = &generator->pauses[slot];
    ev_now_update(generator->loop);
    ev_timer_set(&pause->timer, 0.001 * (1 << state->n_refused), 0.);
    ev_timer_start(generator->loop, &pause->timer);
    generator->n_paused++;
    if (state->n_refused < MAX_PAUSE_DOUBLINGS)
        state->n_refused++;
}

/* ---- open loop ---- */

static uint64_t due_ns(const struct generator *generator)
{
    return generator->config.epoch_ns + generator->next.at_ns;
}

static bool is_measured(const struct generator *generator, uint32_t segment)
{
    return !generator->settings->plan->segments[segment].warmup;
}

static void look_ahead(struct generator *generator)
{
    generator->next_waits = false;
    generator->has_next =
        !generator->stopping && arrivals_next(&generator->arrivals, &generator->next);
    if (!generator->has_next || !is_measured(generator, generator->next.segment))
        return;
    if (generator->n_left == 0)
        generator->has_next = false;
    else if (generator->n_left != UINT64_MAX)
        generator->n_left--;
}

static void send_due(struct generator *generator, uint64_t now_ns)
{
    const uint32_t index = generator->free_slots[generator->n_free - 1];
    struct slot *slot = &generator->slots[index];
    struct client_request request;

    if (!fetch(generator, index, &request))
        return;
    generator->n_free--;
    slot->due_ns = due_ns(generator);
    slot->segment = generator->next.segment;
    slot->measured = is_measured(generator, slot->segment);
    if (slot->measured)
        result_sent(generator->result, slot->due_ns, now_ns, slot->segment, generator->next_waits);
    send_on(generator, index, &request);
}

/* When to wake for the next. Requests closer to each other than COALESCE_NS share a wake-up, for a
 * lag of at most so much, which is what a wake-up takes anyhow. (Measured at 30,000 a second with
 * the raw client: 28 µs of CPU a request in place of 33, busy 55 % of the time in place of 92.) */
static uint64_t wake_ns(const struct generator *generator)
{
    const struct arrivals_segment *segment =
        &generator->settings->plan->segments[generator->next.segment];
    const double rate =
        segment->rate_from > segment->rate_to ? segment->rate_from : segment->rate_to;
    const uint64_t at_ns = due_ns(generator);

    if (rate * (double)COALESCE_NS < (double)NS_PER_S * generator->config.n_generators)
        return at_ns;
    return (at_ns + COALESCE_NS - 1) / COALESCE_NS * COALESCE_NS;
}

/* Sends and drops what is due, and sets the alarm for what comes next. */
static void pump(struct generator *generator, uint64_t now_ns)
{
    const uint64_t max_lag_ns = generator->settings->max_lag_ns ? generator->settings->max_lag_ns
                                                                : generator->settings->timeout_ns;

    for (; generator->has_next && due_ns(generator) <= now_ns; look_ahead(generator)) {
        const uint32_t segment = generator->next.segment;
        if (is_measured(generator, segment) && generator->result->started_ns == 0)
            begin_measured(generator,
                           generator->config.epoch_ns +
                               arrivals_plan_warmup_ns(generator->settings->plan),
                           now_ns);
        if (now_ns - due_ns(generator) > max_lag_ns) {
            if (is_measured(generator, segment))
                result_dropped(generator->result, due_ns(generator), now_ns, segment);
            continue;
        }
        if (generator->n_free == 0) {
            generator->next_waits = true;
            break;
        }
        send_due(generator, now_ns);
        now_ns = clock_now_ns();
    }
    if (generator->has_next)
        alarm_set(&generator->alarm,
                  generator->next_waits ? due_ns(generator) + max_lag_ns + 1 : wake_ns(generator));
    else
        end_if_over(generator);
}

static void on_alarm(struct alarm *alarm)
{
    pump(alarm->data, clock_now_ns());
}

/* ---- both ---- */

static void on_done(void *context, uint32_t index, const struct client_answer *answer)
{
    struct generator *generator = context;
    struct slot *slot = &generator->slots[index];
    enum verdict verdict = verify_answer(&generator->verify, answer);
    struct workload_done done;

    verdict = workload_ended(generator->workload, index, answer, verdict, &done);
    assert(generator->n_busy > 0);
    generator->n_busy--;
    if (!slot->measured) {
        generator->result->n_warmup++;
        count(&generator->n_warmup);
        if (verdict != VERDICT_OK)
            count(&generator->n_warmup_failed);
    } else {
        if (is_open(generator))
            result_record_due(generator->result, verdict, answer, slot->due_ns, slot->segment);
        else
            result_record(generator->result, verdict, answer);
        if (generator->result->timeline && done.is_write)
            timeline_record_write(generator->result->timeline, answer->done_ns, verdict);
        if (generator->settings->operations)
            result_record_operation(generator->result, &done, verdict,
                                    answer->done_ns -
                                        (is_open(generator) ? slot->due_ns : answer->submitted_ns));
        count(&generator->n_done);
        if (verdict != VERDICT_OK)
            count(&generator->n_failed);
    }
    if (is_open(generator)) {
        generator->free_slots[generator->n_free++] = index;
        pump(generator, answer->done_ns);
    } else if (answer->error == CLIENT_REFUSED || answer->error == CLIENT_UNREACHABLE ||
               answer->error == CLIENT_LOCAL) {
        pause_slot(generator, index);
    } else {
        slot->n_refused = 0;
        send_next(generator, index, answer->done_ns);
    }
}

static void on_before_sleep(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    ((struct generator *)watcher->data)->sleep_began_ns = clock_now_ns();
}

static void on_after_sleep(struct ev_loop *loop, struct ev_check *watcher, int events)
{
    struct generator *generator = watcher->data;

    (void)loop, (void)events;
    if (generator->began_ns)
        generator->spent.asleep_ns += clock_now_ns() - generator->sleep_began_ns;
}

static void on_drained(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_stop(struct ev_loop *loop, struct ev_async *watcher, int events)
{
    struct generator *generator = watcher->data;

    (void)events;
    generator->stopping = true;
    generator->has_next = false;
    schedule_stop(&generator->schedule);
    if (is_open(generator))
        alarm_clear(&generator->alarm);
    for (uint32_t i = 0; generator->pauses && i < generator->n_slots; i++)
        ev_timer_stop(loop, &generator->pauses[i].timer);
    generator->n_paused = 0;
    end_if_over(generator);
    ev_now_update(loop);
    ev_timer_stop(loop, &generator->drain);
    ev_timer_set(&generator->drain, (double)atomic_load(&generator->drain_ns) / (double)NS_PER_S,
                 0.);
    ev_timer_start(loop, &generator->drain);
}

static void begin(struct generator *generator)
{
    if (is_open(generator)) {
        look_ahead(generator);
        pump(generator, clock_now_ns());
        return;
    }
    for (uint32_t slot = 0; slot < generator->n_slots; slot++)
        send_next(generator, slot, clock_now_ns());
}

static void *run(void *context)
{
    struct generator *generator = context;
    struct result *result = generator->result;

    begin(generator);
    if (!generator->ended)
        ev_run(generator->loop, 0);
    if (generator->began_ns) {
        generator->spent.cpu_ns = clock_thread_cpu_ns() - generator->cpu_began_ns;
        generator->spent.span_ns = clock_now_ns() - generator->began_ns;
        generator->spent.n_requests = result_requests(result);
        result->cpu_ns = generator->spent.cpu_ns;
    }
    result->threads[0] = generator->spent;
    result->n_threads = 1;
    result->n_abandoned = generator->n_busy;
    result->connections = client_counts(generator->client);
    atomic_store(&generator->has_ended, true);
    generator->config.on_end(generator->config.context);
    return NULL;
}

/* Part `index` of n in n_parts equal ones, the first ones larger by one. */
static uint64_t part_of(uint64_t n, uint32_t index, uint32_t n_parts)
{
    return n / n_parts + (index < n % n_parts);
}

static struct schedule_limit limit_of(const struct schedule_limit *whole,
                                      const struct generator_config *config)
{
    struct schedule_limit part = {part_of(whole->n_requests, config->index, config->n_generators),
                                  whole->duration_ns};

    /* No requests is no phase; 0 of them would be no limit. */
    if (whole->n_requests && !part.n_requests)
        part.duration_ns = 0;
    return part;
}

static void set_up_watchers(struct generator *generator)
{
    ev_async_init(&generator->stop, on_stop);
    ev_init(&generator->drain, on_drained);
    ev_prepare_init(&generator->before_sleep, on_before_sleep);
    ev_check_init(&generator->after_sleep, on_after_sleep);
    /* Last before the sleep and first after it. */
    ev_set_priority(&generator->before_sleep, EV_MINPRI);
    ev_set_priority(&generator->after_sleep, EV_MAXPRI);
    generator->stop.data = generator->before_sleep.data = generator->after_sleep.data = generator;
    ev_async_start(generator->loop, &generator->stop);
    ev_prepare_start(generator->loop, &generator->before_sleep);
    ev_check_start(generator->loop, &generator->after_sleep);
}

static void set_up_schedule(struct generator *generator)
{
    const struct result_settings *settings = generator->settings;
    const struct generator_config *config = &generator->config;

    if (!is_open(generator)) {
        schedule_init(&generator->schedule, limit_of(&settings->warmup, config),
                      limit_of(&settings->measured, config));
        return;
    }
    arrivals_init(&generator->arrivals, settings->plan, settings->arrivals, settings->seed,
                  config->index, config->n_generators);
    generator->n_left = settings->measured.n_requests ? part_of(settings->measured.n_requests,
                                                                config->index, config->n_generators)
                                                      : UINT64_MAX;
    generator->free_slots = mem_zalloc(generator->n_slots, sizeof(*generator->free_slots));
    /* The lowest is taken first, so that a low rate keeps few connections. */
    while (generator->n_free < generator->n_slots) {
        generator->free_slots[generator->n_free] = generator->n_slots - 1 - generator->n_free;
        generator->n_free++;
    }
}

/* Of each answer's body, for those who look into it. */
static size_t keep_bytes(const struct generator *generator)
{
    size_t expected = verify_keep_bytes(&generator->verify);
    size_t checked = generator->workload->keep_body_bytes;

    return checked > expected ? checked : expected;
}

static int open_loop_and_client(struct generator *generator, struct err *err)
{
    static const struct client_handler handler = {.on_done = on_done};
    int rc = 0;

    generator->loop = ev_loop_new(EVFLAG_AUTO);
    if (!generator->loop)
        return err_set(err, -EMFILE, "no event loop could be made");
    const struct client_config client_config = {
        .loop = generator->loop,
        .addr = generator->config.load->addr,
        .n_slots = generator->n_slots,
        .timeout_ns = generator->settings->timeout_ns,
        .keep_body_bytes = keep_bytes(generator),
    };
    if (is_open(generator))
        rc = alarm_init(&generator->alarm, generator->loop, on_alarm, generator, err);
    if (rc == 0)
        rc = client_open(generator->config.load->client, &client_config, &handler, generator,
                         &generator->client, err);
    return rc;
}

int generator_new(const struct generator_config *config, struct generator **ret_generator,
                  struct err *err)
{
    const struct result_settings *settings = &config->load->settings;
    struct generator *generator = mem_zalloc(1, sizeof(*generator));
    int rc;

    generator->config = *config;
    generator->settings = settings;
    generator->workload = config->load->workloads[config->index];
    generator->verify.expect = settings->expect;
    generator->n_slots =
        (uint32_t)part_of(settings->n_in_flight, config->index, config->n_generators);
    rc = open_loop_and_client(generator, err);
    if (rc < 0) {
        generator_free(generator);
        return rc;
    }
    /* The first thread's keys are those of a run with one. */
    rng_seed(&generator->rng,
             config->index ? rng_mix64(settings->seed ^ rng_mix64(config->index)) : settings->seed);
    generator->slots = mem_zalloc(generator->n_slots, sizeof(*generator->slots));
    generator->result = result_new(settings, &config->load->addr);
    set_up_schedule(generator);
    set_up_watchers(generator);
    *ret_generator = generator;
    return 0;
}

void generator_free(struct generator *generator)
{
    if (!generator)
        return;
    client_close(generator->client);
    alarm_done(&generator->alarm);
    if (generator->loop)
        ev_loop_destroy(generator->loop);
    result_free(generator->result);
    free(generator->pauses);
    free(generator->free_slots);
    free(generator->slots);
    free(generator);
}

int generator_start(struct generator *generator, uint64_t began_ns, uint64_t epoch_ns)
{
    sigset_t all, before;
    int rc;

    generator->config.epoch_ns = epoch_ns;
    if (generator->settings->timeline_ns)
        generator->result->timeline = timeline_new(generator->settings->timeline_ns, began_ns);
    if (generator->settings->n_latencies)
        generator->result->latencies =
            latencies_new(part_of(generator->settings->n_latencies, generator->config.index,
                                  generator->config.n_generators));
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = -pthread_create(&generator->thread, NULL, run, generator);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void generator_join(struct generator *generator)
{
    pthread_join(generator->thread, NULL);
}

void generator_stop(struct generator *generator, uint64_t drain_ns)
{
    atomic_store(&generator->drain_ns, drain_ns);
    ev_async_send(generator->loop, &generator->stop);
}

bool generator_has_ended(const struct generator *generator)
{
    return atomic_load(&generator->has_ended);
}

struct generator_progress generator_look(const struct generator *generator)
{
    return (struct generator_progress){
        .started_ns = atomic_load_explicit(&generator->shown_started_ns, memory_order_relaxed),
        .n_warmup = atomic_load_explicit(&generator->n_warmup, memory_order_relaxed),
        .n_warmup_failed = atomic_load_explicit(&generator->n_warmup_failed, memory_order_relaxed),
        .n_done = atomic_load_explicit(&generator->n_done, memory_order_relaxed),
        .n_failed = atomic_load_explicit(&generator->n_failed, memory_order_relaxed),
    };
}

struct result *generator_result(struct generator *generator)
{
    return generator->result;
}
