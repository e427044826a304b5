/* What is asked of a message and its parts once they have been read: headers by name, which of them
 * end with the connection, query values, paths, status texts. The parser is http.c. */
#include <string.h>
#include <strings.h>

#include "core/http.h"

struct http_view http_find_header(const struct http_message *message, const char *name)
{
    for (size_t i = 0; i < message->n_headers; i++)
        if (http_view_equal_nocase(message->headers[i].name, name))
            return message->headers[i].value;
    return (struct http_view){NULL, 0};
}

/* Whether a comma-separated list names the word, in any case. */
static bool list_has(struct http_view list, struct http_view word)
{
    const char *at = list.at, *end = list.at + list.len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        const char *first = at, *last = stop;
        while (first < last && (*first == ' ' || *first == '\t'))
            first++;
        while (last > first && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if ((size_t)(last - first) == word.len && strncasecmp(first, word.at, word.len) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

bool http_is_hop_by_hop_name(struct http_view name)
{
    static const char *const names[] = {
        "Connection",        "Keep-Alive", "Proxy-Connection", "TE",
        "Transfer-Encoding", "Upgrade",    "Trailer",          "Expect"};
    /* Every header of every message is asked about: most fall here. */
    if (name.len == 0 || !strchr("ckptueCKPTUE", name.at[0]))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (http_view_equal_nocase(name, names[i]))
            return true;
    return false;
}

bool http_is_hop_by_hop(const struct http_message *message, const struct http_header *header)
{
    if (http_is_hop_by_hop_name(header->name))
        return true;
    for (size_t i = 0; i < message->n_headers; i++)
        if (http_view_equal_nocase(message->headers[i].name, "Connection") &&
            list_has(message->headers[i].value, header->name))
            return true;
    return false;
}

struct http_view http_query_value(struct http_view query, const char *name)
{
    if (query.len == 0)
        return (struct http_view){NULL, 0};
    size_t name_len = strlen(name);
    const char *at = query.at, *end = query.at + query.len;
    while (at < end) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        if ((size_t)(stop - at) > name_len && at[name_len] == '=' &&
            memcmp(at, name, name_len) == 0)
            return (struct http_view){at + name_len + 1, (size_t)(stop - at) - name_len - 1};
        at = stop + 1;
    }
    return (struct http_view){NULL, 0};
}

bool http_method_idempotent(llhttp_method_t method)
{
    switch (method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_OPTIONS:
    case HTTP_TRACE:
        return true;
    default:
        return false;
    }
}

/* The registered phrases (RFC 9110 §15 and the IANA registry). llhttp's own table spells them
 * differently from version to version. */
const char *http_status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } phrases[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].text;
    return "Unknown";
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

const char *http_check_path(struct http_view path)
{
    if (path.len == 0 || path.at[0] != '/')
        return "the path does not begin with '/'";
    /* dots: how many dots the segment so far consists of, −1 once it has anything else. */
    int dots = 0;
    for (size_t i = 1; i <= path.len; i++) {
        int c = '/'; /* the end closes the last segment */
        if (i < path.len)
            c = (unsigned char)path.at[i];
        if (c == '%') {
            int high = i + 1 < path.len ? hex_digit(path.at[i + 1]) : -1;
            int low = i + 2 < path.len ? hex_digit(path.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "a '%' in the path is not followed by two hexadecimal digits";
            c = high * 16 + low;
            i += 2;
        }
        if (c == 0)
            return "the path holds a NUL";
        if (c < 0x20 || c == 0x7f)
            return "the path holds a control character";
        if (c == '/') {
            if (dots == 2)
                return "the path holds a '..' segment";
            dots = 0;
        } else if (c == '.' && dots >= 0) {
            dots++;
        } else {
            dots = -1;
        }
    }
    return NULL;
}
