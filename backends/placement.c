#include "backends/placement.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/mem.h"

FAMILY_DEFINE(placement);

struct id_and_index {
    uint64_t id;
    uint32_t index;
};

static int compare_ids(const void *a, const void *b)
{
    const struct id_and_index *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

uint32_t *placement_sort_members(const struct placement_member *members, size_t n)
{
    assert(n <= PLACEMENT_MAX_MEMBERS);
    struct id_and_index *sorted = mem_zalloc(n + 1, sizeof(*sorted));
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = (struct id_and_index){.id = members[i].id, .index = i};
    if (n > 1)
        qsort(sorted, n, sizeof(*sorted), compare_ids);

    uint32_t *order = mem_zalloc(n + 1, sizeof(*order));
    for (size_t i = 0; i < n; i++)
        order[i] = sorted[i].index;
    free(sorted);
    return order;
}

static const char *name_or_blank(const struct placement_member *member)
{
    return member->name ? member->name : "";
}

static int check_members(const struct placement_ops *ops, const struct placement_member *members,
                         size_t n, struct err *err)
{
    if (n > PLACEMENT_MAX_MEMBERS)
        return err_set(err, -EINVAL, "%s: %zu members; at most %u", ops->part.name, n,
                       PLACEMENT_MAX_MEMBERS);

    for (size_t i = 0; i < n; i++) {
        if (members[i].weight == 0)
            return err_set(err, -EINVAL, "%s: member %" PRIu64 " (%s) has weight 0; at least 1",
                           ops->part.name, members[i].id, name_or_blank(&members[i]));
        if (!(ops->caps & PLACEMENT_WEIGHTED) && members[i].weight != members[0].weight)
            return err_set(err, -EINVAL,
                           "%s takes no weights: %" PRIu64 " (%s) has %" PRIu32 ", %" PRIu64
                           " (%s) has %" PRIu32,
                           ops->part.name, members[0].id, name_or_blank(&members[0]),
                           members[0].weight, members[i].id, name_or_blank(&members[i]),
                           members[i].weight);
    }

    int rc = 0;
    uint32_t *order = placement_sort_members(members, n);
    for (size_t i = 1; i < n && rc == 0; i++) {
        const struct placement_member *a = &members[order[i - 1]], *b = &members[order[i]];
        if (a->id == b->id)
            rc = err_set(err, -EINVAL, "%s: id %" PRIu64 " is taken twice (%s, %s)", ops->part.name,
                         a->id, name_or_blank(a), name_or_blank(b));
    }
    free(order);
    return rc;
}

int placement_build(const struct spec *spec, const struct placement_member *members, size_t n,
                    const struct hash_pair *hashes, struct placement **ret_placement,
                    struct err *err)
{
    const struct placement_ops *ops = (const struct placement_ops *)spec->part;
    int rc = check_members(ops, members, n, err);
    if (rc != 0)
        return rc;

    struct placement *placement = NULL;
    rc = ops->build(spec->params, members, n, hashes, &placement, err);
    if (rc != 0)
        return rc;
    placement->ops = ops;
    placement->hashes = *hashes;
    placement->n_members = (uint32_t)n;
    *ret_placement = placement;
    return 0;
}

void placement_free(struct placement *placement)
{
    if (placement)
        placement->ops->free(placement);
}

void placement_count_keys(const struct placement *placement, uint64_t first, uint64_t last,
                          uint64_t *counts)
{
    for (uint32_t i = 0; i < placement->n_members; i++)
        counts[i] = 0;
    if (placement->n_members == 0 || first > last)
        return;
    for (uint64_t key = first;; key++) {
        uint32_t member = placement_lookup(placement, key);
        assert(member < placement->n_members);
        counts[member]++;
        if (key == last) /* not `key <= last`, which never ends at the last uint64 */
            break;
    }
}
