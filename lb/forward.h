/* What goes to a server: the client's request as it came, less the hop-by-hop headers. */
#ifndef QUOIT_LB_FORWARD_H
#define QUOIT_LB_FORWARD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/http.h"

/* A request's bytes, kept until it is answered, since it may have to be sent again. */
struct forward {
    char *bytes; /* inline_bytes, or allocated */
    size_t n;
    struct http_view path; /* within bytes, for messages about it */
    char inline_bytes[640];
};

/* Makes the bytes from a whole request. Pair with forward_done(). False: made anew, its head is
 * past what a server takes (HTTP_MAX_HEAD_BYTES, HTTP_MAX_HEADERS). It must not be sent: a server
 * refuses it by closing the connection, which others' requests share. */
bool forward_init(struct forward *forward, const struct http_message *request);
void forward_done(struct forward *forward);

#endif
