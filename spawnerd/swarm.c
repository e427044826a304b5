/* The swarm's side of the fleet: its lists, its events, the news of tasks. */
#include "spawnerd/swarm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/name.h"

#define CALL_NS (10 * NS_PER_S)
/* The starts of one call of /init come within this. */
#define GATHER_S 0.002
/* How often tasks are asked for: while something changes, and else. The second is longer with many
 * servers, for whose tasks the answer is. */
#define POLL_CHANGING_S 0.03
#define POLL_S 0.1
#define POLL_SERVERS 20

/* ---- where data are ----------------------------------------------------------------------- */

struct stored *swarm_find_stored(struct swarm *swarm, uint64_t data)
{
    struct stored *stored = swarm->stored;

    while (stored && stored->data != data)
        stored = stored->next;
    return stored;
}

void swarm_forget_stored(struct swarm *swarm, uint64_t data)
{
    struct stored **link = &swarm->stored;

    while (*link && (*link)->data != data)
        link = &(*link)->next;
    struct stored *stored = *link;
    if (!stored)
        return;
    *link = stored->next;
    free(stored);
}

void swarm_add_stored(struct swarm *swarm, uint64_t data, const char *node, const char *volume)
{
    swarm_forget_stored(swarm, data);
    struct stored *stored = mem_zalloc(1, sizeof(*stored));
    stored->data = data;
    snprintf(stored->node, sizeof(stored->node), "%s", node);
    snprintf(stored->volume, sizeof(stored->volume), "%s", volume);
    stored->next = swarm->stored;
    swarm->stored = stored;
}

static void forget_all_stored(struct swarm *swarm)
{
    while (swarm->stored)
        swarm_forget_stored(swarm, swarm->stored->data);
}

/* ---- the news of tasks -------------------------------------------------------------------- */

static bool is_changing(const struct container *container)
{
    return container->state == CONTAINER_CREATING || container->state == CONTAINER_STARTING ||
           container->state == CONTAINER_REMOVING;
}

static void schedule_poll(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;
    struct container *container;
    double wait_s = 0.;
    size_t n = 0;

    TAILQ_FOREACH(container, &fleet->containers, link)
    {
        n++;
        if (is_changing(container))
            wait_s = POLL_CHANGING_S;
    }
    if (wait_s == 0.)
        wait_s = POLL_S;
    if (n > POLL_SERVERS)
        wait_s *= (double)n / POLL_SERVERS;
    ev_timer_stop(fleet->config.loop, &swarm->poll);
    ev_timer_set(&swarm->poll, wait_s, 0.);
    ev_timer_start(fleet->config.loop, &swarm->poll);
}

static void take_tasks(struct fleet *fleet, const cJSON *list)
{
    struct container *container, *next;
    const cJSON *task;

    cJSON_ArrayForEach (task, list) {
        const char *service = json_get_string(task, "ServiceID");
        container = service ? fleet_find_reference(fleet, service) : NULL;
        if (!container)
            continue; /* of a service that we have seen to its end */
        container->listed = false;
        service_take_task(container, task);
    }
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->listed)
            service_lost_task(container);
    }
}

static void mark_listed(struct fleet *fleet)
{
    struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    container->listed = container->reference[0] != '\0' &&
                        (container->state != CONTAINER_REMOVING || container->removed);
}

static void on_tasks(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;

    fleet->swarm->tasks_call = NULL;
    cJSON *tree = fleet_take_list(fleet, answer);
    if (!tree)
        return;
    take_tasks(fleet, tree);
    cJSON_Delete(tree);
    schedule_poll(fleet);
}

static const struct engine_handler tasks_handler = {.on_done = on_tasks};

static void ask_tasks(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;

    if (swarm->tasks_call || fleet->engine_state != ENGINE_UP)
        return;
    ev_timer_stop(fleet->config.loop, &swarm->poll);
    if (TAILQ_EMPTY(&fleet->containers)) {
        schedule_poll(fleet);
        return;
    }
    char *path = fleet_filtered(fleet, "tasks?");
    mark_listed(fleet);
    swarm->tasks_call =
        engine_send(fleet->engine, "GET", path, NULL, CALL_NS, &tasks_handler, fleet);
    free(path);
}

static void on_poll(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ask_tasks(timer->data);
}

/* ---- nodes, and who goes to which --------------------------------------------------------- */

static void on_nodes(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    struct container *container, *next;

    fleet->swarm->nodes_call = NULL;
    cJSON *tree = fleet_take_list(fleet, answer);
    if (!tree)
        return;
    nodes_take(fleet->swarm, tree);
    cJSON_Delete(tree);
    nodes_place(fleet);
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->state == CONTAINER_CLEARING && container->node[0] && !container->call)
            service_placed(container);
    }
}

static const struct engine_handler nodes_handler = {.on_done = on_nodes};

static void ask_nodes(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;

    if (!swarm->nodes_call && fleet->engine_state == ENGINE_UP)
        swarm->nodes_call =
            engine_send(fleet->engine, "GET", "nodes", NULL, CALL_NS, &nodes_handler, fleet);
}

static void on_gather(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ask_nodes(timer->data);
}

void swarm_gather(struct fleet *fleet)
{
    struct ev_timer *gather = &fleet->swarm->gather;

    if (ev_is_active(gather))
        return;
    ev_now_update(fleet->config.loop);
    ev_timer_set(gather, GATHER_S, 0.);
    ev_timer_start(fleet->config.loop, gather);
}

/* ---- all there is ------------------------------------------------------------------------- */

static void on_all_tasks(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    struct container *container, *next;
    cJSON *tree = fleet_take_list(fleet, answer);

    if (!tree)
        return;
    /* Services that have gone meanwhile. */
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->listed && !container->removed)
            container_vanished(container, "it was gone when the swarm answered again");
    }
    mark_listed(fleet);
    take_tasks(fleet, tree);
    cJSON_Delete(tree);
    TAILQ_FOREACH(container, &fleet->containers, link)
    container->listed = false;
    fleet_listed(fleet);
}

static const struct engine_handler all_tasks_handler = {.on_done = on_all_tasks};

static void read_groups(struct container *container, const char *text)
{
    uint32_t groups[FLEET_MAX_GROUPS];
    size_t n = 0;

    while (text && *text && n < FLEET_MAX_GROUPS) {
        char *end;
        groups[n++] = (uint32_t)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
    container_set_groups(container, groups, n);
}

/* One row of the list: what is known is made to agree with it. */
static void take_service(struct fleet *fleet, const cJSON *row)
{
    const cJSON *labels = json_get(json_get(row, "Spec"), "Labels");
    const char *id = json_get_string(row, "ID");
    struct container *container = id ? fleet_find_reference(fleet, id) : NULL;

    if (container) {
        container->listed = false; /* seen */
        return;
    }
    container = id ? container_found(fleet, id, labels) : NULL;
    if (!container)
        return;
    read_groups(container, json_get_string(labels, LABEL_GROUPS));
    if (fleet->was_up) {
        /* Made since, and its making not answered: its start has failed. */
        log_info("spawner", "removing service %s (%.12s), of a start that failed", container->name,
                 id);
        container_discard(container);
    }
}

static void on_services(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    cJSON *tree = fleet_take_list(fleet, answer);
    const cJSON *row;

    if (!tree)
        return;
    cJSON_ArrayForEach (row, tree)
        take_service(fleet, row);
    cJSON_Delete(tree);
    fleet_ask_list(fleet, "tasks?", &all_tasks_handler);
}

static const struct engine_handler services_handler = {.on_done = on_services};

static void on_data(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    cJSON *tree = fleet_take_list(fleet, answer);
    const cJSON *row;

    if (!tree)
        return;
    forget_all_stored(fleet->swarm);
    cJSON_ArrayForEach (row, tree) {
        const cJSON *labels = json_get(json_get(row, "Spec"), "Labels");
        const char *node = json_get_string(labels, LABEL_NODE);
        const char *volume = json_get_string(labels, LABEL_VOLUME);
        if (node && volume)
            swarm_add_stored(fleet->swarm, fleet_label_number(labels, LABEL_DATA), node, volume);
    }
    cJSON_Delete(tree);
    fleet_ask_list(fleet, "services?", &services_handler);
}

static const struct engine_handler data_handler = {.on_done = on_data};

static void on_first_nodes(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    cJSON *tree = fleet_take_list(fleet, answer);

    if (!tree)
        return; /* it is no manager, or the managers have lost their majority */
    nodes_take(fleet->swarm, tree);
    cJSON_Delete(tree);
    fleet_ask_list(fleet, "configs?", &data_handler);
}

static const struct engine_handler first_nodes_handler = {.on_done = on_first_nodes};

static void ask(struct fleet *fleet)
{
    fleet->list =
        engine_send(fleet->engine, "GET", "nodes", NULL, CALL_NS, &first_nodes_handler, fleet);
}

/* ---- events ------------------------------------------------------------------------------- */

static char *event_filter(const struct fleet *fleet)
{
    (void)fleet; /* nodes have no label of ours */
    return mem_strdup("{\"type\":[\"container\",\"service\",\"node\"],"
                      "\"event\":[\"die\",\"oom\",\"update\",\"remove\"]}");
}

static void take_event(struct fleet *fleet, const cJSON *event)
{
    const char *type = json_get_string(event, "Type"), *action = json_get_string(event, "Action");
    const cJSON *actor = json_get(event, "Actor"), *attributes = json_get(actor, "Attributes");
    const char *service = json_get_string(attributes, "com.docker.swarm.service.id");
    struct container *container = service ? fleet_find_reference(fleet, service) : NULL;
    char why[CONTAINER_WHY_BYTES];

    if (!type || !action || fleet->engine_state != ENGINE_UP)
        return;
    if (strcmp(type, "node") == 0) {
        ask_nodes(fleet);
        ask_tasks(fleet);
    } else if (strcmp(type, "service") == 0 && strcmp(action, "remove") == 0) {
        ask_tasks(fleet);
    } else if (container && strcmp(action, "oom") == 0) {
        container->out_of_memory = true;
    } else if (container && strcmp(action, "die") == 0) {
        container_say_how(container, fleet_label_number(attributes, "exitCode"), why);
        container_ended(container, why);
    }
}

/* ---- beginning and end -------------------------------------------------------------------- */

static void up(struct fleet *fleet)
{
    schedule_poll(fleet);
}

static void down(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;
    struct container *container, *next;

    engine_cancel(swarm->nodes_call);
    engine_cancel(swarm->tasks_call);
    swarm->nodes_call = swarm->tasks_call = NULL;
    ev_timer_stop(fleet->config.loop, &swarm->gather);
    ev_timer_stop(fleet->config.loop, &swarm->poll);
    /* Those that have no place yet. */
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->state == CONTAINER_CLEARING && !container->call)
            container_fail(container, -EHOSTDOWN, "finds no place in the swarm", fleet->trouble);
    }
}

static void open_swarm(struct fleet *fleet)
{
    struct swarm *swarm = mem_zalloc(1, sizeof(*swarm));

    swarm->fleet = fleet;
    ev_init(&swarm->gather, on_gather);
    ev_init(&swarm->poll, on_poll);
    swarm->gather.data = swarm->poll.data = fleet;
    fleet->swarm = swarm;
}

static void close_swarm(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;

    engine_cancel(swarm->nodes_call);
    engine_cancel(swarm->tasks_call);
    ev_timer_stop(fleet->config.loop, &swarm->gather);
    ev_timer_stop(fleet->config.loop, &swarm->poll);
    forget_all_stored(swarm);
    free(swarm->nodes);
    free(swarm);
    fleet->swarm = NULL;
}

/* The volume stays on its node, out of a manager's reach; what knows of it goes. */
static void drop(struct volume_drop *dropped)
{
    char *name = service_data_name(dropped->fleet, dropped->data);

    swarm_forget_stored(dropped->fleet->swarm, dropped->data);
    fleet_send_drop(dropped, "configs", name);
    free(name);
}

const struct fleet_kind swarm_kind = {.trouble = "the swarm cannot be managed",
                                      .open = open_swarm,
                                      .close = close_swarm,
                                      .up = up,
                                      .down = down,
                                      .event_filter = event_filter,
                                      .take_event = take_event,
                                      .ask = ask,
                                      .make = service_make,
                                      .again = service_again,
                                      .fence = service_fence,
                                      .remove = service_remove,
                                      .drop = drop};
