/* What hashing and looking up cost, of every hash and placement of the registries (`make
 * bench-hash`).
 *
 *     hash_bench [HASH…]    lookups over these hashes, e.g. xxh3 splitmix64; without any: over all
 *
 * ns a key: request ids at random, so that neither the branches nor the caches can learn them; the
 * best of some rounds; what the loop takes by itself is taken off. Rows `one` hand
 * placement_lookup() a key a call, rows `batch` hand placement_lookup_many() CHUNK of them. Calls
 * do not wait for the calls before them: this is throughput, one alone takes longer, which the
 * hashes' column `chained` shows. Options that must grow with N do (spec_for()). `libmemcached` is
 * the ketama of libmemcached and libhashkit, where they are installed, over the same keys as text;
 * HAProxy's ring is in no library, and an end-to-end comparison with it is `make bench-lb`. The
 * targets come last, with verdicts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/crc32c.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/placement_fixture.h"

#if defined(__has_include)
#if __has_include(<libmemcached/memcached.h>)
#define HAVE_LIBMEMCACHED 1
#include <libmemcached/memcached.h>
#endif
#endif

#define N_KEYS (1u << 14)
#define CHUNK 512u
#define N_ROUNDS 7u
#define ROUND_NS UINT64_C(3000000)
#define MAX_PARTS 128
#define N_SIZES 5u

static const size_t sizes[N_SIZES] = {3, 10, 100, 1000, 10000};
static uint64_t keys[N_KEYS];
static volatile uint64_t sink;

/* A subject calls itself for CHUNK keys and returns something that depends on all answers. */
typedef uint64_t (*subject_fn)(const void *subject, const uint64_t *chunk);

/* The best round's time a call: chunk after chunk until the round is over. The thread's own CPU
 * time, so that others on the machine cost caches and clock speed but no turns. */
static double best_ns(subject_fn run, const void *subject)
{
    double best = 1e30;
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        uint64_t n_calls = 0, sum = 0, start = clock_thread_cpu_ns(), now = start;
        for (unsigned at = 0; now - start < ROUND_NS; now = clock_thread_cpu_ns()) {
            for (unsigned i = 0; i < 8; i++, at = (at + CHUNK) % N_KEYS)
                sum += run(subject, keys + at);
            n_calls += 8 * CHUNK;
        }
        double ns = (double)(now - start) / (double)n_calls;
        best = ns < best ? ns : best;
        sink = sum;
    }
    return best;
}

static uint64_t run_nothing(const void *subject, const uint64_t *chunk)
{
    (void)subject;
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHUNK; i++) {
        uint64_t key = chunk[i];
        __asm__ volatile("" : "+r"(key)); /* no vector instructions: a call takes one key */
        sum += key;
    }
    return sum;
}

/* ---- hashes --------------------------------------------------------------------------------- */

static uint64_t run_hash(const void *subject, const uint64_t *chunk)
{
    const struct hash *hash = subject;
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHUNK; i++)
        sum += hash_key(*hash, chunk[i]);
    return sum;
}

/* Each key depends on the answer before. */
static uint64_t run_hash_chained(const void *subject, const uint64_t *chunk)
{
    const struct hash *hash = subject;
    uint64_t last = 0;
    for (unsigned i = 0; i < CHUNK; i++)
        last = hash_key(*hash, chunk[i] ^ (last & 1));
    return last;
}

static uint64_t run_hash_text(const void *subject, const uint64_t *chunk)
{
    const struct hash *hash = subject;
    static const char text[64] = "a session's cookie, or a path such as /images/logo.svg, in 64 b";
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHUNK; i++)
        sum += hash->ops->bytes(hash->params, text, sizeof(text), chunk[i]);
    return sum;
}

static void measure_hashes(double empty_ns)
{
    const struct part *parts[MAX_PARTS];
    size_t n = family_list(&hash_family, parts, MAX_PARTS);
    printf(
        "ns a hash: of a key, of a key that waits for the one before, of 64 bytes with a seed%s\n",
        crc32c_has_instruction() ? "" : " (no CRC instruction here)");
    printf("%-12s %8s %8s %8s\n", "hash", "key", "chained", "64 bytes");
    for (size_t i = 0; i < n; i++) {
        struct hash_choice choice;
        if (hash_choice_parse(parts[i]->name, &choice, NULL) != 0)
            abort();
        const struct hash hash = choice.pair.request;
        printf("%-12s %8.1f %8.1f", parts[i]->name, best_ns(run_hash, &hash) - empty_ns,
               best_ns(run_hash_chained, &hash) - empty_ns);
        if (hash.ops->bytes)
            printf(" %8.1f", best_ns(run_hash_text, &hash) - empty_ns);
        printf("\n");
        hash_choice_done(&choice);
    }
}

/* ---- placements ----------------------------------------------------------------------------- */

static uint64_t run_lookup(const void *subject, const uint64_t *chunk)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHUNK; i++)
        sum += placement_lookup(subject, chunk[i]);
    return sum;
}

static uint64_t run_lookup_many(const void *subject, const uint64_t *chunk)
{
    uint32_t members[CHUNK];
    uint64_t sum = 0;
    placement_lookup_many(subject, chunk, CHUNK, members);
    for (unsigned i = 0; i < CHUNK; i++)
        sum += members[i];
    return sum;
}

/* With the options that this many members ask for: slots at most half full, Maglev's larger table,
 * buckets for twice the members. */
static char *spec_for(const char *name, size_t n)
{
    if (strcmp(name, "slots") == 0) {
        size_t n_slots = 512;
        while (n_slots < 2 * 9 * n)
            n_slots *= 2;
        return mem_printf("slots:slots=%zu", n_slots);
    }
    if (strcmp(name, "maglev") == 0 && n > 1000)
        return mem_printf("maglev:table=655373");
    if (strcmp(name, "partitions") == 0 && n > 1000)
        return mem_printf("partitions:partitions=65536");
    if (strcmp(name, "anchor") == 0 || strcmp(name, "dx") == 0)
        return mem_printf("%s:capacity=%zu", name, 2 * n);
    return mem_strdup(name);
}

static const struct target {
    const char *placement;
    size_t n;
    double ns;
} targets[] = {{"slots", 3, 3},     {"slots", 1000, 3}, {"maglev", 3, 3},
               {"maglev", 1000, 3}, {"jump", 1000, 15}, {"ring", 1000, 40}};
#define N_TARGETS (sizeof(targets) / sizeof(targets[0]))
#define TARGET_HASH "splitmix64"

/* How keys are handed over: one a call, as a load balancer has them, or CHUNK of them, as tables
 * and figures do. */
static const struct way {
    const char *name;
    subject_fn run;
} ways[] = {{"one", run_lookup}, {"batch", run_lookup_many}};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))
static double target_ns[N_TARGETS][N_WAYS];

static void note_target(const char *placement, const char *hash, size_t n, size_t way, double ns)
{
    for (size_t t = 0; t < N_TARGETS; t++)
        if (strcmp(targets[t].placement, placement) == 0 && targets[t].n == n &&
            strcmp(hash, TARGET_HASH) == 0)
            target_ns[t][way] = ns;
}

static void measure_placement(const char *placement_name, const char *hash_name, double empty_ns)
{
    size_t bytes = 0;
    double build_ms = 0, ns[N_WAYS][N_SIZES];
    for (size_t s = 0; s < N_SIZES; s++) {
        char *spec = spec_for(placement_name, sizes[s]);
        struct placement_fixture fixture;
        placement_fixture_open(&fixture, spec, hash_name);
        uint64_t start = clock_now_ns();
        struct placement *placement = placement_fixture_build_n(&fixture, sizes[s]);
        build_ms = (double)(clock_now_ns() - start) / 1e6;
        bytes = placement->ops->bytes(placement);
        for (size_t w = 0; w < N_WAYS; w++) {
            ns[w][s] = best_ns(ways[w].run, placement) - empty_ns;
            note_target(placement_name, hash_name, sizes[s], w, ns[w][s]);
        }
        placement_free(placement);
        placement_fixture_close(&fixture);
        free(spec);
    }
    for (size_t w = 0; w < N_WAYS; w++) {
        printf("%-20s %-12s %-6s", placement_name, hash_name, ways[w].name);
        for (size_t s = 0; s < N_SIZES; s++)
            printf(" %9.1f", ns[w][s]);
        if (w == 0)
            printf(" %12zu %10.2f", bytes, build_ms);
        printf("\n");
    }
    fflush(stdout);
}

static void print_head(void)
{
    printf(
        "\nns a lookup over N members, its hash included, keys one a call and in batches of %u;\n"
        "memory and time to build at N = 10000\n",
        CHUNK);
    printf("%-20s %-12s %-6s %9s %9s %9s %9s %9s %12s %10s\n", "placement", "hash", "keys", "N=3",
           "10", "100", "1000", "10000", "bytes", "build ms");
}

#ifdef HAVE_LIBMEMCACHED
static char (*texts)[8]; /* the keys as text */

static uint64_t run_libmemcached(const void *subject, const uint64_t *chunk)
{
    const char(*text)[8] = (const char(*)[8])texts + (chunk - keys);
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHUNK; i++)
        sum += memcached_generate_hash(subject, text[i], 6);
    return sum;
}

/* Its continuum has no room for a thousand servers. */
static void measure_libmemcached(double empty_ns)
{
    texts = mem_zalloc(N_KEYS, sizeof(*texts));
    for (unsigned i = 0; i < N_KEYS; i++)
        snprintf(texts[i], sizeof(texts[i]), "%06u", (unsigned)(keys[i] % 1000000));
    printf("%-20s %-12s %-6s", "libmemcached", "md5 (text)", "one");
    for (size_t s = 0; s < N_SIZES && sizes[s] <= 100; s++) {
        memcached_st *client = memcached_create(NULL);
        memcached_server_list_st list = NULL;
        memcached_return_t rc;
        memcached_behavior_set(client, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
        for (size_t i = 0; i < sizes[s]; i++) {
            char name[16];
            snprintf(name, sizeof(name), "S%zu", i + 1);
            list = memcached_server_list_append_with_weight(list, name, 11211, 1, &rc);
        }
        memcached_server_push(client, list);
        printf(" %9.1f", best_ns(run_libmemcached, client) - empty_ns);
        fflush(stdout);
        memcached_server_list_free(list);
        memcached_free(client);
    }
    printf("\n");
    free(texts);
}
#endif

/* ketama as libketama has it, keys hashed as text, to stand beside libmemcached's. */
static void measure_ketama_text(double empty_ns)
{
    printf("%-20s %-12s %-6s", "ketama:key=text", "md5 (text)", "one");
    for (size_t s = 0; s < N_SIZES && sizes[s] <= 1000; s++) {
        struct placement_fixture fixture;
        placement_fixture_open(&fixture, "ketama:key=text", "md5");
        struct placement *placement = placement_fixture_build_n(&fixture, sizes[s]);
        printf(" %9.1f", best_ns(run_lookup, placement) - empty_ns);
        placement_free(placement);
        placement_fixture_close(&fixture);
    }
    printf("\n");
}

static bool is_wanted(const char *hash, int argc, char **argv)
{
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++)
        wanted |= strcmp(argv[i], hash) == 0;
    return wanted;
}

int main(int argc, char **argv)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < N_KEYS; i++)
        keys[i] = REQUEST_ID_FIRST + rng_below(&rng, REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    double empty_ns = best_ns(run_nothing, NULL);
    measure_hashes(empty_ns);

    const struct part *placements[MAX_PARTS], *hashes[MAX_PARTS];
    size_t n_placements = family_list(&placement_family, placements, MAX_PARTS);
    size_t n_hashes = family_list(&hash_family, hashes, MAX_PARTS);
    print_head();
    for (size_t i = 0; i < n_placements; i++)
        for (size_t j = 0; j < n_hashes; j++)
            if (is_wanted(hashes[j]->name, argc, argv))
                measure_placement(placements[i]->name, hashes[j]->name, empty_ns);
    measure_ketama_text(empty_ns);
#ifdef HAVE_LIBMEMCACHED
    measure_libmemcached(empty_ns);
#else
    printf("libmemcached is not installed: no ketama to compare with\n");
#endif

    if (!is_wanted(TARGET_HASH, argc, argv))
        return 0;
    printf("\n%-12s %8s %8s %12s %12s\n", "target", "N", "keys", "ns", "at most");
    for (size_t t = 0; t < N_TARGETS; t++)
        for (size_t w = 0; w < N_WAYS; w++)
            printf("%-12s %8zu %8s %12.1f %12.1f  %s\n", targets[t].placement, targets[t].n,
                   ways[w].name, target_ns[t][w], targets[t].ns,
                   target_ns[t][w] <= targets[t].ns ? "met" : "MISSED");
    return 0;
}
