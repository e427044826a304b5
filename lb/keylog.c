#include "lb/keylog.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "lb/letters.h"

static int compare_keys(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void key_log_clear(struct key_log *log)
{
    free(log->keys);
    *log = (struct key_log){0};
}

void key_log_sort(struct key_log *log)
{
    if (log->n < 2)
        return;
    qsort(log->keys, log->n, sizeof(*log->keys), compare_keys);
    size_t n = 1;
    for (size_t i = 1; i < log->n; i++)
        if (log->keys[i] != log->keys[n - 1])
            log->keys[n++] = log->keys[i];
    log->n = n;
    if (n > LETTER_MAX_DIRTY_KEYS) {
        key_log_clear(log);
        log->too_many = true;
    }
}

void key_log_add(struct key_log *log, const int64_t *keys, size_t n)
{
    if (log->too_many)
        return;
    if (log->n + n > log->capacity) {
        key_log_sort(log);
        if (log->too_many)
            return;
        /* Twice what is distinct, so that sorting is rare beside adding. */
        log->capacity = (log->n + n) * 2;
        log->keys = mem_realloc(log->keys, log->capacity, sizeof(*log->keys));
    }
    memcpy(log->keys + log->n, keys, n * sizeof(*keys));
    log->n += n;
}
