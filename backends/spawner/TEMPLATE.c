/* TEMPLATE: copy to backends/spawner/NAME.c, rename, fill in. Nothing else needs to be edited: the
 * Makefile finds the file, the macro at its end puts it in the registry, and the contract suite
 * (tests/contract/spawner_contract_test.c) runs over it; if it needs preparation there (a folder,
 * an engine), add a row to that file's table of fixtures. This file is compiled by `make lint` but
 * never linked.
 *
 * Start the comment with what a server is here (a process, a container, a machine), and how its end
 * is learned of. What follows keeps the contract with an engine that answers at once; a real one
 * replaces the timer by its own watchers. Three things are easy to get wrong:
 *   - no callback inside the call that caused it, not even on an error found at once;
 *   - a handler may call any hook, close() too: touch nothing after it returns;
 *   - nothing blocks: no DNS, no wait for the engine's answer (law 2). */
#include "backends/spawner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/mem.h"
#include "core/name.h"

/* Options: one field each, filled by the table below before open(). Without options leave out the
 * struct, the table, and .options and .params_size; params is then NULL. */
struct template_params {
    uint64_t boot_ns;
};

static const struct option_def template_options[] = {
    {.name = "boot", /* as in --spawner template:boot=5ms */
     .type = OPTION_DURATION,
     .offset = offsetof(struct template_params, boot_ns),
     .metavar = "MS",
     .fallback = "1ms",
     .unit = "ms",
     .help = "how long a server takes to listen"},
    {.name = NULL},
};

struct template_spawner {
    struct spawner base; /* first member */
    struct template_params params;
    struct spawner_config config;
    const struct spawner_handler *handler;
    void *context;
    LIST_HEAD(, template_server) servers;
};

struct template_server {
    LIST_ENTRY(template_server) link;
    struct template_spawner *spawner;
    enum { STARTING, RUNNING, ENDING } state;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1]; /* a copy: the request is borrowed */
    bool listened;
    ev_timer engine; /* stands for the watcher of a socket, a pidfd, an event stream */
};

/* Something happened to a server. */
static void on_engine(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct template_server *server = watcher->data;
    struct template_spawner *self = server->spawner;
    uint64_t uid = server->uid;
    struct err err;

    (void)loop;
    (void)revents;
    if (server->state == STARTING) {
        /* It listens: say where. The reference is whatever adopt() needs to find this very server
         * again and to know it from a later one in its place: an id that is never used twice. */
        struct spawner_server told = {.uid = uid, .name = server->name, .reference = "template/1"};
        server->state = RUNNING;
        server->listened = true;
        addr_parse("127.0.0.1:1", &told.addr, NULL);
        self->handler->on_started(self->context, &told);
        return;
    }
    /* It has ended: forget it, then tell, and touch nothing any more. */
    bool listened = server->listened;
    err_set(&err, -ECANCELED, "server %s was stopped before it listened", server->name);
    LIST_REMOVE(server, link);
    free(server);
    if (listened)
        self->handler->on_exit(self->context, uid, "exit status 0");
    else
        self->handler->on_failed(self->context, uid, &err);
}

static struct template_server *template_find(struct template_spawner *self, uint64_t uid)
{
    struct template_server *server;

    LIST_FOREACH(server, &self->servers, link)
    if (server->uid == uid)
        return server;
    return NULL;
}

/* Required hook `start`: check, begin, return. Refuse with a negative errno and its reason what can
 * be refused now (no descriptor left, no such program, the engine is away): then no callback comes
 * and nothing is left. What fails later goes to on_failed, after nothing is left of it. Hand
 * config.orphan_after_ns and config.server_args to the server, put config.start_timeout_ns (0:
 * none) on the loop. */
static int template_start(struct spawner *spawner, const struct spawner_request *request,
                          struct err *err)
{
    struct template_spawner *self = (struct template_spawner *)spawner;

    if (!name_valid(request->name))
        return err_set(err, -EINVAL, "a server cannot be named \"%s\"", request->name);
    if (template_find(self, request->uid))
        return err_set(err, -EEXIST, "server %s: its uid is taken", request->name);

    struct template_server *server = mem_zalloc(1, sizeof(*server));
    server->spawner = self;
    server->uid = request->uid;
    snprintf(server->name, sizeof(server->name), "%s", request->name);
    ev_timer_init(&server->engine, on_engine, (double)self->params.boot_ns / 1e9, 0.);
    server->engine.data = server;
    ev_timer_start(self->config.loop, &server->engine);
    LIST_INSERT_HEAD(&self->servers, server, link);
    return 0;
}

/* Required hook `stop`: ask it to end, kill it after grace_ns (0: at once). Unknown uids are no
 * error. A second call may bring the killing nearer, never put it off. A server that was starting
 * is not told as started any more, but as failed with -ECANCELED. */
static void template_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns)
{
    struct template_spawner *self = (struct template_spawner *)spawner;
    struct template_server *server = template_find(self, uid);

    (void)grace_ns; /* this engine ends its servers at once */
    if (!server)
        return;
    server->state = ENDING;
    ev_timer_stop(self->config.loop, &server->engine);
    ev_timer_set(&server->engine, 0., 0.); /* 0: on the next turn, not now */
    ev_timer_start(self->config.loop, &server->engine);
}

/* Required hook `adopt`: a restarted LB has read `server` from its state file. Find the server by
 * its reference, be sure that it is the same one and that it lives, and watch it under server->uid.
 * -ESRCH: it is gone, and the caller replaces it; any other error says that it could not be told.
 * If the engine has to be asked first, take it and tell on_exit later when it turns out to be gone.
 */
static int template_adopt(struct spawner *spawner, const struct spawner_server *server,
                          struct err *err)
{
    (void)spawner;
    return err_set(err, -ESRCH, "server %s is gone: a template's servers end with it",
                   server->name);
}

/* Required hook `close`: free everything, stop nothing that runs, call nobody. */
static void template_close(struct spawner *spawner)
{
    struct template_spawner *self = (struct template_spawner *)spawner;

    while (!LIST_EMPTY(&self->servers)) {
        struct template_server *server = LIST_FIRST(&self->servers);
        ev_timer_stop(self->config.loop, &server->engine);
        LIST_REMOVE(server, link);
        free(server);
    }
    free(self);
}

static int template_open(const void *params, const struct spawner_config *config,
                         const struct spawner_handler *handler, void *context,
                         struct spawner **ret_spawner, struct err *err);

static const struct spawner_ops template_spawner = {
    .part = {.name = "template",
             .summary = "one line for --help and `quoit lb --spawner` lists",
             .source = "the manual of the engine it drives",
             .options = template_options,
             .params_size = sizeof(struct template_params)},
    .open = template_open,
    .close = template_close,
    .start = template_start,
    .stop = template_stop,
    .adopt = template_adopt,
};

/* Required hook `open`: params are parsed, config is copied (its pointers stay valid until close),
 * handler and context are kept. Fails when the engine cannot be had at all; starts no server. */
static int template_open(const void *params, const struct spawner_config *config,
                         const struct spawner_handler *handler, void *context,
                         struct spawner **ret_spawner, struct err *err)
{
    struct template_spawner *self = mem_zalloc(1, sizeof(*self));

    (void)err;
    self->base.ops = &template_spawner;
    self->params = *(const struct template_params *)params;
    self->config = *config;
    self->handler = handler;
    self->context = context;
    LIST_INIT(&self->servers);
    *ret_spawner = &self->base;
    return 0;
}

SPAWNER_REGISTER(template_spawner);
