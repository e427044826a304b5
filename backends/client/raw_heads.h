/* Heads of answers that came before, for the raw client: a server's answers to the same request
 * have the same head for as long as its Date stands, and the same bytes need not be parsed anew.
 *
 * Only what is simple is remembered: a final answer of known length over a connection that is kept.
 * Everything else, and whatever is new, goes through the parser. */
#ifndef QUOIT_BACKENDS_CLIENT_RAW_HEADS_H
#define QUOIT_BACKENDS_CLIENT_RAW_HEADS_H

#include <stddef.h>
#include <stdint.h>

#include "core/http.h"
#include "core/name.h"

#define RAW_HEADS_BYTES 512u /* a longer head is not remembered */
#define RAW_HEADS_SLOTS 64u  /* one head each, by its hash */

struct raw_head {
    uint16_t head_bytes; /* 0: none */
    uint16_t status;
    uint8_t server_bytes; /* 0: it named none */
    size_t body_bytes;
    char server[NAME_MAX_BYTES + 1];
    char bytes[RAW_HEADS_BYTES];
};

struct raw_heads {
    uint32_t n_misses; /* since the last hit */
    struct raw_head slots[RAW_HEADS_SLOTS];
};

/* The head that the n bytes begin with, whole, or NULL. Where hardly any is found it hardly looks.
 * Holds until the next raw_heads_learn(). */
const struct raw_head *raw_heads_find(struct raw_heads *heads, const char *bytes, size_t n);
/* Remembers the message's head if it is such a one. body_bytes: of the body that came; server: the
 * name, which server_bytes says the length of. */
void raw_heads_learn(struct raw_heads *heads, const struct http_message *message, size_t body_bytes,
                     const char *server, size_t server_bytes);

#endif
