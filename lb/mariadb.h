/* A private mariadbd for the cluster: what `quoit lb --store mysql` starts when nobody names a
 * database of theirs.
 *
 * It lives under one folder of the LB's state directory, listens on a socket in there and nowhere
 * else, and belongs to whoever runs the LB. Each server of the cluster gets a database and a user
 * of its own, named by a number, its random password in a file that only we may read.
 *
 *     DIR/data        the databases                  DIR/sock      where it listens
 *     DIR/mariadbd    which process it is            DIR/log       what it says
 *     DIR/N.password  that of server number N (0600)
 *
 * We ourselves need no password: the server knows us by our user id, as the socket tells it.
 *
 *   start ──▶ INSTALLING ──▶ STARTING ──▶ on_ready ──▶ RUNNING ── it dies ──▶ on_exit ──┐
 *                │   (no data yet)  ▲                                                   │
 *                └── on_failed      └───────────── started again, after a moment ◀──────┘
 *
 * Everything happens on the loop without blocking it; every callback comes from the loop, never
 * from within the call that caused it, and may call anything here.
 *
 * An LB that was killed leaves it running: the next one with the same folder takes it over, by the
 * process's number and start time together, or starts it on the data that are there. */
#ifndef QUOIT_LB_MARIADB_H
#define QUOIT_LB_MARIADB_H

#include <ev.h>
#include <stdint.h>

#include "core/err.h"

struct mariadb;

struct mariadb_config {
    struct ev_loop *loop;      /* (ref) */
    const char *dir;           /* its folder, absolute, made when missing (copied). A socket's path
                                  is short: at most MARIADB_DIR_MAX_BYTES, no comma */
    uint64_t start_timeout_ns; /* from a start to the first answer; 0: a minute */
    /* It answers; told at the start and after each on_exit. */
    void (*on_ready)(void *context);
    /* It could not be started, now or again: the reason ends with the last line of its log. Nothing
     * of it is left, and it is not tried again: only mariadb_stop() or _close() make sense now. */
    void (*on_failed)(void *context, const struct err *err);
    /* It ended though nobody asked it to, and is being started again; so too when somebody killed
     * it before that start had come to an answer. why: "killed by SIGKILL". */
    void (*on_exit)(void *context, const char *why);
    void *context;
};

#define MARIADB_DIR_MAX_BYTES 100

/* 0, or -ENOENT naming what is not installed. */
int mariadb_find_programs(struct err *err);

/* Begins to start or to take over. 0: on_ready or on_failed follows. A negative errno with the
 * reason where it cannot begin: no mariadbd installed (-ENOENT), a folder that is too long or
 * belongs to another LB (-EWOULDBLOCK). */
int mariadb_start(const struct mariadb_config *config, struct mariadb **ret_mariadb,
                  struct err *err);

/* What a server needs, exactly once per add: store_options as in "mysql:OPTIONS" on its command
 * line, without the name (borrowed during the call), or NULL and why. A server that was added
 * before, in an earlier life too, gets what it had, its data with it. */
typedef void mariadb_on_added(void *context, const char *name, const char *store_options,
                              const struct err *err);

/* Makes a database and a user for the server of that name (a valid one; it never reaches SQL text).
 * Also before on_ready: it waits. Also while it is being started again. */
void mariadb_add_server(struct mariadb *mariadb, const char *name, mariadb_on_added *on_added,
                        void *context);
/* Drops a server's database and user with all rows, for one that will not come back. Told nobody;
 * unknown names are no error. */
void mariadb_remove_server(struct mariadb *mariadb, const char *name);

/* Its process, for logs and tests; 0 while there is none. */
long mariadb_pid(const struct mariadb *mariadb);

/* Asks it to end in order, kills it after grace_ns, then calls on_stopped (NULL: nobody) and frees
 * `mariadb`. Adds that still wait are answered -ECANCELED first; no other callback comes. */
void mariadb_stop(struct mariadb *mariadb, uint64_t grace_ns, void (*on_stopped)(void *context),
                  void *context);
/* Forgets it and lets it run, to be taken over. No callback comes. Takes NULL. */
void mariadb_close(struct mariadb *mariadb);

#endif
