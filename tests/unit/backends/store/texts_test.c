#include "backends/store/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static void keeps_texts_apart_whatever_comes_and_goes(void **state)
{
    enum { N = 2000 };
    static char *kept[N];
    static size_t sizes[N];
    static char fill[N];
    struct texts texts;
    struct rng rng;
    char text[5000];
    (void)state;
    texts_init(&texts);
    rng_seed(&rng, 11);
    for (int turn = 0; turn < 100000; turn++) {
        size_t i = rng_below(&rng, N);
        if (kept[i]) {
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(kept[i][k], fill[i]);
            texts_drop(&texts, kept[i], sizes[i]);
            kept[i] = NULL;
            continue;
        }
        sizes[i] = rng_below(&rng, rng_below(&rng, 20) == 0 ? sizeof(text) : 200);
        fill[i] = (char)('a' + turn % 26);
        memset(text, fill[i], sizes[i]);
        kept[i] = texts_add(&texts, text, sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        if (kept[i])
            texts_drop(&texts, kept[i], sizes[i]);
    assert_int_equal(texts.n_bytes, 0);
    assert_true(LIST_EMPTY(&texts.chunks));
    assert_true(LIST_EMPTY(&texts.long_ones));
}

static void lays_texts_side_by_side_and_uses_room_again(void **state)
{
    struct texts texts;
    (void)state;
    texts_init(&texts);
    char *one = texts_add(&texts, "0123456789", 10);
    char *two = texts_add(&texts, "abcdefgh", 8);
    assert_ptr_equal(two, one + 16);
    texts_drop(&texts, one, 10);
    assert_ptr_equal(texts_add(&texts, "sixteen bytes...", 16), one);
    assert_int_equal(texts.n_bytes, 24);
    texts_done(&texts);
    texts_done(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_texts_apart_whatever_comes_and_goes),
        cmocka_unit_test(lays_texts_side_by_side_and_uses_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
