/* The words between the spawners docker and swarm (in the load balancer) and the process `quoit
 * spawner`, which holds the engine's socket: JSON objects, one a line, over a private unix socket.
 *
 *   LB → spawner process
 *     {"do":"start","uid":7,"name":"S5","id":5,"words":["--store","file"],"data":12,"new":true,
 *      "groups":[3,4]}          servers that share a group are kept on different machines
 *     {"do":"adopt","uid":7,"reference":"CONTAINER"}
 *     {"do":"stop","uid":7,"grace_ms":2000}
 *     {"do":"remove_data","data":12}
 *     {"do":"purge"}              whatever of the cluster nobody started or adopted here, goes
 *
 *   spawner process → LB
 *     {"say":"hello","protocol":1,"cluster":"quoit","makes":"containers"}
 *     {"say":"here","reference":"CONTAINER","name":"S5"}   runs already, told by nobody yet
 *     {"say":"ready"}             all that run have been named, and the engine answers
 *     {"say":"unready","why":…}   the engine does not answer
 *     {"say":"started","uid":7,"reference":"CONTAINER","address":"172.18.0.3:5000","pid":9}
 *     {"say":"failed","uid":7,"code":17,"why":…}           code: a positive errno
 *     {"say":"exited","uid":7,"why":…}
 *     {"say":"gone","reference":"CONTAINER","why":…}       one that was named "here" has ended
 *     {"say":"refused","why":…}   then the connection is closed
 *
 * pid: of the container's first process, as the machine numbers it; 0: not known.
 *
 * Nothing in them chooses an image, a command, a mount, a network or a right: the spawner process
 * was told these when it was started, and a name or a number is all that a container's making takes
 * from here. */
#ifndef QUOIT_BACKENDS_SPAWNER_DOCKER_WIRE_H
#define QUOIT_BACKENDS_SPAWNER_DOCKER_WIRE_H

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define DOCKER_WIRE_PROTOCOL 1
#define DOCKER_WIRE_MAX_LINE_BYTES 8192
#define DOCKER_WIRE_MAX_UNSENT_BYTES ((size_t)4 << 20)
#define DOCKER_WIRE_DEFAULT_SOCKET "/run/quoit/spawner.sock"
/* Groups of a start: a line has to hold them. */
#define DOCKER_WIRE_MAX_GROUPS 256
/* A container's or a service's id, and its NUL. */
#define DOCKER_REFERENCE_BYTES 80

/* One end of a connection. Everything on the loop's thread. */
struct docker_wire {
    struct ev_loop *loop; /* (ref) */
    int fd;               /* −1: closed */
    struct ev_io reader, writer;
    struct buf in, out;
    /* A whole line came, as an object. May close and free the wire. */
    void (*on_line)(void *context, const cJSON *line);
    /* It broke, or the peer said something that is no line (-EPROTO, the reason in err). The wire
     * is closed by then. Never within a call. */
    void (*on_broken)(void *context, const struct err *err);
    void *context;
    bool *closed_flag; /* set when it is closed within a callback */
    bool sick;         /* a write failed: the reader tells */
};

/* Takes over a connected, non-blocking descriptor. The wire stays where it is until it is closed.
 */
void docker_wire_open(struct docker_wire *wire, struct ev_loop *loop, int fd,
                      void (*on_line)(void *context, const cJSON *line),
                      void (*on_broken)(void *context, const struct err *err), void *context);
/* Takes a zeroed and a closed one. */
void docker_wire_close(struct docker_wire *wire);
bool docker_wire_is_open(const struct docker_wire *wire);
/* Sends the object as a line, and frees it. What does not fit breaks the connection. */
void docker_wire_send(struct docker_wire *wire, cJSON *line);
/* Reads what there is and hands out its lines; true while the wire is open. For one who waits with
 * poll(2) before the loop runs. */
bool docker_wire_read(struct docker_wire *wire);

/* Connects to the socket of that path: the descriptor, non-blocking, or a negative errno. */
int docker_wire_connect(const char *path, struct err *err);
/* Listens on that path for this user and group (0660), in place of a socket that nobody listens on.
 * The descriptor, or a negative errno; -EADDRINUSE: somebody does listen; -ENOTSOCK: another file
 * is there. */
int docker_wire_listen(const char *path, struct err *err);

#endif
