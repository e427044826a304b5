/* How evenly a placement shares out: every figure of one list of shares.
 *
 * A member's load is its share over its part of the weights: 1 for all is perfect. A member counts
 * in proportion to its weight, so that one of weight 2 is like two of weight 1. */
#ifndef QUOIT_RING_BALANCE_H
#define QUOIT_RING_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "ring/members.h"

struct ring_balance {
    double peak;  /* the greatest load: peak/mean */
    double least; /* the smallest: min/mean */
    size_t peak_member, least_member;
    double cov;  /* coefficient of variation of the loads, over the whole population */
    double jain; /* Jain, Chiu and Hawe (1984): 1 all alike … 1/n one has it all; 1/(1 + CoV²) */
    double gini; /* 0 all alike … 1 − 1/n one has it all */
    size_t n_without;     /* members that no key leads to */
    double chi_square, p; /* of counts against the weights; NaN without counts */
    unsigned df;
};

/* shares: of members->n ≥ 1, summing to 1. counts: NULL where nothing was counted. */
void ring_balance_of(const double *shares, const uint64_t *counts,
                     const struct ring_members *members, struct ring_balance *ret_balance);

#endif
