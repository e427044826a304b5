/* memento: MementoHash (Coluzzi et al. 2023). Jump's buckets, and a memory of those that were
 * removed out of order: as long as members come and go at the end it is jump, and needs no memory;
 * each other removal costs one entry until a new member takes the bucket.
 *
 *     entry   removed bucket → c, how many were left after its removal, which is also the number of
 *             the bucket that took its place in the numbering of those left
 *
 * A key that jumps to a removed bucket is hashed again to the c that were left then, and followed
 * through the replacements that had been made by then. Entries are looked up in an open table of
 * twice their number. Any member can go, and only its keys move. Which bucket a member has depends
 * on what came and went before it; built anew, the members have the buckets 0, 1, … in ascending
 * order of id, and no entry is left. */
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "backends/placement/jump.h"
#include "core/mem.h"
#include "core/rng.h"

struct entry {
    uint32_t bucket;
    uint32_t n_left;
};

struct memento {
    struct placement base;
    uint32_t n_buckets; /* members and removed ones */
    uint32_t n_removed;
    uint32_t mask;         /* size of the table, a power of two, less one */
    uint32_t *order;       /* of each bucket its member; PLACEMENT_NONE for removed ones */
    struct entry *removed; /* n_removed, in the order of their removal */
    struct entry *table;   /* the same by bucket; PLACEMENT_NONE where there is none */
    uint32_t *by_id;       /* members, for replicas beyond what draws give */
};

static inline uint32_t hash_of_bucket(uint32_t bucket)
{
    return bucket * UINT32_C(0x9e3779b1) >> 7;
}

/* How many were left after the bucket's removal, or PLACEMENT_NONE when it is a member's. */
static inline uint32_t left_after(const struct memento *memento, uint32_t bucket)
{
    for (uint32_t at = hash_of_bucket(bucket) & memento->mask;; at = (at + 1) & memento->mask) {
        const struct entry *entry = &memento->table[at];
        if (entry->bucket == bucket)
            return entry->n_left;
        if (entry->bucket == PLACEMENT_NONE)
            return PLACEMENT_NONE;
    }
}

/* From order, removed and their numbers to the table. */
static void fill_table(struct memento *memento)
{
    uint32_t size = 1;
    while (size < 2 * memento->n_removed + 1)
        size *= 2;
    memento->mask = size - 1;
    memento->table = mem_zalloc(size, sizeof(*memento->table));
    for (uint32_t i = 0; i < size; i++)
        memento->table[i].bucket = PLACEMENT_NONE;
    for (uint32_t i = 0; i < memento->n_removed; i++) {
        uint32_t at = hash_of_bucket(memento->removed[i].bucket) & memento->mask;
        while (memento->table[at].bucket != PLACEMENT_NONE)
            at = (at + 1) & memento->mask;
        memento->table[at] = memento->removed[i];
    }
}

/* With room for one bucket and one entry more than the old one has. */
static struct memento *copy_of(const struct memento *old, const struct placement_member *members,
                               size_t n)
{
    struct memento *memento = mem_zalloc(1, sizeof(*memento));
    memento->n_buckets = old->n_buckets;
    memento->n_removed = old->n_removed;
    memento->order = mem_zalloc(old->n_buckets + 1u, sizeof(*memento->order));
    memento->removed = mem_zalloc(old->n_removed + 1u, sizeof(*memento->removed));
    memento->by_id = placement_sort_members(members, n);
    for (uint32_t i = 0; i < old->n_buckets; i++)
        memento->order[i] = old->order[i];
    for (uint32_t i = 0; i < old->n_removed; i++)
        memento->removed[i] = old->removed[i];
    return memento;
}

static int memento_build(const void *params, const struct placement_member *members, size_t n,
                         const struct hash_pair *hashes, struct placement **ret_placement,
                         struct err *err)
{
    (void)params;
    (void)hashes;
    (void)err;
    struct memento *memento = mem_zalloc(1, sizeof(*memento));
    memento->n_buckets = (uint32_t)n;
    memento->order = placement_sort_members(members, n);
    memento->by_id = placement_sort_members(members, n);
    memento->removed = mem_zalloc(1, sizeof(*memento->removed));
    fill_table(memento);
    *ret_placement = &memento->base;
    return 0;
}

static int memento_add(const struct placement *placement, const struct placement_member *members,
                       size_t n, struct placement **ret_placement, struct err *err)
{
    (void)err;
    struct memento *memento = copy_of((const struct memento *)placement, members, n);
    uint32_t bucket = memento->n_removed > 0 ? memento->removed[--memento->n_removed].bucket
                                             : memento->n_buckets++;
    memento->order[bucket] = (uint32_t)n - 1;
    fill_table(memento);
    *ret_placement = &memento->base;
    return 0;
}

static int memento_remove(const struct placement *placement, const struct placement_member *members,
                          size_t n, uint32_t index, struct placement **ret_placement,
                          struct err *err)
{
    (void)err;
    struct memento *memento = copy_of((const struct memento *)placement, members, n);
    uint32_t removed = PLACEMENT_NONE;
    for (uint32_t bucket = 0; bucket < memento->n_buckets; bucket++) {
        uint32_t member = memento->order[bucket];
        if (member == index)
            removed = bucket;
        else if (member != PLACEMENT_NONE && member > index)
            memento->order[bucket]--;
    }
    memento->order[removed] = PLACEMENT_NONE;
    if (memento->n_removed == 0 && removed == memento->n_buckets - 1)
        memento->n_buckets--;
    else
        memento->removed[memento->n_removed++] =
            (struct entry){.bucket = removed, .n_left = (uint32_t)n};
    fill_table(memento);
    *ret_placement = &memento->base;
    return 0;
}

static void memento_free(struct placement *placement)
{
    struct memento *memento = (struct memento *)placement;
    free(memento->order);
    free(memento->removed);
    free(memento->table);
    free(memento->by_id);
    free(memento);
}

static uint32_t memento_draw(const struct placement *placement, uint64_t hash)
{
    const struct memento *memento = (const struct memento *)placement;
    uint32_t bucket = jump_bucket(hash, memento->n_buckets);
    if (memento->n_removed == 0)
        return memento->order[bucket];
    uint32_t n_left;
    while ((n_left = left_after(memento, bucket)) != PLACEMENT_NONE) {
        uint64_t draw = rng_mix64(hash ^ rng_mix64(bucket));
        bucket = (uint32_t)(((unsigned __int128)draw * n_left) >> 64);
        /* Who had this number when n_left were left: replaced by then, not since. */
        uint32_t replacement;
        while ((replacement = left_after(memento, bucket)) != PLACEMENT_NONE &&
               replacement >= n_left)
            bucket = replacement;
    }
    return memento->order[bucket];
}

static uint32_t memento_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return memento_draw(placement, hash_key(placement->hashes.request, key));
}

static size_t memento_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                               uint32_t *out)
{
    const struct memento *memento = (const struct memento *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash_key(placement->hashes.request, key),
                      memento->by_id, memento_draw);
    return distinct.n;
}

static size_t memento_bytes(const struct placement *placement)
{
    const struct memento *memento = (const struct memento *)placement;
    return sizeof(*memento) + (memento->n_buckets + placement->n_members) * sizeof(uint32_t) +
           (memento->n_removed + memento->mask + 1u) * sizeof(struct entry);
}

static const struct placement_ops memento_placement = {
    .part = {.name = "memento",
             .summary = "MementoHash: jump, and a memory of the members removed out of order",
             .source = "Coluzzi, Brocco, Contu, Leidi: MementoHash (2023)"},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_MINIMAL_TAIL |
            PLACEMENT_DRAWN | PLACEMENT_INCREMENTAL | PLACEMENT_HISTORY,
    .build = memento_build,
    .add = memento_add,
    .remove = memento_remove,
    .free = memento_free,
    .lookup = memento_lookup,
    .lookup_n = memento_lookup_n,
    .bytes = memento_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(memento_placement);
