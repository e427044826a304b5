#include "spawnerd/container.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"

/* The engine takes its time for making and removing under load, and never this long. */
#define CALL_TIMEOUT_NS (60 * NS_PER_S)
#define MAX_RENAMES 3
#define MAX_OUTPUT_BYTES 65536
#define FRAME_HEAD_BYTES 8
#define RETRY_MIN_S 0.05
#define RETRY_MAX_S 2.0
/* Tries of a removal until it is worth a line in the log. */
#define LOUD_TRIES 5
/* Tries to empty a volume that is in use: the engine lets go of it some moments after its
 * container. */
#define CLEAR_TRIES 4

static void attach(struct container *container);
static void clear(struct container *container);
static void create(struct container *container);
static void remove_now(struct container *container);

/* ---- the end ------------------------------------------------------------------------------ */

void container_free(struct container *container)
{
    struct fleet *fleet = container->fleet;

    engine_cancel(container->call);
    engine_cancel(container->output);
    ev_timer_stop(fleet->config.loop, &container->timer);
    TAILQ_REMOVE(&fleet->containers, container, link);
    buf_done(&container->frames);
    buf_done(&container->said);
    for (size_t i = 0; container->words && container->words[i]; i++)
        free(container->words[i]);
    free(container->words);
    free(container);
}

/* Tells its end to whoever has to know, once. */
static void tell_end(struct container *container, const char *why)
{
    struct fleet *fleet = container->fleet;
    enum container_owner owner = container->owner;

    container->owner = OWNER_NONE;
    if (owner == OWNER_RUNS)
        fleet->handler->on_exited(fleet->context, container->uid, why);
    if (owner == OWNER_STARTS) {
        struct err *failure = &container->failure;
        if (failure->code == 0)
            err_set(failure, -ECHILD, "server %s ended before it listened: %s", container->name,
                    why);
        if (failure->code == -ECHILD && container->last_words[0]) {
            struct err whole;
            err_set(&whole, -ECHILD, "%s; it said: %s", failure->message, container->last_words);
            *failure = whole;
        }
        fleet->handler->on_failed(fleet->context, container->uid, failure);
    }
    if (container->was_here)
        fleet->handler->on_gone(fleet->context, container->reference, why);
    container->was_here = false;
}

void container_vanished(struct container *container, const char *why)
{
    tell_end(container, why);
    if (container->drop_data)
        fleet_drop_volume(container->fleet, container->data);
    container_free(container);
}

static void retry_later(struct container *container)
{
    double wait_s = RETRY_MIN_S * (double)(1u << (container->n_tries < 6 ? container->n_tries : 6));

    container->n_tries++;
    ev_timer_stop(container->fleet->config.loop, &container->timer);
    ev_timer_set(&container->timer, wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S, 0.);
    ev_timer_start(container->fleet->config.loop, &container->timer);
}

static void on_removed(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code == 0 && (answer->status < 300 || answer->status == 404)) {
        /* The answer may come before the event that tells how it ended: by our hand. */
        container_vanished(container,
                           answer->status == 404 ? "it was removed" : "killed by SIGKILL");
        return;
    }
    if (container->n_tries == LOUD_TRIES)
        log_warn("spawner", "container %s (%.12s) cannot be removed yet: %s", container->name,
                 container->reference, answer->why);
    /* Its owner need not wait for an engine that has gone: it is removed when that is back. */
    if (answer->code != 0 && container->owner == OWNER_STARTS)
        tell_end(container, "the engine went away");
    retry_later(container);
}

static const struct engine_handler removed_handler = {.on_done = on_removed};

static void remove_now(struct container *container)
{
    struct fleet *fleet = container->fleet;
    char *path = mem_printf("containers/%s?force=true&v=true", container->reference);

    container->state = CONTAINER_REMOVING;
    ev_timer_stop(fleet->config.loop, &container->timer);
    engine_cancel(container->call);
    container->call = engine_send(fleet->engine, "DELETE", path, NULL, CALL_TIMEOUT_NS,
                                  &removed_handler, container);
    free(path);
}

void container_remove_again(struct container *container)
{
    if (container->state == CONTAINER_REMOVING && !container->call)
        remove_now(container);
}

void container_discard(struct container *container)
{
    switch (container->state) {
    case CONTAINER_CLEARING:
    case CONTAINER_NAMING: /* nothing is made yet */
        container_vanished(container, "it was stopped");
        return;
    case CONTAINER_CREATING: /* its answer tells what there is to remove */
        if (container->failure.code == 0)
            err_set(&container->failure, -ECANCELED, "server %s was stopped before it listened",
                    container->name);
        return;
    case CONTAINER_ATTACHING:
    case CONTAINER_STARTING:
    case CONTAINER_RUNNING:
    case CONTAINER_ENDING:
        remove_now(container);
        return;
    case CONTAINER_REMOVING:
        return;
    }
}

static void fail(struct container *container, int code, const char *what, const char *why)
{
    if (container->failure.code == 0)
        err_set(&container->failure, code, "server %s %s: %s", container->name, what, why);
    container_discard(container);
}

void container_ended(struct container *container, const char *why)
{
    switch (container->state) {
    case CONTAINER_RUNNING:
    case CONTAINER_ENDING:
        tell_end(container, why);
        remove_now(container);
        return;
    case CONTAINER_REMOVING:
        if (container->owner == OWNER_RUNS || container->was_here)
            tell_end(container, why);
        return;
    default:
        fail(container, -ECHILD, "ended before it listened", why);
        return;
    }
}

/* ---- running and stopping ----------------------------------------------------------------- */

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct container *container = timer->data;

    (void)loop;
    (void)events;
    if (container->state == CONTAINER_ENDING)
        remove_now(container);
    else if (container->state == CONTAINER_CLEARING)
        clear(container);
    else
        container_remove_again(container);
}

static void on_told_to_end(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    /* It does not run, or is not there: the removal finds out. */
    if (answer->code == 0 && answer->status >= 300 && container->state == CONTAINER_ENDING)
        remove_now(container);
}

static const struct engine_handler told_to_end_handler = {.on_done = on_told_to_end};

void container_stop(struct container *container, uint64_t grace_ns)
{
    struct fleet *fleet = container->fleet;
    double grace_s = (double)grace_ns / 1e9;

    if (container->state == CONTAINER_REMOVING)
        return;
    if (container->state != CONTAINER_RUNNING && container->state != CONTAINER_ENDING) {
        if (container->failure.code == 0)
            err_set(&container->failure, -ECANCELED, "server %s was stopped before it listened",
                    container->name);
        container_discard(container);
        return;
    }
    if (grace_ns == 0) {
        remove_now(container);
        return;
    }
    if (container->state == CONTAINER_RUNNING) {
        char *path = mem_printf("containers/%s/kill?signal=SIGTERM", container->reference);
        container->state = CONTAINER_ENDING;
        container->call = engine_send(fleet->engine, "POST", path, NULL, CALL_TIMEOUT_NS,
                                      &told_to_end_handler, container);
        free(path);
    } else if (ev_timer_remaining(fleet->config.loop, &container->timer) <= grace_s) {
        return;
    }
    ev_now_update(fleet->config.loop);
    ev_timer_stop(fleet->config.loop, &container->timer);
    ev_timer_set(&container->timer, grace_s, 0.);
    ev_timer_start(fleet->config.loop, &container->timer);
}

/* It runs and has said that it listens. */
static void check_running(struct container *container)
{
    struct fleet *fleet = container->fleet;
    char address[ADDR_TEXT_BYTES + 8];

    if (container->state != CONTAINER_STARTING || !container->host[0] || container->port == 0)
        return;
    snprintf(address, sizeof(address), "%s:%u", container->host, container->port);
    container->state = CONTAINER_RUNNING;
    container->owner = OWNER_RUNS;
    engine_cancel(container->output);
    container->output = NULL;
    fleet->handler->on_started(fleet->context, container->uid, container->reference, address,
                               container->pid);
}

/* ---- starting ----------------------------------------------------------------------------- */

static void on_inspected(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;
    struct addr addr;
    char text[ADDR_TEXT_BYTES + 8];

    container->call = NULL;
    if (answer->code != 0 || answer->status != 200) {
        fail(container, answer->code ? answer->code : -EIO, "cannot be looked at", answer->why);
        return;
    }
    cJSON *tree = json_parse(answer->body, answer->n, NULL);
    const cJSON *networks = json_get(json_get(tree, "NetworkSettings"), "Networks");
    const char *host = json_get_string(json_get(networks, fleet->config.network), "IPAddress");
    bool runs = cJSON_IsTrue(json_get(json_get(tree, "State"), "Running"));
    json_get_int64(json_get(tree, "State"), "Pid", &container->pid);
    if (host && host[0] && strlen(host) < sizeof(container->host)) {
        snprintf(text, sizeof(text), "%s:%d", host, CONTAINER_PORT);
        if (addr_parse(text, &addr, NULL) == 0)
            snprintf(container->host, sizeof(container->host), "%s", host);
    }
    cJSON_Delete(tree);
    if (container->host[0])
        check_running(container);
    else if (runs)
        fail(container, -ENETUNREACH, "has no address in its network", fleet->config.network);
    /* else it has ended already, which the event stream tells with the reason */
}

static const struct engine_handler inspected_handler = {.on_done = on_inspected};

static void on_started(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;

    container->call = NULL;
    if (answer->code != 0) {
        fail(container, answer->code, "cannot be started: the engine does not answer", answer->why);
        return;
    }
    if (answer->status >= 300) {
        bool no_network = strstr(answer->why, "network") && strstr(answer->why, "not found");
        fail(container, no_network ? -ENETDOWN : -EIO, "cannot be started", answer->why);
        return;
    }
    char *path = mem_printf("containers/%s/json", container->reference);
    container->call = engine_send(fleet->engine, "GET", path, NULL, CALL_TIMEOUT_NS,
                                  &inspected_handler, container);
    free(path);
}

static const struct engine_handler started_handler = {.on_done = on_started};

/* The output is attached: nothing of what it says can be missed. */
static void on_attached(void *context)
{
    struct container *container = context;

    if (container->state != CONTAINER_ATTACHING)
        return;
    container->state = CONTAINER_STARTING;
    char *path = mem_printf("containers/%s/start", container->reference);
    container->call = engine_send(container->fleet->engine, "POST", path, NULL, CALL_TIMEOUT_NS,
                                  &started_handler, container);
    free(path);
}

/* Standard output: "0.0.0.0:5000\n", once. */
static void take_output(struct container *container, const char *data, size_t n)
{
    struct addr addr;
    struct buf *said = &container->said;

    if (container->port != 0 || buf_append(said, data, n) != 0)
        return;
    char *end = buf_len(said) ? memchr(buf_head(said), '\n', buf_len(said)) : NULL;
    if (!end)
        return;
    *end = '\0';
    if (addr_parse(buf_head(said), &addr, NULL) == 0 && addr_port(&addr) != 0) {
        container->port = addr_port(&addr);
        check_running(container);
    } else {
        fail(container, -EPROTO, "told no address but", buf_head(said));
    }
}

/* Standard error: its last whole line is kept, in case it is the reason of its end. */
static void take_error(struct container *container, const char *data, size_t n)
{
    while (n > 0) {
        const char *end = memchr(data, '\n', n);
        size_t length = end ? (size_t)(end - data) : n;
        size_t kept =
            length < sizeof(container->last_words) ? length : sizeof(container->last_words) - 1;
        if (kept > 0) {
            memcpy(container->last_words, data, kept);
            container->last_words[kept] = '\0';
        }
        data += length + (end != NULL);
        n -= length + (end != NULL);
    }
}

/* Frames: the stream's number, three zeroes, the length in network order, the bytes. */
static void on_output(void *context, const char *data, size_t n)
{
    struct container *container = context;
    struct buf *frames = &container->frames;

    if (buf_append(frames, data, n) != 0) {
        buf_clear(frames); /* more at once than we care for */
        return;
    }
    while (buf_len(frames) >= FRAME_HEAD_BYTES) {
        const unsigned char *head = (const unsigned char *)buf_head(frames);
        size_t length =
            (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | (size_t)head[7];
        if (buf_len(frames) < FRAME_HEAD_BYTES + length)
            return;
        if (head[0] == 1)
            take_output(container, buf_head(frames) + FRAME_HEAD_BYTES, length);
        else
            take_error(container, buf_head(frames) + FRAME_HEAD_BYTES, length);
        buf_consume(frames, FRAME_HEAD_BYTES + length);
    }
}

static void on_output_end(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->output = NULL;
    if (container->state == CONTAINER_ATTACHING)
        fail(container, answer->code ? answer->code : -EIO, "cannot be listened to",
             answer->why[0] ? answer->why : "its output ended");
    else if (container->state == CONTAINER_STARTING && container->port == 0 && answer->code != 0)
        fail(container, answer->code, "cannot be listened to any more", answer->why);
    /* else it ended, or closed its output: its end is told by the event stream, and one that never
     * says that it listens is stopped in time by its owner */
}

static const struct engine_handler output_handler = {
    .on_done = on_output_end, .on_open = on_attached, .on_data = on_output};

static void attach(struct container *container)
{
    char *path = mem_printf("containers/%s/attach?stream=true&stdout=true&stderr=true",
                            container->reference);

    container->state = CONTAINER_ATTACHING;
    container->output =
        engine_stream(container->fleet->engine, "POST", path, &output_handler, container);
    free(path);
}

/* ---- making ------------------------------------------------------------------------------- */

static void on_renamed(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code != 0) {
        fail(container, answer->code, "cannot be made: the engine does not answer", answer->why);
        return;
    }
    /* Refused: it has gone meanwhile, or has this name already; the next try tells. */
    create(container);
}

static const struct engine_handler renamed_handler = {.on_done = on_renamed};

/* Who has the name? One of ours that has not ended yet steps aside; a stranger does not. */
static void on_holder(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;

    container->call = NULL;
    if (answer->code == 0 && answer->status == 404) {
        create(container); /* it has gone meanwhile */
        return;
    }
    if (answer->code != 0 || answer->status != 200) {
        fail(container, answer->code ? answer->code : -EIO, "cannot be made", answer->why);
        return;
    }
    cJSON *tree = json_parse(answer->body, answer->n, NULL);
    const char *id = json_get_string(tree, "Id");
    const cJSON *labels = json_get(json_get(tree, "Config"), "Labels");
    const char *cluster = json_get_string(labels, LABEL_CLUSTER);
    const char *start = json_get_string(labels, LABEL_START);
    char *engine_name = container_engine_name(fleet, container->name);
    if (id && start && strcmp(start, container->start) == 0 &&
        strlen(id) < sizeof(container->reference)) {
        /* Itself: its making was asked for twice, when a connection broke. */
        snprintf(container->reference, sizeof(container->reference), "%s", id);
        attach(container);
    } else if (id && cluster && strcmp(cluster, fleet->config.cluster) == 0) {
        char *path = mem_printf("containers/%.64s/rename?name=%s.%.12s", id, engine_name, id);
        container->call = engine_send(fleet->engine, "POST", path, NULL, CALL_TIMEOUT_NS,
                                      &renamed_handler, container);
        free(path);
    } else {
        char why[CONTAINER_WHY_BYTES];
        snprintf(why, sizeof(why),
                 "a container named %s is there (%.12s), which is not of cluster %s; rename or "
                 "remove it",
                 engine_name, id ? id : "", fleet->config.cluster);
        fail(container, -EEXIST, "cannot be made", why);
    }
    free(engine_name);
    cJSON_Delete(tree);
}

static const struct engine_handler holder_handler = {.on_done = on_holder};

static void ask_for_holder(struct container *container)
{
    char *name = container_engine_name(container->fleet, container->name);
    char *path = mem_printf("containers/%s/json", name);

    container->state = CONTAINER_NAMING;
    container->call = engine_send(container->fleet->engine, "GET", path, NULL, CALL_TIMEOUT_NS,
                                  &holder_handler, container);
    free(path);
    free(name);
}

static void on_created(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;
    cJSON *tree = answer->code == 0 && answer->status == 201
                      ? json_parse(answer->body, answer->n, NULL)
                      : NULL;
    const char *id = json_get_string(tree, "Id");

    container->call = NULL;
    if (id && strlen(id) < sizeof(container->reference)) {
        snprintf(container->reference, sizeof(container->reference), "%s", id);
        if (container->failure.code != 0)
            remove_now(container); /* stopped meanwhile */
        else
            attach(container);
        cJSON_Delete(tree);
        return;
    }
    cJSON_Delete(tree);
    /* Nothing was made, as far as we know; if it was, the next list shows it. */
    bool stopped = container->failure.code != 0;
    if (!stopped && answer->status == 409 && strstr(answer->why, "name") &&
        container->n_renames++ < MAX_RENAMES) {
        ask_for_holder(container);
        return;
    }
    container->state = CONTAINER_CLEARING;
    char what[CONTAINER_WHY_BYTES];
    if (answer->status == 404 && strstr(answer->why, "image"))
        snprintf(what, sizeof(what), "cannot be made without the image %s (make image builds it)",
                 fleet->config.image);
    else
        snprintf(what, sizeof(what), "cannot be made%s",
                 answer->code ? ": the engine does not answer" : "");
    int code = answer->code            ? answer->code
               : answer->status == 404 ? -ENOENT
               : answer->status == 409 ? -EEXIST
                                       : -EIO;
    fail(container, code, what, answer->why[0] ? answer->why : "no container's id was told");
}

static const struct engine_handler created_handler = {.on_done = on_created};

static void create(struct container *container)
{
    struct fleet *fleet = container->fleet;
    container->n_tries = 0;
    char *name = container_engine_name(fleet, container->name);
    char *path = mem_printf("containers/create?name=%s", name);
    char *body = container_spec(container);

    container->state = CONTAINER_CREATING;
    container->call = engine_send(fleet->engine, "POST", path, body, CALL_TIMEOUT_NS,
                                  &created_handler, container);
    free(body);
    free(path);
    free(name);
}

/* One of an earlier life of the LB, on its way out, has a volume of this number. */
static bool waits_for_volume(const struct container *container)
{
    const struct container *other;

    TAILQ_FOREACH(other, &container->fleet->containers, link)
    if (other != container && other->data == container->data &&
        (other->state == CONTAINER_REMOVING || other->state == CONTAINER_ENDING))
        return true;
    return false;
}

static void on_cleared(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code == 0 && (answer->status < 300 || answer->status == 404))
        create(container);
    else if (answer->code == 0 && answer->status == 409 &&
             (waits_for_volume(container) || container->n_tries < CLEAR_TRIES))
        retry_later(container);
    else
        fail(container, answer->code ? answer->code : -EBUSY,
             "cannot have its volume, in which is something older", answer->why);
}

static const struct engine_handler cleared_handler = {.on_done = on_cleared};

static void clear(struct container *container)
{
    struct fleet *fleet = container->fleet;
    char *volume = container_volume(fleet, container->data);
    char *path = mem_printf("volumes/%s", volume);

    container->state = CONTAINER_CLEARING;
    container->call = engine_send(fleet->engine, "DELETE", path, NULL, CALL_TIMEOUT_NS,
                                  &cleared_handler, container);
    free(path);
    free(volume);
}

static struct container *new_container(struct fleet *fleet, const char *name)
{
    struct container *container = mem_zalloc(1, sizeof(*container));

    container->fleet = fleet;
    snprintf(container->name, sizeof(container->name), "%s", name);
    buf_init(&container->frames, MAX_OUTPUT_BYTES);
    buf_init(&container->said, ADDR_TEXT_BYTES);
    ev_init(&container->timer, on_timer);
    container->timer.data = container;
    TAILQ_INSERT_TAIL(&fleet->containers, container, link);
    return container;
}

static char **copy_words(const char *const *words)
{
    size_t n = 0;
    while (words && words[n])
        n++;
    char **copy = mem_zalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(words[i]);
    return copy;
}

void container_make(struct fleet *fleet, const struct fleet_server *server)
{
    struct container *container = new_container(fleet, server->name);

    container->owner = OWNER_STARTS;
    container->uid = server->uid;
    container->id = server->id;
    container->data = server->data;
    container->words = copy_words(server->words);
    snprintf(container->start, sizeof(container->start), "%llu-%llu",
             (unsigned long long)clock_now_ns(), (unsigned long long)++fleet->n_starts);
    if (server->data == 0 || !server->data_is_new) {
        create(container);
        return;
    }
    clear(container);
}

struct container *container_found(struct fleet *fleet, const char *reference, const char *name,
                                  uint64_t data)
{
    struct container *container = new_container(fleet, name);

    container->state = CONTAINER_RUNNING;
    container->data = data;
    snprintf(container->reference, sizeof(container->reference), "%s", reference);
    return container;
}
