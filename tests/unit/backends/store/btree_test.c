#include "backends/store/btree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

#define N_MANY 100000

static struct btree_value value_of(int64_t key)
{
    return (struct btree_value){.offset = rng_mix64((uint64_t)key), .n_bytes = 7};
}

/* Walks the tree from both sides of its contract: every place in order, each found again. */
static void check_whole(const struct btree *tree)
{
    uint64_t n = 0;
    int64_t before = 0;
    const struct btree_leaf *leaf = NULL;
    for (struct btree_place at = btree_first(tree); !btree_at_end(at); btree_next(&at), n++) {
        int64_t key = btree_key(at);
        if (n > 0)
            assert_true(before < key);
        if (at.leaf != leaf) {
            assert_ptr_equal(at.leaf->previous, leaf);
            leaf = at.leaf;
        }
        assert_ptr_equal(btree_find(tree, key), btree_value(at));
        assert_int_equal(btree_value(at)->offset, rng_mix64((uint64_t)key));
        before = key;
    }
    assert_int_equal(n, tree->n);
    assert_ptr_equal(tree->last, leaf);
}

static void btree_holds_the_ends_of_the_keys(void **state)
{
    (void)state;
    struct btree tree;
    btree_init(&tree);
    assert_true(btree_at_end(btree_first(&tree)));
    assert_true(btree_at_end(btree_seek(&tree, INT64_MIN)));
    assert_null(btree_find(&tree, 0));
    assert_false(btree_remove(&tree, 0, NULL));
    static const int64_t keys[] = {INT64_MAX, INT64_MIN, 0, -1, 1, INT64_MAX - 1, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        assert_true(btree_insert(&tree, keys[i], value_of(keys[i])));
        assert_false(btree_insert(&tree, keys[i], value_of(5)));
    }
    check_whole(&tree);
    assert_int_equal(btree_key(btree_seek(&tree, INT64_MIN)), INT64_MIN);
    assert_int_equal(btree_key(btree_seek(&tree, INT64_MAX)), INT64_MAX);
    assert_int_equal(btree_key(btree_seek(&tree, 2)), INT64_MAX - 1);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct btree_value old;
        assert_true(btree_remove(&tree, keys[i], &old));
        assert_int_equal(old.offset, value_of(keys[i]).offset);
    }
    assert_null(tree.root);
    assert_int_equal(tree.n_bytes, 0);
    btree_done(&tree);
}

static void btree_replaces_and_tells_what_was_there(void **state)
{
    (void)state;
    struct btree tree;
    struct btree_value old = {.offset = 1};
    btree_init(&tree);
    assert_false(btree_replace(&tree, 3, value_of(9), &old));
    assert_int_equal(old.offset, 1);
    assert_true(btree_replace(&tree, 3, value_of(3), &old));
    assert_int_equal(old.offset, value_of(9).offset);
    assert_int_equal(tree.n, 1);
    check_whole(&tree);
    btree_done(&tree);
}

static void btree_fills_its_leaves_when_keys_ascend(void **state)
{
    (void)state;
    struct btree tree;
    btree_init(&tree);
    for (int64_t key = 0; key < N_MANY; key++)
        assert_true(btree_insert(&tree, key * 3, value_of(key * 3)));
    check_whole(&tree);
    for (const struct btree_leaf *leaf = tree.first; leaf->next; leaf = leaf->next)
        assert_int_equal(leaf->node.n, BTREE_NODE_KEYS);
    btree_done(&tree);
    assert_int_equal(tree.n_bytes, 0);
}

static void btree_takes_keys_that_descend_and_that_interleave(void **state)
{
    (void)state;
    struct btree tree;
    btree_init(&tree);
    for (int64_t key = N_MANY; key > 0; key--)
        assert_true(btree_insert(&tree, key * 2, value_of(key * 2)));
    for (int64_t key = 0; key < N_MANY; key++)
        assert_true(btree_insert(&tree, key * 2 + 1, value_of(key * 2 + 1)));
    check_whole(&tree);
    for (int64_t key = 0; key < N_MANY; key++)
        assert_true(btree_remove(&tree, key * 2 + 1, NULL));
    check_whole(&tree);
    btree_done(&tree);
}

static void btree_gives_nodes_back_as_keys_go(void **state)
{
    (void)state;
    struct btree tree;
    btree_init(&tree);
    for (int64_t key = 0; key < N_MANY; key++)
        btree_insert(&tree, key, value_of(key));
    size_t full = tree.n_bytes;
    for (int64_t key = 0; key < N_MANY; key++)
        if (key % 16 != 0)
            assert_true(btree_remove(&tree, key, NULL));
    check_whole(&tree);
    assert_true(tree.n_bytes < full / 4);
    for (int64_t key = N_MANY - 1; key >= 0; key--)
        assert_int_equal(btree_remove(&tree, key, NULL), key % 16 == 0);
    assert_null(tree.root);
    assert_int_equal(tree.n_bytes, 0);
}

static void btree_seeks_on_as_it_seeks(void **state)
{
    (void)state;
    struct btree tree;
    struct rng rng;
    btree_init(&tree);
    rng_seed(&rng, 5);
    for (int i = 0; i < 5000; i++) {
        int64_t key = (int64_t)rng_below(&rng, 100000);
        btree_replace(&tree, key, value_of(key), NULL);
    }
    for (int64_t step = 1; step < 5000; step = step * 3 + 1) {
        struct btree_place at = btree_first(&tree);
        for (int64_t key = 0; key < 110000; key += step) {
            at = btree_seek_on(&tree, at, key);
            struct btree_place wanted = btree_seek(&tree, key);
            assert_ptr_equal(at.leaf, wanted.leaf);
            if (at.leaf)
                assert_int_equal(at.index, wanted.index);
        }
    }
    btree_done(&tree);
}

/* Against a bitmap: keys from a small range, phases that mostly grow and that mostly shrink, in
 * runs and at random, so that every way to split, join and share is taken. */
static void btree_keeps_what_a_bitmap_keeps(void **state)
{
    (void)state;
    enum { N_KEYS = 40000 };
    bool *there = calloc(N_KEYS, sizeof(*there));
    struct btree tree;
    struct rng rng;
    uint64_t n = 0;
    btree_init(&tree);
    rng_seed(&rng, 42);
    for (int round = 0; round < 400; round++) {
        uint64_t grow = round / 50 % 2 == 0 ? 85 : 12;
        bool runs = rng_below(&rng, 2) == 0;
        int64_t key = (int64_t)rng_below(&rng, N_KEYS);
        for (int i = 0; i < 1000; i++) {
            key = runs ? (key + 1) % N_KEYS : (int64_t)rng_below(&rng, N_KEYS);
            if (rng_below(&rng, 100) < grow) {
                assert_int_equal(btree_insert(&tree, key, value_of(key)), !there[key]);
                n += !there[key];
                there[key] = true;
            } else {
                assert_int_equal(btree_remove(&tree, key, NULL), there[key]);
                n -= there[key];
                there[key] = false;
            }
        }
        assert_int_equal(tree.n, n);
        check_whole(&tree);
        for (int64_t probe = 0; probe < N_KEYS; probe += 7)
            assert_int_equal(btree_find(&tree, probe) != NULL, there[probe]);
    }
    btree_done(&tree);
    free(there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(btree_holds_the_ends_of_the_keys),
        cmocka_unit_test(btree_replaces_and_tells_what_was_there),
        cmocka_unit_test(btree_fills_its_leaves_when_keys_ascend),
        cmocka_unit_test(btree_takes_keys_that_descend_and_that_interleave),
        cmocka_unit_test(btree_gives_nodes_back_as_keys_go),
        cmocka_unit_test(btree_seeks_on_as_it_seeks),
        cmocka_unit_test(btree_keeps_what_a_bitmap_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
