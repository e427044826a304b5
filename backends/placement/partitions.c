/* partitions: Dynamo's third strategy (DeCandia et al. 2007, section 6.2): the hash space is cut
 * into Q equal parts once and for all, and a table says who has each. Placement is apart from
 * partitioning: a change is a change of the table, part by part, and a part's data is a file to
 * copy. Shares are exact to one part.
 *
 *     build    in turns over the members in ascending order of id, as many as the weight says
 *     add      the new one takes its quota from those that have the most too many
 *     remove   what it had goes to those that have the most too few
 *
 * Incremental changes move the least there is to move, and what they lead to depends on the order
 * in which they came: a table is state, to be kept, where the others are functions of the members.
 */
#include <math.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/partition_table.h"
#include "core/mem.h"

struct partitions_params {
    uint64_t n_partitions;
};

static const struct option_def partitions_options[] = {
    {.name = "partitions",
     .type = OPTION_U64,
     .offset = offsetof(struct partitions_params, n_partitions),
     .metavar = "Q",
     .fallback = "4096",
     .min = 1,
     .max = 1u << 20,
     .help = "equal parts of the hash space, at least one a member"},
    {.name = NULL},
};

struct partitions {
    struct placement base;
    struct partition_table table;
};

static int partitions_build(const void *params, const struct placement_member *members, size_t n,
                            const struct hash_pair *hashes, struct placement **ret_placement,
                            struct err *err)
{
    (void)hashes;
    const struct partitions_params *p = params;
    struct partition_table table = {0};
    int rc = partition_table_build(&table, "partitions", (uint32_t)p->n_partitions, true, members,
                                   n, err);
    if (rc != 0)
        return rc;
    struct partitions *partitions = mem_zalloc(1, sizeof(*partitions));
    partitions->table = table;
    *ret_placement = &partitions->base;
    return 0;
}

static int partitions_add(const struct placement *placement, const struct placement_member *members,
                          size_t n, struct placement **ret_placement, struct err *err)
{
    const struct partitions *old = (const struct partitions *)placement;
    struct partition_table table = {0};
    int rc = partition_table_add(&table, &old->table, "partitions", members, n, err);
    if (rc != 0)
        return rc;
    struct partitions *partitions = mem_zalloc(1, sizeof(*partitions));
    partitions->table = table;
    *ret_placement = &partitions->base;
    return 0;
}

static int partitions_remove(const struct placement *placement,
                             const struct placement_member *members, size_t n, uint32_t index,
                             struct placement **ret_placement, struct err *err)
{
    (void)err;
    const struct partitions *old = (const struct partitions *)placement;
    struct partitions *partitions = mem_zalloc(1, sizeof(*partitions));
    partition_table_remove(&partitions->table, &old->table, members, n, index);
    *ret_placement = &partitions->base;
    return 0;
}

static void partitions_free(struct placement *placement)
{
    struct partitions *partitions = (struct partitions *)placement;
    partition_table_done(&partitions->table);
    free(partitions);
}

static inline uint32_t partition_of_hash(uint32_t n_partitions, uint64_t hash)
{
    return (uint32_t)(((unsigned __int128)hash * n_partitions) >> 64);
}

static inline uint32_t partition_of(const struct partitions *partitions, uint64_t key)
{
    return partition_of_hash(partitions->table.n_partitions,
                             hash_key(partitions->base.hashes.request, key));
}

static uint32_t partitions_lookup(const struct placement *placement, uint64_t key)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    if (__builtin_expect(placement->n_members == 0, 0))
        return PLACEMENT_NONE;
    return partitions->table.owners[partition_of(partitions, key)];
}

static void partitions_lookup_hashes(const struct placement *placement, const uint64_t *hashes,
                                     size_t n, uint32_t *out)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    const uint32_t n_partitions = partitions->table.n_partitions;
    for (size_t i = 0; i < n; i++)
        out[i] = partitions->table.owners[partition_of_hash(n_partitions, hashes[i])];
}

static size_t partitions_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                  uint32_t *out)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    return partition_table_walk(&partitions->table, placement, partition_of(partitions, key), n,
                                out);
}

static size_t partitions_bytes(const struct placement *placement)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    return sizeof(*partitions) + partitions->table.n_partitions * sizeof(*partitions->table.owners);
}

static void partitions_shares(const struct placement *placement, double *shares)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    placement_shares_of_table(placement, partitions->table.owners, partitions->table.n_partitions,
                              shares);
}

static double partitions_spread(const void *params, size_t n)
{
    const struct partitions_params *p = params;
    return partition_table_spread((uint32_t)p->n_partitions, n);
}

static size_t partitions_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    return placement_arcs_of_table(partitions->table.owners, partitions->table.n_partitions, arcs);
}

static uint32_t partitions_owner_at(const struct placement *placement, double at)
{
    const struct partitions *partitions = (const struct partitions *)placement;
    return partitions->table.owners[(uint32_t)(at * partitions->table.n_partitions)];
}

static const struct placement_ops partitions_placement = {
    .part = {.name = "partitions",
             .summary = "Q equal parts of the hash space and a table of who has which",
             .source = "DeCandia et al.: Dynamo (SOSP 2007), section 6.2, strategy 3",
             .options = partitions_options,
             .params_size = sizeof(struct partitions_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES |
            PLACEMENT_INCREMENTAL | PLACEMENT_HISTORY,
    .build = partitions_build,
    .add = partitions_add,
    .remove = partitions_remove,
    .free = partitions_free,
    .lookup = partitions_lookup,
    .lookup_hashes = partitions_lookup_hashes,
    .lookup_n = partitions_lookup_n,
    .bytes = partitions_bytes,
    .shares = partitions_shares,
    .spread = partitions_spread,
    .owner_at = partitions_owner_at,
    .arcs = partitions_arcs,
};

PLACEMENT_REGISTER(partitions_placement);
