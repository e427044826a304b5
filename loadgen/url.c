#include "loadgen/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

static int check_target(const char *target, struct err *err)
{
    if (strlen(target) > URL_MAX_TARGET_BYTES)
        return err_set(err, -EINVAL, "path and query are longer than %d bytes",
                       URL_MAX_TARGET_BYTES);
    for (const char *p = target; *p; p++) {
        if (*p == '#')
            return err_set(err, -EINVAL, "a fragment ('#…') is never sent; leave it out");
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(err, -EINVAL,
                           "the path has a blank or a control character; write it as %%%02X",
                           (unsigned)(unsigned char)*p);
    }
    return 0;
}

int url_parse(const char *text, struct url *ret_url, struct err *err)
{
    struct url url = {.target = NULL};
    const char *host, *host_end, *colon;
    char authority[ADDR_TEXT_BYTES + 8];
    size_t n;
    int rc;

    if (strncasecmp(text, "http://", 7) != 0)
        return err_set(err, -EINVAL, "'%s' is not a URL that starts with http://", text);
    host = text + 7;
    host_end = host + strcspn(host, "/?#");
    n = (size_t)(host_end - host);
    if (n == 0)
        return err_set(err, -EINVAL, "'%s' names no host", text);
    if (memchr(host, '@', n))
        return err_set(err, -EINVAL, "a user or password in the URL is not supported");
    if (n >= sizeof(authority) - 3)
        return err_set(err, -EINVAL, "the host in '%s' is too long to be an address", text);
    memcpy(authority, host, n);
    authority[n] = '\0';
    colon = strrchr(authority, ':');
    if (!colon || authority[n - 1] == ']')
        memcpy(authority + n, ":80", sizeof(":80"));
    else if (colon == authority)
        return err_set(err, -EINVAL, "'%s' names no host", text);
    rc = addr_parse(authority, &url.addr, err);
    if (rc < 0)
        return rc;
    rc = check_target(host_end, err);
    if (rc < 0)
        return rc;
    url.target = *host_end == '/' ? mem_strdup(host_end) : mem_printf("/%s", host_end);
    *ret_url = url;
    return 0;
}

void url_done(struct url *url)
{
    free(url->target);
    url->target = NULL;
}
