/* A server of the cluster: CONTRACT.md's server endpoints on one loop, over a store.
 *
 *   GET /home         {"message":"Hello from Server: ID","status":"successful"}
 *   GET /heartbeat    200, empty
 *   GET /metrics      Prometheus text
 *
 *   POST /config      {"schema":{…},"shards":["sh1",…]}: makes them; again with the same: nothing
 *   GET, POST /copy   {"shards":["sh1",…]}: all their rows
 *   POST /read        {"shard":"sh1","KEY":{"low":1,"high":9}}: both ends inclusive
 *   POST /write       {"shard":"sh1","curr_idx":5,"data":[{row},…]}; curr_idx may be left out: the
 *                     answer's current_idx is then the number of rows
 *   PUT /update       {"shard":"sh1","KEY":7,"data":{row}}
 *   DELETE /del       {"shard":"sh1","KEY":7}
 *
 * KEY is the schema's first column. What the contract leaves open: a data call before /config, a
 * key that exists and a /config with another schema are 409; a shard that is not here, no rows, a
 * key twice in a request, an unknown member, low above high are 400; a missing key is 404; an
 * answer longer than 48 MiB is 413; a store without room is 507, one that failed 503.
 *
 * For the LB, beside the contract (K: any int64):
 *
 *   POST /batch       changes in table/batch.h's words, committed together; an answer line each.
 *                     A body that is no batch is 400 and changes nothing. At most 16 MiB.
 *                     POST /batch?epoch=N (N > 0): one with a lower N than any before it is 409 and
 *                     changes nothing, so that what was sent over a connection that broke cannot
 *                     take effect behind what was sent over the next.
 *                     POST /batch?copy=N: of a copy of the shards that it names, which keep the
 *                     highest N of a copy for as long as they are here; an operation of a batch
 *                     with a lower copy=N, or epoch=N without one, is `refused`
 *   GET /page?shard=NAME&low=K&last=K&rows=N
 *                     the rows from low on as one `replace`: at most N of them (0, none: no
 *                     limit) and about 4 MiB. Its LAST is the asked one when nothing is left, then
 *                     "X-Quoit-More: 0"; else the last row's key, and "X-Quoit-More: 1": the next
 *                     page begins at LAST + 1. low and last may be left out: the whole shard
 *   GET /digest?shard=NAME&low=K&last=K&rows=N
 *                     {"shard":…,"rows":n,"checksum":"16 hex digits","last":K,"more":bool,
 *                     "status":"success"} of what such a page covers (without its 4 MiB), once
 *                     every change that was begun here before it is done. With epoch=N, as a
 *                     batch's: then nothing of an earlier epoch is begun any more; with copy=N,
 *                     as a copy's, the same of this shard
 *   GET /shards       {"schema":{…} or null,"shards":[{"shard":…,"rows":n,"checksum":…},…],
 *                     "status":"success"}, by name */
#ifndef QUOIT_SERVER_SERVER_H
#define QUOIT_SERVER_SERVER_H

#include <stdint.h>

#include "backends/store.h"
#include "core/addr.h"
#include "core/err.h"

struct server_config {
    struct addr listen;
    const char *name;               /* valid by name_valid() (ref) */
    const char *id;                 /* the ID that /home says (ref) */
    const struct store_spec *store; /* (ref) */
    const char *data_dir;           /* where a durable store keeps its rows, or NULL (ref) */
    uint64_t orphan_after_ns; /* ends by itself when no heartbeat came for so long; 0 = never */
    uint64_t service_ns;      /* of each GET /home, one at a time (station.h); 0 = at once */
    int ready_fd;             /* told the address once it listens; −1 = none */
};

/* Serves until SIGTERM or SIGINT (ends in order: what has begun is answered, for at most two
 * seconds, or ten while the store has not done what it was given, and the store is closed), or
 * until it is an orphan. 0, or a negative errno with the reason. Blocks; takes over the process's
 * signals.
 */
int server_run(const struct server_config *config, struct err *err);

#endif
