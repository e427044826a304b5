/* What the curl client's files share: curl.c (the loop, libcurl's callbacks, ends of transfers),
 * curl_request.c (what libcurl is told of a request) and curl_errors.c (what it says of a failure).
 */
#ifndef QUOIT_BACKENDS_CLIENT_CURL_PRIVATE_H
#define QUOIT_BACKENDS_CLIENT_CURL_PRIVATE_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/client.h"
#include "core/buf.h"
#include "core/name.h"

struct curl_group;

struct curl_slot {
    CURL *easy;
    struct curl_group *group;
    struct curl_slot *older, *younger; /* busy slots in order of submission */
    uint64_t submitted_ns;
    uint64_t n_body_bytes;
    size_t n_head_bytes;
    CURLU *url;       /* parsed; borrowed by easy */
    char *url_target; /* of the URL libcurl has */
    /* What libcurl has been told; NULL: a GET, no lines but ours. */
    char *method;
    char *header_lines;
    struct curl_slist *headers; /* our own lines and header_lines; NULL while there are none */
    bool has_body;
    bool sends_length;
    uint32_t index;
    int connect_errno; /* of a socket() that failed */
    bool busy;
    bool began; /* a byte of the head came */
    bool too_large;
    uint8_t server_bytes;
    char server[NAME_MAX_BYTES + 1]; /* what it named itself, valid while server_bytes > 0 */
    struct buf body;
    char error_text[CURL_ERROR_SIZE];
};

struct curl_group {
    CURLM *multi;
    struct curl_client *client;
    struct curl_group *next_due;
    struct ev_timer timer;
    bool due;
};

/* What the loop knows of a descriptor. */
struct curl_socket {
    struct ev_io io;
    struct curl_group *group;
    bool fresh; /* a new socket since io was set: libev must be told to forget the old one */
};

struct curl_client {
    struct client client;
    struct client_config config;
    const struct client_handler *handler;
    void *context;
    struct curl_slot *slots;
    struct curl_group *groups;
    size_t n_groups;
    struct curl_group *first_due;
    unsigned n_unsent; /* submitted since the due list was run */
    struct curl_slot *oldest, *youngest;
    struct curl_socket **sockets; /* by descriptor, made at first use */
    size_t n_sockets;
    struct ev_prepare prepare;
    struct ev_timer again;    /* keeps the loop from sleeping on a non-empty due list */
    struct ev_timer deadline; /* of the oldest busy slot */
    struct curl_slist *headers;
    char *url_prefix;
    struct client_counts counts;
    bool in_on_done;
    uint64_t done_ns; /* of the answer on_done is called for */
};

/* Tells libcurl what differs from the slot's last request; for plain GETs that is nothing. The body
 * is borrowed until the transfer ends. */
void curl_request_set(struct curl_client *self, struct curl_slot *slot,
                      const struct client_request *request);
/* Frees what was told. The slot's easy handle is gone before. */
void curl_request_forget(struct curl_slot *slot);

/* The errno of a failed transfer, 0 when there is none. libcurl keeps that of an earlier transfer
 * of the same handle (seen in 7.88), so a read or write error's is believed only when libcurl's own
 * message says the same. */
int curl_transfer_errno(const struct curl_slot *slot, CURLcode code);
/* error_number: of curl_transfer_errno(). */
enum client_error curl_classify(const struct curl_slot *slot, CURLcode code, int error_number);

#endif
