/* What is asked: a workload makes the requests. A new one is a file with its ops; the load asks for
 * a request each time a slot is free. */
#ifndef QUOIT_LOADGEN_WORKLOAD_H
#define QUOIT_LOADGEN_WORKLOAD_H

#include <stdint.h>

#include "backends/client.h"
#include "core/rng.h"

struct workload;

struct workload_ops {
    const char *name;
    /* Required. The next request of a slot. What it points to holds until the slot's next call. */
    void (*next)(struct workload *workload, struct rng *rng, uint32_t slot,
                 struct client_request *ret_request);
    /* Required. Takes what the maker made. */
    void (*free)(struct workload *workload);
};

/* First member of every implementation's struct. */
struct workload {
    const struct workload_ops *ops;
};

/* `home`: GET of one target, over and over. The target is borrowed. */
struct workload *workload_home_new(const char *target);

static inline void workload_next(struct workload *workload, struct rng *rng, uint32_t slot,
                                 struct client_request *ret_request)
{
    workload->ops->next(workload, rng, slot, ret_request);
}

/* Takes NULL. */
static inline void workload_free(struct workload *workload)
{
    if (workload)
        workload->ops->free(workload);
}

#endif
