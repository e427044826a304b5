#include "tests/support/http_story.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/mem.h"

static void tell_body(struct buf *story, struct http_view body)
{
    if (body.len <= 64) {
        buf_append_str(story, " {");
        buf_append(story, body.at, body.len);
        buf_append_str(story, "}\n");
    } else {
        buf_appendf(story, " {#%zu:%016" PRIx64 "}\n", body.len,
                    (uint64_t)XXH3_64bits(body.at, body.len));
    }
}

static void tell_message(struct buf *story, const struct story_setup *setup,
                         const struct http_message *message)
{
    static const struct {
        unsigned flag;
        char letter;
    } flags[] = {
        {HTTP_KEEP_ALIVE, 'K'},      {HTTP_CHUNKED, 'C'},  {HTTP_HOP_BY_HOP, 'H'},
        {HTTP_EXPECT_CONTINUE, 'E'}, {HTTP_HAS_HOST, 'O'}, {HTTP_HAS_LENGTH, 'L'},
    };

    if (setup->type == HTTP_PARSE_REQUEST)
        buf_appendf(story, "%s %.*s", llhttp_method_name(message->method), (int)message->target.len,
                    message->target.at);
    else
        buf_appendf(story, "%u", message->status);
    buf_appendf(story, " 1.%u ", message->minor);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (message->flags & flags[i].flag)
            buf_append(story, &flags[i].letter, 1);
    buf_append_str(story, " [");
    for (size_t i = 0; i < message->n_headers; i++) {
        const struct http_header *header = &message->headers[i];
        buf_appendf(story, "%s%.*s=", i > 0 ? "; " : "", (int)header->name.len, header->name.at);
        buf_append(story, header->value.at, header->value.len);
    }
    buf_append_str(story, "]");
    tell_body(story, message->body);
}

/* The same bytes elsewhere; views into where they were are caught by a sanitizer. */
static void move(struct buf *in)
{
    char *data = mem_alloc(in->capacity + 1);

    if (in->data)
        memcpy(data, in->data, in->capacity);
    free(in->data);
    in->data = data;
}

/* Takes every whole message. */
static enum http_feed take(struct buf *story, const struct story_setup *setup,
                           struct http_parser *parser, struct buf *in, bool eof)
{
    for (;;) {
        if (setup->no_body && parser->fed == 0)
            parser->no_body = true;
        enum http_feed found = http_parser_feed(parser, in);
        if (found == HTTP_FEED_MORE && eof)
            found = http_parser_finish(parser, in);
        if (found != HTTP_FEED_MESSAGE)
            return found;
        tell_message(story, setup, &parser->message);
        http_parser_next(parser, in);
    }
}

void story_read(struct buf *story, const struct story_setup *setup, const void *bytes, size_t n,
                size_t first, size_t step)
{
    struct http_parser parser;
    struct buf in;
    enum http_feed found = HTTP_FEED_MORE;

    buf_init(&in, 0);
    http_parser_init(&parser, setup->type,
                     setup->max_body_bytes ? setup->max_body_bytes : 1u << 20);
    for (size_t at = 0, piece; at < n && found == HTTP_FEED_MORE; at += piece) {
        piece = at == 0 ? first : step;
        if (piece > n - at)
            piece = n - at;
        buf_append(&in, (const char *)bytes + at, piece);
        move(&in);
        found = take(story, setup, &parser, &in, false);
    }
    if (found == HTTP_FEED_MORE && setup->eof)
        found = take(story, setup, &parser, &in, true);
    if (found == HTTP_FEED_REFUSED) {
        assert(parser.refusal.reason && *parser.refusal.reason);
        buf_appendf(story, "refused %u\n", parser.refusal.status);
    } else if (!http_parser_idle(&parser, &in)) {
        buf_append_str(story, "within\n");
    }
    buf_done(&in);
}

const char *story_read_all_cuts(struct buf *story, const struct story_setup *setup,
                                const void *bytes, size_t n)
{
    static char difference[4096];
    size_t begin = buf_len(story);
    struct buf other;

    story_read(story, setup, bytes, n, n, n);
    for (size_t first = 0; first < n; first++) {
        buf_init(&other, 0);
        /* Byte by byte in place of nothing and then all. */
        story_read(&other, setup, bytes, n, first ? first : 1, first ? n : 1);
        bool same = buf_len(&other) == buf_len(story) - begin &&
                    memcmp(buf_head(&other), buf_head(story) + begin, buf_len(&other)) == 0;
        if (!same)
            snprintf(difference, sizeof(difference), "%s %zu:\n%s---- instead of\n%s",
                     first ? "cut after byte" : "byte by byte", first, buf_str(&other),
                     buf_str(story) + begin);
        buf_done(&other);
        if (!same)
            return difference;
    }
    return NULL;
}
