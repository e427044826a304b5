/* anchor: AnchorHash (Mendelson et al. 2020). There are `capacity` buckets, some of them with a
 * member. A key is hashed to a bucket; if that one was removed, it is hashed again to those that
 * were left right after that removal, and so on. What a removed bucket had is spread evenly over
 * the others, and comes back with it: any member can go at any time, and only its keys move.
 *
 *     A[b]   0, or for a removed bucket how many were left after its removal
 *     K[b]   of a removed bucket, the one that took its place in the numbering of those left
 *     stack  the removed buckets; a member that comes gets the one removed last
 *
 * About 1 + ln(capacity / members) steps. Which bucket a member has depends on what came and went
 * before it; built anew, the members have the buckets 0, 1, … in ascending order of id. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"
#include "core/rng.h"

struct anchor_params {
    uint64_t capacity;
};

static const struct option_def anchor_options[] = {
    {.name = "capacity",
     .type = OPTION_U64,
     .offset = offsetof(struct anchor_params, capacity),
     .metavar = "A",
     .fallback = "256",
     .min = 1,
     .max = PLACEMENT_MAX_MEMBERS,
     .help = "the most members there can ever be"},
    {.name = NULL},
};

struct anchor {
    struct placement base;
    uint32_t capacity;
    uint32_t n_working;
    uint32_t *left_after; /* A */
    uint32_t *replaced;   /* K */
    uint32_t *order;      /* of each bucket its member; meaningless for removed ones */
    uint32_t *stack;      /* capacity − n_working of the removed */
    uint32_t *by_id;      /* members, for replicas beyond what draws give */
};

static int check_room(uint32_t capacity, size_t n, struct err *err)
{
    if (n <= capacity)
        return 0;
    return err_set(err, -EINVAL,
                   "anchor: %zu members are more than the capacity of %" PRIu32
                   "; say --placement anchor:capacity=N",
                   n, capacity);
}

static struct anchor *anchor_new(uint32_t capacity, const struct placement_member *members,
                                 size_t n)
{
    struct anchor *anchor = mem_zalloc(1, sizeof(*anchor));
    anchor->capacity = capacity;
    anchor->left_after = mem_zalloc(capacity, sizeof(uint32_t));
    anchor->replaced = mem_zalloc(capacity, sizeof(uint32_t));
    anchor->order = mem_zalloc(capacity, sizeof(uint32_t));
    anchor->stack = mem_zalloc(capacity, sizeof(uint32_t));
    anchor->by_id = placement_sort_members(members, n);
    return anchor;
}

/* From a number in the numbering when `n_view` were left to the bucket that has it. */
static inline uint32_t translate(const struct anchor *anchor, uint32_t bucket, uint32_t n_view)
{
    while (anchor->left_after[bucket] >= n_view)
        bucket = anchor->replaced[bucket];
    return bucket;
}

static int anchor_build(const void *params, const struct placement_member *members, size_t n,
                        const struct hash_pair *hashes, struct placement **ret_placement,
                        struct err *err)
{
    (void)hashes;
    const struct anchor_params *p = params;
    int rc = check_room((uint32_t)p->capacity, n, err);
    if (rc != 0)
        return rc;
    struct anchor *anchor = anchor_new((uint32_t)p->capacity, members, n);
    anchor->n_working = (uint32_t)n;
    for (uint32_t bucket = 0; bucket < anchor->capacity; bucket++) {
        anchor->replaced[bucket] = bucket;
        if (bucket < n) {
            anchor->order[bucket] = anchor->by_id[bucket];
        } else { /* as if all had been there and were removed from the last on */
            anchor->left_after[bucket] = bucket;
            anchor->stack[anchor->capacity - 1 - bucket] = bucket;
        }
    }
    *ret_placement = &anchor->base;
    return 0;
}

static struct anchor *copy_of(const struct anchor *old, const struct placement_member *members,
                              size_t n)
{
    struct anchor *anchor = anchor_new(old->capacity, members, n);
    size_t bytes = old->capacity * sizeof(uint32_t);
    anchor->n_working = old->n_working;
    memcpy(anchor->left_after, old->left_after, bytes);
    memcpy(anchor->replaced, old->replaced, bytes);
    memcpy(anchor->order, old->order, bytes);
    memcpy(anchor->stack, old->stack, bytes);
    return anchor;
}

static int anchor_add(const struct placement *placement, const struct placement_member *members,
                      size_t n, struct placement **ret_placement, struct err *err)
{
    const struct anchor *old = (const struct anchor *)placement;
    int rc = check_room(old->capacity, n, err);
    if (rc != 0)
        return rc;
    struct anchor *anchor = copy_of(old, members, n);
    uint32_t bucket = anchor->stack[anchor->capacity - anchor->n_working - 1];
    anchor->n_working++;
    anchor->left_after[bucket] = 0;
    anchor->replaced[bucket] = bucket;
    anchor->order[bucket] = (uint32_t)n - 1;
    *ret_placement = &anchor->base;
    return 0;
}

static int anchor_remove(const struct placement *placement, const struct placement_member *members,
                         size_t n, uint32_t index, struct placement **ret_placement,
                         struct err *err)
{
    (void)err;
    struct anchor *anchor = copy_of((const struct anchor *)placement, members, n);
    uint32_t removed = PLACEMENT_NONE;
    for (uint32_t bucket = 0; bucket < anchor->capacity; bucket++) {
        bool working = anchor->left_after[bucket] == 0;
        if (working && anchor->order[bucket] == index)
            removed = bucket;
        else if (working && anchor->order[bucket] > index)
            anchor->order[bucket]--;
    }
    anchor->replaced[removed] = translate(anchor, anchor->n_working - 1, anchor->n_working);
    anchor->stack[anchor->capacity - anchor->n_working] = removed;
    anchor->n_working--;
    anchor->left_after[removed] = anchor->n_working;
    *ret_placement = &anchor->base;
    return 0;
}

static void anchor_free(struct placement *placement)
{
    struct anchor *anchor = (struct anchor *)placement;
    free(anchor->left_after);
    free(anchor->replaced);
    free(anchor->order);
    free(anchor->stack);
    free(anchor->by_id);
    free(anchor);
}

static inline uint32_t draw_below(uint64_t hash, uint32_t n)
{
    return (uint32_t)(((unsigned __int128)hash * n) >> 64);
}

static uint32_t anchor_draw(const struct placement *placement, uint64_t hash)
{
    const struct anchor *anchor = (const struct anchor *)placement;
    uint64_t draw = rng_mix64(hash);
    uint32_t bucket = draw_below(draw, anchor->capacity);
    uint32_t n_view;
    while ((n_view = anchor->left_after[bucket]) != 0) {
        draw = rng_mix64(draw ^ bucket);
        bucket = translate(anchor, draw_below(draw, n_view), n_view);
    }
    return anchor->order[bucket];
}

static uint32_t anchor_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return anchor_draw(placement, hash_key(placement->hashes.request, key));
}

static size_t anchor_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                              uint32_t *out)
{
    const struct anchor *anchor = (const struct anchor *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash_key(placement->hashes.request, key), anchor->by_id,
                      anchor_draw);
    return distinct.n;
}

static size_t anchor_bytes(const struct placement *placement)
{
    const struct anchor *anchor = (const struct anchor *)placement;
    return sizeof(*anchor) + 4 * anchor->capacity * sizeof(uint32_t) +
           placement->n_members * sizeof(uint32_t);
}

static const struct placement_ops anchor_placement = {
    .part = {.name = "anchor",
             .summary = "AnchorHash: any member can go, and only its keys move; remembers the past",
             .source = "Mendelson, Vargaftik, Barabash, Lorenz, Keslassy, Orda: AnchorHash: A "
                       "Scalable Consistent Hash (2020)",
             .options = anchor_options,
             .params_size = sizeof(struct anchor_params)},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_MINIMAL_TAIL |
            PLACEMENT_DRAWN | PLACEMENT_INCREMENTAL | PLACEMENT_HISTORY,
    .build = anchor_build,
    .add = anchor_add,
    .remove = anchor_remove,
    .free = anchor_free,
    .lookup = anchor_lookup,
    .lookup_n = anchor_lookup_n,
    .bytes = anchor_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(anchor_placement);
