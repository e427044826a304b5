/* maglev: the lookup table of Google's load balancer (Eisenbud et al. 2016). Every member has a
 * list of all M entries in an order of its own, and in turns they take the first free one of their
 * list. Shares differ by one entry at most; a lookup is one load.
 *
 *     B0 wants 3 0 4 1 5 2 6      entry  0   1   2   3   4   5   6
 *     B1 wants 0 2 4 6 1 3 5             B1  B0  B1  B0  B2  B2  B0
 *     B2 wants 3 4 5 6 0 1 2                                        (the paper's table 1)
 *
 * Not minimal: when a member goes, the turns of the others shift, and a few entries besides its own
 * change hands, fewer the larger M is. The paper puts up with it because its connection tables mend
 * it. Weights by the frequency of turns, as Envoy has them. */
#include "backends/placement/maglev.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "backends/distinct.h"
#include "backends/modulus.h"
#include "backends/placement.h"
#include "core/mem.h"

struct maglev_params {
    uint64_t size;
};

static const struct option_def maglev_options[] = {
    {.name = "table",
     .type = OPTION_U64,
     .offset = offsetof(struct maglev_params, size),
     .metavar = "M",
     .fallback = "65537",
     .min = 3,
     .max = 1u << 24,
     .help = "entries, a prime, well over 100 times the members"},
    {.name = NULL},
};

struct maglev {
    struct placement base;
    uint32_t size;
    struct modulus modulus; /* of size */
    uint16_t *table;        /* members */
};

static bool is_prime(uint64_t x)
{
    for (uint64_t divisor = 2; divisor * divisor <= x; divisor++)
        if (x % divisor == 0)
            return false;
    return x > 1;
}

void maglev_fill(const struct maglev_list *lists, size_t n, uint32_t size, uint16_t *ret_table)
{
    uint32_t *next = mem_zalloc(n, sizeof(*next)); /* entry that the member would take next */
    uint64_t *due = mem_zalloc(n, sizeof(*due));   /* what its weights must add up to for a turn */
    unsigned char *taken = mem_zalloc(size, 1);
    uint32_t heaviest = 0;
    for (size_t i = 0; i < n; i++) {
        next[i] = lists[i].offset;
        heaviest = lists[i].weight > heaviest ? lists[i].weight : heaviest;
    }
    uint32_t n_taken = 0;
    for (uint64_t round = 1; n_taken < size; round++) {
        for (size_t i = 0; i < n && n_taken < size; i++) {
            if (round * lists[i].weight < due[i])
                continue;
            due[i] += heaviest;
            while (taken[next[i]])
                next[i] = (next[i] + lists[i].skip) % size;
            taken[next[i]] = 1;
            ret_table[next[i]] = (uint16_t)i;
            n_taken++;
        }
    }
    free(taken);
    free(due);
    free(next);
}

static int maglev_build(const void *params, const struct placement_member *members, size_t n,
                        const struct hash_pair *hashes, struct placement **ret_placement,
                        struct err *err)
{
    const struct maglev_params *p = params;
    if (!is_prime(p->size))
        return err_set(err, -EINVAL, "maglev: a table of %" PRIu64 " entries: it must be a prime",
                       p->size);
    if (n > p->size)
        return err_set(err, -EINVAL,
                       "maglev: %zu members are more than the table's %" PRIu64 " entries", n,
                       p->size);

    struct maglev *maglev = mem_zalloc(1, sizeof(*maglev));
    maglev->size = (uint32_t)p->size;
    maglev->modulus = modulus_of(p->size);
    maglev->table = mem_zalloc(p->size, sizeof(*maglev->table));
    if (n > 0) {
        uint32_t *order = placement_sort_members(members, n);
        struct maglev_list *lists = mem_zalloc(n, sizeof(*lists));
        for (size_t i = 0; i < n; i++) {
            const struct placement_member *member = &members[order[i]];
            lists[i].offset = (uint32_t)(hash_point(hashes->server, member->id, 0) % p->size);
            lists[i].skip =
                (uint32_t)(hash_point(hashes->server, member->id, 1) % (p->size - 1) + 1);
            lists[i].weight = member->weight;
        }
        maglev_fill(lists, n, maglev->size, maglev->table);
        for (uint32_t i = 0; i < maglev->size; i++)
            maglev->table[i] = (uint16_t)order[maglev->table[i]];
        free(lists);
        free(order);
    }
    *ret_placement = &maglev->base;
    return 0;
}

static void maglev_free(struct placement *placement)
{
    struct maglev *maglev = (struct maglev *)placement;
    free(maglev->table);
    free(maglev);
}

static inline uint32_t entry_of(const struct maglev *maglev, uint64_t key)
{
    uint64_t hash = hash_key(maglev->base.hashes.request, key);
    return (uint32_t)modulus_rest(maglev->modulus, hash);
}

static uint32_t maglev_lookup(const struct placement *placement, uint64_t key)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    if (__builtin_expect(placement->n_members == 0, 0))
        return PLACEMENT_NONE;
    return maglev->table[entry_of(maglev, key)];
}

static void maglev_lookup_hashes(const struct placement *placement, const uint64_t *hashes,
                                 size_t n, uint32_t *out)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    const struct modulus modulus = maglev->modulus;
    for (size_t i = 0; i < n; i++)
        out[i] = maglev->table[modulus_rest(modulus, hashes[i])];
}

/* The entries after the key's: neighbours belong to different members like draws of a lot. A member
 * whose weight got it no entry comes last. */
static size_t maglev_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                              uint32_t *out)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    struct distinct distinct;
    distinct_init(&distinct, placement, n, out);
    if (distinct_full(&distinct))
        return 0;
    uint32_t at = entry_of(maglev, key);
    for (uint32_t i = 0; i < maglev->size && !distinct_full(&distinct); i++) {
        distinct_add(&distinct, maglev->table[at]);
        at = at + 1 == maglev->size ? 0 : at + 1;
    }
    distinct_fill(&distinct, placement);
    return distinct.n;
}

static size_t maglev_bytes(const struct placement *placement)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    return sizeof(*maglev) + maglev->size * sizeof(*maglev->table);
}

static void maglev_shares(const struct placement *placement, double *shares)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    placement_shares_of_table(placement, maglev->table, maglev->size, shares);
}

static size_t maglev_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct maglev *maglev = (const struct maglev *)placement;
    return placement_arcs_of_table(maglev->table, maglev->size, arcs);
}

/* Exact: M mod N members have one entry more than the others. */
static double maglev_spread(const void *params, size_t n)
{
    const struct maglev_params *p = params;
    double more = (double)(p->size % n);
    return sqrt(more * ((double)n - more)) / (double)p->size;
}

static const struct placement_ops maglev_placement = {
    .part = {.name = "maglev",
             .summary = "a table filled in turns by preference: even, one load, few moves too many",
             .source = "Eisenbud et al.: Maglev (NSDI 2016), section 3.4",
             .options = maglev_options,
             .params_size = sizeof(struct maglev_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_ORDER_FREE | PLACEMENT_EXACT_SHARES,
    .build = maglev_build,
    .free = maglev_free,
    .lookup = maglev_lookup,
    .lookup_hashes = maglev_lookup_hashes,
    .lookup_n = maglev_lookup_n,
    .bytes = maglev_bytes,
    .shares = maglev_shares,
    .spread = maglev_spread,
    .arcs = maglev_arcs,
};

PLACEMENT_REGISTER(maglev_placement);
