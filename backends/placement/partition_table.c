#include "backends/placement/partition_table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/distinct.h"
#include "core/mem.h"

/* How many of the partitions each member should have: the whole part of its share, and what is left
 * over to the greatest remainders, ties to the smallest id (Hamilton's method). For free(). */
static uint32_t *quotas_of(uint32_t n_partitions, const struct placement_member *members, size_t n)
{
    uint64_t weights = 0;
    for (size_t i = 0; i < n; i++)
        weights += members[i].weight;

    uint32_t *quotas = mem_zalloc(n + 1, sizeof(*quotas));
    uint64_t *rests = mem_zalloc(n + 1, sizeof(*rests));
    uint32_t *order = placement_sort_members(members, n);
    uint32_t left = n_partitions;
    for (size_t i = 0; i < n; i++) {
        uint64_t share = (uint64_t)members[i].weight * n_partitions;
        quotas[i] = (uint32_t)(share / weights);
        rests[i] = share % weights;
        left -= quotas[i];
    }
    for (; n > 0 && left > 0; left--) { /* fewer than n */
        size_t best = order[0];
        for (size_t rank = 1; rank < n; rank++)
            if (rests[order[rank]] > rests[best])
                best = order[rank];
        quotas[best]++;
        rests[best] = 0;
    }
    free(rests);
    free(order);
    return quotas;
}

static int check_room(const char *name, uint32_t n_partitions, size_t n, struct err *err)
{
    if (n <= n_partitions)
        return 0;
    return err_set(err, -EINVAL, "%s: %zu members are more than the %" PRIu32 " partitions", name,
                   n, n_partitions);
}

int partition_table_build(struct partition_table *table, const char *name, uint32_t n_partitions,
                          bool in_turns, const struct placement_member *members, size_t n,
                          struct err *err)
{
    int rc = check_room(name, n_partitions, n, err);
    if (rc != 0)
        return rc;
    table->n_partitions = n_partitions;
    table->owners = mem_zalloc(n_partitions, sizeof(*table->owners));
    if (n == 0)
        return 0;

    uint32_t *order = placement_sort_members(members, n);
    uint32_t *left = quotas_of(n_partitions, members, n);
    uint32_t at = 0;
    size_t rank = 0;
    while (at < n_partitions) {
        if (left[order[rank]] > 0) {
            left[order[rank]]--;
            table->owners[at++] = (uint16_t)order[rank];
            if (!in_turns)
                continue;
        }
        rank = rank + 1 == n ? 0 : rank + 1;
    }
    free(order);
    free(left);
    return 0;
}

void partition_table_done(struct partition_table *table)
{
    free(table->owners);
}

int partition_table_add(struct partition_table *table, const struct partition_table *old,
                        const char *name, const struct placement_member *members, size_t n,
                        struct err *err)
{
    int rc = check_room(name, old->n_partitions, n, err);
    if (rc != 0)
        return rc;
    table->n_partitions = old->n_partitions;
    table->owners = mem_zalloc(old->n_partitions, sizeof(*table->owners));
    if (n == 1)
        return 0; /* all are the new one's, which is 0 */

    uint32_t *quotas = quotas_of(table->n_partitions, members, n);
    uint32_t *has = mem_zalloc(n, sizeof(*has));
    memcpy(table->owners, old->owners, table->n_partitions * sizeof(*table->owners));
    for (uint32_t i = 0; i < table->n_partitions; i++)
        has[table->owners[i]]++;
    /* From the last partition down and again, so that what it takes does not lie together: in each
     * pass only from those that have the most too many. */
    size_t new = n - 1;
    while (has[new] < quotas[new]) {
        uint32_t most = 0;
        for (size_t i = 0; i < new; i++)
            if (has[i] > quotas[i] && has[i] - quotas[i] > most)
                most = has[i] - quotas[i];
        assert(most > 0); /* the quotas of all add up to the partitions */
        for (uint32_t i = table->n_partitions; i-- > 0 && has[new] < quotas[new];) {
            uint16_t owner = table->owners[i];
            if (owner == new || has[owner] < quotas[owner] + most)
                continue;
            table->owners[i] = (uint16_t) new;
            has[owner]--;
            has[new]++;
        }
    }
    free(quotas);
    free(has);
    return 0;
}

void partition_table_remove(struct partition_table *table, const struct partition_table *old,
                            const struct placement_member *members, size_t n, uint32_t index)
{
    table->n_partitions = old->n_partitions;
    table->owners = mem_zalloc(old->n_partitions, sizeof(*table->owners));
    if (n == 0)
        return;

    uint32_t *quotas = quotas_of(table->n_partitions, members, n);
    uint32_t *has = mem_zalloc(n, sizeof(*has));
    for (uint32_t i = 0; i < table->n_partitions; i++) {
        uint32_t owner = old->owners[i];
        if (owner != index)
            has[owner - (owner > index)]++;
    }
    for (uint32_t i = 0; i < table->n_partitions; i++) {
        uint32_t owner = old->owners[i];
        if (owner == index) {
            /* The one farthest below its quota; after other changes all can be at or above. */
            owner = 0;
            for (uint32_t j = 1; j < n; j++)
                if ((int64_t)quotas[j] - has[j] > (int64_t)quotas[owner] - has[owner])
                    owner = j;
            has[owner]++;
        } else {
            owner -= owner > index;
        }
        table->owners[i] = (uint16_t)owner;
    }
    free(quotas);
    free(has);
}

size_t partition_table_walk(const struct partition_table *table, const struct placement *placement,
                            uint32_t partition, size_t n, uint32_t *out)
{
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;
    uint32_t at = partition;
    for (uint32_t i = 0; i < table->n_partitions && !distinct_full(&distinct); i++) {
        distinct_add(&distinct, table->owners[at]);
        at = at + 1 == table->n_partitions ? 0 : at + 1;
    }
    distinct_fill(&distinct, placement);
    return distinct.n;
}

double partition_table_spread(uint32_t n_partitions, size_t n)
{
    double more = (double)(n_partitions % n);
    return sqrt(more * ((double)n - more)) / (double)n_partitions;
}
