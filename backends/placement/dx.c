/* dx: DxHash (Dong and Wang 2021). An array of slots, a power of two, some of them with a member.
 * The key's hash seeds a sequence of slot numbers, and the first that has a member is the key's. A
 * member that goes leaves its slot empty, and its keys alone go on in their sequences.
 *
 * capacity / members draws are expected, so it wants an array that is not much too large. After 8
 * draws a slot the search gives up and takes the first member there is. A member that comes gets
 * the first empty slot; built anew, the members have the slots 0, 1, … in ascending order of id. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/placement.h"
#include "core/mem.h"
#include "core/rng.h"

#define DRAWS_PER_SLOT 8u
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

struct dx_params {
    uint64_t capacity;
};

static const struct option_def dx_options[] = {
    {.name = "capacity",
     .type = OPTION_U64,
     .offset = offsetof(struct dx_params, capacity),
     .metavar = "A",
     .fallback = "256",
     .min = 2,
     .max = PLACEMENT_MAX_MEMBERS,
     .help = "the most members there can ever be; rounded up to a power of two"},
    {.name = NULL},
};

struct dx {
    struct placement base;
    uint32_t capacity; /* a power of two */
    unsigned shift;    /* draw >> shift is a slot */
    uint32_t *slots;   /* members, PLACEMENT_NONE where there is none */
    uint32_t *by_id;   /* members, for replicas beyond what draws give */
};

static int check_room(uint32_t capacity, size_t n, struct err *err)
{
    if (n <= capacity)
        return 0;
    return err_set(err, -EINVAL,
                   "dx: %zu members are more than the capacity of %" PRIu32
                   "; say --placement dx:capacity=N",
                   n, capacity);
}

static struct dx *dx_new(uint32_t capacity, const struct placement_member *members, size_t n)
{
    struct dx *dx = mem_zalloc(1, sizeof(*dx));
    dx->capacity = capacity;
    dx->shift = 64 - (unsigned)__builtin_ctz(capacity);
    dx->slots = mem_zalloc(capacity, sizeof(*dx->slots));
    dx->by_id = placement_sort_members(members, n);
    return dx;
}

static int dx_build(const void *params, const struct placement_member *members, size_t n,
                    const struct hash_pair *hashes, struct placement **ret_placement,
                    struct err *err)
{
    (void)hashes;
    const struct dx_params *p = params;
    uint32_t capacity = 2;
    while (capacity < p->capacity)
        capacity *= 2;
    int rc = check_room(capacity, n, err);
    if (rc != 0)
        return rc;
    struct dx *dx = dx_new(capacity, members, n);
    for (uint32_t slot = 0; slot < capacity; slot++)
        dx->slots[slot] = slot < n ? dx->by_id[slot] : PLACEMENT_NONE;
    *ret_placement = &dx->base;
    return 0;
}

static int dx_add(const struct placement *placement, const struct placement_member *members,
                  size_t n, struct placement **ret_placement, struct err *err)
{
    const struct dx *old = (const struct dx *)placement;
    int rc = check_room(old->capacity, n, err);
    if (rc != 0)
        return rc;
    struct dx *dx = dx_new(old->capacity, members, n);
    memcpy(dx->slots, old->slots, dx->capacity * sizeof(*dx->slots));
    uint32_t slot = 0;
    while (dx->slots[slot] != PLACEMENT_NONE)
        slot++;
    dx->slots[slot] = (uint32_t)n - 1;
    *ret_placement = &dx->base;
    return 0;
}

static int dx_remove(const struct placement *placement, const struct placement_member *members,
                     size_t n, uint32_t index, struct placement **ret_placement, struct err *err)
{
    (void)err;
    const struct dx *old = (const struct dx *)placement;
    struct dx *dx = dx_new(old->capacity, members, n);
    for (uint32_t slot = 0; slot < dx->capacity; slot++) {
        uint32_t member = old->slots[slot];
        if (member == index)
            member = PLACEMENT_NONE;
        else if (member != PLACEMENT_NONE && member > index)
            member--;
        dx->slots[slot] = member;
    }
    *ret_placement = &dx->base;
    return 0;
}

static void dx_free(struct placement *placement)
{
    struct dx *dx = (struct dx *)placement;
    free(dx->slots);
    free(dx->by_id);
    free(dx);
}

static uint32_t dx_draw(const struct placement *placement, uint64_t hash)
{
    const struct dx *dx = (const struct dx *)placement;
    uint64_t seed =
        rng_mix64(hash); /* so that no key's sequence is another's from a later draw on */
    for (uint32_t i = 0; i < DRAWS_PER_SLOT * dx->capacity; i++) {
        uint32_t member = dx->slots[rng_mix64(seed + i * GOLDEN) >> dx->shift];
        if (member != PLACEMENT_NONE)
            return member;
    }
    uint32_t slot = 0;
    while (dx->slots[slot] == PLACEMENT_NONE)
        slot++;
    return dx->slots[slot];
}

static uint32_t dx_lookup(const struct placement *placement, uint64_t key)
{
    if (placement->n_members == 0)
        return PLACEMENT_NONE;
    return dx_draw(placement, hash_key(placement->hashes.request, key));
}

/* The paper's own way, going on in the sequence, would be as good; salted hashes do not get longer
 * with it. */
static size_t dx_lookup_n(const struct placement *placement, uint64_t key, size_t n, uint32_t *out)
{
    const struct dx *dx = (const struct dx *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (!distinct_full(&distinct))
        distinct_draw(&distinct, placement, hash_key(placement->hashes.request, key), dx->by_id,
                      dx_draw);
    return distinct.n;
}

static size_t dx_bytes(const struct placement *placement)
{
    const struct dx *dx = (const struct dx *)placement;
    return sizeof(*dx) + (dx->capacity + placement->n_members) * sizeof(uint32_t);
}

/* The chance of the first member to be taken for want of draws, e^(−8 · members) at most, aside. */
static const struct placement_ops dx_placement = {
    .part = {.name = "dx",
             .summary = "DxHash: the first occupied slot of a random sequence",
             .source = "Dong, Wang: DxHash: A Scalable Consistent Hash Based on the Pseudo-Random "
                       "Sequence (2021)",
             .options = dx_options,
             .params_size = sizeof(struct dx_params)},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES | PLACEMENT_MINIMAL_TAIL |
            PLACEMENT_DRAWN | PLACEMENT_INCREMENTAL | PLACEMENT_HISTORY,
    .build = dx_build,
    .add = dx_add,
    .remove = dx_remove,
    .free = dx_free,
    .lookup = dx_lookup,
    .lookup_n = dx_lookup_n,
    .bytes = dx_bytes,
    .shares = placement_shares_by_weight,
    .spread = placement_spread_none,
};

PLACEMENT_REGISTER(dx_placement);
