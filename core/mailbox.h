/* Letters between loops: any thread posts, one loop receives. Lock-free (a Treiber stack taken
 * whole and turned round), woken through ev_async; letters from one sender arrive in their order.
 */
#ifndef QUOIT_CORE_MAILBOX_H
#define QUOIT_CORE_MAILBOX_H

#include <ev.h>
#include <stdatomic.h>

/* First member of every letter. */
struct letter {
    struct letter *next;
};

struct mailbox {
    _Atomic(struct letter *) newest;
    struct ev_async wake;
    struct ev_loop *loop;
    void (*on_letter)(void *context, struct letter *letter); /* owns the letter */
    void *context;
};

/* On the receiving loop's thread, or before it runs. Does not keep the loop alive. */
void mailbox_open(struct mailbox *mailbox, struct ev_loop *loop,
                  void (*on_letter)(void *context, struct letter *letter), void *context);
/* On the receiver's thread, once nobody posts any more: delivers what is still there. */
void mailbox_close(struct mailbox *mailbox);
/* From any thread. The letter belongs to the receiver from here on. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);

#endif
