/* What is done to the cluster while it is under load: the [events] of an experiment.
 *
 *     [events]
 *     at 1s    = kill Server1     SIGKILL to its process
 *     at 2.5s  = stop random      SIGSTOP: it hangs, and keeps its connections
 *     at 3s    = cont last        SIGCONT to the one stopped last
 *     at 4s    = rm 1             DELETE /rm of so many, or of the one named
 *     at 5s    = add 1            POST /add, likewise
 *     at 1s every 400ms times 10 = kill random
 *
 * Times count from the start of the load. */
#ifndef QUOIT_EXPERIMENTS_EVENTS_H
#define QUOIT_EXPERIMENTS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"

#define EVENTS_MAX 64

enum event_action { EVENT_KILL, EVENT_STOP, EVENT_CONT, EVENT_RM, EVENT_ADD };

struct event {
    uint64_t at_ns;
    enum event_action action;
    const char *target; /* a server's name, "random" or "last"; NULL: n of them */
    uint64_t n;         /* servers concerned; 1 with a target */
    const char *label;  /* "SIGKILL Server1", "/rm 1": what figures and tables call it */
};

struct event_list {
    struct event at[EVENTS_MAX]; /* by time */
    size_t n;
};

/* Adds what one line of the section says, in the order of time; texts go to the arena. 0 or -EINVAL
 * naming what is wrong with the line. */
int events_add(struct event_list *list, struct arena *arena, const char *when, const char *what,
               struct err *err);
/* "kill", "stop" … */
const char *event_action_name(enum event_action action);

#endif
