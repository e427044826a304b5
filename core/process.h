/* Processes that are started, and found again. Which process is it: pids are used again, a pid with
 * the time of its start and the boot it was started in is not. What is held is a pidfd, which turns
 * readable at the exit, takes signals and reaps; see pidfd_open(2). */
#ifndef QUOIT_CORE_PROCESS_H
#define QUOIT_CORE_PROCESS_H

#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_REFERENCE_BYTES 128
#define PROCESS_WHY_BYTES 64

/* "PID/STARTTIME/BOOT" of the process that has this pid now, to find it again later: no two
 * processes share it, as far as a clock tick (10 ms) tells them apart. 0, -ESRCH or another
 * negative errno. */
int process_reference(pid_t pid, char text[PROCESS_REFERENCE_BYTES]);
/* A pidfd of the very process, which still runs. 0; -ESRCH: it is gone, or the pid is another's;
 * another negative errno when that could not be told. */
int process_find(const char *reference, pid_t *ret_pid, int *ret_pidfd);
/* Behind a readable pidfd: reaps the process when it is our child, and says how it ended: "exit
 * status 1", "killed by SIGKILL", or "ended" where it was told to somebody else. false: not to be
 * reaped yet (a debugger has it), ask again. */
bool process_reap(int pidfd, char ret_why[PROCESS_WHY_BYTES]);
/* Starts a program with those descriptors and our environment, in a session of its own, so that
 * Ctrl-C reaches us alone, and with no signal blocked or ignored, which exec would hand on. Returns
 * when it has been executed (glibc: vfork semantics), so that a missing or unusable program is
 * known: 0 or a negative errno. argv is not changed. */
int process_spawn(const char *program, char *const argv[],
                  const posix_spawn_file_actions_t *actions, pid_t *ret_pid);

#endif
