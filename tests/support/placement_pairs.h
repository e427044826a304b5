/* Contract tests run over every placement with every hash. The pairs, the macro that says which
 * pair broke a claim, and the keys and ids that such tests take. */
#ifndef QUOIT_TESTS_SUPPORT_PLACEMENT_PAIRS_H
#define QUOIT_TESTS_SUPPORT_PLACEMENT_PAIRS_H

#include "tests/support/placement_fixture.h"

#define PLACEMENT_PAIRS_MAX 128

/* Says which pair broke the claim. The fixture's name is `fixture`; <cmocka.h> comes first. */
#define CLAIM(holds)                                                                               \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s over %s: not so: %s", fixture->spec.part->name,                           \
                     fixture->hashes.request.part->name, #holds);                                  \
    } while (0)

/* All parts of a family; returns how many. */
size_t placement_pairs_list(const struct family *family,
                            const struct part *ret_parts[PLACEMENT_PAIRS_MAX]);
/* Runs a check over every pair. */
void each_pair(void (*check)(const struct placement_fixture *fixture));
const struct placement_ops *ops_of(const struct placement_fixture *fixture);

/* Half request ids, half from the whole range, and the two ends. */
uint64_t key_number(unsigned i);
/* n distinct ids, the same for the same n. */
void fill_ids(uint64_t *ids, size_t n);
/* Balance can be asked of a placement only under a hash that mixes: flipping an input bit flips
 * each output bit about every second time. */
bool hash_mixes(struct hash hash);

#endif
