/* The keys that changes of a shard touched while the shard was copied. */
#ifndef QUOIT_LB_KEYLOG_H
#define QUOIT_LB_KEYLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed = empty. */
struct key_log {
    int64_t *keys; /* for free() */
    size_t n, capacity;
    bool too_many; /* there were more than LETTER_MAX_DIRTY_KEYS, which are forgotten */
};

void key_log_add(struct key_log *log, const int64_t *keys, size_t n);
/* Makes them ascending and distinct, and finds whether they are too many. */
void key_log_sort(struct key_log *log);
void key_log_clear(struct key_log *log);

#endif
