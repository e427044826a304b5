#include "core/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn static void mem_die(const char *why, size_t bytes)
{
    fprintf(stderr, "quoit: out of memory: %s (%zu bytes)\n", why, bytes);
    abort();
}

/* n × size, or dies. Above PTRDIFF_MAX no allocation can succeed. */
static size_t mem_product(size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        mem_die("size overflows", size);
    if (bytes > PTRDIFF_MAX)
        mem_die("impossible size", bytes);
    return bytes;
}

void *mem_alloc(size_t bytes)
{
    void *memory;

    bytes = mem_product(bytes, 1);
    memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL)
        mem_die("malloc failed", bytes);
    return memory;
}

void *mem_zalloc(size_t n, size_t size)
{
    size_t bytes = mem_product(n, size);
    void *memory = calloc(1, bytes > 0 ? bytes : 1);

    if (memory == NULL)
        mem_die("calloc failed", bytes);
    return memory;
}

void *mem_aligned_zalloc(size_t alignment, size_t size)
{
    void *memory = aligned_alloc(alignment, size);

    if (memory == NULL)
        mem_die("aligned_alloc failed", size);
    return memset(memory, 0, size);
}

void *mem_realloc(void *old, size_t n, size_t size)
{
    size_t bytes = mem_product(n, size);
    /* realloc(p, 0) may free p and return NULL. */
    void *memory = realloc(old, bytes > 0 ? bytes : 1);

    if (memory == NULL)
        mem_die("realloc failed", bytes);
    return memory;
}

char *mem_strndup(const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    char *copy = mem_alloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        mem_die("cannot format", 0);
    return text;
}
