/* Numeric socket addresses. No name is ever resolved: a resolver blocks the loop (law 2), and a
 * name from a client must not reach one (law 7). "localhost" is 127.0.0.1. */
#ifndef QUOIT_CORE_ADDR_H
#define QUOIT_CORE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/err.h"

struct addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* "[::1]:65535" and the NUL fit. */
#define ADDR_TEXT_BYTES 64

/* "127.0.0.1:5000", "[::1]:5000", "localhost:5000", ":5000" (all IPv4 interfaces), "0.0.0.0:0".
 * 0 or -EINVAL naming what is wrong. */
int addr_parse(const char *text, struct addr *ret_addr, struct err *err);
/* HOST:PORT into text (ADDR_TEXT_BYTES) and returns it. */
const char *addr_format(const struct addr *addr, char *text);
uint16_t addr_port(const struct addr *addr);
/* Same family, host and port. */
bool addr_equal(const struct addr *a, const struct addr *b);

#endif
