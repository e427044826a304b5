/* An HTTP server that lies, for testing what sends requests: a thread with blocking sockets on an
 * ephemeral loopback port, another thread a connection. The path of a request chooses the lie, so
 * that one server serves a whole test file:
 *
 *   /ok             200, "Hello from Server: 1", X-Quoit-Server: Server1, kept alive
 *   /chunked        the same, chunked in three pieces
 *   /close          the same, Connection: close
 *   /unframed       the same without a length, ended by closing
 *   /continue       103 Early Hints naming another server before the true answer
 *   /unnamed        /ok without X-Quoit-Server
 *   /badname        X-Quoit-Server: a name that is none
 *   /names          Server1, Server2, … a new name for every answer
 *   /three          Server1, Server2, Server10 in turn
 *   /once           answers the first request of a connection, closes at the second, unanswered
 *   /sleep/MS       /ok after MS milliseconds
 *   /tenth          every tenth answer is 500, the others /ok
 *   /status/CODE    that status
 *   /short          Content-Length 100, 10 bytes, close
 *   /stall-body     Content-Length 100, 10 bytes, then nothing
 *   /stall          no answer at all
 *   /reset          RST in place of an answer
 *   /reset-body     RST in the middle of a body
 *   /empty          closes without an answer
 *   /garbage        bytes that are not HTTP, close
 *   /bad-chunk      chunked, and the second size is no number
 *   /huge-line      one header line of 200 KiB
 *   /huge-head      2000 header lines
 *   /big            a good 3 MiB body
 *   /hiccup         /ok; nobody is answered while lying_server_hiccup() has it so
 *   /echo           200, the request's head and body, as they came, as the body; none to a HEAD
 */
#ifndef QUOIT_TESTS_SUPPORT_LYING_SERVER_H
#define QUOIT_TESTS_SUPPORT_LYING_SERVER_H

#include <stdint.h>

#include "core/addr.h"

struct lying_server;

/* Listens and serves, or ends the program. Connections past 1024 at a time are refused by closing
 * them. */
struct lying_server *lying_server_start(void);
/* Closes everything and waits for the threads. */
void lying_server_stop(struct lying_server *server);
const struct addr *lying_server_addr(const struct lying_server *server);
/* Heads of requests read so far, whatever became of them. */
uint64_t lying_server_requests(const struct lying_server *server);
/* /hiccup answers nobody from delay_ms from now on, for stall_ms. */
void lying_server_hiccup(struct lying_server *server, unsigned delay_ms, unsigned stall_ms);
uint64_t lying_server_connections(const struct lying_server *server);

/* A loopback address where nothing listens. */
struct addr lying_server_nowhere(void);

#endif
