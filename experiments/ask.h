/* One HTTP call at a time to a process of a run: its load balancer or a server of that. */
#ifndef QUOIT_EXPERIMENTS_ASK_H
#define QUOIT_EXPERIMENTS_ASK_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "core/err.h"

/* No call takes longer: a run is not held up by a load balancer that hangs. */
#define ASK_TIMEOUT_MS 10000
#define ASK_MAX_BYTES (8 * 1024 * 1024)

struct asker {
    void *curl;
};

/* A connection that is kept from call to call. Pair with asker_done(). */
void asker_init(struct asker *asker);
void asker_done(struct asker *asker);
/* Sends METHOD http://ADDRESS PATH with that body (NULL: none). The answer's status, and its body
 * in place of what was in ret_body. 0, or a negative errno when no answer came. */
int asker_ask(struct asker *asker, const char *method, const char *address, const char *path,
              const char *body, long *ret_status, struct buf *ret_body, struct err *err);
/* The same for an answer that must be 200 and JSON; for cJSON_Delete(). NULL with the reason, the
 * refusal's own words among it. */
cJSON *asker_ask_json(struct asker *asker, const char *method, const char *address,
                      const char *path, const char *body, struct err *err);

#endif
