#include "ring/balance.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/stats.h"

/* A member on the Lorenz curve. */
struct loaded {
    double load, part, share;
};

static int compare_loads(const void *a, const void *b)
{
    const struct loaded *x = a, *y = b;
    return (x->load > y->load) - (x->load < y->load);
}

/* One less twice the area under the Lorenz curve, which is straight between members. */
static double gini_of(struct loaded *loads, size_t n)
{
    double twice_area = 0, below = 0;
    qsort(loads, n, sizeof(*loads), compare_loads);
    for (size_t i = 0; i < n; i++) {
        twice_area += loads[i].part * (below + below + loads[i].share);
        below += loads[i].share;
    }
    double gini = 1 - twice_area;
    return gini > 0 ? gini : 0; /* rounding */
}

static void fit(const uint64_t *counts, const struct loaded *loads, size_t n,
                struct ring_balance *balance)
{
    balance->chi_square = balance->p = NAN;
    balance->df = 0;
    if (!counts || n < 2)
        return;
    double *parts = mem_zalloc(n, sizeof(*parts));
    for (size_t i = 0; i < n; i++)
        parts[i] = loads[i].part;
    balance->df = (unsigned)n - 1;
    balance->chi_square = stats_chi_square(counts, parts, n);
    balance->p = stats_chi_square_p(balance->chi_square, balance->df);
    free(parts);
}

void ring_balance_of(const double *shares, const uint64_t *counts,
                     const struct ring_members *members, struct ring_balance *ret_balance)
{
    size_t n = members->n;
    struct loaded *loads = mem_zalloc(n, sizeof(*loads));
    struct ring_balance balance = {.peak = -1, .least = INFINITY};
    double weights = 0, squares = 0;
    assert(n > 0);
    for (size_t i = 0; i < n; i++)
        weights += members->at[i].weight;
    for (size_t i = 0; i < n; i++) {
        double part = members->at[i].weight / weights, load = shares[i] / part;
        loads[i] = (struct loaded){.load = load, .part = part, .share = shares[i]};
        squares += part * (load - 1) * (load - 1);
        balance.n_without += !(shares[i] > 0);
        if (load > balance.peak) {
            balance.peak = load;
            balance.peak_member = i;
        }
        if (load < balance.least) {
            balance.least = load;
            balance.least_member = i;
        }
    }
    fit(counts, loads, n, &balance);
    balance.cov = sqrt(squares);
    balance.jain = 1 / (1 + squares);
    balance.gini = gini_of(loads, n);
    free(loads);
    *ret_balance = balance;
}
