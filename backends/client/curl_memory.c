#include "backends/client/curl_memory.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Size classes: 64 bytes and its doublings, header included. */
#define MIN_BITS 6u
#define MAX_BITS 15u
#define N_CLASSES (MAX_BITS - MIN_BITS + 1)
#define UNKEPT N_CLASSES

/* A sanitizer is to see every block that libcurl takes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEPS false
#endif
#endif
#ifndef KEEPS
#define KEEPS true
#endif

/* In front of every block. */
struct header {
    alignas(max_align_t) struct header *next; /* while it is kept */
    uint32_t size_class;                      /* UNKEPT: malloc's */
};

_Static_assert((1u << MAX_BITS) == CURL_MEMORY_MAX_BYTES + sizeof(struct header),
               "the largest class holds the largest kept block");

static _Thread_local struct {
    struct header *stacks[N_CLASSES];
    uint32_t n[N_CLASSES];
    bool registered; /* drop_kept() will be called at the thread's end */
} kept;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void drop_kept(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < N_CLASSES; i++) {
        while (kept.stacks[i]) {
            struct header *block = kept.stacks[i];
            kept.stacks[i] = block->next;
            free(block);
        }
        kept.n[i] = 0;
    }
    kept.registered = false;
}

static uint32_t class_of(size_t n_bytes)
{
    const size_t whole = n_bytes + sizeof(struct header);

    if (!KEEPS || n_bytes > CURL_MEMORY_MAX_BYTES)
        return UNKEPT;
    if (whole <= 1u << MIN_BITS)
        return 0;
    return (uint32_t)(64 - __builtin_clzll(whole - 1)) - MIN_BITS;
}

static size_t class_bytes(uint32_t size_class)
{
    return ((size_t)1 << (MIN_BITS + size_class)) - sizeof(struct header);
}

static struct header *header_of(void *block)
{
    return (struct header *)block - 1;
}

void *curl_memory_alloc(size_t n_bytes)
{
    const uint32_t size_class = class_of(n_bytes);
    struct header *block;

    if (size_class != UNKEPT && kept.stacks[size_class]) {
        block = kept.stacks[size_class];
        kept.stacks[size_class] = block->next;
        kept.n[size_class]--;
        return block + 1;
    }
    if (n_bytes > SIZE_MAX - sizeof(*block))
        return NULL;
    block = malloc(sizeof(*block) + (size_class == UNKEPT ? n_bytes : class_bytes(size_class)));
    if (!block)
        return NULL;
    block->size_class = size_class;
    return block + 1;
}

void curl_memory_free(void *block)
{
    struct header *header;
    uint32_t size_class;

    if (!block)
        return;
    header = header_of(block);
    size_class = header->size_class;
    if (size_class == UNKEPT ||
        (size_t)kept.n[size_class] << (MIN_BITS + size_class) >= CURL_MEMORY_KEPT_BYTES) {
        free(header);
        return;
    }
    if (!kept.registered) {
        pthread_setspecific(thread_end, &kept);
        kept.registered = true;
    }
    header->next = kept.stacks[size_class];
    kept.stacks[size_class] = header;
    kept.n[size_class]++;
}

void *curl_memory_realloc(void *block, size_t n_bytes)
{
    const uint32_t size_class = class_of(n_bytes);
    struct header *header;
    size_t n_kept;
    void *moved;

    if (!block)
        return curl_memory_alloc(n_bytes);
    header = header_of(block);
    if (header->size_class == UNKEPT && size_class == UNKEPT) {
        if (n_bytes > SIZE_MAX - sizeof(*header))
            return NULL;
        struct header *grown = realloc(header, sizeof(*header) + n_bytes);
        /* cppcheck-suppress memleak ; given out from behind its header */
        return grown ? grown + 1 : NULL;
    }
    if (header->size_class == size_class)
        return block;
    moved = curl_memory_alloc(n_bytes);
    if (!moved)
        return NULL;
    /* A malloc's block that shrinks to a class holds more than the class. */
    n_kept = header->size_class == UNKEPT ? n_bytes : class_bytes(header->size_class);
    memcpy(moved, block, n_kept < n_bytes ? n_kept : n_bytes);
    curl_memory_free(block);
    return moved;
}

char *curl_memory_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = curl_memory_alloc(n);

    return copy ? memcpy(copy, text, n) : NULL;
}

void *curl_memory_calloc(size_t n, size_t size)
{
    size_t n_bytes;
    void *block;

    if (__builtin_mul_overflow(n, size, &n_bytes))
        return NULL;
    block = curl_memory_alloc(n_bytes);
    return block ? memset(block, 0, n_bytes) : NULL;
}

static void init_once(void)
{
    pthread_key_create(&thread_end, drop_kept);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_memory_alloc, curl_memory_free,
                         curl_memory_realloc, curl_memory_strdup, curl_memory_calloc);
}

void curl_memory_init(void)
{
    pthread_once(&once, init_once);
}
