#include "tests/support/lb_bed.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/placement.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "tests/support/lb_bed_parts.h"

struct staged_spawner {
    struct spawner base;
    struct spawner *fake;
    struct lb_bed *bed;
};

static struct lb_bed *the_bed; /* for the spawner that the LB opens */

/* ---- the spawner: all of this on the LB's loop -------------------------------------------- */

static int give_address(void *context, const struct spawner_request *request, struct addr *ret_addr)
{
    struct lb_bed *bed = context;

    if (strcmp(request->name, bed->refused_name) == 0)
        return -EAGAIN;
    *ret_addr = lb_bed_plant(bed, request->name);
    return 0;
}

static struct staged_spawner *staged(struct spawner *spawner)
{
    return (struct staged_spawner *)spawner;
}

static void staged_close(struct spawner *spawner)
{
    struct lb_bed *bed = staged(spawner)->bed;
    const struct fake_call *calls = fake_spawner_calls(bed->fake, &bed->n_last_calls);

    memcpy(bed->last_calls, calls, bed->n_last_calls * sizeof(*calls));
    bed->fake = NULL;
    stage_close(&bed->control);
    spawner_close(staged(spawner)->fake);
    free(spawner);
}

static int staged_start(struct spawner *spawner, const struct spawner_request *request,
                        struct err *err)
{
    return staged(spawner)->fake->ops->start(staged(spawner)->fake, request, err);
}

static void staged_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns)
{
    staged(spawner)->fake->ops->stop(staged(spawner)->fake, uid, grace_ns);
}

static int staged_adopt(struct spawner *spawner, const struct spawner_server *server,
                        struct err *err)
{
    return staged(spawner)->fake->ops->adopt(staged(spawner)->fake, server, err);
}

static int staged_open(const void *params, const struct spawner_config *config,
                       const struct spawner_handler *handler, void *context,
                       struct spawner **ret_spawner, struct err *err);

static const struct spawner_ops staged_ops = {
    .part = {.name = "staged",
             .summary = "the fake spawner, reachable from another thread",
             .source = "tests/support/lb_bed.h"},
    .open = staged_open,
    .close = staged_close,
    .start = staged_start,
    .stop = staged_stop,
    .adopt = staged_adopt,
};

SPAWNER_REGISTER(staged_ops);

static int staged_open(const void *params, const struct spawner_config *config,
                       const struct spawner_handler *handler, void *context,
                       struct spawner **ret_spawner, struct err *err)
{
    struct lb_bed *bed = the_bed;
    struct spawner *fake;
    int rc = spawner_open(&bed->fake_spec, config, handler, context, &fake, err);

    (void)params;
    if (rc != 0)
        return rc;
    struct staged_spawner *self = mem_zalloc(1, sizeof(*self));
    self->base.ops = &staged_ops;
    self->fake = bed->fake = fake;
    self->bed = bed;
    fake_spawner_set_address(fake, give_address, bed);
    stage_open(&bed->control, config->loop);
    *ret_spawner = &self->base;
    return 0;
}

struct spawner_order {
    struct lb_bed *bed;
    enum { EXIT, REFUSE, FAIL, HOLD, REFUSE_NAME, CALLS, BLOCK } what;
    const char *name, *why;
    unsigned n;
    int code;
    struct fake_call *calls;
    size_t max;
};

static void obey_on_control(void *argument)
{
    struct spawner_order *order = argument;
    struct lb_bed *bed = order->bed;
    uint64_t uid;
    size_t n;

    switch (order->what) {
    case EXIT:
        order->code = fake_spawner_find(bed->fake, order->name, &uid);
        if (order->code == 0)
            order->code = fake_spawner_exit(bed->fake, uid, order->why);
        break;
    case REFUSE:
        fake_spawner_refuse_next(bed->fake, order->n, order->code);
        break;
    case FAIL:
        fake_spawner_fail_next(bed->fake, order->n);
        break;
    case HOLD:
        fake_spawner_hold(bed->fake, order->n);
        break;
    case REFUSE_NAME:
        snprintf(bed->refused_name, sizeof(bed->refused_name), "%s", order->name);
        break;
    case CALLS: {
        const struct fake_call *calls = fake_spawner_calls(bed->fake, &n);
        order->max = n < order->max ? n : order->max;
        memcpy(order->calls, calls, order->max * sizeof(*calls));
        break;
    }
    case BLOCK:
        poll(NULL, 0, (int)order->n);
        free(order);
        break;
    }
}

static struct spawner_order tell_spawner(struct spawner_order order)
{
    if (!stage_call(&order.bed->control, obey_on_control, &order))
        fail_msg("the load balancer has ended");
    return order;
}

void lb_bed_exit(struct lb_bed *bed, const char *name, const char *why)
{
    struct spawner_order told =
        tell_spawner((struct spawner_order){.bed = bed, .what = EXIT, .name = name, .why = why});
    assert_int_equal(told.code, 0);
}

void lb_bed_refuse_next(struct lb_bed *bed, unsigned n, int code)
{
    tell_spawner((struct spawner_order){.bed = bed, .what = REFUSE, .n = n, .code = code});
}

void lb_bed_fail_next(struct lb_bed *bed, unsigned n)
{
    tell_spawner((struct spawner_order){.bed = bed, .what = FAIL, .n = n});
}

void lb_bed_hold_starts(struct lb_bed *bed, bool held)
{
    tell_spawner((struct spawner_order){.bed = bed, .what = HOLD, .n = held});
}

void lb_bed_refuse_name(struct lb_bed *bed, const char *name)
{
    tell_spawner((struct spawner_order){.bed = bed, .what = REFUSE_NAME, .name = name ? name : ""});
}

size_t lb_bed_spawner_calls(struct lb_bed *bed, struct fake_call *ret_calls, size_t max)
{
    struct spawner_order order = {.bed = bed, .what = CALLS, .calls = ret_calls, .max = max};

    if (stage_call(&bed->control, obey_on_control, &order))
        return order.max;
    size_t n = bed->n_last_calls < max ? bed->n_last_calls : max;
    memcpy(ret_calls, bed->last_calls, n * sizeof(*ret_calls));
    return n;
}

size_t lb_bed_n_starts(struct lb_bed *bed, const char *name)
{
    struct fake_call *calls = mem_zalloc(FAKE_MAX_CALLS, sizeof(*calls));
    size_t n = lb_bed_spawner_calls(bed, calls, FAKE_MAX_CALLS), n_starts = 0;

    for (size_t i = 0; i < n; i++)
        n_starts += calls[i].kind == FAKE_START && strcmp(calls[i].name, name) == 0;
    free(calls);
    return n_starts;
}

bool lb_bed_was_stopped(struct lb_bed *bed, const char *name, uint64_t *ret_grace_ns)
{
    struct fake_call *calls = mem_zalloc(FAKE_MAX_CALLS, sizeof(*calls));
    size_t n = lb_bed_spawner_calls(bed, calls, FAKE_MAX_CALLS);
    uint64_t uid = 0;
    bool stopped = false;

    for (size_t i = 0; i < n; i++)
        if (calls[i].kind != FAKE_STOP && strcmp(calls[i].name, name) == 0)
            uid = calls[i].uid;
    for (size_t i = 0; i < n && !stopped; i++) {
        stopped = calls[i].kind == FAKE_STOP && calls[i].uid == uid;
        if (stopped && ret_grace_ns)
            *ret_grace_ns = calls[i].grace_ns;
    }
    free(calls);
    if (uid == 0)
        fail_msg("no server was named %s", name);
    return stopped;
}

void lb_bed_block_control(struct lb_bed *bed, int ms)
{
    struct spawner_order *order = mem_zalloc(1, sizeof(*order));

    order->bed = bed;
    order->what = BLOCK;
    order->n = (unsigned)ms;
    if (!stage_begin(&bed->control, obey_on_control, order))
        fail_msg("the load balancer has ended");
}

void lb_bed_unblock(struct lb_bed *bed)
{
    stage_wait(&bed->control);
}

/* ---- life --------------------------------------------------------------------------------- */

static void parse(int rc, const struct err *err)
{
    if (rc != 0)
        fail_msg("%s", err->message);
}

struct lb_bed *lb_bed_new(void)
{
    struct lb_bed *bed = mem_zalloc(1, sizeof(*bed));
    struct lb_config *config = &bed->config;
    struct err err = {0};

    log_set_level(LOG_ERROR);
    stage_init(&bed->control);
    buf_init(&bed->body, 0);
    parse(spec_parse(&spawner_family, "fake", &bed->fake_spec, &err), &err);
    parse(spec_parse(&spawner_family, "staged", &config->spawner, &err), &err);
    parse(spec_parse(&placement_family, "slots", &config->placement, &err), &err);
    parse(hash_choice_parse("splitmix64", &config->hashes, &err), &err);
    parse(addr_parse("127.0.0.1:0", &config->listen, &err), &err);
    config->n_servers = 3;
    config->n_threads = 1;
    config->program = "none";
    config->heartbeat_ns = LB_BED_HEARTBEAT_MS * NS_PER_MS;
    config->fall = 100; /* who is only slow, on a busy machine, is no hung one */
    config->seed = 1;
    bed->farm = lb_farm_new();
    the_bed = bed;
    return bed;
}

struct lb_config *lb_bed_config(struct lb_bed *bed)
{
    return &bed->config;
}

static void *run_lb(void *context)
{
    struct lb_bed *bed = context;

    bed->rc = lb_run(&bed->config, &bed->err);
    atomic_store(&bed->ended, true);
    return NULL;
}

static void start(struct lb_bed *bed)
{
    assert_false(bed->running);
    assert_int_equal(pipe(bed->ready_fds), 0);
    bed->config.ready_fd = dup(bed->ready_fds[1]);
    bed->err = (struct err){0};
    bed->refused_name[0] = '\0';
    bed->running = true;
    atomic_store(&bed->ended, false);
    assert_int_equal(pthread_create(&bed->thread, NULL, run_lb, bed), 0);
}

void lb_bed_start(struct lb_bed *bed)
{
    char text[ADDR_TEXT_BYTES] = "";
    size_t n = 0;

    start(bed);
    struct pollfd ready = {.fd = bed->ready_fds[0], .events = POLLIN};
    double until = lb_bed_now_s() + LB_BED_PATIENCE_S;
    while (!strchr(text, '\n')) {
        if (atomic_load(&bed->ended)) {
            lb_bed_wait_end(bed);
            fail_msg("the load balancer ended: %s", bed->err.message);
        }
        if (lb_bed_now_s() > until)
            fail_msg("the load balancer does not come up");
        if (poll(&ready, 1, 5) == 1)
            n += (size_t)read(bed->ready_fds[0], text + n, sizeof(text) - 1 - n);
    }
    *strchr(text, '\n') = '\0';
    assert_int_equal(addr_parse(text, &bed->addr, NULL), 0);
}

int lb_bed_wait_end(struct lb_bed *bed)
{
    assert_true(bed->running);
    pthread_join(bed->thread, NULL);
    bed->running = false;
    close(bed->ready_fds[0]);
    close(bed->ready_fds[1]);
    return bed->rc;
}

int lb_bed_start_in_vain(struct lb_bed *bed, char *ret_message, size_t bytes)
{
    start(bed);
    struct pollfd ready = {.fd = bed->ready_fds[0], .events = POLLIN};
    lb_bed_wait(atomic_load(&bed->ended) || poll(&ready, 1, 0) == 1);
    if (poll(&ready, 1, 0) == 1)
        fail_msg("the load balancer came up");
    close(bed->config.ready_fd); /* on which nothing was told */
    int rc = lb_bed_wait_end(bed);
    snprintf(ret_message, bytes, "%s", bed->err.message);
    return rc;
}

void lb_bed_tell_to_end(struct lb_bed *bed)
{
    assert_true(bed->running);
    kill(getpid(), SIGTERM);
}

void lb_bed_free(struct lb_bed *bed)
{
    if (bed->running) {
        kill(getpid(), SIGTERM);
        lb_bed_wait_end(bed);
    }
    lb_farm_free(bed->farm);
    fake_world_end_orphans();
    spec_done(&bed->fake_spec);
    spec_done(&bed->config.spawner);
    spec_done(&bed->config.placement);
    hash_choice_done(&bed->config.hashes);
    buf_done(&bed->body);
    free(bed);
    the_bed = NULL;
}
