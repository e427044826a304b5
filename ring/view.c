#include "ring/view.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"

#define Z_99 2.5758293035489004 /* the normal distribution's 0.995 quantile */

void ring_keys_init(struct ring_keys *keys, enum ring_over over, uint64_t n_sampled, uint64_t seed)
{
    struct rng rng;
    *keys = (struct ring_keys){.over = over, .is_sample = over == RING_OVER_SPACE || n_sampled > 0};
    keys->n = n_sampled ? n_sampled : over == RING_OVER_IDS ? RING_ALL_IDS : RING_SAMPLE_DEFAULT;
    keys->keys = mem_zalloc(keys->n, sizeof(*keys->keys));
    rng_seed(&rng, seed);
    for (size_t i = 0; i < keys->n; i++)
        keys->keys[i] = over == RING_OVER_SPACE ? rng_next(&rng)
                        : keys->is_sample       ? REQUEST_ID_FIRST + rng_below(&rng, RING_ALL_IDS)
                                                : REQUEST_ID_FIRST + i;
}

void ring_keys_done(struct ring_keys *keys)
{
    free(keys->keys);
    memset(keys, 0, sizeof(*keys));
}

void ring_view_make(const struct ring_keys *keys, const struct placement *placement,
                    struct ring_view *ret_view)
{
    const struct placement_ops *ops = placement->ops;
    assert(placement->n_members > 0);
    *ret_view = (struct ring_view){.n_members = placement->n_members};
    if (keys->over == RING_OVER_SPACE && ops->arcs) {
        ret_view->exact = true;
        ret_view->n_arcs = ops->arcs(placement, NULL);
        ret_view->arcs = mem_zalloc(ret_view->n_arcs, sizeof(*ret_view->arcs));
        ops->arcs(placement, ret_view->arcs);
        return;
    }
    ret_view->exact = !keys->is_sample;
    ret_view->n_keys = keys->n;
    ret_view->owners = mem_zalloc(keys->n, sizeof(*ret_view->owners));
    placement_lookup_many(placement, keys->keys, keys->n, ret_view->owners);
}

void ring_view_done(struct ring_view *view)
{
    free(view->arcs);
    free(view->owners);
    memset(view, 0, sizeof(*view));
}

bool ring_view_counts(const struct ring_view *view, uint64_t *counts)
{
    if (!view->owners)
        return false;
    for (uint32_t i = 0; i < view->n_members; i++)
        counts[i] = 0;
    for (size_t i = 0; i < view->n_keys; i++)
        counts[view->owners[i]]++;
    return true;
}

void ring_view_shares(const struct ring_view *view, double *shares)
{
    uint64_t *counts = mem_zalloc(view->n_members, sizeof(*counts));
    bool counted = ring_view_counts(view, counts);
    for (uint32_t i = 0; i < view->n_members; i++)
        shares[i] = counted ? (double)counts[i] / (double)view->n_keys : 0;
    double begin = 0;
    for (size_t i = 0; i < view->n_arcs; i++) {
        shares[view->arcs[i].member] += view->arcs[i].end - begin;
        begin = view->arcs[i].end;
    }
    free(counts);
}

void ring_view_shares_of(const struct ring_view *view, const double *popularity, double *shares)
{
    double sum = 0;
    assert(view->owners);
    for (uint32_t i = 0; i < view->n_members; i++)
        shares[i] = 0;
    for (size_t i = 0; i < view->n_keys; i++) {
        shares[view->owners[i]] += popularity[i];
        sum += popularity[i];
    }
    for (uint32_t i = 0; i < view->n_members; i++)
        shares[i] /= sum;
}

/* Both lists of arcs at once, piece by piece. */
static void arcs_beside(const struct ring_view *before, const struct ring_view *after,
                        ring_visit_fn visit, void *context)
{
    size_t i = 0, j = 0;
    double begin = 0;
    while (i < before->n_arcs && j < after->n_arcs) {
        const struct placement_arc *a = &before->arcs[i], *b = &after->arcs[j];
        double end = a->end < b->end ? a->end : b->end;
        visit(context, end - begin, a->member, b->member);
        begin = end;
        i += a->end <= end;
        j += b->end <= end;
    }
}

double ring_view_beside(const struct ring_view *before, const struct ring_view *after,
                        ring_visit_fn visit, void *context)
{
    assert((before->arcs != NULL) == (after->arcs != NULL) && before->n_keys == after->n_keys);
    if (before->arcs) {
        arcs_beside(before, after, visit, context);
        return 1;
    }
    for (size_t i = 0; i < before->n_keys; i++)
        visit(context, 1, before->owners[i], after->owners[i]);
    return (double)before->n_keys;
}

struct flows {
    double *at;
    size_t n_after;
};

static void add_flow(void *context, double amount, uint32_t before, uint32_t after)
{
    struct flows *flows = context;
    flows->at[before * flows->n_after + after] += amount;
}

void ring_view_flows(const struct ring_view *before, const struct ring_view *after, double *flows)
{
    struct flows context = {.at = flows, .n_after = after->n_members};
    size_t n_flows = (size_t)before->n_members * after->n_members;
    memset(flows, 0, n_flows * sizeof(*flows));
    double all = ring_view_beside(before, after, add_flow, &context);
    for (size_t i = 0; i < n_flows; i++)
        flows[i] /= all;
}

struct interval ring_share_interval(double p, size_t n)
{
    double count = (double)n, z2 = Z_99 * Z_99;
    double middle = (p + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z_99 / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count * count));
    return (struct interval){fmax(0, middle - half), fmin(1, middle + half)};
}
