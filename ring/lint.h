/* Is this configuration bad, and why: what a careful person would object to in a placement, with
 * the figures that say so. */
#ifndef QUOIT_RING_LINT_H
#define QUOIT_RING_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "ring/state.h"

enum ring_level {
    RING_NOTE, /* a property to know of */
    RING_WARN, /* will hurt under load or when a server dies */
    RING_ERROR /* cannot work */
};

#define RING_MAX_FINDINGS 24u

struct ring_finding {
    enum ring_level level;
    const char *about; /* one of "impossible", "hot slots", "balance", "names", "too few points",
                          "collisions", "heap", "absorber", "moves", "history", "room" */
    char *says;
};

struct ring_lint {
    struct ring_finding at[RING_MAX_FINDINGS];
    size_t n;
};

/* Over all request ids. Never fails: what cannot be built is a finding. Pair with
 * ring_lint_done(). */
void ring_lint_run(const struct ring_setup *setup, const struct ring_members *members,
                   struct ring_lint *ret_lint);
void ring_lint_done(struct ring_lint *lint);
enum ring_level ring_lint_worst(const struct ring_lint *lint);
const char *ring_level_name(enum ring_level level);

#endif
