#include "backends/client.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

FAMILY_DEFINE(client);

const char *client_error_name(enum client_error error)
{
    static const char *const names[CLIENT_N_ERRORS] = {
        [CLIENT_OK] = "ok",
        [CLIENT_REFUSED] = "refused",
        [CLIENT_UNREACHABLE] = "unreachable",
        [CLIENT_RESET] = "reset",
        [CLIENT_CLOSED] = "closed",
        [CLIENT_TIMEOUT] = "timeout",
        [CLIENT_SLOW] = "slow",
        [CLIENT_MALFORMED] = "malformed",
        [CLIENT_TOO_LARGE] = "too_large",
        [CLIENT_LOCAL] = "local",
        [CLIENT_OTHER] = "other",
    };
    assert((unsigned)error < CLIENT_N_ERRORS);
    return names[error];
}

enum client_error client_error_of_errno(int error_number)
{
    switch (error_number) {
    case ECONNREFUSED:
        return CLIENT_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
        return CLIENT_UNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return CLIENT_RESET;
    case ETIMEDOUT:
        return CLIENT_TIMEOUT;
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return CLIENT_LOCAL;
    default:
        return CLIENT_OTHER;
    }
}

size_t client_read_server_name(const char *value, size_t n, char ret_name[NAME_MAX_BYTES + 1])
{
    while (n > 0 && strchr(" \t\r\n", value[n - 1]))
        n--;
    while (n > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    if (n > NAME_MAX_BYTES)
        return 0;
    memcpy(ret_name, value, n);
    ret_name[n] = '\0';
    return strlen(ret_name) == n && name_valid(ret_name) ? n : 0;
}

int client_open(const struct spec *spec, const struct client_config *config,
                const struct client_handler *handler, void *context, struct client **ret_client,
                struct err *err)
{
    const struct client_ops *ops = (const struct client_ops *)spec->part;

    assert(config->loop && handler->on_done && config->timeout_ns > 0);
    if (config->n_slots == 0 || config->n_slots > CLIENT_MAX_SLOTS)
        return err_set(err, -EINVAL, "%u requests in flight asked for, 1 … %u are possible",
                       config->n_slots, CLIENT_MAX_SLOTS);
    if (addr_port(&config->addr) == 0)
        return err_set(err, -EINVAL, "port 0 cannot be connected to");
    return ops->open(spec->params, config, handler, context, ret_client, err);
}
