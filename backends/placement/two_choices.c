/* two-choices: the power of two random choices (Azar et al. 1994, Mitzenmacher 1996). A key has d
 * candidates, drawn by its hash; lookup names the first, lookup_loaded the least loaded of them,
 * ties to the earlier. With d = 2 and keys placed once, the fullest of N members has ln ln N / ln 2
 * above the mean instead of ln N / ln ln N; queues at load λ have i waiting with λ^(2^i − 1).
 *
 * A key can be at any of its candidates, so whoever looks for data must ask all: lookup_n gives the
 * candidates first. Candidates are drawn from N numbered members, so a change of N moves nearly
 * every key, as with modulo: for work, not for data. */
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"
#include "core/rng.h"

#define MAX_CHOICES 8u

struct choices_params {
    uint64_t n_choices;
};

static const struct option_def choices_options[] = {
    {.name = "choices",
     .type = OPTION_U64,
     .offset = offsetof(struct choices_params, n_choices),
     .metavar = "D",
     .fallback = "2",
     .min = 1,
     .max = MAX_CHOICES,
     .help = "candidates of a key"},
    {.name = NULL},
};

struct choices {
    struct placement base;
    uint32_t n_choices; /* ≤ members */
    uint32_t *order;    /* members in ascending order of id */
};

static int choices_build(const void *params, const struct placement_member *members, size_t n,
                         const struct hash_pair *hashes, struct placement **ret_placement,
                         struct err *err)
{
    (void)hashes;
    (void)err;
    const struct choices_params *p = params;
    struct choices *choices = mem_zalloc(1, sizeof(*choices));
    choices->n_choices = (uint32_t)(p->n_choices < n ? p->n_choices : n);
    choices->order = placement_sort_members(members, n);
    *ret_placement = &choices->base;
    return 0;
}

static void choices_free(struct placement *placement)
{
    struct choices *choices = (struct choices *)placement;
    free(choices->order);
    free(choices);
}

static inline uint32_t draw_below(uint64_t hash, uint32_t n)
{
    return (uint32_t)(((unsigned __int128)hash * n) >> 64);
}

static uint32_t first_choice(const struct placement *placement, uint64_t hash)
{
    const struct choices *choices = (const struct choices *)placement;
    return choices->order[draw_below(rng_mix64(hash), placement->n_members)];
}

static uint32_t choices_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return first_choice(placement, hash_key(placement->hashes.request, key));
}

/* n distinct candidates, n ≤ MAX_CHOICES and ≤ members. The i-th is drawn from those not drawn yet:
 * from N − i numbers, each drawn one at or below it moving it up. */
static void draw_candidates(const struct placement *placement, uint64_t hash, uint32_t n,
                            uint32_t *out)
{
    const struct choices *choices = (const struct choices *)placement;
    uint32_t ascending[MAX_CHOICES];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t rank = draw_below(rng_mix64(hash + i), placement->n_members - i);
        uint32_t at = 0;
        while (at < i && ascending[at] <= rank) {
            rank++;
            at++;
        }
        for (uint32_t j = i; j > at; j--)
            ascending[j] = ascending[j - 1];
        ascending[at] = rank;
        out[i] = choices->order[rank];
    }
}

static uint32_t choices_lookup_loaded(const struct placement *placement, uint64_t key,
                                      const struct placement_loads *loads)
{
    const struct choices *choices = (const struct choices *)placement;
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    uint32_t candidates[MAX_CHOICES];
    draw_candidates(placement, hash_key(placement->hashes.request, key), choices->n_choices,
                    candidates);
    uint32_t best = candidates[0];
    for (uint32_t i = 1; i < choices->n_choices; i++)
        if (loads->of[candidates[i]] < loads->of[best])
            best = candidates[i];
    return best;
}

/* The candidates, then others by draws from salted hashes. */
static size_t choices_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                               uint32_t *out)
{
    const struct choices *choices = (const struct choices *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;
    uint32_t candidates[MAX_CHOICES];
    uint64_t hash = hash_key(placement->hashes.request, key);
    draw_candidates(placement, hash, choices->n_choices, candidates);
    for (uint32_t i = 0; i < choices->n_choices && !distinct_full(&distinct); i++)
        distinct_add(&distinct, candidates[i]);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash, choices->order, first_choice);
    return distinct.n;
}

static size_t choices_bytes(const struct placement *placement)
{
    return sizeof(struct choices) + placement->n_members * sizeof(uint32_t);
}

static const struct placement_ops choices_placement = {
    .part = {.name = "two-choices",
             .summary = "the less loaded of two members that the key's hash draws",
             .source = "Mitzenmacher: The Power of Two Choices in Randomized Load Balancing (1996)",
             .options = choices_options,
             .params_size = sizeof(struct choices_params)},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_DRAWN | PLACEMENT_LOAD_AWARE,
    .build = choices_build,
    .free = choices_free,
    .lookup = choices_lookup,
    .lookup_n = choices_lookup_n,
    .lookup_loaded = choices_lookup_loaded,
    .bytes = choices_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(choices_placement);
