/* redis: Redis Cluster's map, equal partitions as they are used most: 16384 slots, the slot of a
 * key by CRC16 of its text, the slots in blocks of neighbours over the masters. Keys are numbers
 * here and are hashed as their digits, whatever request hash was chosen; redis_keyslot() is the
 * function for text, with hash tags.
 *
 * Slots move one by one, and where they are is state, not a function of the members: add and remove
 * do what `redis-cli --cluster rebalance` does, evened out to a slot. */
#include "backends/placement/redis.h"

#include <stdlib.h>
#include <string.h>

#include "backends/placement.h"
#include "backends/placement/decimal.h"
#include "backends/placement/partition_table.h"
#include "core/mem.h"

struct redis {
    struct placement base;
    struct partition_table table;
};

static uint16_t crc_table[256];

__attribute__((constructor)) static void fill_crc_table(void)
{
    for (unsigned b = 0; b < 256; b++) {
        unsigned crc = b << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        crc_table[b] = (uint16_t)crc;
    }
}

uint16_t redis_crc16(const char *bytes, size_t n)
{
    unsigned crc = 0;
    for (size_t i = 0; i < n; i++)
        crc = (crc << 8 ^ crc_table[(crc >> 8 ^ (unsigned char)bytes[i]) & 0xff]) & 0xffff;
    return (uint16_t)crc;
}

uint32_t redis_keyslot(const char *key, size_t n)
{
    const char *open = n > 0 ? memchr(key, '{', n) : NULL;
    if (open) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', (size_t)(key + n - tag));
        if (close && close > tag)
            return redis_crc16(tag, (size_t)(close - tag)) % REDIS_SLOTS;
    }
    return redis_crc16(key, n) % REDIS_SLOTS;
}

static int redis_build(const void *params, const struct placement_member *members, size_t n,
                       const struct hash_pair *hashes, struct placement **ret_placement,
                       struct err *err)
{
    (void)params;
    (void)hashes;
    struct partition_table table = {0};
    int rc = partition_table_build(&table, "redis", REDIS_SLOTS, false, members, n, err);
    if (rc != 0)
        return rc;
    struct redis *redis = mem_zalloc(1, sizeof(*redis));
    redis->table = table;
    *ret_placement = &redis->base;
    return 0;
}

static int redis_add(const struct placement *placement, const struct placement_member *members,
                     size_t n, struct placement **ret_placement, struct err *err)
{
    const struct redis *old = (const struct redis *)placement;
    struct partition_table table = {0};
    int rc = partition_table_add(&table, &old->table, "redis", members, n, err);
    if (rc != 0)
        return rc;
    struct redis *redis = mem_zalloc(1, sizeof(*redis));
    redis->table = table;
    *ret_placement = &redis->base;
    return 0;
}

static int redis_remove(const struct placement *placement, const struct placement_member *members,
                        size_t n, uint32_t index, struct placement **ret_placement, struct err *err)
{
    (void)err;
    const struct redis *old = (const struct redis *)placement;
    struct redis *redis = mem_zalloc(1, sizeof(*redis));
    partition_table_remove(&redis->table, &old->table, members, n, index);
    *ret_placement = &redis->base;
    return 0;
}

static void redis_free(struct placement *placement)
{
    struct redis *redis = (struct redis *)placement;
    partition_table_done(&redis->table);
    free(redis);
}

static inline uint32_t slot_of(uint64_t key)
{
    char text[DECIMAL_MAX_BYTES];
    const char *digits = decimal_of(key, text);
    return redis_crc16(digits, (size_t)(text + sizeof(text) - digits)) % REDIS_SLOTS;
}

static uint32_t redis_lookup(const struct placement *placement, uint64_t key)
{
    const struct redis *redis = (const struct redis *)placement;
    if (__builtin_expect(placement->n_members == 0, 0))
        return PLACEMENT_NONE;
    return redis->table.owners[slot_of(key)];
}

static size_t redis_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                             uint32_t *out)
{
    const struct redis *redis = (const struct redis *)placement;
    return partition_table_walk(&redis->table, placement, slot_of(key), n, out);
}

static size_t redis_bytes(const struct placement *placement)
{
    (void)placement;
    return sizeof(struct redis) + REDIS_SLOTS * sizeof(uint16_t);
}

static void redis_shares(const struct placement *placement, double *shares)
{
    const struct redis *redis = (const struct redis *)placement;
    placement_shares_of_table(placement, redis->table.owners, REDIS_SLOTS, shares);
}

static double redis_spread(const void *params, size_t n)
{
    (void)params;
    return partition_table_spread(REDIS_SLOTS, n);
}

static size_t redis_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct redis *redis = (const struct redis *)placement;
    return placement_arcs_of_table(redis->table.owners, redis->table.n_partitions, arcs);
}

static uint32_t redis_owner_at(const struct placement *placement, double at)
{
    const struct redis *redis = (const struct redis *)placement;
    return redis->table.owners[(uint32_t)(at * REDIS_SLOTS)];
}

static const struct placement_ops redis_placement = {
    .part = {.name = "redis",
             .summary = "Redis Cluster's 16384 slots, by CRC16 of the key's digits",
             .source = "Redis Cluster specification, Key distribution model"},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES |
            PLACEMENT_OWN_KEY_HASH | PLACEMENT_INCREMENTAL | PLACEMENT_HISTORY,
    .build = redis_build,
    .add = redis_add,
    .remove = redis_remove,
    .free = redis_free,
    .lookup = redis_lookup,
    .lookup_n = redis_lookup_n,
    .bytes = redis_bytes,
    .shares = redis_shares,
    .spread = redis_spread,
    .owner_at = redis_owner_at,
    .arcs = redis_arcs,
};

PLACEMENT_REGISTER(redis_placement);
