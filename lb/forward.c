#include "lb/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* What a rebuilt head can be longer by: HTTP/1.0 made 1.1, a Host, a Content-Length. */
#define EXTRA_BYTES 96u

static char *put(char *to, const char *bytes, size_t n)
{
    memcpy(to, bytes, n);
    return to + n;
}

static char *put_text(char *to, const char *text)
{
    return put(to, text, strlen(text));
}

/* Host stands whatever Connection names, and the length is our own count of the body: a client must
 * not be able to take either out (it would change where the next request begins). */
static bool is_forwarded(const struct http_message *request, const struct http_header *header)
{
    if (http_view_equal_nocase(header->name, "Host"))
        return true;
    return !http_view_equal_nocase(header->name, "Content-Length") &&
           !http_is_hop_by_hop(request, header);
}

static char *rebuild_head(struct forward *forward, const struct http_message *request,
                          size_t *ret_n_headers)
{
    size_t n_headers = 0;
    char *at = put_text(forward->bytes, llhttp_method_name(request->method));
    at = put(at, " ", 1);
    forward->path = (struct http_view){at, request->path.len};
    at = put(at, request->target.at, request->target.len);
    at = put_text(at, " HTTP/1.1\r\n");
    if (!(request->flags & HTTP_HAS_HOST)) {
        at = put_text(at, "Host: quoit\r\n");
        n_headers++;
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct http_header *header = &request->headers[i];
        if (!is_forwarded(request, header))
            continue;
        at = put(at, header->name.at, header->name.len);
        at = put(at, ": ", 2);
        at = put(at, header->value.at, header->value.len);
        at = put(at, "\r\n", 2);
        n_headers++;
    }
    if (request->flags & (HTTP_HAS_LENGTH | HTTP_CHUNKED)) {
        at += sprintf(at, "Content-Length: %zu\r\n", request->body.len);
        n_headers++;
    }
    *ret_n_headers = n_headers;
    return put(at, "\r\n", 2);
}

bool forward_init(struct forward *forward, const struct http_message *request)
{
    /* Each header may gain a space after its colon. */
    size_t most = request->head.len + request->n_headers + EXTRA_BYTES + request->body.len;
    forward->bytes =
        most <= sizeof(forward->inline_bytes) ? forward->inline_bytes : mem_alloc(most);
    char *at;
    bool fits = true;
    bool as_it_stands =
        request->minor == 1 && !(request->flags & HTTP_HOP_BY_HOP) && request->target.at[-1] == ' ';
    if (as_it_stands) {
        at = put(forward->bytes, request->head.at, request->head.len);
        forward->path = (struct http_view){forward->bytes + (request->path.at - request->head.at),
                                           request->path.len};
    } else {
        size_t n_headers;
        at = rebuild_head(forward, request, &n_headers);
        fits =
            n_headers <= HTTP_MAX_HEADERS && (size_t)(at - forward->bytes) <= HTTP_MAX_HEAD_BYTES;
    }
    if (request->body.len > 0)
        at = put(at, request->body.at, request->body.len);
    forward->n = (size_t)(at - forward->bytes);
    return fits;
}

void forward_done(struct forward *forward)
{
    if (forward->bytes != forward->inline_bytes)
        free(forward->bytes);
    forward->bytes = NULL;
}
