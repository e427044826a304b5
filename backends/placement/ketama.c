/* ketama: the circle that memcached's clients agreed on (Richard Jones, Last.fm 2007). Points come
 * from MD5 of "NAME-0", "NAME-1", …, four points of 32 bits to a digest, forty digests to a member
 * of average weight: the names of the members count, not their ids, and no server hash is asked.
 *
 *     points of a member  ⌊weight / all weights · 40 · members⌋ digests, in the float arithmetic of
 *                         the original; four times 4 bytes of each, little-endian
 *     key=hash            the request hash says where a key falls, as with every other placement
 *     key=text            MD5 of the key's digits, its first 4 bytes: what libketama does with a
 *                         client's key. tests/unit/backends/placement/ketama_test.c holds the
 * output of a million keys to the digest that libketama's own test has
 *
 * The number of points depends on all weights, so among unequal ones every change moves a few
 * points of everybody. A member without a name is called by the digits of its id. */
#define OPENSSL_API_COMPAT 10100

#include "backends/placement/ketama.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/placement.h"
#include "backends/placement/circle.h"
#include "backends/placement/decimal.h"
#include "core/mem.h"

#define POINTS_OF_DIGEST 4u

enum ketama_key { KETAMA_HASH, KETAMA_TEXT };

struct ketama_params {
    uint64_t n_points;
    int key; /* enum ketama_key */
};

static const struct option_def ketama_options[] = {
    {.name = "points",
     .type = OPTION_U64,
     .offset = offsetof(struct ketama_params, n_points),
     .metavar = "K",
     .fallback = "160",
     .min = 4,
     .max = 1u << 20,
     .help = "points of a member of average weight, a multiple of 4"},
    {.name = "key",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct ketama_params, key),
     .metavar = "HOW",
     .fallback = "hash",
     .choices = "hash|text",
     .help = "where a key falls: by the request hash, or by MD5 of its digits as libketama has it"},
    {.name = NULL},
};

struct ketama {
    struct placement base;
    struct circle circle; /* points of 32 bits in the upper half */
    int key;
};

/* OpenSSL's older interface, which allocates nothing: see hash/md5.c. */
static void md5_of(const void *bytes, size_t n, unsigned char digest[MD5_DIGEST_LENGTH])
{
    MD5_CTX context;
    int ok = MD5_Init(&context);
    ok &= MD5_Update(&context, bytes, n);
    ok &= MD5_Final(digest, &context);
    assert(ok);
}

static inline uint64_t point_of(const unsigned char *digest, unsigned i)
{
    uint32_t le;
    memcpy(&le, digest + i * sizeof(le), sizeof(le));
    return (uint64_t)le32toh(le) << 32;
}

/* Of the member, by the original's formula and its types. */
static uint64_t count_digests(const struct placement_member *member, uint64_t weights, size_t n,
                              uint64_t n_points)
{
    float part = (float)member->weight / (float)weights;
    double wanted = part * (double)(uint64_t)(n_points / POINTS_OF_DIGEST) * (double)(float)n;
    return (uint64_t)floorf((float)wanted);
}

static uint32_t place_member(const struct placement_member *member, uint32_t rank,
                             uint64_t n_digests, struct circle_point *points)
{
    unsigned char digest[MD5_DIGEST_LENGTH];
    uint32_t n_points = 0;
    char *name = member->name && member->name[0] ? mem_strdup(member->name)
                                                 : mem_printf("%" PRIu64, member->id);
    for (uint64_t j = 0; j < n_digests; j++) {
        char *text = mem_printf("%s-%" PRIu64, name, j);
        md5_of(text, strlen(text), digest);
        for (unsigned i = 0; i < POINTS_OF_DIGEST; i++)
            points[n_points++] = (struct circle_point){.hash = point_of(digest, i), .rank = rank};
        free(text);
    }
    free(name);
    return n_points;
}

static int ketama_build(const void *params, const struct placement_member *members, size_t n,
                        const struct hash_pair *hashes, struct placement **ret_placement,
                        struct err *err)
{
    (void)hashes;
    const struct ketama_params *p = params;
    uint64_t weights = 0, most = n * p->n_points + POINTS_OF_DIGEST;
    if (p->n_points % POINTS_OF_DIGEST != 0)
        return err_set(err, -EINVAL, "ketama: %" PRIu64 " points: it must be a multiple of %u",
                       p->n_points, POINTS_OF_DIGEST);
    if (most > CIRCLE_MAX_POINTS)
        return err_set(err, -EINVAL,
                       "ketama: %zu members with %" PRIu64 " points are more than %" PRIu64
                       " points",
                       n, p->n_points, CIRCLE_MAX_POINTS);
    for (size_t i = 0; i < n; i++)
        weights += members[i].weight;

    struct ketama *ketama = mem_zalloc(1, sizeof(*ketama));
    ketama->key = p->key;
    uint32_t *order = placement_sort_members(members, n);
    /* A rounding of the floats can give a member a digest more than its part. */
    struct circle_point *points = mem_zalloc(most + n * POINTS_OF_DIGEST, sizeof(*points));
    uint32_t n_points = 0;
    for (uint32_t rank = 0; rank < n; rank++) {
        const struct placement_member *member = &members[order[rank]];
        uint64_t n_digests = count_digests(member, weights, n, p->n_points);
        n_points += place_member(member, rank, n_digests, points + n_points);
    }
    circle_build_points(&ketama->circle, points, n_points, order);
    free(points);
    free(order);
    *ret_placement = &ketama->base;
    return 0;
}

static void ketama_free(struct placement *placement)
{
    struct ketama *ketama = (struct ketama *)placement;
    circle_done(&ketama->circle);
    free(ketama);
}

static uint64_t hash_digits(uint64_t key)
{
    char text[DECIMAL_MAX_BYTES];
    const char *digits = decimal_of(key, text);
    unsigned char digest[MD5_DIGEST_LENGTH];
    md5_of(digits, (size_t)(text + sizeof(text) - digits), digest);
    return point_of(digest, 0);
}

static inline uint32_t first_point(const struct ketama *ketama, uint64_t key)
{
    uint64_t hash =
        ketama->key == KETAMA_HASH ? hash_key(ketama->base.hashes.request, key) : hash_digits(key);
    return circle_first(&ketama->circle, hash);
}

void ketama_trace(const struct placement *placement, uint64_t key, uint32_t *ret_hash,
                  uint32_t *ret_point)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    uint64_t hash = hash_digits(key);
    uint32_t at = circle_first(&ketama->circle, hash);
    *ret_hash = (uint32_t)(hash >> 32);
    *ret_point = (uint32_t)(ketama->circle.hashes[at % ketama->circle.n_points] >> 32);
}

static uint32_t ketama_lookup(const struct placement *placement, uint64_t key)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    return ketama->circle.members[first_point(ketama, key)];
}

static size_t ketama_lookup_n(const struct placement *placement, uint64_t key, size_t n,
                              uint32_t *out)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    return circle_walk(&ketama->circle, placement, first_point(ketama, key), n, out);
}

static size_t ketama_bytes(const struct placement *placement)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    return sizeof(*ketama) + circle_bytes(&ketama->circle);
}

static void ketama_shares(const struct placement *placement, double *shares)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    circle_shares(&ketama->circle, placement->n_members, shares);
}

static uint32_t ketama_owner_at(const struct placement *placement, double at)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    return ketama->circle.members[circle_first(&ketama->circle, (uint64_t)ldexp(at, 64))];
}

static size_t ketama_arcs(const struct placement *placement, struct placement_arc *arcs)
{
    const struct ketama *ketama = (const struct ketama *)placement;
    return circle_arcs(&ketama->circle, arcs);
}

static double ketama_spread(const void *params, size_t n)
{
    const struct ketama_params *p = params;
    return circle_spread(p->n_points, n);
}

static const struct placement_ops ketama_placement = {
    .part = {.name = "ketama",
             .summary = "memcached's circle: 160 points a member from MD5 of its name",
             .source = "Jones: libketama (Last.fm, 2007)",
             .options = ketama_options,
             .params_size = sizeof(struct ketama_params)},
    .caps = PLACEMENT_WEIGHTED | PLACEMENT_MINIMAL_MOVES | PLACEMENT_ORDER_FREE |
            PLACEMENT_EXACT_SHARES,
    .build = ketama_build,
    .free = ketama_free,
    .lookup = ketama_lookup,
    .lookup_n = ketama_lookup_n,
    .bytes = ketama_bytes,
    .shares = ketama_shares,
    .spread = ketama_spread,
    .owner_at = ketama_owner_at,
    .arcs = ketama_arcs,
};

PLACEMENT_REGISTER(ketama_placement);
