#include "lb/key.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <xxhash.h>

#include "backends/placement.h"

static int take_name(struct key_source *source, enum key_from from, const char *name,
                     struct err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n >= sizeof(source->name))
        return err_set(err, -EINVAL, "key source: the name after ':' must have 1 to %zu bytes",
                       sizeof(source->name) - 1);
    source->from = from;
    memcpy(source->name, name, n + 1);
    return 0;
}

int key_source_parse(const char *text, struct key_source *ret_source, struct err *err)
{
    struct key_source source = {.from = KEY_RANDOM};
    int rc = 0;
    if (strncmp(text, "header:", 7) == 0)
        rc = take_name(&source, KEY_HEADER, text + 7, err);
    else if (strncmp(text, "query:", 6) == 0)
        rc = take_name(&source, KEY_QUERY, text + 6, err);
    else if (strcmp(text, "path") == 0)
        source.from = KEY_PATH;
    else if (strcmp(text, "client") == 0)
        source.from = KEY_CLIENT;
    else if (strcmp(text, "random") != 0)
        rc =
            err_set(err, -EINVAL,
                    "'%s' is no key source: random, header:NAME, query:NAME, path or client", text);
    if (rc == 0)
        *ret_source = source;
    return rc;
}

static uint64_t key_of_text(struct http_view text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return XXH3_64bits(text.at, text.len);
    }
    return number;
}

/* The host alone: a client's connections share it. */
static uint64_t key_of_peer(const struct addr *peer)
{
    if (peer->storage.ss_family == AF_INET)
        return XXH3_64bits(&((const struct sockaddr_in *)&peer->storage)->sin_addr,
                           sizeof(struct in_addr));
    return XXH3_64bits(&((const struct sockaddr_in6 *)&peer->storage)->sin6_addr,
                       sizeof(struct in6_addr));
}

uint64_t key_of(const struct key_source *source, const struct http_message *request,
                const struct addr *peer, struct rng *rng)
{
    struct http_view text = {NULL, 0};
    switch (source->from) {
    case KEY_RANDOM:
        break;
    case KEY_HEADER:
        text = http_find_header(request, source->name);
        break;
    case KEY_QUERY:
        text = http_query_value(request->query, source->name);
        break;
    case KEY_PATH:
        text = request->path;
        break;
    case KEY_CLIENT:
        if (peer)
            return key_of_peer(peer);
        break;
    }
    if (text.len > 0)
        return key_of_text(text);
    return REQUEST_ID_FIRST + rng_below(rng, REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
}
