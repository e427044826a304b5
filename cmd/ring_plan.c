/* quoit ring plan: what would move, from whom to whom. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ring.h"
#include "core/mem.h"
#include "experiments/grid.h"
#include "ring/balance.h"
#include "ring/change.h"
#include "ring/names.h"

#define MAX_FLOW_MEMBERS 4096u /* a matrix of them is held */
#define MAX_ROWS 60u           /* of the printed table */

/* One way that keys go. */
struct flow {
    size_t from, to; /* before, after */
    double share;
};

struct plan {
    struct ring_job job;
    struct ring_keys keys;
    struct ring_state before, after;
    struct ring_view view_before, view_after;
    struct ring_move move;
    struct ring_balance balance_before, balance_after;
    struct flow *flows; /* the greatest first */
    size_t n_flows;
    double history;
};

static void plan_done(struct plan *plan)
{
    ring_view_done(&plan->view_before);
    ring_view_done(&plan->view_after);
    ring_state_done(&plan->before);
    ring_state_done(&plan->after);
    ring_keys_done(&plan->keys);
    ring_job_done(&plan->job);
    free(plan->flows);
}

/* state becomes the one after a change. */
static void advance(struct ring_state *state, struct ring_state *next)
{
    ring_state_done(state);
    *state = *next;
}

static int remove_all(const char *list, struct plan *plan, struct err *err)
{
    struct ring_members goes = {0};
    int rc = ring_members_parse(&goes, "--remove", list, err);
    for (size_t i = 0; i < goes.n && rc == 0; i++) {
        struct ring_state next;
        size_t at = ring_members_find(&plan->after.members, goes.at[i].id);
        if (at == plan->after.members.n)
            rc = err_set(err, -EINVAL, "--remove: there is no server %" PRIu64, goes.at[i].id);
        else if (plan->after.members.n == 1)
            rc = err_set(err, -EINVAL, "--remove: that would leave no server");
        else
            rc = ring_state_without(&plan->job.setup, &plan->after, at, &next, err);
        if (rc == 0)
            advance(&plan->after, &next);
    }
    ring_members_done(&goes);
    return rc;
}

static int add_all(const char *list, struct plan *plan, struct err *err)
{
    struct ring_members comes = {0};
    int rc = ring_members_parse(&comes, "--add", list, err);
    for (size_t i = 0; i < comes.n && rc == 0; i++) {
        struct ring_state next;
        if (ring_members_find(&plan->after.members, comes.at[i].id) < plan->after.members.n)
            rc =
                err_set(err, -EINVAL, "--add: server %" PRIu64 " is there already", comes.at[i].id);
        else
            rc = ring_state_with(&plan->job.setup, &plan->after, comes.at[i].id, 1, &next, err);
        if (rc == 0)
            advance(&plan->after, &next);
    }
    ring_members_done(&comes);
    return rc;
}

static int compare_flows(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;
    if (x->share > y->share || x->share < y->share)
        return x->share > y->share ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static void collect_flows(struct plan *plan)
{
    const struct ring_members *before = &plan->before.members, *after = &plan->after.members;
    double *all = mem_zalloc(before->n * after->n, sizeof(*all));
    ring_view_flows(&plan->view_before, &plan->view_after, all);
    plan->flows = mem_zalloc(before->n * after->n + 1, sizeof(*plan->flows));
    for (size_t a = 0; a < before->n; a++)
        for (size_t b = 0; b < after->n; b++)
            if (all[a * after->n + b] > 0 && before->at[a].id != after->at[b].id)
                plan->flows[plan->n_flows++] =
                    (struct flow){.from = a, .to = b, .share = all[a * after->n + b]};
    qsort(plan->flows, plan->n_flows, sizeof(*plan->flows), compare_flows);
    free(all);
}

static void balance_of(const struct ring_keys *keys, const struct ring_state *state,
                       struct ring_balance *ret_balance)
{
    double *shares = mem_zalloc(state->members.n, sizeof(*shares));
    uint64_t *counts = mem_zalloc(state->members.n, sizeof(*counts));
    ring_shares_of(keys, state->placement, shares, counts);
    ring_balance_of(shares, NULL, &state->members, ret_balance);
    free(shares);
    free(counts);
}

/* What the change leaves beside the same members built anew. */
static int compare_anew(struct plan *plan, struct err *err)
{
    struct ring_state anew;
    struct ring_view view;
    struct ring_move move;
    int rc = ring_state_build(&plan->job.setup, &plan->after.members, &anew, err);
    if (rc != 0)
        return rc;
    ring_view_make(&plan->keys, anew.placement, &view);
    ring_move_of(&plan->view_after, &plan->after.members, &view, &anew.members, &move);
    plan->history = move.moved;
    ring_view_done(&view);
    ring_state_done(&anew);
    return 0;
}

static int compute(const struct ring_options *opts, struct plan *plan, struct err *err)
{
    if (!opts->add && !opts->remove)
        return err_set(err, -EINVAL, "plan wants to know what changes: --add IDS, --remove IDS");
    int rc = ring_job_parse(opts, &plan->job, err);
    if (rc == 0 && plan->job.members.n > MAX_FLOW_MEMBERS)
        rc = err_set(err, -EINVAL, "plan: %zu servers; at most %u", plan->job.members.n,
                     MAX_FLOW_MEMBERS);
    if (rc == 0)
        rc = ring_state_build(&plan->job.setup, &plan->job.members, &plan->before, err);
    if (rc == 0)
        rc = ring_state_build(&plan->job.setup, &plan->job.members, &plan->after, err);
    if (rc == 0 && opts->remove)
        rc = remove_all(opts->remove, plan, err);
    if (rc == 0 && opts->add)
        rc = add_all(opts->add, plan, err);
    if (rc != 0)
        return rc;
    ring_keys_init(&plan->keys, (enum ring_over)opts->keys, opts->n_sampled, opts->seed);
    ring_view_make(&plan->keys, plan->before.placement, &plan->view_before);
    ring_view_make(&plan->keys, plan->after.placement, &plan->view_after);
    ring_move_of(&plan->view_before, &plan->before.members, &plan->view_after, &plan->after.members,
                 &plan->move);
    balance_of(&plan->keys, &plan->before, &plan->balance_before);
    balance_of(&plan->keys, &plan->after, &plan->balance_after);
    collect_flows(plan);
    return compare_anew(plan, err);
}

static int print_json(const struct ring_options *opts, const struct plan *plan)
{
    const struct ring_move *move = &plan->move;
    cJSON *tree = ring_json_head(opts);
    json_add_uint64(tree, "servers_before", plan->before.members.n);
    json_add_uint64(tree, "servers_after", plan->after.members.n);
    cJSON_AddBoolToObject(tree, "exact", move->exact);
    json_add_double(tree, "moved", move->moved);
    cJSON *ends = cJSON_AddArrayToObject(tree, "moved_interval_99");
    cJSON_AddItemToArray(ends, json_double(move->moved_interval.low));
    cJSON_AddItemToArray(ends, json_double(move->moved_interval.high));
    json_add_double(tree, "optimum", move->optimum);
    json_add_double(tree, "moved_to_optimum", move->ratio);
    json_add_double(tree, "between_survivors", move->between);
    json_add_double(tree, "history", plan->history);
    json_add_double(tree, "peak_to_mean_before", plan->balance_before.peak);
    json_add_double(tree, "peak_to_mean_after", plan->balance_after.peak);
    cJSON *flows = cJSON_AddArrayToObject(tree, "flows");
    for (size_t i = 0; i < plan->n_flows; i++) {
        cJSON *flow = cJSON_CreateObject();
        cJSON_AddStringToObject(flow, "from", plan->before.members.names[plan->flows[i].from]);
        cJSON_AddStringToObject(flow, "to", plan->after.members.names[plan->flows[i].to]);
        json_add_double(flow, "share", plan->flows[i].share);
        cJSON_AddItemToArray(flows, flow);
    }
    return ring_print_json(tree);
}

static void print_flows(const struct plan *plan)
{
    struct grid grid;
    struct buf out;
    bool counted = plan->view_before.owners && plan->move.exact;
    grid_init(&grid);
    grid_add_column(&grid, "from", false);
    grid_add_column(&grid, "to", false);
    grid_add_column(&grid, "share", true);
    if (counted)
        grid_add_column(&grid, "request ids", true);
    for (size_t i = 0; i < plan->n_flows && i < MAX_ROWS; i++) {
        const struct flow *flow = &plan->flows[i];
        grid_add(&grid, "%s", plan->before.members.names[flow->from]);
        grid_add(&grid, "%s", plan->after.members.names[flow->to]);
        grid_add(&grid, "%.3f %%", 100 * flow->share);
        if (counted)
            grid_add(&grid, "%.0f", flow->share * (double)plan->keys.n);
    }
    buf_init(&out, 0);
    if (plan->n_flows > 0)
        grid_print(&grid, &out);
    if (plan->n_flows > MAX_ROWS)
        buf_appendf(&out, "  and %zu more ways, each with less (--json has all)\n",
                    plan->n_flows - MAX_ROWS);
    fputs(buf_str(&out), stdout);
    buf_done(&out);
    grid_done(&grid);
}

static void print_text(const struct ring_options *opts, const struct plan *plan)
{
    char keys[64];
    const struct ring_move *move = &plan->move;
    printf("%s over %s, %zu to %zu servers, %s\n\n", opts->placement, opts->hash,
           plan->before.members.n, plan->after.members.n,
           ring_keys_text(&plan->keys, keys, sizeof(keys)));
    print_flows(plan);
    printf("%s%.3f %% of the keys move", plan->n_flows > 0 ? "\n" : "", 100 * move->moved);
    if (!move->exact)
        printf(" (sampled; 99 %% interval %.3f to %.3f %%)", 100 * move->moved_interval.low,
               100 * move->moved_interval.high);
    if (move->optimum > 0)
        printf(", %.3f times what must", move->ratio);
    printf("; %.3f %% go from one server that stays to another\n", 100 * move->between);
    printf("peak to mean %.3f before, %.3f after\n", plan->balance_before.peak,
           plan->balance_after.peak);
    if (plan->history > 0)
        printf("built anew of the same servers, %.3f %% of the keys would be elsewhere\n",
               100 * plan->history);
}

int ring_run_plan(const struct ring_options *opts)
{
    struct plan plan = {0};
    struct err err = {0};
    int code = EXIT_OK, rc = compute(opts, &plan, &err);
    if (rc == 0 && opts->json)
        code = print_json(opts, &plan);
    else if (rc == 0)
        print_text(opts, &plan);
    plan_done(&plan);
    return rc == 0 ? code : cli_usage_error(&ring_verb, "%s", err.message);
}
