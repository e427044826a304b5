#include "core/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define ARENA_FIRST_BYTES ((size_t)4096)
#define ARENA_MAX_BLOCK_BYTES ((size_t)1 << 20)
#define ARENA_ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *next; /* older */
    size_t size;              /* usable bytes */
    size_t used;              /* up to date only for blocks that are not being filled */
    alignas(max_align_t) char memory[];
};

void arena_init(struct arena *arena)
{
    memset(arena, 0, sizeof(*arena));
}

void arena_done(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
    arena_init(arena);
}

/* Makes the block, whose memory is free from its start, the one being filled. */
static void arena_fill_from(struct arena *arena, struct arena_block *block)
{
    arena->blocks = block;
    arena->next = block->memory;
    arena->limit = block->memory + block->size;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = NULL;
    struct arena_block *block = arena->blocks;

    /* Keep the largest ordinary block; one made for a single huge thing is not worth holding. */
    for (struct arena_block *b = block; b != NULL; b = b->next)
        if (b->size <= ARENA_MAX_BLOCK_BYTES && (keep == NULL || b->size > keep->size))
            keep = b;
    while (block != NULL) {
        struct arena_block *next = block->next;

        if (block != keep)
            free(block);
        block = next;
    }
    arena_init(arena);
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
        arena_fill_from(arena, keep);
    }
}

static struct arena_block *arena_new_block(size_t size)
{
    size_t bytes;
    struct arena_block *block;

    if (__builtin_add_overflow(sizeof(*block), size, &bytes))
        bytes = SIZE_MAX; /* mem_alloc dies of it */
    block = mem_alloc(bytes);
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}

/* The slow path: bytes (rounded) do not fit the block being filled. */
static void *arena_alloc_block(struct arena *arena, size_t bytes)
{
    struct arena_block *current = arena->blocks;
    struct arena_block *block;
    size_t size = current == NULL ? ARENA_FIRST_BYTES : current->size * 2;

    if (size > ARENA_MAX_BLOCK_BYTES)
        size = ARENA_MAX_BLOCK_BYTES;
    if (bytes > size && current != NULL) {
        /* A block of its own, behind the one being filled, which keeps its room. */
        block = arena_new_block(bytes);
        block->used = bytes;
        block->next = current->next;
        current->next = block;
        return block->memory;
    }
    block = arena_new_block(bytes > size ? bytes : size);
    block->next = current;
    if (current != NULL)
        current->used = (size_t)(arena->next - current->memory);
    arena_fill_from(arena, block);
    arena->next += bytes;
    return block->memory;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded = bytes > 0 ? bytes : 1;

    if (rounded <= SIZE_MAX - ARENA_ALIGN)
        rounded = (rounded + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (rounded <= (size_t)(arena->limit - arena->next)) {
        void *memory = arena->next;

        arena->next += rounded;
        return memory;
    }
    return arena_alloc_block(arena, rounded);
}

void *arena_zalloc(struct arena *arena, size_t n, size_t size)
{
    size_t bytes;
    void *memory;

    if (__builtin_mul_overflow(n, size, &bytes))
        bytes = SIZE_MAX; /* dies in arena_alloc */
    memory = arena_alloc(arena, bytes);
    return memset(memory, 0, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);

    if (n > 0)
        memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = arena_alloc(arena, n < 0 ? SIZE_MAX : (size_t)n + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

size_t arena_bytes(const struct arena *arena)
{
    size_t bytes = 0;

    if (arena->blocks == NULL)
        return 0;
    bytes = (size_t)(arena->next - arena->blocks->memory);
    for (const struct arena_block *block = arena->blocks->next; block != NULL; block = block->next)
        bytes += block->used;
    return bytes;
}
