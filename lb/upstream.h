/* What a worker routes by: the snapshot it has, and its connections to each server of it.
 *
 * A server has three from each worker, so that no answer waits behind one of another kind: what is
 * passed on as it came (`/home` and the like, which may take as long as it likes), short reads of
 * rows, and long ones. Changes of rows go over connections of the writer's own (lb/writer.h). */
#ifndef QUOIT_LB_UPSTREAM_H
#define QUOIT_LB_UPSTREAM_H

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"
#include "core/flush.h"
#include "core/httpc.h"
#include "core/mailbox.h"
#include "core/name.h"
#include "lb/letters.h"
#include "lb/snapshot.h"

/* How far down a key's preference list a request looks for a server that is up. */
#define ROUTES_MAX_PREFERENCES 16

enum channel { CHANNEL_FORWARD, CHANNEL_ROWS, CHANNEL_BULK };
#define N_CHANNELS 3

/* One connection. */
struct link {
    struct upstream *upstream;
    struct httpc *httpc;
    uint64_t waits_since_ns; /* the last answer, or when the oldest request under way was sent */
    bool expired;            /* broken for its silence; the first request that fails is to blame */
};

/* A worker's connections to one server. */
struct upstream {
    struct routes *routes;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1];
    struct link links[N_CHANNELS];
    struct server_counters *counters; /* this worker's row (ref) */
    uint64_t answers_turn;            /* of which turn answers_ns is */
    uint64_t answers_ns;              /* when that turn's answers came */
    uint64_t down_until_ns;           /* its connection broke: passed over so long */
    bool draining, drained;
};

/* One a worker; the first part is filled by it. */
struct routes {
    struct ev_loop *loop;
    struct flusher *flusher;
    struct mailbox *control;
    struct publisher *publisher;
    size_t worker; /* whose */
    /* Requests under way to a server over other connections than these; NULL: none. */
    size_t (*n_elsewhere)(void *context, uint64_t uid);
    void *context;
    uint64_t answer_timeout_ns; /* how long a server may take over what is passed on; 0: for ever */
    uint64_t turn, turn_ns;     /* the loop's turn under way, and when it began */
    bool ending;                /* nothing is routed any more */

    const struct snapshot *snapshot;
    struct upstream **upstreams; /* one for each server of the snapshot, under its index */
};

/* Goes over to the current snapshot: connections to servers that stay are kept, those to servers
 * that are gone are cut, so that what hangs on them is answered by others. */
void routes_take(struct routes *routes);
/* Tells the control loop of every draining server to which nothing is under way any more, once. */
void routes_tell_drained(struct routes *routes);
void routes_tell_control(struct routes *routes, enum letter_type type, uint64_t uid, int code);
/* Breaks connections that have been silent for too long with a request under way. */
void routes_expire(struct routes *routes);
/* Cuts every connection. routes->ending is set before, so that nothing is sent anew. */
void routes_done(struct routes *routes);

/* Servers that a request has failed on. */
struct tried {
    uint64_t uids[ROUTES_MAX_PREFERENCES];
    size_t n;
};

static inline void tried_add(struct tried *tried, uint64_t uid)
{
    assert(tried->n < ROUTES_MAX_PREFERENCES);
    tried->uids[tried->n++] = uid;
}

/* Whom to ask: the key's own server, as long as nothing speaks against it; else the next of its
 * preference list that is up; else, rather than none, one that is in doubt. None that was tried.
 * members: the servers of the snapshot that the placement's members are; NULL: the same. Returns
 * NULL where nobody is left. */
struct upstream *routes_choose(const struct routes *routes, const struct placement *placement,
                               const uint32_t *members, uint64_t key, const struct tried *tried);
/* The server of that uid in the snapshot, or NULL. */
struct upstream *routes_find(struct routes *routes, uint64_t uid);

static inline bool upstream_is_up(const struct upstream *upstream)
{
    return upstream->down_until_ns <= upstream->routes->turn_ns;
}

/* As httpc_send(); counts it, and a server that cannot even be connected to is passed over for a
 * while and suspected. */
int upstream_send(struct upstream *upstream, enum channel channel, struct httpc_request *call,
                  const void *bytes, size_t n);
/* To be called for each answer: counts its latency. sent_ns: turn_ns when it was sent. */
void upstream_count_answer(struct upstream *upstream, enum channel channel, uint64_t sent_ns);
/* To be called for a request that failed with -ETIMEDOUT. True for one alone of those under way:
 * the oldest, which the server owes its answer; the others only waited behind it. */
bool upstream_take_blame(struct upstream *upstream, enum channel channel);
/* If it drains and this was its last request, the control loop is told. */
void upstream_tell_if_drained(struct upstream *upstream);

#endif
