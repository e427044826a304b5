/* slots: the assignment's map (CONTRACT.md, Names, ids, hashing). M slots in a circle, K virtual
 * nodes a server, each put at its hash mod M or, when that is taken, where probing leads; a request
 * goes to the first occupied slot at or clockwise after its own.
 *
 *     slot    0   1   2   3   4   5   6   7          nodes  0: B   1: A   2: B
 *     node    .   .   B   .   A   B   .   .
 *     owner   B   B   B   A   A   B   B   B          lookup is one load
 *     next    0   0   0   1   1   2   0   0          where lookup_n's walk over the nodes begins
 *
 * Servers are inserted in ascending id, then ascending virtual node, so the order of the members
 * does not matter. Quadratic probing (h + t²) may miss free slots: after M attempts, when h + M² is
 * h again, it goes on linearly from h, so that every virtual node has its slot.
 *
 * Not PLACEMENT_MINIMAL_MOVES, and that is a finding: a node that was displaced by the removed
 * server's falls back to its own slot, or probes to another, and takes keys of third servers with
 * it. tests/unit/backends/placement/slots_test.c shows the cases of the assignment's own map. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/modulus.h"
#include "backends/placement.h"
#include "core/mem.h"

enum slots_probe { PROBE_LINEAR, PROBE_QUADRATIC };

struct slots_params {
    uint64_t n_slots;
    uint64_t n_virtual;
    int probe; /* enum slots_probe */
};

static const struct option_def slots_options[] = {
    {.name = "slots",
     .type = OPTION_U64,
     .offset = offsetof(struct slots_params, n_slots),
     .metavar = "M",
     .fallback = "512",
     .min = 1,
     .max = 1u << 20,
     .help = "slots in the circle"},
    {.name = "virtual",
     .type = OPTION_U64,
     .offset = offsetof(struct slots_params, n_virtual),
     .metavar = "K",
     .fallback = "9",
     .min = 1,
     .max = 1u << 20,
     .help = "virtual nodes a server"},
    {.name = "probe",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct slots_params, probe),
     .metavar = "HOW",
     .fallback = "linear",
     .choices = "linear|quadratic",
     .help = "where a virtual node goes whose slot is taken: h + t or h + t²"},
    {.name = NULL},
};

struct slots {
    struct placement base;
    uint64_t n_slots;
    uint64_t mask;          /* n_slots − 1 where that is a mask, else 0 */
    struct modulus modulus; /* of n_slots */
    uint32_t n_nodes;       /* occupied slots */
    uint32_t *nodes;        /* their members, in the order of the slots */
    uint32_t *owners;       /* of every slot, its member; PLACEMENT_NONE without members */
    uint32_t *next;         /* of every slot, the index in nodes that owns it */
};

/* The slot a virtual node with this hash gets; there is a free one. occupied: the member in each
 * slot or PLACEMENT_NONE. */
static uint64_t find_slot(const uint32_t *occupied, uint64_t n_slots, uint64_t hash, int probe)
{
    uint64_t home = hash % n_slots;
    if (probe == PROBE_QUADRATIC) {
        for (uint64_t t = 0; t < n_slots; t++) {
            uint64_t slot = (home + t * t) % n_slots;
            if (occupied[slot] == PLACEMENT_NONE)
                return slot;
        }
    }
    uint64_t slot = home;
    while (occupied[slot] != PLACEMENT_NONE)
        slot = slot + 1 == n_slots ? 0 : slot + 1;
    return slot;
}

/* From the occupied slots (in owners) to the three tables. */
static void fill_tables(struct slots *slots)
{
    for (uint64_t slot = 0; slot < slots->n_slots; slot++) {
        slots->next[slot] = slots->n_nodes; /* right where the slot is occupied */
        if (slots->owners[slot] != PLACEMENT_NONE)
            slots->nodes[slots->n_nodes++] = slots->owners[slot];
    }
    if (slots->n_nodes == 0)
        return;
    /* A free slot got the index of the first node after it; after the last that is the first. */
    for (uint64_t slot = 0; slot < slots->n_slots; slot++) {
        if (slots->next[slot] == slots->n_nodes)
            slots->next[slot] = 0;
        slots->owners[slot] = slots->nodes[slots->next[slot]];
    }
}

static int slots_build(const void *params, const struct placement_member *members, size_t n,
                       const struct hash_pair *hashes, struct placement **ret_placement,
                       struct err *err)
{
    const struct slots_params *p = params;
    assert(p->n_slots > 0); /* the option's minimum */
    uint64_t n_nodes = n * p->n_virtual;
    if (n_nodes > p->n_slots)
        return err_set(err, -EINVAL,
                       "slots: %zu servers with %" PRIu64 " virtual nodes each are %" PRIu64
                       ", more than the %" PRIu64 " slots",
                       n, p->n_virtual, n_nodes, p->n_slots);

    struct slots *slots = mem_zalloc(1, sizeof(*slots));
    slots->n_slots = p->n_slots;
    slots->mask = (p->n_slots & (p->n_slots - 1)) == 0 ? p->n_slots - 1 : 0;
    slots->modulus = modulus_of(p->n_slots);
    slots->nodes = mem_zalloc(n_nodes + 1, sizeof(*slots->nodes));
    slots->owners = mem_zalloc(p->n_slots, sizeof(*slots->owners));
    slots->next = mem_zalloc(p->n_slots, sizeof(*slots->next));
    for (uint64_t slot = 0; slot < p->n_slots; slot++)
        slots->owners[slot] = PLACEMENT_NONE;

    uint32_t *order = placement_sort_members(members, n);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t j = 0; j < p->n_virtual; j++) {
            uint64_t hash = hash_point(hashes->server, members[order[i]].id, j);
            slots->owners[find_slot(slots->owners, p->n_slots, hash, p->probe)] = order[i];
        }
    }
    free(order);
    fill_tables(slots);
    *ret_placement = &slots->base;
    return 0;
}

static void slots_free(struct placement *placement)
{
    struct slots *slots = (struct slots *)placement;
    free(slots->nodes);
    free(slots->owners);
    free(slots->next);
    free(slots);
}

static inline uint64_t slot_of(const struct slots *slots, uint64_t key)
{
    uint64_t hash = hash_key(slots->base.hashes.request, key);
    return slots->mask ? hash & slots->mask : modulus_rest(slots->modulus, hash);
}

static uint32_t slots_lookup(const struct placement *placement, uint64_t key)
{
    const struct slots *slots = (const struct slots *)placement;
    return slots->owners[slot_of(slots, key)];
}

static void slots_lookup_hashes(const struct placement *placement, const uint64_t *hashes, size_t n,
                                uint32_t *out)
{
    const struct slots *slots = (const struct slots *)placement;
    const uint32_t *owners = slots->owners;
    const struct modulus modulus = slots->modulus;
    const uint64_t mask = slots->mask;
    if (mask) {
        for (size_t i = 0; i < n; i++)
            out[i] = owners[hashes[i] & mask];
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = owners[modulus_rest(modulus, hashes[i])];
    }
}

/* Clockwise over the occupied slots: every member has one, so the walk ends within a round. */
static size_t slots_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                             uint32_t *out)
{
    const struct slots *slots = (const struct slots *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;
    uint32_t at = slots->next[slot_of(slots, key)];
    while (!distinct_full(&distinct)) {
        distinct_add(&distinct, slots->nodes[at]);
        at = at + 1 == slots->n_nodes ? 0 : at + 1;
    }
    return distinct.n;
}

static size_t slots_bytes(const struct placement *placement)
{
    const struct slots *slots = (const struct slots *)placement;
    return sizeof(*slots) + (slots->n_nodes + 1) * sizeof(*slots->nodes) +
           slots->n_slots * (sizeof(*slots->owners) + sizeof(*slots->next));
}

/* Owned slots over M. Where M does not divide 2^64 the first 2^64 mod M slots have one value of the
 * hash more than the others: less than the last bit of a double. */
static void slots_shares(const struct placement *placement, double *shares)
{
    const struct slots *slots = (const struct slots *)placement;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] = 0.0;
    if (placement->n_members == 0)
        return;
    for (uint64_t slot = 0; slot < slots->n_slots; slot++)
        shares[slots->owners[slot]] += 1.0;
    for (uint32_t i = 0; i < placement->n_members; i++)
        shares[i] /= (double)slots->n_slots;
}

static uint32_t slots_owner_at(const struct placement *placement, double at)
{
    const struct slots *slots = (const struct slots *)placement;
    return slots->owners[(uint64_t)(at * (double)slots->n_slots)];
}

static size_t slots_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct slots *slots = (const struct slots *)placement;
    for (uint64_t slot = 0; arcs && slot < slots->n_slots; slot++)
        arcs[slot] = (struct placement_arc){.end = (double)(slot + 1) / (double)slots->n_slots,
                                            .member = slots->owners[slot]};
    return slots->n_slots;
}

/* A node's arc is its own slot and the free ones before it. With α = NK/M slots taken, a free slot
 * follows another free one with probability q: 1 − α if NK distinct slots were drawn, e^−α under
 * linear probing, where a collision lengthens a cluster instead of shortening a gap (Knuth, vol. 3,
 * §6.4; the Poisson limit of parking functions). Free runs are geometric, a member has K nodes of
 * the NK without replacement, which gives
 *
 *     CoV² = (N − 1) / (NK + 1) · (1 − α) · (α (1 + q) / (1 − q) − (1 − α)),
 *
 * the ring's variance at α → 0. Within 4 % of simulation up to α = 0.4, for quadratic probing too;
 * fuller maps spread up to 6 % more with linear probing, and with quadratic up to a third less.
 *
 * That is chance, which K averages out. What it does not: members that are inserted late have more
 * of their nodes pushed to the ends of clusters, where each owns its slot alone. With α = 0.27 and
 * six members the last has 0.9 of an even share, however large K is (experiment H6). */
static double slots_spread(const void *params, size_t n)
{
    const struct slots_params *p = params;
    double nodes = (double)n * (double)p->n_virtual;
    double load = nodes / (double)p->n_slots;
    if (n < 2 || load >= 1.0) /* alone, or no free slot to share out */
        return 0.0;
    double run = load / tanh(load / 2); /* α (1 + q) / (1 − q) */
    return sqrt(((double)n - 1.0) / (nodes + 1.0) * (1.0 - load) * (run - (1.0 - load)));
}

static const struct placement_ops slots_placement = {
    .part = {.name = "slots",
             .summary = "the assignment's circle of M slots with K virtual nodes a server, probed",
             .source = "CONTRACT.md, Names, ids, hashing",
             .options = slots_options,
             .params_size = sizeof(struct slots_params)},
    .caps = PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES,
    .build = slots_build,
    .free = slots_free,
    .lookup = slots_lookup,
    .lookup_hashes = slots_lookup_hashes,
    .lookup_n = slots_lookup_n,
    .bytes = slots_bytes,
    .shares = slots_shares,
    .spread = slots_spread,
    .owner_at = slots_owner_at,
    .arcs = slots_arcs,
};

PLACEMENT_REGISTER(slots_placement);
