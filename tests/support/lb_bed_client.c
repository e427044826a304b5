/* What a test asks of the LB over HTTP, and what the answers say. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/http.h"
#include "core/json.h"
#include "core/mem.h"
#include "tests/support/lb_bed_parts.h"

double lb_bed_now_s(void)
{
    return (double)clock_now_ns() * 1e-9;
}

void lb_bed_nap_ms(int ms)
{
    poll(NULL, 0, ms);
}

int lb_bed_connect(struct lb_bed *bed)
{
    const struct timeval patience = {.tv_sec = (time_t)LB_BED_PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&bed->addr.storage, bed->addr.len) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

void lb_bed_ask(int fd, const char *method, const char *path, const char *headers, const char *body)
{
    char *request =
        mem_printf("%s %s HTTP/1.1\r\nHost: q\r\nConnection: close\r\n%s"
                   "Content-Length: %zu\r\n\r\n%s",
                   method, path, headers ? headers : "", body ? strlen(body) : 0, body ? body : "");

    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    free(request);
}

int lb_bed_begin(struct lb_bed *bed, const char *method, const char *path, const char *headers,
                 const char *body)
{
    int fd = lb_bed_connect(bed);

    lb_bed_ask(fd, method, path, headers, body);
    return fd;
}

const char *lb_bed_end(struct lb_bed *bed, int fd, int *ret_status)
{
    struct http_parser parser;
    struct buf in;
    enum http_feed found = HTTP_FEED_MORE;

    buf_init(&in, 0);
    http_parser_init(&parser, HTTP_PARSE_RESPONSE, 1u << 26);
    while (found == HTTP_FEED_MORE) {
        ssize_t n = read(fd, buf_reserve(&in, 65536), 65536);
        if (n <= 0)
            fail_msg("no answer: %s", n < 0 ? strerror(errno) : "closed");
        buf_commit(&in, (size_t)n);
        found = http_parser_feed(&parser, &in);
    }
    if (found != HTTP_FEED_MESSAGE)
        fail_msg("%s", parser.refusal.reason);
    if (ret_status)
        *ret_status = parser.message.status;
    buf_clear(&bed->body);
    buf_append(&bed->body, parser.message.body.at, parser.message.body.len);
    buf_done(&in);
    close(fd);
    return buf_str(&bed->body);
}

bool lb_bed_answered(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    return poll(&waiting, 1, 0) == 1;
}

const char *lb_bed_call(struct lb_bed *bed, const char *method, const char *path, const char *body,
                        int *ret_status)
{
    return lb_bed_end(bed, lb_bed_begin(bed, method, path, NULL, body), ret_status);
}

const char *lb_bed_home(struct lb_bed *bed, const char *headers)
{
    int status;
    const char *body = lb_bed_end(bed, lb_bed_begin(bed, "GET", "/home", headers, NULL), &status);

    if (status != 200)
        fail_msg("%d %s", status, body);
    return body;
}

static cJSON *call_json(struct lb_bed *bed, const char *path)
{
    int status;
    struct err err = {0};
    const char *body = lb_bed_call(bed, "GET", path, NULL, &status);
    cJSON *tree = json_parse(body, strlen(body), &err);

    if (status != 200 || !tree)
        fail_msg("%d %s: %s", status, err.message, body);
    return tree;
}

const char *lb_bed_rep(struct lb_bed *bed)
{
    cJSON *tree = call_json(bed, "/rep");
    const cJSON *message = json_get(tree, "message"), *name;
    int64_t n = -1;
    size_t at = 0;

    bed->text[0] = '\0';
    cJSON_ArrayForEach (name, json_get(message, "replicas"))
        at += (size_t)snprintf(bed->text + at, sizeof(bed->text) - at, "%s%s", at ? " " : "",
                               name->valuestring);
    assert_int_equal(json_get_int64(message, "N", &n), 0);
    assert_int_equal(n, cJSON_GetArraySize(json_get(message, "replicas")));
    assert_string_equal(json_get_string(tree, "status"), "successful");
    cJSON_Delete(tree);
    return bed->text;
}

size_t lb_bed_n_serving(struct lb_bed *bed)
{
    const char *text = lb_bed_rep(bed);
    size_t n = *text != '\0';

    for (; *text; text++)
        n += *text == ' ';
    return n;
}

bool lb_bed_is_healed(struct lb_bed *bed, const char *lost)
{
    size_t n = lb_bed_n_serving(bed);
    const char *at = strstr(bed->text, lost);

    return n == 3 && !(at && (at[strlen(lost)] == ' ' || at[strlen(lost)] == '\0'));
}

uint64_t lb_bed_metric(struct lb_bed *bed, const char *name)
{
    char *line = mem_printf("\n%s ", name);
    int status;
    const char *text = lb_bed_call(bed, "GET", "/metrics", NULL, &status);
    const char *at = strstr(text, line);

    if (status != 200 || !at)
        fail_msg("%d, no metric %s", status, name);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    free(line);
    return value;
}

uint64_t lb_bed_event_ns(struct lb_bed *bed, const char *step, const char *server, size_t n)
{
    cJSON *tree = call_json(bed, "/cluster");
    const cJSON *event;
    uint64_t ns = 0;

    cJSON_ArrayForEach (event, json_get(tree, "events")) {
        if (strcmp(json_get_string(event, "step"), step) != 0 ||
            (server && strcmp(json_get_string(event, "server"), server) != 0) || n-- > 0)
            continue;
        ns = strtoull(json_get(event, "monotonic_ns")->valuestring, NULL, 10);
        break;
    }
    cJSON_Delete(tree);
    return ns;
}

bool lb_bed_event_says(struct lb_bed *bed, const char *step, const char *word)
{
    cJSON *tree = call_json(bed, "/cluster");
    const cJSON *event;
    bool says = false;

    cJSON_ArrayForEach (event, json_get(tree, "events")) {
        const char *detail = json_get_string(event, "detail");
        says |= strcmp(json_get_string(event, "step"), step) == 0 && detail &&
                strstr(detail, word) != NULL;
    }
    cJSON_Delete(tree);
    return says;
}
