/* What the control loop and the workers write to each other (core/mailbox.h). */
#ifndef QUOIT_LB_LETTERS_H
#define QUOIT_LB_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/httpd.h"
#include "core/mailbox.h"

struct shard_live;

enum letter_type {
    /* worker → control */
    LETTER_ADMIN,   /* struct admin_call: a client calls an endpoint of the LB's own */
    LETTER_SUSPECT, /* the connection to server uid broke or could not be made */
    LETTER_DRAINED, /* nothing is under way to server uid any more */
    LETTER_TOOK,    /* this worker routes by snapshot `version` now */
    LETTER_STOPPED, /* this worker has ended */
    /* writer (on worker 0) → control */
    LETTER_FENCE, /* server uid failed a change that others did: it must not answer another read.
                     The writer waits for LETTER_FENCED before it answers the client; it asks so
                     of a server too that has left already, whatever it left for */
    LETTER_DIRTY, /* struct shard_letter: the keys changed since tracking began or was last asked */
    LETTER_DEMOTE, /* struct shard_letter: the replica on server uid missed a change that others
                      made. As LETTER_FENCE, but the server serves on, and the replica is made equal
                      again: the server holds the last replica of another shard */
    LETTER_HELD,   /* LETTER_HOLD comes back: no change of the shard is under way */
    /* state thread → control */
    LETTER_SAVED, /* state `version` was written, or `code` says why not */
    /* control → worker */
    LETTER_ANSWER, /* struct admin_call, answered */
    LETTER_TAKE,   /* there is a new snapshot */
    LETTER_STOP,   /* finish what is under way and end; the second: end */
    /* control → writer */
    LETTER_FENCED,  /* no worker routes to server uid any more, and the state file says so */
    LETTER_DEMOTED, /* struct shard_letter: the same of the replica on server uid */
    LETTER_TRACK,   /* struct shard_letter: note the keys that changes touch from now on, and those
                       of changes under way */
    LETTER_TAKE_DIRTY, /* struct shard_letter: send LETTER_DIRTY and begin anew. With `hold`:
                          changes of this shard wait from now on, and the letter comes back once
                          none is under way */
    LETTER_RELEASE,    /* struct shard_letter: stop tracking, let changes go on (posted after the
                          LETTER_TAKE of the snapshot they are to go by) */
    LETTER_HOLD,       /* struct shard_letter: changes of the shard wait from now on. Any number of
                          holds at a time, each with a version (number) of its own */
    LETTER_LET,        /* struct shard_letter: the hold of that version is over, answered or not */
    /* worker → writer → worker */
    LETTER_WRITE,   /* struct change_call: a client's change, read and checked */
    LETTER_WRITTEN, /* the same, with what became of it */
    /* worker → writer; the writer's own worker ends after all the others */
    LETTER_JOIN, /* this worker may send changes */
    LETTER_PART, /* it sends none any more */
};

/* Every letter begins so. */
struct lb_letter {
    struct letter letter;
    enum letter_type type;
    size_t worker; /* who wrote it */
    uint64_t uid;
    uint64_t version;
    int code; /* LETTER_SUSPECT, _SAVED, _FENCED, _DEMOTED: a negative errno or 0 */
};

/* Between the control loop, which copies a replica, and the writer, which goes on changing the
 * shard meanwhile (pre-copy, as a live migration does it: Clark et al., NSDI 2005, section 3). At
 * most one copy of a shard at a time. */
struct shard_letter {
    struct lb_letter base;
    struct shard_live *live; /* which shard (ref) */
    bool hold;
    int64_t *keys; /* LETTER_DIRTY: n_keys of them, ascending, distinct; freed with the letter */
    size_t n_keys;
    bool too_many; /* more than LETTER_MAX_DIRTY_KEYS: take the whole shard as changed */
};

#define LETTER_MAX_DIRTY_KEYS 1000000

/* The LB's own endpoints. */
enum admin_endpoint {
    ADMIN_INIT,
    ADMIN_STATUS,
    ADMIN_REP,
    ADMIN_ADD,
    ADMIN_RM,
    ADMIN_CLUSTER,
    ADMIN_DIGEST,
    ADMIN_KILL,
    ADMIN_HEALTHZ,
    ADMIN_METRICS,
};

/* A call of one of them, on its way to the control loop and back with the answer. */
struct admin_call {
    struct lb_letter base;
    enum admin_endpoint endpoint;
    struct httpd_exchange *exchange; /* the worker's own; control only hands it back */
    struct buf body;
    unsigned status; /* the answer */
    const char *content_type;
    struct buf answer;
};

/* A plain letter, for mailbox_post(). */
struct lb_letter *letter_new(enum letter_type type, size_t worker);
struct shard_letter *shard_letter_new(enum letter_type type, struct shard_live *live);
/* Its keys too. */
void shard_letter_free(struct shard_letter *letter);
void admin_call_free(struct admin_call *call);

#endif
