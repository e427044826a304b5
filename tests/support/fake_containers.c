/* The containers of the fake engine: how they live, the API's calls of them, what a test does to
 * them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "tests/support/fake_engine_parts.h"

/* ---- their lives -------------------------------------------------------------------------- */

struct container *fake_find(const struct fake_engine *engine, const char *key)
{
    struct container *container;

    TAILQ_FOREACH(container, &engine->containers, link)
    if (strcmp(container->id, key) == 0 || strcmp(container->name, key) == 0)
        return container;
    return NULL;
}

bool fake_is_mode(const struct container *container, const char *mode)
{
    size_t n = strlen(mode);
    return strncmp(container->server, mode, n) == 0 &&
           (container->server[n] == '\0' || container->server[n] == '.');
}

static void tell_event(struct fake_engine *engine, const struct container *container,
                       const char *action)
{
    struct connection *connection;
    char status[16];
    if (container->node != 0) /* an engine tells of its own containers alone */
        return;
    cJSON *event = cJSON_CreateObject(), *attributes = fake_labels_of(container);
    snprintf(status, sizeof(status), "%d", container->status);
    cJSON_AddStringToObject(attributes, "com.docker.swarm.service.id", container->id);
    cJSON_AddStringToObject(attributes, "exitCode", status);
    cJSON_AddStringToObject(event, "Type", "container");
    cJSON_AddStringToObject(event, "Action", action);
    cJSON *actor = cJSON_AddObjectToObject(event, "Actor");
    cJSON_AddStringToObject(actor, "ID", container->id);
    cJSON_AddItemToObject(actor, "Attributes", attributes);
    char *text = cJSON_PrintUnformatted(event);

    TAILQ_FOREACH(connection, &engine->connections, link)
    if (connection->kind == EVENTS) {
        fake_say(connection, text, strlen(text));
        fake_say(connection, "\n", 1);
    }
    free(text);
    cJSON_Delete(event);
}

static void speak(struct fake_engine *engine, const struct container *container, char stream,
                  const char *text)
{
    struct connection *connection;
    char frame[512] = {stream};
    size_t n = strlen(text);

    frame[7] = (char)n;
    memcpy(frame + 8, text, n);
    TAILQ_FOREACH(connection, &engine->connections, link)
    if (connection->kind == ATTACHED && strcmp(connection->id, container->id) == 0)
        fake_say(connection, frame, 8 + n);
}

void fake_end_container(struct fake_engine *engine, struct container *container, int status)
{
    if (strcmp(container->state, "running") != 0)
        return;
    strcpy(container->state, "exited");
    container->status = status;
    fake_close_streams(engine, ATTACHED, container->id);
    tell_event(engine, container, "die");
}

static void forget(struct fake_engine *engine, struct container *container)
{
    TAILQ_REMOVE(&engine->containers, container, link);
    free(container->spec);
    free(container);
}

void fake_remove_container(struct fake_engine *engine, struct container *container)
{
    fake_end_container(engine, container, 137);
    tell_event(engine, container, "destroy");
    forget(engine, container);
}

void fake_start_container(struct fake_engine *engine, struct container *container)
{
    strcpy(container->state, "running");
    if (fake_is_mode(container, "fails")) {
        speak(engine, container, 2, "first words\nthe disk is on fire\n");
        fake_end_container(engine, container, 3);
    } else if (fake_is_mode(container, "garbles")) {
        speak(engine, container, 1, "quoit.example:80\n");
    } else if (fake_is_mode(container, "halves")) {
        speak(engine, container, 1, "0.0.0.0:50");
        speak(engine, container, 1, "00\n");
    } else if (!fake_is_mode(container, "mute")) {
        speak(engine, container, 2, "it goes on\n");
        speak(engine, container, 1, "0.0.0.0:5000\n");
    }
}

void fake_add_record(struct fake_engine *engine, const char *id, const char *name,
                     const char *server, const char *cluster, const char *state)
{
    struct container *container = mem_zalloc(1, sizeof(*container));

    engine->n_made++;
    snprintf(container->id, sizeof(container->id), "%s", id);
    snprintf(container->name, sizeof(container->name), "%s", name);
    snprintf(container->server, sizeof(container->server), "%s", server);
    snprintf(container->cluster, sizeof(container->cluster), "%s", cluster ? cluster : "");
    snprintf(container->state, sizeof(container->state), "%s", state);
    if (strncmp(server, "nowhere", 7) != 0)
        snprintf(container->address, sizeof(container->address), "127.9.%u.%u",
                 engine->n_made / 200, engine->n_made % 200 + 1);
    TAILQ_INSERT_TAIL(&engine->containers, container, link);
}

/* ---- calls -------------------------------------------------------------------------------- */

cJSON *fake_labels_of(const struct container *container)
{
    cJSON *spec =
        container->spec ? json_parse(container->spec, strlen(container->spec), NULL) : NULL;
    cJSON *labels = spec ? cJSON_DetachItemFromObject(spec, "Labels") : NULL;

    cJSON_Delete(spec);
    if (labels)
        return labels;
    labels = cJSON_CreateObject();
    if (container->cluster[0])
        cJSON_AddStringToObject(labels, "quoit.cluster", container->cluster);
    cJSON_AddStringToObject(labels, "quoit.name", container->server);
    return labels;
}

static void call_create(struct connection *connection, const char *name, const char *body)
{
    struct fake_engine *engine = connection->engine;
    char id[80];
    cJSON *spec = json_parse(body, strlen(body), NULL);
    const char *server = json_get_string(spec, "Hostname");

    if (fake_find(engine, name)) {
        char *message = mem_printf("Conflict. The container name \"/%s\" is already in use by "
                                   "container \"%s\".",
                                   name, fake_find(engine, name)->id);
        fake_answer_message(connection, 409, message);
        free(message);
    } else {
        snprintf(id, sizeof(id), "%064x", engine->n_made + 1);
        fake_add_record(engine, id, name, server ? server : "", "", "created");
        fake_find(engine, id)->spec = mem_strdup(body);
        free(engine->last_spec);
        engine->last_spec = mem_strdup(body);
        tell_event(engine, fake_find(engine, id), "create");
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "Id", id);
        fake_answer_tree(connection, 201, tree);
    }
    cJSON_Delete(spec);
}

static void call_list(struct connection *connection)
{
    struct container *container;
    cJSON *tree = cJSON_CreateArray();

    TAILQ_FOREACH(container, &connection->engine->containers, link)
    {
        cJSON *labels = fake_labels_of(container);
        if (!json_get(labels, "quoit.cluster")) {
            cJSON_Delete(labels);
            continue;
        }
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "Id", container->id);
        cJSON_AddStringToObject(row, "State", container->state);
        cJSON_AddStringToObject(row, "Status", "Exited (137) 2 seconds ago");
        cJSON_AddItemToObject(row, "Labels", labels);
        cJSON_AddItemToArray(tree, row);
    }
    fake_answer_tree(connection, 200, tree);
}

static void call_inspect(struct connection *connection, const struct container *container)
{
    cJSON *tree = cJSON_CreateObject();

    cJSON_AddStringToObject(tree, "Id", container->id);
    cJSON_AddItemToObject(cJSON_AddObjectToObject(tree, "Config"), "Labels",
                          fake_labels_of(container));
    cJSON *state = cJSON_AddObjectToObject(tree, "State");
    cJSON_AddBoolToObject(state, "Running", strcmp(container->state, "running") == 0);
    json_add_int64(state, "Pid", 4321);
    cJSON *networks =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(tree, "NetworkSettings"), "Networks");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(networks, "n1"), "IPAddress",
                            container->address);
    fake_answer_tree(connection, 200, tree);
}

/* VERB of "containers/ID/VERB?query". */
static void call_container(struct connection *connection, const char *method,
                           struct container *container, const char *verb, const char *query)
{
    struct fake_engine *engine = connection->engine;

    if (strcmp(method, "DELETE") == 0) {
        fake_remove_container(engine, container);
        fake_answer(connection, 204, "");
    } else if (strcmp(verb, "json") == 0) {
        call_inspect(connection, container);
    } else if (strcmp(verb, "attach") == 0) {
        snprintf(connection->id, sizeof(connection->id), "%s", container->id);
        fake_open_stream(connection, ATTACHED);
    } else if (strcmp(verb, "start") == 0 && engine->start_status != 0) {
        fake_answer_message(connection, engine->start_status, engine->start_message);
        engine->start_status = 0;
    } else if (strcmp(verb, "start") == 0) {
        fake_answer(connection, 204, "");
        fake_start_container(engine, container);
    } else if (strcmp(verb, "rename") == 0) {
        snprintf(container->name, sizeof(container->name), "%s", strchr(query, '=') + 1);
        fake_answer(connection, 204, "");
    } else if (strcmp(verb, "kill") == 0) {
        fake_answer(connection, 204, "");
        if (!fake_is_mode(container, "stubborn"))
            fake_end_container(engine, container, 0);
    } else {
        fake_answer_message(connection, 404, "page not found");
    }
}

bool fake_containers_dispatch(struct connection *connection, const char *method, char *path,
                              const char *query, const char *body)
{
    if (strncmp(path, "containers/", 11) != 0)
        return false;
    if (strcmp(path, "containers/json") == 0) {
        call_list(connection);
    } else if (strcmp(path, "containers/create") == 0) {
        call_create(connection, strchr(query, '=') + 1, body);
    } else {
        char *key = path + 11, *verb = strchr(key, '/');
        if (verb)
            *verb++ = '\0';
        struct container *container = fake_find(connection->engine, key);
        if (container)
            call_container(connection, method, container, verb ? verb : "", query);
        else
            fake_answer_message(connection, 404, "No such container");
    }
    return true;
}

void fake_containers_free(struct fake_engine *engine)
{
    while (!TAILQ_EMPTY(&engine->containers))
        forget(engine, TAILQ_FIRST(&engine->containers));
    free(engine->last_spec);
}

/* ---- scripting ---------------------------------------------------------------------------- */

void fake_engine_refuse_start(struct fake_engine *engine, int status, const char *message)
{
    engine->start_status = status;
    snprintf(engine->start_message, sizeof(engine->start_message), "%s", message);
}

void fake_engine_add(struct fake_engine *engine, const char *name, const char *cluster,
                     const char *id, const char *state)
{
    fake_add_record(engine, id, name, name, cluster, state);
}

void fake_engine_tell_made(struct fake_engine *engine, const char *name)
{
    assert(fake_find(engine, name));
    tell_event(engine, fake_find(engine, name), "create");
}

void fake_engine_end(struct fake_engine *engine, const char *name, int status, bool out_of_memory)
{
    struct container *container = fake_find(engine, name);

    assert(container);
    if (out_of_memory)
        tell_event(engine, container, "oom");
    fake_end_container(engine, container, status);
}

void fake_engine_remove(struct fake_engine *engine, const char *name)
{
    assert(fake_find(engine, name));
    fake_remove_container(engine, fake_find(engine, name));
}

size_t fake_engine_n_containers(const struct fake_engine *engine)
{
    struct container *container;
    size_t n = 0;

    TAILQ_FOREACH(container, &engine->containers, link)
    n++;
    return n;
}

bool fake_engine_has(const struct fake_engine *engine, const char *name)
{
    return fake_find(engine, name) != NULL;
}

const char *fake_engine_last_spec(const struct fake_engine *engine)
{
    return engine->last_spec;
}
