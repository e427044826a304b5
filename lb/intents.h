/* Intents: what makes a change of several shards all or nothing also when the LB is killed within
 * it. Before the first of its shards is written, the change's keys stand in a file; the line that
 * ends it follows once nothing of it can be left half made.
 *
 *   intents_begin ─▶ "begin ID KEYS" on disk ─▶ on_open ─▶ rows written … ─▶ the client's answer
 *                         intents_end ─▶ "end ID" on disk ─▶ on_ended: the keys' locks go
 *
 * The keys stay locked until the end is on disk: so what the next life of the LB finds begun and
 * not ended is either there in every shard, or in none, or was never acknowledged, and can be taken
 * back (lb/writer_recovery.c): nobody has changed these keys since.
 *
 * A thread writes; all that waits for the disk goes with one write and one fdatasync. The file is
 * DIR/intents; when it has grown, it is written anew with what is open. */
#ifndef QUOIT_LB_INTENTS_H
#define QUOIT_LB_INTENTS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "lb/keylock.h"

struct job;

/* Its first part is the user's. */
struct intent {
    struct keylock_holder locks;
    struct job *job; /* that waits for it */
    bool to_recover;
    struct intent *next, **link; /* of the user's list */
    /* private */
    uint64_t id;
    size_t n_keys;
    int64_t *keys; /* ascending */
    struct intent *next_queued, *next_open, **open_link;
    bool ends;
    int code;
};

struct intents;

struct intents_handler {
    /* It is on disk; code: a negative errno, it is not, and was forgotten but for intent_free(). */
    void (*on_open)(void *context, struct intent *intent, int code);
    /* So is its end: nothing knows it any more. */
    void (*on_ended)(void *context, struct intent *intent);
    void *context;
};

/* Reads what an earlier life left in the folder, and opens the file. dir NULL: there is none, and
 * nothing outlives us. sync: rows outlive the machine's power, so intents must. 0 or a negative
 * errno with the reason: a file that is none of ours. Blocks. */
int intents_open(struct ev_loop *loop, const char *dir, bool sync, struct intents **ret_intents,
                 struct err *err);
/* Whoever uses them; before anything else. */
void intents_set_handler(struct intents *intents, const struct intents_handler *handler);
/* Takes the next of those that were left; NULL: none is left. The caller ends it. */
struct intent *intents_take_left(struct intents *intents);
/* A new one with these keys, which are copied. */
struct intent *intent_new(const int64_t *keys, size_t n);
void intent_free(struct intent *intent);
/* True: it is open at once; else on_open tells, from the loop. */
bool intents_begin(struct intents *intents, struct intent *intent);
/* The same with on_ended. */
bool intents_end(struct intents *intents, struct intent *intent);
/* Writes what waits, and closes; intents that are open stay in the file, and in memory the
 * caller's; those that were not taken are freed. Nothing is told any more. Takes NULL. */
void intents_close(struct intents *intents);

#endif
