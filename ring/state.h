/* A placement and the members it was built of, and what becomes of them when members come and go.
 *
 * Changes are made as a load balancer makes them: by the placement's own `add` and `remove` where
 * it has them, else by building anew. Each makes a new state; the old one stays. */
#ifndef QUOIT_RING_STATE_H
#define QUOIT_RING_STATE_H

#include "backends/hash.h"
#include "backends/placement.h"
#include "ring/members.h"

/* What a placement is made with. Not to be moved in memory once parsed. */
struct ring_setup {
    char *placement, *hash; /* as they were given */
    struct spec spec;
    struct hash_choice hashes, even;
    struct hash_pair pair; /* what builds are given */
};

/* 0 or -EINVAL with the reason. Pair with ring_setup_done(). */
int ring_setup_parse(struct ring_setup *setup, const char *placement, const char *hash,
                     struct err *err);
/* Takes a zeroed one. */
void ring_setup_done(struct ring_setup *setup);
/* Requests are hashed by splitmix64 from now on, which is as good as perfect: what is left is the
 * server hash and the placement. */
void ring_setup_even_requests(struct ring_setup *setup);
static inline const struct placement_ops *ring_setup_ops(const struct ring_setup *setup)
{
    return (const struct placement_ops *)setup->spec.part;
}
/* The value of a number among the placement's options ("virtual"), 0 where it has none such. */
uint64_t ring_setup_option(const struct ring_setup *setup, const char *name);

/* Where on the placement's circle a key falls, in [0, 1); NaN where it has none, or hashes keys
 * itself. */
double ring_setup_position(const struct ring_setup *setup, uint64_t key);

struct ring_state {
    struct ring_members members;
    struct placement *placement;
};

/* Copies the members. 0 or -EINVAL with the placement's reason. Pair with ring_state_done(). */
int ring_state_build(const struct ring_setup *setup, const struct ring_members *members,
                     struct ring_state *ret_state, struct err *err);
/* state less its member `index`, or with one more, behind the others. */
int ring_state_without(const struct ring_setup *setup, const struct ring_state *state, size_t index,
                       struct ring_state *ret_state, struct err *err);
int ring_state_with(const struct ring_setup *setup, const struct ring_state *state, uint64_t id,
                    uint32_t weight, struct ring_state *ret_state, struct err *err);
/* Takes a zeroed one. */
void ring_state_done(struct ring_state *state);

#endif
