#include "core/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/forked.h"

static void mem_alloc_of_zero_bytes_is_a_block(void **state)
{
    void *a = mem_alloc(0), *b = mem_zalloc(0, 8), *c = mem_realloc(NULL, 0, 4);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    c = mem_realloc(c, 0, 0);
    assert_non_null(c);
    free(a);
    free(b);
    free(c);
}

static void mem_zalloc_clears(void **state)
{
    unsigned char *bytes = mem_zalloc(100, 3);

    (void)state;
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
}

static void mem_realloc_keeps_what_was_there(void **state)
{
    char *text = mem_strdup("quoit");

    (void)state;
    text = mem_realloc(text, 1000, 100);
    assert_string_equal(text, "quoit");
    memset(text, 'x', 100000);
    free(text);
}

static void mem_strndup_stops_at_n_and_at_the_nul(void **state)
{
    const char unended[3] = {'a', 'b', 'c'};
    char *cut = mem_strndup(unended, 3), *whole = mem_strndup("ab", 10), *none = mem_strndup("", 0);

    (void)state;
    assert_string_equal(cut, "abc");
    assert_string_equal(whole, "ab");
    assert_string_equal(none, "");
    free(cut);
    free(whole);
    free(none);
}

static void mem_printf_formats_any_length(void **state)
{
    char *text = mem_printf("%0*d|%s", 5000, 7, "end");

    (void)state;
    assert_int_equal(strlen(text), 5004);
    assert_string_equal(text + 4999, "7|end");
    free(text);
}

static void call_zalloc_overflow(void *unused)
{
    (void)unused;
    free(mem_zalloc(SIZE_MAX / 2, 3));
}

static void call_realloc_overflow(void *unused)
{
    (void)unused;
    free(mem_realloc(NULL, SIZE_MAX / 8 + 1, 8));
}

static void call_alloc_too_large(void *unused)
{
    (void)unused;
    free(mem_alloc(SIZE_MAX));
}

static void mem_dies_of_impossible_sizes_with_a_message(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_zalloc_overflow, NULL));
    assert_true(forked_aborts(call_realloc_overflow, NULL));
    assert_true(forked_aborts(call_alloc_too_large, NULL));
    assert_non_null(strstr(forked_run(call_alloc_too_large, NULL)->err, "out of memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_alloc_of_zero_bytes_is_a_block),
        cmocka_unit_test(mem_zalloc_clears),
        cmocka_unit_test(mem_realloc_keeps_what_was_there),
        cmocka_unit_test(mem_strndup_stops_at_n_and_at_the_nul),
        cmocka_unit_test(mem_printf_formats_any_length),
        cmocka_unit_test(mem_dies_of_impossible_sizes_with_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
