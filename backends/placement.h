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
};

enum placement_caps {
    PLACEMENT_WEIGHTED = 1u << 0,      /* shares follow weights */
    PLACEMENT_MINIMAL_MOVES = 1u << 1, /* a removal moves only the removed member's keys */
    PLACEMENT_ORDER_FREE = 1u << 2,    /* the order of the members array does not matter */
    PLACEMENT_EXACT_SHARES = 1u << 3,  /* has the `shares` hook */
};

struct placement;

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
    /* Required. Up to n distinct members in order of preference, out[0] being lookup's. Returns how
     * many were written: min(n, members). */
    size_t (*lookup_n)(const struct placement *placement, uint64_t key, size_t n, uint32_t *out);
    /* Required. Memory the structure holds, in bytes. */
    size_t (*bytes)(const struct placement *placement);
    /* Optional. The exact share of the hash space each member owns, into shares[n members], summing
     * to 1 (all 0 without members). What a perfect request hash would give. */
    void (*shares)(const struct placement *placement, double *shares);
    /* Optional. The coefficient of variation that the shares of n members of weight 1 are expected
     * to have under a perfect server hash, in closed form (root mean square over hashes, population
     * form). The contract suite holds the shares to it. */
    double (*spread)(const void *params, size_t n);
    /* Optional, for those that have a circle: the member that owns its point `at`, in [0, 1), from
     * where the hash 0 falls on clockwise. There is at least one member. */
    uint32_t (*owner_at)(const struct placement *placement, double at);
};

/* First member of every implementation's struct, filled by placement_build() when build is done. */
struct placement {
    const struct placement_ops *ops;
    struct hash_pair hashes;
    uint32_t n_members;
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

static inline uint32_t placement_lookup(const struct placement *placement, uint64_t key)
{
    return placement->ops->lookup(placement, key);
}

static inline size_t placement_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                                        uint32_t *out)
{
    return placement->ops->lookup_n(placement, key, n, out);
}

/* For builds: the indices of the members in ascending order of id, n of them, for free(). */
uint32_t *placement_sort_members(const struct placement_member *members, size_t n);

/* The request ids of CONTRACT.md: 100000 … 999999. */
#define REQUEST_ID_FIRST UINT64_C(100000)
#define REQUEST_ID_LAST UINT64_C(999999)

/* How many of the keys first … last (inclusive) each member gets, by asking for every one: exact,
 * no sampling. counts: one a member. */
void placement_count_keys(const struct placement *placement, uint64_t first, uint64_t last,
                          uint64_t *counts);

#endif
