/* The HTTP/1.1 server side, on one loop: connections, pipelining, limits, deadlines.
 *
 *   accept → read → http_parser → on_request(exchange) ─ … ─ httpd_reply(exchange) → out → one
 * write
 *
 * A request is handed over whole. It may be answered at once or later, in any order: answers leave
 * in the order of the requests. Writes are put off to the end of the loop's turn (core/flush.h).
 * Nothing here blocks or locks; everything runs on the loop's thread. */
#ifndef QUOIT_CORE_HTTPD_H
#define QUOIT_CORE_HTTPD_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/flush.h"
#include "core/http.h"
#include "core/metrics.h"

struct httpd;
struct httpd_conn;

/* What one server takes, and how long it waits. Zero means the default in brackets. */
struct httpd_limits {
    size_t max_body_bytes;   /* [16 MiB] → 413 */
    size_t max_connections;  /* [16384]; further ones are answered 503 and closed */
    unsigned max_pipelined;  /* [128] requests of one connection under way; then it is not read */
    size_t max_unsent_bytes; /* [1 MiB] answers a client does not take; then it is not read */
    uint64_t
        head_timeout_ns; /* [10 s] from the first byte of a request to the end of its head → 408 */
    uint64_t idle_timeout_ns;  /* [75 s] between requests → closed */
    uint64_t write_timeout_ns; /* [30 s] without taking a byte of an answer → closed */
    uint64_t body_grace_ns;    /* [5 s] before the minimum rate of a body counts */
    uint64_t body_bytes_per_s; /* [512] minimum → 408 */
};

/* One request and its answer. Alive until it is answered; exactly one httpd_reply… ends it. */
struct httpd_exchange {
    const struct http_message *request; /* borrowed, during on_request only; then NULL */
    struct httpd *httpd;
    struct httpd_conn *conn; /* NULL once the client has gone: answer all the same */
    void *user;              /* user_bytes of memory, not cleared */
    /* private */
    struct httpd_exchange *next;
    struct buf held; /* the answer, until those before it have gone */
    bool answered, head_only, keep_alive, http10;
};

struct httpd_config {
    struct ev_loop *loop;
    struct flusher *flusher;
    struct httpd_limits limits;
    const char *headers; /* added to every own answer, whole lines with CR LF; or NULL (ref) */
    size_t user_bytes;   /* memory of every exchange for the handler */
    void (*on_request)(void *context, struct httpd_exchange *exchange);
    void *context;
};

/* Counted by the loop's thread alone, read by any. */
struct httpd_counters {
    uint64_t connections_accepted, connections_refused, connections;
    uint64_t requests, bad_requests, timeouts, bytes_in, bytes_out;
};

/* Describes struct httpd_counters for /metrics. */
extern const struct metric_set httpd_metric_set;

struct httpd *httpd_new(const struct httpd_config *config);
/* Closes everything. Every exchange must have been answered. Takes NULL. */
void httpd_free(struct httpd *httpd);
/* Accepts from a listening socket, which it then owns. */
void httpd_listen(struct httpd *httpd, int fd);
/* Stops accepting, closes idle connections, and closes each other after its next answer. */
void httpd_drain(struct httpd *httpd);
/* Connections open now. */
size_t httpd_n_connections(const struct httpd *httpd);
const struct httpd_counters *httpd_counters(const struct httpd *httpd);

/* Answers with a body (may be NULL, 0). content_type NULL: none. headers: further whole lines with
 * CR LF, or NULL. */
void httpd_reply(struct httpd_exchange *exchange, unsigned status, const char *content_type,
                 const char *headers, const void *body, size_t body_len);
/* The refusal of CONTRACT.md: {"message":"<Error> REASON","status":"failure"}. REASON is cut at 1
 * KiB. */
void httpd_refuse(struct httpd_exchange *exchange, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 405 in the same form, naming the request's method; allow: "GET, HEAD". Within on_request only. */
void httpd_refuse_method(struct httpd_exchange *exchange, const char *allow);
/* Passes on an answer that came from elsewhere: its headers as they came, less the hop-by-hop ones.
 */
void httpd_relay(struct httpd_exchange *exchange, const struct http_message *answer);

/* The client's address; NULL once it has gone. Borrowed from the connection. */
const struct addr *httpd_peer(const struct httpd_exchange *exchange);

#endif
