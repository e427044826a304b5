/* What every shim does: it hands requests on to the store it wraps, and their outcome back.
 *
 * The wrapped store gets a request of its own for each, since `next` and `private` of a request are
 * its store's. The shards that a shim lists are those of the wrapped store at any time. */
#ifndef QUOIT_BACKENDS_STORE_SHIM_H
#define QUOIT_BACKENDS_STORE_SHIM_H

#include "backends/store.h"

/* First member of every shim's store. */
struct shim {
    struct store base; /* first member */
    struct store *inner;
};

/* A request on its way through; first member of a shim's own. */
struct shim_call {
    struct store_request inner; /* first member */
    struct store_request *outer;
    struct shim *shim;
    /* The wrapped store is done with it, after STORE_PENDING. */
    void (*on_done)(struct shim_call *call);
};

void shim_open(struct shim *shim, struct store *inner);
/* Closes what is wrapped, with all that is pending there; frees the shim. */
void shim_close(struct shim *shim);
/* Submits to what is wrapped; call is zeroed but for on_done. */
enum store_submit shim_pass(struct shim *shim, struct shim_call *call, struct store_request *outer);
/* The outcome, to the request that was asked; once what is wrapped is done with it. */
void shim_hand_back(const struct shim_call *call);

#endif
