#include "ring/change.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define NOT_THERE SIZE_MAX

/* A state and how the keys see it. */
struct seen {
    struct ring_state state;
    struct ring_view view;
};

static void see(const struct ring_keys *keys, struct seen *seen)
{
    ring_view_make(keys, seen->state.placement, &seen->view);
}

static void seen_done(struct seen *seen)
{
    ring_view_done(&seen->view);
    ring_state_done(&seen->state);
}

/* Of each of `members`, where `others` have it. */
static size_t *match(const struct ring_members *members, const struct ring_members *others)
{
    size_t *at = mem_zalloc(members->n + 1, sizeof(*at));
    for (size_t i = 0; i < members->n; i++) {
        /* A change leaves nearly all of them where they were, or moves them up by one. */
        uint64_t id = members->at[i].id;
        if (i < others->n && others->at[i].id == id)
            at[i] = i;
        else if (i > 0 && i - 1 < others->n && others->at[i - 1].id == id)
            at[i] = i - 1;
        else
            at[i] = ring_members_find(others, id);
        if (at[i] == others->n)
            at[i] = NOT_THERE;
    }
    return at;
}

/* What every piece of the keys is added to. */
struct sums {
    const size_t *stays;     /* of each member before, where it is after */
    const size_t *came_from; /* of each member after, where it was before */
    double *gained;          /* by each member after, of those that went */
    double moved, between, orphans, newcomers;
};

static void add_piece(void *context, double amount, uint32_t before, uint32_t after)
{
    struct sums *sums = context;
    bool gone = sums->stays[before] == NOT_THERE, new = sums->came_from[after] == NOT_THERE;
    bool moved = sums->stays[before] != after;
    if (gone) {
        sums->orphans += amount;
        sums->gained[after] += amount;
    }
    if (new)
        sums->newcomers += amount;
    if (moved)
        sums->moved += amount;
    if (moved && !gone && !new)
        sums->between += amount;
}

/* The fullest of those that took over what the gone ones had. */
static void find_absorber(const struct sums *sums, const struct ring_members *after,
                          struct ring_move *move)
{
    double weights = 0;
    move->absorber = NAN;
    for (size_t b = 0; b < after->n; b++)
        weights += sums->came_from[b] != NOT_THERE ? after->at[b].weight : 0;
    for (size_t b = 0; b < after->n && sums->orphans > 0; b++) {
        double part = sums->gained[b] / sums->orphans * weights / after->at[b].weight;
        if (sums->came_from[b] != NOT_THERE && !(part <= move->absorber)) {
            move->absorber = part;
            move->absorber_member = b;
        }
    }
}

void ring_move_of(const struct ring_view *before, const struct ring_members *members_before,
                  const struct ring_view *after, const struct ring_members *members_after,
                  struct ring_move *ret_move)
{
    size_t *stays = match(members_before, members_after);
    size_t *came_from = match(members_after, members_before);
    double *gained = mem_zalloc(members_after->n, sizeof(*gained));
    struct sums sums = {.stays = stays, .came_from = came_from, .gained = gained};
    struct ring_move move = {.exact = before->exact && after->exact};
    bool any_went = false;
    for (size_t a = 0; a < members_before->n; a++)
        any_went |= stays[a] == NOT_THERE;
    double all = ring_view_beside(before, after, add_piece, &sums);
    move.moved = sums.moved / all;
    move.between = sums.between / all;
    move.optimum = (any_went ? sums.orphans : sums.newcomers) / all;
    move.ratio = move.optimum > 0 ? move.moved / move.optimum : NAN;
    move.moved_interval = move.exact ? (struct interval){move.moved, move.moved}
                                     : ring_share_interval(move.moved, before->n_keys);
    find_absorber(&sums, members_after, &move);
    free(stays);
    free(came_from);
    free(gained);
    *ret_move = move;
}

static void range_add(struct ring_range *range, double value, size_t *n)
{
    if (isnan(value))
        return;
    range->mean += value;
    if (*n == 0 || value > range->worst)
        range->worst = value;
    (*n)++;
}

/* Ends a range of n values: no values, no number. */
static void range_close(struct ring_range *range, size_t n)
{
    if (n == 0)
        *range = (struct ring_range){NAN, NAN};
    else
        range->mean /= (double)n;
}

/* What is under way for one kind of change. */
struct tally {
    struct ring_moves moves;
    size_t n_moved, n_ratio, n_between, n_absorber;
};

/* The index of the most loaded member, and its load. */
static size_t most_loaded(const struct seen *seen, double *ret_peak)
{
    struct ring_balance balance;
    double *shares = mem_zalloc(seen->state.members.n, sizeof(*shares));
    ring_view_shares(&seen->view, shares);
    ring_balance_of(shares, NULL, &seen->state.members, &balance);
    free(shares);
    *ret_peak = balance.peak;
    return balance.peak_member;
}

static void tally_add(struct tally *tally, const struct seen *before, const struct seen *after)
{
    struct ring_move move;
    ring_move_of(&before->view, &before->state.members, &after->view, &after->state.members, &move);
    range_add(&tally->moves.moved, move.moved, &tally->n_moved);
    range_add(&tally->moves.ratio, move.ratio, &tally->n_ratio);
    range_add(&tally->moves.between, move.between, &tally->n_between);
    range_add(&tally->moves.absorber, move.absorber, &tally->n_absorber);
    tally->moves.exact = move.exact && (tally->moves.n == 0 || tally->moves.exact);
    double peak;
    most_loaded(after, &peak);
    tally->moves.peak = fmax(tally->moves.peak, peak);
    tally->moves.n++;
}

static void tally_close(struct tally *tally, struct ring_moves *ret_moves)
{
    range_close(&tally->moves.moved, tally->n_moved);
    range_close(&tally->moves.ratio, tally->n_ratio);
    range_close(&tally->moves.between, tally->n_between);
    range_close(&tally->moves.absorber, tally->n_absorber);
    *ret_moves = tally->moves;
}

/* Of the keys, those that are elsewhere than they would be in a placement built anew. */
static int measure_history(const struct ring_setup *setup, const struct ring_keys *keys,
                           const struct seen *changed, double *ret_differ, struct err *err)
{
    struct seen anew = {0};
    struct ring_move move;
    if (!(changed->state.placement->ops->caps & PLACEMENT_HISTORY)) {
        *ret_differ = 0; /* built anew at every change */
        return 0;
    }
    int rc = ring_state_build(setup, &changed->state.members, &anew.state, err);
    if (rc != 0)
        return rc;
    see(keys, &anew);
    ring_move_of(&changed->view, &changed->state.members, &anew.view, &anew.state.members, &move);
    *ret_differ = move.moved;
    seen_done(&anew);
    return 0;
}

/* What is the same for all changes, and where they are counted. */
struct measurement {
    const struct ring_setup *setup;
    const struct ring_keys *keys;
    struct seen before;
    struct rng rng;
    struct tally join, leave, fail;
    struct ring_change change;
    size_t n_history;
};

static void try_join(struct measurement *m)
{
    struct seen after = {0};
    uint64_t id = ring_members_new_id(&m->before.state.members, &m->rng);
    if (ring_state_with(m->setup, &m->before.state, id, 1, &after.state, NULL) != 0) {
        m->change.n_refused++;
        return;
    }
    see(m->keys, &after);
    tally_add(&m->join, &m->before, &after);
    seen_done(&after);
}

static void try_failure(struct measurement *m, size_t index)
{
    struct seen left = {0}, healed = {0};
    double differ;
    uint64_t id = ring_members_new_id(&m->before.state.members, &m->rng);
    uint32_t weight = m->before.state.members.at[index].weight;
    if (ring_state_without(m->setup, &m->before.state, index, &left.state, NULL) != 0) {
        m->change.n_refused++;
        return;
    }
    see(m->keys, &left);
    tally_add(&m->leave, &m->before, &left);
    if (ring_state_with(m->setup, &left.state, id, weight, &healed.state, NULL) == 0) {
        see(m->keys, &healed);
        tally_add(&m->fail, &m->before, &healed);
        if (measure_history(m->setup, m->keys, &healed, &differ, NULL) == 0)
            range_add(&m->change.history, differ, &m->n_history);
    } else {
        m->change.n_refused++;
    }
    seen_done(&left);
    seen_done(&healed);
}

/* The k-th of n_changes places among n members: the first, and then evenly on. */
static size_t place_of(size_t k, size_t n_changes, size_t n)
{
    return k * n / n_changes;
}

int ring_change_measure(const struct ring_setup *setup, const struct ring_state *state,
                        const struct ring_keys *keys, size_t n_changes, uint64_t seed,
                        struct ring_change *ret_change, struct err *err)
{
    struct measurement m = {.setup = setup, .keys = keys};
    size_t n = state->members.n;
    int rc = ring_state_build(setup, &state->members, &m.before.state, err);
    if (rc != 0)
        return rc;
    see(keys, &m.before);
    rng_seed(&m.rng, seed);
    n_changes = n_changes < n ? n_changes : n;
    for (size_t k = 0; k < n_changes; k++) {
        try_join(&m);
        if (n > 1)
            try_failure(&m, place_of(k, n_changes, n));
    }
    tally_close(&m.join, &m.change.join);
    tally_close(&m.leave, &m.change.leave);
    tally_close(&m.fail, &m.change.fail);
    range_close(&m.change.history, m.n_history);
    seen_done(&m.before);
    *ret_change = m.change;
    return 0;
}

int ring_absorption(const struct ring_setup *setup, const struct ring_state *state,
                    const struct ring_keys *keys, double *matrix, struct err *err)
{
    size_t n = state->members.n;
    struct seen before = {0};
    int rc = ring_state_build(setup, &state->members, &before.state, err);
    if (rc != 0)
        return rc;
    see(keys, &before);
    memset(matrix, 0, n * n * sizeof(*matrix));
    double *flows = mem_zalloc(n * n, sizeof(*flows));
    for (size_t i = 0; i < n && n > 1 && rc == 0; i++) {
        struct seen left = {0};
        double orphans = 0;
        rc = ring_state_without(setup, &before.state, i, &left.state, err);
        if (rc != 0)
            break;
        see(keys, &left);
        ring_view_flows(&before.view, &left.view, flows);
        const double *row = flows + i * (n - 1);
        for (size_t b = 0; b + 1 < n; b++)
            orphans += row[b];
        for (size_t b = 0; b + 1 < n && orphans > 0; b++)
            matrix[i * n + b + (b >= i)] = row[b] / orphans;
        seen_done(&left);
    }
    free(flows);
    seen_done(&before);
    return rc;
}

int ring_failures_measure(const struct ring_setup *setup, const struct ring_state *state,
                          const struct ring_keys *keys, size_t n_changes,
                          struct ring_failures *ret_failures, struct err *err)
{
    struct ring_failures failures = {0};
    struct seen before = {0};
    size_t n = state->members.n, counted[3] = {0};
    double peak;
    assert(n > 2);
    int rc = ring_state_build(setup, &state->members, &before.state, err);
    if (rc != 0)
        return rc;
    see(keys, &before);
    most_loaded(&before, &peak);
    range_add(&failures.peak[0], peak, &counted[0]);
    n_changes = n_changes < n ? n_changes : n;
    for (size_t k = 0; k < n_changes && rc == 0; k++) {
        struct seen one = {0}, two = {0};
        rc = ring_state_without(setup, &before.state, place_of(k, n_changes, n), &one.state, err);
        if (rc == 0) {
            see(keys, &one);
            size_t next = most_loaded(&one, &peak);
            range_add(&failures.peak[1], peak, &counted[1]);
            rc = ring_state_without(setup, &one.state, next, &two.state, err);
        }
        if (rc == 0) {
            see(keys, &two);
            most_loaded(&two, &peak);
            range_add(&failures.peak[2], peak, &counted[2]);
        }
        seen_done(&one);
        seen_done(&two);
    }
    seen_done(&before);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < 3; i++)
        range_close(&failures.peak[i], counted[i]);
    *ret_failures = failures;
    return 0;
}
