/* The fake engine as a manager of a swarm. A service is a record as a container is, its id that of
 * its one task as well. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "tests/support/fake_engine_parts.h"

/* ---- nodes -------------------------------------------------------------------------------- */

static void call_nodes(struct connection *connection)
{
    cJSON *tree = cJSON_CreateArray();

    for (size_t i = 0; i < FAKE_NODES; i++) {
        const struct fake_node *node = &connection->engine->nodes[i];
        cJSON *row = cJSON_CreateObject();
        char text[32];
        snprintf(text, sizeof(text), "node%zu", i);
        cJSON_AddStringToObject(row, "ID", text);
        cJSON_AddStringToObject(cJSON_AddObjectToObject(row, "Description"), "Hostname", text);
        cJSON *spec = cJSON_AddObjectToObject(row, "Spec");
        cJSON_AddStringToObject(spec, "Availability", node->drained ? "drain" : "active");
        cJSON *labels = cJSON_AddObjectToObject(spec, "Labels");
        if (node->label[0])
            cJSON_AddStringToObject(labels, node->label, "yes");
        cJSON *status = cJSON_AddObjectToObject(row, "Status");
        cJSON_AddStringToObject(status, "State", node->down ? "down" : "ready");
        snprintf(text, sizeof(text), "127.8.0.%zu", i + 1);
        cJSON_AddStringToObject(status, "Addr", text);
        cJSON_AddItemToArray(tree, row);
    }
    fake_answer_tree(connection, 200, tree);
}

static void tell_node_event(struct fake_engine *engine)
{
    static const char event[] =
        "{\"Type\":\"node\",\"Action\":\"update\",\"Actor\":{\"ID\":\"x\"}}\n";
    struct connection *connection;

    TAILQ_FOREACH(connection, &engine->connections, link)
    if (connection->kind == EVENTS)
        fake_say(connection, event, sizeof(event) - 1);
}

void fake_swarm_silence(struct fake_engine *engine, size_t node, bool is_down)
{
    engine->nodes[node].silent = true;
    engine->nodes[node].down = is_down;
    if (is_down)
        tell_node_event(engine);
}

void fake_swarm_wake(struct fake_engine *engine, size_t node)
{
    struct container *container, *next;

    engine->nodes[node] = (struct fake_node){0};
    for (container = TAILQ_FIRST(&engine->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (container->node == node)
            fake_remove_container(engine, container);
    }
    tell_node_event(engine);
}

void fake_swarm_drain(struct fake_engine *engine, size_t node)
{
    engine->nodes[node].drained = true;
    tell_node_event(engine);
}

void fake_swarm_label(struct fake_engine *engine, size_t node, const char *key)
{
    snprintf(engine->nodes[node].label, sizeof(engine->nodes[node].label), "%s", key);
}

size_t fake_swarm_node_of(const struct fake_engine *engine, const char *name)
{
    const struct container *container = fake_find(engine, name);

    assert(container);
    return container->node;
}

void fake_swarm_demote(struct fake_engine *engine, bool is_demoted)
{
    engine->no_manager = is_demoted;
}

/* ---- services ----------------------------------------------------------------------------- */

static const cJSON *container_spec(const cJSON *spec)
{
    return json_get(json_get(spec, "TaskTemplate"), "ContainerSpec");
}

static void call_create(struct connection *connection, const char *body)
{
    struct fake_engine *engine = connection->engine;
    cJSON *spec = json_parse(body, strlen(body), NULL);
    const char *name = json_get_string(spec, "Name");
    const char *server = json_get_string(container_spec(spec), "Hostname");
    const cJSON *constraints =
        json_get(json_get(json_get(spec, "TaskTemplate"), "Placement"), "Constraints");
    char id[80];

    assert(name && server);
    if (fake_find(engine, name)) {
        fake_answer_message(connection, 409,
                            "rpc error: code = AlreadyExists desc = name conflicts with an "
                            "existing object: service already exists");
    } else {
        snprintf(id, sizeof(id), "%025x", engine->n_made + 1);
        fake_add_record(engine, id, name, server, "", "created");
        struct container *container = fake_find(engine, id);
        container->spec = mem_strdup(body);
        const cJSON *first = cJSON_GetArrayItem(constraints, 0);
        assert(cJSON_IsString(first));
        int n = sscanf(first->valuestring, "node.id==node%zu", &container->node);
        assert(n == 1 && container->node < FAKE_NODES);
        (void)n;
        if (engine->start_status != 0) {
            strcpy(container->state, "rejected");
            snprintf(container->why, sizeof(container->why), "%s", engine->start_message);
            engine->start_status = 0;
        }
        free(engine->last_spec);
        engine->last_spec = mem_strdup(body);
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "ID", id);
        fake_answer_tree(connection, 201, tree);
    }
    cJSON_Delete(spec);
}

static cJSON *service_tree(const struct container *container)
{
    cJSON *tree = cJSON_CreateObject();

    cJSON_AddStringToObject(tree, "ID", container->id);
    cJSON_AddItemToObject(cJSON_AddObjectToObject(tree, "Spec"), "Labels",
                          fake_labels_of(container));
    return tree;
}

static bool is_ours(const struct container *container)
{
    cJSON *labels = fake_labels_of(container);
    bool ours = json_get(labels, "quoit.cluster") != NULL;

    cJSON_Delete(labels);
    return ours;
}

static void call_services(struct connection *connection)
{
    struct container *container;
    cJSON *tree = cJSON_CreateArray();

    TAILQ_FOREACH(container, &connection->engine->containers, link)
    if (is_ours(container) && !container->removed)
        cJSON_AddItemToArray(tree, service_tree(container));
    fake_answer_tree(connection, 200, tree);
}

static const char *task_state(const struct fake_engine *engine, const struct container *container)
{
    if (strcmp(container->state, "exited") == 0)
        return container->status == 0 ? "complete" : "failed";
    if (strcmp(container->state, "created") == 0)
        return engine->nodes[container->node].silent ? "assigned" : "preparing";
    return container->state; /* running, rejected */
}

static cJSON *task_tree(const struct fake_engine *engine, const struct container *container)
{
    cJSON *tree = cJSON_CreateObject();
    char text[160];

    snprintf(text, sizeof(text), "task-%s", container->id);
    cJSON_AddStringToObject(tree, "ID", text);
    cJSON_AddStringToObject(tree, "ServiceID", container->id);
    snprintf(text, sizeof(text), "node%zu", container->node);
    cJSON_AddStringToObject(tree, "NodeID", text);
    cJSON_AddStringToObject(tree, "DesiredState", container->removed ? "remove" : "running");
    cJSON *status = cJSON_AddObjectToObject(tree, "Status");
    cJSON_AddStringToObject(status, "State", task_state(engine, container));
    if (container->why[0])
        cJSON_AddStringToObject(status, "Err", container->why);
    json_add_int64(cJSON_AddObjectToObject(status, "ContainerStatus"), "ExitCode",
                   container->status);
    cJSON *attachment = cJSON_CreateObject();
    cJSON *network = cJSON_AddObjectToObject(attachment, "Network");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(network, "Spec"), "Name", "n1");
    if (container->address[0]) {
        snprintf(text, sizeof(text), "%s/24", container->address);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(attachment, "Addresses"),
                             cJSON_CreateString(text));
    }
    cJSON_AddItemToArray(cJSON_AddArrayToObject(tree, "NetworksAttachments"), attachment);
    return tree;
}

static void call_tasks(struct connection *connection)
{
    struct container *container;
    cJSON *tree = cJSON_CreateArray();

    TAILQ_FOREACH(container, &connection->engine->containers, link)
    if (is_ours(container))
        cJSON_AddItemToArray(tree, task_tree(connection->engine, container));
    fake_answer_tree(connection, 200, tree);
}

static void remove_service(struct fake_engine *engine, struct container *container)
{
    if (engine->nodes[container->node].silent)
        container->removed = true; /* nobody there ends it */
    else
        fake_remove_container(engine, container);
}

void fake_swarm_remove_service(struct fake_engine *engine, const char *name)
{
    struct container *container = fake_find(engine, name);

    assert(container);
    container->removed = true;
}

static void call_service(struct connection *connection, const char *method, char *key)
{
    struct fake_engine *engine = connection->engine;
    char *verb = strchr(key, '/');

    if (verb)
        *verb++ = '\0';
    struct container *container = fake_find(engine, key);
    if (!container || container->removed) {
        fake_answer_message(connection, 404, "service not found");
    } else if (strcmp(method, "DELETE") == 0) {
        remove_service(engine, container);
        fake_answer(connection, 200, "");
    } else if (verb && strcmp(verb, "logs") == 0) {
        snprintf(connection->id, sizeof(connection->id), "%s", container->id);
        fake_open_stream(connection, ATTACHED);
        /* Nothing of what it says is missed. */
        if (strcmp(container->state, "created") == 0 && !engine->nodes[container->node].silent)
            fake_start_container(engine, container);
    } else {
        fake_answer_tree(connection, 200, service_tree(container));
    }
}

/* ---- configs ------------------------------------------------------------------------------ */

static struct fake_config *find_config(struct fake_engine *engine, const char *name)
{
    struct fake_config *config;

    TAILQ_FOREACH(config, &engine->configs, link)
    if (strcmp(config->name, name) == 0)
        return config;
    return NULL;
}

static void forget_config(struct fake_engine *engine, struct fake_config *config)
{
    TAILQ_REMOVE(&engine->configs, config, link);
    free(config->spec);
    free(config);
}

static void call_create_config(struct connection *connection, const char *body)
{
    struct fake_config *config = mem_zalloc(1, sizeof(*config));
    cJSON *spec = json_parse(body, strlen(body), NULL);
    const char *name = json_get_string(spec, "Name");

    assert(name && !find_config(connection->engine, name));
    snprintf(config->name, sizeof(config->name), "%s", name);
    config->spec = mem_strdup(body);
    TAILQ_INSERT_TAIL(&connection->engine->configs, config, link);
    cJSON_Delete(spec);
    fake_answer(connection, 201, "{\"ID\":\"x\"}");
}

static void call_configs(struct connection *connection)
{
    struct fake_config *config;
    cJSON *tree = cJSON_CreateArray();

    TAILQ_FOREACH(config, &connection->engine->configs, link)
    {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddItemToObject(row, "Spec", json_parse(config->spec, strlen(config->spec), NULL));
        cJSON_AddItemToArray(tree, row);
    }
    fake_answer_tree(connection, 200, tree);
}

static void call_delete_config(struct connection *connection, const char *name)
{
    struct fake_config *config = find_config(connection->engine, name);

    if (!config) {
        fake_answer_message(connection, 404, "config not found");
        return;
    }
    forget_config(connection->engine, config);
    fake_answer(connection, 204, "");
}

size_t fake_swarm_n_configs(const struct fake_engine *engine)
{
    struct fake_config *config;
    size_t n = 0;

    TAILQ_FOREACH(config, &engine->configs, link)
    n++;
    return n;
}

/* ---- calls -------------------------------------------------------------------------------- */

bool fake_swarm_dispatch(struct connection *connection, const char *method, const char *path,
                         const char *query, const char *body)
{
    static const char *const ours[] = {"nodes", "services", "tasks", "configs"};
    bool is_ours_to_answer = false;

    (void)query;
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        is_ours_to_answer |= strncmp(path, ours[i], strlen(ours[i])) == 0;
    if (!is_ours_to_answer)
        return false;
    if (connection->engine->no_manager)
        fake_answer_message(connection, 503, "This node is not a swarm manager.");
    else if (strcmp(path, "nodes") == 0)
        call_nodes(connection);
    else if (strcmp(path, "tasks") == 0)
        call_tasks(connection);
    else if (strcmp(path, "configs") == 0)
        call_configs(connection);
    else if (strcmp(path, "configs/create") == 0)
        call_create_config(connection, body);
    else if (strncmp(path, "configs/", 8) == 0)
        call_delete_config(connection, path + 8);
    else if (strcmp(path, "services") == 0)
        call_services(connection);
    else if (strcmp(path, "services/create") == 0)
        call_create(connection, body);
    else {
        char *key = mem_strdup(path + strlen("services/"));
        call_service(connection, method, key);
        free(key);
    }
    return true;
}

void fake_swarm_free(struct fake_engine *engine)
{
    while (!TAILQ_EMPTY(&engine->configs))
        forget_config(engine, TAILQ_FIRST(&engine->configs));
}
