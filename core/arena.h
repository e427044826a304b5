/* A bump allocator for things that die together: a request, a snapshot, a parsed file.
 *
 * Blocks double up to 1 MiB; nothing is freed singly. Allocation failure ends the program. Memory
 * is aligned for any type and not cleared, unless the call says zeroed. */
#ifndef QUOIT_CORE_ARENA_H
#define QUOIT_CORE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next;
    char *limit;
};

void arena_init(struct arena *arena);
/* Frees every block. The arena may be used again. */
void arena_done(struct arena *arena);
/* Forgets everything, keeping one block for reuse. */
void arena_reset(struct arena *arena);

void *arena_alloc(struct arena *arena, size_t bytes);
/* n × size zeroed bytes; dies on overflow. */
void *arena_zalloc(struct arena *arena, size_t n, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
/* Copies n bytes and adds a NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Bytes handed out since the last reset, for metrics and tests. */
size_t arena_bytes(const struct arena *arena);

#endif
