#include "tests/support/placement_pairs.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/sanitizer.h"

size_t placement_pairs_list(const struct family *family,
                            const struct part *ret_parts[PLACEMENT_PAIRS_MAX])
{
    return family_list(family, ret_parts, PLACEMENT_PAIRS_MAX);
}

/* Under a sanitizer, which slows everything down tenfold, each placement meets the assignment's
 * hash and one that mixes, and each hash the assignment's placement: every line still runs. */
static bool is_worth_its_time(const char *placement, const char *hash)
{
    return !UNDER_SANITIZER || strcmp(placement, "slots") == 0 || strcmp(hash, "quadratic") == 0 ||
           strcmp(hash, "xxh64") == 0;
}

void each_pair(void (*check)(const struct placement_fixture *fixture))
{
    const struct part *placements[PLACEMENT_PAIRS_MAX], *hashes[PLACEMENT_PAIRS_MAX];
    size_t n_placements = placement_pairs_list(&placement_family, placements);
    size_t n_hashes = placement_pairs_list(&hash_family, hashes);
    for (size_t i = 0; i < n_placements; i++) {
        for (size_t j = 0; j < n_hashes; j++) {
            struct placement_fixture fixture;
            if (!is_worth_its_time(placements[i]->name, hashes[j]->name))
                continue;
            placement_fixture_open(&fixture, placements[i]->name, hashes[j]->name);
            check(&fixture);
            placement_fixture_close(&fixture);
        }
    }
}

const struct placement_ops *ops_of(const struct placement_fixture *fixture)
{
    return (const struct placement_ops *)fixture->spec.part;
}

uint64_t key_number(unsigned i)
{
    if (i < 2)
        return i == 0 ? 0 : UINT64_MAX;
    return i % 2 ? REQUEST_ID_FIRST + rng_mix64(i) % 900000 : rng_mix64(i);
}

void fill_ids(uint64_t *ids, size_t n)
{
    draw_ids(n, 1000000, ids, n);
}

bool hash_mixes(struct hash hash)
{
    enum { N = 500 };
    for (unsigned bit = 0; bit < 20; bit++) {
        unsigned key_flips[64] = {0}, point_flips[64] = {0};
        for (uint64_t i = 0; i < N; i++) {
            uint64_t x = 100000 + i * 1801, mask = UINT64_C(1) << bit;
            uint64_t key = hash_key(hash, x) ^ hash_key(hash, x ^ mask);
            uint64_t point = hash_point(hash, x, i) ^ hash_point(hash, x ^ mask, i);
            for (unsigned o = 0; o < 64; o++) {
                key_flips[o] += (unsigned)(key >> o & 1);
                point_flips[o] += (unsigned)(point >> o & 1);
            }
        }
        for (unsigned o = 0; o < 64; o++) {
            /* 6 standard deviations of a binomial (N, 1/2) are 67 */
            if (abs((int)key_flips[o] - N / 2) > 67 || abs((int)point_flips[o] - N / 2) > 67)
                return false;
        }
    }
    return true;
}
