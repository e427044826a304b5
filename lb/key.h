/* The request id: what the placement is asked with (CONTRACT.md, Names, ids, hashing). */
#ifndef QUOIT_LB_KEY_H
#define QUOIT_LB_KEY_H

#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "core/http.h"
#include "core/rng.h"

enum key_from { KEY_RANDOM, KEY_HEADER, KEY_QUERY, KEY_PATH, KEY_CLIENT };

/* Where a request's id comes from. */
struct key_source {
    enum key_from from;
    char name[64]; /* of the header or the query parameter */
};

/* "random", "header:NAME", "query:NAME", "path" or "client". 0 or -EINVAL with the reason. */
int key_source_parse(const char *text, struct key_source *ret_source, struct err *err);

/* The id of this request. A text that is a decimal number stands for that number, any other for its
 * XXH3 hash; a request that lacks the header or the parameter, and every request with KEY_RANDOM,
 * gets a random number from 100000 to 999999. peer may be NULL. */
uint64_t key_of(const struct key_source *source, const struct http_message *request,
                const struct addr *peer, struct rng *rng);

#endif
