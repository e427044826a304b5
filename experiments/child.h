/* Child processes of a run: started, waited for with a deadline, stopped by pid, never left behind.
 *
 * The runner waits in one place, child_wait(), which also hears SIGINT and SIGTERM: these are
 * blocked and read from a signalfd, so that an interrupted run cleans up and keeps what it has.
 * Each child has a process group of its own, so that a Ctrl-C reaches the runner alone. The runner
 * is a subreaper: what a killed child leaves behind comes to it and is killed too. */
#ifndef QUOIT_EXPERIMENTS_CHILD_H
#define QUOIT_EXPERIMENTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

/* Blocks the signals and becomes a subreaper. Returns 0 or a negative errno. Once a process. */
int interrupt_open(struct err *err);
/* Gives the signals back. */
void interrupt_close(void);
/* SIGINT, SIGTERM or SIGHUP came since interrupt_open(). Never forgets. */
bool interrupt_came(void);

struct child {
    pid_t pid;            /* 0: none, or ended and reaped */
    int pidfd;            /* −1: none */
    int status;           /* as of waitpid(), once it ended */
    uint64_t start_ticks; /* when it began, in clock ticks since boot */
    uint64_t cpu_ns;      /* user + system, its reaped children included, once it ended */
    const char *label;    /* "quoit lb", for messages (ref) */
    char *stderr_path;    /* what it said */
};

/* Starts argv[0] (looked up in PATH when it has no slash) with standard input and output from and
 * to /dev/null and standard error into stderr_path (a file that is made). keep_fd: a descriptor it
 * inherits under the same number, or −1. It gets SIGTERM when the runner dies. 0 or a negative
 * errno (-ENOENT: no such program). */
int child_start(struct child *child, const char *label, const char *const *argv,
                const char *stderr_path, int keep_fd, struct err *err);
/* Waits until it ended. 0; -ETIMEDOUT; -EINTR when an interrupt came. also_fd: returns 1 as soon as
 * that descriptor has something to read (or closed); −1 for none. */
int child_wait(struct child *child, uint64_t timeout_ns, int also_fd);
/* Starts it as above, waits until it ended, stops it when that takes too long. 0 when it ended,
 * whatever its status, for child_done(); else nothing is left and err says what was wrong: -EINTR;
 * -ETIMEDOUT with what it said; another negative errno. */
int child_run(struct child *child, const char *label, const char *const *argv,
              const char *stderr_path, uint64_t timeout_ns, struct err *err);
/* SIGTERM, and SIGKILL when it has not ended after grace_ns. Takes one that ended, or never
 * started. Returns false when it had to be killed. */
bool child_stop(struct child *child, uint64_t grace_ns);
/* Kills and reaps those that came to the runner since this child started: what it left behind.
 * Call it when no later child runs. Returns how many there were. */
size_t child_kill_leftovers(const struct child *child);
/* The process is one that the child started, or one of theirs. */
bool child_has_descendant(const struct child *child, pid_t pid);
/* Frees the path; the child must have ended or never have started. */
void child_done(struct child *child);

/* "exit status 1", "killed by SIGSEGV": into text (32 bytes), returned. */
const char *child_status_text(const struct child *child, char *text);
/* Fills err with code, "LABEL: WHAT" and the last lines that it said on standard error. */
int child_fail(const struct child *child, int code, const char *what, struct err *err);

#endif
