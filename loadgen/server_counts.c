#include "loadgen/server_counts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void server_counts_init(struct server_counts *counts)
{
    memset(counts, 0, sizeof(*counts));
}

void server_counts_done(struct server_counts *counts)
{
    free(counts->servers);
    memset(counts, 0, sizeof(*counts));
}

/* FNV-1a: names are short, and a peer that makes them collide slows down only itself, by at most
 * SERVER_COUNTS_MAX steps. */
static uint32_t hash_name(const char *name, size_t n)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash ^ hash >> 16;
}

static struct server_count *find(struct server_counts *counts, const char *name, size_t n)
{
    uint32_t at = hash_name(name, n) % SERVER_COUNTS_BUCKETS;
    struct server_count *server;

    for (; counts->buckets[at]; at = (at + 1) % SERVER_COUNTS_BUCKETS) {
        server = &counts->servers[counts->buckets[at] - 1];
        if (server->n_bytes == n && memcmp(server->name, name, n) == 0)
            return server;
    }
    if (counts->n_servers == SERVER_COUNTS_MAX)
        return &counts->others;
    if (counts->n_servers == counts->capacity) {
        counts->capacity = counts->capacity ? counts->capacity * 2 : 16;
        counts->servers = mem_realloc(counts->servers, counts->capacity, sizeof(*server));
    }
    server = &counts->servers[counts->n_servers++];
    memset(server, 0, sizeof(*server));
    memcpy(server->name, name, n);
    server->n_bytes = (uint8_t)n;
    counts->buckets[at] = (uint16_t)counts->n_servers;
    return server;
}

static void add_counts(struct server_count *into, const struct server_count *from)
{
    into->n_ok += from->n_ok;
    into->n_failed += from->n_failed;
}

void server_counts_merge(struct server_counts *into, const struct server_counts *from)
{
    for (size_t i = 0; i < from->n_servers; i++)
        add_counts(find(into, from->servers[i].name, from->servers[i].n_bytes), &from->servers[i]);
    add_counts(&into->unnamed, &from->unnamed);
    add_counts(&into->others, &from->others);
}

void server_counts_add(struct server_counts *counts, const char *name, size_t n_bytes, bool ok)
{
    struct server_count *server;

    assert(n_bytes <= NAME_MAX_BYTES);
    server = n_bytes ? find(counts, name, n_bytes) : &counts->unnamed;
    if (ok)
        server->n_ok++;
    else
        server->n_failed++;
}

static int compare_names(const void *a, const void *b)
{
    return strverscmp(((const struct server_count *)a)->name,
                      ((const struct server_count *)b)->name);
}

void server_counts_sort(struct server_counts *counts)
{
    if (counts->n_servers)
        qsort(counts->servers, counts->n_servers, sizeof(*counts->servers), compare_names);
}
