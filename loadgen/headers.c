#include "loadgen/headers.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "loadgen/workload.h"

bool headers_method_valid(const char *method)
{
    size_t n = strlen(method);

    return n > 0 && n <= 16 && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

/* A token of RFC 9110 §5.6.2. */
static bool is_name(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", name[i]))
            return false;
    return n > 0;
}

static bool same_name(const char *line, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(line, name, n) == 0;
}

static int check_name(const char *name, size_t n, struct err *err)
{
    static const char *const ours[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection"};

    if (!is_name(name, n))
        return err_set(err, -EINVAL, "'%.*s' is no name of a header", (int)n, name);
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        if (same_name(name, n, ours[i]))
            return err_set(err, -EINVAL, "the header %s is written by the client itself", ours[i]);
    return 0;
}

static int check_line(const char *line, struct err *err)
{
    const char *colon = strchr(line, ':');

    if (!colon)
        return err_set(err, -EINVAL, "'%s' is no header: NAME: VALUE is wanted", line);
    for (const char *c = colon + 1; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return err_set(err, -EINVAL, "the value of '%.*s' has a control character",
                           (int)(colon - line), line);
    return check_name(line, (size_t)(colon - line), err);
}

int headers_build(const char *const *lines, size_t n_lines, const char *key_header, bool has_body,
                  struct buf *ret_text, struct err *err)
{
    bool has_type = false;
    int rc = 0;

    for (size_t i = 0; i < n_lines && rc == 0; i++) {
        rc = check_line(lines[i], err);
        if (rc < 0)
            return rc;
        has_type |= same_name(lines[i], strcspn(lines[i], ":"), "Content-Type");
        rc = buf_appendf(ret_text, "%s\r\n", lines[i]);
    }
    if (rc == 0 && has_body && !has_type)
        rc = buf_append_str(ret_text, "Content-Type: application/json\r\n");
    if (rc == 0 && key_header) {
        rc = check_name(key_header, strlen(key_header), err);
        if (rc < 0)
            return rc;
        rc = buf_appendf(ret_text, "%s: " WORKLOAD_KEY "\r\n", key_header);
    }
    if (rc < 0 || buf_len(ret_text) > HEADERS_MAX_BYTES)
        return err_set(err, -EINVAL, "the headers are longer than %u bytes", HEADERS_MAX_BYTES);
    return 0;
}
