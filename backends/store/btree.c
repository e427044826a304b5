/* A B+-tree (Comer 1979) whose nodes keep keys apart from what belongs to them, searched without
 * branches. A node that removals leave under a quarter full is merged with a neighbour or evened
 * out with it; one that a run of ascending inserts fills is left full. */
#include "backends/store/btree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* A removal that leaves fewer keys has the node joined to a neighbour … */
#define MIN_KEYS (BTREE_NODE_KEYS / 4)
/* … when the two have no more than this together, so that the next insert does not split it. */
#define MERGE_KEYS (BTREE_NODE_KEYS * 3 / 4)
/* What a run of ascending keys leaves in the right half of an inner node that is split. */
#define APPEND_KEYS 4
/* An inner node has two children or more: more levels than this hold more than memory does. */
#define MAX_HEIGHT 48

/* Child i holds the keys with keys[i - 1] ≤ key < keys[i]. */
struct btree_inner {
    struct btree_node node; /* first member */
    struct btree_node *children[BTREE_NODE_KEYS + 1];
};

/* How a descent went: the inner nodes and the child taken in each. */
struct path {
    unsigned height;
    struct {
        struct btree_inner *inner;
        unsigned index;
    } steps[MAX_HEIGHT];
};

/* How many of n keys are below `key`. The loop has no branch to predict. */
static inline unsigned n_below(const int64_t *keys, unsigned n, int64_t key)
{
    const int64_t *base = keys;
    if (n == 0)
        return 0;
    while (n > 1) {
        unsigned half = n / 2;
        base += base[half - 1] < key ? half : 0;
        n -= half;
    }
    return (unsigned)(base - keys) + (*base < key);
}

/* The child of an inner node that a key belongs to. */
static inline unsigned child_of(const struct btree_node *node, int64_t key)
{
    unsigned index = n_below(node->keys, node->n, key);
    return index + (index < node->n && node->keys[index] == key);
}

static struct btree_leaf *leaf_new(struct btree *tree)
{
    struct btree_leaf *leaf = mem_aligned_zalloc(_Alignof(struct btree_leaf), sizeof(*leaf));
    leaf->node.is_leaf = true;
    tree->n_bytes += sizeof(*leaf);
    return leaf;
}

static struct btree_inner *inner_new(struct btree *tree)
{
    struct btree_inner *inner = mem_aligned_zalloc(_Alignof(struct btree_inner), sizeof(*inner));
    tree->n_bytes += sizeof(*inner);
    return inner;
}

static void node_free(struct btree *tree, struct btree_node *node)
{
    tree->n_bytes -= node->is_leaf ? sizeof(struct btree_leaf) : sizeof(struct btree_inner);
    free(node);
}

void btree_init(struct btree *tree)
{
    *tree = (struct btree){0};
}

static void free_below(struct btree *tree, struct btree_node *node)
{
    if (!node->is_leaf)
        for (unsigned i = 0; i <= node->n; i++)
            free_below(tree, ((struct btree_inner *)node)->children[i]);
    node_free(tree, node);
}

void btree_done(struct btree *tree)
{
    if (tree->root)
        free_below(tree, tree->root);
    btree_init(tree);
}

/* ---- finding ---- */

static struct btree_leaf *leaf_for(const struct btree *tree, int64_t key)
{
    struct btree_node *node = tree->root;
    while (!node->is_leaf)
        node = ((struct btree_inner *)node)->children[child_of(node, key)];
    return (struct btree_leaf *)node;
}

struct btree_value *btree_find(const struct btree *tree, int64_t key)
{
    if (!tree->root)
        return NULL;
    struct btree_leaf *leaf = leaf_for(tree, key);
    unsigned index = n_below(leaf->node.keys, leaf->node.n, key);
    if (index == leaf->node.n || leaf->node.keys[index] != key)
        return NULL;
    return &leaf->values[index];
}

/* The place of a leaf's index, which may be just past its last key. */
static struct btree_place place_at(struct btree_leaf *leaf, unsigned index)
{
    if (index < leaf->node.n)
        return (struct btree_place){leaf, index};
    return (struct btree_place){leaf->next, 0};
}

struct btree_place btree_seek(const struct btree *tree, int64_t key)
{
    if (!tree->root)
        return (struct btree_place){0};
    struct btree_leaf *leaf = leaf_for(tree, key);
    return place_at(leaf, n_below(leaf->node.keys, leaf->node.n, key));
}

struct btree_place btree_seek_on(const struct btree *tree, struct btree_place from, int64_t key)
{
    struct btree_leaf *leaf = from.leaf;
    if (!leaf || leaf->node.keys[from.index] >= key)
        return from;
    if (leaf->node.keys[leaf->node.n - 1] < key) {
        leaf = leaf->next;
        if (leaf && leaf->node.keys[leaf->node.n - 1] < key)
            return btree_seek(tree, key);
        if (!leaf)
            return (struct btree_place){0};
        from.index = 0;
    }
    const int64_t *keys = leaf->node.keys + from.index;
    return place_at(leaf, from.index + n_below(keys, leaf->node.n - from.index, key));
}

/* ---- descending for a change ---- */

/* The leaf that a key belongs to, which becomes the finger. The tree is not empty. */
static struct btree_leaf *descend(struct btree *tree, int64_t key, struct path *path)
{
    struct btree_node *node = tree->root;
    int64_t low = INT64_MIN, last = INT64_MAX;
    path->height = 0;
    while (!node->is_leaf) {
        struct btree_inner *inner = (struct btree_inner *)node;
        unsigned index = child_of(node, key);
        if (index > 0)
            low = node->keys[index - 1];
        if (index < node->n)
            last = node->keys[index] - 1;
        assert(path->height < MAX_HEIGHT);
        path->steps[path->height].inner = inner;
        path->steps[path->height++].index = index;
        node = inner->children[index];
    }
    tree->finger = (struct btree_leaf *)node;
    tree->finger_low = low;
    tree->finger_last = last;
    return tree->finger;
}

static inline bool at_finger(const struct btree *tree, int64_t key)
{
    return tree->finger && tree->finger_low <= key && key <= tree->finger_last;
}

/* ---- inserting ---- */

static void leaf_insert(struct btree_leaf *leaf, unsigned index, int64_t key,
                        struct btree_value value)
{
    unsigned n_after = leaf->node.n - index;
    memmove(&leaf->node.keys[index + 1], &leaf->node.keys[index], n_after * sizeof(int64_t));
    memmove(&leaf->values[index + 1], &leaf->values[index], n_after * sizeof(value));
    leaf->node.keys[index] = key;
    leaf->values[index] = value;
    leaf->node.n++;
}

static void inner_insert(struct btree_inner *inner, unsigned index, int64_t key,
                         struct btree_node *right)
{
    unsigned n_after = inner->node.n - index;
    memmove(&inner->node.keys[index + 1], &inner->node.keys[index], n_after * sizeof(int64_t));
    memmove(&inner->children[index + 2], &inner->children[index + 1],
            n_after * sizeof(inner->children[0]));
    inner->node.keys[index] = key;
    inner->children[index + 1] = right;
    inner->node.n++;
}

/* Moves the upper part of a full inner node to a new one on its right. *io_key is the separator to
 * be inserted at `index` on the way in, that of the two halves on the way out. */
static struct btree_node *inner_split(struct btree *tree, struct btree_inner *left, unsigned index,
                                      int64_t *io_key, struct btree_node *child)
{
    unsigned n_left = index == left->node.n ? BTREE_NODE_KEYS - APPEND_KEYS : BTREE_NODE_KEYS / 2;
    struct btree_inner *right = inner_new(tree);
    unsigned n_right = left->node.n - n_left - 1;
    int64_t middle = left->node.keys[n_left];
    memcpy(right->node.keys, &left->node.keys[n_left + 1], n_right * sizeof(int64_t));
    memcpy(right->children, &left->children[n_left + 1],
           (n_right + 1) * sizeof(right->children[0]));
    right->node.n = (uint16_t)n_right;
    left->node.n = (uint16_t)n_left;
    if (index <= n_left)
        inner_insert(left, index, *io_key, child);
    else
        inner_insert(right, index - n_left - 1, *io_key, child);
    *io_key = middle;
    return &right->node;
}

/* Puts a new node beside the one that the path led to, splitting upwards. */
static void hang_in(struct btree *tree, struct path *path, int64_t key, struct btree_node *child)
{
    while (path->height > 0) {
        struct btree_inner *inner = path->steps[--path->height].inner;
        unsigned index = path->steps[path->height].index;
        if (inner->node.n < BTREE_NODE_KEYS) {
            inner_insert(inner, index, key, child);
            return;
        }
        child = inner_split(tree, inner, index, &key, child);
    }
    struct btree_inner *root = inner_new(tree);
    root->node.n = 1;
    root->node.keys[0] = key;
    root->children[0] = tree->root;
    root->children[1] = child;
    tree->root = &root->node;
}

/* Moves the upper half of a full leaf to a new one on its right; nothing, when what comes is the
 * largest key of all. */
static struct btree_leaf *leaf_split(struct btree *tree, struct btree_leaf *left, unsigned index)
{
    struct btree_leaf *right = leaf_new(tree);
    bool appends = !left->next && index == left->node.n;
    unsigned n_left = appends ? left->node.n : BTREE_NODE_KEYS / 2;
    unsigned n_right = left->node.n - n_left;
    memcpy(right->node.keys, &left->node.keys[n_left], n_right * sizeof(int64_t));
    memcpy(right->values, &left->values[n_left], n_right * sizeof(right->values[0]));
    right->node.n = (uint16_t)n_right;
    left->node.n = (uint16_t)n_left;
    right->previous = left;
    right->next = left->next;
    left->next = right;
    if (right->next)
        right->next->previous = right;
    else
        tree->last = right;
    return right;
}

/* A key that is missing, into a full leaf, where it comes at `index`. */
static void insert_splitting(struct btree *tree, struct btree_leaf *leaf, unsigned index,
                             int64_t key, struct btree_value value)
{
    struct path path;
    descend(tree, key, &path); /* a finger knows no path */
    struct btree_leaf *right = leaf_split(tree, leaf, index);
    if (index < leaf->node.n || (index == leaf->node.n && right->node.n > 0))
        leaf_insert(leaf, index, key, value);
    else
        leaf_insert(right, index - leaf->node.n, key, value);
    int64_t separator = right->node.keys[0];
    if (key < separator) {
        tree->finger_last = separator - 1;
    } else {
        tree->finger = right;
        tree->finger_low = separator;
    }
    hang_in(tree, &path, separator, &right->node);
}

/* Where a key is, or would be. Makes the first leaf of an empty tree. */
static struct btree_leaf *leaf_to_change(struct btree *tree, int64_t key, unsigned *ret_index,
                                         bool *ret_there)
{
    struct path path;
    if (!tree->root) {
        tree->first = tree->last = leaf_new(tree);
        tree->root = &tree->first->node;
    }
    struct btree_leaf *leaf = at_finger(tree, key) ? tree->finger : descend(tree, key, &path);
    *ret_index = n_below(leaf->node.keys, leaf->node.n, key);
    *ret_there = *ret_index < leaf->node.n && leaf->node.keys[*ret_index] == key;
    return leaf;
}

static void insert_at(struct btree *tree, struct btree_leaf *leaf, unsigned index, int64_t key,
                      struct btree_value value)
{
    if (leaf->node.n < BTREE_NODE_KEYS)
        leaf_insert(leaf, index, key, value);
    else
        insert_splitting(tree, leaf, index, key, value);
    tree->n++;
}

bool btree_insert(struct btree *tree, int64_t key, struct btree_value value)
{
    unsigned index;
    bool there;
    struct btree_leaf *leaf = leaf_to_change(tree, key, &index, &there);
    if (!there)
        insert_at(tree, leaf, index, key, value);
    return !there;
}

bool btree_replace(struct btree *tree, int64_t key, struct btree_value value,
                   struct btree_value *ret_old)
{
    unsigned index;
    bool there;
    struct btree_leaf *leaf = leaf_to_change(tree, key, &index, &there);
    if (!there) {
        insert_at(tree, leaf, index, key, value);
        return false;
    }
    if (ret_old)
        *ret_old = leaf->values[index];
    leaf->values[index] = value;
    return true;
}

/* ---- removing ---- */

/* Takes separator `index` and the child on its right, which is freed, out of an inner node. */
static void inner_remove(struct btree *tree, struct btree_inner *inner, unsigned index)
{
    unsigned n_after = inner->node.n - index - 1;
    node_free(tree, inner->children[index + 1]);
    memmove(&inner->node.keys[index], &inner->node.keys[index + 1], n_after * sizeof(int64_t));
    memmove(&inner->children[index + 1], &inner->children[index + 2],
            n_after * sizeof(inner->children[0]));
    inner->node.n--;
}

/* Joins two neighbouring leaves into the left one, or shares their keys evenly. */
static void join_leaves(struct btree *tree, struct btree_inner *parent, unsigned index)
{
    struct btree_leaf *left = (struct btree_leaf *)parent->children[index];
    struct btree_leaf *right = (struct btree_leaf *)parent->children[index + 1];
    unsigned n_l = left->node.n, n_r = right->node.n;
    unsigned n_left = n_l + n_r <= MERGE_KEYS ? n_l + n_r : (n_l + n_r) / 2;
    if (n_left > n_l) {
        unsigned n = n_left - n_l;
        memcpy(&left->node.keys[n_l], right->node.keys, n * sizeof(int64_t));
        memcpy(&left->values[n_l], right->values, n * sizeof(left->values[0]));
        memmove(right->node.keys, &right->node.keys[n], (n_r - n) * sizeof(int64_t));
        memmove(right->values, &right->values[n], (n_r - n) * sizeof(left->values[0]));
    } else if (n_left < n_l) {
        unsigned n = n_l - n_left;
        memmove(&right->node.keys[n], right->node.keys, n_r * sizeof(int64_t));
        memmove(&right->values[n], right->values, n_r * sizeof(left->values[0]));
        memcpy(right->node.keys, &left->node.keys[n_left], n * sizeof(int64_t));
        memcpy(right->values, &left->values[n_left], n * sizeof(left->values[0]));
    }
    left->node.n = (uint16_t)n_left;
    right->node.n = (uint16_t)(n_l + n_r - n_left);
    if (right->node.n > 0) {
        parent->node.keys[index] = right->node.keys[0];
        return;
    }
    left->next = right->next;
    if (left->next)
        left->next->previous = left;
    else
        tree->last = left;
    inner_remove(tree, parent, index);
}

/* The same of inner nodes: their separator in the parent takes part. */
static void join_inners(struct btree *tree, struct btree_inner *parent, unsigned index)
{
    struct btree_inner *left = (struct btree_inner *)parent->children[index];
    struct btree_inner *right = (struct btree_inner *)parent->children[index + 1];
    unsigned n_l = left->node.n, n_r = right->node.n, n = n_l + 1 + n_r;
    int64_t keys[2 * BTREE_NODE_KEYS + 1];
    struct btree_node *children[2 * BTREE_NODE_KEYS + 2];
    memcpy(keys, left->node.keys, n_l * sizeof(keys[0]));
    keys[n_l] = parent->node.keys[index];
    memcpy(&keys[n_l + 1], right->node.keys, n_r * sizeof(keys[0]));
    memcpy(children, left->children, (n_l + 1) * sizeof(children[0]));
    memcpy(&children[n_l + 1], right->children, (n_r + 1) * sizeof(children[0]));

    unsigned n_left = n <= MERGE_KEYS ? n : n / 2;
    memcpy(left->node.keys, keys, n_left * sizeof(keys[0]));
    memcpy(left->children, children, (n_left + 1) * sizeof(children[0]));
    left->node.n = (uint16_t)n_left;
    if (n_left == n) {
        inner_remove(tree, parent, index);
        return;
    }
    parent->node.keys[index] = keys[n_left];
    right->node.n = (uint16_t)(n - n_left - 1);
    memcpy(right->node.keys, &keys[n_left + 1], right->node.n * sizeof(keys[0]));
    memcpy(right->children, &children[n_left + 1], (right->node.n + 1u) * sizeof(children[0]));
}

/* After a removal from the node that the path led to. */
static void rebalance(struct btree *tree, struct path *path, struct btree_node *node)
{
    tree->finger = NULL;
    while (path->height > 0 && node->n < MIN_KEYS) {
        struct btree_inner *parent = path->steps[--path->height].inner;
        unsigned index = path->steps[path->height].index;
        if (index > 0)
            index--;
        if (node->is_leaf)
            join_leaves(tree, parent, index);
        else
            join_inners(tree, parent, index);
        node = &parent->node;
    }
    node = tree->root;
    if (node->n > 0)
        return;
    if (node->is_leaf) {
        tree->root = NULL;
        tree->first = tree->last = NULL;
    } else {
        tree->root = ((struct btree_inner *)node)->children[0];
    }
    node_free(tree, node);
}

bool btree_remove(struct btree *tree, int64_t key, struct btree_value *ret_old)
{
    struct path path;
    if (!tree->root)
        return false;
    struct btree_leaf *leaf = tree->finger;
    bool from_finger = at_finger(tree, key) && leaf->node.n > MIN_KEYS;
    if (!from_finger)
        leaf = descend(tree, key, &path);
    unsigned index = n_below(leaf->node.keys, leaf->node.n, key);
    if (index == leaf->node.n || leaf->node.keys[index] != key)
        return false;
    if (ret_old)
        *ret_old = leaf->values[index];
    unsigned n_after = leaf->node.n - index - 1u;
    memmove(&leaf->node.keys[index], &leaf->node.keys[index + 1], n_after * sizeof(int64_t));
    memmove(&leaf->values[index], &leaf->values[index + 1], n_after * sizeof(leaf->values[0]));
    leaf->node.n--;
    tree->n--;
    if (!from_finger && leaf->node.n < MIN_KEYS)
        rebalance(tree, &path, &leaf->node);
    return true;
}
