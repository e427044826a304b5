/* The parser. What is asked of a message that it has read is http_message.c. */
#include "core/http.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* Bytes of a token (RFC 9110 §5.6.2): methods and header names. */
static const bool token_byte[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static int refuse(struct http_parser *parser, uint16_t status, const char *reason)
{
    if (!parser->refusal.status) {
        parser->refusal.status = status;
        parser->refusal.reason = reason;
    }
    return HPE_USER;
}

/* ---- callbacks of llhttp ----------------------------------------------------------------------
 */

static struct http_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

static int on_target(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(llhttp);
    if (parser->target_len == 0)
        parser->target_at = (uint32_t)(at - parser->base);
    parser->target_len += (uint32_t)len;
    if (parser->target_len > HTTP_MAX_TARGET_BYTES)
        return refuse(parser, 414, "the request target is longer than 8 KiB");
    return 0;
}

/* One header line, CR LF cut off. Checks its bytes and files it. */
static int add_header(struct http_parser *parser, const char *line, const char *end)
{
    struct http_message *message = &parser->message;
    if (*line == ' ' || *line == '\t')
        return refuse(parser, 400, "a header is folded over two lines (obs-fold)");
    const char *at = line;
    while (at < end && token_byte[(unsigned char)*at])
        at++;
    if (at == line || at == end || *at != ':')
        return refuse(parser, 400,
                      "a header name holds a byte that no name may hold, or no colon follows it");
    if (message->n_headers == HTTP_MAX_HEADERS)
        return refuse(parser, 431, "more than 100 headers");
    struct http_header *header = &message->headers[message->n_headers++];
    header->name = (struct http_view){line, (size_t)(at - line)};
    at++;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    header->value = (struct http_view){at, (size_t)(end - at)};
    for (; at < end; at++)
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
            return refuse(parser, 400, "a header value holds a control character");
    return 0;
}

/* What the headers that say something about the message say. The first letter sorts out the rest.
 */
static int note_header(struct http_parser *parser, const struct http_header *header)
{
    struct http_message *message = &parser->message;
    bool request = llhttp_get_type(&parser->llhttp) == HTTP_REQUEST;
    switch (header->name.at[0] | 0x20) {
    case 'h':
        if (!http_view_equal_nocase(header->name, "Host"))
            return 0;
        if (message->flags & HTTP_HAS_HOST)
            return refuse(parser, 400, "two Host headers");
        message->flags |= HTTP_HAS_HOST;
        return 0;
    case 'c':
        if (http_view_equal_nocase(header->name, "Content-Length")) {
            if (message->flags & HTTP_HAS_LENGTH)
                return refuse(parser, 400, "two Content-Length headers");
            message->flags |= HTTP_HAS_LENGTH;
            for (size_t i = 0; i < header->value.len; i++)
                if (header->value.at[i] < '0' || header->value.at[i] > '9')
                    return refuse(parser, 400, "Content-Length is not a number");
        } else if (http_view_equal_nocase(header->name, "Connection")) {
            message->flags |= HTTP_HOP_BY_HOP;
        }
        return 0;
    case 't':
        if (http_view_equal_nocase(header->name, "Transfer-Encoding")) {
            if (!http_view_equal_nocase(header->value, "chunked"))
                return refuse(parser, request ? 501 : 502,
                              "a Transfer-Encoding other than chunked");
            if (message->flags & HTTP_CHUNKED)
                return refuse(parser, 400, "two Transfer-Encoding headers");
            message->flags |= HTTP_CHUNKED;
        }
        if (http_is_hop_by_hop_name(header->name))
            message->flags |= HTTP_HOP_BY_HOP;
        return 0;
    case 'e':
        if (http_view_equal_nocase(header->name, "Expect")) {
            if (!http_view_equal_nocase(header->value, "100-continue"))
                return refuse(parser, 417, "an Expect other than 100-continue");
            message->flags |= HTTP_HOP_BY_HOP;
            if (message->minor > 0) /* RFC 9110 §10.1.1: a client of 1.0 does not mean it */
                message->flags |= HTTP_EXPECT_CONTINUE;
        }
        return 0;
    default:
        if (http_is_hop_by_hop_name(header->name))
            message->flags |= HTTP_HOP_BY_HOP;
        return 0;
    }
}

/* Splits the raw head into lines, strictly: this, not llhttp, decides what a line is. */
static int read_head(struct http_parser *parser)
{
    struct http_message *message = &parser->message;
    const char *base = parser->base, *end = base + parser->head_bytes;
    const char *line = base;
    for (bool first = true;; first = false) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        if (!lf || lf == line || lf[-1] != '\r')
            return refuse(parser, 400, "a line ends in a bare LF");
        if (memchr(line, '\r', (size_t)(lf - 1 - line)))
            return refuse(parser, 400, "a bare CR in the head");
        if (first) {
            message->start_line = (struct http_view){line, (size_t)(lf - 1 - line)};
        } else if (lf - 1 == line) {
            if (lf + 1 != end)
                return refuse(parser, 400, "the head ends twice");
            return 0;
        } else {
            int rc = add_header(parser, line, lf - 1);
            if (rc == 0)
                rc = note_header(parser, &message->headers[message->n_headers - 1]);
            if (rc != 0)
                return rc;
        }
        line = lf + 1;
    }
}

/* Method, one space, target, one space, HTTP/1.x and nothing else. llhttp also takes more spaces,
 * other protocols (RTSP, ICE), and control characters and a fragment in the target. */
static int check_request_line(struct http_parser *parser, struct http_view target)
{
    const struct http_view line = parser->message.start_line;
    size_t method_len = strlen(llhttp_method_name(parser->message.method));
    static const char version[] = " HTTP/1.";
    if (target.at != line.at + method_len + 1 || line.len != method_len + 1 + target.len + 9 ||
        memcmp(target.at + target.len, version, sizeof(version) - 1) != 0)
        return refuse(parser, 400, "the first line is not METHOD TARGET HTTP/1.x");
    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.at[i] <= 0x20 || target.at[i] == 0x7f || target.at[i] == '#')
            return refuse(parser, 400, "the request target holds a byte that no target may hold");
    return 0;
}

/* HTTP/1.x, a space, three digits, and a space before the reason if there is one. */
static int check_status_line(struct http_parser *parser)
{
    const struct http_view line = parser->message.start_line;
    if (line.len < 12 || parser->message.status < 100 || parser->message.status > 999 ||
        (line.len > 12 && line.at[12] != ' '))
        return refuse(parser, 400, "the first line is not HTTP/1.x STATUS REASON");
    return 0;
}

/* Origin form, or the absolute form less its authority (RFC 9112 §3.2.2), or "*". */
static int read_target(struct http_parser *parser)
{
    struct http_message *message = &parser->message;
    struct http_view target = {parser->base + parser->target_at, parser->target_len};
    int rc = check_request_line(parser, target);
    if (rc != 0)
        return rc;
    if (message->method == HTTP_CONNECT)
        return refuse(parser, 501, "CONNECT is not served here");
    if (target.len > 7 && strncasecmp(target.at, "http://", 7) == 0) {
        const char *authority = target.at + 7, *end = target.at + target.len;
        const char *slash = memchr(authority, '/', (size_t)(end - authority));
        const char *mark = memchr(authority, '?', (size_t)(end - authority));
        if (!slash || (mark && mark < slash))
            return refuse(parser, 400, "an absolute request target without a path");
        target = (struct http_view){slash, (size_t)(end - slash)};
    }
    message->target = target;
    const char *mark = memchr(target.at, '?', target.len);
    size_t path_len = mark ? (size_t)(mark - target.at) : target.len;
    message->path = (struct http_view){target.at, path_len};
    message->query = mark ? (struct http_view){mark + 1, target.len - path_len - 1}
                          : (struct http_view){target.at + target.len, 0};
    if (message->method == HTTP_OPTIONS && http_view_equal(target, "*"))
        return 0;
    const char *wrong = http_check_path(message->path);
    return wrong ? refuse(parser, 400, wrong) : 0;
}

static int check_request(struct http_parser *parser)
{
    struct http_message *message = &parser->message;
    if ((message->flags & HTTP_CHUNKED) && (message->flags & HTTP_HAS_LENGTH))
        return refuse(parser, 400, "both Content-Length and Transfer-Encoding");
    if ((message->flags & HTTP_CHUNKED) && message->minor == 0)
        return refuse(parser, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (message->minor == 1 && !(message->flags & HTTP_HAS_HOST))
        return refuse(parser, 400, "no Host header");
    return read_target(parser);
}

static int refuse_long_head(struct http_parser *parser)
{
    return refuse(parser, 431,
                  parser->max_head_bytes == HTTP_MAX_HEAD_BYTES
                      ? "the head is longer than 16 KiB"
                      : "the head is longer than is taken here");
}

/* llhttp says the head ended at the byte its callback stands on; it does not say where that is, so
 * the end is found here: the first empty line. */
static size_t find_head_end(const struct http_parser *parser, size_t available)
{
    const char *base = parser->base;
    for (const char *at = base; (at = memchr(at, '\n', available - (size_t)(at - base))); at++) {
        const char *next = at + 1;
        if (next < base + available && *next == '\r')
            next++;
        if (next < base + available && *next == '\n')
            return (size_t)(next + 1 - base);
    }
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_message *message = &parser->message;
    bool request = llhttp_get_type(llhttp) == HTTP_REQUEST;
    llhttp->upgrade = 0; /* no protocol is switched to: an Upgrade is ignored (RFC 9110 §7.8) */
    parser->head_bytes = find_head_end(parser, parser->fed);
    if (parser->head_bytes == 0)
        return refuse(parser, 400, "the head ends in something else than two line ends");
    if (parser->head_bytes > parser->max_head_bytes)
        return refuse_long_head(parser);
    if (llhttp_get_http_major(llhttp) != 1)
        return refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are served here");
    message->minor = llhttp_get_http_minor(llhttp);
    if (request)
        message->method = (llhttp_method_t)llhttp_get_method(llhttp);
    else
        message->status = (uint16_t)llhttp_get_status_code(llhttp);
    /* RFC 9112 §6.3: these end with their head, whatever length they name; llhttp would wait. */
    if (!request && (message->status < 200 || message->status == 204 || message->status == 304))
        parser->no_body = true;
    int rc = read_head(parser);
    if (rc == 0)
        rc = request ? check_request(parser) : check_status_line(parser);
    if (rc != 0)
        return rc;
    if (parser->no_body) /* or an answer to HEAD without a length would end the connection */
        llhttp->flags |= F_SKIPBODY;
    if ((message->flags & HTTP_HAS_LENGTH) && !parser->no_body &&
        llhttp->content_length > parser->max_body_bytes)
        return refuse(parser, 413, "the body is longer than this server takes");
    if (llhttp_should_keep_alive(llhttp))
        message->flags |= HTTP_KEEP_ALIVE;
    parser->head_done = true;
    parser->head_base = parser->base;
    parser->framing_at = parser->head_bytes;
    return parser->no_body ? 1 : 0;
}

/* The lines between the chunks: every LF after a CR, every CR before an LF, no other control bytes,
 * and no endless extension or trailer. */
static int check_framing(struct http_parser *parser, size_t to)
{
    parser->framing_bytes += to - parser->framing_at;
    if (parser->framing_bytes > HTTP_MAX_HEAD_BYTES)
        return refuse(parser, 431, "a chunk extension or the trailer is longer than 16 KiB");
    for (size_t i = parser->framing_at; i < to; i++) {
        char c = parser->base[i];
        bool bare = (c == '\n') != (parser->last_framing == '\r');
        if (bare || ((unsigned char)c < 0x20 && c != '\r' && c != '\n' && c != '\t'))
            return refuse(parser, 400, "chunk framing with a bare CR or LF or a control character");
        parser->last_framing = c;
    }
    parser->framing_at = to;
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(llhttp);
    if (len > parser->max_body_bytes - parser->body_bytes)
        return refuse(parser, 413, "the body is longer than this server takes");
    if (parser->message.flags & HTTP_CHUNKED) {
        int rc = check_framing(parser, (size_t)(at - parser->base));
        if (rc != 0)
            return rc;
        parser->framing_at += len;
        parser->framing_bytes = 0;
        parser->last_framing = 0;
        if (!parser->discard_body)
            memmove((char *)parser->base + parser->head_bytes + parser->body_bytes, at, len);
    }
    parser->body_bytes += len;
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->message_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
    static const llhttp_settings_t table = {
        .on_url = on_target,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    return &table;
}

/* ---- the parser -------------------------------------------------------------------------------
 */

static void forget_message(struct http_parser *parser)
{
    parser->fed = parser->head_bytes = parser->body_bytes = 0;
    parser->framing_at = parser->framing_bytes = 0;
    parser->target_at = parser->target_len = 0;
    parser->no_body = parser->head_done = parser->message_done = false;
    parser->last_framing = 0;
    parser->refusal.status = 0;
    parser->refusal.reason = NULL;
    parser->message.flags = 0;
    parser->message.n_headers = 0;
}

void http_parser_init(struct http_parser *parser, enum http_parser_type type, size_t max_body_bytes)
{
    forget_message(parser);
    llhttp_init(&parser->llhttp, type == HTTP_PARSE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                settings());
    parser->llhttp.data = parser;
    parser->max_body_bytes = max_body_bytes;
    parser->max_head_bytes = HTTP_MAX_HEAD_BYTES;
    parser->discard_body = false;
    parser->base = NULL;
}

static enum http_feed finish_message(struct http_parser *parser)
{
    struct http_message *message = &parser->message;
    /* A "Connection: close" in the trailer: llhttp passes over all that follows, without a word. */
    if (!llhttp_should_keep_alive(&parser->llhttp))
        message->flags &= ~(unsigned)HTTP_KEEP_ALIVE;
    if (parser->head_base != parser->base) {
        /* The buffer moved while the body came: the views are made again where it lies now. The
         * head passed once and did not change, so it passes again. */
        unsigned keep_alive = message->flags & HTTP_KEEP_ALIVE;
        message->flags = 0;
        message->n_headers = 0;
        read_head(parser);
        if (llhttp_get_type(&parser->llhttp) == HTTP_REQUEST)
            read_target(parser);
        message->flags |= keep_alive;
    }
    message->head = (struct http_view){parser->base, parser->head_bytes};
    message->body = (struct http_view){parser->base + parser->head_bytes,
                                       parser->discard_body ? 0 : parser->body_bytes};
    return HTTP_FEED_MESSAGE;
}

/* A method nobody knows, rather than bytes that are no HTTP at all. */
static bool begins_with_token(const struct http_parser *parser)
{
    size_t i = 0;
    while (i < parser->fed && token_byte[(unsigned char)parser->base[i]])
        i++;
    return i > 0 && i < parser->fed && parser->base[i] == ' ';
}

static enum http_feed fail(struct http_parser *parser, enum llhttp_errno code)
{
    uint16_t status = 400;
    if (code == HPE_INVALID_VERSION) /* or a bad byte after a good version */
        status = llhttp_get_http_major(&parser->llhttp) == 1 &&
                         llhttp_get_http_minor(&parser->llhttp) <= 1
                     ? 400
                     : 505;
    else if (code == HPE_INVALID_METHOD && begins_with_token(parser))
        status = 501;
    refuse(parser, status,
           llhttp_get_error_reason(&parser->llhttp) ? llhttp_get_error_reason(&parser->llhttp)
                                                    : llhttp_errno_name(code));
    return HTTP_FEED_REFUSED;
}

enum http_feed http_parser_feed(struct http_parser *parser, struct buf *in)
{
    if (parser->message_done)
        return HTTP_FEED_MESSAGE;
    if (parser->fed == 0) /* RFC 9112 §2.2: empty lines before a message are passed over */
        while (buf_len(in) >= 2 && memcmp(buf_head(in), "\r\n", 2) == 0)
            buf_consume(in, 2);
    size_t available = buf_len(in);
    if (available == parser->fed || (parser->fed == 0 && available == 1 && *buf_head(in) == '\r'))
        return HTTP_FEED_MORE;
    parser->base = buf_head(in);
    size_t from = parser->fed;
    parser->fed = available;
    enum llhttp_errno code = llhttp_execute(&parser->llhttp, parser->base + from, available - from);
    if (code == HPE_PAUSED && parser->message_done) {
        parser->fed = (size_t)(llhttp_get_error_pos(&parser->llhttp) - parser->base);
        if ((parser->message.flags & HTTP_CHUNKED) && check_framing(parser, parser->fed) != 0)
            return HTTP_FEED_REFUSED;
        return finish_message(parser);
    }
    if (code != HPE_OK)
        return fail(parser, code);
    if (!parser->head_done) {
        if (available <= parser->max_head_bytes)
            return HTTP_FEED_MORE;
        refuse_long_head(parser);
        return HTTP_FEED_REFUSED;
    }
    bool chunked = parser->message.flags & HTTP_CHUNKED;
    if (chunked && check_framing(parser, parser->fed) != 0)
        return HTTP_FEED_REFUSED;
    if (chunked || parser->discard_body) {
        /* What was framing is done with: the joined body, or the head where no body is kept, ends
         * the buffer, and the next bytes follow it. */
        parser->fed = parser->head_bytes + (parser->discard_body ? 0 : parser->body_bytes);
        parser->framing_at = parser->fed;
        in->end = in->start + parser->fed;
    }
    return HTTP_FEED_MORE;
}

enum http_feed http_parser_finish(struct http_parser *parser, struct buf *in)
{
    if (parser->message_done)
        return HTTP_FEED_MESSAGE;
    if (http_parser_idle(parser, in))
        return HTTP_FEED_MORE;
    parser->base = buf_head(in);
    enum llhttp_errno code = llhttp_finish(&parser->llhttp);
    if (parser->message_done && (code == HPE_OK || code == HPE_PAUSED)) {
        parser->message.flags &= ~(unsigned)HTTP_KEEP_ALIVE;
        return finish_message(parser);
    }
    refuse(parser, 400, "the connection ended within a message");
    return HTTP_FEED_REFUSED;
}

void http_parser_next(struct http_parser *parser, struct buf *in)
{
    assert(parser->message_done);
    buf_consume(in, parser->fed);
    llhttp_resume(&parser->llhttp);
    forget_message(parser);
}
