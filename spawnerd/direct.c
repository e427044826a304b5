/* Servers as containers of the one engine that answers.
 *
 *   CLEARING ─▶ CREATING ◀─▶ NAMING      ATTACHING ─▶ STARTING ─▶ RUNNING ─▶ ENDING
 *   (volume)        │     (name taken)       ▲    says that it listens, and   told SIGTERM
 *                   └────────────────────────┘    the engine where            */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "spawnerd/container.h"

#define MAX_RENAMES 3
/* Tries to empty a volume that is in use: the engine lets go of it some moments after its
 * container. */
#define CLEAR_TRIES 4

static void create(struct container *container);

/* ---- the end ------------------------------------------------------------------------------ */

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
    container_remove_failed(container, answer);
}

static const struct engine_handler removed_handler = {.on_done = on_removed};

static void remove_container(struct container *container)
{
    struct fleet *fleet = container->fleet;
    char *path = mem_printf("containers/%s?force=true&v=true", container->reference);

    container->call = engine_send(fleet->engine, "DELETE", path, NULL, CALL_TIMEOUT_NS,
                                  &removed_handler, container);
    free(path);
}

static void on_told_to_end(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    /* It does not run, or is not there: the removal finds out. */
    if (answer->code == 0 && answer->status >= 300 && container->state == CONTAINER_ENDING)
        container_discard(container);
}

static const struct engine_handler told_to_end_handler = {.on_done = on_told_to_end};

static void terminate(struct container *container)
{
    char *path = mem_printf("containers/%s/kill?signal=SIGTERM", container->reference);

    container->call = engine_send(container->fleet->engine, "POST", path, NULL, CALL_TIMEOUT_NS,
                                  &told_to_end_handler, container);
    free(path);
}

/* ---- starting ----------------------------------------------------------------------------- */

static void on_inspected(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;

    container->call = NULL;
    if (answer->code != 0 || answer->status != 200) {
        container_fail(container, answer->code ? answer->code : -EIO, "cannot be looked at",
                       answer->why);
        return;
    }
    cJSON *tree = json_parse(answer->body, answer->n, NULL);
    const cJSON *networks = json_get(json_get(tree, "NetworkSettings"), "Networks");
    const char *host = json_get_string(json_get(networks, fleet->config.network), "IPAddress");
    bool runs = cJSON_IsTrue(json_get(json_get(tree, "State"), "Running"));
    json_get_int64(json_get(tree, "State"), "Pid", &container->pid);
    if (host)
        container_take_host(container, host, strlen(host));
    cJSON_Delete(tree);
    if (container->host[0])
        container_check_running(container);
    else if (runs)
        container_fail(container, -ENETUNREACH, "has no address in its network",
                       fleet->config.network);
    /* else it has ended already, which the event stream tells with the reason */
}

static const struct engine_handler inspected_handler = {.on_done = on_inspected};

static void on_started(void *context, const struct engine_answer *answer)
{
    struct container *container = context;
    struct fleet *fleet = container->fleet;

    container->call = NULL;
    if (answer->code != 0) {
        container_fail(container, answer->code, "cannot be started: the engine does not answer",
                       answer->why);
        return;
    }
    if (answer->status >= 300) {
        bool no_network = strstr(answer->why, "network") && strstr(answer->why, "not found");
        container_fail(container, no_network ? -ENETDOWN : -EIO, "cannot be started", answer->why);
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

static const struct engine_handler output_handler = {
    .on_done = container_output_end, .on_open = on_attached, .on_data = container_take_output};

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
        container_fail(container, answer->code, "cannot be made: the engine does not answer",
                       answer->why);
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
        container_fail(container, answer->code ? answer->code : -EIO, "cannot be made",
                       answer->why);
        return;
    }
    cJSON *tree = json_parse(answer->body, answer->n, NULL);
    const char *id = json_get_string(tree, "Id");
    const cJSON *labels = json_get(json_get(tree, "Config"), "Labels");
    const char *cluster = json_get_string(labels, LABEL_CLUSTER);
    char *engine_name = container_engine_name(fleet, container->name);
    if (container_take_itself(container, id, labels)) {
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
        container_fail(container, -EEXIST, "cannot be made", why);
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

    container->call = NULL;
    if (container_take_id(container, answer, "Id", attach))
        return;
    /* Nothing was made, as far as we know. */
    bool stopped = container->failure.code != 0;
    if (!stopped && answer->status == 409 && strstr(answer->why, "name") &&
        container->n_renames++ < MAX_RENAMES) {
        ask_for_holder(container);
        return;
    }
    char what[CONTAINER_WHY_BYTES];
    if (answer->status == 404 && strstr(answer->why, "image"))
        snprintf(what, sizeof(what), "cannot be made without the image %s (make image builds it)",
                 container->fleet->config.image);
    else
        snprintf(what, sizeof(what), "cannot be made%s",
                 answer->code ? ": the engine does not answer" : "");
    int code = answer->code            ? answer->code
               : answer->status == 404 ? -ENOENT
               : answer->status == 409 ? -EEXIST
                                       : -EIO;
    container_not_made(container, answer, code, what);
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

static void on_cleared(void *context, const struct engine_answer *answer)
{
    struct container *container = context;

    container->call = NULL;
    if (answer->code == 0 && (answer->status < 300 || answer->status == 404))
        create(container);
    else if (answer->code == 0 && answer->status == 409 &&
             (container_waits_for_data(container) || container->n_tries < CLEAR_TRIES))
        container_retry_later(container);
    else
        container_fail(container, answer->code ? answer->code : -EBUSY,
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

static void make(struct container *container)
{
    if (container->data != 0 && container->data_is_new)
        clear(container);
    else
        create(container);
}

/* ---- all there are ------------------------------------------------------------------------ */

/* One row of the list: what is known is made to agree with it. */
static void take_row(struct fleet *fleet, const cJSON *row)
{
    const cJSON *labels = json_get(row, "Labels");
    const char *id = json_get_string(row, "Id");
    const char *state = json_get_string(row, "State");
    const char *status = json_get_string(row, "Status");

    if (!id || !state)
        return;
    bool runs = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;
    bool ended = strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0;
    struct container *container = fleet_find_reference(fleet, id);
    if (container) {
        container->listed = false; /* seen */
        if (ended)
            container_ended(container, status ? status : state);
        return;
    }
    container = container_found(fleet, id, labels);
    if (container && !runs) {
        log_info("spawner", "removing container %s (%.12s), which is %s", container->name, id,
                 state);
        container_discard(container);
    }
}

static void on_list(void *context, const struct engine_answer *answer)
{
    struct fleet *fleet = context;
    cJSON *tree = fleet_take_list(fleet, answer);
    const cJSON *row;

    if (!tree)
        return;
    cJSON_ArrayForEach (row, tree)
        take_row(fleet, row);
    cJSON_Delete(tree);
    fleet_listed(fleet);
}

static const struct engine_handler list_handler = {.on_done = on_list};

static void ask(struct fleet *fleet)
{
    fleet_ask_list(fleet, "containers/json?all=true&", &list_handler);
}

/* ---- events ------------------------------------------------------------------------------- */

static char *event_filter(const struct fleet *fleet)
{
    return mem_printf(
        "{\"type\":[\"container\"],\"event\":[\"create\",\"die\",\"destroy\",\"oom\"],"
        "\"label\":[\"%s=%s\"]}",
        LABEL_CLUSTER, fleet->config.cluster);
}

/* Made after its start was given up, by an engine that took that long; else one whose making or
 * removal was answered before its event came, which does no harm. */
static void take_created(struct fleet *fleet, const char *id, const cJSON *labels)
{
    struct container *container = container_found(fleet, id, labels);

    if (!container)
        return;
    log_info("spawner", "removing container %s (%.12s), which nobody waits for", container->name,
             id);
    container_discard(container);
}

static void take_event(struct fleet *fleet, const cJSON *event)
{
    const char *action = json_get_string(event, "Action");
    const cJSON *actor = json_get(event, "Actor");
    const char *id = json_get_string(actor, "ID");
    struct container *container = id ? fleet_find_reference(fleet, id) : NULL;
    char why[CONTAINER_WHY_BYTES];

    if (action && id && !container && strcmp(action, "create") == 0)
        take_created(fleet, id, json_get(actor, "Attributes"));
    if (!action || !container)
        return;
    if (strcmp(action, "oom") == 0)
        container->out_of_memory = true;
    if (strcmp(action, "die") == 0) {
        container_say_how(container, fleet_label_number(json_get(actor, "Attributes"), "exitCode"),
                          why);
        container_ended(container, why);
    }
    /* What we asked for ourselves, the answer tells. */
    if (strcmp(action, "destroy") == 0 &&
        !(container->state == CONTAINER_REMOVING && container->call))
        container_vanished(container, "it was removed");
}

/* ---- volumes ------------------------------------------------------------------------------ */

static void drop(struct volume_drop *dropped)
{
    char *volume = container_volume(dropped->fleet, dropped->data);

    fleet_send_drop(dropped, "volumes", volume);
    free(volume);
}

const struct fleet_kind direct_kind = {.trouble = "the container engine does not answer",
                                       .event_filter = event_filter,
                                       .take_event = take_event,
                                       .ask = ask,
                                       .make = make,
                                       .again = clear,
                                       .terminate = terminate,
                                       .remove = remove_container,
                                       .drop = drop};
