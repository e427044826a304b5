#include "spawnerd/container.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"

#define MAX_OUTPUT_BYTES 65536
#define FRAME_HEAD_BYTES 8
#define RETRY_MIN_S 0.05
#define RETRY_MAX_S 2.0
/* Tries of a removal until it is worth a line in the log, and its owner waits no longer. */
#define LOUD_TRIES 5

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
    free(container->groups);
    free(container);
}

/* Tells its end to whoever has to know, once. */
void container_tell_end(struct container *container, const char *why)
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
    container_tell_end(container, why);
    if (container->drop_data)
        fleet_drop_volume(container->fleet, container->data);
    container_free(container);
}

void container_retry_later(struct container *container)
{
    double wait_s = RETRY_MIN_S * (double)(1u << (container->n_tries < 6 ? container->n_tries : 6));

    container->n_tries++;
    ev_timer_stop(container->fleet->config.loop, &container->timer);
    ev_timer_set(&container->timer, wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S, 0.);
    ev_timer_start(container->fleet->config.loop, &container->timer);
}

void container_remove_failed(struct container *container, const struct engine_answer *answer)
{
    if (container->n_tries == LOUD_TRIES)
        log_warn("spawner", "container %s (%.12s) cannot be removed yet: %s", container->name,
                 container->reference, answer->why);
    /* Its owner need not wait for an engine that has gone, or does not let it go: it is removed
     * when that is back, when it does. */
    if (container->owner == OWNER_STARTS && (answer->code != 0 || container->n_tries >= LOUD_TRIES))
        container_tell_end(container,
                           answer->code != 0 ? "the engine went away" : "it cannot be removed yet");
    container_retry_later(container);
}

static void remove_now(struct container *container)
{
    container->state = CONTAINER_REMOVING;
    ev_timer_stop(container->fleet->config.loop, &container->timer);
    engine_cancel(container->call);
    container->call = NULL;
    container->fleet->kind->remove(container);
}

void container_remove_again(struct container *container)
{
    if (container->state == CONTAINER_REMOVING && !container->call && !container->removed)
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

void container_fail(struct container *container, int code, const char *what, const char *why)
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
        container_tell_end(container, why);
        remove_now(container);
        return;
    case CONTAINER_REMOVING:
        if (container->owner == OWNER_RUNS || container->was_here)
            container_tell_end(container, why);
        return;
    default:
        container_fail(container, -ECHILD, "ended before it listened", why);
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
        container->fleet->kind->again(container);
    else
        container_remove_again(container);
}

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
    if (grace_ns == 0 && fleet->kind->fence)
        fleet->kind->fence(container);
    if (grace_ns == 0 || !fleet->kind->terminate) {
        remove_now(container);
        return;
    }
    if (container->state == CONTAINER_RUNNING) {
        container->state = CONTAINER_ENDING;
        fleet->kind->terminate(container);
    } else if (ev_timer_remaining(fleet->config.loop, &container->timer) <= grace_s) {
        return;
    }
    ev_now_update(fleet->config.loop);
    ev_timer_stop(fleet->config.loop, &container->timer);
    ev_timer_set(&container->timer, grace_s, 0.);
    ev_timer_start(fleet->config.loop, &container->timer);
}

void container_take_host(struct container *container, const char *host, size_t n)
{
    struct addr addr;
    char text[ADDR_TEXT_BYTES + 8];

    if (n == 0 || n >= sizeof(container->host))
        return;
    snprintf(text, sizeof(text), "%.*s:1", (int)n, host);
    if (addr_parse(text, &addr, NULL) == 0)
        snprintf(container->host, sizeof(container->host), "%.*s", (int)n, host);
}

/* It runs and has said that it listens. */
void container_check_running(struct container *container)
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

/* ---- what it says ------------------------------------------------------------------------- */

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
        container_check_running(container);
    } else {
        container_fail(container, -EPROTO, "told no address but", buf_head(said));
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
void container_take_output(void *context, const char *data, size_t n)
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

void container_output_end(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    int code = answer->code ? answer->code : -EIO;

    container->output = NULL;
    if (container->state == CONTAINER_ATTACHING)
        container_fail(container, code, "cannot be listened to",
                       answer->why[0] ? answer->why : "its output ended");
    else if (container->state == CONTAINER_STARTING && container->port == 0 &&
             (answer->code != 0 || answer->status >= 300))
        container_fail(container, code, "cannot be listened to any more", answer->why);
    /* else it ended, or closed its output: its end is told by the event stream, and one that never
     * says that it listens is stopped in time by its owner */
}

void container_say_how(const struct container *container, uint64_t exit_code, char *why)
{
    int status = (int)exit_code;
    const char *signal_name = status > 128 ? sigabbrev_np(status - 128) : NULL;

    if (container->out_of_memory)
        snprintf(why, CONTAINER_WHY_BYTES, "killed: over its memory limit of %" PRIu64 " MiB",
                 container->fleet->config.memory_bytes >> 20);
    else if (signal_name)
        snprintf(why, CONTAINER_WHY_BYTES, "killed by SIG%s", signal_name);
    else
        snprintf(why, CONTAINER_WHY_BYTES, "exit status %d", status);
}

/* ---- making ------------------------------------------------------------------------------- */

bool container_take_id(struct container *container, const struct engine_answer *answer,
                       const char *key, void (*go_on)(struct container *container))
{
    cJSON *tree = answer->code == 0 && answer->status == 201
                      ? json_parse(answer->body, answer->n, NULL)
                      : NULL;
    const char *id = json_get_string(tree, key);
    bool is_made = id && strlen(id) < sizeof(container->reference);

    if (is_made)
        snprintf(container->reference, sizeof(container->reference), "%s", id);
    cJSON_Delete(tree);
    if (is_made && container->failure.code != 0)
        remove_now(container); /* stopped meanwhile */
    else if (is_made)
        go_on(container);
    return is_made;
}

bool container_take_itself(struct container *container, const char *id, const cJSON *labels)
{
    const char *start = json_get_string(labels, LABEL_START);

    if (!id || !start || strcmp(start, container->start) != 0 ||
        strlen(id) >= sizeof(container->reference))
        return false;
    snprintf(container->reference, sizeof(container->reference), "%s", id);
    return true;
}

void container_not_made(struct container *container, const struct engine_answer *answer, int code,
                        const char *what)
{
    struct fleet *fleet = container->fleet;

    container->state = CONTAINER_CLEARING;
    container_fail(container, code, what, answer->why[0] ? answer->why : "no id was told");
    if (answer->code != 0) /* it may be there: the next list shows it, and it goes */
        fleet_look_again(fleet, answer->why);
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

void container_set_groups(struct container *container, const uint32_t *groups, size_t n)
{
    if (n == 0)
        return;
    container->groups = mem_alloc(n * sizeof(*groups));
    memcpy(container->groups, groups, n * sizeof(*groups));
    container->n_groups = n;
}

void container_make(struct fleet *fleet, const struct fleet_server *server)
{
    struct container *container = new_container(fleet, server->name);

    container->owner = OWNER_STARTS;
    container->uid = server->uid;
    container->id = server->id;
    container->data = server->data;
    container->words = copy_words(server->words);
    container_set_groups(container, server->groups, server->n_groups);
    snprintf(container->start, sizeof(container->start), "%llu-%llu",
             (unsigned long long)clock_now_ns(), (unsigned long long)++fleet->n_starts);
    container->data_is_new = server->data_is_new;
    fleet->kind->make(container);
}

struct container *container_found(struct fleet *fleet, const char *reference, const cJSON *labels)
{
    const char *name = json_get_string(labels, LABEL_NAME);

    if (strlen(reference) >= DOCKER_REFERENCE_BYTES ||
        fleet_is_being_made(fleet, json_get_string(labels, LABEL_START)))
        return NULL;
    struct container *container = new_container(fleet, name && name_valid(name) ? name : "unknown");
    container->state = CONTAINER_RUNNING;
    container->data = fleet_label_number(labels, LABEL_DATA);
    snprintf(container->reference, sizeof(container->reference), "%s", reference);
    return container;
}

bool container_waits_for_data(const struct container *container)
{
    const struct container *other;

    TAILQ_FOREACH(other, &container->fleet->containers, link)
    if (other != container && other->data == container->data &&
        (other->state == CONTAINER_REMOVING || other->state == CONTAINER_ENDING))
        return true;
    return false;
}
