#include "core/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define BUF_MIN_CAPACITY 256

void buf_init(struct buf *buf, size_t max_bytes)
{
    memset(buf, 0, sizeof(*buf));
    buf->max_bytes = max_bytes;
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->max_bytes);
}

/* Whether n more readable bytes stay within the maximum. */
static bool buf_fits(const struct buf *buf, size_t n)
{
    size_t len = buf_len(buf);

    return buf->max_bytes == 0 ? n <= SIZE_MAX - len
                               : len <= buf->max_bytes && n <= buf->max_bytes - len;
}

/* Room for n bytes after `end`, whatever the maximum: a string's NUL does not count. Moves the data
 * to the front when at least as much was consumed as is left, so that each byte moves O(1) times;
 * otherwise at least doubles. */
static void buf_make_room(struct buf *buf, size_t n)
{
    size_t len = buf_len(buf);
    size_t capacity, wanted;
    char *data;

    if (len == 0)
        buf->start = buf->end = 0;
    if (buf->data != NULL && n <= buf->capacity - buf->end)
        return;
    if (buf->start >= len && n <= buf->capacity - len && buf->data != NULL) {
        memmove(buf->data, buf->data + buf->start, len);
        buf->start = 0;
        buf->end = len;
        return;
    }
    if (__builtin_add_overflow(len, n, &wanted))
        wanted = SIZE_MAX; /* mem_alloc dies of it */
    capacity = buf->capacity <= SIZE_MAX / 2 ? buf->capacity * 2 : SIZE_MAX;
    if (capacity < BUF_MIN_CAPACITY)
        capacity = BUF_MIN_CAPACITY;
    if (capacity < wanted)
        capacity = wanted;
    if (buf->start == 0) {
        data = mem_realloc(buf->data, capacity, 1);
    } else {
        assert(buf->data != NULL);
        data = mem_alloc(capacity);
        memcpy(data, buf->data + buf->start, len);
        free(buf->data);
    }
    buf->data = data;
    buf->start = 0;
    buf->end = len;
    buf->capacity = capacity;
}

char *buf_reserve(struct buf *buf, size_t n)
{
    if (!buf_fits(buf, n))
        return NULL;
    buf_make_room(buf, n);
    return buf->data + buf->end;
}

void buf_commit(struct buf *buf, size_t n)
{
    assert(n <= buf->capacity - buf->end);
    assert(buf_fits(buf, n));
    buf->end += n;
}

void buf_consume(struct buf *buf, size_t n)
{
    assert(n <= buf_len(buf));
    buf->start += n;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

void buf_clear(struct buf *buf)
{
    buf->start = buf->end = 0;
}

void buf_shrink(struct buf *buf, size_t keep_bytes)
{
    if (buf_len(buf) == 0 && buf->capacity > keep_bytes)
        buf_done(buf);
}

int buf_append(struct buf *buf, const void *bytes, size_t n)
{
    char *place = buf_reserve(buf, n);

    if (place == NULL)
        return -EMSGSIZE;
    if (n > 0)
        memcpy(place, bytes, n);
    buf->end += n;
    return 0;
}

int buf_append_str(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_appendf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int result;

    va_start(args, format);
    result = buf_vappendf(buf, format, args);
    va_end(args);
    return result;
}

int buf_vappendf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    size_t room;
    int n;

    /* Most texts fit what is there: format once into it, and a second time only if not. */
    buf_make_room(buf, 1);
    room = buf->capacity - buf->end;
    va_copy(again, args);
    n = vsnprintf(buf->data + buf->end, room, format, args);
    assert(n >= 0);
    if (!buf_fits(buf, (size_t)n)) {
        va_end(again);
        return -EMSGSIZE;
    }
    if ((size_t)n >= room) {
        buf_make_room(buf, (size_t)n + 1);
        vsnprintf(buf->data + buf->end, (size_t)n + 1, format, again);
    }
    va_end(again);
    buf->end += (size_t)n;
    return 0;
}

const char *buf_str(struct buf *buf)
{
    buf_make_room(buf, 1);
    buf->data[buf->end] = '\0';
    return buf_head(buf);
}
