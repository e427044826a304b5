#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOT_ID_BYTES 40

/* Reads a small file into text, NUL-ended. 0 or a negative errno. */
static int read_small(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    do
        n = read(fd, text, bytes - 1);
    while (n < 0 && errno == EINTR);
    int code = n < 0 ? -errno : 0;
    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return code;
}

int process_reference(pid_t pid, char text[PROCESS_REFERENCE_BYTES])
{
    char path[64], stat[1024], boot_id[BOOT_ID_BYTES];
    unsigned long long starttime;

    int code = read_small("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
    if (code)
        return code;
    boot_id[strcspn(boot_id, "\n")] = '\0';
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    code = read_small(path, stat, sizeof(stat));
    if (code)
        return code == -ENOENT ? -ESRCH : code;
    /* proc(5): field 2, the name in parentheses, may hold anything; starttime is field 22. */
    const char *rest = strrchr(stat, ')');
    if (!rest || sscanf(rest + 1,
                        " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
                        " %*s %llu",
                        &starttime) != 1)
        return -ESRCH;
    snprintf(text, PROCESS_REFERENCE_BYTES, "%ld/%llu/%s", (long)pid, starttime, boot_id);
    return 0;
}

/* First the pidfd, then the look at who it is: were it the other way round, the process could end
 * and its number go to another in between. */
int process_find(const char *reference, pid_t *ret_pid, int *ret_pidfd)
{
    char now[PROCESS_REFERENCE_BYTES];
    char *end;

    errno = 0;
    long pid = strtol(reference, &end, 10);
    if (errno || *end != '/' || pid <= 0 || pid > INT32_MAX)
        return -ESRCH;
    int pidfd = pidfd_open((pid_t)pid, 0);
    /* EINVAL, ENOENT: the number belongs to a thread now. */
    if (pidfd < 0)
        return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
    int code = process_reference((pid_t)pid, now);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (code == 0 && (strcmp(now, reference) != 0 || poll(&ended, 1, 0) != 0))
        code = -ESRCH;
    if (code) {
        close(pidfd);
        return code;
    }
    *ret_pid = (pid_t)pid;
    *ret_pidfd = pidfd;
    return 0;
}

bool process_reap(int pidfd, char ret_why[PROCESS_WHY_BYTES])
{
    siginfo_t info = {0};
    int rc;

    do
        rc = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        snprintf(ret_why, PROCESS_WHY_BYTES, "ended");
    else if (info.si_pid == 0)
        return false;
    else if (info.si_code == CLD_EXITED)
        snprintf(ret_why, PROCESS_WHY_BYTES, "exit status %d", info.si_status);
    else if (sigabbrev_np(info.si_status))
        snprintf(ret_why, PROCESS_WHY_BYTES, "killed by SIG%s", sigabbrev_np(info.si_status));
    else
        snprintf(ret_why, PROCESS_WHY_BYTES, "killed by signal %d", info.si_status);
    return true;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETSIGDEF);
    if (!code)
        code = posix_spawnattr_setsigmask(attributes, &none);
    if (!code)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    return code;
}

int process_spawn(const char *program, char *const argv[],
                  const posix_spawn_file_actions_t *actions, pid_t *ret_pid)
{
    posix_spawnattr_t attributes;

    int code = posix_spawnattr_init(&attributes);
    if (code)
        return -code;
    code = set_attributes(&attributes);
    if (!code)
        code = posix_spawn(ret_pid, program, actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return -code;
}
