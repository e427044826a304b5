#include "spawnerd/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "spawnerd/container.h"

#define LIST_TIMEOUT_NS (30 * NS_PER_S)
#define VOLUME_TIMEOUT_NS (30 * NS_PER_S)
#define MAX_EVENT_BYTES ((size_t)1 << 20)
#define RETRY_MIN_S 0.05
#define RETRY_MAX_S 1.0
/* Tries to drop a volume that is in use: the engine lets go of it some moments after its container.
 * Some three seconds in all. */
#define DROP_TRIES 6

struct container *fleet_find_reference(struct fleet *fleet, const char *reference)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (container->reference[0] && strcmp(container->reference, reference) == 0)
        return container;
    return NULL;
}

static struct container *find_uid(struct fleet *fleet, uint64_t uid)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (container->owner != OWNER_NONE && container->uid == uid)
        return container;
    return NULL;
}

/* Its making was asked for and not answered yet. */
bool fleet_is_being_made(struct fleet *fleet, const char *start)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (!container->reference[0] && start && strcmp(container->start, start) == 0)
        return true;
    return false;
}

static size_t count_containers(const struct fleet *fleet)
{
    const struct container *container;
    size_t n = 0;

    TAILQ_FOREACH(container, &fleet->containers, link)
    n++;
    return n;
}

static size_t count_drops(const struct fleet *fleet)
{
    const struct volume_drop *drop;
    size_t n = 0;

    TAILQ_FOREACH(drop, &fleet->drops, link)
    n++;
    return n;
}

uint64_t fleet_label_number(const cJSON *labels, const char *key)
{
    const char *text = json_get_string(labels, key);

    return text ? strtoull(text, NULL, 10) : 0;
}

/* ---- the engine's state ------------------------------------------------------------------- */

const char *fleet_engine_trouble(const struct fleet *fleet)
{
    return fleet->engine_state == ENGINE_UP ? NULL : fleet->trouble;
}

static void set_trouble(struct fleet *fleet, const char *why)
{
    snprintf(fleet->trouble, sizeof(fleet->trouble), "%s: %s", fleet->kind->trouble,
             why && why[0] ? why : "its event stream ended");
}

void fleet_down(struct fleet *fleet, const char *why)
{
    bool was_up = fleet->engine_state == ENGINE_UP;

    engine_cancel(fleet->events);
    engine_cancel(fleet->list);
    fleet->events = fleet->list = NULL;
    buf_clear(&fleet->event_line);
    engine_forget_version(fleet->engine);
    set_trouble(fleet, why);
    fleet->engine_state = ENGINE_DOWN;
    if (was_up) {
        fleet->retry_s = RETRY_MIN_S;
        fleet->handler->on_engine(fleet->context, false, fleet->trouble);
    } else {
        fleet->retry_s = fleet->retry_s * 2 < RETRY_MAX_S ? fleet->retry_s * 2 : RETRY_MAX_S;
    }
    if (fleet->kind->down)
        fleet->kind->down(fleet);
    ev_timer_stop(fleet->config.loop, &fleet->retry);
    ev_timer_set(&fleet->retry, fleet->retry_s, 0.);
    ev_timer_start(fleet->config.loop, &fleet->retry);
}

void fleet_look_again(struct fleet *fleet, const char *why)
{
    /* The list that is to be asked for yet shows it; one that was asked for may not. */
    if (fleet->engine_state == ENGINE_UP || fleet->engine_state == ENGINE_LISTING)
        fleet_down(fleet, why);
}

static void send_drop(struct volume_drop *drop)
{
    ev_timer_stop(drop->fleet->config.loop, &drop->timer);
    drop->fleet->kind->drop(drop);
}

static void engine_up(struct fleet *fleet)
{
    struct container *container, *next;
    struct volume_drop *drop, *next_drop;

    fleet->engine_state = ENGINE_UP;
    fleet->was_up = true;
    fleet->retry_s = RETRY_MIN_S;
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        container_remove_again(container);
    }
    for (drop = TAILQ_FIRST(&fleet->drops); drop; drop = next_drop) {
        next_drop = TAILQ_NEXT(drop, link);
        if (!drop->call)
            send_drop(drop);
    }
    if (fleet->kind->up)
        fleet->kind->up(fleet);
    fleet_tell_here(fleet);
    fleet->handler->on_engine(fleet->context, true, "");
}

/* ---- the list ----------------------------------------------------------------------------- */

/* Answers of which there is no array end in fleet_down(). */
cJSON *fleet_take_list(struct fleet *fleet, const struct engine_answer *answer)
{
    cJSON *tree = answer->code == 0 && answer->status == 200
                      ? json_parse(answer->body, answer->n, NULL)
                      : NULL;

    fleet->list = NULL;
    if (cJSON_IsArray(tree))
        return tree;
    cJSON_Delete(tree);
    fleet_down(fleet, answer->why[0] ? answer->why : "its list is none");
    return NULL;
}

void fleet_ask_list(struct fleet *fleet, const char *what, const struct engine_handler *handler)
{
    char *path = fleet_filtered(fleet, what);

    fleet->list = engine_send(fleet->engine, "GET", path, NULL, LIST_TIMEOUT_NS, handler, fleet);
    free(path);
}

char *fleet_filtered(const struct fleet *fleet, const char *what)
{
    char *filter = mem_printf("{\"label\":[\"%s=%s\"]}", LABEL_CLUSTER, fleet->config.cluster);
    char *escaped = engine_escape(filter);
    char *path = mem_printf("%sfilters=%s", what, escaped);

    free(escaped);
    free(filter);
    return path;
}

/* What was known and has not been seen in the list is gone. */
void fleet_listed(struct fleet *fleet)
{
    struct container *container, *next;

    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->listed)
            container_vanished(container, "it was gone when the engine answered again");
    }
    engine_up(fleet);
}

/* ---- the event stream --------------------------------------------------------------------- */

static void on_event_data(void *context, const char *data, size_t n)
{
    struct fleet *fleet = context;
    struct buf *line = &fleet->event_line;

    if (buf_append(line, data, n) != 0) {
        fleet_down(fleet, "it tells of an event without an end"); /* the next list repairs it */
        return;
    }
    for (;;) {
        char *end = buf_len(line) ? memchr(buf_head(line), '\n', buf_len(line)) : NULL;
        if (!end)
            return;
        size_t length = (size_t)(end - buf_head(line));
        cJSON *event = json_parse(buf_head(line), length, NULL);
        buf_consume(line, length + 1);
        if (event)
            fleet->kind->take_event(fleet, event);
        cJSON_Delete(event);
    }
}

static void on_events_open(void *context)
{
    struct fleet *fleet = context;

    struct container *container;

    if (fleet->engine_state != ENGINE_OPENING)
        return;
    TAILQ_FOREACH(container, &fleet->containers, link)
    container->listed = container->reference[0] != '\0';
    fleet->engine_state = ENGINE_LISTING;
    fleet->kind->ask(fleet);
}

static void on_events_end(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;

    fleet->events = NULL;
    fleet_down(fleet, fleet->engine_state == ENGINE_UP ? "" : answer->why);
}

static const struct engine_handler events_handler = {
    .on_done = on_events_end, .on_open = on_events_open, .on_data = on_event_data};

/* First the events, then the list: nothing falls between them. */
static void open_events(struct fleet *fleet)
{
    char *filter = fleet->kind->event_filter(fleet);
    char *escaped = engine_escape(filter);
    char *path = mem_printf("events?filters=%s", escaped);

    fleet->engine_state = ENGINE_OPENING;
    fleet->events = engine_stream(fleet->engine, "GET", path, &events_handler, fleet);
    free(path);
    free(escaped);
    free(filter);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    open_events(timer->data);
}

/* ---- volumes ------------------------------------------------------------------------------ */

static void end_drop(struct volume_drop *drop)
{
    engine_cancel(drop->call);
    ev_timer_stop(drop->fleet->config.loop, &drop->timer);
    TAILQ_REMOVE(&drop->fleet->drops, drop, link);
    free(drop);
}

/* While the engine is away its return sends it. */
static void on_drop_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct volume_drop *drop = timer->data;

    (void)loop;
    (void)events;
    if (drop->fleet->engine_state == ENGINE_UP && !drop->call)
        send_drop(drop);
}

static void drop_later(struct volume_drop *drop, double wait_s)
{
    ev_timer_stop(drop->fleet->config.loop, &drop->timer);
    ev_timer_set(&drop->timer, wait_s, 0.);
    ev_timer_start(drop->fleet->config.loop, &drop->timer);
}

static void on_dropped(void *context, const struct engine_answer *answer)
{
    struct volume_drop *drop = context;

    drop->call = NULL;
    if (answer->code != 0) {
        drop_later(drop, RETRY_MAX_S);
        return;
    }
    if (answer->status == 409 && drop->n_tries < DROP_TRIES) {
        drop_later(drop, RETRY_MIN_S * (double)(1u << drop->n_tries++));
        return;
    }
    if (answer->status >= 300 && answer->status != 404)
        log_warn("spawner", "data %" PRIu64 " of cluster %s stays: %s", drop->data,
                 drop->fleet->config.cluster, answer->why);
    end_drop(drop);
}

static const struct engine_handler dropped_handler = {.on_done = on_dropped};

void fleet_send_drop(struct volume_drop *drop, const char *what, const char *name)
{
    char *path = mem_printf("%s/%s", what, name);

    drop->call = engine_send(drop->fleet->engine, "DELETE", path, NULL, VOLUME_TIMEOUT_NS,
                             &dropped_handler, drop);
    free(path);
}

static struct volume_drop *find_drop(struct fleet *fleet, uint64_t data)
{
    struct volume_drop *drop;

    TAILQ_FOREACH(drop, &fleet->drops, link)
    if (drop->data == data)
        return drop;
    return NULL;
}

void fleet_drop_volume(struct fleet *fleet, uint64_t data)
{
    if (find_drop(fleet, data))
        return;
    if (count_drops(fleet) >= fleet->config.max_servers) {
        log_warn("spawner", "data %" PRIu64 " of cluster %s stays: %" PRIu64 " wait already", data,
                 fleet->config.cluster, fleet->config.max_servers);
        return;
    }
    struct volume_drop *drop = mem_zalloc(1, sizeof(*drop));
    drop->fleet = fleet;
    drop->data = data;
    ev_init(&drop->timer, on_drop_timer);
    drop->timer.data = drop;
    TAILQ_INSERT_TAIL(&fleet->drops, drop, link);
    send_drop(drop);
}

void fleet_remove_data(struct fleet *fleet, uint64_t data)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (container->data == data) {
        container->drop_data = true;
        return;
    }
    if (data != 0)
        fleet_drop_volume(fleet, data);
}

/* ---- what the owner asks for -------------------------------------------------------------- */

void fleet_tell_here(struct fleet *fleet)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (container->state == CONTAINER_RUNNING && container->owner == OWNER_NONE &&
        !container->was_here) {
        container->was_here = true;
        fleet->handler->on_here(fleet->context, container->reference, container->name);
    }
}

int fleet_start(struct fleet *fleet, const struct fleet_server *server, struct err *err)
{
    if (fleet->engine_state != ENGINE_UP)
        return err_set(err, -EHOSTDOWN, "server %s cannot be made: %s", server->name,
                       fleet->trouble);
    if (find_uid(fleet, server->uid))
        return err_set(err, -EEXIST, "server %s: uid %" PRIu64 " is taken", server->name,
                       server->uid);
    if (count_containers(fleet) >= fleet->config.max_servers)
        return err_set(err, -EDQUOT,
                       "server %s cannot be made: there are %" PRIu64
                       " already, those that are ending counted (--max-servers)",
                       server->name, fleet->config.max_servers);
    /* Data that are wanted again: a removal that waits would take what will be in them. */
    struct volume_drop *drop = server->data != 0 ? find_drop(fleet, server->data) : NULL;
    if (drop)
        end_drop(drop);
    container_make(fleet, server);
    return 0;
}

int fleet_adopt(struct fleet *fleet, uint64_t uid, const char *reference, struct err *err)
{
    struct container *container = fleet_find_reference(fleet, reference);

    if (!container || container->state != CONTAINER_RUNNING)
        return err_set(err, -ESRCH, "container %.12s is gone", reference);
    if (container->owner != OWNER_NONE || find_uid(fleet, uid))
        return err_set(err, -EEXIST, "container %.12s or uid %" PRIu64 " is taken", reference, uid);
    container->owner = OWNER_RUNS;
    container->uid = uid;
    container->was_here = false;
    return 0;
}

void fleet_stop(struct fleet *fleet, uint64_t uid, uint64_t grace_ns)
{
    struct container *container = find_uid(fleet, uid);

    if (container)
        container_stop(container, grace_ns);
}

void fleet_purge(struct fleet *fleet)
{
    struct container *container, *next;

    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->owner == OWNER_NONE)
            container_discard(container);
    }
}

void fleet_abandon(struct fleet *fleet)
{
    struct container *container, *next;

    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        bool starts = container->owner == OWNER_STARTS;
        container->owner = OWNER_NONE;
        container->was_here = false;
        if (starts)
            container_stop(container, 0);
    }
}

size_t fleet_n_leaving(const struct fleet *fleet)
{
    const struct container *container;
    size_t n = count_drops(fleet);

    TAILQ_FOREACH(container, &fleet->containers, link)
    n += container->state != CONTAINER_RUNNING;
    return n;
}

/* ---- beginning and end -------------------------------------------------------------------- */

struct fleet *fleet_new(const struct fleet_config *config, const struct fleet_handler *handler,
                        void *context)
{
    struct fleet *fleet = mem_zalloc(1, sizeof(*fleet));

    fleet->config = *config;
    fleet->kind = config->swarm ? &swarm_kind : &direct_kind;
    fleet->handler = handler;
    fleet->context = context;
    fleet->engine = engine_new(config->loop, config->engine_socket);
    fleet->retry_s = RETRY_MIN_S;
    TAILQ_INIT(&fleet->containers);
    TAILQ_INIT(&fleet->drops);
    buf_init(&fleet->event_line, MAX_EVENT_BYTES);
    ev_init(&fleet->retry, on_retry);
    fleet->retry.data = fleet;
    snprintf(fleet->trouble, sizeof(fleet->trouble),
             "the container engine at %s has not answered yet", config->engine_socket);
    if (fleet->kind->open)
        fleet->kind->open(fleet);
    open_events(fleet);
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    engine_cancel(fleet->events);
    engine_cancel(fleet->list);
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see TAILQ_REMOVE. */
    while (!TAILQ_EMPTY(&fleet->containers))
        container_free(TAILQ_FIRST(&fleet->containers));
    while (!TAILQ_EMPTY(&fleet->drops))
        end_drop(TAILQ_FIRST(&fleet->drops));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    ev_timer_stop(fleet->config.loop, &fleet->retry);
    if (fleet->kind->close)
        fleet->kind->close(fleet);
    engine_free(fleet->engine);
    buf_done(&fleet->event_line);
    free(fleet);
}
