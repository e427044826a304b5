#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "server/service.h"

static bool is_among(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int check_members(const cJSON *body, const char *const *names, struct err *err)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, body) {
        if (is_among(member->string, names))
            continue;
        char known[512] = "";
        for (size_t i = 0; names[i]; i++)
            snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s\"%s\"",
                     i > 0 ? ", " : "", names[i]);
        return err_set(err, -EINVAL, "\"%.80s\" is not known here: the body has %s", member->string,
                       known);
    }
    return 0;
}

int body_read(const struct http_message *request, const char *const *names, cJSON **ret_body,
              struct err *err)
{
    cJSON *body = json_parse_body(request->body.at, request->body.len, err);
    if (!body)
        return -EINVAL;
    int rc = check_members(body, names, err);
    if (rc != 0) {
        cJSON_Delete(body);
        return rc;
    }
    *ret_body = body;
    return 0;
}

int service_check_configured(const struct service *service, struct err *err)
{
    return service->replicas
               ? 0
               : err_set(err, -ENXIO, "the server has no shards yet: POST /config first");
}

struct replica *body_find_replica(struct service *service, const cJSON *name, struct err *err)
{
    if (!cJSON_IsString(name)) {
        err_set(err, -EINVAL, "\"shard\" is missing or no string");
        return NULL;
    }
    struct replica *replica = replica_find(service, name->valuestring, strlen(name->valuestring));
    if (!replica)
        err_set(err, -EINVAL, "shard '%.80s' is not on this server", name->valuestring);
    return replica;
}

int body_read_call(struct service *service, const struct http_message *request,
                   const char *const *names, cJSON **ret_body, struct replica **ret_replica,
                   struct err *err)
{
    int rc = service_check_configured(service, err);
    cJSON *body;
    if (rc == 0)
        rc = body_read(request, names, &body, err);
    if (rc != 0)
        return rc;
    struct replica *replica = body_find_replica(service, json_get(body, "shard"), err);
    if (!replica) {
        cJSON_Delete(body);
        return -EINVAL;
    }
    *ret_body = body;
    *ret_replica = replica;
    return 0;
}

/* "-?[0-9]+" within int64. */
static bool read_integer(struct http_view text, int64_t *ret_value)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    size_t i = negative;
    int64_t value = 0;
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -(int)digit : (int)digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

int query_int64(const struct http_message *request, const char *name, const int64_t *fallback,
                int64_t *ret_value, struct err *err)
{
    struct http_view text = http_query_value(request->query, name);
    if (!text.at && fallback) {
        *ret_value = *fallback;
        return 0;
    }
    if (!text.at)
        return err_set(err, -EINVAL, "the query has no %s=", name);
    if (!read_integer(text, ret_value))
        return err_set(err, -EINVAL, "%s=%.*s is no integer of 64 bits", name,
                       (int)(text.len < 80 ? text.len : 80), text.at);
    return 0;
}
