/* Non-blocking TCP sockets, close-on-exec, with TCP_NODELAY. */
#ifndef QUOIT_CORE_NET_H
#define QUOIT_CORE_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/err.h"

/* A listening socket. shared: SO_REUSEPORT, so that several sockets of this program share the port;
 * an address that somebody else listens on is refused all the same. ret_bound gets the address with
 * the port the kernel chose. Returns the descriptor or a negative errno naming the address. */
int net_listen(const struct addr *addr, bool shared, struct addr *ret_bound, struct err *err);
/* One more socket on an address that net_listen(shared) bound before. */
int net_listen_again(const struct addr *bound, struct err *err);
/* Begins to connect. Returns the descriptor (writable once connected; net_socket_error() tells how
 * it went) or a negative errno. */
int net_connect(const struct addr *addr);
/* Takes the socket's pending error: 0 or a negative errno. */
int net_socket_error(int fd);
/* accept4(); a negative errno where there is none. */
int net_accept(int listener, struct addr *ret_peer);
/* Bytes given to the socket that the peer's side has not taken yet. */
size_t net_unacked_bytes(int fd);
/* Raises the soft limit of open descriptors to the hard one; returns what it is then. */
unsigned long net_raise_fd_limit(void);

#endif
