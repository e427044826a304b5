#include <stdlib.h>

#include "core/mem.h"
#include "loadgen/workload.h"

struct home {
    struct workload workload;
    const char *target;
};

static void home_next(struct workload *workload, struct rng *rng, uint32_t slot,
                      struct client_request *ret_request)
{
    (void)rng, (void)slot;
    ret_request->target = ((const struct home *)workload)->target;
}

static void home_free(struct workload *workload)
{
    free(workload);
}

static const struct workload_ops home_ops = {
    .name = "home",
    .next = home_next,
    .free = home_free,
};

struct workload *workload_home_new(const char *target)
{
    struct home *home = mem_zalloc(1, sizeof(*home));

    home->workload.ops = &home_ops;
    home->target = target;
    return &home->workload;
}
