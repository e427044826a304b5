/* TEMPLATE: copy to backends/placement/NAME.c, rename, fill in. Nothing else needs to be edited:
 * the Makefile finds the file, the macro at its end puts it in the registry, `--placement NAME` and
 * `quoit ring` know it, and tests/contract/placement_contract_test.c runs over it with every hash.
 * This file is compiled with the rest but never linked.
 *
 * Start the comment with what the algorithm is, where it is from, a picture of its structure, and
 * what it is good or bad at. The example cuts the hash space into N equal ranges. */
#include <stdlib.h>

#include "backends/placement.h"
#include "core/mem.h"

/* Options: one field each, filled by the table below before any hook is called. Without options
 * leave out the struct, the table, and .options and .params_size; params is then NULL. */
struct template_params {
    uint64_t offset;
};

static const struct option_def template_options[] = {
    {.name = "offset", /* as in --placement template:offset=7 */
     .type = OPTION_U64,
     .offset = offsetof(struct template_params, offset),
     .metavar = "N",
     .fallback = "0",
     .help = "added to every hash: turns the circle"},
    {.name = NULL},
};

struct template
{
    struct placement base; /* must be first; placement_build() fills it after the build hook */
    uint64_t offset;       /* params do not outlive the build: copy what lookup needs */
    uint32_t *order;       /* members in ascending order of id */
};

/* Required hook. The members were checked: distinct ids, weights ≥ 1 and all equal unless the part
 * is PLACEMENT_WEIGHTED, at most PLACEMENT_MAX_MEMBERS of them. n may be 0. Fails with -EINVAL and
 * a sentence that names the figures, owning nothing then. `hashes` may be used here and, as
 * base.hashes, in every other hook. */
static int template_build(const void *params, const struct placement_member *members, size_t n,
                          const struct hash_pair *hashes, struct placement **ret_placement,
                          struct err *err)
{
    (void)hashes;
    (void)err;
    const struct template_params *p = params;
    struct template *template = mem_zalloc(1, sizeof(*template));
    template->offset = p->offset;
    template->order = placement_sort_members(members, n);
    *ret_placement = &template->base;
    return 0;
}

/* Required hook. Gives back what build made. */
static void template_free(struct placement *placement)
{
    struct template *template = (struct template *)placement;
    free(template->order);
    free(template);
}

static size_t template_range(const struct placement *placement, uint64_t key)
{
    const struct template *template = (const struct template *)placement;
    uint64_t hash = hash_key(placement->hashes.request, key) + template->offset;
    return (size_t)(((unsigned __int128)hash * placement->n_members) >> 64);
}

/* Required hook. The index in build's array of the key's member; PLACEMENT_NONE without members.
 * Runs on every request, on several threads at once: no allocation, no lock, no writing (law 3). */
static uint32_t template_lookup(const struct placement *placement, uint64_t key)
{
    const struct template *template = (const struct template *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return template->order[template_range(placement, key)];
}

/* Required hook. Distinct members in order of preference, the first being lookup's: out[0 … n) of
 * the key's replicas. Returns min(n, members). The same laws; backends/distinct.h helps where a
 * walk meets a member more than once. */
static size_t template_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                uint32_t *out)
{
    const struct template *template = (const struct template *)placement;
    if (n > placement->n_members)
        n = placement->n_members;
    if (n == 0)
        return 0;
    size_t at = template_range(placement, key);
    for (size_t i = 0; i < n; i++)
        out[i] = template->order[(at + i) % placement->n_members];
    return n;
}

/* Required hook. Memory held, in bytes; what a comparison of placements shows. */
static size_t template_bytes(const struct placement *placement)
{
    return sizeof(struct template) + placement->n_members * sizeof(uint32_t);
}

/* Optional hook; set PLACEMENT_EXACT_SHARES with it. The share of the hash space that each member
 * owns, summing to 1. Leave NULL where the shares cannot be enumerated. */
static void template_shares(const struct placement *placement, double *shares)
{
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 1.0 / placement->n_members;
}

/* Optional hook. The coefficient of variation of the shares that the theory expects of n equal
 * members; the contract suite holds the shares to it. */
static double template_spread(const void *params, size_t n)
{
    (void)params;
    (void)n;
    return 0.0;
}

/* Optional hook. The member that owns the point `at`, in [0, 1), of the circle, for `quoit ctl
 * ring`. Leave NULL where there is no circle. */
static uint32_t template_owner_at(const struct placement *placement, double at)
{
    return (uint32_t)(at * placement->n_members);
}

/* Not here: the hooks `add` and `remove` for algorithms that change step by step (see dx.c; flags
 * PLACEMENT_INCREMENTAL and, when the way there matters, PLACEMENT_HISTORY), `arcs` for those whose
 * pieces of the hash space stay (see maglev.c; this one's do not), `lookup_hashes` for lookups of
 * many keys that a loop makes faster (see slots.c), and `lookup_loaded` for those that mind load
 * (see bounded.c; PLACEMENT_LOAD_AWARE). backends/placement.h has the
 * contracts, and shares and spread hooks ready-made for algorithms that are even by themselves. */
static const struct placement_ops template_placement = {
    .part = {.name = "template",
             .summary = "one line for --help and `quoit ring list`",
             .source = "the paper or section it follows",
             .options = template_options,
             .params_size = sizeof(struct template_params)},
    /* Claim only what holds for every key, every hash and every set of members: the contract suite
     * tests each claim. This one moves keys of members that stay, so no PLACEMENT_MINIMAL_MOVES. */
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES,
    .build = template_build,
    .free = template_free,
    .lookup = template_lookup,
    .lookup_n = template_lookup_n,
    .bytes = template_bytes,
    .shares = template_shares,
    .owner_at = template_owner_at,
    .spread = template_spread,
};

PLACEMENT_REGISTER(template_placement);
