/* The placement family: an immutable structure that maps a 64-bit key to one member, or to several
 * distinct ones.
 *
 * Build it once from the members, share it between threads without a lock, throw it away whole when
 * the members change. lookup never allocates and never locks (law 3). Members are known by their
 * index in the array that build was given. */
#ifndef QUOIT_BACKENDS_PLACEMENT_H
#define QUOIT_BACKENDS_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/hash.h"
#include "core/err.h"
#include "core/registry.h"

#define PLACEMENT_NONE UINT32_MAX
#define PLACEMENT_MAX_MEMBERS 65536u

struct placement_member {
    uint64_t id;      /* decimal number at the end of the name (CONTRACT.md, Names, ids, hashing) */
    const char *name; /* borrowed during build only */
    uint32_t weight;  /* ≥ 1; an algorithm without PLACEMENT_WEIGHTED takes only equal ones */
    uint32_t domain;  /* failure domain: members with the same number fail together (a machine, a
                         rack); 0: one of its own. placement_lookup_n() spreads over them */
};

/* What an algorithm can do, and how its figures are to be read. The contract suite tests each. */
enum placement_caps {
    PLACEMENT_WEIGHTED = 1u << 0,        /* shares follow weights */
    PLACEMENT_MINIMAL_MOVES = 1u << 1,   /* among members of equal weight a removal moves only the
                                            removed member's keys, an addition only to the new one */
    PLACEMENT_ORDER_FREE = 1u << 2,      /* the order of the members array does not matter */
    PLACEMENT_EXACT_SHARES = 1u << 3,    /* has the `shares` hook */
    PLACEMENT_MINIMAL_REWEIGH = 1u << 4, /* minimal moves among any weights too, and a changed
                                            weight moves keys only to or from its member */
    PLACEMENT_MINIMAL_TAIL = 1u << 5,    /* a rebuild moves minimally only when the member with the
                                            highest id comes or goes */
    PLACEMENT_DRAWN = 1u << 6, /* each key's member is drawn by a hash of its own: shares() is the
                                  law, and counted shares differ from it by sampling noise alone */
    PLACEMENT_OWN_KEY_HASH = 1u << 7, /* hashes keys itself, whatever request hash was chosen */
    PLACEMENT_INCREMENTAL = 1u << 8,  /* has `add` and `remove`, which move minimally */
    PLACEMENT_HISTORY = 1u << 9,      /* … and what they make differs from a rebuild */
    PLACEMENT_LOAD_AWARE = 1u << 10,  /* has `lookup_loaded` */
};

struct placement;

/* What a lookup that minds load is told: the caller counts, the lookup only reads. */
struct placement_loads {
    const uint64_t *of; /* one a member: requests in flight, keys placed, bytes, … */
    uint64_t total;     /* their sum */
};

/* A piece of the hash space, from the end of the one before it (the first: 0) to its own end. */
struct placement_arc {
    double end; /* in (0, 1] */
    uint32_t member;
};

struct placement_ops {
    struct part part;
    unsigned caps; /* enum placement_caps */
    /* Required. members: n of them, 0 ≤ n ≤ PLACEMENT_MAX_MEMBERS, ids distinct. params: the parsed
     * options. The hash pair is copied, what it points to must outlive the placement. 0 or -EINVAL
     * with the reason (e.g. more virtual nodes than slots). The struct placement at the start of
     * what it makes is filled by placement_build(). */
    int (*build)(const void *params, const struct placement_member *members, size_t n,
                 const struct hash_pair *hashes, struct placement **ret_placement, struct err *err);
    /* Required. Takes what build made. */
    void (*free)(struct placement *placement);
    /* Required. Index of the key's member, PLACEMENT_NONE when there is none. */
    uint32_t (*lookup)(const struct placement *placement, uint64_t key);
    /* Optional, for those that know a key by its request hash alone: `lookup` of n keys, n ≥ 0,
     * given their request hashes. For placement_lookup_many(). There is at least one member. */
    void (*lookup_hashes)(const struct placement *placement, const uint64_t *hashes, size_t n,
                          uint32_t *out);
    /* Required. Up to n distinct members in order of preference, out[0] being lookup's. Returns how
     * many were written: min(n, members). */
    size_t (*lookup_n)(const struct placement *placement, uint64_t key, size_t n, uint32_t *out);
    /* Required. Memory that lookups need, in bytes: without the list of members below. */
    size_t (*bytes)(const struct placement *placement);
    /* Optional. The exact share of the hash space each member owns, into shares[n members], summing
     * to 1 (all 0 without members). What a perfect request hash would give. */
    void (*shares)(const struct placement *placement, double *shares);
    /* Optional. The coefficient of variation that the shares of n members of weight 1 are expected
     * to have under a perfect server hash, in closed form (root mean square over hashes, population
     * form). The contract suite holds the shares to it. */
    double (*spread)(const void *params, size_t n);
    /* Optional, both or neither (PLACEMENT_INCREMENTAL): a new placement from a built one that
     * stays as it is. members: all n that the new one has. add: the last of them is new, the others
     * are the old one's in its order. remove: members[index] of the old one is gone, those behind
     * it have moved up. The same errors as build's. */
    int (*add)(const struct placement *placement, const struct placement_member *members, size_t n,
               struct placement **ret_placement, struct err *err);
    int (*remove)(const struct placement *placement, const struct placement_member *members,
                  size_t n, uint32_t index, struct placement **ret_placement, struct err *err);
    /* Optional. The member that should take one more request for the key, given what each has. Pure
     * like lookup, and lookup's answer where all loads are 0. */
    uint32_t (*lookup_loaded)(const struct placement *placement, uint64_t key,
                              const struct placement_loads *loads);
    /* Optional, for those that have a circle: the member that owns its point `at`, in [0, 1), from
     * where the hash 0 falls on clockwise. There is at least one member. */
    uint32_t (*owner_at)(const struct placement *placement, double at);
    /* Optional, for those whose hash space falls into pieces that are the same before and after a
     * change of the members, but for their owners: who has which, in ascending order, the last one
     * ending at 1. Returns how many there are; with arcs NULL, nothing else. There is at least one
     * member. */
    size_t (*arcs)(const struct placement *placement, struct placement_arc *arcs);
};

/* First member of every implementation's struct, filled by placement_build() when build is done. */
struct placement {
    const struct placement_ops *ops;
    struct hash_pair hashes;
    uint32_t n_members;
    uint32_t n_domains;               /* different ones; 0 when no member named its domain */
    struct placement_member *members; /* as build was given them, but without names */
    uint32_t *domains;                /* of each member, 0 … n_domains − 1; NULL without any */
};

extern const struct family placement_family;

#define PLACEMENT_REGISTER(ops) FAMILY_REGISTER(placement, ops)

/* Checks the members (distinct ids, weights, count), then calls the part's build.
 * 0 or a negative errno with the reason. */
int placement_build(const struct spec *spec, const struct placement_member *members, size_t n,
                    const struct hash_pair *hashes, struct placement **ret_placement,
                    struct err *err);
/* Takes NULL. */
void placement_free(struct placement *placement);

/* The placement after a member came (last) or members[index] went: by the part's own hook where it
 * has one, which remembers what was before, else by building anew. The old one stays. `spec` is the
 * one it was built from. A member's name counts only where the part hashes names (ketama), and
 * there placement_build() is the way. 0 or a negative errno with the reason. */
int placement_add(const struct spec *spec, const struct placement *placement,
                  const struct placement_member *member, struct placement **ret_placement,
                  struct err *err);
int placement_remove(const struct spec *spec, const struct placement *placement, uint32_t index,
                     struct placement **ret_placement, struct err *err);

static inline uint32_t placement_lookup(const struct placement *placement, uint64_t key)
{
    return placement->ops->lookup(placement, key);
}

/* placement_lookup() of n keys into out[n], for those that have many at once: some times faster, as
 * calls are made for a batch and what one key waits for is spent on the others. */
void placement_lookup_many(const struct placement *placement, const uint64_t *keys, size_t n,
                           uint32_t *out);

/* lookup_n of a placement whose members named domains: in the order of preference, first the best
 * member of each domain, then the others. Hence one domain twice only when n exceeds them. */
size_t placement_lookup_domains(const struct placement *placement, uint64_t key, size_t n,
                                uint32_t *out);

/* Up to n distinct members in order of preference, out[0] being lookup's; no two of one failure
 * domain while there are others. Returns min(n, members). Fewer wanted: a prefix of the same. */
static inline size_t placement_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                        uint32_t *out)
{
    if (placement->domains)
        return placement_lookup_domains(placement, key, n, out);
    return placement->ops->lookup_n(placement, key, n, out);
}

/* lookup_loaded where the part has it, else lookup. */
static inline uint32_t placement_lookup_loaded(const struct placement *placement, uint64_t key,
                                               const struct placement_loads *loads)
{
    if (placement->ops->lookup_loaded)
        return placement->ops->lookup_loaded(placement, key, loads);
    return placement->ops->lookup(placement, key);
}

/* For builds: the indices of the members in ascending order of id, n of them, for free(). */
uint32_t *placement_sort_members(const struct placement_member *members, size_t n);

/* For `shares` hooks: weight over sum of weights. */
void placement_shares_by_weight(const struct placement *placement, double *shares);
/* For `spread` hooks of those whose equal members have equal shares: 0. */
double placement_spread_none(const void *params, size_t n);
/* For `shares` hooks of tables: how many of the n entries each member has, over n. */
void placement_shares_of_table(const struct placement *placement, const uint16_t *table, size_t n,
                               double *shares);
/* For their `arcs` hooks. */
size_t placement_arcs_of_table(const uint16_t *table, size_t n, struct placement_arc *arcs);

/* The request ids of CONTRACT.md: 100000 … 999999. */
#define REQUEST_ID_FIRST UINT64_C(100000)
#define REQUEST_ID_LAST UINT64_C(999999)

/* How many of the keys first … last (inclusive) each member gets, by asking for every one: exact,
 * no sampling. counts: one a member. */
void placement_count_keys(const struct placement *placement, uint64_t first, uint64_t last,
                          uint64_t *counts);

#endif
