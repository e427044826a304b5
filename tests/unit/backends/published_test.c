/* Published results of hashing and placement, computed again with quoit's own code. Each row of the
 * table says what was published where, what comes out here, how far off it may be, and the verdict:
 *
 *     holds     within the tolerance
 *     draw      the publication tells of one random draw: ours as mean, lowest … highest, and how
 *               many of them it is above
 *     apart     it lies outside ours; the reason is in a comment at the row's function
 *     FAILS     the only one that fails a test
 *
 * Without arguments a test program; with `table` it prints the table (`make published`). Seeds are
 * fixed, so the figures are the same on every machine. */
#define OPENSSL_API_COMPAT 10100

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/placement/jump.h"
#include "backends/placement/ketama.h"
#include "backends/placement/maglev.h"
#include "backends/placement/redis.h"
#include "core/mem.h"
#include "core/rng.h"
#include "core/stats.h"
#include "tests/support/placement_fixture.h"

/* ---- the table ------------------------------------------------------------------------------ */

#define MAX_ROWS 64u

static struct row {
    char what[96], source[48], published[40], ours[48], tolerance[24];
    const char *verdict;
} rows[MAX_ROWS];
static unsigned n_rows, n_failed;

static struct row *add_row(const char *source, const char *verdict)
{
    assert_true(n_rows < MAX_ROWS);
    struct row *row = &rows[n_rows++];
    snprintf(row->source, sizeof(row->source), "%s", source);
    row->verdict = verdict;
    n_failed += strcmp(verdict, "FAILS") == 0;
    return row;
}

#define SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

/* A number that must come out, but for a relative error. */
static struct row *row_number(const char *source, double published, double ours, double tolerance)
{
    bool holds = fabs(ours - published) <= tolerance * fabs(published);
    struct row *row = add_row(source, holds ? "holds" : "FAILS");
    SAY(row->published, "%.7g", published);
    SAY(row->ours, "%.7g", ours);
    if (tolerance > 0)
        SAY(row->tolerance, "%.3g %%", 100 * tolerance);
    else
        SAY(row->tolerance, "exact");
    return row;
}

static struct row *row_text(const char *source, const char *published, const char *ours)
{
    struct row *row = add_row(source, strcmp(published, ours) == 0 ? "holds" : "FAILS");
    SAY(row->published, "%s", published);
    SAY(row->ours, "%s", ours);
    SAY(row->tolerance, "exact");
    return row;
}

/* One published draw among n of ours. */
static struct row *row_draw(const char *source, double published, const double *draws, size_t n)
{
    size_t below = 0;
    for (size_t i = 0; i < n; i++)
        below += draws[i] < published;
    double low = stats_min(draws, n), high = stats_max(draws, n);
    bool among = published >= low && published <= high;
    struct row *row = add_row(source, among ? "draw" : "apart");
    SAY(row->published, "%.7g", published);
    SAY(row->ours, "%.4g, %.4g … %.4g", stats_mean(draws, n), low, high);
    SAY(row->tolerance, "above %zu of %zu", below, n);
    return row;
}

/* Padded to a number of characters, which in UTF-8 are not its bytes. */
static void print_cell(const char *text, int width)
{
    for (const char *at = text; *at; at++)
        width -= ((unsigned char)*at & 0xc0) != 0x80;
    printf("%s%*s", text, width > 0 ? width : 1, "");
}

static int print_table(void)
{
    static const struct row head = {"result", "source",    "published",
                                    "quoit",  "tolerance", "verdict"};
    for (unsigned i = 0; i <= n_rows; i++) {
        const struct row *row = i == 0 ? &head : &rows[i - 1];
        print_cell(row->what, 57);
        print_cell(row->source, 36);
        print_cell(row->published, 34);
        print_cell(row->ours, 34);
        print_cell(row->tolerance, 16);
        printf("%s\n", row->verdict);
    }
    printf("%u results, %u fail\n", n_rows, n_failed);
    return n_failed > 0;
}

/* ---- help ----------------------------------------------------------------------------------- */

/* Members with ids drawn by the seed, under splitmix64: a fresh lot of points every time. */
static struct placement *build_lot(const char *spec, size_t n, uint64_t seed)
{
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, spec, "splitmix64");
    uint64_t *ids = mem_zalloc(n, sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = rng_mix64(seed * 1000003) + i * UINT64_C(0x9e3779b97f4a7c15);
    struct placement_member *members = mem_zalloc(n, sizeof(*members));
    for (size_t i = 0; i < n; i++)
        members[i] = (struct placement_member){.id = ids[i], .weight = 1};
    /* Default options: the choice outlives nothing, and splitmix64's seed is 0. */
    static struct hash_choice choice;
    if (!choice.pair.request.ops)
        assert_int_equal(hash_choice_parse("splitmix64", &choice, NULL), 0);
    struct placement *placement = NULL;
    struct err err = {0};
    if (placement_build(&fixture.spec, members, n, &choice.pair, &placement, &err) != 0)
        fail_msg("%s: %s", spec, err.message);
    free(members);
    free(ids);
    placement_fixture_close(&fixture);
    return placement;
}

/* CoV of the exact shares of one lot; `sample` divides by n − 1, as a standard error does. */
static double cov_of_lot(const char *spec, size_t n, uint64_t seed, bool sample)
{
    struct placement *placement = build_lot(spec, n, seed);
    double *shares = mem_zalloc(n, sizeof(*shares));
    placement->ops->shares(placement, shares);
    double cov = stats_cov(shares, n);
    free(shares);
    placement_free(placement);
    return sample ? cov * sqrt((double)n / ((double)n - 1)) : cov;
}

/* ---- jump ----------------------------------------------------------------------------------- */

#define JUMP "Lamping, Veach 2014"

/* "Standard error of bucket sizes", one ring of 1000 buckets for each number of points. */
static void ring_of_the_jump_paper(void)
{
    static const struct {
        unsigned n_points;
        double published;
        size_t n_lots;
    } cases[] = {{1, .9979060, 60}, {10, .3151810, 60}, {100, .0996996, 40}, {1000, .0315723, 10}};
    for (size_t c = 0; c < 4; c++) {
        double draws[60];
        char *spec = mem_printf("ring:virtual=%u", cases[c].n_points);
        for (size_t i = 0; i < cases[c].n_lots; i++)
            draws[i] = cov_of_lot(spec, 1000, i + 1, true);
        struct row *row = row_draw(JUMP ", table 1", cases[c].published, draws, cases[c].n_lots);
        SAY(row->what, "ring, %u points a bucket: standard error", cases[c].n_points);
        if (strcmp(row->verdict, "apart") == 0)
            n_failed++;
        free(spec);
    }
}

/* Exactly, for the published code and uniform random bits: a key at bucket b jumps to j or beyond
 * when its 31 random bits r + 1 are at most ⌊(b + 1) 2^31 / j⌋. visits: the chance that a key is
 * ever at b. The paper's figure is 32 times smaller and near √1000 / 2^32 = 7.36e-9, the sampling
 * error of all 2^64 keys: it cannot count in the code's 31 bits. Either is far below what anybody
 * will see. */
static void evenness_of_jump(void)
{
    enum { N = 1000 };
    static double visits[N], shares[N];
    const double scale = 0x1p-31;
    for (uint64_t j = 0; j < N; j++) {
        visits[j] = j == 0;
        for (uint64_t b = 0; b < j; b++) {
            uint64_t reach = ((b + 1) << 31) / j, pass = ((b + 1) << 31) / (j + 1);
            reach = reach < UINT64_C(1) << 31 ? reach : UINT64_C(1) << 31;
            visits[j] += visits[b] * (double)(reach - pass) * scale;
        }
    }
    for (uint64_t b = 0; b < N; b++) {
        uint64_t reach = ((b + 1) << 31) / N;
        shares[b] = visits[b] * (double)reach * scale;
    }
    double cov = stats_cov(shares, N) * sqrt(N / (N - 1.0));
    struct row *row = add_row(JUMP ", table 1", fabs(cov - 2.446e-7) < 1e-10 ? "apart" : "FAILS");
    SAY(row->what, "jump, 1000 buckets: standard error");
    SAY(row->published, "%.3g", 7.64e-9);
    SAY(row->ours, "%.4g", cov);
}

static void keys_of_jump(void)
{
    char ours[40];
    SAY(ours, "%u, %u, %u", jump_hash(0, 60), jump_hash(1, 60), jump_hash(2, 60));
    struct row *row = row_text(JUMP ", implementations", "0, 55, 46", ours);
    SAY(row->what, "jump, keys 0, 1, 2 in 60 buckets");
}

/* The bucket of a key before its last jump is its bucket among as many buckets as that number. */
static void steps_of_jump(void)
{
    enum { N_KEYS = 400000 };
    uint64_t n_steps = 0;
    for (uint64_t k = 0; k < N_KEYS; k++) {
        n_steps++;
        for (uint32_t b = jump_hash(rng_mix64(k), 1000); b > 0; b = jump_hash(rng_mix64(k), b))
            n_steps++;
    }
    double expected = 0;
    for (int i = 1; i <= 1000; i++)
        expected += 1.0 / i;
    struct row *row = row_number(JUMP ", section 2", expected, (double)n_steps / N_KEYS, .002);
    SAY(row->what, "jump, 1000 buckets: expected steps, H(1000)");
}

/* ---- ring ----------------------------------------------------------------------------------- */

static void spread_of_rings(void)
{
    static const unsigned points[] = {1, 10, 100, 1000}, lots[] = {4000, 2000, 1000, 300};
    for (size_t c = 0; c < 4; c++) {
        char *spec = mem_printf("ring:virtual=%u", points[c]);
        double sum = 0;
        for (uint64_t i = 0; i < lots[c]; i++) {
            double cov = cov_of_lot(spec, 10, i, false);
            sum += cov * cov;
        }
        double expected = sqrt(9.0 / (10.0 * points[c] + 1));
        struct row *row =
            row_number("Dirichlet arcs, closed form", expected, sqrt(sum / lots[c]), .05);
        SAY(row->what, "ring, N = 10, K = %u: CoV, root mean square", points[c]);
        free(spec);
    }
}

/* Envoy's benchmark of its ring with a least size of 65536, 100000 keys: deviation of hits from
 * their mean. The points are ⌊65536 / hosts⌋ a host here, ± 1 there. */
static void ring_of_envoy(void)
{
    static const struct {
        unsigned n_hosts;
        double published;
    } cases[] = {{100, .0449}, {200, .0739}, {500, .1131}};
    enum { N_LOTS = 60, N_KEYS = 100000 };
    for (size_t c = 0; c < 3; c++) {
        unsigned n = cases[c].n_hosts;
        char *spec = mem_printf("ring:virtual=%u", 65536 / n);
        double draws[N_LOTS], hits[500];
        for (uint64_t i = 0; i < N_LOTS; i++) {
            struct placement *placement = build_lot(spec, n, i + 1);
            memset(hits, 0, sizeof(hits));
            for (uint64_t k = 0; k < N_KEYS; k++)
                hits[placement_lookup(placement, i << 32 | k)] += 1;
            draws[i] = stats_cov(hits, n);
            placement_free(placement);
        }
        struct row *row = row_draw("Envoy, benchmark", cases[c].published, draws, N_LOTS);
        SAY(row->what, "ring of 65536, %u hosts, 100k keys: deviation", n);
        if (strcmp(row->verdict, "apart") == 0)
            n_failed++;
        free(spec);
    }
}

/* ---- maglev --------------------------------------------------------------------------------- */

#define MAGLEV "Eisenbud et al. 2016"

static void example_of_maglev(void)
{
    static const struct maglev_list lists[3] = {{3, 4, 1}, {0, 2, 1}, {3, 1, 1}};
    uint16_t table[7];
    char ours[40] = "";
    maglev_fill(lists, 3, 7, table);
    for (size_t i = 0; i < 7; i++)
        snprintf(ours + strlen(ours), sizeof(ours) - strlen(ours), "%sB%u", i ? " " : "",
                 (unsigned)table[i]);
    struct row *row = row_text(MAGLEV ", table 1", "B1 B0 B1 B0 B2 B2 B0", ours);
    SAY(row->what, "maglev, M = 7, (3,4) (0,2) (3,1)");
}

/* How much more than the mean the member with the most of M entries has: an entry is a key. */
static double over_provision(const char *spec, unsigned n, uint32_t size, uint64_t seed)
{
    struct placement *placement = build_lot(spec, n, seed);
    double *hits = mem_zalloc(n, sizeof(*hits));
    for (uint64_t entry = 0; entry < size; entry++)
        hits[placement_lookup(placement, seed << 32 | entry)] += 1;
    double over = stats_max(hits, n) * n / size - 1;
    free(hits);
    placement_free(placement);
    return over;
}

static double exact_over_provision(const char *spec, unsigned n, uint64_t seed)
{
    struct placement *placement = build_lot(spec, n, seed);
    double *shares = mem_zalloc(n, sizeof(*shares));
    placement->ops->shares(placement, shares);
    double over = stats_max(shares, n) * n - 1;
    free(shares);
    placement_free(placement);
    return over;
}

/* Section 5.3 filled one table by each method, with 1000 backends, and gave the overload of the
 * fullest. Of M keys that fall at random the fullest of 1000 members has about 3.3 standard
 * deviations of a Poisson count more than the mean, whatever the method, and the ring's luck adds
 * to it. The paper's rings are more even than that allows, so their entries were no independent
 * keys: the exact shares of such a ring, without any sampling, are 10 % over, which is its 10.3 %.
 */
static void over_provision_of_the_maglev_paper(void)
{
    static const struct {
        const char *spec;
        uint32_t size;
        double published;
        size_t n_lots;
    } cases[] = {{"ring:virtual=1000", 65537, .297, 20},
                 {"rendezvous", 65537, .495, 40},
                 {"ring:virtual=1000", 655373, .103, 10},
                 {"rendezvous", 655373, .123, 8}};
    for (size_t c = 0; c < 4; c++) {
        double draws[40];
        for (size_t i = 0; i < cases[c].n_lots; i++)
            draws[i] = over_provision(cases[c].spec, 1000, cases[c].size, i + 1);
        struct row *row =
            row_draw(MAGLEV ", section 5.3", cases[c].published, draws, cases[c].n_lots);
        SAY(row->what, "%s, N = 1000, M = %u: over-provision",
            strcmp(cases[c].spec, "rendezvous") == 0 ? "rendezvous" : "ring, K = 1000",
            cases[c].size);
    }
    double exact[10];
    for (size_t i = 0; i < 10; i++)
        exact[i] = exact_over_provision("ring:virtual=1000", 1000, i + 1);
    struct row *ring = row_draw(MAGLEV ", section 5.3", .103, exact, 10);
    SAY(ring->what, "ring, K = 1000, N = 1000, exact shares: over-provision");
    static const uint32_t sizes[] = {65537, 655373};
    for (size_t c = 0; c < 2; c++) {
        char *spec = mem_printf("maglev:table=%u", sizes[c]);
        struct placement *placement = build_lot(spec, 1000, 1);
        double shares[1000], mean = sizes[c] / 1000.0;
        placement->ops->shares(placement, shares);
        struct row *row = row_number(MAGLEV ", section 5.3", ceil(mean) / mean - 1,
                                     stats_max(shares, 1000) * 1000 - 1, 1e-9);
        SAY(row->what, "maglev, N = 1000, M = %u: an entry over at most", sizes[c]);
        placement_free(placement);
        free(spec);
    }
}

/* ---- multi-probe, two choices, bounded loads ---------------------------------------------------
 */

static void peak_of_multiprobe(void)
{
    static const unsigned probes[] = {2, 5, 21};
    for (size_t c = 0; c < 3; c++) {
        char *spec = mem_printf("multiprobe:probes=%u", probes[c]);
        double *shares = mem_zalloc(20000, sizeof(*shares)), k = probes[c];
        struct placement *placement = build_lot(spec, 20000, 1);
        placement->ops->shares(placement, shares);
        struct row *row = row_number("Appleton, O'Reilly 2015", k / (k - 1),
                                     stats_max(shares, 20000) * 20000, .015);
        SAY(row->what, "multiprobe, k = %u, N = 20000: peak to mean", probes[c]);
        placement_free(placement);
        free(shares);
        free(spec);
    }
}

/* N queues, arrivals at rate λN, service at rate 1 each: the embedded chain. By Little's law the
 * time in the system is the mean number in it over the rate of arrivals. The formula is the limit
 * of many queues. */
static double time_in_system(const char *spec, double lambda, uint64_t n_events)
{
    enum { N = 500 };
    static uint64_t queues[N];
    memset(queues, 0, sizeof(queues));
    struct placement_loads loads = {.of = queues, .total = 0};
    struct placement *placement = build_lot(spec, N, 1);
    struct rng rng;
    rng_seed(&rng, 7);
    double area = 0;
    uint64_t n_counted = 0;
    for (uint64_t event = 0; event < n_events; event++) {
        if (rng_unit(&rng) < lambda / (1 + lambda)) {
            queues[placement_lookup_loaded(placement, rng_next(&rng), &loads)]++;
            loads.total++;
        } else {
            uint64_t *queue = &queues[rng_below(&rng, N)];
            loads.total -= *queue > 0;
            *queue -= *queue > 0;
        }
        if (event >= n_events / 5) { /* settled */
            area += (double)loads.total;
            n_counted++;
        }
    }
    placement_free(placement);
    return area / (double)n_counted / N / lambda;
}

static void time_with_two_choices(void)
{
    static const double lambdas[] = {.5, .7, .9, .95};
    for (size_t c = 0; c < 4; c++) {
        double expected = 0;
        for (int i = 1; i < 20; i++)
            expected += pow(lambdas[c], ldexp(1, i) - 2);
        struct row *row = row_number("Mitzenmacher 1996", expected,
                                     time_in_system("two-choices", lambdas[c], 4000000), .02);
        SAY(row->what, "two choices, load %g: time in system, Σ λ^(2^i − 2)", lambdas[c]);
    }
    struct row *row = row_number("M/M/1, 1 / (1 − λ)", 10,
                                 time_in_system("two-choices:choices=1", .9, 12000000), .1);
    SAY(row->what, "one choice, load 0.9: time in system");
}

/* Members come to carry keys and lose them again; after every placement the bound is checked in
 * whole numbers, c being a number of hundredths. */
static void bound_of_bounded_loads(void)
{
    static const unsigned hundredths[] = {100, 105, 125, 200}, sizes[] = {3, 10, 100};
    uint64_t n_placed = 0, n_over = 0;
    for (size_t c = 0; c < 4; c++) {
        for (size_t s = 0; s < 3; s++) {
            char *spec = mem_printf("bounded:virtual=20,c=%u.%02u", hundredths[c] / 100,
                                    hundredths[c] % 100);
            struct placement *placement = build_lot(spec, sizes[s], c + 1);
            uint64_t of[100] = {0}, n = sizes[s];
            struct placement_loads loads = {.of = of, .total = 0};
            struct rng rng;
            rng_seed(&rng, s);
            for (unsigned i = 0; i < 20000; i++) {
                uint64_t victim = rng_below(&rng, n);
                if (of[victim] > 0 && rng_below(&rng, 3) == 0) {
                    of[victim]--;
                    loads.total--;
                    continue;
                }
                uint32_t member = placement_lookup_loaded(placement, rng_next(&rng), &loads);
                of[member]++;
                loads.total++;
                n_placed++;
                uint64_t bound = (hundredths[c] * loads.total + 100 * n - 1) / (100 * n);
                n_over += of[member] > bound;
            }
            placement_free(placement);
            free(spec);
        }
    }
    char ours[40];
    SAY(ours, "%" PRIu64, n_over);
    struct row *row = row_text("Mirrokni et al. 2018", "0", ours);
    SAY(row->what, "bounded: over ⌈c·mean⌉ in %" PRIu64 " placements", n_placed);
}

/* ---- redis, ketama -------------------------------------------------------------------------- */

static void slots_of_redis(void)
{
    char ours[40];
    SAY(ours, "0x%04X", (unsigned)redis_crc16("123456789", 9));
    struct row *row = row_text("Redis Cluster specification", "0x31C3", ours);
    SAY(row->what, "redis, CRC16(\"123456789\")");
    SAY(ours, "%u", redis_keyslot("somekey", 7));
    row = row_text("Redis, CLUSTER KEYSLOT", "11058", ours);
    SAY(row->what, "redis, slot of somekey");
    SAY(ours, "%u", redis_keyslot("foo{hash_tag}", 13));
    row = row_text("Redis, CLUSTER KEYSLOT", "2515", ours);
    SAY(row->what, "redis, slot of foo{hash_tag}");
}

/* The servers, the weights and the format of libketama's ketama_test: a line for its empty error,
 * and one for each key 0 … 999999. */
static void digest_of_ketama(void)
{
    static const uint32_t weights[] = {600, 300, 200, 350, 1000, 800, 950, 100};
    struct placement_member members[8];
    char names[8][16];
    for (unsigned i = 0; i < 8; i++) {
        SAY(names[i], "10.0.1.%u:11211", i + 1);
        members[i] = (struct placement_member){.id = i + 1, .name = names[i], .weight = weights[i]};
    }
    struct placement_fixture fixture;
    placement_fixture_open(&fixture, "ketama:key=text", "splitmix64");
    struct placement *placement = NULL;
    struct err err = {0};
    assert_int_equal(
        placement_build(&fixture.spec, members, 8, &fixture.hashes.pair, &placement, &err), 0);

    MD5_CTX context;
    MD5_Init(&context);
    MD5_Update(&context, "\n", 1);
    for (uint64_t key = 0; key < 1000000; key++) {
        uint32_t hash, point;
        char line[64];
        ketama_trace(placement, key, &hash, &point);
        int n = snprintf(line, sizeof(line), "%u %u %s\n", hash, point,
                         names[placement_lookup(placement, key)]);
        MD5_Update(&context, line, (size_t)n);
    }
    unsigned char digest[MD5_DIGEST_LENGTH];
    char ours[40];
    MD5_Final(digest, &context);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(ours + 2 * i, 3, "%02x", digest[i]);
    placement_free(placement);
    placement_fixture_close(&fixture);
    struct row *row = row_text("libketama, test.sh", "5672b131391f5aa2b280936aec1eea74", ours);
    SAY(row->what, "ketama, MD5 of the answers to a million keys");
}

/* ---- main ----------------------------------------------------------------------------------- */

#define RESULTS(X)                                                                                 \
    X(ring_of_the_jump_paper)                                                                      \
    X(evenness_of_jump)                                                                            \
    X(keys_of_jump)                                                                                \
    X(steps_of_jump)                                                                               \
    X(spread_of_rings)                                                                             \
    X(ring_of_envoy)                                                                               \
    X(example_of_maglev)                                                                           \
    X(over_provision_of_the_maglev_paper)                                                          \
    X(peak_of_multiprobe)                                                                          \
    X(time_with_two_choices)                                                                       \
    X(bound_of_bounded_loads)                                                                      \
    X(slots_of_redis)                                                                              \
    X(digest_of_ketama)

#define DEFINE_TEST(name)                                                                          \
    static void name##_is_as_published(void **state)                                               \
    {                                                                                              \
        (void)state;                                                                               \
        unsigned before = n_failed;                                                                \
        name();                                                                                    \
        assert_int_equal(n_failed, before);                                                        \
    }
#define NAME_TEST(name) cmocka_unit_test(name##_is_as_published),
#define CALL(name) name();

RESULTS(DEFINE_TEST)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "table") == 0) {
        RESULTS(CALL)
        return print_table();
    }
    const struct CMUnitTest tests[] = {RESULTS(NAME_TEST)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
