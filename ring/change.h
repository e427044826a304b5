/* What a change of the members moves: measured between two views of the same keys. */
#ifndef QUOIT_RING_CHANGE_H
#define QUOIT_RING_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "ring/balance.h"
#include "ring/state.h"
#include "ring/view.h"

/* All are shares of the keys. */
struct ring_move {
    double moved;   /* have another owner than before */
    double optimum; /* had to: what the members that went had, or, when none went, what those that
                       came have now */
    double between; /* moved from one member that stayed to another */
    double ratio;   /* moved / optimum: 1 is minimal; NaN where the optimum is 0 */
    bool exact;     /* nothing was sampled */
    struct interval moved_interval; /* 99 %; a point where exact */
    /* Of the keys of those that went: the most that one survivor got, over an even part by weight
     * among the survivors. 1 is even; NaN when none went or nothing was theirs. */
    double absorber;
    size_t absorber_member; /* of `after` */
};

void ring_move_of(const struct ring_view *before, const struct ring_members *members_before,
                  const struct ring_view *after, const struct ring_members *members_after,
                  struct ring_move *ret_move);

/* A number over several changes of one kind. */
struct ring_range {
    double mean, worst;
};

/* Changes of one kind, one for each of n members. */
struct ring_moves {
    size_t n;
    bool exact;
    struct ring_range moved, ratio, between, absorber;
    double peak; /* the greatest load that any of them leads to */
};

/* join: one more, with a fresh random id. leave: a member goes. fail: it goes and is replaced by
 * one with a fresh id, as the load balancer heals. */
struct ring_change {
    struct ring_moves join, leave, fail;
    /* Of the members that there are after `fail`: keys that are elsewhere than in a placement built
     * anew of the same members. */
    struct ring_range history;
    size_t n_refused; /* changes that the placement refused (full) */
};

/* n_changes: how many members leave and fail, one at a time, and how many joins are tried: the
 * first ones, spread evenly over the members; at most members.n of them. seed: of the fresh ids. 0,
 * or -EINVAL when the placement cannot be built at all. */
int ring_change_measure(const struct ring_setup *setup, const struct ring_state *state,
                        const struct ring_keys *keys, size_t n_changes, uint64_t seed,
                        struct ring_change *ret_change, struct err *err);

/* Who absorbs whom: matrix[i × n + j] is the part of member i's keys that j gets when i leaves, 0
 * for j = i; rows of members without keys are 0. */
int ring_absorption(const struct ring_setup *setup, const struct ring_state *state,
                    const struct ring_keys *keys, double *matrix, struct err *err);

/* The greatest load before any failure, after one, and after a second one that strikes whoever is
 * the most loaded then: mean and worst over which member is first. n > 2. No healing between. */
struct ring_failures {
    struct ring_range peak[3];
};
int ring_failures_measure(const struct ring_setup *setup, const struct ring_state *state,
                          const struct ring_keys *keys, size_t n_changes,
                          struct ring_failures *ret_failures, struct err *err);

#endif
