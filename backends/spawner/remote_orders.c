#include "backends/spawner/remote_orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"

/* Where a server's data directory is in its container. */
#define DATA_OPTION "--data"

static cJSON *order(const char *verb)
{
    cJSON *line = cJSON_CreateObject();

    cJSON_AddStringToObject(line, "do", verb);
    return line;
}

void remote_order_stop(struct docker_wire *wire, uint64_t uid, uint64_t grace_ns)
{
    cJSON *line = order("stop");

    json_add_uint64(line, "uid", uid);
    json_add_uint64(line, "grace_ms", (grace_ns + NS_PER_MS - 1) / NS_PER_MS);
    docker_wire_send(wire, line);
}

void remote_order_adopt(struct docker_wire *wire, uint64_t uid, const char *reference)
{
    cJSON *line = order("adopt");

    json_add_uint64(line, "uid", uid);
    cJSON_AddStringToObject(line, "reference", reference);
    docker_wire_send(wire, line);
}

static void add_word(cJSON *words, const char *word)
{
    cJSON_AddItemToArray(words, cJSON_CreateString(word));
}

/* All but the data directory, which is the container's own affair. */
static void add_words(cJSON *words, const char *const *list)
{
    for (size_t i = 0; list && list[i]; i++) {
        if (strcmp(list[i], DATA_OPTION) == 0 && list[i + 1])
            i++;
        else
            add_word(words, list[i]);
    }
}

static void add_groups(cJSON *line, const struct spawner_request *request)
{
    size_t n =
        request->n_groups < DOCKER_WIRE_MAX_GROUPS ? request->n_groups : DOCKER_WIRE_MAX_GROUPS;
    cJSON *groups = cJSON_AddArrayToObject(line, "groups");

    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(groups, cJSON_CreateNumber(request->groups[i]));
}

void remote_order_start(struct docker_wire *wire, const struct spawner_request *request,
                        const struct spawner_config *config)
{
    cJSON *line = order("start");
    char orphan_after[32];
    uint64_t orphan_us = (config->orphan_after_ns + 999) / 1000; /* 0 means never */

    json_add_uint64(line, "uid", request->uid);
    cJSON_AddStringToObject(line, "name", request->name);
    json_add_uint64(line, "id", request->id);
    json_add_uint64(line, "data", request->data_id);
    cJSON_AddBoolToObject(line, "new", request->data_is_new);
    cJSON *words = cJSON_AddArrayToObject(line, "words");
    snprintf(orphan_after, sizeof(orphan_after), "%" PRIu64 "us", orphan_us);
    add_word(words, "--orphan-after");
    add_word(words, orphan_after);
    add_words(words, config->server_args);
    add_words(words, request->args);
    add_groups(line, request);
    docker_wire_send(wire, line);
}

void remote_order_remove_data(struct docker_wire *wire, uint64_t data_id)
{
    cJSON *line = order("remove_data");

    json_add_uint64(line, "data", data_id);
    docker_wire_send(wire, line);
}

void remote_order_purge(struct docker_wire *wire)
{
    docker_wire_send(wire, order("purge"));
}
