/* A disk that fails for the `file` store (backends/store/wal_io.h): calls that fail with an errno
 * from some call on, and a process that ends before a call, with or without the machine's power.
 *
 * One at a time in a process; the calls may come from any thread. */
#ifndef QUOIT_TESTS_SUPPORT_WAL_FAULTS_H
#define QUOIT_TESTS_SUPPORT_WAL_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum wal_call {
    WAL_CALL_CREATE,
    WAL_CALL_ALLOCATE,
    WAL_CALL_WRITE,
    WAL_CALL_SYNC,
    WAL_CALL_RENAME,
    WAL_CALL_REMOVE,
    WAL_CALL_SYNC_FOLDER,
    WAL_N_CALLS,
};

/* Puts the failing disk in place of the system's. Nothing fails yet. */
void wal_faults_install(void);
/* Puts the system's back and forgets everything. */
void wal_faults_remove(void);
/* Calls of that kind fail with code (negative errno), the first n_good of them from now on
 * excepted; 0: no more. Only for files whose path contains `where` (NULL: all). */
void wal_faults_fail(enum wal_call call, int code, uint64_t n_good, const char *where);
/* The process is killed before the n-th call from now on, of whatever kind; a write is begun, and
 * ends at a byte of chance. loses_power: of what was not synced each sector, and each renaming, is
 * then on the disk or not, by chance. */
void wal_faults_die(uint64_t n, bool loses_power, uint64_t seed);
/* Calls of that kind so far. */
uint64_t wal_faults_count(enum wal_call call);

#endif
