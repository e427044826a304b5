#include "ring/figures.h"

#include <math.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/mem.h"

static int measure_cost(struct ring_setup *setup, const struct ring_members *members,
                        struct ring_cost *ret_cost, struct err *err)
{
    struct ring_state state = {0};
    struct hash_pair pair = setup->pair;
    setup->pair = setup->hashes.pair; /* the request hash that was asked for */
    int rc = ring_state_build(setup, members, &state, err);
    if (rc == 0)
        rc = ring_cost_measure(setup, &state, ret_cost, err);
    ring_state_done(&state);
    setup->pair = pair;
    return rc;
}

static void measure_balance(const struct ring_state *state, const struct ring_keys *keys,
                            struct ring_figures *figures)
{
    size_t n = state->members.n;
    double *shares = mem_zalloc(n, sizeof(*shares));
    uint64_t *counts = mem_zalloc(n, sizeof(*counts));
    bool counted = ring_shares_of(keys, state->placement, shares, counts);
    ring_balance_of(shares, counted ? counts : NULL, &state->members, &figures->balance);
    figures->exact = !counted || !keys->is_sample;
    free(shares);
    free(counts);
}

int ring_figures_measure(struct ring_setup *setup, const struct ring_members *members,
                         const struct ring_keys *keys, const struct ring_wants *wants,
                         struct ring_figures *ret_figures, struct err *err)
{
    struct ring_figures figures = {.wants = *wants, .n_members = members->n};
    struct ring_state state = {0};
    if (keys->over == RING_OVER_SPACE)
        ring_setup_even_requests(setup);
    int rc = ring_state_build(setup, members, &state, err);
    if (rc != 0)
        return rc;
    const struct placement_ops *ops = ring_setup_ops(setup);
    figures.bytes = ops->bytes(state.placement);
    figures.expected_cov = ops->spread ? ops->spread(setup->spec.params, members->n) : NAN;
    measure_balance(&state, keys, &figures);
    if (wants->n_changes)
        rc = ring_change_measure(setup, &state, keys, wants->n_changes, wants->seed,
                                 &figures.change, err);
    if (rc == 0 && wants->n_draws)
        rc = ring_names_measure(setup, members->n, keys, wants->n_draws, wants->seed,
                                &figures.names, err);
    if (rc == 0 && wants->zipf > 0)
        ring_popularity_measure(&state, keys, wants->zipf, RING_ZIPF_DRAWS, wants->seed,
                                &figures.popularity);
    if (rc == 0 && wants->n_replicas)
        ring_replicas_measure(&state, keys, wants->n_replicas, &figures.replicas);
    if (rc == 0 && wants->cost)
        rc = measure_cost(setup, members, &figures.cost, err);
    ring_state_done(&state);
    if (rc == 0)
        *ret_figures = figures;
    return rc;
}

static void add_balance(cJSON *tree, const char *key, const struct ring_balance *balance)
{
    cJSON *object = cJSON_AddObjectToObject(tree, key);
    json_add_double(object, "peak_to_mean", balance->peak);
    json_add_double(object, "min_to_mean", balance->least);
    json_add_double(object, "cov", balance->cov);
    json_add_double(object, "jain", balance->jain);
    json_add_double(object, "gini", balance->gini);
    json_add_uint64(object, "without_keys", balance->n_without);
    json_add_double(object, "chi_square", balance->chi_square);
    json_add_uint64(object, "df", balance->df);
    json_add_double(object, "p", balance->p);
}

static void add_quantiles(cJSON *tree, const char *key, const struct ring_quantiles *quantiles)
{
    cJSON *object = cJSON_AddObjectToObject(tree, key);
    json_add_double(object, "least", quantiles->least);
    json_add_double(object, "low", quantiles->low);
    json_add_double(object, "median", quantiles->median);
    json_add_double(object, "high", quantiles->high);
    json_add_double(object, "most", quantiles->most);
}

static void add_range(cJSON *tree, const char *key, const struct ring_range *range)
{
    cJSON *object = cJSON_AddObjectToObject(tree, key);
    json_add_double(object, "mean", range->mean);
    json_add_double(object, "worst", range->worst);
}

static void add_moves(cJSON *tree, const char *key, const struct ring_moves *moves,
                      const struct ring_keys *keys)
{
    cJSON *object = cJSON_AddObjectToObject(tree, key);
    json_add_uint64(object, "changes", moves->n);
    cJSON_AddBoolToObject(object, "exact", moves->exact);
    add_range(object, "moved", &moves->moved);
    if (moves->n > 0 && !moves->exact) {
        struct interval interval = ring_share_interval(moves->moved.mean, keys->n);
        cJSON *ends = cJSON_AddArrayToObject(object, "moved_interval_99");
        cJSON_AddItemToArray(ends, json_double(interval.low));
        cJSON_AddItemToArray(ends, json_double(interval.high));
    }
    add_range(object, "moved_to_optimum", &moves->ratio);
    add_range(object, "between_survivors", &moves->between);
    add_range(object, "largest_absorber", &moves->absorber);
    json_add_double(object, "peak_to_mean_after", moves->peak);
}

static void add_change(cJSON *tree, const struct ring_change *change, const struct ring_keys *keys)
{
    cJSON *object = cJSON_AddObjectToObject(tree, "change");
    add_moves(object, "join", &change->join, keys);
    add_moves(object, "leave", &change->leave, keys);
    add_moves(object, "fail", &change->fail, keys);
    add_range(object, "history", &change->history);
    json_add_uint64(object, "refused", change->n_refused);
}

static void add_replicas(cJSON *tree, const struct ring_replicas *replicas)
{
    cJSON *object = cJSON_AddObjectToObject(tree, "replicas");
    json_add_uint64(object, "replicas", replicas->n_replicas);
    cJSON_AddBoolToObject(object, "exact", replicas->exact);
    add_balance(object, "primary", &replicas->primary);
    add_balance(object, "all", &replicas->all);
    json_add_uint64(object, "copysets", replicas->n_copysets);
    json_add_double(object, "possible", replicas->n_possible);
    json_add_double(object, "loss", replicas->loss);
    json_add_double(object, "scatter_mean", replicas->scatter_mean);
    json_add_uint64(object, "scatter_least", replicas->scatter_least);
}

static void add_cost(cJSON *tree, const struct ring_cost *cost)
{
    cJSON *object = cJSON_AddObjectToObject(tree, "cost");
    json_add_double(object, "hot_ns", cost->hot_ns);
    json_add_double(object, "batch_ns", cost->batch_ns);
    json_add_double(object, "cold_ns", cost->cold_ns);
    json_add_uint64(object, "bytes", cost->bytes);
    json_add_double(object, "build_us", cost->build_us);
    json_add_double(object, "resize_us", cost->resize_us);
}

cJSON *ring_figures_json(const struct ring_setup *setup, const struct ring_keys *keys,
                         const struct ring_figures *figures)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "placement", setup->placement);
    cJSON_AddStringToObject(tree, "hash", setup->hash);
    json_add_uint64(tree, "servers", figures->n_members);
    cJSON_AddBoolToObject(tree, "exact", figures->exact);
    json_add_uint64(tree, "bytes", figures->bytes);
    json_add_double(tree, "expected_cov", figures->expected_cov);
    add_balance(tree, "balance", &figures->balance);
    if (figures->wants.n_draws) {
        cJSON *names = cJSON_AddObjectToObject(tree, "names");
        json_add_uint64(names, "draws", figures->names.n_draws);
        add_quantiles(names, "peak_to_mean", &figures->names.peak);
        add_quantiles(names, "min_to_mean", &figures->names.min);
        add_quantiles(names, "cov", &figures->names.cov);
    }
    if (figures->wants.n_changes)
        add_change(tree, &figures->change, keys);
    if (figures->wants.zipf > 0) {
        cJSON *zipf = cJSON_AddObjectToObject(tree, "zipf");
        json_add_double(zipf, "exponent", figures->wants.zipf);
        json_add_double(zipf, "peak_to_mean_median", figures->popularity.peak_median);
        json_add_double(zipf, "peak_to_mean_worst", figures->popularity.peak_worst);
        json_add_double(zipf, "hottest_key", figures->popularity.hottest);
    }
    if (figures->wants.n_replicas)
        add_replicas(tree, &figures->replicas);
    if (figures->wants.cost)
        add_cost(tree, &figures->cost);
    return tree;
}
