#include "core/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/support/forked.h"

static void arena_memory_is_aligned_and_does_not_overlap(void **state)
{
    enum { N = 3000 };
    static unsigned char *blocks[N];
    static size_t sizes[N];
    struct arena arena;
    struct rng rng;

    (void)state;
    arena_init(&arena);
    rng_seed(&rng, 7);
    for (size_t i = 0; i < N; i++) {
        /* Now and then one larger than any block. */
        sizes[i] = (size_t)rng_below(&rng, i % 500 == 0 ? 3000000 : 300);
        blocks[i] = arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        memset(blocks[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (blocks[i][k] != i % 251)
                fail_msg("byte %zu of block %zu was overwritten", k, i);
    arena_done(&arena);
}

static void arena_zero_bytes_are_distinct_places(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_ptr_not_equal(arena_alloc(&arena, 0), arena_alloc(&arena, 0));
    arena_done(&arena);
}

static void arena_zalloc_clears_used_memory(void **state)
{
    struct arena arena;
    const unsigned char *bytes;

    (void)state;
    arena_init(&arena);
    memset(arena_alloc(&arena, 4000), 0xff, 4000);
    arena_reset(&arena);
    bytes = arena_zalloc(&arena, 1000, 4);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(bytes[i], 0);
    arena_done(&arena);
}

static void arena_copies_and_formats_strings(void **state)
{
    struct arena arena;
    const char unended[3] = {'x', 'y', 'z'};

    (void)state;
    arena_init(&arena);
    assert_string_equal(arena_strdup(&arena, "quoit"), "quoit");
    assert_string_equal(arena_strndup(&arena, unended, 3), "xyz");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(arena_printf(&arena, "%s:%d", "S", 5), "S:5");
    assert_int_equal(strlen(arena_printf(&arena, "%0*d", 100000, 1)), 100000);
    arena_done(&arena);
}

static void arena_bytes_counts_since_the_last_reset(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_int_equal(arena_bytes(&arena), 0);
    for (int i = 0; i < 1000; i++)
        arena_alloc(&arena, 160);
    arena_alloc(&arena, 2000000); /* a block of its own */
    arena_alloc(&arena, 160);
    assert_true(arena_bytes(&arena) >= 1001 * 160 + 2000000);
    assert_true(arena_bytes(&arena) <= 1001 * 160 + 2000000 + 64);
    arena_reset(&arena);
    assert_int_equal(arena_bytes(&arena), 0);
    arena_done(&arena);
    assert_int_equal(arena_bytes(&arena), 0);
}

static void arena_reset_reuses_one_block(void **state)
{
    struct arena arena;
    void *first;

    (void)state;
    arena_init(&arena);
    for (int i = 0; i < 100; i++)
        arena_alloc(&arena, 1000);
    arena_reset(&arena);
    first = arena_alloc(&arena, 1000);
    arena_reset(&arena);
    assert_ptr_equal(arena_alloc(&arena, 1000), first);
    /* A block made for one huge thing is not kept for the arena's life. */
    arena_alloc(&arena, 100000000);
    arena_reset(&arena);
    assert_true((size_t)(arena.limit - arena.next) <= (size_t)1 << 20);
    arena_done(&arena);
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1)); /* may be used again */
    arena_done(&arena);
}

static void arena_huge_first_allocation_is_not_kept(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    memset(arena_alloc(&arena, 5000000), 1, 5000000);
    arena_reset(&arena);
    assert_int_equal(arena.limit - arena.next, 0);
    arena_done(&arena);
}

static void call_zalloc_overflow(void *unused)
{
    struct arena arena;

    (void)unused;
    arena_init(&arena);
    arena_zalloc(&arena, SIZE_MAX / 4, 8);
}

static void call_alloc_max(void *unused)
{
    struct arena arena;

    (void)unused;
    arena_init(&arena);
    arena_alloc(&arena, 1);
    arena_alloc(&arena, SIZE_MAX - 3);
}

static void arena_dies_of_impossible_sizes(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_zalloc_overflow, NULL));
    assert_true(forked_aborts(call_alloc_max, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(arena_zero_bytes_are_distinct_places),
        cmocka_unit_test(arena_zalloc_clears_used_memory),
        cmocka_unit_test(arena_copies_and_formats_strings),
        cmocka_unit_test(arena_bytes_counts_since_the_last_reset),
        cmocka_unit_test(arena_reset_reuses_one_block),
        cmocka_unit_test(arena_huge_first_allocation_is_not_kept),
        cmocka_unit_test(arena_dies_of_impossible_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
