#include "loadgen/timeline.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/name.h"

/* Latencies in µs: below 128 one cell each, above 64 cells a power of two, up to 2^32. */
#define HALF_BITS 6
#define LINEAR_US 128u
#define MAX_BITS 32
#define N_LATENCIES ((MAX_BITS - HALF_BITS + 1u) << HALF_BITS)

struct cell {
    uint32_t n;
    uint16_t index;
};

/* The cells that are not 0. */
struct sparse {
    struct cell *cells;
    size_t n_cells;
};

struct bucket {
    uint64_t n_by_verdict[VERDICT_N];
    uint64_t n_dropped;
    uint64_t n_writes_ok, n_writes_failed;
    uint64_t max_ns;
    struct sparse latencies;
    struct sparse servers;
};

struct timeline {
    uint64_t width_ns;
    uint64_t origin; /* in buckets since the clock's zero */
    struct bucket *buckets;
    size_t n_buckets;
    size_t capacity;
    char (*servers)[NAME_MAX_BYTES + 1];
    size_t n_servers;
    bool has_writes;
    /* Of the bucket that is being filled, and n_buckets − 1 while one is. */
    bool is_filling;
    uint32_t latencies[N_LATENCIES];
    uint32_t by_server[TIMELINE_MAX_SERVERS];
};

static uint16_t latency_index(uint64_t ns)
{
    const uint64_t max_us = (UINT64_C(1) << MAX_BITS) - 1;
    uint64_t us = ns / NS_PER_US < max_us ? ns / NS_PER_US : max_us;
    unsigned shift = (unsigned)(63 - __builtin_clzll(us | (LINEAR_US - 1))) - HALF_BITS;

    return (uint16_t)((shift << HALF_BITS) + (unsigned)(us >> shift));
}

/* The highest latency that counts in the cell. */
static uint64_t latency_of(unsigned index)
{
    unsigned shift = index < LINEAR_US ? 0 : (index >> HALF_BITS) - 1;
    uint64_t us = (uint64_t)(index - (shift << HALF_BITS) + 1) << shift;

    return us * NS_PER_US - 1;
}

struct timeline *timeline_new(uint64_t width_ns, uint64_t origin_ns)
{
    struct timeline *timeline = mem_zalloc(1, sizeof(*timeline));

    assert(width_ns > 0);
    timeline->width_ns = width_ns;
    timeline->origin = origin_ns / width_ns;
    timeline->servers = mem_zalloc(TIMELINE_MAX_SERVERS, sizeof(*timeline->servers));
    return timeline;
}

void timeline_free(struct timeline *timeline)
{
    if (!timeline)
        return;
    for (size_t i = 0; i < timeline->n_buckets; i++) {
        free(timeline->buckets[i].latencies.cells);
        free(timeline->buckets[i].servers.cells);
    }
    free(timeline->buckets);
    free(timeline->servers);
    free(timeline);
}

static void pack(struct sparse *sparse, uint32_t *dense, size_t n)
{
    size_t n_cells = 0;

    for (size_t i = 0; i < n; i++)
        n_cells += dense[i] > 0;
    sparse->cells = mem_realloc(sparse->cells, n_cells ? n_cells : 1, sizeof(*sparse->cells));
    sparse->n_cells = n_cells;
    n_cells = 0;
    for (size_t i = 0; i < n; i++) {
        if (dense[i] > 0)
            sparse->cells[n_cells++] = (struct cell){.index = (uint16_t)i, .n = dense[i]};
        dense[i] = 0;
    }
}

static void unpack(const struct sparse *sparse, uint32_t *dense)
{
    for (size_t i = 0; i < sparse->n_cells; i++)
        dense[sparse->cells[i].index] += sparse->cells[i].n;
}

/* Ends the bucket that is being filled. */
static void settle(struct timeline *timeline)
{
    struct bucket *bucket;

    if (!timeline->is_filling)
        return;
    bucket = &timeline->buckets[timeline->n_buckets - 1];
    pack(&bucket->latencies, timeline->latencies, N_LATENCIES);
    pack(&bucket->servers, timeline->by_server, TIMELINE_MAX_SERVERS);
    timeline->is_filling = false;
}

static void grow(struct timeline *timeline, size_t n_buckets)
{
    if (n_buckets > timeline->capacity) {
        timeline->capacity = n_buckets * 2;
        timeline->buckets =
            mem_realloc(timeline->buckets, timeline->capacity, sizeof(*timeline->buckets));
    }
    if (n_buckets > timeline->n_buckets) {
        memset(timeline->buckets + timeline->n_buckets, 0,
               (n_buckets - timeline->n_buckets) * sizeof(*timeline->buckets));
        timeline->n_buckets = n_buckets;
    }
}

static struct bucket *bucket_at(struct timeline *timeline, uint64_t now_ns)
{
    uint64_t at = now_ns / timeline->width_ns;

    assert(at >= timeline->origin);
    at -= timeline->origin;
    if (at >= TIMELINE_MAX_BUCKETS)
        at = TIMELINE_MAX_BUCKETS - 1;
    if (at + 1 > timeline->n_buckets) {
        settle(timeline);
        grow(timeline, (size_t)at + 1);
    }
    if (!timeline->is_filling) {
        unpack(&timeline->buckets[timeline->n_buckets - 1].latencies, timeline->latencies);
        unpack(&timeline->buckets[timeline->n_buckets - 1].servers, timeline->by_server);
        timeline->is_filling = true;
    }
    return &timeline->buckets[timeline->n_buckets - 1];
}

static size_t server_at(struct timeline *timeline, const char *name, size_t n)
{
    size_t i = 0;

    while (i < timeline->n_servers &&
           (strlen(timeline->servers[i]) != n || memcmp(timeline->servers[i], name, n) != 0))
        i++;
    if (i == timeline->n_servers) {
        if (i == TIMELINE_MAX_SERVERS)
            return i - 1;
        memcpy(timeline->servers[i], name, n);
        timeline->n_servers++;
        if (timeline->n_servers == TIMELINE_MAX_SERVERS)
            snprintf(timeline->servers[i], sizeof(timeline->servers[i]), "(further)");
    }
    return i;
}

void timeline_record(struct timeline *timeline, uint64_t now_ns, enum verdict verdict,
                     uint64_t latency_ns, const char *server, size_t n_bytes)
{
    struct bucket *bucket = bucket_at(timeline, now_ns);

    bucket->n_by_verdict[verdict]++;
    if (verdict != VERDICT_OK)
        return;
    timeline->latencies[latency_index(latency_ns)]++;
    bucket->max_ns = latency_ns > bucket->max_ns ? latency_ns : bucket->max_ns;
    if (n_bytes)
        timeline->by_server[server_at(timeline, server, n_bytes)]++;
}

void timeline_record_write(struct timeline *timeline, uint64_t now_ns, enum verdict verdict)
{
    struct bucket *bucket = bucket_at(timeline, now_ns);

    timeline->has_writes = true;
    if (verdict == VERDICT_OK)
        bucket->n_writes_ok++;
    else
        bucket->n_writes_failed++;
}

void timeline_drop(struct timeline *timeline, uint64_t now_ns)
{
    bucket_at(timeline, now_ns)->n_dropped++;
}

void timeline_merge(struct timeline *into, struct timeline *from)
{
    uint16_t server_of[TIMELINE_MAX_SERVERS];

    assert(into->width_ns == from->width_ns && into->origin == from->origin);
    settle(into);
    settle(from);
    grow(into, from->n_buckets);
    into->has_writes |= from->has_writes;
    for (size_t s = 0; s < from->n_servers; s++)
        server_of[s] = (uint16_t)server_at(into, from->servers[s], strlen(from->servers[s]));
    for (size_t i = 0; i < from->n_buckets; i++) {
        const struct bucket *more = &from->buckets[i];
        struct bucket *bucket = &into->buckets[i];

        for (int v = 0; v < VERDICT_N; v++)
            bucket->n_by_verdict[v] += more->n_by_verdict[v];
        bucket->n_dropped += more->n_dropped;
        bucket->n_writes_ok += more->n_writes_ok;
        bucket->n_writes_failed += more->n_writes_failed;
        bucket->max_ns = more->max_ns > bucket->max_ns ? more->max_ns : bucket->max_ns;
        unpack(&bucket->latencies, into->latencies);
        unpack(&more->latencies, into->latencies);
        unpack(&bucket->servers, into->by_server);
        for (size_t c = 0; c < more->servers.n_cells; c++)
            into->by_server[server_of[more->servers.cells[c].index]] += more->servers.cells[c].n;
        pack(&bucket->latencies, into->latencies, N_LATENCIES);
        pack(&bucket->servers, into->by_server, TIMELINE_MAX_SERVERS);
    }
}

/* In ms; the smallest value that `percent` of the bucket's answers do not pass. */
static double percentile(const struct bucket *bucket, unsigned percent)
{
    uint64_t n_ok = bucket->n_by_verdict[VERDICT_OK], seen = 0, value = bucket->max_ns;
    uint64_t rank = (n_ok * percent + 99) / 100;

    for (size_t i = 0; i < bucket->latencies.n_cells && seen < rank; i++) {
        seen += bucket->latencies.cells[i].n;
        value = latency_of(bucket->latencies.cells[i].index);
    }
    return (double)(value < bucket->max_ns ? value : bucket->max_ns) / (double)NS_PER_MS;
}

struct column {
    const char *name;
    size_t index;
};

static int compare_columns(const void *a, const void *b)
{
    return strverscmp(((const struct column *)a)->name, ((const struct column *)b)->name);
}

static void write_bucket(const struct timeline *timeline, const struct bucket *bucket,
                         const struct column *columns, FILE *out)
{
    uint64_t n_failed = 0;
    uint32_t by_server[TIMELINE_MAX_SERVERS] = {0};

    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++)
        n_failed += bucket->n_by_verdict[v];
    fprintf(out, "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, bucket->n_by_verdict[VERDICT_OK], n_failed,
            bucket->n_dropped);
    if (bucket->n_by_verdict[VERDICT_OK])
        fprintf(out, "\t%.4f\t%.4f\t%.4f", percentile(bucket, 50), percentile(bucket, 99),
                (double)bucket->max_ns / (double)NS_PER_MS);
    else
        fputs("\tNaN\tNaN\tNaN", out);
    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++)
        fprintf(out, "\t%" PRIu64, bucket->n_by_verdict[v]);
    if (timeline->has_writes)
        fprintf(out, "\t%" PRIu64 "\t%" PRIu64, bucket->n_writes_ok, bucket->n_writes_failed);
    unpack(&bucket->servers, by_server);
    for (size_t s = 0; s < timeline->n_servers; s++)
        fprintf(out, "\t%" PRIu32, by_server[columns[s].index]);
    fputc('\n', out);
}

int timeline_write(struct timeline *timeline, uint64_t started_ns, FILE *out)
{
    struct column columns[TIMELINE_MAX_SERVERS];
    uint64_t first = started_ns / timeline->width_ns;

    settle(timeline);
    for (size_t s = 0; s < timeline->n_servers; s++)
        columns[s] = (struct column){timeline->servers[s], s};
    qsort(columns, timeline->n_servers, sizeof(*columns), compare_columns);
    fputs("t_s\tmonotonic_ns\tok\tfailed\tdropped\tp50_ms\tp99_ms\tmax_ms", out);
    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++)
        fprintf(out, "\t%s", verdict_name((enum verdict)v));
    if (timeline->has_writes)
        fputs("\twrites_ok\twrites_failed", out);
    for (size_t s = 0; s < timeline->n_servers; s++)
        fprintf(out, "\tserver:%s", columns[s].name);
    fputc('\n', out);
    for (size_t i = 0; i < timeline->n_buckets; i++) {
        uint64_t at_ns = (timeline->origin + i) * timeline->width_ns;

        if (timeline->origin + i < first)
            continue;
        fprintf(out, "%.6f\t%" PRIu64,
                (double)((int64_t)at_ns - (int64_t)started_ns) / (double)NS_PER_S, at_ns);
        write_bucket(timeline, &timeline->buckets[i], columns, out);
    }
    return ferror(out) ? -EIO : 0;
}
