/* Counts the allocations of this program, for tests of "never allocates" (law 3). Include it in
 * the one .c file of a test program: it defines malloc and friends for the whole program, or, under
 * a sanitizer, which has its own, asks to be told. */
#ifndef QUOIT_TESTS_SUPPORT_ALLOC_COUNT_H
#define QUOIT_TESTS_SUPPORT_ALLOC_COUNT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/sanitizer.h"

/* Of the calling thread: what other threads allocate is not this test's matter. volatile, since a
 * compiler knows that malloc changes no variable of ours. */
static _Thread_local volatile uint64_t alloc_counter;

#if UNDER_SANITIZER
/* <sanitizer/allocator_interface.h>, which comes with clang only. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *,
                                                                       size_t),
                                                     void (*on_free)(const volatile void *));

static void alloc_count_malloc(const volatile void *block, size_t bytes)
{
    (void)block;
    (void)bytes;
    alloc_counter++;
}

static void alloc_count_free(const volatile void *block)
{
    (void)block;
}

static inline void alloc_count_init(void)
{
    __sanitizer_install_malloc_and_free_hooks(alloc_count_malloc, alloc_count_free);
}

#else
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    alloc_counter++;
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t size)
{
    alloc_counter++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t bytes)
{
    alloc_counter++;
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    alloc_counter++;
    return __libc_memalign(alignment, bytes);
}

static inline void alloc_count_init(void)
{
}
#endif

/* Allocations of this thread so far, since alloc_count_init(). */
static inline uint64_t alloc_count(void)
{
    return alloc_counter;
}

#endif
