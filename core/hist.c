#include "core/hist.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* A value of shift s (bits dropped) has sub = value >> s in [1024, 2048), or in [0, 2048) for s =
 * 0, and the index (s << 10) + sub:
 *
 *   value      0 … 2047   2048 … 4095   4096 … 8191   …   2^39 … 2^40 − 1
 *   shift         0            1             2        …         29
 *   bucket width  1            2             4        …        2^29
 *   index      0 … 2047   2048 … 3071   3072 … 4095   …   30720 … 31743
 */
#define HIST_HALF_BITS 10
#define HIST_SUB_BUCKETS (2u << HIST_HALF_BITS)
#define HIST_MAX_BITS 40
#define HIST_MAX_VALUE ((UINT64_C(1) << HIST_MAX_BITS) - 1)
#define HIST_BUCKETS (HIST_MAX_BITS - HIST_HALF_BITS)
#define HIST_COUNTS ((HIST_BUCKETS + 1u) << HIST_HALF_BITS)
#define HIST_DIGITS 3
#define HIST_TICKS_PER_HALF 5

struct hist {
    uint64_t n;
    uint64_t n_clipped;
    uint64_t min; /* UINT64_MAX when empty */
    uint64_t max;
    unsigned __int128 sum;
    uint64_t counts[HIST_COUNTS];
};

static inline unsigned hist_index(uint64_t value)
{
    /* The OR makes every value below 2048 as long as 2047: shift 0. */
    unsigned shift =
        (unsigned)(63 - __builtin_clzll(value | (HIST_SUB_BUCKETS - 1))) - HIST_HALF_BITS;

    return (shift << HIST_HALF_BITS) + (unsigned)(value >> shift);
}

static uint64_t hist_bucket_low(unsigned index)
{
    unsigned shift = index < HIST_SUB_BUCKETS ? 0 : (index >> HIST_HALF_BITS) - 1;

    return (uint64_t)(index - (shift << HIST_HALF_BITS)) << shift;
}

static uint64_t hist_bucket_high(unsigned index)
{
    unsigned shift = index < HIST_SUB_BUCKETS ? 0 : (index >> HIST_HALF_BITS) - 1;

    return hist_bucket_low(index) + (UINT64_C(1) << shift) - 1;
}

struct hist *hist_new(void)
{
    struct hist *hist = mem_alloc(sizeof(*hist));

    hist_reset(hist);
    return hist;
}

void hist_free(struct hist *hist)
{
    free(hist);
}

void hist_reset(struct hist *hist)
{
    memset(hist, 0, sizeof(*hist));
    hist->min = UINT64_MAX;
}

void hist_record_n(struct hist *hist, uint64_t value, uint64_t n)
{
    uint64_t clipped = value < HIST_MAX_VALUE ? value : HIST_MAX_VALUE;

    if (n == 0)
        return;
    hist->counts[hist_index(clipped)] += n;
    hist->n += n;
    hist->n_clipped += value > HIST_MAX_VALUE ? n : 0;
    hist->sum += (unsigned __int128)value * n;
    hist->min = value < hist->min ? value : hist->min;
    hist->max = value > hist->max ? value : hist->max;
}

void hist_record(struct hist *hist, uint64_t value)
{
    hist_record_n(hist, value, 1);
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_COUNTS; i++)
        into->counts[i] += from->counts[i];
    into->n += from->n;
    into->n_clipped += from->n_clipped;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t hist_count(const struct hist *hist)
{
    return hist->n;
}

uint64_t hist_min(const struct hist *hist)
{
    return hist->n > 0 ? hist->min : 0;
}

uint64_t hist_max(const struct hist *hist)
{
    return hist->max;
}

double hist_mean(const struct hist *hist)
{
    return hist->n > 0 ? (double)hist->sum / (double)hist->n : 0;
}

uint64_t hist_clipped(const struct hist *hist)
{
    return hist->n_clipped;
}

/* ⌈percentile/100·n⌉, at least 1. 99.9 is no binary fraction: the product may come out a hair above
 * the whole number that was meant, and must not be rounded up to the next. */
static uint64_t hist_rank(double percentile, uint64_t n)
{
    double exact = percentile * (double)n / 100;
    double below = floor(exact);
    double rank = exact - below <= exact * 0x1p-50 ? below : below + 1;

    if (!(rank > 1))
        return 1;
    return rank >= (double)n ? n : (uint64_t)rank;
}

uint64_t hist_percentile(const struct hist *hist, double percentile)
{
    uint64_t rank, seen = 0;

    if (hist->n == 0)
        return 0;
    assert(percentile >= 0 && percentile <= 100);
    rank = hist_rank(percentile, hist->n);
    if (rank == hist->n)
        return hist->max;
    for (unsigned i = hist_index(hist->min < HIST_MAX_VALUE ? hist->min : HIST_MAX_VALUE);
         i < HIST_COUNTS; i++) {
        seen += hist->counts[i];
        if (seen >= rank) {
            uint64_t high = hist_bucket_high(i);

            return high < hist->max ? high : hist->max;
        }
    }
    return hist->max;
}

/* From the middles of the buckets, as HdrHistogram does. */
static double hist_stddev(const struct hist *hist)
{
    double mean = hist_mean(hist), squares = 0;

    if (hist->n == 0)
        return 0;
    for (unsigned i = 0; i < HIST_COUNTS; i++) {
        double middle = ((double)hist_bucket_low(i) + (double)hist_bucket_high(i)) / 2;

        squares += (double)hist->counts[i] * (middle - mean) * (middle - mean);
    }
    return sqrt(squares / (double)hist->n);
}

/* The lines of the percentile iterator: at each recorded value, every level it reaches, the levels
 * being 5 to each halving of the distance to 100 %; and 100 % last. */
static void hist_write_percentiles(const struct hist *hist, FILE *out, double unit)
{
    double level = 0;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HIST_COUNTS && seen < hist->n; i++) {
        uint64_t high = hist_bucket_high(i);
        double value = (double)(high < hist->max ? high : hist->max) / unit;

        if (hist->counts[i] == 0)
            continue;
        seen += hist->counts[i];
        while (100.0 * (double)seen / (double)hist->n >= level) {
            double halvings = floor(log2(100.0 / (100.0 - level)));

            fprintf(out, "%12.*f %2.12f %10llu %14.2f\n", HIST_DIGITS, value, level / 100,
                    (unsigned long long)seen, 1 / (1 - level / 100));
            level += 100.0 / (HIST_TICKS_PER_HALF * exp2(halvings + 1));
            if (seen == hist->n)
                break;
        }
    }
    if (hist->n > 0)
        fprintf(out, "%12.*f %2.12f %10llu\n", HIST_DIGITS, (double)hist->max / unit, 1.0,
                (unsigned long long)hist->n);
}

int hist_write_hgrm(const struct hist *hist, FILE *out, double unit)
{
    assert(unit > 0);
    errno = 0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    hist_write_percentiles(hist, out, unit);
    fprintf(out, "#[Mean    = %12.*f, StdDeviation   = %12.*f]\n", HIST_DIGITS,
            hist_mean(hist) / unit, HIST_DIGITS, hist_stddev(hist) / unit);
    fprintf(out, "#[Max     = %12.*f, Total count    = %12llu]\n", HIST_DIGITS,
            (double)hist->max / unit, (unsigned long long)hist->n);
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", HIST_BUCKETS, HIST_SUB_BUCKETS);
    if (fflush(out) != 0 || ferror(out))
        return errno != 0 ? -errno : -EIO;
    return 0;
}
