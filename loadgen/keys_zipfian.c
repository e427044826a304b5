/* Zipfian keys by rejection-inversion: W. Hörmann, G. Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", ACM TOMACS 6(3), 1996. No table, any exponent >
 * 0, at most 1.1 draws a key for the usual ones.
 *
 * h(x) = x^−s is the weight of rank x; H is its integral, shifted so that H(1) = 0. A uniform u in
 * H's image over [1/2 …, n + 1/2] is inverted, rounded to the nearest rank, and taken when it falls
 * under the bar of that rank, which a first comparison settles nearly always. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "loadgen/keys.h"

struct zipfian {
    struct keys keys;
    uint64_t low, high;
    double exponent;
    bool scrambled;
    uint64_t seed;
    double n;
    double h_first; /* H(1.5) − h(1) */
    double h_last;  /* H(n + 0.5) */
    double near;    /* a rounding distance that needs no second look */
};

static const struct keys_ops zipfian_ops;

/* ln(1 + x) / x and (e^x − 1) / x, also at 0, where exponents near 1 lead. */
static double log1p_over(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1. - x * (.5 - x / 3.);
}

static double expm1_over(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1. + x * .5 * (1. + x / 3.);
}

static double weight(const struct zipfian *self, double x)
{
    return exp(-self->exponent * log(x));
}

/* (x^(1−s) − 1) / (1 − s), which is ln x at s = 1. */
static double integral(const struct zipfian *self, double x)
{
    double log_x = log(x);

    return expm1_over((1. - self->exponent) * log_x) * log_x;
}

static double integral_inverse(const struct zipfian *self, double y)
{
    /* Below −1 only by rounding. */
    double t = fmax(-1., y * (1. - self->exponent));

    return exp(log1p_over(t) * y);
}

static int zipfian_open(const void *params, const struct keys_place *place, struct keys **ret_keys,
                        struct err *err)
{
    const struct zipfian *given = params;
    struct zipfian *self;

    if (given->low > given->high)
        return err_set(err, -EINVAL, "low=%llu is above high=%llu", (unsigned long long)given->low,
                       (unsigned long long)given->high);
    if (!(given->exponent > 0.))
        return err_set(err, -EINVAL, "exponent=0 is no zipfian choice; uniform is what it means");
    self = mem_zalloc(1, sizeof(*self));
    *self = *given;
    self->keys = (struct keys){.ops = &zipfian_ops, .low = given->low, .high = given->high};
    self->seed = place->seed;
    self->n = (double)(given->high - given->low + 1);
    self->h_first = integral(self, 1.5) - 1.;
    self->h_last = integral(self, self->n + .5);
    self->near = 2. - integral_inverse(self, integral(self, 2.5) - weight(self, 2.));
    *ret_keys = &self->keys;
    return 0;
}

static double draw_rank(const struct zipfian *self, struct rng *rng)
{
    for (;;) {
        double u = self->h_last + rng_unit(rng) * (self->h_first - self->h_last);
        double x = integral_inverse(self, u);
        double rank = fmin(fmax(floor(x + .5), 1.), self->n);

        if (rank - x <= self->near || u >= integral(self, rank + .5) - weight(self, rank))
            return rank;
    }
}

static uint64_t zipfian_next(struct keys *keys, struct rng *rng)
{
    const struct zipfian *self = (const struct zipfian *)keys;
    uint64_t at = (uint64_t)draw_rank(self, rng) - 1;

    if (self->scrambled)
        at = keys_permute(at, self->high - self->low + 1, self->seed);
    return self->low + at;
}

static const struct option_def zipfian_options[] = {
    {.name = "low",
     .type = OPTION_U64,
     .offset = offsetof(struct zipfian, low),
     .metavar = "KEY",
     .fallback = "100000",
     .max = KEYS_MAX - 1,
     .help = "lowest key, the most popular unless scrambled"},
    {.name = "high",
     .type = OPTION_U64,
     .offset = offsetof(struct zipfian, high),
     .metavar = "KEY",
     .fallback = "999999",
     .max = KEYS_MAX - 1,
     .help = "highest key"},
    {.name = "exponent",
     .type = OPTION_DOUBLE,
     .offset = offsetof(struct zipfian, exponent),
     .metavar = "S",
     .fallback = "0.99",
     .max = 20,
     .help = "how steep; YCSB's default is 0.99"},
    {.name = "scrambled",
     .type = OPTION_FLAG,
     .offset = offsetof(struct zipfian, scrambled),
     .help = "spread the popular keys over the range, by the seed"},
    {.name = NULL}};

static const struct keys_ops zipfian_ops = {
    .part = {.name = "zipfian",
             .summary = "the r-th most popular key has weight 1/r^exponent",
             .source = "Hörmann and Derflinger 1996, rejection-inversion",
             .options = zipfian_options,
             .params_size = sizeof(struct zipfian)},
    .open = zipfian_open,
    .next = zipfian_next,
};
KEYS_REGISTER(zipfian_ops);
