#include "experiments/child.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

/* ——— interrupts ——— */

static struct {
    int fd;
    bool came;
    sigset_t old_mask;
} interrupts = {.fd = -1};

int interrupt_open(struct err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    assert(interrupts.fd < 0);
    sigprocmask(SIG_BLOCK, &mask, &interrupts.old_mask);
    interrupts.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (interrupts.fd < 0)
        return err_set_errno(err, -errno, "signalfd");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return 0;
}

void interrupt_close(void)
{
    if (interrupts.fd < 0)
        return;
    interrupt_came(); /* what is pending was meant for us */
    close(interrupts.fd);
    interrupts.fd = -1;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    sigprocmask(SIG_SETMASK, &interrupts.old_mask, NULL);
}

bool interrupt_came(void)
{
    struct signalfd_siginfo info;
    while (interrupts.fd >= 0 && read(interrupts.fd, &info, sizeof(info)) == sizeof(info))
        interrupts.came = true;
    return interrupts.came;
}

/* Parent and start time (in clock ticks since boot) of a process, from /proc. */
static bool process_look(pid_t pid, pid_t *ret_parent, uint64_t *ret_start_ticks)
{
    char path[64];
    char text[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    /* "PID (any name) STATE PPID …", the start time being field 22 */
    const char *field = got > 0 ? strrchr(text, ')') : NULL;
    if (!field)
        return false;
    field += 2;
    for (int i = 3; i < 22 && field; i++) {
        if (i == 4)
            *ret_parent = (pid_t)strtol(field, NULL, 10);
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    if (!field)
        return false;
    *ret_start_ticks = strtoull(field, NULL, 10);
    return true;
}

/* ——— start ——— */

/* In the child, between fork and exec: only calls that are safe there. */
static void child_exec(const char *const *argv, int stderr_fd, int keep_fd, int report_fd,
                       pid_t parent)
{
    int null_fd = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (null_fd >= 0 && dup2(null_fd, 0) == 0 && dup2(null_fd, 1) == 1 && dup2(stderr_fd, 2) == 2 &&
        (keep_fd < 0 || fcntl(keep_fd, F_SETFD, 0) == 0) && getppid() == parent) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(argv[0], (char *const *)argv);
    }
    int code = errno;
    ssize_t written = write(report_fd, &code, sizeof(code));
    (void)written;
    _exit(127);
}

int child_start(struct child *child, const char *label, const char *const *argv,
                const char *stderr_path, int keep_fd, struct err *err)
{
    *child = (struct child){.pidfd = -1, .label = label};
    int report[2] = {-1, -1};
    int status = 0;
    int stderr_fd = open(stderr_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (stderr_fd < 0)
        return err_set_errno(err, -errno, "cannot write %s", stderr_path);
    if (pipe2(report, O_CLOEXEC) < 0) {
        status = err_set_errno(err, -errno, "pipe");
        goto out;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_exec(argv, stderr_fd, keep_fd, report[1], parent);
    if (pid < 0) {
        status = err_set_errno(err, -errno, "cannot start %s", label);
        goto out;
    }
    close(report[1]);
    report[1] = -1;
    int code;
    if (read(report[0], &code, sizeof(code)) == sizeof(code)) {
        waitpid(pid, NULL, 0);
        status = err_set_errno(err, -code, "cannot start %s", argv[0]);
        goto out;
    }
    child->pid = pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
    child->stderr_path = mem_strdup(stderr_path);
    process_look(pid, &parent, &child->start_ticks);
    if (child->pidfd < 0) {
        status = err_set_errno(err, -errno, "pidfd_open");
        child_stop(child, 0);
        child_done(child);
    }
out:
    close(stderr_fd);
    if (report[0] >= 0)
        close(report[0]);
    if (report[1] >= 0)
        close(report[1]);
    return status;
}

/* ——— wait and stop ——— */

static void child_reap(struct child *child)
{
    struct rusage usage;
    while (wait4(child->pid, &child->status, 0, &usage) < 0 && errno == EINTR)
        ;
    child->cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
                    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
    child->pid = 0;
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}

int child_wait(struct child *child, uint64_t timeout_ns, int also_fd)
{
    uint64_t deadline = clock_now_ns() + timeout_ns;
    while (child->pid) {
        struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN},
                               {.fd = also_fd, .events = POLLIN},
                               {.fd = interrupts.fd, .events = POLLIN}};
        uint64_t now = clock_now_ns();
        int timeout_ms = now >= deadline ? 0 : (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS);
        int n = poll(fds, 3, timeout_ms);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (interrupt_came())
            return -EINTR;
        if (n > 0 && fds[1].revents)
            return 1;
        if (n > 0 && fds[0].revents)
            child_reap(child);
        else if (n == 0 && clock_now_ns() >= deadline)
            return -ETIMEDOUT;
    }
    return 0;
}

/* Waits for its end alone, deaf to interrupts: they are what it is being stopped for. */
static bool child_ends_within(struct child *child, uint64_t timeout_ns)
{
    uint64_t deadline = clock_now_ns() + timeout_ns;
    for (;;) {
        struct pollfd fd = {.fd = child->pidfd, .events = POLLIN};
        uint64_t now = clock_now_ns();
        int timeout_ms = now >= deadline ? 0 : (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS);
        int n = poll(&fd, 1, timeout_ms);
        if (n > 0) {
            child_reap(child);
            return true;
        }
        if (n == 0 && clock_now_ns() >= deadline)
            return false;
    }
}

size_t child_kill_leftovers(const struct child *child)
{
    size_t n = 0;
    DIR *proc = child->start_ticks ? opendir("/proc") : NULL;
    if (!proc)
        return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        pid_t parent = 0;
        uint64_t start_ticks = 0;
        if (pid <= 0 || pid == child->pid || !process_look(pid, &parent, &start_ticks))
            continue;
        if (parent != getpid() || start_ticks < child->start_ticks)
            continue;
        kill(pid, SIGKILL);
        if (waitpid(pid, NULL, 0) == pid)
            n++;
    }
    closedir(proc);
    return n;
}

bool child_has_descendant(const struct child *child, pid_t pid)
{
    uint64_t start_ticks;
    /* A chain of parents is short; should it change underfoot, it must still end. */
    for (int i = 0; i < 32 && pid > 1 && child->pid; i++) {
        pid_t parent = 0;
        if (!process_look(pid, &parent, &start_ticks))
            return false;
        if (parent == child->pid)
            return true;
        pid = parent;
    }
    return false;
}

bool child_stop(struct child *child, uint64_t grace_ns)
{
    bool in_order = true;
    if (!child->pid)
        return in_order;
    if (child->pidfd < 0) { /* pidfd_open failed */
        kill(child->pid, SIGKILL);
        child_reap(child);
        return false;
    }
    if (grace_ns)
        kill(child->pid, SIGTERM);
    if (!grace_ns || !child_ends_within(child, grace_ns)) {
        in_order = false;
        kill(child->pid, SIGKILL);
        child_reap(child);
    }
    return in_order;
}

void child_done(struct child *child)
{
    assert(!child->pid);
    free(child->stderr_path);
    child->stderr_path = NULL;
}

/* ——— messages ——— */

const char *child_status_text(const struct child *child, char *text)
{
    if (WIFSIGNALED(child->status))
        snprintf(text, 32, "killed by SIG%s", sigabbrev_np(WTERMSIG(child->status)));
    else
        snprintf(text, 32, "exit status %d", WEXITSTATUS(child->status));
    return text;
}

/* The last lines of a file, at most `bytes` − 1 bytes, without the last line end. */
static void file_tail(const char *path, char *text, size_t bytes)
{
    text[0] = '\0';
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    off_t from = size >= (off_t)bytes ? size - (off_t)bytes + 1 : 0;
    ssize_t got = pread(fd, text, bytes - 1, from);
    close(fd);
    size_t n = got > 0 ? (size_t)got : 0;
    text[n] = '\0';
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = '\0';
    char *newline = from ? strchr(text, '\n') : NULL;
    if (newline)
        memmove(text, newline + 1, strlen(newline + 1) + 1);
}

int child_fail(const struct child *child, int code, const char *what, struct err *err)
{
    char tail[320];
    file_tail(child->stderr_path, tail, sizeof(tail));
    if (!*tail)
        return err_set(err, code, "%s: %s", child->label, what);
    return err_set(err, code, "%s: %s; it said:\n%s", child->label, what, tail);
}

#define RUN_GRACE_NS NS_PER_S

int child_run(struct child *child, const char *label, const char *const *argv,
              const char *stderr_path, uint64_t timeout_ns, struct err *err)
{
    char text[48];
    int status = child_start(child, label, argv, stderr_path, -1, err);
    if (status < 0)
        return status;
    status = child_wait(child, timeout_ns, -1);
    child_stop(child, RUN_GRACE_NS);
    snprintf(text, sizeof(text), "did not end within %d s", (int)(timeout_ns / NS_PER_S));
    if (status == -EINTR)
        err_set(err, status, "interrupted");
    else if (status < 0)
        child_fail(child, status, text, err);
    if (status < 0)
        child_done(child);
    return status;
}
