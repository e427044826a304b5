/* One HTTP call at a time, waited for, over the client that drives the load: what is asked before
 * and after a run, and counts in none of its figures. SIGINT and SIGTERM end a call and a pause. */
#ifndef QUOIT_LOADGEN_INQUIRY_H
#define QUOIT_LOADGEN_INQUIRY_H

#include <stddef.h>
#include <stdint.h>

#include "backends/client.h"
#include "core/buf.h"
#include "core/err.h"

#define INQUIRY_MAX_ANSWER_BYTES ((size_t)16 << 20)

struct inquiry;

/* client: of client_family (ref). 0 or a negative errno with the reason. */
int inquiry_open(const struct spec *client, const struct addr *addr, uint64_t timeout_ns,
                 struct inquiry **ret_inquiry, struct err *err);
/* Takes NULL. */
void inquiry_close(struct inquiry *inquiry);
/* body: JSON, or NULL. ret_body: the answer's, until the next call (ref). 0, whatever the status;
 * or with what happened −EINTR, −EMSGSIZE (a longer answer than INQUIRY_MAX_ANSWER_BYTES), −EIO. */
int inquiry_ask(struct inquiry *inquiry, const char *method, const char *target, const char *body,
                int *ret_status, struct buf **ret_body, struct err *err);
/* Sleeps. 0 or −EINTR. */
int inquiry_pause(struct inquiry *inquiry, uint64_t ns, struct err *err);

#endif
