/* Scripting the fake spawner: what a test makes its servers do, and what the spawner was asked.
 *
 * A fake server is a record in a world that belongs to this process, not to the spawner: like a
 * real server it outlives spawner_close() and can be adopted by the next spawner, so that a test
 * can restart an LB. All of this is for the thread of the spawner's loop; nothing here calls a
 * handler, the next turn of the loop does. */
#ifndef QUOIT_BACKENDS_SPAWNER_FAKE_H
#define QUOIT_BACKENDS_SPAWNER_FAKE_H

#include <stdbool.h>

#include "backends/spawner.h"
#include "core/name.h"

/* The youngest fake spawner that is still open, or NULL: how a test reaches the one that the module
 * under test opened for itself. */
struct spawner *fake_spawner_latest(void);

/* The next n calls of start() return code (negative). */
void fake_spawner_refuse_next(struct spawner *spawner, unsigned n, int code);
/* The next n starts are accepted and end in on_failed. */
void fake_spawner_fail_next(struct spawner *spawner, unsigned n);
/* While held, servers begin to start and do not get further (until released, or stopped, or the
 * start timeout). */
void fake_spawner_hold(struct spawner *spawner, bool held);
/* Stubborn servers do not end when asked to, only when the grace is over. */
void fake_spawner_set_stubborn(struct spawner *spawner, bool stubborn);
/* Where the server of a start will be said to listen: asked once a start, before it is answered, so
 * that a test can open a listening socket for each. It returns 0, or a negative errno with which
 * start() is refused. NULL: back to the `addr` option. */
void fake_spawner_set_address(struct spawner *spawner,
                              int (*address)(void *context, const struct spawner_request *request,
                                             struct addr *ret_addr),
                              void *context);

/* The server ends, as if it had crashed: on_exit with `why` (or on_failed) on the next turn.
 * 0, or -ESRCH when this spawner has no such server. */
int fake_spawner_exit(struct spawner *spawner, uint64_t uid, const char *why);
/* The uid of the server of that name, the youngest if there are several. 0 or -ESRCH. */
int fake_spawner_find(struct spawner *spawner, const char *name, uint64_t *ret_uid);
/* Servers of this spawner that listen. */
size_t fake_spawner_count(struct spawner *spawner);

/* Servers in the world that listen and that no spawner has: left behind by spawner_close(). */
size_t fake_world_n_orphans(void);
/* Ends them all, as if they had died while no LB looked. */
void fake_world_end_orphans(void);

enum fake_call_kind { FAKE_START, FAKE_STOP, FAKE_ADOPT };

/* A call of the spawner's hooks, in the order they came. */
struct fake_call {
    enum fake_call_kind kind;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1]; /* "" for a stop */
    uint64_t id;                   /* of a start */
    uint64_t grace_ns;             /* of a stop */
    int result;                    /* of a start or an adoption */
};

/* The first FAKE_MAX_CALLS calls since the spawner was opened, valid until the next call or close.
 */
#define FAKE_MAX_CALLS 4096
const struct fake_call *fake_spawner_calls(struct spawner *spawner, size_t *ret_n);

#endif
