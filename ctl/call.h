/* One HTTP call at a time to a load balancer, over libcurl, with a timeout and errors a person can
 * act on. */
#ifndef QUOIT_CTL_CALL_H
#define QUOIT_CTL_CALL_H

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/err.h"

#define CALL_READ_TIMEOUT_NS (UINT64_C(5) * 1000000000)
/* /add answers when the new servers serve, or could not be started within 10 s. */
#define CALL_CHANGE_TIMEOUT_NS (UINT64_C(60) * 1000000000)
#define CALL_MAX_ANSWER_BYTES (64u << 20)

struct caller {
    void *curl;
    char address[ADDR_TEXT_BYTES];
    uint64_t timeout_ns; /* of every call; 0 = the two above */
    /* Ends a call with -EINTR once not 0; may be NULL (ref) */
    const volatile sig_atomic_t *interrupted;
};

/* Connects to nothing yet; calls go over one connection that is kept. Pair with caller_done(). */
void caller_init(struct caller *caller, const struct addr *lb, uint64_t timeout_ns,
                 const volatile sig_atomic_t *interrupted);
void caller_done(struct caller *caller);

/* The answer's status and, appended to ret_body, its body, whatever they are. body: JSON or NULL.
 * 0, or a negative errno when no answer came: -ECONNREFUSED, -ETIMEDOUT, -EPROTO (not HTTP),
 * -EINTR, -EIO. */
int caller_ask(struct caller *caller, const char *method, const char *path, const char *body,
               long *ret_status, struct buf *ret_body, struct err *err);
/* The same for an answer that must be 200 and JSON. Otherwise -EREMOTEIO with the load balancer's
 * own message, or -EPROTO: what answers is no quoit load balancer. */
int caller_ask_json(struct caller *caller, const char *method, const char *path, const char *body,
                    cJSON **ret_tree, struct err *err);
/* The "message" of a refusal without its "<Error> "; NULL where there is none. Borrowed. */
const char *caller_refusal(const cJSON *tree);

#endif
