/* A growing byte buffer with a maximum: whatever a peer can make grow has a limit (law 4).
 *
 * Readable bytes are data[start … end). Consuming from the front is O(1); space is reclaimed when
 * the buffer is empty or when room is asked for. Allocation failure ends the program; passing the
 * maximum is an error the caller answers. */
#ifndef QUOIT_CORE_BUF_H
#define QUOIT_CORE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t start;     /* first readable byte */
    size_t end;       /* one past the last readable byte */
    size_t capacity;  /* bytes allocated */
    size_t max_bytes; /* readable bytes never exceed this */
};

/* An empty buffer that allocates nothing yet. max_bytes: 0 means unlimited. */
void buf_init(struct buf *buf, size_t max_bytes);
/* Frees the memory and leaves an empty buffer with the same maximum. */
void buf_done(struct buf *buf);

static inline size_t buf_len(const struct buf *buf)
{
    return buf->end - buf->start;
}

static inline char *buf_head(const struct buf *buf)
{
    /* An empty buffer may hold no memory, and NULL + 0 is undefined in C. */
    return buf->data != NULL ? buf->data + buf->start : NULL;
}

/* Makes room for at least n bytes after `end` and returns where they go, or NULL if readable + n
 * would pass the maximum. May move the data: pointers into the buffer end here. */
char *buf_reserve(struct buf *buf, size_t n);
/* Says that n bytes were written at buf_reserve's place. */
void buf_commit(struct buf *buf, size_t n);
/* Drops n bytes from the front; n must not pass buf_len(). */
void buf_consume(struct buf *buf, size_t n);
/* Drops everything and keeps the memory. */
void buf_clear(struct buf *buf);
/* Gives memory back when the buffer is empty and holds more than keep_bytes. */
void buf_shrink(struct buf *buf, size_t keep_bytes);

/* Append. 0, or -EMSGSIZE past the maximum, the buffer then being as it was. */
int buf_append(struct buf *buf, const void *bytes, size_t n);
int buf_append_str(struct buf *buf, const char *text);
int buf_appendf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vappendf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Ends the readable bytes with a NUL that does not count and returns them as a string, valid until
 * the next change. */
const char *buf_str(struct buf *buf);

#endif
