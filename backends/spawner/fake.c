/* fake: servers that exist only as records, for driving the control plane in tests: what a test
 * scripts (backends/spawner/fake.h) happens, on the loop, in the order and at the time it says.
 *
 * Nothing listens at a fake server's address unless the test puts something there: by default each
 * gets a loopback address of its own, at a port that refuses. */
#include "backends/spawner/fake.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/mem.h"

#define WHY_BYTES 128
#define REFERENCE_BYTES 64

struct fake_params {
    uint64_t refuse;
    uint64_t fail;
    uint64_t delay_ns;
    bool stubborn;
    const char *addr;
};

static const struct option_def fake_options[] = {
    {.name = "refuse",
     .type = OPTION_U64,
     .offset = offsetof(struct fake_params, refuse),
     .metavar = "N",
     .fallback = "0",
     .max = UINT32_MAX,
     .help = "refuse the first N starts outright"},
    {.name = "fail",
     .type = OPTION_U64,
     .offset = offsetof(struct fake_params, fail),
     .metavar = "N",
     .fallback = "0",
     .max = UINT32_MAX,
     .help = "let the next N starts fail after they were accepted"},
    {.name = "delay",
     .type = OPTION_DURATION,
     .offset = offsetof(struct fake_params, delay_ns),
     .metavar = "MS",
     .fallback = "0",
     .unit = "ms",
     .help = "time from a start to its outcome"},
    {.name = "stubborn",
     .type = OPTION_FLAG,
     .offset = offsetof(struct fake_params, stubborn),
     .help = "servers end only when the grace of a stop is over"},
    {.name = "addr",
     .type = OPTION_STRING,
     .offset = offsetof(struct fake_params, addr),
     .metavar = "HOST:PORT",
     .help = "where every server is said to listen; otherwise 127.64.x.y:1, one address each"},
    {.name = NULL},
};

struct fake_spawner {
    struct spawner base;
    LIST_ENTRY(fake_spawner) link;
    struct spawner_config config;
    const struct spawner_handler *handler;
    void *context;
    uint64_t delay_ns;
    bool has_addr;
    struct addr addr;
    int (*address)(void *, const struct spawner_request *, struct addr *);
    void *address_context;
    uint64_t n_refuse, n_fail;
    int refusal;
    bool held, stubborn;
    struct fake_call *calls;
    size_t n_calls;
};

enum fake_state { STARTING, RUNNING, ENDING };

struct fake_server {
    LIST_ENTRY(fake_server) link;
    struct fake_spawner *owner; /* NULL: an orphan */
    enum fake_state state;
    uint64_t serial; /* never used twice: what the reference names */
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1];
    struct addr addr;
    bool listened; /* on_started was called, or it was adopted */
    bool doomed;   /* this start is to fail */
    bool stopping;
    struct err failure; /* what on_failed will say */
    char why[WHY_BYTES];
    ev_timer timer;    /* the next step of its state */
    ev_timer deadline; /* STARTING: the start timeout */
};

static const struct spawner_ops fake_ops;
static LIST_HEAD(, fake_spawner) spawners = LIST_HEAD_INITIALIZER(spawners);
static LIST_HEAD(, fake_server) world = LIST_HEAD_INITIALIZER(world);
static uint64_t last_serial;

static struct fake_spawner *fake_spawner(struct spawner *spawner)
{
    assert(spawner->ops == &fake_ops);
    return (struct fake_spawner *)spawner;
}

/* The youngest comes first in the world. */
static struct fake_server *find_server(const struct fake_spawner *self, uint64_t uid)
{
    struct fake_server *server;

    LIST_FOREACH(server, &world, link)
    if (server->owner == self && server->uid == uid)
        return server;
    return NULL;
}

static void arm(struct ev_loop *loop, ev_timer *timer, uint64_t after_ns)
{
    ev_now_update(loop);
    ev_timer_stop(loop, timer);
    ev_timer_set(timer, (double)after_ns / 1e9, 0.);
    ev_timer_start(loop, timer);
}

static void disarm(struct fake_server *server)
{
    ev_timer_stop(server->owner->config.loop, &server->timer);
    ev_timer_stop(server->owner->config.loop, &server->deadline);
}

static void record(struct fake_spawner *self, const struct fake_call *call)
{
    if (self->n_calls < FAKE_MAX_CALLS)
        self->calls[self->n_calls++] = *call;
}

/* ---- what happens on the loop ------------------------------------------------------------ */

/* Nothing is touched after a handler was called: it may have closed the spawner. */
static void tell_started(struct fake_server *server)
{
    struct fake_spawner *self = server->owner;
    char name[sizeof(server->name)], reference[REFERENCE_BYTES];
    struct spawner_server told = {
        .uid = server->uid, .name = name, .addr = server->addr, .reference = reference};

    disarm(server);
    server->state = RUNNING;
    server->listened = true;
    memcpy(name, server->name, sizeof(name));
    snprintf(reference, sizeof(reference), "fake/%" PRIu64, server->serial);
    self->handler->on_started(self->context, &told);
}

static void tell_end(struct fake_server *server)
{
    struct fake_spawner *self = server->owner;
    struct fake_server ended = *server;

    disarm(server);
    LIST_REMOVE(server, link);
    free(server);
    if (ended.listened)
        self->handler->on_exit(self->context, ended.uid, ended.why);
    else
        self->handler->on_failed(self->context, ended.uid, &ended.failure);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct fake_server *server = watcher->data;

    (void)loop;
    (void)revents;
    if (server->state == ENDING || server->doomed)
        tell_end(server);
    else
        tell_started(server);
}

static void on_start_timeout(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct fake_server *server = watcher->data;

    (void)loop;
    (void)revents;
    err_set(&server->failure, -ETIMEDOUT, "server %s did not listen within %g s", server->name,
            (double)server->owner->config.start_timeout_ns / 1e9);
    tell_end(server);
}

/* Puts the end of a server on the loop, `after_ns` from now, unless it ends sooner already. */
static void end_within(struct fake_server *server, uint64_t after_ns, const char *why)
{
    struct ev_loop *loop = server->owner->config.loop;

    if (server->state == ENDING &&
        ev_timer_remaining(loop, &server->timer) <= (double)after_ns / 1e9)
        return;
    server->state = ENDING;
    snprintf(server->why, sizeof(server->why), "%s", why);
    ev_timer_stop(loop, &server->deadline);
    arm(loop, &server->timer, after_ns);
}

/* ---- the hooks --------------------------------------------------------------------------- */

static int choose_address(struct fake_spawner *self, const struct spawner_request *request,
                          uint64_t serial, struct addr *ret_addr)
{
    if (self->address)
        return self->address(self->address_context, request, ret_addr);
    if (self->has_addr) {
        *ret_addr = self->addr;
        return 0;
    }
    /* Port 1 of an address of its own: two fake servers are told apart, and a connection to one is
     * refused at once. */
    struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = htons(1),
        .sin_addr.s_addr = htonl(UINT32_C(0x7f400000) | (uint32_t)(serial & 0x3fffff)),
    };
    memset(ret_addr, 0, sizeof(*ret_addr));
    memcpy(&ret_addr->storage, &in, sizeof(in));
    ret_addr->len = sizeof(in);
    return 0;
}

static struct fake_server *make_server(struct fake_spawner *self,
                                       const struct spawner_request *request)
{
    struct fake_server *server = mem_zalloc(1, sizeof(*server));

    server->owner = self;
    server->uid = request->uid;
    snprintf(server->name, sizeof(server->name), "%s", request->name);
    ev_timer_init(&server->timer, on_timer, 0., 0.);
    ev_timer_init(&server->deadline, on_start_timeout, 0., 0.);
    server->timer.data = server->deadline.data = server;
    return server;
}

static int try_start(struct fake_spawner *self, const struct spawner_request *request,
                     struct err *err)
{
    struct addr addr;

    if (!name_valid(request->name))
        return err_set(err, -EINVAL, "a server cannot be named \"%s\"", request->name);
    if (find_server(self, request->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", request->uid);
    if (self->n_refuse > 0) {
        self->n_refuse--;
        return err_set_errno(err, self->refusal, "cannot start server %s", request->name);
    }
    int code = choose_address(self, request, last_serial + 1, &addr);
    if (code)
        return err_set_errno(err, code, "no address for server %s", request->name);

    struct fake_server *server = make_server(self, request);
    server->serial = ++last_serial;
    server->addr = addr;
    if (self->n_fail > 0) {
        self->n_fail--;
        server->doomed = true;
        err_set(&server->failure, -ECHILD, "server %s ended before it listened: as scripted",
                server->name);
    }
    LIST_INSERT_HEAD(&world, server, link);
    if (!self->held)
        arm(self->config.loop, &server->timer, self->delay_ns);
    if (self->config.start_timeout_ns > 0)
        arm(self->config.loop, &server->deadline, self->config.start_timeout_ns);
    return 0;
}

static int fake_start(struct spawner *spawner, const struct spawner_request *request,
                      struct err *err)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_call call = {.kind = FAKE_START, .uid = request->uid, .id = request->id};

    snprintf(call.name, sizeof(call.name), "%s", request->name);
    call.result = try_start(self, request, err);
    record(self, &call);
    return call.result;
}

static void fake_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_call call = {.kind = FAKE_STOP, .uid = uid, .grace_ns = grace_ns};
    struct fake_server *server = find_server(self, uid);

    record(self, &call);
    if (!server)
        return;
    server->stopping = true;
    if (!server->listened)
        err_set(&server->failure, -ECANCELED, "server %s was stopped before it listened",
                server->name);
    if (grace_ns == 0)
        end_within(server, 0, "killed by SIGKILL");
    else if (self->stubborn)
        end_within(server, grace_ns, "killed by SIGKILL");
    else
        end_within(server, 0, "exit status 0");
}

static int try_adopt(struct fake_spawner *self, const struct spawner_server *wanted,
                     struct err *err)
{
    struct fake_server *server;
    char reference[REFERENCE_BYTES];

    if (find_server(self, wanted->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", wanted->uid);
    LIST_FOREACH(server, &world, link)
    {
        snprintf(reference, sizeof(reference), "fake/%" PRIu64, server->serial);
        if (strcmp(reference, wanted->reference) == 0)
            break;
    }
    if (!server)
        return err_set(err, -ESRCH, "server %s is gone", wanted->name);
    if (server->owner)
        return err_set(err, -EBUSY, "server %s belongs to another spawner", wanted->name);
    server->owner = self;
    server->uid = wanted->uid;
    return 0;
}

static int fake_adopt(struct spawner *spawner, const struct spawner_server *server, struct err *err)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_call call = {.kind = FAKE_ADOPT, .uid = server->uid};

    snprintf(call.name, sizeof(call.name), "%s", server->name);
    call.result = try_adopt(self, server, err);
    record(self, &call);
    return call.result;
}

/* Servers that listen stay in the world; one that has not come so far is known to nobody, and one
 * that was ending has ended. */
static void fake_close(struct spawner *spawner)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_server *server = LIST_FIRST(&world), *next;

    for (; server; server = next) {
        next = LIST_NEXT(server, link);
        if (server->owner != self)
            continue;
        disarm(server);
        if (server->state == RUNNING) {
            server->owner = NULL;
        } else {
            LIST_REMOVE(server, link);
            free(server);
        }
    }
    LIST_REMOVE(self, link);
    free(self->calls);
    free(self);
}

static int fake_open(const void *params, const struct spawner_config *config,
                     const struct spawner_handler *handler, void *context,
                     struct spawner **ret_spawner, struct err *err)
{
    const struct fake_params *options = params;
    struct addr addr = {0};

    if (options->addr) {
        int code = addr_parse(options->addr, &addr, err);
        if (code) {
            err_prefix(err, "spawner fake: addr");
            return code;
        }
    }
    struct fake_spawner *self = mem_zalloc(1, sizeof(*self));
    self->base.ops = &fake_ops;
    self->config = *config;
    self->handler = handler;
    self->context = context;
    self->delay_ns = options->delay_ns;
    self->has_addr = options->addr != NULL;
    self->addr = addr;
    self->n_refuse = options->refuse;
    self->refusal = -EAGAIN;
    self->n_fail = options->fail;
    self->stubborn = options->stubborn;
    self->calls = mem_zalloc(FAKE_MAX_CALLS, sizeof(*self->calls));
    LIST_INSERT_HEAD(&spawners, self, link);
    *ret_spawner = &self->base;
    return 0;
}

static const struct spawner_ops fake_ops = {
    .part = {.name = "fake",
             .summary = "no servers at all, but a script of what they do: for tests",
             .source = "backends/spawner/fake.h",
             .options = fake_options,
             .params_size = sizeof(struct fake_params)},
    .open = fake_open,
    .close = fake_close,
    .start = fake_start,
    .stop = fake_stop,
    .adopt = fake_adopt,
};

SPAWNER_REGISTER(fake_ops);

/* ---- the script (backends/spawner/fake.h) ------------------------------------------------- */

struct spawner *fake_spawner_latest(void)
{
    struct fake_spawner *self = LIST_FIRST(&spawners);

    return self ? &self->base : NULL;
}

void fake_spawner_refuse_next(struct spawner *spawner, unsigned n, int code)
{
    struct fake_spawner *self = fake_spawner(spawner);

    assert(code < 0);
    self->n_refuse = n;
    self->refusal = code;
}

void fake_spawner_fail_next(struct spawner *spawner, unsigned n)
{
    fake_spawner(spawner)->n_fail = n;
}

void fake_spawner_hold(struct spawner *spawner, bool held)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_server *server;

    self->held = held;
    LIST_FOREACH(server, &world, link)
    {
        if (server->owner != self || server->state != STARTING)
            continue;
        if (held)
            ev_timer_stop(self->config.loop, &server->timer);
        else if (!ev_is_active(&server->timer))
            arm(self->config.loop, &server->timer, self->delay_ns);
    }
}

void fake_spawner_set_stubborn(struct spawner *spawner, bool stubborn)
{
    fake_spawner(spawner)->stubborn = stubborn;
}

void fake_spawner_set_address(struct spawner *spawner,
                              int (*address)(void *context, const struct spawner_request *request,
                                             struct addr *ret_addr),
                              void *context)
{
    struct fake_spawner *self = fake_spawner(spawner);

    self->address = address;
    self->address_context = context;
}

int fake_spawner_exit(struct spawner *spawner, uint64_t uid, const char *why)
{
    struct fake_server *server = find_server(fake_spawner(spawner), uid);

    if (!server)
        return -ESRCH;
    if (!server->listened && !server->stopping)
        err_set(&server->failure, -ECHILD, "server %s ended before it listened: %s", server->name,
                why);
    end_within(server, 0, why);
    return 0;
}

int fake_spawner_find(struct spawner *spawner, const char *name, uint64_t *ret_uid)
{
    struct fake_spawner *self = fake_spawner(spawner);
    struct fake_server *server;

    LIST_FOREACH(server, &world, link)
    {
        if (server->owner == self && strcmp(server->name, name) == 0) {
            *ret_uid = server->uid;
            return 0;
        }
    }
    return -ESRCH;
}

static size_t count_running(const struct fake_spawner *owner)
{
    struct fake_server *server;
    size_t n = 0;

    LIST_FOREACH(server, &world, link)
    n += server->owner == owner && server->state == RUNNING;
    return n;
}

size_t fake_spawner_count(struct spawner *spawner)
{
    return count_running(fake_spawner(spawner));
}

size_t fake_world_n_orphans(void)
{
    return count_running(NULL);
}

void fake_world_end_orphans(void)
{
    struct fake_server *server = LIST_FIRST(&world), *next;

    for (; server; server = next) {
        next = LIST_NEXT(server, link);
        if (!server->owner) {
            LIST_REMOVE(server, link);
            free(server);
        }
    }
}

const struct fake_call *fake_spawner_calls(struct spawner *spawner, size_t *ret_n)
{
    struct fake_spawner *self = fake_spawner(spawner);

    *ret_n = self->n_calls;
    return self->calls;
}
