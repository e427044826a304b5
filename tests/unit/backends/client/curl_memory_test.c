/* libcurl's memory: what malloc promises, and that what is freed comes back. */
#include "backends/client/curl_memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sanitizer.h"

/* Around the bounds of the size classes, of what is kept, and past it. */
static const size_t sizes[] = {0,
                               1,
                               47,
                               48,
                               49,
                               112,
                               1000,
                               1024,
                               4080,
                               16385,
                               32751,
                               CURL_MEMORY_MAX_BYTES,
                               CURL_MEMORY_MAX_BYTES + 1,
                               1000000};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void blocks_are_aligned_and_whole(void **state)
{
    unsigned char *blocks[N_SIZES];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N_SIZES; i++) {
            blocks[i] = curl_memory_alloc(sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
            memset(blocks[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < N_SIZES; i++)
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(blocks[i][at], i + 1);
        for (size_t i = 0; i < N_SIZES; i++)
            curl_memory_free(blocks[i]);
    }
}

static void realloc_keeps_the_bytes_whichever_way_it_goes(void **state)
{
    (void)state;
    for (size_t from = 0; from < N_SIZES; from++) {
        for (size_t to = 0; to < N_SIZES; to++) {
            size_t n = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            unsigned char *block = curl_memory_alloc(sizes[from]);

            memset(block, 0x5a, sizes[from]);
            block = curl_memory_realloc(block, sizes[to]);
            assert_non_null(block);
            for (size_t at = 0; at < n; at++)
                assert_int_equal(block[at], 0x5a);
            memset(block, 0xa5, sizes[to]);
            curl_memory_free(block);
        }
    }
}

static void calloc_zeroes_a_block_that_was_used(void **state)
{
    unsigned char *block = curl_memory_alloc(300);

    (void)state;
    memset(block, 0xff, 300);
    curl_memory_free(block);
    block = curl_memory_calloc(100, 3);
    for (size_t at = 0; at < 300; at++)
        assert_int_equal(block[at], 0);
    curl_memory_free(block);
}

static void what_no_memory_can_hold_is_null(void **state)
{
    void *block = curl_memory_alloc(CURL_MEMORY_MAX_BYTES + 1);

    (void)state;
    assert_null(curl_memory_calloc(SIZE_MAX / 2, 3));
    assert_null(curl_memory_alloc(SIZE_MAX - 4));
    assert_null(curl_memory_realloc(block, SIZE_MAX - 4));
    curl_memory_free(block);
}

static void nothing_and_texts_are_taken_as_by_libc(void **state)
{
    char *text = curl_memory_strdup("quoit");
    void *block = curl_memory_realloc(NULL, 10);

    (void)state;
    assert_string_equal(text, "quoit");
    assert_non_null(block);
    curl_memory_free(text);
    curl_memory_free(block);
    curl_memory_free(NULL);
}

static void a_freed_block_is_the_next_of_its_class(void **state)
{
    void *first, *second;

    (void)state;
    if (UNDER_SANITIZER) /* then nothing is kept, so that every block is seen */
        skip();
    first = curl_memory_alloc(600);
    second = curl_memory_alloc(900);
    curl_memory_free(first);
    curl_memory_free(second);
    assert_ptr_equal(curl_memory_alloc(700), second);
    assert_ptr_equal(curl_memory_alloc(1000), first);
    curl_memory_free(first);
    curl_memory_free(second);
}

static void *free_on_another_thread(void *block)
{
    void *its_own;

    curl_memory_free(block);
    its_own = curl_memory_alloc(500);
    curl_memory_free(its_own);
    return (void *)(uintptr_t)(UNDER_SANITIZER || its_own == block);
}

static void a_block_may_be_freed_by_another_thread(void **state)
{
    pthread_t thread;
    void *as_told;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, free_on_another_thread, curl_memory_alloc(500)),
                     0);
    assert_int_equal(pthread_join(thread, &as_told), 0);
    assert_true(as_told != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_whole),
        cmocka_unit_test(realloc_keeps_the_bytes_whichever_way_it_goes),
        cmocka_unit_test(calloc_zeroes_a_block_that_was_used),
        cmocka_unit_test(what_no_memory_can_hold_is_null),
        cmocka_unit_test(nothing_and_texts_are_taken_as_by_libc),
        cmocka_unit_test(a_freed_block_is_the_next_of_its_class),
        cmocka_unit_test(a_block_may_be_freed_by_another_thread),
    };

    curl_memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
