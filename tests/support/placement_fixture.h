/* A placement over a hash, from the texts a command line would have. What cannot be made fails the
 * test. */
#ifndef QUOIT_TESTS_SUPPORT_PLACEMENT_FIXTURE_H
#define QUOIT_TESTS_SUPPORT_PLACEMENT_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"

struct placement_fixture {
    struct spec spec;
    struct hash_choice hashes;
};

void placement_fixture_open(struct placement_fixture *fixture, const char *placement,
                            const char *hash);
void placement_fixture_close(struct placement_fixture *fixture);
/* Members of weight 1 with these ids, named S1, S2 … after them. */
struct placement *placement_fixture_build(const struct placement_fixture *fixture,
                                          const uint64_t *ids, size_t n);
/* ids of its own, 1 … n. */
struct placement *placement_fixture_build_n(const struct placement_fixture *fixture, size_t n);
/* The same with weights, under another request hash (NULL ops: the fixture's). */
int placement_fixture_try(const struct placement_fixture *fixture, const uint64_t *ids,
                          const uint32_t *weights, size_t n, struct hash request,
                          struct placement **ret_placement, struct err *err);

/* A request hash that is no hash: key → key, so that a test can choose where a request falls. Not
 * registered. */
extern const struct hash_ops identity_hash;

/* n distinct ids below `bound`, drawn with the seed. */
void draw_ids(uint64_t seed, uint64_t bound, uint64_t *ids, size_t n);

#endif
