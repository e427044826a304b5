/* Answers: an exchange's status line, headers and body, in the order of the requests. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/httpd.h"
#include "core/httpd_private.h"
#include "core/json.h"

static void append(struct buf *out, const char *text, size_t n)
{
    buf_append(out, text, n); /* unlimited: cannot fail */
}

static void append_u64(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    append(out, digits + at, sizeof(digits) - at);
}

/* Where the answer's bytes go: straight out when it is its turn, else held back. NULL: nobody is
 * there to take them. */
static struct buf *begin_answer(struct httpd_exchange *exchange)
{
    assert(!exchange->answered);
    if (!exchange->conn)
        return NULL;
    return exchange == exchange->conn->first ? &exchange->conn->out : &exchange->held;
}

static void end_answer(struct httpd_exchange *exchange)
{
    struct httpd_conn *conn = exchange->conn;
    exchange->answered = true;
    if (!conn) {
        httpd_free_exchange(exchange);
        return;
    }
    while (conn->first && conn->first->answered) {
        struct httpd_exchange *done = conn->first;
        conn->first = done->next;
        if (!conn->first)
            conn->last = &conn->first;
        conn->n_pending--;
        append(&conn->out, buf_head(&done->held), buf_len(&done->held));
        if (!done->keep_alive)
            conn->closing = true;
        httpd_free_exchange(done);
    }
    if (conn->n_pending == 0) {
        conn->phase_since = httpd_now_s();
        httpd_maybe_continue(conn);
    }
    httpd_touch(conn);
}

static void append_connection(struct httpd_exchange *exchange, struct buf *out)
{
    if (exchange->httpd->draining && !exchange->next) {
        exchange->keep_alive = false;
        exchange->conn->closing = true; /* nothing is taken behind an answer that says so */
    }
    if (!exchange->keep_alive)
        append(out, "Connection: close\r\n", 19);
    else if (exchange->http10)
        append(out, "Connection: keep-alive\r\n", 24);
}

/* RFC 9110 §6.6.1; made anew once a second. */
static const char *date_of(struct httpd *httpd)
{
    uint64_t second = (uint64_t)ev_now(httpd->config.loop);
    if (second != httpd->date_second) {
        httpd->date_second = second;
        clock_format_http(second * NS_PER_S, httpd->date);
    }
    return httpd->date;
}

static void append_status_line(struct buf *out, unsigned status)
{
    append(out, "HTTP/1.1 ", 9);
    append_u64(out, status);
    append(out, " ", 1);
    buf_append_str(out, http_status_text(status));
    append(out, "\r\n", 2);
}

void httpd_reply(struct httpd_exchange *exchange, unsigned status, const char *content_type,
                 const char *headers, const void *body, size_t body_len)
{
    struct buf *out = begin_answer(exchange);
    if (out) {
        struct httpd *httpd = exchange->httpd;
        append_status_line(out, status);
        append(out, "Date: ", 6);
        append(out, date_of(httpd), CLOCK_HTTP_BYTES - 1);
        append(out, "\r\nContent-Length: ", 18);
        append_u64(out, body_len);
        append(out, "\r\n", 2);
        if (content_type) {
            append(out, "Content-Type: ", 14);
            buf_append_str(out, content_type);
            append(out, "\r\n", 2);
        }
        if (httpd->config.headers)
            buf_append_str(out, httpd->config.headers);
        if (headers)
            buf_append_str(out, headers);
        append_connection(exchange, out);
        append(out, "\r\n", 2);
        if (!exchange->head_only)
            append(out, body, body_len);
    }
    end_answer(exchange);
}

static void refuse_with(struct httpd_exchange *exchange, unsigned status, const char *headers,
                        const char *format, va_list args)
{
    char message[1024 + 8] = "<Error> ";
    vsnprintf(message + 8, sizeof(message) - 8, format, args);
    struct buf body;
    buf_init(&body, 0);
    buf_append_str(&body, "{\"message\":");
    json_escape(&body, message, strlen(message));
    buf_append_str(&body, ",\"status\":\"failure\"}");
    httpd_reply(exchange, status, "application/json", headers, buf_head(&body), buf_len(&body));
    buf_done(&body);
}

void httpd_refuse(struct httpd_exchange *exchange, unsigned status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse_with(exchange, status, NULL, format, args);
    va_end(args);
}

static void refuse_allowing(struct httpd_exchange *exchange, const char *headers,
                            const char *format, ...) __attribute__((format(printf, 3, 4)));
static void refuse_allowing(struct httpd_exchange *exchange, const char *headers,
                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse_with(exchange, 405, headers, format, args);
    va_end(args);
}

void httpd_refuse_method(struct httpd_exchange *exchange, const char *allow)
{
    const struct http_message *request = exchange->request;
    char headers[128];
    snprintf(headers, sizeof(headers), "Allow: %s\r\n", allow);
    refuse_allowing(exchange, headers, "%s '%.*s' is not served: it takes %s",
                    llhttp_method_name(request->method), (int)request->path.len, request->path.at,
                    allow);
}

static void append_forwarded_headers(struct buf *out, const struct http_message *answer,
                                     bool keep_length)
{
    for (size_t i = 0; i < answer->n_headers; i++) {
        const struct http_header *header = &answer->headers[i];
        if (http_is_hop_by_hop(answer, header) ||
            (!keep_length && http_view_equal_nocase(header->name, "Content-Length")))
            continue;
        append(out, header->name.at, header->name.len);
        append(out, ": ", 2);
        append(out, header->value.at, header->value.len);
        append(out, "\r\n", 2);
    }
}

void httpd_relay(struct httpd_exchange *exchange, const struct http_message *answer)
{
    struct buf *out = begin_answer(exchange);
    if (out) {
        /* The head as it stands will do when it says how long its body is and nothing about the
         * connection it came over. A bodiless answer (HEAD, 204, 304) keeps the length it names. */
        bool bodiless = exchange->head_only || answer->status == 204 || answer->status == 304;
        bool as_it_stands = !(answer->flags & (HTTP_HOP_BY_HOP | HTTP_CHUNKED)) &&
                            ((answer->flags & HTTP_HAS_LENGTH) || bodiless) && answer->minor == 1;
        if (as_it_stands) {
            append(out, answer->head.at, answer->head.len - 2);
        } else {
            append_status_line(out, answer->status);
            append_forwarded_headers(out, answer, bodiless);
            if (!bodiless) {
                append(out, "Content-Length: ", 16);
                append_u64(out, answer->body.len);
                append(out, "\r\n", 2);
            }
        }
        append_connection(exchange, out);
        append(out, "\r\n", 2);
        if (!bodiless)
            append(out, answer->body.at, answer->body.len);
    }
    end_answer(exchange);
}
