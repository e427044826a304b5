/* What a server's service is made of: the least that it can work with, on the node that was chosen.
 * As container_spec.c, in the words of services. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "spawnerd/swarm.h"

/* A service's name has up to 63 letters, digits, dashes; of ours more than these are cut off. */
#define MAX_SERVICE_NAME_BYTES 36
#define STOP_GRACE_NS (5 * NS_PER_S)
#define TMP_BYTES (UINT64_C(16) << 20)
#define TMP_MODE 0777

bool service_uses_host(const struct fleet *fleet)
{
    return strcmp(fleet->config.network, "host") == 0;
}

char *service_name(const struct container *container)
{
    char *name = mem_printf("%s%s", container->fleet->config.prefix, container->name);
    size_t n = strlen(name) < MAX_SERVICE_NAME_BYTES ? strlen(name) : MAX_SERVICE_NAME_BYTES;

    while (n > 1 && !isalnum((unsigned char)name[n - 1]))
        n--;
    name[n] = '\0';
    for (char *byte = name; *byte; byte++)
        if (!isalnum((unsigned char)*byte) && *byte != '_')
            *byte = '-';
    if (container->n_renames == 0)
        return name;
    /* Another of ours has that name and has not ended yet. */
    char *other = mem_printf("%s-%s", name, container->start);
    free(name);
    return other;
}

char *service_data_name(const struct fleet *fleet, uint64_t data)
{
    return mem_printf("quoit-%s-data-%" PRIu64, fleet->config.cluster, data);
}

static void add_string(cJSON *array, const char *text)
{
    cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static void add_mounts(cJSON *tree, const struct container *container)
{
    cJSON *mounts = cJSON_AddArrayToObject(tree, "Mounts");
    cJSON *tmp = cJSON_CreateObject();

    cJSON_AddStringToObject(tmp, "Type", "tmpfs");
    cJSON_AddStringToObject(tmp, "Target", "/tmp");
    cJSON *options = cJSON_AddObjectToObject(tmp, "TmpfsOptions");
    json_add_uint64(options, "SizeBytes", TMP_BYTES);
    json_add_uint64(options, "Mode", TMP_MODE);
    cJSON_AddItemToArray(mounts, tmp);
    if (container->data == 0)
        return;
    cJSON *mount = cJSON_CreateObject();
    cJSON_AddStringToObject(mount, "Type", "volume");
    cJSON_AddStringToObject(mount, "Source", container->volume);
    cJSON_AddStringToObject(mount, "Target", CONTAINER_DATA_DIR);
    cJSON *labels =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(mount, "VolumeOptions"), "Labels");
    cJSON_AddStringToObject(labels, LABEL_CLUSTER, container->fleet->config.cluster);
    cJSON_AddItemToArray(mounts, mount);
}

static void add_container(cJSON *task, const struct container *container, const char *address)
{
    const struct fleet_config *config = &container->fleet->config;
    cJSON *tree = cJSON_AddObjectToObject(task, "ContainerSpec");
    char *listen = service_uses_host(container->fleet) ? mem_printf("%s:0", address)
                                                       : mem_printf("0.0.0.0:%d", CONTAINER_PORT);

    cJSON_AddStringToObject(tree, "Image", config->image);
    cJSON_AddStringToObject(tree, "Hostname", container->name);
    cJSON_AddStringToObject(tree, "StopSignal", "SIGTERM");
    json_add_uint64(tree, "StopGracePeriod", STOP_GRACE_NS);
    container_add_words(tree, "Args", container, listen);
    container_add_labels(tree, container); /* for the event stream */
    add_string(cJSON_AddArrayToObject(cJSON_AddObjectToObject(tree, "HealthCheck"), "Test"),
               "NONE");
    cJSON_AddTrueToObject(tree, "ReadOnly");
    add_string(cJSON_AddArrayToObject(tree, "CapabilityDrop"), "ALL");
    /* Engines before 25 do not know it, and do without. */
    cJSON_AddTrueToObject(cJSON_AddObjectToObject(tree, "Privileges"), "NoNewPrivileges");
    add_mounts(tree, container);
    free(listen);
}

static void add_log(cJSON *task)
{
    cJSON *log = cJSON_AddObjectToObject(task, "LogDriver");

    cJSON_AddStringToObject(log, "Name", "json-file");
    cJSON *options = cJSON_AddObjectToObject(log, "Options");
    cJSON_AddStringToObject(options, "max-size", "10m");
    cJSON_AddStringToObject(options, "max-file", "2");
}

char *service_spec(const struct container *container, const char *address)
{
    const struct fleet_config *config = &container->fleet->config;
    cJSON *tree = cJSON_CreateObject();
    char *name = service_name(container);
    char *constraint = mem_printf("node.id==%s", container->node);

    cJSON_AddStringToObject(tree, "Name", name);
    container_add_labels(tree, container);
    cJSON *task = cJSON_AddObjectToObject(tree, "TaskTemplate");
    add_container(task, container, address);
    cJSON *limits = cJSON_AddObjectToObject(cJSON_AddObjectToObject(task, "Resources"), "Limits");
    json_add_uint64(limits, "MemoryBytes", config->memory_bytes);
    json_add_uint64(limits, "Pids", config->n_pids);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(task, "RestartPolicy"), "Condition", "none");
    add_string(cJSON_AddArrayToObject(cJSON_AddObjectToObject(task, "Placement"), "Constraints"),
               constraint);
    add_log(task);
    cJSON *network = cJSON_CreateObject();
    cJSON_AddStringToObject(network, "Target", config->network);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(task, "Networks"), network);
    cJSON *mode = cJSON_AddObjectToObject(cJSON_AddObjectToObject(tree, "Mode"), "Replicated");
    json_add_uint64(mode, "Replicas", 1);
    /* No virtual address, for which the kernel would need IPVS. */
    cJSON_AddStringToObject(cJSON_AddObjectToObject(tree, "EndpointSpec"), "Mode", "dnsrr");
    free(constraint);
    free(name);
    return container_print_spec(tree);
}

char *service_data_spec(const struct container *container)
{
    cJSON *tree = cJSON_CreateObject();
    char *name = service_data_name(container->fleet, container->data);
    char data[24];

    cJSON_AddStringToObject(tree, "Name", name);
    cJSON *labels = cJSON_AddObjectToObject(tree, "Labels");
    cJSON_AddStringToObject(labels, LABEL_CLUSTER, container->fleet->config.cluster);
    snprintf(data, sizeof(data), "%" PRIu64, container->data);
    cJSON_AddStringToObject(labels, LABEL_DATA, data);
    cJSON_AddStringToObject(labels, LABEL_NODE, container->node);
    cJSON_AddStringToObject(labels, LABEL_VOLUME, container->volume);
    cJSON_AddStringToObject(tree, "Data", "cXVvaXQK"); /* base64 of some word: the labels say all */
    free(name);
    return container_print_spec(tree);
}
