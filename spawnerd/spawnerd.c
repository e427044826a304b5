/* The desk where the LB's orders come in, and the process around it. */
#include "spawnerd/spawnerd.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/spawner/docker_wire.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/name.h"
#include "spawnerd/fleet.h"
#include "spawnerd/words.h"

#define DRAIN_S 10.0
#define DRAIN_CHECK_S 0.01
#define MAX_GRACE_MS (UINT64_C(3600) * 1000)

struct spawnerd {
    struct spawnerd_config config;
    struct ev_loop *loop;
    struct fleet *fleet;
    int listen_fd;
    struct ev_io listener;
    struct docker_wire wire; /* to the one LB */
    bool draining;
};

/* ---- what the LB is told ------------------------------------------------------------------ */

static cJSON *say(const char *what)
{
    cJSON *line = cJSON_CreateObject();

    cJSON_AddStringToObject(line, "say", what);
    return line;
}

static void tell_started(void *context, uint64_t uid, const char *reference, const char *address,
                         int64_t pid)
{
    struct spawnerd *self = context;
    cJSON *line = say("started");

    log_info("spawner", "server %" PRIu64 " is %s %.12s at %s", uid,
             self->config.swarm ? "service" : "container", reference, address);
    json_add_uint64(line, "uid", uid);
    cJSON_AddStringToObject(line, "reference", reference);
    cJSON_AddStringToObject(line, "address", address);
    json_add_int64(line, "pid", pid);
    docker_wire_send(&self->wire, line);
}

static void tell_failed(void *context, uint64_t uid, const struct err *err)
{
    struct spawnerd *self = context;
    cJSON *line = say("failed");

    if (err->code != -ECANCELED)
        log_warn("spawner", "%s", err->message);
    json_add_uint64(line, "uid", uid);
    json_add_int64(line, "code", -err->code);
    cJSON_AddStringToObject(line, "why", err->message);
    docker_wire_send(&self->wire, line);
}

static void tell_exited(void *context, uint64_t uid, const char *why)
{
    struct spawnerd *self = context;
    cJSON *line = say("exited");

    log_info("spawner", "server %" PRIu64 " ended: %s", uid, why);
    json_add_uint64(line, "uid", uid);
    cJSON_AddStringToObject(line, "why", why);
    docker_wire_send(&self->wire, line);
}

static void tell_here(void *context, const char *reference, const char *name)
{
    struct spawnerd *self = context;
    cJSON *line = say("here");

    cJSON_AddStringToObject(line, "reference", reference);
    cJSON_AddStringToObject(line, "name", name);
    docker_wire_send(&self->wire, line);
}

static void tell_gone(void *context, const char *reference, const char *why)
{
    struct spawnerd *self = context;
    cJSON *line = say("gone");

    cJSON_AddStringToObject(line, "reference", reference);
    cJSON_AddStringToObject(line, "why", why);
    docker_wire_send(&self->wire, line);
}

static void tell_engine(void *context, bool answers, const char *why)
{
    struct spawnerd *self = context;
    cJSON *line = say(answers ? "ready" : "unready");

    if (answers)
        log_info("spawner", "the container engine answers at %s%s", self->config.engine_socket,
                 self->config.swarm ? ", a manager of a swarm" : "");
    else
        log_warn("spawner", "%s", why);
    cJSON_AddStringToObject(line, "why", why);
    docker_wire_send(&self->wire, line);
}

static const struct fleet_handler fleet_handler = {.on_started = tell_started,
                                                   .on_failed = tell_failed,
                                                   .on_exited = tell_exited,
                                                   .on_here = tell_here,
                                                   .on_gone = tell_gone,
                                                   .on_engine = tell_engine};

/* ---- what the LB orders ------------------------------------------------------------------- */

static int get_number(const cJSON *line, const char *key, uint64_t *ret_number, struct err *err)
{
    int64_t value;

    if (json_get_int64(line, key, &value) != 0 || value < 0)
        return err_set(err, -EINVAL, "\"%s\" is no number", key);
    *ret_number = (uint64_t)value;
    return 0;
}

static int get_groups(const cJSON *array, uint32_t *groups, size_t *ret_n, struct err *err)
{
    const cJSON *item;
    size_t n = 0;
    int64_t value;

    cJSON_ArrayForEach (item, array) {
        if (n == FLEET_MAX_GROUPS || json_int64(item, &value) != 0 || value < 0 ||
            value > UINT32_MAX)
            return err_set(err, -EINVAL, "the groups are too many, or one is no number");
        groups[n++] = (uint32_t)value;
    }
    *ret_n = n;
    return 0;
}

static int order_start(struct spawnerd *self, const cJSON *line, struct err *err)
{
    const char *words[WORDS_MAX + 1];
    uint32_t groups[FLEET_MAX_GROUPS];
    struct fleet_server server = {.words = words, .name = json_get_string(line, "name")};
    struct err refused = {0};

    if (!server.name || !name_valid(server.name))
        return err_set(err, -EINVAL, "a server cannot have that name");
    int rc = get_number(line, "uid", &server.uid, err);
    if (rc == 0)
        rc = get_number(line, "id", &server.id, err);
    if (rc == 0)
        rc = get_number(line, "data", &server.data, err);
    if (rc == 0)
        rc = words_read(json_get(line, "words"), words, err);
    if (rc == 0)
        rc = get_groups(json_get(line, "groups"), groups, &server.n_groups, err);
    if (rc != 0)
        return rc;
    server.groups = groups;
    server.data_is_new = cJSON_IsTrue(json_get(line, "new"));
    if (self->draining)
        rc = err_set(&refused, -ESHUTDOWN, "server %s: the spawner process is ending", server.name);
    else
        rc = fleet_start(self->fleet, &server, &refused);
    if (rc != 0)
        tell_failed(self, server.uid, &refused);
    return 0;
}

static int order_adopt(struct spawnerd *self, const cJSON *line, struct err *err)
{
    const char *reference = json_get_string(line, "reference");
    struct err refused = {0};
    uint64_t uid = 0;

    int rc = get_number(line, "uid", &uid, err);
    if (rc != 0)
        return rc;
    if (!reference)
        return err_set(err, -EINVAL, "no \"reference\"");
    if (fleet_adopt(self->fleet, uid, reference, &refused) != 0)
        tell_exited(self, uid, refused.message);
    return 0;
}

static int order_stop(struct spawnerd *self, const cJSON *line, struct err *err)
{
    uint64_t uid = 0, grace_ms = 0;

    int rc = get_number(line, "uid", &uid, err);
    if (rc == 0)
        rc = get_number(line, "grace_ms", &grace_ms, err);
    if (rc != 0)
        return rc;
    fleet_stop(self->fleet, uid, (grace_ms < MAX_GRACE_MS ? grace_ms : MAX_GRACE_MS) * NS_PER_MS);
    return 0;
}

static int order_remove_data(struct spawnerd *self, const cJSON *line, struct err *err)
{
    uint64_t data = 0;

    int rc = get_number(line, "data", &data, err);
    if (rc == 0)
        fleet_remove_data(self->fleet, data);
    return rc;
}

static int order_purge(struct spawnerd *self, const cJSON *line, struct err *err)
{
    (void)line;
    (void)err;
    fleet_purge(self->fleet);
    return 0;
}

static const struct order {
    const char *verb;
    int (*run)(struct spawnerd *self, const cJSON *line, struct err *err);
} orders[] = {
    {"start", order_start},
    {"adopt", order_adopt},
    {"stop", order_stop},
    {"purge", order_purge},
    {"remove_data", order_remove_data},
};

static void lose_lb(struct spawnerd *self, const char *why)
{
    log_info("spawner", "the load balancer went away: %s", why);
    docker_wire_close(&self->wire);
    fleet_abandon(self->fleet);
}

/* One that says what no LB of ours says is not listened to any further. */
static void on_line(void *context, const cJSON *line)
{
    struct spawnerd *self = context;
    const char *verb = json_get_string(line, "do");
    struct err err = {0};
    int rc = -EINVAL;

    for (size_t i = 0; verb && i < sizeof(orders) / sizeof(*orders); i++)
        if (strcmp(orders[i].verb, verb) == 0) {
            rc = orders[i].run(self, line, &err);
            if (rc == 0)
                return;
        }
    if (err.code == 0)
        err_set(&err, rc, "there is no such verb");
    cJSON *refusal = say("refused");
    cJSON_AddStringToObject(refusal, "why", err.message);
    docker_wire_send(&self->wire, refusal);
    lose_lb(self, err.message);
}

static void on_broken(void *context, const struct err *err)
{
    lose_lb(context, err->message);
}

/* ---- connections -------------------------------------------------------------------------- */

static void refuse(struct spawnerd *self, int fd)
{
    struct docker_wire wire;
    cJSON *line = say("refused");

    cJSON_AddStringToObject(line, "why", "another load balancer is connected");
    docker_wire_open(&wire, self->loop, fd, on_line, on_broken, self);
    docker_wire_send(&wire, line);
    docker_wire_close(&wire);
}

static void on_connection(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct spawnerd *self = watcher->data;
    int fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    /* One that has gone this very moment makes room. */
    if (docker_wire_is_open(&self->wire) && docker_wire_read(&self->wire)) {
        refuse(self, fd);
        return;
    }
    docker_wire_open(&self->wire, loop, fd, on_line, on_broken, self);
    cJSON *hello = say("hello");
    json_add_int64(hello, "protocol", DOCKER_WIRE_PROTOCOL);
    cJSON_AddStringToObject(hello, "cluster", self->config.cluster);
    cJSON_AddStringToObject(hello, "makes", self->config.swarm ? "services" : "containers");
    docker_wire_send(&self->wire, hello);
    const char *trouble = fleet_engine_trouble(self->fleet);
    if (!trouble)
        fleet_tell_here(self->fleet);
    cJSON *line = say(trouble ? "unready" : "ready");
    cJSON_AddStringToObject(line, "why", trouble ? trouble : "");
    docker_wire_send(&self->wire, line);
}

int spawnerd_open(const struct spawnerd_config *config, struct ev_loop *loop,
                  struct spawnerd **ret_spawnerd, struct err *err)
{
    int fd = docker_wire_listen(config->socket, err);

    if (fd < 0)
        return fd;
    struct spawnerd *self = mem_zalloc(1, sizeof(*self));
    self->config = *config;
    self->loop = loop;
    self->listen_fd = fd;
    struct fleet_config fleet = {.loop = loop,
                                 .engine_socket = config->engine_socket,
                                 .image = config->image,
                                 .network = config->network,
                                 .cluster = config->cluster,
                                 .prefix = config->prefix,
                                 .swarm = config->swarm,
                                 .node_label = config->node_label,
                                 .memory_bytes = config->memory_bytes,
                                 .n_pids = config->n_pids,
                                 .max_servers = config->max_servers};
    self->fleet = fleet_new(&fleet, &fleet_handler, self);
    ev_io_init(&self->listener, on_connection, fd, EV_READ);
    self->listener.data = self;
    ev_io_start(loop, &self->listener);
    *ret_spawnerd = self;
    return 0;
}

static void stop_listening(struct spawnerd *self)
{
    if (self->listen_fd < 0)
        return;
    ev_io_stop(self->loop, &self->listener);
    close(self->listen_fd);
    unlink(self->config.socket);
    self->listen_fd = -1;
}

void spawnerd_close(struct spawnerd *self)
{
    if (!self)
        return;
    stop_listening(self);
    docker_wire_close(&self->wire);
    fleet_free(self->fleet);
    free(self);
}

void spawnerd_drain(struct spawnerd *self)
{
    self->draining = true;
}

bool spawnerd_is_idle(const struct spawnerd *self)
{
    return fleet_n_leaving(self->fleet) == 0;
}

/* ---- the process -------------------------------------------------------------------------- */

struct process {
    struct spawnerd *spawnerd;
    struct ev_signal on_term, on_int;
    struct ev_timer check; /* while it drains */
    double until_s;
};

static void on_check(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct process *process = timer->data;

    (void)events;
    if (spawnerd_is_idle(process->spawnerd) || ev_now(loop) > process->until_s)
        ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    struct process *process = watcher->data;

    (void)events;
    if (ev_is_active(&process->check)) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    log_info("spawner", "told to end; servers that run stay");
    spawnerd_drain(process->spawnerd);
    process->until_s = ev_now(loop) + DRAIN_S;
    ev_timer_start(loop, &process->check);
}

int spawnerd_run(const struct spawnerd_config *config, struct err *err)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    struct process process = {0};

    signal(SIGPIPE, SIG_IGN);
    int rc = spawnerd_open(config, loop, &process.spawnerd, err);
    if (rc == 0) {
        ev_signal_init(&process.on_term, on_signal, SIGTERM);
        ev_signal_init(&process.on_int, on_signal, SIGINT);
        ev_timer_init(&process.check, on_check, 0., DRAIN_CHECK_S);
        process.on_term.data = process.on_int.data = process.check.data = &process;
        ev_signal_start(loop, &process.on_term);
        ev_signal_start(loop, &process.on_int);
        log_info("spawner", "listens on %s: cluster %s, image %s, network %s", config->socket,
                 config->cluster, config->image, config->network);
        ev_run(loop, 0);
        spawnerd_close(process.spawnerd);
    }
    ev_loop_destroy(loop);
    return rc;
}
