/* What a parser reads, written down: for tests of core/http.
 *
 * A line a message, then how it ended:
 *
 *   GET /home?x=1 1.1 KO [Host=q; A=b] {}
 *   200 1.1 KL [Content-Length=2] {ok}
 *   refused 400        | within (the bytes end in a message)
 *
 * Flags: K keep-alive, C chunked, H hop-by-hop, E expect, O host, L length. A body longer than 64
 * bytes is written as {#LENGTH:XXH3}. */
#ifndef QUOIT_TESTS_SUPPORT_HTTP_STORY_H
#define QUOIT_TESTS_SUPPORT_HTTP_STORY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/http.h"

struct story_setup {
    enum http_parser_type type;
    size_t max_body_bytes; /* 0: 1 MiB */
    bool no_body;          /* every response answers a HEAD */
    bool eof;              /* the connection ends after the bytes */
};

/* Appends the story of the bytes fed as a first piece of `first` bytes and then pieces of `step`.
 * The buffer lies elsewhere at every feed, and what it was before is freed. */
void story_read(struct buf *story, const struct story_setup *setup, const void *bytes, size_t n,
                size_t first, size_t step);
/* The story of the whole at once; checks that byte by byte, and at every cut in two, it is the
 * same. Appends it to `story` and returns NULL, or returns what was different (static). */
const char *story_read_all_cuts(struct buf *story, const struct story_setup *setup,
                                const void *bytes, size_t n);

#endif
