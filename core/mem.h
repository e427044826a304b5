/* malloc and friends that never return NULL: a program that cannot get a few bytes ends with a
 * message, since no caller could do better. Sizes a peer controls are checked before they get here.
 */
#ifndef QUOIT_CORE_MEM_H
#define QUOIT_CORE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
/* Zeroed; dies when n × size overflows. */
void *mem_zalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed, at a multiple of alignment (a power of two); size is a multiple of it. For free(). */
void *mem_aligned_zalloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
/* Dies when n × size overflows. */
void *mem_realloc(void *old, size_t n, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t n) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
