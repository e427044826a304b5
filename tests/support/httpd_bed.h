/* An HTTP server (core/httpd.h) and its clients on one loop and one thread, over loopback sockets,
 * for tests with cmocka. The path of a request chooses what its handler does:
 *
 *   /now/TEXT    answers TEXT at once
 *   /later/TEXT  holds the exchange; bed_answer() answers it
 *   /big/N       answers N bytes
 *   /echo        answers the body
 *   /refuse      refuses with 400 "no"
 *   /method      refuses the method
 *   /relay       relays the answer that bed->relayed holds
 *   /drain       drains the server, then answers
 *
 * Waiting is bounded: what does not come true in BED_PATIENCE_S fails the test. */
#ifndef QUOIT_TESTS_SUPPORT_HTTPD_BED_H
#define QUOIT_TESTS_SUPPORT_HTTPD_BED_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/httpd.h"

#define BED_PATIENCE_S 30.
#define BED_MAX_CLIENTS 64
#define BED_MAX_HELD 1024

struct bed_client {
    int fd;    /* −1: closed by us */
    bool deaf; /* what comes is left where it is */
    struct buf got;
    bool eof;
    int error; /* errno of recv */
};

struct bed {
    struct ev_loop *loop;
    struct ev_timer tick;
    struct flusher flusher;
    struct httpd *httpd;
    struct addr addr;
    struct bed_client clients[BED_MAX_CLIENTS];
    size_t n_clients;
    struct httpd_exchange *held[BED_MAX_HELD]; /* in the order they came; NULL once answered */
    char held_text[BED_MAX_HELD][32];
    size_t n_held;
    size_t n_requests;
    const char *relayed;
};

/* system calls of send(2), made by the server alone: the clients write(2). */
extern size_t bed_n_sends;
/* A send takes no more than so many bytes; 0: as many as the socket. */
extern size_t bed_send_limit;

struct bed *bed_new(const struct httpd_limits *limits);
/* Answers what is held and frees everything. */
void bed_free(struct bed *bed);
/* Handles what there is to handle, for about 2 ms at most. */
void bed_turn(struct bed *bed);
void bed_run_for(struct bed *bed, double seconds);
#define bed_wait(bed, condition)                                                                   \
    do {                                                                                           \
        double bed_until = ev_time() + BED_PATIENCE_S;                                             \
        while (!(condition)) {                                                                     \
            bed_turn(bed);                                                                         \
            if (ev_time() > bed_until)                                                             \
                fail_msg("in vain: %s", #condition);                                               \
        }                                                                                          \
    } while (0)

/* Connects. rcvbuf: SO_RCVBUF in bytes, 0 as it comes. */
struct bed_client *bed_connect(struct bed *bed, int rcvbuf);
/* Writes it all, turning the loop as long as it does not go. */
void bed_say(struct bed *bed, struct bed_client *client, const char *text);
void bed_say_bytes(struct bed *bed, struct bed_client *client, const char *bytes, size_t n);
/* Waits until so much text has come (less the Date lines), and compares. */
void bed_hear(struct bed *bed, struct bed_client *client, const char *text);
/* Waits until what has come ends so. */
void bed_hear_end(struct bed *bed, struct bed_client *client, const char *end);
/* Waits until the server has closed; true when in order. */
bool bed_hear_eof(struct bed *bed, struct bed_client *client);
void bed_forget(struct bed_client *client);
/* What has come, less the Date lines; valid until the next call. */
const char *bed_text(const struct bed_client *client);
/* Closes our end; with a RST if hard. */
void bed_hang_up(struct bed_client *client, bool hard);
/* Answers held exchange i with its TEXT. */
void bed_answer(struct bed *bed, size_t i);

/* The answer to /now/TEXT as a kept HTTP/1.1 connection gets it, Date left out. For literals. */
#define BED_OK(length, text)                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\nContent-Type: text/plain\r\n\r\n" text
#define BED_OK_WITH(length, headers, text)                                                         \
    "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\nContent-Type: text/plain\r\n" headers        \
    "\r\n" text

#endif
