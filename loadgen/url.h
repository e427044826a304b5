/* The URL a load goes to: http only, numeric host or localhost, since no name is ever resolved
 * (core/addr.h). */
#ifndef QUOIT_LOADGEN_URL_H
#define QUOIT_LOADGEN_URL_H

#include "core/addr.h"
#include "core/err.h"

#define URL_MAX_TARGET_BYTES 8192

struct url {
    struct addr addr;
    char *target; /* path and query as given, "/" when the URL has none; owned */
};

/* "http://HOST[:PORT][/PATH][?QUERY]", port 80 when none is given. A fragment, user or password, a
 * blank or a control character is an error. 0 or -EINVAL with the reason. */
int url_parse(const char *text, struct url *ret_url, struct err *err);
/* Takes a zeroed one. */
void url_done(struct url *url);

#endif
