/* An outlet: the writer's connection to one server, over which operations go in batches.
 *
 *   outlet_put ─▶ gathering ─(end of the turn, when it may go)─▶ POST /batch
 *   item->on_done ◀── a line each ◀────────────────────────────────┘
 *
 * What may not go yet gathers: the longer a server's disk takes, the more operations share its next
 * fdatasync (group commit: DeWitt et al., SIGMOD 1984, section 4). Two batches may be under way to
 * a server; with outlet_rounds one, and those of all servers go together: an operation waits for
 * every replica anyway, and what is answered together comes back together, so that batches grow.
 * Operations take effect in the order they were put.
 *
 * A batch bears the epoch of its connection (lb/epoch.h, server/server.h): once a server has
 * answered one, none of an earlier connection, nor of an earlier life of the LB, is begun there any
 * more, however late the server comes to read it. A replica takes none that is earlier than the
 * copy that filled it (lb/copy.h), so each snapshot begins a later epoch. */
#ifndef QUOIT_LB_OUTLET_H
#define QUOIT_LB_OUTLET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/addr.h"
#include "core/alarm.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/flush.h"

enum outlet_verdict {
    OUTLET_OK,
    OUTLET_EXISTS,  /* key */
    OUTLET_MISSING, /* key */
    OUTLET_REFUSED, /* reason */
    OUTLET_FAILED,  /* reason; surely nothing has changed there */
    OUTLET_LOST,    /* no answer came: what became of it there is unknown */
};

#define OUTLET_REASON_BYTES 128

/* What one operation, or several that belong together, came to. Embedded in the caller's; the
 * outlet's from outlet_put() until on_done. */
struct outlet_item {
    void (*on_done)(struct outlet_item *item); /* never from within outlet_put() */
    size_t n_operations;                       /* that its text consists of; set by the caller */
    bool missing_is_fine;                      /* a `missing` counts as ok; set by the caller */
    enum outlet_verdict verdict;               /* of the first that is not ok */
    uint64_t n_rows;                           /* OUTLET_OK: the shard's rows now */
    int64_t key;
    char reason[OUTLET_REASON_BYTES];
    struct outlet_item *next; /* private */
};

struct outlet_counters {
    uint64_t batches, operations, bytes, resent;
};

/* Rounds: what the outlets of a writer send together, for servers that sync what they are told. A
 * round is over when all of it is answered, or OUTLET_PATIENCE_S after it began: a server that
 * takes longer holds up its own batches alone.
 *
 * Clients that ask again once they are answered come back just after a round is over. One that went
 * at once, with what had gathered meanwhile, would leave them to the round after it: they would
 * fall into two halves that take turns, with a sync in every server for each. So the next one
 * gathers first: until there is as much to do as there was at a time since the round before, but
 * for no longer than half of what the last one took, nor than a time that doubles when it sufficed,
 * halves when it did not (OUTLET_GATHER_MIN_NS to _MAX_NS), and is tried anew from the top now and
 * then, for clients change. Between init and done a place of its own. */
#define OUTLET_PATIENCE_S 0.002
#define OUTLET_GATHER_MIN_NS (20 * NS_PER_US)
#define OUTLET_GATHER_MAX_NS (1000 * NS_PER_US)
#define OUTLET_GATHER_TRIES 64 /* in vain, at the least time, until the most is tried again */

struct outlet_rounds {
    struct ev_loop *loop;
    LIST_HEAD(, outlet) outlets;
    uint64_t number;
    uint64_t began_ns;
    size_t n_awaited; /* batches of this round */
    size_t n_items;   /* not done, of all outlets */
    size_t n_most;    /* the most of them at a time since the last round ended */
    size_t n_wanted;  /* gathering: the next one begins when there are as many */
    bool closed;      /* nothing goes until the next one */
    bool gathering;   /* implies closed */
    uint64_t gather_ns;
    unsigned n_in_vain; /* gatherings of the least time */
    struct flusher *flusher;
    struct flush_item close;
    struct ev_timer patience;
    struct alarm alarm; /* gathering is over */
};

/* 0, or a negative errno with the reason; nothing is to be done then. */
int outlet_rounds_init(struct outlet_rounds *rounds, struct ev_loop *loop, struct flusher *flusher,
                       struct err *err);
/* After its outlets were freed. */
void outlet_rounds_done(struct outlet_rounds *rounds);

struct outlet_config {
    struct ev_loop *loop;
    struct flusher *flusher;
    struct addr addr;
    uint64_t timeout_ns;              /* of a batch under way; then the connection is broken */
    struct outlet_counters *counters; /* shared by outlets of a loop (ref) */
    struct outlet_rounds *rounds;     /* shared likewise; NULL: each goes by itself (ref) */
    /* The connection broke. May be NULL. */
    void (*on_down)(void *context, int code);
    /* Nothing is under way or gathered any more. May be NULL. */
    void (*on_idle)(void *context);
    void *context;
};

struct outlet;

struct outlet *outlet_new(const struct outlet_config *config);
/* Items that are not done come to OUTLET_LOST; on_down and on_idle are not called any more. Not
 * from within on_done. Takes NULL. */
void outlet_free(struct outlet *outlet);
/* Sends the operations' text, which is copied, with what else this turn puts. */
void outlet_put(struct outlet *outlet, struct outlet_item *item, const char *text, size_t n);
/* Breaks the connection; what is under way and gathered comes to OUTLET_LOST, at once. */
void outlet_cut(struct outlet *outlet);
/* What is sent from now on bears this epoch, which is later than any before. */
void outlet_set_epoch(struct outlet *outlet, uint64_t epoch);
/* To be called now and then: breaks the connection when a batch is overdue. */
void outlet_expire(struct outlet *outlet, uint64_t now_ns);
/* Items not done. */
size_t outlet_n_items(const struct outlet *outlet);

#endif
