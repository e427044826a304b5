#include "loadgen/latencies.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/mem.h"

#define PIECE_LATENCIES 65536u

struct piece {
    struct piece *next;
    uint32_t n;
    uint64_t latencies_ns[PIECE_LATENCIES];
};

struct latencies {
    struct piece *first, *last;
    uint64_t max, n_kept, n_lost;
};

struct latencies *latencies_new(uint64_t max)
{
    struct latencies *latencies = mem_zalloc(1, sizeof(*latencies));

    latencies->max = max;
    return latencies;
}

void latencies_free(struct latencies *latencies)
{
    struct piece *piece = latencies ? latencies->first : NULL;

    while (piece) {
        struct piece *next = piece->next;
        free(piece);
        piece = next;
    }
    free(latencies);
}

static void add_piece(struct latencies *latencies)
{
    struct piece *piece = mem_alloc(sizeof(*piece));

    piece->next = NULL;
    piece->n = 0;
    if (latencies->last)
        latencies->last->next = piece;
    else
        latencies->first = piece;
    latencies->last = piece;
}

void latencies_record(struct latencies *latencies, uint64_t latency_ns)
{
    if (latencies->n_kept == latencies->max) {
        latencies->n_lost++;
        return;
    }
    if (!latencies->last || latencies->last->n == PIECE_LATENCIES)
        add_piece(latencies);
    latencies->last->latencies_ns[latencies->last->n++] = latency_ns;
    latencies->n_kept++;
}

void latencies_take(struct latencies *into, struct latencies *from)
{
    into->max += from->max;
    into->n_kept += from->n_kept;
    into->n_lost += from->n_lost;
    if (into->last)
        into->last->next = from->first;
    else
        into->first = from->first;
    if (from->last)
        into->last = from->last;
    *from = (struct latencies){.first = NULL};
}

uint64_t latencies_kept(const struct latencies *latencies)
{
    return latencies->n_kept;
}

uint64_t latencies_lost(const struct latencies *latencies)
{
    return latencies->n_lost;
}

int latencies_write(const struct latencies *latencies, FILE *out)
{
    errno = 0;
    for (const struct piece *piece = latencies->first; piece; piece = piece->next)
        for (uint32_t i = 0; i < piece->n; i++)
            if (fprintf(out, "%" PRIu64 "\n", piece->latencies_ns[i]) < 0)
                return errno ? -errno : -EIO;
    return fflush(out) == 0 ? 0 : errno ? -errno : -EIO;
}
