/* How a started program tells its parent that it listens, and where: it writes "HOST:PORT\n" to an
 * inherited pipe (`--ready-fd N`) and closes it. A pipe that closes empty means it failed. */
#ifndef QUOIT_CORE_READY_H
#define QUOIT_CORE_READY_H

#include "core/addr.h"
#include "core/err.h"

/* Writes the address and closes fd. fd < 0: does nothing. 0 or a negative errno. */
int ready_tell(int fd, const struct addr *addr);

#endif
