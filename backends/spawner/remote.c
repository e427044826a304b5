/* A server is made by the process `quoit spawner` (spawnerd/), which alone holds the engine's
 * socket; why, says spawnerd/spawnerd.h.
 *
 *   start ──▶ {"do":"start"} ──▶ STARTING ── {"say":"started"} ──▶ RUNNING ── "exited", "gone" ──▶
 *                                   │ stop, timeout
 *                                   ▼
 *                                FAILING ── {"say":"failed"} ──▶ on_failed
 *
 * open() connects and waits until it has been told which servers run already, so that adopt() needs
 * to ask nobody. When the spawner process goes away, what was starting has failed (the process
 * takes it back, or the next one does), and what runs goes on running: the LB's heartbeats watch it
 * until the process is back, and is told again who belongs to us. */
#include "backends/spawner/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "backends/spawner/docker_wire.h"
#include "backends/spawner/remote_orders.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"

#define RECONNECT_MIN_S 0.02
#define RECONNECT_MAX_S 0.5
#define KNOCK_MS 20

const struct option_def remote_options[] = {
    {.name = "socket",
     .type = OPTION_STRING,
     .offset = offsetof(struct remote_params, socket),
     .metavar = "PATH",
     .help =
         "where `quoit spawner` listens (default: $QUOIT_SPAWNER, else " DOCKER_WIRE_DEFAULT_SOCKET
         ")"},
    {.name = "wait",
     .type = OPTION_DURATION,
     .offset = offsetof(struct remote_params, wait_ns),
     .metavar = "S",
     .fallback = "15s",
     .unit = "s",
     .help = "how long to wait for it, and for its engine, at the beginning"},
    {.name = "start-timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct remote_params, start_timeout_ns),
     .metavar = "S",
     .fallback = "60s",
     .unit = "s",
     .help = "how long a container may take until it listens"},
    {.name = NULL},
};

enum remote_state { STARTING, RUNNING, FAILING };

struct remote_server {
    LIST_ENTRY(remote_server) link;
    struct remote_spawner *spawner;
    enum remote_state state;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1];
    char reference[DOCKER_REFERENCE_BYTES];
    bool stopped; /* its end was asked for, with the shortest grace so far */
    uint64_t grace_ns;
    bool lost;          /* the connection broke while it was starting */
    struct err failure; /* FAILING: what on_failed says */
    ev_timer deadline;  /* of the start */
};

/* A container that runs and is nobody's yet, as the spawner process tells. */
struct remote_here {
    LIST_ENTRY(remote_here) link;
    char reference[DOCKER_REFERENCE_BYTES];
};

struct remote_spawner {
    struct spawner base;
    struct remote_params params;
    const char *makes; /* what the process must make */
    bool is_other;     /* and does not */
    char *socket;
    struct spawner_config config;
    const struct spawner_handler *handler;
    void *context;
    struct docker_wire wire;
    bool greeted, ready, was_ready;  /* of this connection; of any */
    char trouble[ERR_MESSAGE_BYTES]; /* why it is not ready */
    LIST_HEAD(, remote_server) servers;
    LIST_HEAD(, remote_here) heres;
    ev_timer reconnect;
    double reconnect_s;
    ev_timer reap; /* tells the ends of those that were lost with the connection */
};

static struct remote_spawner *remote_spawner(struct spawner *spawner)
{
    return (struct remote_spawner *)spawner;
}

static struct remote_server *find_server(struct remote_spawner *self, uint64_t uid)
{
    struct remote_server *server;

    LIST_FOREACH(server, &self->servers, link)
    if (server->uid == uid)
        return server;
    return NULL;
}

static struct remote_here *find_here(struct remote_spawner *self, const char *reference)
{
    struct remote_here *here;

    LIST_FOREACH(here, &self->heres, link)
    if (strcmp(here->reference, reference) == 0)
        return here;
    return NULL;
}

static void forget_server(struct remote_server *server)
{
    ev_timer_stop(server->spawner->config.loop, &server->deadline);
    LIST_REMOVE(server, link);
    free(server);
}

static void forget_here(struct remote_here *here)
{
    LIST_REMOVE(here, link);
    free(here);
}

static void forget_heres(struct remote_spawner *self)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see LIST_REMOVE. */
    while (!LIST_EMPTY(&self->heres))
        forget_here(LIST_FIRST(&self->heres));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

/* Forgets it and tells its end; self may be gone afterwards. */
static void tell_end(struct remote_server *server, const struct err *failure, const char *why)
{
    struct remote_spawner *self = server->spawner;
    uint64_t uid = server->uid;
    bool ran = server->state == RUNNING;
    struct err told = server->state == FAILING ? server->failure : *failure;

    forget_server(server);
    if (ran)
        self->handler->on_exit(self->context, uid, why);
    else
        self->handler->on_failed(self->context, uid, &told);
}

/* ---- processes ---------------------------------------------------------------------------- */

/* The machine's number of a container's process is ours too where we are no container ourselves:
 * then the process of that number says of itself that it is in this very container. Else 0. */
static long our_pid(int64_t pid, const char *reference)
{
    char path[64], line[512];
    long ours = 0;

    if (pid <= 0 || pid > INT_MAX || !reference[0])
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (!ours && fgets(line, sizeof(line), file))
        if (strstr(line, reference))
            ours = (long)pid;
    fclose(file);
    return ours;
}

/* ---- what the spawner process says -------------------------------------------------------- */

static void on_started(struct remote_spawner *self, struct remote_server *server, const cJSON *line)
{
    const char *reference = json_get_string(line, "reference");
    const char *address = json_get_string(line, "address");
    struct spawner_server told = {.uid = server->uid};
    char name[NAME_MAX_BYTES + 1], text[DOCKER_REFERENCE_BYTES];

    if (!reference || !address || strlen(reference) >= sizeof(server->reference) ||
        addr_parse(address, &told.addr, NULL))
        return; /* the deadline ends it */
    snprintf(server->reference, sizeof(server->reference), "%s", reference);
    if (server->state == FAILING) /* our stop crossed it: its end is told as a failure */
        return;
    int64_t pid = 0;
    json_get_int64(line, "pid", &pid);
    told.pid = our_pid(pid, server->reference);
    server->state = RUNNING;
    ev_timer_stop(self->config.loop, &server->deadline);
    memcpy(name, server->name, sizeof(name));
    memcpy(text, server->reference, sizeof(text));
    told.name = name;
    told.reference = text;
    self->handler->on_started(self->context, &told);
}

static void on_ended(struct remote_server *server, const cJSON *line)
{
    const char *why = json_get_string(line, "why");
    struct err failure = {0};
    int64_t code = 0;

    json_get_int64(line, "code", &code);
    err_set(&failure, code > 0 && code < 4096 ? -(int)code : -ECHILD, "%s",
            why ? why : "no reason was told");
    tell_end(server, &failure, why ? why : "ended");
}

static void on_here(struct remote_spawner *self, const cJSON *line)
{
    const char *reference = json_get_string(line, "reference");

    if (!reference || strlen(reference) >= DOCKER_REFERENCE_BYTES || find_here(self, reference))
        return;
    struct remote_here *here = mem_zalloc(1, sizeof(*here));
    snprintf(here->reference, sizeof(here->reference), "%s", reference);
    LIST_INSERT_HEAD(&self->heres, here, link);
}

static void on_gone(struct remote_spawner *self, const cJSON *line)
{
    const char *reference = json_get_string(line, "reference");
    struct remote_here *here = reference ? find_here(self, reference) : NULL;

    if (here)
        forget_here(here);
}

/* It has named all that run. Those of ours are ours again, the others are nobody's: of a start that
 * failed with the connection. */
static void resume(struct remote_spawner *self)
{
    struct remote_server *server;

    LIST_FOREACH(server, &self->servers, link)
    {
        struct remote_here *here =
            server->state == RUNNING ? find_here(self, server->reference) : NULL;
        if (here)
            forget_here(here);
        if (server->state == RUNNING)
            remote_order_adopt(&self->wire, server->uid,
                               server->reference); /* one that is gone is answered so */
        if (server->state == RUNNING && server->stopped)
            remote_order_stop(&self->wire, server->uid, server->grace_ns);
    }
    remote_order_purge(&self->wire);
}

static void on_ready(struct remote_spawner *self)
{
    bool again = self->was_ready && !self->ready;

    self->ready = self->was_ready = true;
    self->reconnect_s = RECONNECT_MIN_S;
    if (again && !self->greeted)
        resume(self);
    self->greeted = true;
}

static void set_trouble(struct remote_spawner *self, const char *why)
{
    self->ready = false;
    snprintf(self->trouble, sizeof(self->trouble), "%s", why ? why : "no reason was told");
}

/* A spawner process that makes something else than we want is not used. */
static void on_hello(struct remote_spawner *self, const cJSON *line)
{
    const char *makes = json_get_string(line, "makes");

    if (!makes)
        makes = "containers"; /* of before there were services */
    self->is_other = strcmp(makes, self->makes) != 0;
    if (!self->is_other)
        return;
    self->ready = false;
    snprintf(self->trouble, sizeof(self->trouble),
             "the spawner process there makes %s, and %s are wanted (--swarm makes services)",
             makes, self->makes);
}

static void on_line(void *context, const cJSON *line)
{
    struct remote_spawner *self = context;
    const char *said = json_get_string(line, "say");
    int64_t uid = -1;
    struct remote_server *server =
        json_get_int64(line, "uid", &uid) == 0 ? find_server(self, (uint64_t)uid) : NULL;

    if (!said || self->is_other)
        return;
    if (strcmp(said, "hello") == 0)
        on_hello(self, line);
    else if (strcmp(said, "started") == 0 && server)
        on_started(self, server, line);
    else if ((strcmp(said, "failed") == 0 || strcmp(said, "exited") == 0) && server)
        on_ended(server, line);
    else if (strcmp(said, "here") == 0)
        on_here(self, line);
    else if (strcmp(said, "gone") == 0)
        on_gone(self, line);
    else if (strcmp(said, "ready") == 0)
        on_ready(self);
    else if (strcmp(said, "unready") == 0 || strcmp(said, "refused") == 0)
        set_trouble(self, json_get_string(line, "why"));
}

/* ---- the connection ----------------------------------------------------------------------- */

static void schedule_reconnect(struct remote_spawner *self)
{
    ev_timer_stop(self->config.loop, &self->reconnect);
    ev_timer_set(&self->reconnect, self->reconnect_s, 0.);
    ev_timer_start(self->config.loop, &self->reconnect);
    self->reconnect_s *= 2;
    if (self->reconnect_s > RECONNECT_MAX_S)
        self->reconnect_s = RECONNECT_MAX_S;
}

/* What was starting has failed. One a turn, since a handler may change the list and close us. */
static void on_reap(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct remote_spawner *self = timer->data;
    struct remote_server *server;
    struct err failure;

    (void)loop;
    (void)events;
    LIST_FOREACH(server, &self->servers, link)
    if (server->lost)
        break;
    if (!server)
        return;
    ev_timer_set(&self->reap, 0., 0.);
    ev_timer_start(self->config.loop, &self->reap);
    err_set(&failure, -ECONNRESET, "server %s: the spawner process went away", server->name);
    tell_end(server, &failure, failure.message);
}

static void on_broken(void *context, const struct err *err)
{
    struct remote_spawner *self = context;
    struct remote_server *server;

    self->greeted = false;
    if (self->ready || !self->trouble[0])
        set_trouble(self, err->message);
    forget_heres(self);
    if (!self->was_ready)
        return; /* open() sees to it */
    schedule_reconnect(self);
    LIST_FOREACH(server, &self->servers, link)
    server->lost = server->state != RUNNING;
    if (!ev_is_active(&self->reap)) {
        ev_timer_set(&self->reap, 0., 0.);
        ev_timer_start(self->config.loop, &self->reap);
    }
}

static int connect_now(struct remote_spawner *self, struct err *err)
{
    int fd = docker_wire_connect(self->socket, err);

    if (fd < 0)
        return fd;
    self->greeted = self->ready = self->is_other = false;
    self->trouble[0] = '\0';
    docker_wire_open(&self->wire, self->config.loop, fd, on_line, on_broken, self);
    return 0;
}

static void on_reconnect(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct remote_spawner *self = timer->data;
    struct err err = {0};

    (void)loop;
    (void)events;
    if (connect_now(self, &err) != 0) {
        set_trouble(self, err.message);
        schedule_reconnect(self);
    }
}

/* Until the spawner process has named what runs. This is before the loop does anything. */
static int wait_until_ready(struct remote_spawner *self, struct err *err)
{
    uint64_t until_ns = clock_now_ns() + self->params.wait_ns;
    const struct timespec knock = {.tv_nsec = KNOCK_MS * 1000000L};
    struct err last = {0};

    for (;;) {
        if (!docker_wire_is_open(&self->wire))
            connect_now(self, &last);
        if (docker_wire_is_open(&self->wire)) {
            struct pollfd wire = {.fd = self->wire.fd, .events = POLLIN};
            poll(&wire, 1, KNOCK_MS);
            docker_wire_read(&self->wire);
        } else {
            nanosleep(&knock, NULL);
        }
        if (self->ready)
            return 0;
        if (self->trouble[0])
            err_set(&last, -EHOSTDOWN, "%s", self->trouble);
        if (clock_now_ns() >= until_ns)
            break;
    }
    return err_set(err, last.code ? last.code : -ETIMEDOUT,
                   "no spawner process that works at %s after %g s: %s", self->socket,
                   (double)self->params.wait_ns / 1e9,
                   last.code ? last.message : "it says nothing");
}

/* ---- hooks -------------------------------------------------------------------------------- */

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct remote_server *server = timer->data;
    struct remote_spawner *self = server->spawner;

    (void)loop;
    (void)events;
    server->state = FAILING;
    err_set(&server->failure, -ETIMEDOUT, "server %s did not listen within %g s", server->name,
            (double)self->config.start_timeout_ns / 1e9);
    server->grace_ns = 0;
    remote_order_stop(&self->wire, server->uid, server->grace_ns);
}

static struct remote_server *add_server(struct remote_spawner *self, uint64_t uid, const char *name)
{
    struct remote_server *server = mem_zalloc(1, sizeof(*server));

    server->spawner = self;
    server->uid = uid;
    snprintf(server->name, sizeof(server->name), "%s", name);
    ev_timer_init(&server->deadline, on_deadline, (double)self->config.start_timeout_ns / 1e9, 0.);
    server->deadline.data = server;
    LIST_INSERT_HEAD(&self->servers, server, link);
    return server;
}

int remote_start(struct spawner *spawner, const struct spawner_request *request, struct err *err)
{
    struct remote_spawner *self = remote_spawner(spawner);

    if (!name_valid(request->name))
        return err_set(err, -EINVAL, "a server cannot be named \"%s\"", request->name);
    if (find_server(self, request->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", request->uid);
    if (request->uid > INT64_MAX || request->id > INT64_MAX || request->data_id > INT64_MAX)
        return err_set(err, -EINVAL, "server %s: a number past int64", request->name);
    if (!docker_wire_is_open(&self->wire) || !self->ready)
        return err_set(err, -EHOSTDOWN, "server %s cannot be started: %s", request->name,
                       self->trouble[0] ? self->trouble : "the spawner process is not ready");
    struct remote_server *server = add_server(self, request->uid, request->name);
    server->state = STARTING;
    if (self->config.start_timeout_ns > 0) {
        ev_now_update(self->config.loop);
        ev_timer_start(self->config.loop, &server->deadline);
    }
    remote_order_start(&self->wire, request, &self->config);
    return 0;
}

void remote_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns)
{
    struct remote_spawner *self = remote_spawner(spawner);
    struct remote_server *server = find_server(self, uid);

    if (!server || (server->stopped && grace_ns >= server->grace_ns))
        return;
    server->stopped = true;
    server->grace_ns = grace_ns;
    if (server->state == STARTING) {
        server->state = FAILING;
        err_set(&server->failure, -ECANCELED, "server %s was stopped before it listened",
                server->name);
    }
    remote_order_stop(&self->wire, server->uid,
                      server->grace_ns); /* away: said again when it is back */
}

int remote_adopt(struct spawner *spawner, const struct spawner_server *found, struct err *err)
{
    struct remote_spawner *self = remote_spawner(spawner);
    struct remote_here *here = find_here(self, found->reference);

    if (find_server(self, found->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", found->uid);
    if (!self->ready)
        return err_set(err, -EHOSTDOWN, "cannot tell whether server %s runs: %s", found->name,
                       self->trouble);
    if (!here)
        return err_set(err, -ESRCH, "server %s (container %.12s) is gone", found->name,
                       found->reference);
    struct remote_server *server = add_server(self, found->uid, found->name);
    server->state = RUNNING;
    snprintf(server->reference, sizeof(server->reference), "%s", here->reference);
    forget_here(here);
    remote_order_adopt(&self->wire, server->uid, server->reference);
    return 0;
}

void remote_remove_data(struct spawner *spawner, uint64_t data_id)
{
    remote_order_remove_data(&remote_spawner(spawner)->wire, data_id);
}

void remote_close(struct spawner *spawner)
{
    struct remote_spawner *self = remote_spawner(spawner);

    docker_wire_close(&self->wire);
    ev_timer_stop(self->config.loop, &self->reconnect);
    ev_timer_stop(self->config.loop, &self->reap);
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see LIST_REMOVE. */
    while (!LIST_EMPTY(&self->servers))
        forget_server(LIST_FIRST(&self->servers));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    forget_heres(self);
    free(self->socket);
    free(self);
}

/* So that an experiment can say `docker` whatever socket it runs with (tools/with-spawner). */
static const char *socket_path(const struct remote_params *params)
{
    const char *given = getenv("QUOIT_SPAWNER");

    if (params->socket)
        return params->socket;
    return given && *given ? given : DOCKER_WIRE_DEFAULT_SOCKET;
}

int remote_open(const struct spawner_ops *ops, const char *makes, const void *params,
                const struct spawner_config *config, const struct spawner_handler *handler,
                void *context, struct spawner **ret_spawner, struct err *err)
{
    struct remote_spawner *self = mem_zalloc(1, sizeof(*self));

    self->base.ops = ops;
    self->makes = makes;
    self->params = *(const struct remote_params *)params;
    self->socket = mem_strdup(socket_path(&self->params));
    self->config = *config;
    if (self->config.start_timeout_ns > 0)
        self->config.start_timeout_ns = self->params.start_timeout_ns;
    self->handler = handler;
    self->context = context;
    self->reconnect_s = RECONNECT_MIN_S;
    LIST_INIT(&self->servers);
    LIST_INIT(&self->heres);
    ev_init(&self->reconnect, on_reconnect);
    ev_init(&self->reap, on_reap);
    self->reconnect.data = self->reap.data = self;
    int rc = wait_until_ready(self, err);
    if (rc != 0) {
        remote_close(&self->base);
        return rc;
    }
    *ret_spawner = &self->base;
    return 0;
}
