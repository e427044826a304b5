/* Nanoseconds a lookup takes, for every placement and hash of the registries: request ids at
 * random, so that neither the branches nor the caches can learn them; the best of five rounds.
 *
 * The slots get the power of two that keeps them at most half full: at N = 1000 the default 512
 * would not do. What the loop takes without a lookup is taken off. Lookups of one key do not wait
 * for those of the key before: this is throughput, a lookup alone takes longer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/placement_fixture.h"

#define N_KEYS (1u << 16)
#define N_PASSES 8u
#define N_ROUNDS 5u
#define MAX_PARTS 128

static uint64_t keys[N_KEYS];
static volatile uint64_t sink;

static double best_ns(const struct placement *placement)
{
    uint64_t best = UINT64_MAX;
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        uint64_t sum = 0, start = clock_now_ns();
        for (unsigned pass = 0; pass < N_PASSES; pass++)
            for (unsigned i = 0; i < N_KEYS; i++)
                sum += placement ? placement_lookup(placement, keys[i]) : keys[i];
        uint64_t took = clock_now_ns() - start;
        best = took < best ? took : best;
        sink = sum;
    }
    return (double)best / (N_KEYS * N_PASSES);
}

static char *spec_for(const char *name, size_t n)
{
    if (strcmp(name, "slots") != 0)
        return mem_strdup(name);
    size_t n_slots = 512;
    while (n_slots < 2 * 9 * n)
        n_slots *= 2;
    return mem_printf("slots:slots=%zu", n_slots);
}

static void measure(const char *placement_name, const char *hash_name, double empty_ns)
{
    static const size_t sizes[] = {3, 10, 100, 1000};
    printf("%-12s %-12s", placement_name, hash_name);
    size_t bytes = 0;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        char *spec = spec_for(placement_name, sizes[s]);
        struct placement_fixture fixture;
        placement_fixture_open(&fixture, spec, hash_name);
        struct placement *placement = placement_fixture_build_n(&fixture, sizes[s]);
        printf(" %8.1f", best_ns(placement) - empty_ns);
        bytes = placement->ops->bytes(placement);
        placement_free(placement);
        placement_fixture_close(&fixture);
        free(spec);
    }
    printf(" %10zu\n", bytes);
    fflush(stdout);
}

int main(void)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < N_KEYS; i++)
        keys[i] = REQUEST_ID_FIRST + rng_below(&rng, REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    double empty_ns = best_ns(NULL);

    const struct part *placements[MAX_PARTS], *hashes[MAX_PARTS];
    size_t n_placements = family_list(&placement_family, placements, MAX_PARTS);
    size_t n_hashes = family_list(&hash_family, hashes, MAX_PARTS);
    printf("ns per lookup over N members\n");
    printf("%-12s %-12s %8s %8s %8s %8s %10s\n", "placement", "hash", "N=3", "10", "100", "1000",
           "bytes@1000");
    for (size_t i = 0; i < n_placements; i++)
        for (size_t j = 0; j < n_hashes; j++)
            measure(placements[i]->name, hashes[j]->name, empty_ns);
    return 0;
}
