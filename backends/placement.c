#include "backends/placement.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* Numbers the members' domains from 0 on, in the order in which they are met. Each member without
 * one is a domain of its own. */
static void number_domains(struct placement *placement)
{
    uint32_t n = placement->n_members, n_named = 0;
    for (uint32_t i = 0; i < n; i++)
        n_named += placement->members[i].domain != 0;
    if (n_named == 0)
        return;

    struct id_and_index *sorted = mem_zalloc(n, sizeof(*sorted));
    placement->domains = mem_zalloc(n, sizeof(*placement->domains));
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = (struct id_and_index){.id = placement->members[i].domain, .index = i};
    qsort(sorted, n, sizeof(*sorted), compare_ids);
    for (uint32_t i = 0; i < n; i++) {
        bool same = i > 0 && sorted[i].id != 0 && sorted[i].id == sorted[i - 1].id;
        placement->n_domains += !same;
        placement->domains[sorted[i].index] = placement->n_domains - 1;
    }
    free(sorted);
}

static void fill_base(struct placement *placement, const struct placement_ops *ops,
                      const struct placement_member *members, size_t n,
                      const struct hash_pair *hashes)
{
    placement->ops = ops;
    placement->hashes = *hashes;
    placement->n_members = (uint32_t)n;
    placement->members = mem_zalloc(n + 1, sizeof(*placement->members));
    for (size_t i = 0; i < n; i++) {
        placement->members[i] = members[i];
        placement->members[i].name = NULL;
    }
    number_domains(placement);
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
    fill_base(placement, ops, members, n, hashes);
    *ret_placement = placement;
    return 0;
}

void placement_free(struct placement *placement)
{
    if (!placement)
        return;
    free(placement->members);
    free(placement->domains);
    placement->ops->free(placement);
}

int placement_add(const struct spec *spec, const struct placement *placement,
                  const struct placement_member *member, struct placement **ret_placement,
                  struct err *err)
{
    const struct placement_ops *ops = placement->ops;
    size_t n = placement->n_members + 1u;
    struct placement_member *members = mem_zalloc(n, sizeof(*members));
    for (size_t i = 0; i + 1 < n; i++)
        members[i] = placement->members[i];
    members[n - 1] = *member;

    int rc = 0;
    struct placement *made = NULL;
    if (!ops->add) {
        rc = placement_build(spec, members, n, &placement->hashes, &made, err);
    } else {
        rc = check_members(ops, members, n, err);
        if (rc == 0)
            rc = ops->add(placement, members, n, &made, err);
        if (rc == 0)
            fill_base(made, ops, members, n, &placement->hashes);
    }
    free(members);
    if (rc == 0)
        *ret_placement = made;
    return rc;
}

int placement_remove(const struct spec *spec, const struct placement *placement, uint32_t index,
                     struct placement **ret_placement, struct err *err)
{
    const struct placement_ops *ops = placement->ops;
    assert(index < placement->n_members);
    size_t n = 0;
    struct placement_member *members = mem_zalloc(placement->n_members, sizeof(*members));
    for (uint32_t i = 0; i < placement->n_members; i++)
        if (i != index)
            members[n++] = placement->members[i];

    int rc = 0;
    struct placement *made = NULL;
    if (!ops->remove) {
        rc = placement_build(spec, members, n, &placement->hashes, &made, err);
    } else {
        rc = ops->remove(placement, members, n, index, &made, err);
        if (rc == 0)
            fill_base(made, ops, members, n, &placement->hashes);
    }
    free(members);
    if (rc == 0)
        *ret_placement = made;
    return rc;
}

/* The preferences are asked for in growing numbers until there are enough domains among them: each
 * answer is a prefix of the next. On the stack only what is asked for is touched. */
size_t placement_lookup_domains(const struct placement *placement, uint64_t key, size_t n,
                                uint32_t *out)
{
    uint32_t walk[PLACEMENT_MAX_MEMBERS];
    uint64_t seen[PLACEMENT_MAX_MEMBERS / 64];
    size_t n_members = placement->n_members;
    n = n < n_members ? n : n_members;
    size_t n_first = n < placement->n_domains ? n : placement->n_domains;

    size_t n_out = 0, n_walk = 2 * n;
    for (;; n_walk *= 2) {
        n_walk = n_walk < n_members ? n_walk : n_members;
        placement->ops->lookup_n(placement, key, n_walk, walk);
        memset(seen, 0, (placement->n_domains + 63u) / 64 * sizeof(*seen));
        n_out = 0;
        for (size_t i = 0; i < n_walk && n_out < n_first; i++) {
            uint32_t domain = placement->domains[walk[i]];
            if (seen[domain / 64] >> (domain % 64) & 1)
                continue;
            seen[domain / 64] |= UINT64_C(1) << (domain % 64);
            out[n_out++] = walk[i];
            walk[i] = PLACEMENT_NONE; /* taken */
        }
        if (n_out == n_first)
            break;
        assert(n_walk < n_members); /* every domain has a member */
    }
    for (size_t i = 0; n_out < n; i++) /* n_walk ≥ n: there are enough */
        if (walk[i] != PLACEMENT_NONE)
            out[n_out++] = walk[i];
    return n;
}

void placement_shares_by_weight(const struct placement *placement, double *shares)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < placement->n_members; i++)
        sum += placement->members[i].weight;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = placement->members[i].weight / sum;
}

double placement_spread_none(const void *params, size_t n)
{
    (void)params;
    (void)n;
    return 0.0;
}

void placement_shares_of_table(const struct placement *placement, const uint16_t *table, size_t n,
                               double *shares)
{
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 0.0;
    if (placement->n_members == 0)
        return;
    for (size_t i = 0; i < n; i++)
        shares[table[i]] += 1.0;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] /= (double)n;
}

size_t placement_arcs_of_table(const uint16_t *table, size_t n, struct placement_arc *arcs)
{
    for (size_t i = 0; arcs && i < n; i++)
        arcs[i] = (struct placement_arc){.end = (double)(i + 1) / (double)n, .member = table[i]};
    return n;
}

#define LOOKUP_BATCH 128u /* keys: 1 kB of hashes on the stack */

void placement_lookup_many(const struct placement *placement, const uint64_t *keys, size_t n,
                           uint32_t *out)
{
    const struct placement_ops *ops = placement->ops;
    if (!ops->lookup_hashes || placement->n_members == 0) {
        for (size_t i = 0; i < n; i++)
            out[i] = ops->lookup(placement, keys[i]);
        return;
    }
    uint64_t hashes[LOOKUP_BATCH];
    for (size_t at = 0; at < n; at += LOOKUP_BATCH) {
        size_t n_batch = n - at < LOOKUP_BATCH ? n - at : LOOKUP_BATCH;
        hash_keys(&placement->hashes.request, keys + at, n_batch, hashes);
        ops->lookup_hashes(placement, hashes, n_batch, out + at);
    }
}

void placement_count_keys(const struct placement *placement, uint64_t first, uint64_t last,
                          uint64_t *counts)
{
    for (uint32_t i = 0; i < placement->n_members; i++)
        counts[i] = 0;
    if (placement->n_members == 0 || first > last)
        return;
    uint64_t keys[LOOKUP_BATCH];
    uint32_t owners[LOOKUP_BATCH];
    for (uint64_t key = first;;) {
        size_t n = 0;
        do
            keys[n++] = key;
        while (key++ != last && n < LOOKUP_BATCH);
        placement_lookup_many(placement, keys, n, owners);
        for (size_t i = 0; i < n; i++) {
            assert(owners[i] < placement->n_members);
            counts[owners[i]]++;
        }
        if (keys[n - 1] == last) /* not `key > last`, which the last uint64 never is */
            break;
    }
}
