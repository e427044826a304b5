/* The client family: what drives a load. It sends requests to one address and tells what became of
 * each; which request, when, and what an answer is worth are the load generator's business.
 *
 * The load generator owns a window of `n_slots` requests in flight. A slot is free or busy: submit
 * makes it busy, on_done frees it, exactly once a submit. How slots map to connections is the
 * client's choice: libcurl keeps one connection a busy slot, a pipelining client may put many slots
 * on one. Connections are kept between requests, and there is no queue inside a client: what is
 * submitted goes out in the same turn of the loop.
 *
 *   load ── submit(slot, request) ──▶ client ── socket ──▶ server
 *   load ◀── on_done(slot, answer) ── client ◀─────────────┘
 */
#ifndef QUOIT_BACKENDS_CLIENT_H
#define QUOIT_BACKENDS_CLIENT_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/err.h"
#include "core/name.h"
#include "core/registry.h"

#define CLIENT_MAX_SLOTS 65536u
/* An answer whose head is longer than this is CLIENT_TOO_LARGE. */
#define CLIENT_MAX_HEAD_BYTES (64u * 1024u)

/* Descriptors that a client may have open beside a connection a slot. */
#define CLIENT_SPARE_DESCRIPTORS 160u

struct client;

/* How a request ended, seen from the wire. An answer of any status is CLIENT_OK: whether a 500 is a
 * failure is not the client's to say. */
enum client_error {
    CLIENT_OK,          /* a whole answer came */
    CLIENT_REFUSED,     /* nothing listens there */
    CLIENT_UNREACHABLE, /* no route, or the network says no */
    CLIENT_RESET,       /* the connection was reset before the answer was whole */
    CLIENT_CLOSED,      /* the connection was closed before the answer began */
    CLIENT_TIMEOUT,     /* no byte of an answer in time */
    CLIENT_SLOW,        /* the answer began but was not whole in time */
    CLIENT_MALFORMED,   /* not HTTP, or shorter than it said */
    CLIENT_TOO_LARGE,   /* a head past CLIENT_MAX_HEAD_BYTES, or a body past keep_body_bytes */
    CLIENT_LOCAL,       /* this machine is out of ports, descriptors or memory */
    CLIENT_OTHER,       /* anything else; the detail says what */
    CLIENT_N_ERRORS,
};

/* "refused", "reset" …: the key of the class in results. */
const char *client_error_name(enum client_error error);
/* The class of a failed socket call's errno (positive). */
enum client_error client_error_of_errno(int error_number);

/* For clients: the value of an X-Quoit-Server line (blanks and line end around it are skipped) into
 * ret_name, NUL-ended. Returns its length, 0 when it is no name. */
size_t client_read_server_name(const char *value, size_t n, char ret_name[NAME_MAX_BYTES + 1]);

/* Everything it points to holds until on_done. All but the target may be left zero: a GET without
 * body. Host and Content-Length are the client's to write, and only they. */
struct client_request {
    const char *target;  /* path and query as they stand on the request line, "/home?x=1" */
    const char *method;  /* NULL: GET. A token of RFC 9110; an answer to HEAD has no body */
    const char *headers; /* further header lines, each ended by CRLF; NULL: none */
    const char *body;    /* NULL with body_bytes 0: none, and then no Content-Length unless the
                            method is POST, PUT or PATCH (RFC 9110 §8.6) */
    size_t body_bytes;
};

/* What became of one request. Everything it points to holds only during on_done. */
struct client_answer {
    enum client_error error;
    int status;            /* 100 … 999; 0 when no status line came */
    uint64_t submitted_ns; /* clock_now_ns() when submit was called, or done_ns of the answer in
                              whose on_done it was */
    uint64_t done_ns;      /* … when the end was seen */
    uint64_t n_body_bytes; /* after decoding; also of an answer that failed half-way */
    const char *server;    /* value of X-Quoit-Server, not NUL-ended */
    size_t server_bytes;   /* 0 when there was none, or when it is no name (core/name.h) */
    const char *body;      /* not NUL-ended; only with keep_body_bytes, else NULL */
    size_t body_bytes;
    const char *detail; /* of an error, for a person; "" otherwise */
};

struct client_handler {
    /* The slot is free again, and may be submitted from inside this call. The client must not be
     * closed from it. Never runs inside submit. */
    void (*on_done)(void *context, uint32_t slot, const struct client_answer *answer);
};

struct client_config {
    struct ev_loop *loop;   /* (ref) */
    struct addr addr;       /* where requests go; Host is its text */
    uint32_t n_slots;       /* 1 … CLIENT_MAX_SLOTS */
    uint64_t timeout_ns;    /* of a whole request, from submit; > 0 */
    size_t keep_body_bytes; /* 0: bodies are counted, not kept; else a longer one is an error */
};

/* Since open. */
struct client_counts {
    uint64_t n_connections; /* opened, whether or not they came about */
    uint64_t n_resent;      /* requests sent a second time because a kept connection was closed
                               under them before a byte of the answer (RFC 9110 §9.2.2) */
};

struct client_ops {
    struct part part;
    /* Required. Connects to nothing yet. config is copied; handler and context are kept (ref). */
    int (*open)(const void *params, const struct client_config *config,
                const struct client_handler *handler, void *context, struct client **ret_client,
                struct err *err);
    /* Required. Drops what is in flight without a callback, closes every connection. */
    void (*close)(struct client *client);
    /* Required. Sends `request` on a free slot < n_slots. Every failure comes by on_done. */
    void (*submit)(struct client *client, uint32_t slot, const struct client_request *request);
    /* Required. */
    struct client_counts (*counts)(const struct client *client);
};

/* First member of every implementation's struct. */
struct client {
    const struct client_ops *ops;
};

extern const struct family client_family;

#define CLIENT_REGISTER(ops) FAMILY_REGISTER(client, ops)

/* Checks the config, then calls the part's open. 0 or a negative errno with the reason. */
int client_open(const struct spec *spec, const struct client_config *config,
                const struct client_handler *handler, void *context, struct client **ret_client,
                struct err *err);

/* Takes NULL. */
static inline void client_close(struct client *client)
{
    if (client)
        client->ops->close(client);
}

static inline void client_submit(struct client *client, uint32_t slot,
                                 const struct client_request *request)
{
    client->ops->submit(client, slot, request);
}

static inline struct client_counts client_counts(const struct client *client)
{
    return client->ops->counts(client);
}

#endif
