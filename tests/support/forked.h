/* Runs a function in a child process, for what ends a program or writes to its standard streams:
 * failed assertions, exit codes, usage errors, log lines. */
#ifndef QUOIT_TESTS_SUPPORT_FORKED_H
#define QUOIT_TESTS_SUPPORT_FORKED_H

#include <stdbool.h>

#define FORKED_TEXT_BYTES 65536

struct forked {
    int exit_code;               /* -1 when it died by a signal */
    int signal;                  /* 0 when it ended by itself */
    char out[FORKED_TEXT_BYTES]; /* what it wrote on stdout, NUL-ended, cut */
    char err[FORKED_TEXT_BYTES];
};

/* Exit code of a child whose function returned. */
#define FORKED_RETURNED 99

/* Runs function(argument) in a child, for at most 30 s, and returns how it ended: valid until the
 * next call. A function that returns exits with FORKED_RETURNED. */
const struct forked *forked_run(void (*function)(void *argument), void *argument);
/* Whether function(argument) ends the program by abort(), as assert() and mem_alloc() do. */
bool forked_aborts(void (*function)(void *argument), void *argument);

#endif
