/* What core/httpd's two files share: httpd.c (connections) and httpd_answer.c (answers). */
#ifndef QUOIT_CORE_HTTPD_PRIVATE_H
#define QUOIT_CORE_HTTPD_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/httpd.h"

enum httpd_phase {
    PHASE_IDLE,   /* nothing of a request has come */
    PHASE_HEAD,   /* a request has begun */
    PHASE_BODY,   /* its head is whole */
    PHASE_LINGER, /* our side is shut; what still comes is thrown away */
};

struct httpd_conn {
    struct httpd *httpd;
    struct httpd_conn *next, **link; /* all connections */
    struct ev_io read_io, write_io;
    struct flush_item flush;
    struct buf in, out;
    struct httpd_exchange *first, **last; /* requests under way, in order */
    unsigned n_pending;
    enum httpd_phase phase;
    ev_tstamp phase_since, write_since;
    size_t unacked; /* bytes the client had still to take at write_since */
    bool eof;       /* the client has ended its side */
    bool closing;   /* no further request is taken; closed when all is answered and sent */
    bool paused;    /* not read: too much under way or unsent */
    bool continue_sent;
    struct addr peer;
    struct http_parser parser;
};

struct httpd {
    struct httpd_config config;
    struct httpd_conn *conns;
    size_t n_conns;
    size_t n_exchanges;
    struct httpd_exchange *taking; /* in on_request, until it is freed there */
    struct httpd_exchange *free_exchanges;
    size_t n_free_exchanges;
    struct ev_io accept_io;
    struct ev_timer accept_pause, sweep;
    bool listening, draining;
    uint64_t date_second;
    char date[CLOCK_HTTP_BYTES];
    struct httpd_counters counters;
};

/* Not ev_now(), which leaps when the machine's clock is set. */
static inline ev_tstamp httpd_now_s(void)
{
    return (double)clock_now_ns() * 1e-9;
}

/* Something is to be sent, or the connection is to be ended: before the loop sleeps. */
static inline void httpd_touch(struct httpd_conn *conn)
{
    flusher_add(conn->httpd->config.flusher, &conn->flush);
}

/* The exchange is over: its memory is kept for the next. */
void httpd_free_exchange(struct httpd_exchange *exchange);
/* Says "100 Continue" if the client waits for it and nothing before it is unanswered. */
void httpd_maybe_continue(struct httpd_conn *conn);

#endif
