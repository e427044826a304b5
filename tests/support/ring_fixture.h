/* Setups of ring/ with placements that can be followed by hand. */
#ifndef QUOIT_TESTS_SUPPORT_RING_FIXTURE_H
#define QUOIT_TESTS_SUPPORT_RING_FIXTURE_H

#include "ring/state.h"
#include "ring/view.h"

struct ring_fixture {
    struct ring_setup setup;
    struct ring_state state;
    struct ring_keys keys;
};

/* ids: "1,3,7". hash NULL: keys and points are their own numbers. What cannot be made fails the
 * test. All request ids, or the hash space with n_sampled keys where it cannot be enumerated. */
void ring_fixture_open(struct ring_fixture *fixture, const char *placement, const char *hash,
                       const char *ids, enum ring_over over, uint64_t n_sampled);
void ring_fixture_close(struct ring_fixture *fixture);

/* Eight slots and a point a server: 1 has the slots 0 and 1, 3 has 2 and 3, 7 has 4 to 7. */
#define RING_FIXTURE_SLOTS "slots:slots=8,virtual=1"
#define RING_FIXTURE_IDS "1,3,7"

#endif
