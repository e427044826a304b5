/* A private mariadbd for tests: in a new folder, on a socket in there and nowhere else, with a
 * database and a user for the store; it ends with the test, whatever ends the test. Works as root
 * and as anybody else. With QUOIT_TEST_MYSQLD, the path of a mysqld, it is MySQL's instead. */
#ifndef QUOIT_TESTS_SUPPORT_MARIADB_H
#define QUOIT_TESTS_SUPPORT_MARIADB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/support/store_bed.h"

#define MARIADB_BED_PATH_BYTES 128
#define MARIADB_BED_USER "quoit_test"
#define MARIADB_BED_PASSWORD "the tests have one password"

struct mariadb_bed {
    char dir[MARIADB_BED_PATH_BYTES];
    char socket[MARIADB_BED_PATH_BYTES + 16];
    char password_file[MARIADB_BED_PATH_BYTES + 16];
    char spec[4 * MARIADB_BED_PATH_BYTES]; /* "mysql:socket=…,…" of the newest database */
    unsigned n_databases;
    pid_t pid; /* 0: does not run */
};

/* Whether there is a mysqld, or mariadbd and mariadb-install-db: without them there is nothing to
 * test. */
bool mariadb_bed_is_possible(void);
/* Installs and starts one, waiting until it answers. Fails the test where it cannot. */
void mariadb_bed_open(struct mariadb_bed *bed);
/* Makes an empty database; the store's spec for it, which is bed->spec. open() has made one. */
const char *mariadb_bed_new_database(struct mariadb_bed *bed);
/* Kills it and removes the folder. */
void mariadb_bed_close(struct mariadb_bed *bed);
/* SIGKILL, and waits for its end. */
void mariadb_bed_kill(struct mariadb_bed *bed);
/* Starts it again after mariadb_bed_kill(); waits until it answers, unless told not to. */
void mariadb_bed_start(struct mariadb_bed *bed, bool wait);
/* SIGSTOP and SIGCONT. */
void mariadb_bed_freeze(struct mariadb_bed *bed);
void mariadb_bed_thaw(struct mariadb_bed *bed);
/* Executes SQL as the server's owner; the first column of the first row as a number, or 0. */
long long mariadb_bed_sql(struct mariadb_bed *bed, const char *sql);
/* A store, opened over a new database with these options besides: ",connections=2". */
void mariadb_bed_open_store(struct mariadb_bed *bed, struct store_bed *store,
                            const char *more_options);

struct CMUnitTest;
/* main() of a program whose tests have the bed in common: opens it, runs them, closes it. Where
 * there is no MariaDB it says so, and nothing has failed. */
int mariadb_bed_run_tests(struct mariadb_bed *bed, const char *name, const struct CMUnitTest *tests,
                          size_t n_tests);

#endif
