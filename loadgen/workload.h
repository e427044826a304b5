/* What is asked: a workload makes the requests, one instance a thread. A new one is a file with its
 * ops; the load asks for a request each time one is to be sent. */
#ifndef QUOIT_LOADGEN_WORKLOAD_H
#define QUOIT_LOADGEN_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/client.h"
#include "core/rng.h"
#include "loadgen/keys.h"
#include "loadgen/trace.h"

struct workload;

struct workload_ops {
    const char *name;
    /* Required. The next request of a slot, into a zeroed one. What it points to holds until the
     * slot's next call. */
    void (*next)(struct workload *workload, struct rng *rng, uint32_t slot,
                 struct client_request *ret_request);
    /* Optional. Whether a whole 2xx answer to the slot's request says what it must. */
    bool (*check)(struct workload *workload, uint32_t slot, const struct client_answer *answer);
    /* Optional; NULL: none does. Whether the slot's request is to change rows. */
    bool (*writes)(struct workload *workload, uint32_t slot);
    /* Required. Takes what the maker made. */
    void (*free)(struct workload *workload);
};

/* First member of every implementation's struct. */
struct workload {
    const struct workload_ops *ops;
    size_t keep_body_bytes; /* of an answer, for `check`; 0: none is kept */
};

/* Where {key} stands in target, headers or body, the request's key is written. */
#define WORKLOAD_KEY "{key}"

/* One request, and what varies in it. Everything is borrowed. */
struct workload_http {
    const char *target;
    const char *method;        /* NULL: GET */
    const char *headers;       /* lines, each ended by CRLF; NULL: none */
    const char *body;          /* NULL: none */
    const struct spec *keys;   /* of keys_family; NULL: none */
    const struct trace *trace; /* its paths take the target's place, its ids are keys; NULL: none */
    struct keys_place place;   /* this thread among the others */
};

/* Named "home" when nothing varies, else "keys" or "trace". 0 or -EINVAL with the reason. */
int workload_http_new(const struct workload_http *config, struct workload **ret_workload,
                      struct err *err);

static inline void workload_next(struct workload *workload, struct rng *rng, uint32_t slot,
                                 struct client_request *ret_request)
{
    workload->ops->next(workload, rng, slot, ret_request);
}

static inline bool workload_check(struct workload *workload, uint32_t slot,
                                  const struct client_answer *answer)
{
    return !workload->ops->check || workload->ops->check(workload, slot, answer);
}

static inline bool workload_writes(struct workload *workload, uint32_t slot)
{
    return workload->ops->writes && workload->ops->writes(workload, slot);
}

/* Takes NULL. */
static inline void workload_free(struct workload *workload)
{
    if (workload)
        workload->ops->free(workload);
}

#endif
