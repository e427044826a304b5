/* What happened to the cluster and when: each step of a failure and its healing, for people and
 * charts. A ring of the last TIMELINE_EVENTS; the control loop's alone. */
#ifndef QUOIT_LB_TIMELINE_H
#define QUOIT_LB_TIMELINE_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"

#define TIMELINE_EVENTS 512
#define TIMELINE_DETAIL_BYTES 96

enum timeline_step {
    TIMELINE_SPAWNED,  /* a server was asked for */
    TIMELINE_LISTENS,  /* it says where */
    TIMELINE_FILLED,   /* one of its shards is equal to its source, by count and checksum */
    TIMELINE_COPIED,   /* all its shards are */
    TIMELINE_SERVING,  /* it is in the placement */
    TIMELINE_KILLED,   /* POST /cluster/kill was told to the spawner */
    TIMELINE_DETECTED, /* its death or hanging is known; the detail says from where */
    TIMELINE_OUT,      /* no worker routes to it any more */
    TIMELINE_DRAINING, /* it is being removed, and gets nothing new */
    TIMELINE_DRAINED,  /* nothing is under way to it */
    TIMELINE_EXITED,
    TIMELINE_FAILED, /* it could not be started */
};

/* Of TIMELINE_FILLED and TIMELINE_COPIED. */
struct timeline_rows {
    uint64_t held;         /* rows that the replicas have now */
    uint64_t copied;       /* sent to them for that; fewer where they had rows already */
    uint64_t copied_bytes; /* as they went over the network */
};

struct timeline_event {
    enum timeline_step step;
    uint64_t wall_ns, monotonic_ns;
    uint64_t uid;
    char server[NAME_MAX_BYTES + 1];
    char detail[TIMELINE_DETAIL_BYTES];
    struct timeline_rows rows;
};

struct timeline {
    struct timeline_event events[TIMELINE_EVENTS];
    uint64_t n; /* ever added */
};

/* detail may be NULL. */
void timeline_add(struct timeline *timeline, enum timeline_step step, uint64_t uid,
                  const char *server, const char *detail);
/* The same with rows. */
void timeline_add_rows(struct timeline *timeline, enum timeline_step step, uint64_t uid,
                       const char *server, const char *detail, const struct timeline_rows *rows);
/* An array, oldest first:
 *
 *     {"at":ISO,"monotonic_ns":…,"step":"detected","server":…,"uid":…,"detail":…}
 *
 * and of rows "rows", "copied_rows", "copied_bytes". For cJSON_Delete(). */
cJSON *timeline_json(const struct timeline *timeline);

#endif
