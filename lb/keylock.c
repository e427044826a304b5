#include "lb/keylock.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"

#define FIRST_BUCKETS ((size_t)256)

static struct keylock **bucket_of(const struct keylock_table *table, int64_t key)
{
    return &table->buckets[rng_mix64((uint64_t)key) & (table->n_buckets - 1)];
}

/* Where the next lock of a bucket is linked: at its end, behind everyone who asked before. */
static struct keylock **end_of(struct keylock **link)
{
    while (*link)
        link = &(*link)->next;
    return link;
}

static void grow(struct keylock_table *table)
{
    struct keylock_table old = *table;
    table->n_buckets = old.n_buckets ? old.n_buckets * 2 : FIRST_BUCKETS;
    table->buckets = mem_zalloc(table->n_buckets, sizeof(struct keylock *));
    for (size_t i = 0; i < old.n_buckets; i++) {
        struct keylock *next;
        for (struct keylock *lock = old.buckets[i]; lock; lock = next) {
            next = lock->next;
            lock->next = NULL;
            *end_of(bucket_of(table, lock->key)) = lock; /* keeps the order of a key's askers */
        }
    }
    free(old.buckets);
}

void keylock_init(struct keylock_table *table)
{
    *table = (struct keylock_table){0};
}

void keylock_done(struct keylock_table *table)
{
    assert(table->n_locks == 0);
    free(table->buckets);
    keylock_init(table);
}

static struct keylock *find(const struct keylock_table *table, int64_t key)
{
    struct keylock *lock = *bucket_of(table, key);
    while (lock && lock->key != key)
        lock = lock->next;
    return lock;
}

bool keylock_any(const struct keylock_table *table, const int64_t *keys, size_t n)
{
    if (table->n_locks == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (find(table, keys[i]))
            return true;
    return false;
}

bool keylock_take(struct keylock_table *table, struct keylock_holder *holder, const int64_t *keys,
                  size_t n)
{
    assert(!holder->locks);
    holder->locks = mem_zalloc(n + 1, sizeof(*holder->locks));
    holder->n_locks = n;
    holder->n_missing = 0;
    while (table->n_locks + n > table->n_buckets)
        grow(table);
    for (size_t i = 0; i < n; i++) {
        struct keylock *lock = &holder->locks[i];
        lock->holder = holder;
        lock->key = keys[i];
        lock->granted = !find(table, keys[i]);
        holder->n_missing += !lock->granted;
        *end_of(bucket_of(table, keys[i])) = lock;
    }
    table->n_locks += n;
    return holder->n_missing == 0;
}

static void remove_lock(struct keylock_table *table, struct keylock *lock)
{
    struct keylock **link = bucket_of(table, lock->key);
    while (*link != lock)
        link = &(*link)->next;
    *link = lock->next;
    table->n_locks--;
}

void keylock_move(struct keylock_holder *from, struct keylock_holder *to)
{
    if (!from->locks)
        return;
    assert(!to->locks && from->n_missing == 0);
    to->locks = from->locks;
    to->n_locks = from->n_locks;
    for (size_t i = 0; i < to->n_locks; i++)
        to->locks[i].holder = to;
    from->locks = NULL;
    from->n_locks = 0;
}

void keylock_release(struct keylock_table *table, struct keylock_holder *holder)
{
    struct keylock *locks = holder->locks;
    size_t n = holder->n_locks;
    holder->locks = NULL;
    holder->n_locks = holder->n_missing = 0;
    for (size_t i = 0; i < n; i++)
        remove_lock(table, &locks[i]);
    for (size_t i = 0; i < n; i++) {
        struct keylock *next = find(table, locks[i].key);
        if (!next || next->granted)
            continue;
        next->granted = true;
        if (--next->holder->n_missing == 0)
            next->holder->on_all(next->holder);
    }
    free(locks);
}
