/* A server of rows as lb/ meets it, on the test's own loop: server/'s endpoints over a memory
 * store. And requests to it that it reads late. (lb/ and server/ each have a struct replica of
 * their own, so what a test of lb/ may see of it is here.) */
#ifndef QUOIT_TESTS_SUPPORT_SHARD_SERVER_H
#define QUOIT_TESTS_SUPPORT_SHARD_SERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/flush.h"

#define SHARD_SERVER_PATIENCE_NS (10 * NS_PER_S)

struct shard_server;

struct shard_server *shard_server_new(struct ev_loop *loop, struct flusher *flusher,
                                      const char *name);
void shard_server_free(struct shard_server *server);
struct addr shard_server_addr(const struct shard_server *server);

/* Whether it takes a /batch and does not begin it: one at most. */
void shard_server_hold(struct shard_server *server, bool holds);
/* "/batch?…" and the body of the one that it holds; NULL: none. */
const char *shard_server_held_path(const struct shard_server *server);
const char *shard_server_held_body(const struct shard_server *server);
/* Does that one, and answers it. */
void shard_server_let(struct shard_server *server);

void shard_server_turn(struct shard_server *server);
#define shard_server_wait(server, condition)                                                       \
    do {                                                                                           \
        uint64_t until_ns = clock_now_ns() + SHARD_SERVER_PATIENCE_NS;                             \
        while (!(condition)) {                                                                     \
            shard_server_turn(server);                                                             \
            if (clock_now_ns() > until_ns)                                                         \
                fail_msg("in vain: %s", #condition);                                               \
        }                                                                                          \
    } while (0)

/* A request of which the server has read one half when it goes on with others. */
struct late_request {
    struct shard_server *server;
    int fd;
    char *text;
    size_t n;
};

struct late_request late_request_begin(struct shard_server *server, const char *path,
                                       const char *body);
/* Has it read the rest. The body of its answer, valid until the next call. */
const char *late_request_end(struct late_request *late);
/* Both in one. */
const char *shard_server_ask(struct shard_server *server, const char *path, const char *body);

#endif
