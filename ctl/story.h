/* What happened to the cluster, told life by life: the timeline of GET /cluster put together into
 * sentences with times. */
#ifndef QUOIT_CTL_STORY_H
#define QUOIT_CTL_STORY_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/style.h"
#include "ctl/cluster.h"

enum story_kind {
    STORY_STARTED, /* a new server */
    STORY_ADOPTED, /* a server of an earlier life of the LB was found again */
    STORY_LOST,    /* one ended or hung unasked */
    STORY_REMOVED, /* one was taken out in order */
    STORY_FAILED,  /* one could not be started */
};

/* Every time is on the LB's monotonic clock; 0 = it has not happened, or was forgotten. Texts are
 * borrowed from the cluster. */
struct story {
    enum story_kind kind;
    const char *server;
    const char *at;    /* when it began, ISO 8601 */
    const char *cause; /* of a loss or failure, may be NULL */
    uint64_t uid;
    uint64_t began_ns;                /* LOST: when it was killed on request, or was detected */
    uint64_t detected_ns;             /* LOST, FAILED: it was known */
    uint64_t out_ns;                  /* LOST: no worker routes to it any more */
    uint64_t serving_ns;              /* STARTED, ADOPTED: it serves */
    uint64_t drained_ns, exited_ns;   /* REMOVED */
    const char *replacement;          /* LOST, FAILED: what was started for it, may be NULL */
    uint64_t spawned_ns, replaced_ns; /* when it was asked for, and when it serves */
};

/* In the order of their beginnings, into a new array for free(). Returns how many. A replacement's
 * own start is told with the loss and not once more. */
size_t stories_make(const struct cluster *cluster, struct story **ret_stories);
/* Appends it as indented lines. */
void story_print(const struct story *story, const struct style *style, uint64_t now_wall_ns,
                 struct buf *out);

#endif
