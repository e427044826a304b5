/* What a server's container is made of: the least that it can work with. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "spawnerd/container.h"

#define TEXT_OF_(number) #number
#define TEXT_OF(number) TEXT_OF_(number)
#define LISTEN "0.0.0.0:" TEXT_OF(CONTAINER_PORT)

char *container_engine_name(const struct fleet *fleet, const char *name)
{
    const struct fleet_config *config = &fleet->config;

    /* The engine wants two characters. */
    if (!config->prefix[0] && strlen(name) < 2)
        return mem_printf("%s-%s", config->cluster, name);
    return mem_printf("%s%s", config->prefix, name);
}

char *container_volume(const struct fleet *fleet, uint64_t data)
{
    return mem_printf("quoit-%s-%" PRIu64, fleet->config.cluster, data);
}

static void add_number(cJSON *object, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddStringToObject(object, key, text);
}

void container_add_words(cJSON *tree, const char *key, const struct container *container,
                         const char *listen)
{
    char id[24];
    snprintf(id, sizeof(id), "%" PRIu64, container->id);
    /* Where it listens is told on its standard output, which we have attached. */
    const char *const words[] = {"server", "--listen", listen,       "--name", container->name,
                                 "--id",   id,         "--ready-fd", "1"};
    cJSON *command = cJSON_AddArrayToObject(tree, key);

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        cJSON_AddItemToArray(command, cJSON_CreateString(words[i]));
    for (size_t i = 0; container->words[i]; i++)
        cJSON_AddItemToArray(command, cJSON_CreateString(container->words[i]));
    if (container->data != 0) {
        cJSON_AddItemToArray(command, cJSON_CreateString("--data"));
        cJSON_AddItemToArray(command, cJSON_CreateString(CONTAINER_DATA_DIR));
    }
}

void container_add_labels(cJSON *tree, const struct container *container)
{
    cJSON *labels = cJSON_AddObjectToObject(tree, "Labels");

    cJSON_AddStringToObject(labels, LABEL_CLUSTER, container->fleet->config.cluster);
    cJSON_AddStringToObject(labels, LABEL_NAME, container->name);
    add_number(labels, LABEL_ID, container->id);
    add_number(labels, LABEL_DATA, container->data);
    cJSON_AddStringToObject(labels, LABEL_START, container->start);
    if (container->n_groups == 0)
        return;
    struct buf groups;
    buf_init(&groups, 0);
    for (size_t i = 0; i < container->n_groups; i++)
        buf_appendf(&groups, "%s%" PRIu32, i > 0 ? "," : "", container->groups[i]);
    cJSON_AddStringToObject(labels, LABEL_GROUPS, buf_str(&groups));
    buf_done(&groups);
}

static void add_volume(cJSON *host, const struct container *container)
{
    const struct fleet *fleet = container->fleet;
    char *volume = container_volume(fleet, container->data);
    cJSON *mount = cJSON_CreateObject();

    cJSON_AddStringToObject(mount, "Type", "volume");
    cJSON_AddStringToObject(mount, "Source", volume);
    cJSON_AddStringToObject(mount, "Target", CONTAINER_DATA_DIR);
    cJSON *labels =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(mount, "VolumeOptions"), "Labels");
    cJSON_AddStringToObject(labels, LABEL_CLUSTER, fleet->config.cluster);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(host, "Mounts"), mount);
    free(volume);
}

static void add_limits(cJSON *tree, const struct container *container)
{
    const struct fleet_config *config = &container->fleet->config;
    cJSON *host = cJSON_AddObjectToObject(tree, "HostConfig");

    cJSON_AddStringToObject(host, "NetworkMode", config->network);
    cJSON_AddTrueToObject(host, "ReadonlyRootfs");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(host, "CapDrop"), cJSON_CreateString("ALL"));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(host, "SecurityOpt"),
                         cJSON_CreateString("no-new-privileges"));
    json_add_uint64(host, "Memory", config->memory_bytes);
    json_add_uint64(host, "MemorySwap", config->memory_bytes); /* no swap beside it */
    json_add_uint64(host, "PidsLimit", config->n_pids);
    cJSON *tmpfs = cJSON_AddObjectToObject(host, "Tmpfs");
    cJSON_AddStringToObject(tmpfs, "/tmp", "rw,nosuid,nodev,noexec,mode=1777,size=16m");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(host, "RestartPolicy"), "Name", "no");
    cJSON *log = cJSON_AddObjectToObject(host, "LogConfig");
    cJSON_AddStringToObject(log, "Type", "json-file");
    cJSON *log_config = cJSON_AddObjectToObject(log, "Config");
    cJSON_AddStringToObject(log_config, "max-size", "10m");
    cJSON_AddStringToObject(log_config, "max-file", "2");
    if (container->data != 0)
        add_volume(host, container);
    cJSON *endpoints = cJSON_AddObjectToObject(cJSON_AddObjectToObject(tree, "NetworkingConfig"),
                                               "EndpointsConfig");
    cJSON_AddObjectToObject(endpoints, config->network);
}

char *container_print_spec(cJSON *tree)
{
    struct buf text;

    buf_init(&text, 0);
    json_print(&text, tree, false);
    char *body = mem_strdup(buf_str(&text));
    buf_done(&text);
    cJSON_Delete(tree);
    return body;
}

char *container_spec(const struct container *container)
{
    cJSON *tree = cJSON_CreateObject();

    cJSON_AddStringToObject(tree, "Image", container->fleet->config.image);
    cJSON_AddStringToObject(tree, "Hostname", container->name);
    cJSON_AddStringToObject(tree, "StopSignal", "SIGTERM");
    container_add_words(tree, "Cmd", container, LISTEN);
    container_add_labels(tree, container);
    /* The LB asks its servers itself, five times a second. */
    cJSON *test = cJSON_AddArrayToObject(cJSON_AddObjectToObject(tree, "Healthcheck"), "Test");
    cJSON_AddItemToArray(test, cJSON_CreateString("NONE"));
    add_limits(tree, container);
    return container_print_spec(tree);
}
