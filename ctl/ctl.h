/* `quoit ctl`: what people ask of a running load balancer, and how they are told.
 *
 * A command talks HTTP to the LB (ctl/call.h), reads the cluster (ctl/cluster.h) and prints, for
 * people or as JSON, to stdout. It returns 0 or a negative errno with the reason: -EINTR when it
 * was interrupted, -EINVAL when it was asked for something it does not take. */
#ifndef QUOIT_CTL_CTL_H
#define QUOIT_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "core/style.h"
#include "ctl/call.h"
#include "ctl/cluster.h"

struct ctl {
    struct caller caller;
    struct style style; /* of stdout */
    bool json;
};

/* Takes SIGINT and SIGTERM: they end a command with -EINTR. timeout_ns: of each call; 0 = the
 * defaults of ctl/call.h. Pair with ctl_done(). */
void ctl_init(struct ctl *ctl, const struct addr *lb, uint64_t timeout_ns, bool json);
void ctl_done(struct ctl *ctl);

/* Servers, totals, and the last stories of the timeline. */
int ctl_status(struct ctl *ctl, struct err *err);
/* POST /add: n servers, the first n_names of them with these names. */
int ctl_add(struct ctl *ctl, uint64_t n, char **names, size_t n_names, struct err *err);
/* DELETE /rm: these, and others at random up to n. */
int ctl_rm(struct ctl *ctl, uint64_t n, char **names, size_t n_names, struct err *err);
/* DELETE /rm of these, and waits until they have ended. */
int ctl_drain(struct ctl *ctl, char **names, size_t n_names, struct err *err);
/* POST /cluster/kill of each in turn, and waits until another serves in its place. */
int ctl_kill(struct ctl *ctl, char **names, size_t n_names, struct err *err);
/* GET /cluster/digest: every shard's replicas, their rows and checksums. -EBADE: some shard's are
 * not equal, or one of them could not be asked. */
int ctl_digest(struct ctl *ctl, struct err *err);
/* Who owns what: a circle, and the exact shares of the request ids. */
int ctl_ring(struct ctl *ctl, struct err *err);
/* A table that is drawn again every interval; ends after n_rounds (0: never), q or a signal. */
int ctl_watch(struct ctl *ctl, uint64_t interval_ns, uint64_t n_rounds, struct err *err);
/* GET /healthz: 0 when it is 200. Prints nothing unless verbose or JSON is asked for. */
int ctl_health(struct ctl *ctl, bool verbose, struct err *err);

/* For the commands --------------------------------------------------------------------------------
 */

/* Sleeps; -EINTR when a signal came. */
int ctl_sleep(uint64_t ns);
/* Whether a signal asked the command to end. */
bool ctl_interrupted(void);
/* Prints the tree as indented JSON to stdout and deletes it. */
void ctl_print_json(cJSON *tree);
/* Prints what stands in the buffer to stdout and empties it. */
void ctl_print(struct buf *text);

#endif
