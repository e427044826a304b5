#include "ring/lint.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "ring/change.h"
#include "ring/names.h"

#define N_CELLS 512u         /* of a circle, to look for heaps in */
#define HOT_CELL 3.0         /* times an even part; of 900000 ids in 512 cells 1.13 by chance */
#define PEAK_WARN 1.25       /* of the most loaded over the mean */
#define SPREAD_WARN 0.10     /* CoV that the theory expects */
#define SPREAD_WANTED 0.05   /* … and what is advised in its place */
#define ABSORBER_WARN 2.0    /* times an even part */
#define N_CHANGES 8u         /* failures that are tried */
#define N_DRAWS 9u           /* sets of names that are tried */
#define MAX_NODES (1u << 22) /* of points that are looked through for collisions */

static void add(struct ring_lint *lint, enum ring_level level, const char *about,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(struct ring_lint *lint, enum ring_level level, const char *about,
                const char *format, ...)
{
    va_list args;
    struct buf says;
    assert(lint->n < RING_MAX_FINDINGS);
    buf_init(&says, 0);
    va_start(args, format);
    buf_vappendf(&says, format, args);
    va_end(args);
    lint->at[lint->n++] =
        (struct ring_finding){.level = level, .about = about, .says = mem_strdup(buf_str(&says))};
    buf_done(&says);
}

/* What all checks look at. */
struct subject {
    const struct ring_setup *setup;
    const struct ring_members *members;
    struct ring_keys keys;
    struct ring_state state;
    struct ring_lint *lint;
    uint64_t n_virtual, n_slots; /* 0 where the placement has no such option */
};

/* ---- requests ------------------------------------------------------------------------------- */

/* Slots, or 512 parts of a circle, that no request id falls into, and the one that most do. */
static void check_hot_slots(const struct subject *s)
{
    uint64_t n_cells = s->n_slots ? s->n_slots : N_CELLS, most = 0, n_empty = 0;
    if (isnan(ring_setup_position(s->setup, s->keys.keys[0])))
        return;
    uint64_t *cells = mem_zalloc(n_cells, sizeof(*cells));
    for (size_t i = 0; i < s->keys.n; i++)
        cells[(size_t)(ring_setup_position(s->setup, s->keys.keys[i]) * (double)n_cells)]++;
    for (uint64_t i = 0; i < n_cells; i++) {
        most = cells[i] > most ? cells[i] : most;
        n_empty += cells[i] == 0;
    }
    free(cells);
    double even = (double)s->keys.n / (double)n_cells;
    if ((double)most > HOT_CELL * even && even > 50)
        add(s->lint, RING_WARN, "hot slots",
            "the request hash %s sends the request ids to %" PRIu64 " of %" PRIu64
            " %s, and %.1f times an even part to one of them; a hash that mixes (splitmix64, xxh3) "
            "would reach all alike",
            s->setup->hashes.request.part->name, n_cells - n_empty, n_cells,
            s->n_slots ? "slots" : "equal parts of the circle", (double)most / even);
}

/* ---- servers' points ------------------------------------------------------------------------ */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of a circle, the greatest part without a point, in terms of the mean: ln n is usual. */
static double greatest_gap(const uint64_t *points, size_t n)
{
    uint64_t most = points[0] - points[n - 1]; /* around the end, modulo 2^64 */
    for (size_t i = 1; i < n; i++)
        most = points[i] - points[i - 1] > most ? points[i] - points[i - 1] : most;
    return ldexp((double)most, -64) * (double)n;
}

static void check_points(const struct subject *s)
{
    size_t n = s->members->n * s->n_virtual, n_distinct = 0;
    if (!s->n_virtual || n > MAX_NODES || n < 2)
        return;
    uint64_t *points = mem_zalloc(n, sizeof(*points));
    for (size_t i = 0; i < n; i++) {
        points[i] = hash_point(s->setup->pair.server, s->members->at[i / s->n_virtual].id,
                               i % s->n_virtual);
        if (s->n_slots)
            points[i] %= s->n_slots;
    }
    qsort(points, n, sizeof(*points), compare_numbers);
    for (size_t i = 0; i < n; i++)
        n_distinct += i == 0 || points[i] != points[i - 1];
    double count = (double)n, slots = (double)s->n_slots;
    double expected = s->n_slots ? count - slots * (1 - pow(1 - 1 / slots, count)) : 0;
    double collided = (double)(n - n_distinct);
    /* The number is nearly Poisson's while the slots are far from full. */
    if (collided > expected + 3 * sqrt(expected) + 1)
        add(s->lint, RING_WARN, "collisions",
            "%.0f of %zu virtual servers hash to a %s that is taken (%.1f expected by chance): "
            "the server hash %s repeats itself",
            collided, n, s->n_slots ? "slot" : "point", expected,
            s->setup->hashes.server.part->name);
    if (!s->n_slots) {
        double gap = greatest_gap(points, n), usual = log(count) + 7; /* beyond once in 1000 */
        if (gap > usual)
            add(s->lint, RING_WARN, "heap",
                "the points lie in a heap: one gap is %.1f %% of the circle, %.0f times the mean "
                "(%.0f at most by chance): the server hash %s does not fill 64 bits",
                100 * gap / count, gap, usual, s->setup->hashes.server.part->name);
    }
    free(points);
}

/* CoV² falls as 1/K. */
static void check_spread(const struct subject *s)
{
    const struct placement_ops *ops = ring_setup_ops(s->setup);
    if (!ops->spread || s->members->n < 2)
        return;
    double spread = ops->spread(s->setup->spec.params, s->members->n);
    if (!(spread > SPREAD_WARN))
        return;
    if (s->n_virtual) {
        double factor = spread * spread / (SPREAD_WANTED * SPREAD_WANTED);
        double wanted = ceil((double)s->n_virtual * factor);
        if (s->n_slots)
            add(s->lint, RING_WARN, "too few points",
                "K = %" PRIu64 " virtual servers: even a perfect hash leaves the shares a "
                "coefficient of variation of %.2f; %.0f would bring it to %.2f, in as many times "
                "more slots",
                s->n_virtual, spread, wanted, SPREAD_WANTED);
        else
            add(s->lint, RING_WARN, "too few points",
                "K = %" PRIu64 " points: even a perfect hash leaves the shares a coefficient of "
                "variation of %.2f; virtual=%.0f brings it to %.2f",
                s->n_virtual, spread, wanted, SPREAD_WANTED);
    } else {
        add(s->lint, RING_WARN, "too few points",
            "even a perfect hash leaves the shares a coefficient of variation of %.2f", spread);
    }
}

/* ---- what comes of it ----------------------------------------------------------------------- */

static void check_balance(const struct subject *s)
{
    size_t n = s->members->n;
    struct ring_balance balance;
    double *shares = mem_zalloc(n, sizeof(*shares));
    uint64_t *counts = mem_zalloc(n, sizeof(*counts));
    ring_shares_of(&s->keys, s->state.placement, shares, counts);
    ring_balance_of(shares, NULL, s->members, &balance);
    free(shares);
    free(counts);
    if (balance.peak > PEAK_WARN)
        add(s->lint, RING_WARN, "balance",
            "%s has %.2f times its part of the request ids, %s %.2f times",
            s->members->names[balance.peak_member], balance.peak,
            s->members->names[balance.least_member], balance.least);
    if (balance.n_without > 0)
        add(s->lint, RING_WARN, "balance", "%zu of %zu servers get no request at all",
            balance.n_without, n);
}

/* Good with these names, bad with others: the next replacement has another name. */
static void check_names(const struct subject *s)
{
    struct ring_names names;
    struct err err;
    if (s->members->n < 2 ||
        ring_names_measure(s->setup, s->members->n, &s->keys, N_DRAWS, 1, &names, &err) != 0)
        return;
    if (names.peak.median > PEAK_WARN)
        add(s->lint, RING_WARN, "names",
            "with random names, as replacements have them, the most loaded server has %.2f times "
            "the mean (median of %zu draws; %.2f to %.2f)",
            names.peak.median, names.n_draws, names.peak.least, names.peak.most);
}

static void check_changes(const struct subject *s)
{
    struct ring_change change;
    struct err err;
    if (s->members->n < 2 ||
        ring_change_measure(s->setup, &s->state, &s->keys, N_CHANGES, 1, &change, &err) != 0)
        return;
    const struct ring_moves *leave = &change.leave;
    if (leave->n > 0 && s->members->n > 2 && leave->absorber.worst > ABSORBER_WARN)
        add(s->lint, RING_WARN, "absorber",
            "when a server dies, one survivor can get %.1f times an even part of its requests "
            "(the mean of the largest: %.1f); the load after it: up to %.2f times the mean",
            leave->absorber.worst, leave->absorber.mean, leave->peak);
    if (leave->n > 0 && leave->ratio.worst > 1.001)
        add(s->lint, leave->ratio.worst > 1.5 ? RING_WARN : RING_NOTE, "moves",
            "when a server leaves, up to %.2f times the keys move that must (%.1f %% of all go "
            "from one survivor to another): sessions and caches of healthy servers are lost",
            leave->ratio.worst, 100 * leave->between.worst);
    if (change.history.worst > 0)
        add(s->lint, RING_NOTE, "history",
            "it remembers: after a failure and its replacement, up to %.1f %% of the keys are "
            "elsewhere than in one built anew of the same servers, as by a load balancer that was "
            "restarted",
            100 * change.history.worst);
    if (change.join.n == 0)
        add(s->lint, RING_WARN, "room", "there is no room for one server more");
}

static bool builds(const struct ring_setup *setup, size_t n)
{
    struct ring_members members;
    struct ring_state state = {0};
    ring_members_count(&members, n);
    bool does = ring_state_build(setup, &members, &state, NULL) == 0;
    ring_state_done(&state);
    ring_members_done(&members);
    return does;
}

/* Why it cannot be built; where there are too many servers, how many there may be. */
static void check_room(const struct subject *s, const char *reason)
{
    size_t fits = 0, fails = s->members->n;
    if (builds(s->setup, fails)) { /* not for their number: weights, or an id twice */
        add(s->lint, RING_ERROR, "impossible", "%s", reason);
        return;
    }
    while (fails - fits > 1) {
        size_t n = fits + (fails - fits) / 2;
        if (builds(s->setup, n))
            fits = n;
        else
            fails = n;
    }
    add(s->lint, RING_ERROR, "impossible", "%s (at most %zu servers with these options)", reason,
        fits);
}

void ring_lint_run(const struct ring_setup *setup, const struct ring_members *members,
                   struct ring_lint *ret_lint)
{
    struct subject s = {.setup = setup, .members = members, .lint = ret_lint};
    struct err err;
    memset(ret_lint, 0, sizeof(*ret_lint));
    if (ring_state_build(setup, members, &s.state, &err) != 0) {
        check_room(&s, err.message);
        return;
    }
    s.n_virtual = ring_setup_option(setup, "virtual");
    s.n_slots = ring_setup_option(setup, "slots");
    ring_keys_init(&s.keys, RING_OVER_IDS, 0, 1);
    check_hot_slots(&s);
    check_points(&s);
    check_spread(&s);
    check_balance(&s);
    check_names(&s);
    check_changes(&s);
    ring_keys_done(&s.keys);
    ring_state_done(&s.state);
}

void ring_lint_done(struct ring_lint *lint)
{
    for (size_t i = 0; i < lint->n; i++)
        free(lint->at[i].says);
    lint->n = 0;
}

enum ring_level ring_lint_worst(const struct ring_lint *lint)
{
    enum ring_level worst = RING_NOTE;
    for (size_t i = 0; i < lint->n; i++)
        worst = lint->at[i].level > worst ? lint->at[i].level : worst;
    return worst;
}

const char *ring_level_name(enum ring_level level)
{
    return level == RING_ERROR ? "error" : level == RING_WARN ? "warning" : "note";
}
