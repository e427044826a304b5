/* Locks of single keys, granted in the order in which they were asked for.
 *
 * All locks of a holder are asked for in one call, and a lock is granted when every earlier asker
 * of its key has let go. So holders can never wait for each other in a ring, and changes of a key
 * take their turns in the order they came (deterministic locking: Thomson et al., Calvin, SIGMOD
 * 2012, section 3.2). For one thread; nothing blocks, a holder is told when it has all of its
 * locks. */
#ifndef QUOIT_LB_KEYLOCK_H
#define QUOIT_LB_KEYLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keylock {
    struct keylock *next; /* of its bucket, oldest first */
    struct keylock_holder *holder;
    int64_t key;
    bool granted;
};

/* Embedded in what holds locks. */
struct keylock_holder {
    struct keylock *locks; /* n_locks of them, for free(); NULL: none were asked for */
    size_t n_locks;
    size_t n_missing;
    /* The last one was granted: from within keylock_release() of another. It may not ask for or
     * let go of locks before that call has returned. */
    void (*on_all)(struct keylock_holder *holder);
};

struct keylock_table {
    struct keylock **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    size_t n_locks;
};

void keylock_init(struct keylock_table *table);
/* Nobody holds or waits for a lock any more. */
void keylock_done(struct keylock_table *table);
/* Whether a lock of one of these distinct keys is held or waited for. */
bool keylock_any(const struct keylock_table *table, const int64_t *keys, size_t n);
/* Asks for the locks of n distinct keys. True: all are granted; else on_all tells. */
bool keylock_take(struct keylock_table *table, struct keylock_holder *holder, const int64_t *keys,
                  size_t n);
/* What `from` has, all of it granted, is `to`'s from now on, which has none. None is fine. */
void keylock_move(struct keylock_holder *from, struct keylock_holder *to);
/* Lets go of all that the holder has or waits for; none is fine. */
void keylock_release(struct keylock_table *table, struct keylock_holder *holder);

#endif
