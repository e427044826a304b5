#include "loadgen/verify.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A body longer than this cannot be checked, and is an error when it is to be. */
#define MAX_CHECKED_BODY_BYTES ((size_t)1 << 20)

size_t verify_keep_bytes(const struct verify *verify)
{
    return verify->expect ? MAX_CHECKED_BODY_BYTES : 0;
}

enum verdict verify_answer(const struct verify *verify, const struct client_answer *answer)
{
    if (answer->error != CLIENT_OK)
        return (enum verdict)answer->error;
    if (answer->status / 100 != 2) {
        switch (answer->status / 100) {
        case 3:
            return VERDICT_STATUS_3XX;
        case 4:
            return VERDICT_STATUS_4XX;
        case 5:
            return VERDICT_STATUS_5XX;
        default:
            return VERDICT_STATUS_OTHER;
        }
    }
    if (verify->expect && *verify->expect &&
        (!answer->body ||
         !memmem(answer->body, answer->body_bytes, verify->expect, strlen(verify->expect))))
        return VERDICT_WRONG_BODY;
    return VERDICT_OK;
}

const char *verdict_name(enum verdict verdict)
{
    if ((unsigned)verdict < CLIENT_N_ERRORS)
        return client_error_name((enum client_error)verdict);
    switch (verdict) {
    case VERDICT_STATUS_3XX:
        return "status_3xx";
    case VERDICT_STATUS_4XX:
        return "status_4xx";
    case VERDICT_STATUS_5XX:
        return "status_5xx";
    case VERDICT_STATUS_OTHER:
        return "status_other";
    default:
        assert(verdict == VERDICT_WRONG_BODY);
        return "wrong_body";
    }
}

/* %s is the address. */
static const char *const hints[VERDICT_N] = {
    [CLIENT_REFUSED] = "nothing listens at %s; is the load balancer running?",
    [CLIENT_UNREACHABLE] = "%s cannot be reached from here; is the address right?",
    [CLIENT_RESET] = "%s, or a server behind it, died or dropped the connection; see its log",
    [CLIENT_CLOSED] = "%s closed the connection without an answer; is it HTTP, and is it alive?",
    [CLIENT_TIMEOUT] = "%s does not answer in time; is it hung? --timeout sets the limit",
    [CLIENT_SLOW] =
        "%s began its answers and did not end them in time; does Content-Length promise "
        "more than comes, or is --timeout too short?",
    [CLIENT_MALFORMED] = "%s does not speak HTTP as RFC 9112 has it, or cut its answers short",
    [CLIENT_TOO_LARGE] = "answers of %s pass the limits of the load generator",
    [CLIENT_LOCAL] = "this machine is out of ports or file descriptors, not %s; fewer in flight "
                     "(-c), ulimit -n, or wait for TIME_WAIT",
    [CLIENT_OTHER] = "the example says what libcurl made of %s",
    [VERDICT_STATUS_3XX] = "%s redirects, and redirects are not followed; use the URL it names",
    [VERDICT_STATUS_4XX] = "%s refuses the request; is the path right?",
    [VERDICT_STATUS_5XX] = "%s, or a server behind it, failed; see its log",
    [VERDICT_STATUS_OTHER] = "%s answers with a status that ends no request",
    [VERDICT_WRONG_BODY] =
        "answers of %s are whole but do not hold what they must: the text --expect "
        "names, or rows that were written",
};

/* Of statuses that say more than their class; %s is the address. */
static const struct {
    unsigned status;
    const char *hint;
} status_hints[] = {
    {400, "%s takes the request for wrong; are the path and the --body right, and do the shards of "
          "/init hold the ids?"},
    {404, "%s has no such path, or no row with that id; was it written before?"},
    {405, "%s does not take that method on this path; -X sets it"},
    {409, "%s has a row with that id already, or no database yet; write other ids (low=), delete "
          "what is there, or POST /init first"},
    {413, "%s takes no body that large; send fewer rows a request"},
    {503, "%s had nobody to answer: is a server, or a shard's last replica, being replaced? "
          "quoit ctl status"},
};

const char *verdict_hint(enum verdict verdict, unsigned status, const char *address, char *text,
                         size_t bytes)
{
    const char *hint = hints[verdict];
    const char *mark;

    if (verdict == VERDICT_STATUS_4XX || verdict == VERDICT_STATUS_5XX)
        for (size_t i = 0; i < sizeof(status_hints) / sizeof(status_hints[0]); i++)
            if (status_hints[i].status == status)
                hint = status_hints[i].hint;
    assert(verdict != VERDICT_OK && hint);
    mark = strstr(hint, "%s");
    snprintf(text, bytes, "%.*s%s%s", (int)(mark - hint), hint, address, mark + 2);
    return text;
}

const char *verdict_describe(enum verdict verdict, const struct client_answer *answer, char *text,
                             size_t bytes)
{
    const char *from = answer->server_bytes ? " from " : "";
    int n_name = (int)answer->server_bytes;
    const char *name = n_name ? answer->server : "";

    if (answer->error != CLIENT_OK)
        snprintf(text, bytes, "%s", answer->detail);
    else if (verdict == VERDICT_WRONG_BODY)
        snprintf(text, bytes, "HTTP %d%s%.*s with %zu other bytes", answer->status, from, n_name,
                 name, answer->body_bytes);
    else
        snprintf(text, bytes, "HTTP %d%s%.*s", answer->status, from, n_name, name);
    return text;
}
