/* What libketama's own test prints of a key, for ours against its digest. */
#ifndef QUOIT_BACKENDS_PLACEMENT_KETAMA_H
#define QUOIT_BACKENDS_PLACEMENT_KETAMA_H

#include "backends/placement.h"

/* The 32-bit hash of the key's digits, and the 32-bit point that owns it, in a ketama placement
 * with key=text and at least one point. */
void ketama_trace(const struct placement *placement, uint64_t key, uint32_t *ret_hash,
                  uint32_t *ret_point);

#endif
