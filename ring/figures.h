/* All that can be said of one placement over one hash and some members: what `quoit ring compare`
 * prints a row of, and what the experiments H1 … draw. */
#ifndef QUOIT_RING_FIGURES_H
#define QUOIT_RING_FIGURES_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "core/err.h"
#include "ring/balance.h"
#include "ring/change.h"
#include "ring/cost.h"
#include "ring/names.h"
#include "ring/popularity.h"
#include "ring/replicas.h"
#include "ring/state.h"
#include "ring/view.h"

#define RING_ZIPF_DRAWS 9u

struct ring_wants {
    uint64_t seed;
    size_t n_changes;  /* 0: no change */
    size_t n_draws;    /* of names; 0: none */
    double zipf;       /* exponent; 0: none */
    size_t n_replicas; /* 0: none */
    bool cost;
};

/* Which parts were measured is in wants. */
struct ring_figures {
    struct ring_wants wants;
    size_t n_members;
    bool exact;          /* the balance: nothing was sampled */
    size_t bytes;        /* that lookups need */
    double expected_cov; /* in closed form, under a perfect server hash; NaN where there is none */
    struct ring_balance balance;
    struct ring_names names;
    struct ring_change change;
    struct ring_popularity popularity;
    struct ring_replicas replicas;
    struct ring_cost cost;
};

/* 0 or -EINVAL with the placement's reason. Seen over the hash space, requests are hashed evenly
 * from then on (ring_setup_even_requests), but for the cost. */
int ring_figures_measure(struct ring_setup *setup, const struct ring_members *members,
                         const struct ring_keys *keys, const struct ring_wants *wants,
                         struct ring_figures *ret_figures, struct err *err);
/* {"placement","hash","servers","exact","balance":{…},"names":{…},…}: what was measured;
 * numbers that there are not are null. */
cJSON *ring_figures_json(const struct ring_setup *setup, const struct ring_keys *keys,
                         const struct ring_figures *figures);

#endif
