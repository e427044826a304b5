/* http_parser_feed() on any bytes, whole and in pieces: the pieces must not change what is read.
 * A message that reads differently depending on how the network cut it is how requests are
 * smuggled. Besides, every view lies in the buffer, and the limits and refusals of core/http.h
 * hold.
 *
 * The first byte says request or response, whether a response has no body, and a body limit; the
 * second how the rest is cut. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct setup {
    enum http_parser_type type;
    bool no_body;
    size_t max_body_bytes;
};

static void check_view(const struct buf *in, struct http_view view)
{
    if (view.at == NULL) {
        assert(view.len == 0);
        return;
    }
    assert(view.at >= in->data && view.at + view.len <= in->data + in->end);
}

static void note_view(struct buf *story, const char *what, struct http_view view)
{
    assert(buf_appendf(story, "%s %zu:", what, view.len) == 0);
    assert(view.len == 0 || buf_append(story, view.at, view.len) == 0);
    assert(buf_append_str(story, "\n") == 0);
}

/* Writes down everything a user of the message could see. */
static void note_message(struct buf *story, const struct setup *setup, const struct buf *in,
                         const struct http_message *message)
{
    assert(message->n_headers <= HTTP_MAX_HEADERS);
    assert(message->head.len <= HTTP_MAX_HEAD_BYTES);
    assert(message->body.len <= setup->max_body_bytes);
    check_view(in, message->head);
    check_view(in, message->start_line);
    check_view(in, message->body);
    buf_appendf(story, "message %u %u\n", message->flags, message->minor);
    note_view(story, "body", message->body);
    size_t n_lengths = 0;
    size_t n_codings = 0;
    for (size_t i = 0; i < message->n_headers; i++) {
        const struct http_header *header = &message->headers[i];

        check_view(in, header->name);
        check_view(in, header->value);
        assert(header->name.len > 0);
        assert(memchr(header->value.at ? header->value.at : "", '\r', header->value.len) == NULL);
        assert(memchr(header->value.at ? header->value.at : "", '\n', header->value.len) == NULL);
        note_view(story, "name", header->name);
        note_view(story, "value", header->value);
        n_lengths += http_view_equal_nocase(header->name, "content-length");
        n_codings += http_view_equal_nocase(header->name, "transfer-encoding");
        buf_appendf(story, "hop %d\n", http_is_hop_by_hop(message, header));
    }
    assert(n_lengths == 0 || n_codings == 0);
    if (setup->type == HTTP_PARSE_RESPONSE) {
        buf_appendf(story, "status %u\n", message->status);
        return;
    }
    assert(message->target.len <= HTTP_MAX_TARGET_BYTES);
    check_view(in, message->target);
    check_view(in, message->path);
    check_view(in, message->query);
    const char *flaw = http_check_path(message->path);
    buf_appendf(story, "method %d path %s\n", (int)message->method, flaw ? flaw : "good");
    note_view(story, "target", message->target);
    note_view(story, "path", message->path);
    note_view(story, "query", message->query);
    note_view(story, "k", http_query_value(message->query, "k"));
}

/* Feeds data in pieces of the lengths that `cut` leads to (0: at once) and writes down what was
 * read. */
static void read_all(struct buf *story, const struct setup *setup, const uint8_t *data, size_t size,
                     uint8_t cut)
{
    struct http_parser parser;
    struct buf in;
    enum http_feed found = HTTP_FEED_MORE;
    uint32_t state = cut;
    size_t at = 0;

    buf_init(&in, 0);
    http_parser_init(&parser, setup->type, setup->max_body_bytes);
    parser.no_body = setup->no_body;
    while (at < size && found != HTTP_FEED_REFUSED) {
        state = state * 1664525u + 1013904223u;
        size_t piece = cut == 0 ? size : cut == 1 ? 1 : 1 + (state >> 16) % (2u * cut);
        if (piece > size - at)
            piece = size - at;
        assert(buf_append(&in, data + at, piece) == 0);
        at += piece;
        while ((found = http_parser_feed(&parser, &in)) == HTTP_FEED_MESSAGE) {
            note_message(story, setup, &in, &parser.message);
            http_parser_next(&parser, &in);
            parser.no_body = setup->no_body;
        }
    }
    if (found != HTTP_FEED_REFUSED && setup->type == HTTP_PARSE_RESPONSE) {
        found = http_parser_finish(&parser, &in);
        if (found == HTTP_FEED_MESSAGE)
            note_message(story, setup, &in, &parser.message);
    }
    if (found == HTTP_FEED_REFUSED) {
        assert(parser.refusal.status >= 400 && parser.refusal.status < 600);
        assert(parser.refusal.reason != NULL);
        /* Which flaw of several is met first may depend on the cut; that there is one may not. */
        buf_append_str(story, "refused\n");
    } else if (found == HTTP_FEED_MORE) {
        buf_append_str(story, http_parser_idle(&parser, &in) ? "between\n" : "within\n");
    }
    buf_done(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct setup setup = {
        .type = (data[0] & 1) ? HTTP_PARSE_RESPONSE : HTTP_PARSE_REQUEST,
        .no_body = (data[0] & 3) == 3,
        .max_body_bytes = (data[0] & 4) ? 16 : 64 * 1024,
    };
    struct buf whole, pieces;

    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    read_all(&whole, &setup, data + 2, size - 2, 0);
    read_all(&pieces, &setup, data + 2, size - 2, data[1] ? data[1] : 1);
    assert(buf_len(&whole) == buf_len(&pieces));
    assert(memcmp(buf_head(&whole), buf_head(&pieces), buf_len(&whole)) == 0);
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
