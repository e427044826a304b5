/* The spawner family: what starts and stops servers, asynchronously on the control loop.
 *
 * A server is known by a uid the caller chooses and never uses twice, since a name can come back.
 * For each started uid exactly one of on_started / on_failed is called, and after on_started
 * exactly one on_exit, however the server ended. No callback runs inside the call that caused it:
 * always from the loop. A callback may call any hook, close() too. A uid in use is refused with
 * -EEXIST, a name that is not valid with -EINVAL. */
#ifndef QUOIT_BACKENDS_SPAWNER_H
#define QUOIT_BACKENDS_SPAWNER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "core/registry.h"

struct spawner;

/* What a server is started with. */
struct spawner_request {
    uint64_t uid;
    const char *name; /* valid per CONTRACT.md; the server's --name */
    uint64_t id;
    /* Words of this one's command line behind server_args, NULL-ended, or NULL (borrowed during the
     * call). Ours as well, never from a client. */
    const char *const *args;
    uint64_t data_id; /* the number of the data directory that args name, 0: none; for spawners
                         whose servers see another file system than we */
    bool data_is_new; /* nobody used that number before: what is found under it is a former
                         cluster's, and goes */
    /* Servers that share one of these numbers are better not lost together (replicas of one shard):
     * a spawner of many machines keeps them on different ones, where there are enough. Borrowed
     * during the call. */
    const uint32_t *groups;
    size_t n_groups;
};

/* A running server, as told to the handler and kept in the state file. */
struct spawner_server {
    uint64_t uid;
    const char *name;      /* borrowed during the call */
    struct addr addr;      /* where it listens */
    long pid;              /* 0 where there is none to tell */
    const char *reference; /* opaque text that lets adopt() find it again, ≤ 127 bytes; borrowed */
};

struct spawner_handler {
    /* The server listens: told by the server itself, not guessed. */
    void (*on_started)(void *context, const struct spawner_server *server);
    /* It could not be started, or ended before it listened (-ECHILD), or took longer than
     * start_timeout (-ETIMEDOUT), or was stopped (-ECANCELED). Nothing of it is left. */
    void (*on_failed)(void *context, uint64_t uid, const struct err *err);
    /* It ended. why: "exit status 1", "killed by SIGKILL"; borrowed. */
    void (*on_exit)(void *context, uint64_t uid, const char *why);
};

struct spawner_config {
    struct ev_loop *loop;           /* (ref) */
    const char *program;            /* path of the quoit executable (ref) */
    uint64_t orphan_after_ns;       /* passed to servers: end when no LB was heard for so long */
    uint64_t start_timeout_ns;      /* 0 = none */
    const char *const *server_args; /* further words of the server's command line, NULL-ended (ref);
                                       made by us, never from a client (law 7) */
};

struct spawner_ops {
    struct part part;
    /* Required. handler and context are kept (ref). */
    int (*open)(const void *params, const struct spawner_config *config,
                const struct spawner_handler *handler, void *context, struct spawner **ret_spawner,
                struct err *err);
    /* Required. Forgets its servers without stopping them; no callback comes after. */
    void (*close)(struct spawner *spawner);
    /* Required. Begins to start one. 0, or a negative errno with the reason, then no callback
     * comes. */
    int (*start)(struct spawner *spawner, const struct spawner_request *request, struct err *err);
    /* Required. Asks it to end in order; kills it if it has not after grace_ns (0: at once).
     * on_exit follows (or on_failed, when it was still starting). Unknown uids and second calls are
     * no error; a later call may shorten the grace. */
    void (*stop)(struct spawner *spawner, uint64_t uid, uint64_t grace_ns);
    /* Required. Takes a server of an earlier life of the LB under this uid again: on_exit will tell
     * of its end. 0; -ESRCH when it is gone or is not the same process any more; another negative
     * errno when that could not be told. */
    int (*adopt)(struct spawner *spawner, const struct spawner_server *server, struct err *err);
    /* Optional: where servers keep their data out of the LB's reach. Nobody needs that of this
     * data_id any more: it goes, once the server that has it has ended. */
    void (*remove_data)(struct spawner *spawner, uint64_t data_id);
};

/* First member of every implementation's struct. */
struct spawner {
    const struct spawner_ops *ops;
};

extern const struct family spawner_family;

#define SPAWNER_REGISTER(ops) FAMILY_REGISTER(spawner, ops)

static inline int spawner_open(const struct spec *spec, const struct spawner_config *config,
                               const struct spawner_handler *handler, void *context,
                               struct spawner **ret_spawner, struct err *err)
{
    const struct spawner_ops *ops = (const struct spawner_ops *)spec->part;
    return ops->open(spec->params, config, handler, context, ret_spawner, err);
}

/* Takes NULL. */
static inline void spawner_close(struct spawner *spawner)
{
    if (spawner)
        spawner->ops->close(spawner);
}

#endif
