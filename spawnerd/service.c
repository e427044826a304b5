/* One server's service, and its one task.
 *
 *   CLEARING ─▶ CREATING ◀─▶ NAMING     STARTING ─▶ RUNNING
 *   (a node; where  │     (name taken)     ▲  │ says that it listens,  │ its task ended
 *    its data are)  └──────────────────────┘  ▼ its task runs          ▼
 *                                            REMOVING ─▶ freed when the swarm has its task no more
 *
 * Its removal is all that ends it: its node's agent sends SIGTERM some two seconds after (so it is
 * built), and SIGKILL after the grace that stands in its spec. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "spawnerd/swarm.h"

#define MAX_RENAMES 3
/* An agent that is alive takes a task up within a fraction of this; where no other node could have
 * the server, a busy one may take longer. */
#define TAKE_UP_NS (3 * NS_PER_S)
/* A removed task that has not ended on a node under suspicion counts as ended: longer than an end
 * in order takes. */
#define SILENCE_NS (10 * NS_PER_S)
/* A node that says nothing of a removed task for so long says nothing any more. */
#define FAREWELL_NS (60 * NS_PER_S)

static void create(struct container *container);

static struct node *node_of(const struct container *container)
{
    return nodes_find(container->fleet->swarm, container->node);
}

static const char *node_name(const struct container *container)
{
    return nodes_name(container->fleet->swarm, container->node);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void on_removed(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code != 0 || (answer->status >= 300 && answer->status != 404)) {
        container_remove_failed(container, answer);
        return;
    }
    container->removed = true;
    container->since_ns = clock_now_ns();
    /* The next list of tasks tells whether anything of it is anywhere. */
}

static const struct engine_handler removed_handler = {.on_done = on_removed};

void service_remove(struct container *container)
{
    char *path = mem_printf("services/%s", container->reference);

    /* Its output is listened to still: its last words may be under way. */
    container->call = engine_send(container->fleet->engine, "DELETE", path, NULL, CALL_TIMEOUT_NS,
                                  &removed_handler, container);
    free(path);
}

void service_fence(struct container *container)
{
    struct node *node = node_of(container);

    if (node)
        node_suspect(node);
}

/* ---- the task ----------------------------------------------------------------------------- */

static bool is_over(const char *state)
{
    static const char *const over[] = {"complete", "shutdown", "failed",
                                       "rejected", "remove",   "orphaned"};

    for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++)
        if (strcmp(state, over[i]) == 0)
            return true;
    return false;
}

static void say_why(const struct container *container, const cJSON *status, char *why)
{
    const char *said = json_get_string(status, "Err");
    const char *state = json_get_string(status, "State");
    int64_t code = 0;

    json_get_int64(json_get(status, "ContainerStatus"), "ExitCode", &code);
    if (code > 0 || strcmp(state, "complete") == 0)
        container_say_how(container, (uint64_t)code, why);
    else
        snprintf(why, CONTAINER_WHY_BYTES, "%s", said && said[0] ? said : state);
}

/* The swarm's own words, and what to do about it. */
static void fail_start(struct container *container, int code, const char *said)
{
    const struct fleet_config *config = &container->fleet->config;
    char what[CONTAINER_WHY_BYTES], why[CONTAINER_WHY_BYTES];
    bool no_image = strstr(said, "No such image") || strstr(said, "pull access denied");
    bool no_overlay = strstr(said, "vxlan") || strstr(said, "operation not supported");

    snprintf(what, sizeof(what), "cannot be started on node %s", node_name(container));
    if (no_image)
        snprintf(why, sizeof(why), "it has no image %s (docker save and docker load bring it): %s",
                 config->image, said);
    else if (no_overlay)
        snprintf(why, sizeof(why), "%s (a kernel without vxlan? --network host needs none)", said);
    else
        snprintf(why, sizeof(why), "%s", said);
    container_fail(container, no_image ? -ENOENT : code, what, why);
}

/* "10.0.1.5/24" of our network, or the node itself. */
static const char *find_address(const struct container *container, const cJSON *task)
{
    const struct fleet *fleet = container->fleet;
    const struct node *node = node_of(container);
    const cJSON *attachment;

    if (service_uses_host(fleet))
        return node ? node->address : NULL;
    cJSON_ArrayForEach (attachment, json_get(task, "NetworksAttachments")) {
        const cJSON *spec = json_get(json_get(attachment, "Network"), "Spec");
        const char *name = json_get_string(spec, "Name");
        const cJSON *first = cJSON_GetArrayItem(json_get(attachment, "Addresses"), 0);
        if (name && strcmp(name, fleet->config.network) == 0 && cJSON_IsString(first))
            return first->valuestring;
    }
    return NULL;
}

static void take_running(struct container *container, const cJSON *task)
{
    const char *address = find_address(container, task);
    size_t n = address ? strcspn(address, "/") : 0;

    container->taken_up = true;
    if (address)
        container_take_host(container, address, n);
    if (container->host[0])
        container_check_running(container);
    else
        container_fail(container, -ENETUNREACH,
                       "has no address in its network, which is none of "
                       "the swarm's",
                       container->fleet->config.network);
}

/* Giving up its node leads somewhere: to another one, or to a server that does without its data. */
static bool can_go_elsewhere(const struct container *container, const struct node *node)
{
    return (container->data != 0 && !container->data_is_new) ||
           nodes_have_another(container->fleet->swarm, node);
}

static void check_starting(struct container *container, const char *state)
{
    struct node *node = node_of(container);
    bool waits = strcmp(state, "new") == 0 || strcmp(state, "pending") == 0 ||
                 strcmp(state, "assigned") == 0;

    container->taken_up |= !waits;
    if (!node || !node->is_ready) {
        fail_start(container, -EHOSTDOWN, "it is down");
    } else if (!container->taken_up && clock_now_ns() - container->since_ns > TAKE_UP_NS &&
               can_go_elsewhere(container, node)) {
        node_suspect(node);
        fail_start(container, -EHOSTUNREACH, "it does not answer");
    }
}

static void take_starting(struct container *container, const cJSON *task)
{
    const cJSON *status = json_get(task, "Status");
    const char *state = json_get_string(status, "State"), *said = json_get_string(status, "Err");
    char why[CONTAINER_WHY_BYTES];

    if (strcmp(state, "running") == 0) {
        take_running(container, task);
    } else if (strcmp(state, "failed") == 0 || strcmp(state, "complete") == 0) {
        say_why(container, status, why); /* the server itself did that, or its node could not */
        if (container->last_words[0] || container->port != 0)
            container_ended(container, why);
        else
            fail_start(container, -ECHILD, why);
    } else if (is_over(state)) {
        fail_start(container, -EIO, said && said[0] ? said : state);
    } else if (strcmp(state, "pending") == 0 && said && said[0]) {
        fail_start(container, -EHOSTUNREACH, said);
    } else {
        check_starting(container, state);
    }
}

/* It is on its way out. */
static void take_leaving(struct container *container, const cJSON *status)
{
    struct node *node = node_of(container);
    char why[CONTAINER_WHY_BYTES];

    if (is_over(json_get_string(status, "State"))) {
        say_why(container, status, why);
        if (node)
            node->suspect_until_ns = 0; /* its agent told us */
        if (container->data == 0)       /* else its volume is let go of when the task has gone */
            container_vanished(container, why);
        else
            container_tell_end(container, why);
    } else if (!node || !node->is_ready) {
        container_vanished(container, "its node is down");
    } else if (clock_now_ns() - container->since_ns > FAREWELL_NS) {
        container_vanished(container, "its node says nothing of it");
    } else if (node_is_suspect(node) &&
               (!container->taken_up || clock_now_ns() - container->since_ns > SILENCE_NS)) {
        /* Nobody need wait for a machine that is gone. Should it come back, its agent ends the
         * task, and a server that hears of no LB ends by itself. */
        container_tell_end(container, "its node does not answer");
    }
}

void service_take_task(struct container *container, const cJSON *task)
{
    const cJSON *status = json_get(task, "Status");
    const char *state = json_get_string(status, "State"), *id = json_get_string(task, "ID");
    const char *node = json_get_string(task, "NodeID");
    const char *wanted = json_get_string(task, "DesiredState");
    char why[CONTAINER_WHY_BYTES];

    if (!state || !id || strlen(id) >= sizeof(container->task))
        return;
    if (container->task[0] && strcmp(container->task, id) != 0 && is_over(state))
        return; /* one of before */
    snprintf(container->task, sizeof(container->task), "%s", id);
    if (node && node[0] && strlen(node) < sizeof(container->node))
        snprintf(container->node, sizeof(container->node), "%s", node);
    if (container->state == CONTAINER_STARTING) {
        take_starting(container, task);
    } else if (container->state == CONTAINER_RUNNING && strcmp(state, "running") != 0) {
        say_why(container, status, why);
        container_ended(container, why);
    } else if (container->state == CONTAINER_RUNNING && wanted && is_over(wanted)) {
        /* By another's hand: it will be ended in a moment. */
        container_ended(container, "its service was removed, or its node drained");
    } else if (container->state == CONTAINER_REMOVING && container->removed) {
        take_leaving(container, status);
    }
}

void service_lost_task(struct container *container)
{
    struct node *node = node_of(container);

    if (container->state == CONTAINER_REMOVING && container->removed) {
        if (node && node->is_ready)
            node->suspect_until_ns = 0;
        container_vanished(container, "it was stopped");
    } else if (container->state == CONTAINER_RUNNING ||
               (container->state == CONTAINER_STARTING && container->task[0])) {
        container_ended(container, "it was removed");
    }
}

/* ---- making ------------------------------------------------------------------------------- */

static const struct engine_handler output_handler = {.on_done = container_output_end,
                                                     .on_data = container_take_output};

/* It is in the swarm; what it says comes from wherever it will run. */
static void listen_to(struct container *container)
{
    char *path =
        mem_printf("services/%s/logs?follow=true&stdout=true&stderr=true", container->reference);

    container->state = CONTAINER_STARTING;
    container->since_ns = clock_now_ns();
    container->output =
        engine_stream(container->fleet->engine, "GET", path, &output_handler, container);
    free(path);
    log_info("spawner", "server %s goes to node %s as service %.12s", container->name,
             node_name(container), container->reference);
}

/* Who has the name? One of ours that has not ended keeps it; a stranger is in the way. */
static void on_holder(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    const char *ours = container->fleet->config.cluster;

    container->call = NULL;
    if (answer->code != 0 || (answer->status != 200 && answer->status != 404)) {
        container_fail(container, answer->code ? answer->code : -EIO, "cannot be made",
                       answer->why);
        return;
    }
    cJSON *tree = answer->status == 200 ? json_parse(answer->body, answer->n, NULL) : NULL;
    const cJSON *labels = json_get(json_get(tree, "Spec"), "Labels");
    const char *id = json_get_string(tree, "ID");
    const char *cluster = json_get_string(labels, LABEL_CLUSTER);
    if (container_take_itself(container, id, labels)) {
        listen_to(container);
    } else if (!id || (cluster && strcmp(cluster, ours) == 0)) {
        create(container);
    } else {
        char why[CONTAINER_WHY_BYTES];
        container->n_renames--;
        char *name = service_name(container);
        snprintf(why, sizeof(why),
                 "a service named %s is there (%.12s), which is not of cluster %s; remove it", name,
                 id, ours);
        free(name);
        container_fail(container, -EEXIST, "cannot be made", why);
    }
    cJSON_Delete(tree);
}

static const struct engine_handler holder_handler = {.on_done = on_holder};

static void ask_for_holder(struct container *container)
{
    char *name = service_name(container);
    char *path = mem_printf("services/%s", name);

    container->state = CONTAINER_NAMING;
    container->n_renames++; /* if it is one of ours */
    container->call = engine_send(container->fleet->engine, "GET", path, NULL, CALL_TIMEOUT_NS,
                                  &holder_handler, container);
    free(path);
    free(name);
}

static void on_created(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (container_take_id(container, answer, "ID", listen_to))
        return;
    /* Nothing was made, as far as we know. */
    bool stopped = container->failure.code != 0;
    bool name_is_taken = answer->status == 409 && strstr(answer->why, "name conflicts");
    if (!stopped && name_is_taken && container->n_renames < MAX_RENAMES) {
        ask_for_holder(container);
        return;
    }
    bool no_network = strstr(answer->why, "network") != NULL;
    int code = answer->code ? answer->code : no_network ? -ENETDOWN : -EIO;
    container_not_made(container, answer, code,
                       answer->code ? "cannot be made: the swarm does not answer"
                                    : "cannot be made");
}

static const struct engine_handler created_handler = {.on_done = on_created};

static void create(struct container *container)
{
    const struct node *node = node_of(container);
    char *body = service_spec(container, node ? node->address : "");

    container->n_tries = 0;
    container->state = CONTAINER_CREATING;
    container->call = engine_send(container->fleet->engine, "POST", "services/create", body,
                                  CALL_TIMEOUT_NS, &created_handler, container);
    free(body);
}

/* ---- where its data are ------------------------------------------------------------------- */

static void on_noted(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code != 0 || answer->status != 201) {
        container_fail(container, answer->code ? answer->code : -EIO,
                       "cannot have data: the swarm does not note where", answer->why);
        return;
    }
    swarm_add_stored(container->fleet->swarm, container->data, container->node, container->volume);
    create(container);
}

static const struct engine_handler noted_handler = {.on_done = on_noted};

/* What an LB that lost its state noted under this number is forgotten. */
static void on_forgotten(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code != 0 || (answer->status >= 300 && answer->status != 404)) {
        container_fail(container, answer->code ? answer->code : -EIO,
                       "cannot have data: the swarm does not forget others", answer->why);
        return;
    }
    char *body = service_data_spec(container);
    container->call = engine_send(container->fleet->engine, "POST", "configs/create", body,
                                  CALL_TIMEOUT_NS, &noted_handler, container);
    free(body);
}

static const struct engine_handler forgotten_handler = {.on_done = on_forgotten};

void service_placed(struct container *container)
{
    if (container->data == 0 || !container->data_is_new) {
        create(container);
        return;
    }
    /* A name that no volume had before, on any node. */
    char *volume = container_volume(container->fleet, container->data);
    snprintf(container->volume, sizeof(container->volume), "%s-%s", volume, container->start);
    free(volume);
    char *name = service_data_name(container->fleet, container->data);
    char *path = mem_printf("configs/%s", name);
    container->call = engine_send(container->fleet->engine, "DELETE", path, NULL, CALL_TIMEOUT_NS,
                                  &forgotten_handler, container);
    free(path);
    free(name);
}

void service_make(struct container *container)
{
    container->state = CONTAINER_CLEARING;
    swarm_gather(container->fleet);
}

void service_again(struct container *container)
{
    swarm_gather(container->fleet);
}
