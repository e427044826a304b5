/* Work put off to the end of a turn of the loop, so that one system call serves many: a connection
 * that has bytes to write queues itself once, and is flushed just before the loop sleeps. */
#ifndef QUOIT_CORE_FLUSH_H
#define QUOIT_CORE_FLUSH_H

#include <ev.h>
#include <stddef.h>

/* Embedded in whatever is to be flushed. Zeroed = not queued. */
struct flush_item {
    struct flush_item *next;
    struct flush_item **link; /* what points at this one; NULL = not queued */
    void (*flush)(struct flush_item *item);
};

struct flusher {
    struct ev_prepare prepare;
    struct ev_loop *loop;
    struct flush_item *first;
    struct flush_item **last;
};

/* One a loop. It does not keep the loop alive. */
void flusher_init(struct flusher *flusher, struct ev_loop *loop);
void flusher_done(struct flusher *flusher);
/* Flushes what is queued now: before the loop is ended, which would not get so far. */
void flusher_run(struct flusher *flusher);
/* Has item->flush called once before the loop sleeps; a second call changes nothing. An item may
 * queue itself or others again while it is flushed: they run in the same pass. */
void flusher_add(struct flusher *flusher, struct flush_item *item);
/* Takes it out again, before it is freed. */
void flusher_remove(struct flusher *flusher, struct flush_item *item);

#endif
