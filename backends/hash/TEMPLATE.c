/* TEMPLATE: copy to backends/hash/NAME.c, rename, fill in. Nothing else needs to be edited: the
 * Makefile finds the file, the macro at its end puts it in the registry, and the contract suites
 * (tests/contract/hash_contract_test.c, and placement_contract_test.c with every placement) run
 * over it. This file is compiled with the rest but never linked.
 *
 * Start the comment with what the hash is, where it is from, and what it is good or bad at. */
#include "backends/hash.h"

/* Options: one field each, filled by the table below before any hook is called. Without options
 * leave out the struct, the table, and .options and .params_size; params is then NULL. */
struct template_params {
    uint64_t seed;
};

static const struct option_def template_options[] = {
    {.name = "seed", /* as in --hash template:seed=7 */
     .type = OPTION_U64,
     .offset = offsetof(struct template_params, seed),
     .metavar = "N",
     .fallback = "0",
     .help = "added to the caller's seed"},
    {.name = NULL},
};

/* Optional hook `bytes`: n bytes (n may be 0, bytes need not be aligned) and a seed to 64 bits.
 * Every hook is pure: no state but params, no allocation, no lock, callable from any thread. The
 * same arguments give the same number on every machine: read words as little-endian. A hash of
 * fewer bits must spread them over all 64, since the ring looks at the top and the slots at the
 * bottom. The example is FNV-1a (Fowler, Noll, Vo). */
static uint64_t template_bytes(const void *params, const void *bytes, size_t n, uint64_t seed)
{
    const struct template_params *p = params;
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (p->seed + seed);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Required hooks `key` (where a request falls) and `point` (where virtual node j of a member
 * stands). This macro makes both from template_bytes; a hash of numbers defines template_key and
 * template_point itself and leaves .bytes NULL. Not here: `form`, for a hash of numbers that is one
 * of the closed forms of backends/hash.h and so short that a call would cost more. */
HASH_FROM_BYTES(template)

static const struct hash_ops template_hash = {
    .part = {.name = "template",
             .summary = "one line for --help and `quoit ring list`",
             .source = "the paper or specification it follows",
             .options = template_options,
             .params_size = sizeof(struct template_params)},
    .key = template_key,
    .point = template_point,
    .bytes = template_bytes,
};

HASH_REGISTER(template_hash);
