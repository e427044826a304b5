#include "ring/state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

int ring_setup_parse(struct ring_setup *setup, const char *placement, const char *hash,
                     struct err *err)
{
    memset(setup, 0, sizeof(*setup));
    int rc = spec_parse(&placement_family, placement, &setup->spec, err);
    if (rc == 0)
        rc = hash_choice_parse(hash, &setup->hashes, err);
    if (rc != 0) {
        ring_setup_done(setup);
        return rc;
    }
    setup->placement = mem_strdup(placement);
    setup->hash = mem_strdup(hash);
    setup->pair = setup->hashes.pair;
    return 0;
}

void ring_setup_done(struct ring_setup *setup)
{
    spec_done(&setup->spec);
    hash_choice_done(&setup->hashes);
    hash_choice_done(&setup->even);
    free(setup->placement);
    free(setup->hash);
    memset(setup, 0, sizeof(*setup));
}

void ring_setup_even_requests(struct ring_setup *setup)
{
    if (setup->even.pair.request.ops)
        return;
    int rc = hash_choice_parse("splitmix64", &setup->even, NULL);
    assert(rc == 0);
    setup->pair.request = setup->even.pair.request;
}

uint64_t ring_setup_option(const struct ring_setup *setup, const char *name)
{
    const struct option_def *def = setup->spec.part->options;
    if (def)
        def = option_find(def, name, strlen(name));
    if (!def || def->type != OPTION_U64)
        return 0;
    uint64_t value;
    memcpy(&value, (const char *)setup->spec.params + def->offset, sizeof(value));
    return value;
}

double ring_setup_position(const struct ring_setup *setup, uint64_t key)
{
    const struct placement_ops *ops = ring_setup_ops(setup);
    if (!ops->owner_at || (ops->caps & PLACEMENT_OWN_KEY_HASH))
        return NAN;
    uint64_t hash = hash_key(setup->pair.request, key);
    uint64_t n_slots = ring_setup_option(setup, "slots");
    if (n_slots) /* its middle: no rounding leads to another one */
        return ((double)(hash % n_slots) + 0.5) / (double)n_slots;
    return ldexp((double)(hash >> 11), -53);
}

int ring_state_build(const struct ring_setup *setup, const struct ring_members *members,
                     struct ring_state *ret_state, struct err *err)
{
    struct ring_state state = {0};
    ring_members_copy(&state.members, members);
    int rc = placement_build(&setup->spec, state.members.at, members->n, &setup->pair,
                             &state.placement, err);
    if (rc != 0)
        ring_members_done(&state.members);
    else
        *ret_state = state;
    return rc;
}

int ring_state_without(const struct ring_setup *setup, const struct ring_state *state, size_t index,
                       struct ring_state *ret_state, struct err *err)
{
    struct ring_state after = {0};
    ring_members_copy(&after.members, &state->members);
    ring_members_remove(&after.members, index);
    /* Names count for some, and placement_remove() does not know them. */
    int rc = state->placement->ops->remove
                 ? placement_remove(&setup->spec, state->placement, (uint32_t)index,
                                    &after.placement, err)
                 : placement_build(&setup->spec, after.members.at, after.members.n, &setup->pair,
                                   &after.placement, err);
    if (rc != 0)
        ring_members_done(&after.members);
    else
        *ret_state = after;
    return rc;
}

int ring_state_with(const struct ring_setup *setup, const struct ring_state *state, uint64_t id,
                    uint32_t weight, struct ring_state *ret_state, struct err *err)
{
    struct ring_state after = {0};
    ring_members_copy(&after.members, &state->members);
    ring_members_append(&after.members, id, weight);
    int rc = state->placement->ops->add
                 ? placement_add(&setup->spec, state->placement,
                                 &after.members.at[after.members.n - 1], &after.placement, err)
                 : placement_build(&setup->spec, after.members.at, after.members.n, &setup->pair,
                                   &after.placement, err);
    if (rc != 0)
        ring_members_done(&after.members);
    else
        *ret_state = after;
    return rc;
}

void ring_state_done(struct ring_state *state)
{
    ring_members_done(&state->members);
    placement_free(state->placement);
    memset(state, 0, sizeof(*state));
}
