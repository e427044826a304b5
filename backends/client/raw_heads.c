#include "backends/client/raw_heads.h"

#include <string.h>
#include <xxhash.h>

/* After so many answers in a row with a new head, only every so manieth is looked at. */
#define PATIENCE 256u
#define GLANCE 64u

static struct raw_head *slot_of(struct raw_heads *heads, const char *bytes, size_t n)
{
    return &heads->slots[XXH3_64bits(bytes, n) % RAW_HEADS_SLOTS];
}

const struct raw_head *raw_heads_find(struct raw_heads *heads, const char *bytes, size_t n)
{
    const char *end;
    const struct raw_head *head;
    size_t n_head;

    if (heads->n_misses >= PATIENCE && heads->n_misses % GLANCE != 0)
        return NULL;
    end = memmem(bytes, n < RAW_HEADS_BYTES ? n : RAW_HEADS_BYTES, "\r\n\r\n", 4);
    if (!end)
        return NULL;
    n_head = (size_t)(end + 4 - bytes);
    head = slot_of(heads, bytes, n_head);
    if (head->head_bytes != n_head || memcmp(head->bytes, bytes, n_head) != 0)
        return NULL;
    heads->n_misses = 0;
    return head;
}

void raw_heads_learn(struct raw_heads *heads, const struct http_message *message, size_t body_bytes,
                     const char *server, size_t server_bytes)
{
    const unsigned wanted = HTTP_HAS_LENGTH | HTTP_KEEP_ALIVE;
    struct raw_head *head;

    if (heads->n_misses++ >= PATIENCE && heads->n_misses % GLANCE != 0)
        return;
    /* 204 and 304 have no body whatever their length says. */
    if (message->status < 200 || message->status == 204 || message->status == 304 ||
        message->head.len > RAW_HEADS_BYTES || (message->flags & (wanted | HTTP_CHUNKED)) != wanted)
        return;
    head = slot_of(heads, message->head.at, message->head.len);
    head->head_bytes = (uint16_t)message->head.len;
    memcpy(head->bytes, message->head.at, message->head.len);
    head->status = message->status;
    head->body_bytes = body_bytes;
    head->server_bytes = (uint8_t)server_bytes;
    memcpy(head->server, server, server_bytes);
    head->server[server_bytes] = '\0';
}
