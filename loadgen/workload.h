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
#include "loadgen/verify.h"

struct workload;

#define WORKLOAD_MAX_OPERATIONS 8u

/* What a request was, now that it has ended. */
struct workload_done {
    uint32_t operation;         /* index into the workload's operations */
    bool is_write;              /* it was to change rows, good or bad */
    uint64_t n_read, n_written; /* rows, of a good answer */
};

struct workload_ops {
    const char *name;
    /* Optional. Names of the kinds of requests, NULL-ended, at most WORKLOAD_MAX_OPERATIONS, which
     * are counted and timed apart. */
    const char *const *operations;
    /* Required. The next request of a slot, into a zeroed one. What it points to holds until the
     * slot's next call. False: there is none any more, now or later, and the run ends. */
    bool (*next)(struct workload *workload, struct rng *rng, uint32_t slot,
                 struct client_request *ret_request);
    /* Optional; required with operations. The slot's request has ended. verdict: what the answer is
     * worth to those who know no workload. Returns what it is worth, which may be better or worse,
     * and fills ret_done. */
    enum verdict (*ended)(struct workload *workload, uint32_t slot,
                          const struct client_answer *answer, enum verdict verdict,
                          struct workload_done *ret_done);
    /* Required. Takes what the maker made. */
    void (*free)(struct workload *workload);
};

/* First member of every implementation's struct. */
struct workload {
    const struct workload_ops *ops;
    size_t keep_body_bytes; /* of an answer, for `ended`; 0: none is kept */
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

static inline bool workload_next(struct workload *workload, struct rng *rng, uint32_t slot,
                                 struct client_request *ret_request)
{
    return workload->ops->next(workload, rng, slot, ret_request);
}

static inline enum verdict workload_ended(struct workload *workload, uint32_t slot,
                                          const struct client_answer *answer, enum verdict verdict,
                                          struct workload_done *ret_done)
{
    *ret_done = (struct workload_done){.operation = 0};
    return workload->ops->ended ? workload->ops->ended(workload, slot, answer, verdict, ret_done)
                                : verdict;
}

/* Takes NULL. */
static inline void workload_free(struct workload *workload)
{
    if (workload)
        workload->ops->free(workload);
}

#endif
