#include "core/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The decimal port, 0 … 65535, digits only. */
static int addr_parse_port(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;
    size_t n = strlen(text);

    if (n == 0 || n > 5)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port > UINT16_MAX)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

static int addr_parse_v6(const char *host, uint16_t port, struct addr *addr)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr->storage;

    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    addr->len = sizeof(*in6);
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
}

static int addr_parse_v4(const char *host, uint16_t port, struct addr *addr)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addr->storage;

    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    addr->len = sizeof(*in);
    if (host[0] == '\0')
        host = "0.0.0.0";
    else if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
}

int addr_parse(const char *text, struct addr *ret_addr, struct err *err)
{
    struct addr addr;
    char host[ADDR_TEXT_BYTES];
    const char *colon = strrchr(text, ':');
    size_t n_host;
    uint16_t port;
    int result;

    memset(&addr, 0, sizeof(addr));
    if (colon == NULL || strchr(colon, ']') != NULL)
        return err_set(err, -EINVAL, "address '%s' has no port: HOST:PORT is wanted", text);
    if (addr_parse_port(colon + 1, &port) < 0)
        return err_set(err, -EINVAL, "address '%s': '%s' is not a port from 0 to 65535", text,
                       colon + 1);
    n_host = (size_t)(colon - text);
    if (n_host >= sizeof(host))
        return err_set(err, -EINVAL, "address '%s': the host is too long", text);
    memcpy(host, text, n_host);
    host[n_host] = '\0';
    if (host[0] == '[' && host[n_host - 1] == ']') {
        host[n_host - 1] = '\0';
        result = addr_parse_v6(host + 1, port, &addr);
    } else if (strchr(host, ':') != NULL) {
        return err_set(err, -EINVAL, "address '%s': an IPv6 host stands in brackets, [::1]:5000",
                       text);
    } else {
        result = addr_parse_v4(host, port, &addr);
    }
    if (result < 0)
        return err_set(err, -EINVAL,
                       "address '%s': '%.*s' is not a numeric address (no name but localhost is "
                       "resolved)",
                       text, (int)n_host, text);
    *ret_addr = addr;
    return 0;
}

const char *addr_format(const struct addr *addr, char *text)
{
    char host[INET6_ADDRSTRLEN];

    if (addr->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(text, ADDR_TEXT_BYTES, "%s:%u", host, ntohs(in->sin_port));
    } else if (addr->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(text, ADDR_TEXT_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(text, ADDR_TEXT_BYTES, "(no address)");
    }
    return text;
}

uint16_t addr_port(const struct addr *addr)
{
    if (addr->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
    if (addr->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
    return 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (a->storage.ss_family != b->storage.ss_family || addr_port(a) != addr_port(b))
        return false;
    if (a->storage.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&a->storage)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)&b->storage)->sin_addr.s_addr;
    if (a->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)&a->storage;
        const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)&b->storage;

        return memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0 &&
               x->sin6_scope_id == y->sin6_scope_id;
    }
    return true; /* both without an address */
}
