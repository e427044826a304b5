/* What the files of lb/mariadb.h know of each other.
 *
 *   mariadb.c           the process: its states, its end, starting it again
 *   mariadb_launch.c    how it is installed and launched
 *   mariadb_accounts.c  databases and users, over a connection of our own */
#ifndef QUOIT_LB_MARIADB_PRIVATE_H
#define QUOIT_LB_MARIADB_PRIVATE_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "backends/store/mysql_conn.h"
#include "core/name.h"
#include "core/process.h"
#include "lb/mariadb.h"

enum mariadb_state {
    MARIADB_INSTALLING, /* mariadb-install-db runs */
    MARIADB_STARTING,   /* mariadbd runs and does not answer yet */
    MARIADB_RUNNING,
    MARIADB_RESTING, /* ended, to be started again */
    MARIADB_FAILED,  /* for good */
    MARIADB_STOPPING,
};

/* A server that is to be added or removed. */
struct mariadb_account {
    STAILQ_ENTRY(mariadb_account) link;
    bool remove;
    char name[NAME_MAX_BYTES + 1];
    mariadb_on_added *on_added;
    void *context;
};

STAILQ_HEAD(mariadb_accounts, mariadb_account);

struct mariadb {
    struct mariadb_config config;
    char *dir;
    char *user; /* who we are on this machine, hence in the database too */
    int lock_fd;
    enum mariadb_state state;

    /* The process, mariadb-install-db or mariadbd */
    pid_t pid; /* to tell, never to signal */
    int pidfd; /* −1: none */
    bool ours; /* our child */
    char *new_data;
    ev_io exit_watcher;
    ev_timer timer;    /* STARTING: asks again. RESTING, FAILED: what comes next. STOPPING: kills */
    ev_timer deadline; /* STARTING: it takes too long */
    double rest_s;
    uint64_t ready_at_ns;
    struct err failure; /* FAILED: what on_failed will say */
    void (*on_stopped)(void *context);
    void *stop_context;

    /* The connection of our own */
    struct mysql_address address;
    char *socket;
    struct mysql_conn conn;
    struct mariadb_accounts accounts; /* the first is being worked on */
    bool working;
    struct mysql_call call;
    MYSQL_BIND param;
    uint64_t number; /* of the first account's server */
    unsigned step;
    char password[64];
};

/* ---- mariadb_launch.c ---- */

/* Starts mariadb-install-db into mariadb->new_data, or mariadbd on DIR/data: sets pid and pidfd. 0
 * or a negative errno with the reason. */
int mariadb_launch_install(struct mariadb *mariadb, struct err *err);
int mariadb_launch(struct mariadb *mariadb, struct err *err);
/* DIR/mariadbd, or what an earlier life wrote there; text holds PROCESS_REFERENCE_BYTES. */
bool mariadb_read_reference(const struct mariadb *mariadb, char *text);
/* Whether DIR/data is there: only whole ones get that name. */
bool mariadb_is_installed(const struct mariadb *mariadb);
/* new_data is whole. 0 or a negative errno. */
int mariadb_finish_install(struct mariadb *mariadb);
/* Removes what interrupted installations left. */
void mariadb_clear_installs(const struct mariadb *mariadb);
/* The last line that its log has about an error, or its last line at all, into text. */
void mariadb_last_words(const struct mariadb *mariadb, char *text, size_t bytes);

/* ---- mariadb.c ---- */

/* The connection of our own works: everything is set up. */
void mariadb_is_ready(struct mariadb *mariadb);
/* It was lost, or could not be made. */
void mariadb_is_mute(struct mariadb *mariadb);

/* ---- mariadb_accounts.c ---- */

/* Connects and sets up; mariadb_is_ready() or mariadb_is_mute() follows. */
void mariadb_make_connection(struct mariadb *mariadb);
/* Works on the accounts, if it is not doing so and can. */
void mariadb_work(struct mariadb *mariadb);
/* Answers those that wait -ECANCELED. */
void mariadb_cancel_accounts(struct mariadb *mariadb, bool tell);

#endif
