/* A load balancer (lb/lb.h) in a thread of its own, over the `fake` spawner, whose servers a second
 * thread plays; the test drives it over HTTP from the first. For tests with cmocka.
 *
 *   test ──HTTP──▶ lb_run's threads ──HTTP──▶ farm: an HTTP server for each fake server
 *     └──── scripts the spawner on the LB's own loop, and the farm on the farm's ────┘
 *
 * A farm server answers /heartbeat, /home ("NAME"), and holds /slow until it is released. */
#ifndef QUOIT_TESTS_SUPPORT_LB_BED_H
#define QUOIT_TESTS_SUPPORT_LB_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/spawner/fake.h"
#include "core/buf.h"
#include "lb/lb.h"

#define LB_BED_PATIENCE_S 30.
#define LB_BED_HEARTBEAT_MS 50

struct lb_bed;

/* Prepares the farm, and a config with 3 servers, 1 thread, heartbeats of 50 ms. 20 of them must be
 * missed, so that no server is lost on a busy machine: a test of hanging asks for fewer. */
struct lb_bed *lb_bed_new(void);
/* For changes before lb_bed_start(). */
struct lb_config *lb_bed_config(struct lb_bed *bed);
/* Starts lb_run() and waits until it serves. */
void lb_bed_start(struct lb_bed *bed);
/* Starts it and waits until it returns, which must be before it serves. Returns what it returned.
 */
int lb_bed_start_in_vain(struct lb_bed *bed, char *ret_message, size_t bytes);
/* Sends SIGTERM. */
void lb_bed_tell_to_end(struct lb_bed *bed);
/* Waits for the end and returns what lb_run() returned. */
int lb_bed_wait_end(struct lb_bed *bed);
/* Ends the LB, if it runs, and the farm. */
void lb_bed_free(struct lb_bed *bed);

/* ---- HTTP --------------------------------------------------------------------------------- */

/* Calls the LB. Returns the body, valid until the next call; *ret_status may be NULL. */
const char *lb_bed_call(struct lb_bed *bed, const char *method, const char *path, const char *body,
                        int *ret_status);
/* The same in steps. headers: whole lines, or NULL. Returns a descriptor. */
int lb_bed_connect(struct lb_bed *bed);
void lb_bed_ask(int fd, const char *method, const char *path, const char *headers,
                const char *body);
int lb_bed_begin(struct lb_bed *bed, const char *method, const char *path, const char *headers,
                 const char *body);
const char *lb_bed_end(struct lb_bed *bed, int fd, int *ret_status);
/* True once something has come. */
bool lb_bed_answered(int fd);
/* GET /home that must be answered 200: the name of who answered, valid until the next call. */
const char *lb_bed_home(struct lb_bed *bed, const char *headers);
/* /rep's names joined by blanks: "Server1 Server2". Valid until the next call. */
const char *lb_bed_rep(struct lb_bed *bed);
/* How many these are. */
size_t lb_bed_n_serving(struct lb_bed *bed);
/* The cluster has its three servers again, and `lost` is not among them. */
bool lb_bed_is_healed(struct lb_bed *bed, const char *lost);
/* A metric without labels of /metrics; fails the test where there is none. */
uint64_t lb_bed_metric(struct lb_bed *bed, const char *name);
/* When the n-th (from 0) event of that step and server came, in ns of the monotonic clock; 0: none.
 * server NULL: of any. */
uint64_t lb_bed_event_ns(struct lb_bed *bed, const char *step, const char *server, size_t n);
/* Whether an event of that step has a detail with that word. */
bool lb_bed_event_says(struct lb_bed *bed, const char *step, const char *word);

#define lb_bed_wait(condition)                                                                     \
    do {                                                                                           \
        double lb_bed_until = lb_bed_now_s() + LB_BED_PATIENCE_S;                                  \
        while (!(condition)) {                                                                     \
            if (lb_bed_now_s() > lb_bed_until)                                                     \
                fail_msg("in vain: %s", #condition);                                               \
            lb_bed_nap_ms(2);                                                                      \
        }                                                                                          \
    } while (0)
double lb_bed_now_s(void);
void lb_bed_nap_ms(int ms);

/* ---- the spawner, on the LB's loop -------------------------------------------------------- */

void lb_bed_exit(struct lb_bed *bed, const char *name, const char *why);
void lb_bed_refuse_next(struct lb_bed *bed, unsigned n, int code);
void lb_bed_fail_next(struct lb_bed *bed, unsigned n);
void lb_bed_hold_starts(struct lb_bed *bed, bool held);
/* Starts of that name are refused with -EAGAIN; NULL: none. */
void lb_bed_refuse_name(struct lb_bed *bed, const char *name);
/* Copies the spawner's calls so far; returns how many. After the LB's end: what it was then. */
size_t lb_bed_spawner_calls(struct lb_bed *bed, struct fake_call *ret_calls, size_t max);
/* How often a server of that name was asked for. */
size_t lb_bed_n_starts(struct lb_bed *bed, const char *name);
/* Whether the youngest server of that name was told to stop, and with which grace (may be NULL). */
bool lb_bed_was_stopped(struct lb_bed *bed, const char *name, uint64_t *ret_grace_ns);
/* Holds up the LB's control loop, in the background; wait with lb_bed_unblock(). */
void lb_bed_block_control(struct lb_bed *bed, int ms);
void lb_bed_unblock(struct lb_bed *bed);

/* ---- the servers, on the farm's loop ------------------------------------------------------- */

/* Makes a farm server without a spawner, and tells where it listens. */
struct addr lb_bed_plant(struct lb_bed *bed, const char *name);
/* Answers nothing at all from now on (true), or everything that was held up (false). */
void lb_bed_hang(struct lb_bed *bed, const char *name, bool hung);
/* Heartbeats alone, of all servers. */
void lb_bed_hold_heartbeats(struct lb_bed *bed, bool held);
/* Calls itself so; NULL: by its own name. name NULL: every server still to come. */
void lb_bed_rename(struct lb_bed *bed, const char *name, const char *lie);
/* Closes its connections and its port, without the spawner noticing. */
void lb_bed_shut(struct lb_bed *bed, const char *name);
/* Requests for /slow it holds. */
size_t lb_bed_n_slow(struct lb_bed *bed, const char *name);
/* Heartbeats held by all. */
size_t lb_bed_n_held_heartbeats(struct lb_bed *bed);
size_t lb_bed_n_connections(struct lb_bed *bed, const char *name);
/* Answers what it holds of /slow. */
void lb_bed_release(struct lb_bed *bed, const char *name);
/* Idle connections of servers still to come are closed after so long. */
void lb_bed_set_idle_timeout(struct lb_bed *bed, uint64_t idle_timeout_ns);

#endif
