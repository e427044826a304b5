#include "tests/support/lb_bed.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/placement.h"
#include "core/clock.h"
#include "core/httpd.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/net.h"

#define MAX_SERVERS 256
#define MAX_HELD 64

/* Runs functions for one thread on the loop of another. */
struct stage {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct ev_async wake;
    struct ev_loop *loop; /* NULL: closed */
    void (*function)(void *argument);
    void *argument;
    bool busy;
};

struct farm_server {
    struct lb_bed *bed;
    char name[NAME_MAX_BYTES + 1];
    char lie[NAME_MAX_BYTES + 1]; /* "": none */
    struct httpd *httpd;          /* NULL: shut */
    bool hung;
    struct held {
        struct httpd_exchange *exchange;
        bool heartbeat, slow;
    } held[MAX_HELD];
    size_t n_held;
};

struct staged_spawner {
    struct spawner base;
    struct spawner *fake;
    struct lb_bed *bed;
};

struct lb_bed {
    struct lb_config config;
    pthread_t thread;
    bool running;
    atomic_bool ended;
    int rc;
    struct err err;
    int ready_fds[2];
    struct addr addr;
    struct buf body;
    char text[1024];
    /* The LB's loop. */
    struct stage control;
    struct spawner *fake;
    struct spec fake_spec;
    char refused_name[NAME_MAX_BYTES + 1];
    struct fake_call last_calls[FAKE_MAX_CALLS];
    size_t n_last_calls;
    /* The farm's. */
    struct stage farm;
    pthread_t farm_thread;
    struct ev_loop *farm_loop;
    struct flusher farm_flusher;
    struct farm_server servers[MAX_SERVERS];
    size_t n_servers;
    bool hold_heartbeats;
    char next_lie[NAME_MAX_BYTES + 1];
    uint64_t idle_timeout_ns;
};

static struct lb_bed *the_bed; /* for the spawner that the LB opens */

/* ---- stages ------------------------------------------------------------------------------- */

static void on_wake(struct ev_loop *loop, struct ev_async *wake, int events)
{
    struct stage *stage = wake->data;
    (void)loop;
    (void)events;
    pthread_mutex_lock(&stage->mutex);
    void (*function)(void *) = stage->function;
    void *argument = stage->argument;
    stage->function = NULL;
    pthread_mutex_unlock(&stage->mutex);
    if (!function)
        return;
    function(argument);
    pthread_mutex_lock(&stage->mutex);
    stage->busy = false;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void stage_init(struct stage *stage)
{
    pthread_mutex_init(&stage->mutex, NULL);
    pthread_cond_init(&stage->changed, NULL);
}

static void stage_open(struct stage *stage, struct ev_loop *loop)
{
    pthread_mutex_lock(&stage->mutex);
    ev_async_init(&stage->wake, on_wake);
    stage->wake.data = stage;
    ev_async_start(loop, &stage->wake);
    stage->loop = loop;
    pthread_mutex_unlock(&stage->mutex);
}

static void stage_close(struct stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    ev_async_stop(stage->loop, &stage->wake);
    stage->loop = NULL;
    stage->function = NULL;
    stage->busy = false;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

/* False: the stage is closed. */
static bool stage_begin(struct stage *stage, void (*function)(void *), void *argument)
{
    pthread_mutex_lock(&stage->mutex);
    while (stage->busy)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    bool open = stage->loop != NULL;
    if (open) {
        stage->busy = true;
        stage->function = function;
        stage->argument = argument;
        ev_async_send(stage->loop, &stage->wake);
    }
    pthread_mutex_unlock(&stage->mutex);
    return open;
}

static void stage_wait(struct stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    while (stage->busy)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    pthread_mutex_unlock(&stage->mutex);
}

static bool stage_call(struct stage *stage, void (*function)(void *), void *argument)
{
    bool open = stage_begin(stage, function, argument);
    stage_wait(stage);
    return open;
}

/* ---- the farm: all of this on its loop ---------------------------------------------------- */

static void reply_as(struct farm_server *server, struct httpd_exchange *exchange, bool heartbeat)
{
    char header[128];
    const char *name = server->lie[0] ? server->lie : server->name;

    snprintf(header, sizeof(header), "X-Quoit-Server: %s\r\n", name);
    httpd_reply(exchange, 200, heartbeat ? NULL : "text/plain", header, name,
                heartbeat ? 0 : strlen(name));
}

static void on_farm_request(void *context, struct httpd_exchange *exchange)
{
    struct farm_server *server = context;
    struct http_view path = exchange->request->path;
    bool heartbeat = http_view_equal(path, "/heartbeat"), slow = http_view_equal(path, "/slow");

    if (server->hung || slow || (heartbeat && server->bed->hold_heartbeats)) {
        assert(server->n_held < MAX_HELD);
        server->held[server->n_held++] = (struct held){exchange, heartbeat, slow};
    } else if (heartbeat || http_view_equal(path, "/home")) {
        reply_as(server, exchange, heartbeat);
    } else {
        httpd_refuse(exchange, 404, "unknown");
    }
}

enum release { RELEASE_ALL, RELEASE_SLOW, RELEASE_HEARTBEATS, RELEASE_ALL_BUT_SLOW };

static void release(struct farm_server *server, enum release which)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_held; i++) {
        struct held held = server->held[i];
        if (which == RELEASE_ALL || (which == RELEASE_SLOW && held.slow) ||
            (which == RELEASE_HEARTBEATS && held.heartbeat) ||
            (which == RELEASE_ALL_BUT_SLOW && !held.slow))
            reply_as(server, held.exchange, held.heartbeat);
        else
            server->held[n++] = held;
    }
    server->n_held = n;
}

/* What it holds is answered, and the answers go with the connections. */
static void shut(struct farm_server *server)
{
    if (server->httpd) {
        release(server, RELEASE_ALL);
        httpd_free(server->httpd);
        server->httpd = NULL;
    }
}

static struct farm_server *find_server(struct lb_bed *bed, const char *name)
{
    for (size_t i = bed->n_servers; i-- > 0;)
        if (strcmp(bed->servers[i].name, name) == 0)
            return &bed->servers[i];
    fail_msg("no server was named %s", name);
    return NULL;
}

static struct addr plant(struct lb_bed *bed, const char *name)
{
    struct addr addr;
    struct err err = {0};

    assert(bed->n_servers < MAX_SERVERS);
    struct farm_server *server = &bed->servers[bed->n_servers++];
    server->bed = bed;
    snprintf(server->name, sizeof(server->name), "%s", name);
    memcpy(server->lie, bed->next_lie, sizeof(server->lie));
    server->httpd =
        httpd_new(&(struct httpd_config){.loop = bed->farm_loop,
                                         .flusher = &bed->farm_flusher,
                                         .limits = {.idle_timeout_ns = bed->idle_timeout_ns},
                                         .on_request = on_farm_request,
                                         .context = server});
    addr_parse("127.0.0.1:0", &addr, NULL);
    int fd = net_listen(&addr, false, &addr, &err);
    assert(fd >= 0);
    httpd_listen(server->httpd, fd);
    return addr;
}

struct farm_order {
    struct lb_bed *bed;
    enum {
        PLANT,
        HANG,
        HOLD_HEARTBEATS,
        RENAME,
        SHUT,
        N_SLOW,
        N_HELD_HEARTBEATS,
        N_CONNECTIONS,
        RELEASE,
        IDLE_TIMEOUT,
        END
    } what;
    const char *name, *lie;
    bool on;
    uint64_t ns;
    size_t result;
    struct addr addr;
};

static void hold_heartbeats(struct lb_bed *bed, bool held)
{
    bed->hold_heartbeats = held;
    for (size_t i = 0; i < bed->n_servers && !held; i++)
        if (bed->servers[i].httpd && !bed->servers[i].hung)
            release(&bed->servers[i], RELEASE_HEARTBEATS);
}

static size_t count_held(const struct farm_server *server, bool slow)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_held; i++)
        n += slow ? server->held[i].slow : server->held[i].heartbeat;
    return n;
}

static void end_farm(struct lb_bed *bed)
{
    for (size_t i = 0; i < bed->n_servers; i++)
        shut(&bed->servers[i]);
    ev_break(bed->farm_loop, EVBREAK_ALL);
}

static void obey_on_farm(void *argument)
{
    struct farm_order *order = argument;
    struct lb_bed *bed = order->bed;
    bool all = order->what == PLANT || !order->name;
    struct farm_server *server = all ? NULL : find_server(bed, order->name);
    const char *lie = order->lie ? order->lie : "";

    switch (order->what) {
    case PLANT:
        order->addr = plant(bed, order->name);
        break;
    case HANG:
        server->hung = order->on;
        if (!order->on)
            release(server, RELEASE_ALL_BUT_SLOW);
        break;
    case HOLD_HEARTBEATS:
        hold_heartbeats(bed, order->on);
        break;
    case RENAME:
        snprintf(server ? server->lie : bed->next_lie, sizeof(bed->next_lie), "%s", lie);
        break;
    case SHUT:
        shut(server);
        break;
    case N_SLOW:
        order->result = count_held(server, true);
        break;
    case N_HELD_HEARTBEATS:
        for (size_t i = 0; i < bed->n_servers; i++)
            order->result += count_held(&bed->servers[i], false);
        break;
    case N_CONNECTIONS:
        order->result = httpd_n_connections(server->httpd);
        break;
    case RELEASE:
        release(server, RELEASE_SLOW);
        break;
    case IDLE_TIMEOUT:
        bed->idle_timeout_ns = order->ns;
        break;
    case END:
        end_farm(bed);
        break;
    }
}

static struct farm_order tell_farm(struct farm_order order)
{
    bool open = stage_call(&order.bed->farm, obey_on_farm, &order);
    assert(open);
    (void)open;
    return order;
}

static void *run_farm(void *context)
{
    struct lb_bed *bed = context;

    ev_run(bed->farm_loop, 0);
    return NULL;
}

struct addr lb_bed_plant(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.bed = bed, .what = PLANT, .name = name}).addr;
}

void lb_bed_hang(struct lb_bed *bed, const char *name, bool hung)
{
    tell_farm((struct farm_order){.bed = bed, .what = HANG, .name = name, .on = hung});
}

void lb_bed_hold_heartbeats(struct lb_bed *bed, bool held)
{
    tell_farm((struct farm_order){.bed = bed, .what = HOLD_HEARTBEATS, .on = held});
}

void lb_bed_rename(struct lb_bed *bed, const char *name, const char *lie)
{
    tell_farm((struct farm_order){.bed = bed, .what = RENAME, .name = name, .lie = lie});
}

void lb_bed_shut(struct lb_bed *bed, const char *name)
{
    tell_farm((struct farm_order){.bed = bed, .what = SHUT, .name = name});
}

size_t lb_bed_n_slow(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.bed = bed, .what = N_SLOW, .name = name}).result;
}

size_t lb_bed_n_held_heartbeats(struct lb_bed *bed)
{
    return tell_farm((struct farm_order){.bed = bed, .what = N_HELD_HEARTBEATS}).result;
}

size_t lb_bed_n_connections(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.bed = bed, .what = N_CONNECTIONS, .name = name}).result;
}

void lb_bed_release(struct lb_bed *bed, const char *name)
{
    tell_farm((struct farm_order){.bed = bed, .what = RELEASE, .name = name});
}

void lb_bed_set_idle_timeout(struct lb_bed *bed, uint64_t idle_timeout_ns)
{
    tell_farm((struct farm_order){.bed = bed, .what = IDLE_TIMEOUT, .ns = idle_timeout_ns});
}

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
    stage_init(&bed->farm);
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
    config->fall = 20;
    config->seed = 1;
    bed->farm_loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&bed->farm_flusher, bed->farm_loop);
    stage_open(&bed->farm, bed->farm_loop);
    assert_int_equal(pthread_create(&bed->farm_thread, NULL, run_farm, bed), 0);
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
    tell_farm((struct farm_order){.bed = bed, .what = END});
    pthread_join(bed->farm_thread, NULL);
    stage_close(&bed->farm);
    flusher_done(&bed->farm_flusher);
    ev_loop_destroy(bed->farm_loop);
    fake_world_end_orphans();
    spec_done(&bed->fake_spec);
    spec_done(&bed->config.spawner);
    spec_done(&bed->config.placement);
    hash_choice_done(&bed->config.hashes);
    buf_done(&bed->body);
    free(bed);
    the_bed = NULL;
}

/* ---- HTTP --------------------------------------------------------------------------------- */

double lb_bed_now_s(void)
{
    return (double)clock_now_ns() * 1e-9;
}

void lb_bed_nap_ms(int ms)
{
    poll(NULL, 0, ms);
}

int lb_bed_connect(struct lb_bed *bed)
{
    const struct timeval patience = {.tv_sec = (time_t)LB_BED_PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&bed->addr.storage, bed->addr.len) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

void lb_bed_ask(int fd, const char *method, const char *path, const char *headers, const char *body)
{
    char *request =
        mem_printf("%s %s HTTP/1.1\r\nHost: q\r\nConnection: close\r\n%s"
                   "Content-Length: %zu\r\n\r\n%s",
                   method, path, headers ? headers : "", body ? strlen(body) : 0, body ? body : "");

    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    free(request);
}

int lb_bed_begin(struct lb_bed *bed, const char *method, const char *path, const char *headers,
                 const char *body)
{
    int fd = lb_bed_connect(bed);

    lb_bed_ask(fd, method, path, headers, body);
    return fd;
}

const char *lb_bed_end(struct lb_bed *bed, int fd, int *ret_status)
{
    struct http_parser parser;
    struct buf in;
    enum http_feed found = HTTP_FEED_MORE;

    buf_init(&in, 0);
    http_parser_init(&parser, HTTP_PARSE_RESPONSE, 1u << 26);
    while (found == HTTP_FEED_MORE) {
        ssize_t n = read(fd, buf_reserve(&in, 65536), 65536);
        if (n <= 0)
            fail_msg("no answer: %s", n < 0 ? strerror(errno) : "closed");
        buf_commit(&in, (size_t)n);
        found = http_parser_feed(&parser, &in);
    }
    if (found != HTTP_FEED_MESSAGE)
        fail_msg("%s", parser.refusal.reason);
    if (ret_status)
        *ret_status = parser.message.status;
    buf_clear(&bed->body);
    buf_append(&bed->body, parser.message.body.at, parser.message.body.len);
    buf_done(&in);
    close(fd);
    return buf_str(&bed->body);
}

bool lb_bed_answered(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    return poll(&waiting, 1, 0) == 1;
}

const char *lb_bed_call(struct lb_bed *bed, const char *method, const char *path, const char *body,
                        int *ret_status)
{
    return lb_bed_end(bed, lb_bed_begin(bed, method, path, NULL, body), ret_status);
}

const char *lb_bed_home(struct lb_bed *bed, const char *headers)
{
    int status;
    const char *body = lb_bed_end(bed, lb_bed_begin(bed, "GET", "/home", headers, NULL), &status);

    if (status != 200)
        fail_msg("%d %s", status, body);
    return body;
}

static cJSON *call_json(struct lb_bed *bed, const char *path)
{
    int status;
    struct err err = {0};
    const char *body = lb_bed_call(bed, "GET", path, NULL, &status);
    cJSON *tree = json_parse(body, strlen(body), &err);

    if (status != 200 || !tree)
        fail_msg("%d %s: %s", status, err.message, body);
    return tree;
}

const char *lb_bed_rep(struct lb_bed *bed)
{
    cJSON *tree = call_json(bed, "/rep");
    const cJSON *message = json_get(tree, "message"), *name;
    int64_t n = -1;
    size_t at = 0;

    bed->text[0] = '\0';
    cJSON_ArrayForEach (name, json_get(message, "replicas"))
        at += (size_t)snprintf(bed->text + at, sizeof(bed->text) - at, "%s%s", at ? " " : "",
                               name->valuestring);
    assert_int_equal(json_get_int64(message, "N", &n), 0);
    assert_int_equal(n, cJSON_GetArraySize(json_get(message, "replicas")));
    assert_string_equal(json_get_string(tree, "status"), "successful");
    cJSON_Delete(tree);
    return bed->text;
}

uint64_t lb_bed_metric(struct lb_bed *bed, const char *name)
{
    char *line = mem_printf("\n%s ", name);
    int status;
    const char *text = lb_bed_call(bed, "GET", "/metrics", NULL, &status);
    const char *at = strstr(text, line);

    if (status != 200 || !at)
        fail_msg("%d, no metric %s", status, name);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    free(line);
    return value;
}

uint64_t lb_bed_event_ns(struct lb_bed *bed, const char *step, const char *server, size_t n)
{
    cJSON *tree = call_json(bed, "/cluster");
    const cJSON *event;
    uint64_t ns = 0;

    cJSON_ArrayForEach (event, json_get(tree, "events")) {
        if (strcmp(json_get_string(event, "step"), step) != 0 ||
            (server && strcmp(json_get_string(event, "server"), server) != 0) || n-- > 0)
            continue;
        ns = strtoull(json_get(event, "monotonic_ns")->valuestring, NULL, 10);
        break;
    }
    cJSON_Delete(tree);
    return ns;
}

bool lb_bed_event_says(struct lb_bed *bed, const char *step, const char *word)
{
    cJSON *tree = call_json(bed, "/cluster");
    const cJSON *event;
    bool says = false;

    cJSON_ArrayForEach (event, json_get(tree, "events")) {
        const char *detail = json_get_string(event, "detail");
        says |= strcmp(json_get_string(event, "step"), step) == 0 && detail &&
                strstr(detail, word) != NULL;
    }
    cJSON_Delete(tree);
    return says;
}
