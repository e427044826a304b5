/* The course of a sample: what was done to its cluster, what the cluster made of it, and how many
 * requests were answered all the while, on one clock (CLOCK_MONOTONIC).
 *
 *   runner        kill ●
 *   LB's timeline      detected ● out ● spawned ● listens ●  (copied ●)  serving ●
 *   load          |  842  |  840  |  611  |  845  |  843  |  answers in buckets of 50 ms
 *                    0.4     0.4     9.1     0.5     0.4     and how long the longest took, ms
 *
 * In a cluster with a database a new server has its shards' rows, equal to those of their source by
 * count and checksum, before it serves: copied. */
#ifndef QUOIT_EXPERIMENTS_COURSE_H
#define QUOIT_EXPERIMENTS_COURSE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/name.h"
#include "experiments/child.h"
#include "experiments/events.h"

#define COURSE_BUCKET_MS 50
#define COURSE_MAX_BUCKETS 20000

/* What follows an event. Names and applicability: course_steps[]. */
enum course_step {
    STEP_DETECTED, /* the load balancer knows of the failure */
    STEP_OUT,      /* no worker routes to the server any more */
    STEP_DRAINED,  /* nothing is under way to it */
    STEP_EXITED,   /* its process has ended */
    STEP_SPAWNED,  /* a server was asked for: the replacement, or the one added */
    STEP_LISTENS,  /* it says where */
    STEP_COPIED,   /* it has all rows of its shards */
    STEP_SERVING,  /* it is in the placement */
    STEP_ANSWERED, /* /add or /rm was answered */
    COURSE_N_STEPS
};

struct course_step_info {
    const char *name;
    const char *help;
    unsigned actions; /* bits 1 << enum event_action of the events it follows */
    enum {
        NEVER_REQUIRED,
        ALWAYS_REQUIRED,   /* an event without it has failed */
        DATABASE_REQUIRED, /* the same where the cluster has shards */
    } required;
};

extern const struct course_step_info course_steps[COURSE_N_STEPS];

static inline bool course_step_follows(enum course_step step, enum event_action action)
{
    return course_steps[step].actions & 1u << action;
}

struct course_event {
    uint64_t monotonic_ns; /* right before the signal or call */
    uint64_t answered_ns;  /* of a call: its answer is there; else 0 */
    uint64_t uid;          /* of the server that got a signal; else 0 */
    char server[NAME_MAX_BYTES + 1];
    double step_ms[COURSE_N_STEPS]; /* since the event; NaN: never, or does not follow */
    double n_failed, n_retried;     /* requests from this event to the next, or the end */
    double n_failed_writes;         /* those of n_failed that were to change rows */
    /* With STEP_COPIED: rows that the new server had then, and what of it was sent to it. */
    double n_rows, n_copied_rows, n_copied_bytes;
};

struct course {
    uint64_t started_ns; /* when the load began */
    uint64_t begin_ns;   /* of the first bucket, at most one bucket before that */
    double *ok;          /* answers of every bucket */
    double *failed;
    double *writes_ok; /* those of requests that change rows */
    double *writes_failed;
    double *p50_ms; /* latency of the answers of every bucket; NaN where there is none */
    double *max_ms;
    size_t n_buckets;
    bool has_writes; /* the load told them apart; else the two above are 0 */
    struct course_event events[EVENTS_MAX];
    size_t n_events;
    double n_retried; /* in the whole sample */
};

struct course *course_new(void);
/* Takes NULL. */
void course_free(struct course *course);

struct course_config {
    const struct event_list *events;
    const struct child *lb; /* whose descendants alone get signals */
    const char *address;    /* of the load balancer */
    uint64_t seed;          /* of random targets */
    int ready_fd;           /* can be read once the load has begun, or ended; -1: it has */
};

/* Waits until the load has begun; does the events at their times while it runs; waits for the
 * load's end, at most timeout_ns; then asks the load balancer for its timeline and fills the
 * events' steps. 0; -EINTR; -ETIMEDOUT; else a negative errno with the reason. */
int course_run(struct course *course, const struct course_config *config, struct child *load,
               uint64_t timeout_ns, struct err *err);
/* Fills the buckets from the text that `quoit load --timeline` wrote, and then the events' failed
 * requests. 0, or -EINVAL naming the line. */
int course_parse_buckets(struct course *course, const char *text, size_t n, struct err *err);
/* Fills the steps of the events from the array "events" of GET /cluster. 0 or -EINVAL. */
int course_merge(struct course *course, const struct event_list *events, const cJSON *timeline,
                 struct err *err);

#endif
