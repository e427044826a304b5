/* An ordered index in memory: int64 key → a small value, as a B+-tree.
 *
 *              [ 40 | 90 ]                inner nodes: separators and children
 *             /     |     \
 *   [3 7 12]⇄[40 41 77]⇄[90 95]           leaves: keys side by side, values behind them, linked
 *
 * For the stores that keep all keys of a shard in memory (memory, file). A node's keys lie together
 * in a few cache lines, so that a descent misses the cache about once a level, and ranges are
 * walked along the leaves without sorting. Keys that come in ascending order fill the leaves to the
 * brim and do not descend at all.
 *
 * What a value refers to (a text, a place in a file) is its owner's: the tree copies the struct and
 * frees nothing of it. One thread. Allocation failure ends the program. */
#ifndef QUOIT_BACKENDS_STORE_BTREE_H
#define QUOIT_BACKENDS_STORE_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btree_value {
    union {
        char *text;      /* in memory */
        uint64_t offset; /* in a file */
    };
    uint32_t n_bytes;
    uint32_t tag; /* the owner's; not looked at */
};

#define BTREE_NODE_KEYS 64

struct btree_node {
    uint16_t n; /* keys in use; an inner node has n + 1 children */
    bool is_leaf;
    _Alignas(64) int64_t keys[BTREE_NODE_KEYS]; /* ascending */
};

struct btree_leaf {
    struct btree_node node; /* first member */
    struct btree_value values[BTREE_NODE_KEYS];
    struct btree_leaf *previous, *next;
};

struct btree {
    struct btree_node *root; /* NULL: empty */
    struct btree_leaf *first, *last;
    uint64_t n;     /* keys */
    size_t n_bytes; /* of nodes */
    /* The leaf that was inserted into last, and the keys that belong to it, so that a run of
     * neighbouring keys finds its leaf without a descent. NULL: none. */
    struct btree_leaf *finger;
    int64_t finger_low, finger_last;
};

/* A key in the tree; leaf NULL: past the last one. Valid until the next insert or remove. */
struct btree_place {
    struct btree_leaf *leaf;
    unsigned index;
};

void btree_init(struct btree *tree);
/* Frees the nodes and leaves an empty tree. */
void btree_done(struct btree *tree);

/* The value of a key, or NULL. May be changed in place; valid until the next insert or remove. */
struct btree_value *btree_find(const struct btree *tree, int64_t key);
/* false, with nothing changed: the key is there. */
bool btree_insert(struct btree *tree, int64_t key, struct btree_value value);
/* Sets a key's value, adding the key where it is missing. Returns whether it was there, and then
 * what it had in ret_old (which may be NULL). */
bool btree_replace(struct btree *tree, int64_t key, struct btree_value value,
                   struct btree_value *ret_old);
/* false: no such key. ret_old (may be NULL): what it had. */
bool btree_remove(struct btree *tree, int64_t key, struct btree_value *ret_old);

/* The first key at or after `key`. */
struct btree_place btree_seek(const struct btree *tree, int64_t key);
/* The same for a key at or after that of `from`, which must be a valid place: costs next to nothing
 * where the two are neighbours. A place past the last key stays there. */
struct btree_place btree_seek_on(const struct btree *tree, struct btree_place from, int64_t key);

static inline struct btree_place btree_first(const struct btree *tree)
{
    return (struct btree_place){.leaf = tree->first};
}

static inline bool btree_at_end(struct btree_place place)
{
    return place.leaf == NULL;
}

static inline int64_t btree_key(struct btree_place place)
{
    return place.leaf->node.keys[place.index];
}

static inline struct btree_value *btree_value(struct btree_place place)
{
    return &place.leaf->values[place.index];
}

static inline void btree_next(struct btree_place *place)
{
    if (++place->index < place->leaf->node.n)
        return;
    place->leaf = place->leaf->next;
    place->index = 0;
}

#endif
