/* HTTP/1.x messages: a strict parser over llhttp, shared by the server and the client side.
 *
 * The bytes of one message stand in a struct buf from its first byte on; http_parser_feed() looks
 * at what is new, and when the message is whole, `message` views it there: nothing is copied, and
 * the views hold until http_parser_next(). A chunked body is joined in place. llhttp does the
 * parsing; what it lets pass in one version or another is refused here (RFC 9112: bare CR or LF,
 * obs-fold, white space before the colon, two lengths, a length beside chunked), because a message
 * that two programs read differently is how requests are smuggled. */
#ifndef QUOIT_CORE_HTTP_H
#define QUOIT_CORE_HTTP_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"

#define HTTP_MAX_HEAD_BYTES (16u * 1024)
#define HTTP_MAX_TARGET_BYTES (8u * 1024)
#define HTTP_MAX_HEADERS 100u

/* Borrowed bytes, not NUL-ended. */
struct http_view {
    const char *at;
    size_t len;
};

struct http_header {
    struct http_view name;
    struct http_view value; /* without the white space around it */
};

enum http_flags {
    HTTP_KEEP_ALIVE = 1u << 0,      /* the connection may serve another message */
    HTTP_CHUNKED = 1u << 1,         /* the body came chunked (it stands joined) */
    HTTP_HOP_BY_HOP = 1u << 2,      /* has a header that must not be forwarded */
    HTTP_EXPECT_CONTINUE = 1u << 3, /* the client waits for "100 Continue" */
    HTTP_HAS_HOST = 1u << 4,
    HTTP_HAS_LENGTH = 1u << 5, /* a Content-Length stood there */
};

/* A whole message. Every view points into the buffer it was read into. */
struct http_message {
    unsigned flags;          /* enum http_flags */
    uint8_t minor;           /* HTTP/1.minor */
    llhttp_method_t method;  /* requests */
    uint16_t status;         /* responses */
    struct http_view target; /* requests: as sent, "/home?x=1" (absolute form less its authority) */
    struct http_view path;   /* requests: the target up to '?', not decoded */
    struct http_view query;  /* requests: what follows '?', may be empty */
    struct http_view head;   /* start line to the empty line, both included */
    struct http_view start_line; /* without its CR LF */
    struct http_view body;       /* decoded; empty with discard_body */
    size_t n_headers;
    struct http_header headers[HTTP_MAX_HEADERS];
};

enum http_parser_type { HTTP_PARSE_REQUEST, HTTP_PARSE_RESPONSE };

/* What feed found. A negative value is a refusal: parser->refusal says status and why. */
enum http_feed {
    HTTP_FEED_REFUSED = -1,
    HTTP_FEED_MORE = 0,    /* everything read so far is taken; the message is not whole */
    HTTP_FEED_MESSAGE = 1, /* parser->message is whole */
};

struct http_parser {
    llhttp_t llhttp;
    size_t fed;        /* bytes of the buffer llhttp has seen, from buf_head on */
    size_t head_bytes; /* 0 until the head is whole */
    size_t body_bytes; /* decoded so far; it stands right behind the head */
    size_t max_body_bytes;
    size_t max_head_bytes; /* HTTP_MAX_HEAD_BYTES unless the caller sets another after init */
    bool discard_body;     /* set by the caller after init: the body is counted in body_bytes and
                              dropped as it comes, so that one of any length fits a small buffer */
    const char *base;      /* buf_head() during a feed */
    const char *head_base; /* what base was when the views of the head were made */
    bool no_body;          /* response to HEAD: set by the caller before the head is fed */
    bool head_done;
    bool message_done;
    char last_framing;    /* last byte of chunk framing seen, for bare CR and LF */
    size_t framing_at;    /* where the unchecked chunk framing begins */
    size_t framing_bytes; /* of it in a row so far */
    uint32_t target_at, target_len;
    struct {
        uint16_t status;    /* what a server answers: 400, 413, 414, 417, 431, 501, 505 */
        const char *reason; /* a static sentence */
    } refusal;
    struct http_message message;
};

/* max_body_bytes: a longer body is refused (413). */
void http_parser_init(struct http_parser *parser, enum http_parser_type type,
                      size_t max_body_bytes);

/* Parses what `in` holds beyond what was fed before. May shorten `in` from its end while a chunked
 * body is joined; never moves its head. After HTTP_FEED_MESSAGE the message stands until
 * http_parser_next(). */
enum http_feed http_parser_feed(struct http_parser *parser, struct buf *in);
/* A response whose end is the connection's end: call at EOF. As feed; HTTP_FEED_MORE means that the
 * connection ended between messages, HTTP_FEED_REFUSED that it ended within one. */
enum http_feed http_parser_finish(struct http_parser *parser, struct buf *in);
/* Drops the whole message from the buffer and begins the next. */
void http_parser_next(struct http_parser *parser, struct buf *in);

/* True between messages: nothing of the next one has come. */
static inline bool http_parser_idle(const struct http_parser *parser, const struct buf *in)
{
    return parser->fed == 0 && buf_len(in) == 0;
}

/* The head is whole and the body is awaited. message's head views are valid until the buffer
 * changes, so that an Expect can be answered. */
static inline bool http_parser_in_body(const struct http_parser *parser)
{
    return parser->head_done && !parser->message_done;
}

/* The value of the first header of that name (any case), or a view with at == NULL. */
struct http_view http_find_header(const struct http_message *message, const char *name);
/* RFC 9110 §7.6.1: the fixed list, and what Connection names. */
bool http_is_hop_by_hop(const struct http_message *message, const struct http_header *header);
/* The fixed list alone. */
bool http_is_hop_by_hop_name(struct http_view name);
/* The value of `name` in a query string, not decoded, or a view with at == NULL. */
struct http_view http_query_value(struct http_view query, const char *name);

static inline bool http_view_equal(struct http_view view, const char *text)
{
    return view.at && strlen(text) == view.len && memcmp(view.at, text, view.len) == 0;
}

static inline bool http_view_equal_nocase(struct http_view view, const char *text)
{
    return view.at && strlen(text) == view.len && strncasecmp(view.at, text, view.len) == 0;
}

/* Safe and repeatable by definition (RFC 9110 §9.2.2): GET HEAD PUT DELETE OPTIONS TRACE. */
bool http_method_idempotent(llhttp_method_t method);
/* "OK", "Not Found"; "Unknown" for a status nobody registered. Static. */
const char *http_status_text(unsigned status);

/* Decodes %XX once and checks what a path may hold: no NUL or other control character, no ".."
 * segment, every '%' followed by two hex digits, a leading '/'. NULL when it is good, else a static
 * sentence. */
const char *http_check_path(struct http_view path);

#endif
