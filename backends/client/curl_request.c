/* What libcurl is told of a slot's request: URL, method, header lines, body. An easy handle is
 * never reset, so only what differs from the request before is said. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/client/curl_private.h"
#include "core/mem.h"

/* The parsed URL spares libcurl a sixth of its work a request; the text is what it sends again
 * when it must, and what it complains about when it does not parse. */
static void set_url(struct curl_client *self, struct curl_slot *slot, const char *target)
{
    char *url = mem_printf("%s%s", self->url_prefix, target);
    CURLUcode parsed = curl_url_set(slot->url, CURLUPART_URL, url, CURLU_PATH_AS_IS);

    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_CURLU, parsed == CURLUE_OK ? slot->url : NULL);
    free(url);
    free(slot->url_target);
    slot->url_target = mem_strdup(target);
}

/* strcmp with NULL as a value of its own. */
static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The slot's list: the lines that keep libcurl from adding its own, then the request's. */
static void set_headers(struct curl_client *self, struct curl_slot *slot, const char *lines)
{
    static const char *const silenced[] = {"Accept:", "Content-Type:", "Expect:"};

    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    free(slot->header_lines);
    slot->header_lines = lines ? mem_strdup(lines) : NULL;
    if (!lines)
        return;
    for (size_t i = 0; i < sizeof(silenced) / sizeof(*silenced); i++) {
        size_t n = strlen(silenced[i]);
        const char *line = lines;
        while (line && strncasecmp(line, silenced[i], n) != 0) {
            line = strstr(line, "\r\n");
            line = line && line[2] ? line + 2 : NULL;
        }
        if (!line)
            slot->headers = curl_slist_append(slot->headers, silenced[i]);
    }
    while (*lines) {
        const char *end = strstr(lines, "\r\n");
        size_t n = end ? (size_t)(end - lines) : strlen(lines);
        char *line = mem_strndup(lines, n);
        char *value = strchr(line, ':');
        /* libcurl leaves a line without a value out; with a semicolon it sends it. */
        if (value && value[1 + strspn(value + 1, " \t")] == '\0')
            *value = ';', value[1] = '\0';
        slot->headers = curl_slist_append(slot->headers, line);
        free(line);
        lines += n + (end ? 2 : 0);
    }
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
}

static void set_method(struct curl_slot *slot, const char *method, bool has_body)
{
    const bool wants_length =
        method &&
        (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0);

    free(slot->method);
    slot->method = method ? mem_strdup(method) : NULL;
    slot->has_body = has_body;
    /* Each of these undoes the ones before it. */
    curl_easy_setopt(slot->easy, CURLOPT_HTTPGET, 1L);
    slot->sends_length = has_body || wants_length;
    if (slot->sends_length)
        curl_easy_setopt(slot->easy, CURLOPT_POST, 1L);
    else if (method && strcmp(method, "HEAD") == 0)
        curl_easy_setopt(slot->easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_CUSTOMREQUEST, has_body && !method ? "GET" : slot->method);
}

void curl_request_set(struct curl_client *self, struct curl_slot *slot,
                      const struct client_request *request)
{
    const bool has_body = request->body != NULL;
    /* With a method of its own, libcurl has header lines of its own to be silenced. */
    const char *lines = request->headers              ? request->headers
                        : has_body || request->method ? ""
                                                      : NULL;

    if (!slot->url_target || strcmp(slot->url_target, request->target) != 0)
        set_url(self, slot, request->target);
    if (!same_text(slot->method, request->method) || slot->has_body != has_body)
        set_method(slot, request->method, has_body);
    if (!same_text(slot->header_lines, lines))
        set_headers(self, slot, lines);
    if (slot->sends_length) {
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
        /* Without it libcurl would ask for the bytes of an empty one. */
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, has_body ? request->body : "");
    }
}

void curl_request_forget(struct curl_slot *slot)
{
    curl_url_cleanup(slot->url);
    curl_slist_free_all(slot->headers);
    free(slot->header_lines);
    free(slot->method);
    free(slot->url_target);
}
