/* What the control loop and the workers write to each other (core/mailbox.h). */
#ifndef QUOIT_LB_LETTERS_H
#define QUOIT_LB_LETTERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/httpd.h"
#include "core/mailbox.h"

enum letter_type {
    /* worker → control */
    LETTER_ADMIN,   /* struct admin_call: a client calls an endpoint of the LB's own */
    LETTER_SUSPECT, /* the connection to server uid broke or could not be made */
    LETTER_DRAINED, /* nothing is under way to server uid any more */
    LETTER_TOOK,    /* this worker routes by snapshot `version` now */
    LETTER_STOPPED, /* this worker has ended */
    /* state thread → control */
    LETTER_SAVED, /* state `version` was written, or `code` says why not */
    /* control → worker */
    LETTER_ANSWER, /* struct admin_call, answered */
    LETTER_TAKE,   /* there is a new snapshot */
    LETTER_STOP,   /* finish what is under way and end; the second: end */
};

/* Every letter begins so. */
struct lb_letter {
    struct letter letter;
    enum letter_type type;
    size_t worker; /* who wrote it */
    uint64_t uid;
    uint64_t version;
    int code; /* LETTER_SUSPECT, LETTER_SAVED: a negative errno or 0 */
};

/* The LB's own endpoints. */
enum admin_endpoint {
    ADMIN_REP,
    ADMIN_ADD,
    ADMIN_RM,
    ADMIN_CLUSTER,
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
void admin_call_free(struct admin_call *call);

#endif
