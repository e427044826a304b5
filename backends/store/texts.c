#include "backends/store/texts.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define CHUNK_BYTES (64u * 1024)
#define MAX_PACKED_BYTES ((size_t)TEXTS_CLASSES * TEXTS_STEP_BYTES)

size_t texts_room(size_t n)
{
    /* One of no bytes, too, has a place, for the link of its list. */
    size_t room = (n + TEXTS_STEP_BYTES - 1) / TEXTS_STEP_BYTES * TEXTS_STEP_BYTES;
    return room > 0 ? room : TEXTS_STEP_BYTES;
}

void texts_init(struct texts *texts)
{
    *texts = (struct texts){0};
    LIST_INIT(&texts->chunks);
    LIST_INIT(&texts->long_ones);
}

static void free_all(struct texts_chunks *chunks)
{
    while (!LIST_EMPTY(chunks)) {
        struct texts_chunk *chunk = LIST_FIRST(chunks);
        LIST_REMOVE(chunk, link);
        free(chunk);
    }
}

void texts_done(struct texts *texts)
{
    free_all(&texts->chunks);
    free_all(&texts->long_ones);
    texts_init(texts);
}

static char *add_chunk(struct texts_chunks *chunks, size_t n_bytes)
{
    struct texts_chunk *chunk = mem_alloc(sizeof(*chunk) + n_bytes);
    LIST_INSERT_HEAD(chunks, chunk, link);
    return chunk->bytes;
}

/* A packed text's place: one given back, or the next of the newest chunk, whose rest is left when
 * it does not do. */
static char *take(struct texts *texts, size_t room)
{
    void **list = &texts->free[room / TEXTS_STEP_BYTES - 1];
    char *place = *list;
    if (place) {
        memcpy(list, place, sizeof(*list));
        return place;
    }
    if ((size_t)(texts->end - texts->at) < room) {
        texts->at = add_chunk(&texts->chunks, CHUNK_BYTES);
        texts->end = texts->at + CHUNK_BYTES;
    }
    place = texts->at;
    texts->at += room;
    return place;
}

char *texts_add(struct texts *texts, const char *text, size_t n)
{
    size_t room = texts_room(n);
    char *place = room <= MAX_PACKED_BYTES ? take(texts, room) : add_chunk(&texts->long_ones, room);
    memcpy(place, text, n);
    texts->n_bytes += room;
    return place;
}

void texts_drop(struct texts *texts, char *text, size_t n)
{
    size_t room = texts_room(n);
    texts->n_bytes -= room;
    if (texts->n_bytes == 0) {
        texts_done(texts);
        return;
    }
    if (room <= MAX_PACKED_BYTES) {
        void **list = &texts->free[room / TEXTS_STEP_BYTES - 1];
        memcpy(text, list, sizeof(*list));
        *list = text;
        return;
    }
    struct texts_chunk *chunk =
        (struct texts_chunk *)(void *)(text - offsetof(struct texts_chunk, bytes));
    LIST_REMOVE(chunk, link);
    free(chunk);
}
