/* Where a store in memory keeps its rows' texts: packed, in chunks, without a header each.
 *
 *   chunk   [text|text|text|·······]  ← texts that come together lie together
 *   free    8 → text → text           one list for each multiple of 8 bytes, inside the freed texts
 *            16 → …
 *
 * A text's length is its owner's to remember. Freed room serves later texts of its size, and all of
 * it goes back when nothing is left; long texts have memory of their own. */
#ifndef QUOIT_BACKENDS_STORE_TEXTS_H
#define QUOIT_BACKENDS_STORE_TEXTS_H

#include <stddef.h>
#include <sys/queue.h>

#define TEXTS_STEP_BYTES 8
#define TEXTS_CLASSES 128 /* up to 1 KiB */

struct texts_chunk {
    LIST_ENTRY(texts_chunk) link;
    char bytes[];
};

LIST_HEAD(texts_chunks, texts_chunk);

struct texts {
    void *free[TEXTS_CLASSES];
    char *at, *end; /* of the newest chunk: what is still free */
    struct texts_chunks chunks;
    struct texts_chunks long_ones; /* one text each */
    size_t n_bytes;                /* held by texts, rounded up */
};

void texts_init(struct texts *texts);
/* Frees all texts and leaves none. */
void texts_done(struct texts *texts);
/* A copy of n bytes; valid until texts_drop(). */
char *texts_add(struct texts *texts, const char *text, size_t n);
/* Gives back what texts_add() returned for n bytes. */
void texts_drop(struct texts *texts, char *text, size_t n);
/* What a text of n bytes takes. */
size_t texts_room(size_t n);

#endif
