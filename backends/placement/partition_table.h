/* A fixed number of partitions and who has each: what partitions and redis have in common. Members
 * have quotas by weight; a change hands over as many partitions as the quotas say and no more. */
#ifndef QUOIT_BACKENDS_PLACEMENT_PARTITION_TABLE_H
#define QUOIT_BACKENDS_PLACEMENT_PARTITION_TABLE_H

#include "backends/placement.h"

struct partition_table {
    uint32_t n_partitions;
    uint16_t *owners; /* of each partition, a member; 0 without members */
};

/* In ascending order of id, each member has its quota of partitions: side by side, or spread over
 * all of them in turns. 0 or -EINVAL when there are more members than partitions; name is the
 * part's. Pair with partition_table_done(). */
int partition_table_build(struct partition_table *table, const char *name, uint32_t n_partitions,
                          bool in_turns, const struct placement_member *members, size_t n,
                          struct err *err);
/* Takes a zeroed one. */
void partition_table_done(struct partition_table *table);

/* As the `add` and `remove` hooks of placements have it: the new member takes partitions of those
 * that have the most above their new quota; what the removed one had goes to those that have the
 * most below theirs. No other partition changes hands. */
int partition_table_add(struct partition_table *table, const struct partition_table *old,
                        const char *name, const struct placement_member *members, size_t n,
                        struct err *err);
void partition_table_remove(struct partition_table *table, const struct partition_table *old,
                            const struct placement_member *members, size_t n, uint32_t index);

/* For lookup_n: the owners of the partition and those after it. Members without one come last. */
size_t partition_table_walk(const struct partition_table *table, const struct placement *placement,
                            uint32_t partition, size_t n, uint32_t *out);

/* CoV of the shares of n equal members, exact: n_partitions mod n have one more. */
double partition_table_spread(uint32_t n_partitions, size_t n);

#endif
