/* Sets of replicas: which members keep a key together (lookup_n), and what that means for load and
 * for data when several fail at once. */
#ifndef QUOIT_RING_REPLICAS_H
#define QUOIT_RING_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>

#include "ring/balance.h"
#include "ring/state.h"
#include "ring/view.h"

#define RING_MAX_REPLICAS 8u

struct ring_replicas {
    size_t n_replicas;           /* of each key: as many as wanted, at most as there are members */
    bool exact;                  /* all keys of the population were asked for, and none drawn */
    struct ring_balance primary; /* of the first replicas: who takes the writes */
    struct ring_balance all;     /* of all: who keeps how much */
    /* Sets of members that keep some key together (Cidon et al.: Copysets, 2013). When n_replicas
     * members fail at once, data is lost with a probability of n_copysets / n_possible, if all sets
     * of members are as likely to fail. */
    size_t n_copysets;
    double n_possible; /* members over n_replicas */
    double loss;       /* n_copysets / n_possible */
    /* With how many others a member shares keys: as many can help to restore it. */
    double scatter_mean;
    size_t scatter_least;
};

/* n_replicas: 1 … RING_MAX_REPLICAS. */
void ring_replicas_measure(const struct ring_state *state, const struct ring_keys *keys,
                           size_t n_replicas, struct ring_replicas *ret_replicas);

#endif
