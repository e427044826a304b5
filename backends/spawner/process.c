/* process: a server is a process of this machine that runs `quoit server` on an ephemeral loopback
 * port.
 *
 *   start ── posix_spawn, pidfd_open ──▶ STARTING ── "HOST:PORT\n" on the ready pipe ──▶ RUNNING
 *                                           │                                          ▲   │
 *                  pipe closed, timeout, stop                                      adopt   │
 *                                           ▼                                              │
 *                                        FAILING ── pidfd readable, reaped ──▶ on_failed   │
 *                                                   pidfd readable, reaped ──▶ on_exit ◀───┘
 *
 * A process is held by its pidfd, never by its number, which the kernel gives to another as soon as
 * it is free: the pidfd turns readable at the exit, takes the signals and reaps. SIGCHLD and
 * libev's child watchers play no part, so any loop will do. See pidfd_open(2), waitid(2). */
#include "backends/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/name.h"
#include "core/process.h"

/* Where the child finds the ready pipe; everything above it is closed. */
#define READY_FD 3
/* A child that closed its ready pipe empty is ending; it may still have a reason to print. */
#define LAST_WORDS_NS UINT64_C(1000000000)

enum process_state { STARTING, RUNNING, FAILING };

struct process_spawner {
    struct spawner base;
    struct spawner_config config;
    const struct spawner_handler *handler;
    void *context;
    LIST_HEAD(, process) processes;
};

struct process {
    LIST_ENTRY(process) link;
    struct process_spawner *spawner;
    enum process_state state;
    uint64_t uid;
    char name[NAME_MAX_BYTES + 1];
    char reference[PROCESS_REFERENCE_BYTES];
    pid_t pid; /* to tell, never to signal */
    int pidfd;
    int ready_fd; /* −1 when it is not STARTING any more */
    bool terminated;
    bool killed;
    struct addr addr;
    struct err failure; /* FAILING: what on_failed will say */
    char line[ADDR_TEXT_BYTES + 1];
    size_t n_line;
    ev_io exit_watcher;
    ev_io ready_watcher;
    ev_timer deadline; /* kills it: the start's timeout, or the grace of a stop */
};

static struct process_spawner *process_spawner(struct spawner *spawner)
{
    return (struct process_spawner *)spawner;
}

static struct process *find_process(struct process_spawner *self, uint64_t uid)
{
    struct process *process;

    LIST_FOREACH(process, &self->processes, link)
    if (process->uid == uid)
        return process;
    return NULL;
}

/* ---- one process ------------------------------------------------------------------------- */

static void signal_process(struct process *process, int signo)
{
    /* ESRCH: it has ended and its exit is on the way. Nothing else can be done about any error. */
    pidfd_send_signal(process->pidfd, signo, NULL, 0);
}

static void kill_process(struct process *process)
{
    process->killed = true;
    ev_timer_stop(process->spawner->config.loop, &process->deadline);
    signal_process(process, SIGKILL);
}

/* The deadline only ever comes nearer. */
static void kill_process_within(struct process *process, uint64_t after_ns)
{
    struct ev_loop *loop = process->spawner->config.loop;
    double after = (double)after_ns / 1e9;

    if (process->killed)
        return;
    /* Timers count from the loop's idea of now, which is old when the caller was busy. */
    ev_now_update(loop);
    if (ev_is_active(&process->deadline) && ev_timer_remaining(loop, &process->deadline) <= after)
        return;
    ev_timer_stop(loop, &process->deadline);
    ev_timer_set(&process->deadline, after, 0.);
    ev_timer_start(loop, &process->deadline);
}

static void stop_listening_for_ready(struct process *process)
{
    if (process->ready_fd < 0)
        return;
    ev_io_stop(process->spawner->config.loop, &process->ready_watcher);
    close(process->ready_fd);
    process->ready_fd = -1;
}

/* Takes it out of the list and the loop and frees it; the process itself is left as it is. */
static void forget_process(struct process *process)
{
    struct ev_loop *loop = process->spawner->config.loop;

    stop_listening_for_ready(process);
    ev_timer_stop(loop, &process->deadline);
    ev_io_stop(loop, &process->exit_watcher);
    close(process->pidfd);
    LIST_REMOVE(process, link);
    free(process);
}

/* The handler may do anything, even close the spawner: nothing is touched after it returns. */
static void tell_started(struct process *process)
{
    struct process_spawner *self = process->spawner;
    char name[sizeof(process->name)], reference[sizeof(process->reference)];
    struct spawner_server server = {.uid = process->uid,
                                    .name = name,
                                    .addr = process->addr,
                                    .pid = process->pid,
                                    .reference = reference};

    process->state = RUNNING;
    stop_listening_for_ready(process);
    ev_timer_stop(self->config.loop, &process->deadline);
    memcpy(name, process->name, sizeof(name));
    memcpy(reference, process->reference, sizeof(reference));
    self->handler->on_started(self->context, &server);
}

/* Reads what there is on the ready pipe. 1: the address is known; 0: not yet; negative: it will not
 * come, and `failure` says why (-ECHILD: the pipe was closed). */
static int read_ready(struct process *process)
{
    struct err *failure = &process->failure;

    for (;;) {
        ssize_t n = read(process->ready_fd, process->line + process->n_line,
                         sizeof(process->line) - process->n_line);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <= 0)
            return err_set(failure, -ECHILD, "server %s closed its ready pipe without an address",
                           process->name);
        process->n_line += (size_t)n;

        char *end = memchr(process->line, '\n', process->n_line);
        if (!end && process->n_line < sizeof(process->line))
            continue;
        if (end)
            *end = '\0';
        if (!end || strlen(process->line) != (size_t)(end - process->line) ||
            addr_parse(process->line, &process->addr, NULL) || addr_port(&process->addr) == 0)
            return err_set(failure, -EPROTO, "server %s told no address but \"%.*s\"",
                           process->name, (int)process->n_line, process->line);
        return 1;
    }
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct process *process = watcher->data;
    int rc = read_ready(process);

    (void)loop;
    (void)revents;
    if (rc > 0) {
        tell_started(process);
    } else if (rc < 0) {
        process->state = FAILING;
        stop_listening_for_ready(process);
        if (rc == -ECHILD)
            kill_process_within(process, LAST_WORDS_NS);
        else
            kill_process(process);
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct process *process = watcher->data;

    (void)loop;
    (void)revents;
    if (process->state == STARTING) {
        process->state = FAILING;
        stop_listening_for_ready(process);
        err_set(&process->failure, -ETIMEDOUT, "server %s did not listen within %g s",
                process->name, (double)process->spawner->config.start_timeout_ns / 1e9);
    }
    kill_process(process);
}

static void on_pidfd(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct process *process = watcher->data;
    struct process_spawner *self = process->spawner;
    char why[PROCESS_WHY_BYTES];

    (void)loop;
    (void)revents;
    /* It may have listened, said so and ended, all since the last turn: then that is told first,
     * and the exit on the next turn, for which the pidfd stays readable. */
    if (process->state == STARTING && read_ready(process) > 0) {
        tell_started(process);
        return;
    }
    if (!process_reap(process->pidfd, why))
        return;

    uint64_t uid = process->uid;
    enum process_state state = process->state;
    struct err failure = process->failure;
    if (state == STARTING || (failure.code == -ECHILD && !process->killed))
        err_set(&failure, -ECHILD, "server %s ended before it listened: %s", process->name, why);
    forget_process(process);
    if (state == RUNNING)
        self->handler->on_exit(self->context, uid, why);
    else
        self->handler->on_failed(self->context, uid, &failure);
}

/* Takes pidfd and ready_fd (−1: it listens already) over. */
static struct process *watch_process(struct process_spawner *self, uint64_t uid, const char *name,
                                     const char *reference, pid_t pid, int pidfd, int ready_fd)
{
    struct process *process = mem_zalloc(1, sizeof(*process));

    process->spawner = self;
    process->state = ready_fd < 0 ? RUNNING : STARTING;
    process->uid = uid;
    process->pid = pid;
    process->pidfd = pidfd;
    process->ready_fd = ready_fd;
    snprintf(process->name, sizeof(process->name), "%s", name);
    snprintf(process->reference, sizeof(process->reference), "%s", reference);
    ev_io_init(&process->exit_watcher, on_pidfd, pidfd, EV_READ);
    ev_io_init(&process->ready_watcher, on_ready, ready_fd, EV_READ);
    ev_timer_init(&process->deadline, on_deadline, 0., 0.);
    process->exit_watcher.data = process->ready_watcher.data = process->deadline.data = process;
    ev_io_start(self->config.loop, &process->exit_watcher);
    if (ready_fd >= 0)
        ev_io_start(self->config.loop, &process->ready_watcher);
    LIST_INSERT_HEAD(&self->processes, process, link);
    return process;
}

/* ---- spawning ---------------------------------------------------------------------------- */

/* The command line, in one allocation a part of which are the numbers' texts. For free(). */
static char **make_argv(const struct process_spawner *self, const struct spawner_request *request)
{
    enum { FIXED = 12, ID_BYTES = 24, ORPHAN_BYTES = 32 };
    const char *const *lists[] = {self->config.server_args, request->args};
    uint64_t orphan_ns = self->config.orphan_after_ns;
    size_t n_more = 0, n = 0;

    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; lists[i] && lists[i][j]; j++)
            n_more++;
    size_t pointers_bytes = (FIXED + n_more + 1) * sizeof(char *);
    char **argv = mem_zalloc(1, pointers_bytes + ID_BYTES + ORPHAN_BYTES);
    char *id = (char *)argv + pointers_bytes;
    char *orphan_after = id + ID_BYTES;

    snprintf(id, ID_BYTES, "%" PRIu64, request->id);
    if (orphan_ns % UINT64_C(1000000000) == 0)
        snprintf(orphan_after, ORPHAN_BYTES, "%" PRIu64, orphan_ns / UINT64_C(1000000000));
    else /* rounded up: 0 means never */
        snprintf(orphan_after, ORPHAN_BYTES, "%" PRIu64 "us", (orphan_ns + 999) / 1000);

    const char *words[FIXED] = {
        self->config.program, "server", "--listen", "127.0.0.1:0",    "--name",
        request->name,        "--id",   id,         "--orphan-after", orphan_after,
        "--ready-fd",         "3",
    };
    /* posix_spawn takes char *const * for history's sake and changes nothing. */
    for (size_t i = 0; i < FIXED; i++)
        argv[n++] = (char *)(uintptr_t)words[i];
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; lists[i] && lists[i][j]; j++)
            argv[n++] = (char *)(uintptr_t)lists[i][j];
    return argv;
}

/* Descriptors of the child: 0 and 1 are /dev/null, 2 is ours, 3 is the ready pipe, no others. The
 * pipe goes first, since it may be 0 or 1 itself. Returns a positive errno. */
static int set_descriptors(posix_spawn_file_actions_t *actions, int ready_fd)
{
    int code = posix_spawn_file_actions_adddup2(actions, ready_fd, READY_FD);

    if (!code)
        code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_addclosefrom_np(actions, READY_FD + 1);
    return code;
}

/* Starts the program. 0 or a negative errno. */
static int spawn_program(const struct process_spawner *self, const struct spawner_request *request,
                         int ready_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;

    int code = -posix_spawn_file_actions_init(&actions);
    if (code)
        return code;
    code = -set_descriptors(&actions, ready_fd);
    if (!code) {
        char **argv = make_argv(self, request);
        code = process_spawn(self->config.program, argv, &actions, ret_pid);
        free(argv);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* Ends a child that cannot be watched, and waits for it: a moment, since it has only begun. The one
 * place that signals by number, which is safe for a child that nobody has reaped. */
static void discard_child(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int process_start(struct spawner *spawner, const struct spawner_request *request,
                         struct err *err)
{
    struct process_spawner *self = process_spawner(spawner);
    char reference[PROCESS_REFERENCE_BYTES];
    int ready[2];
    pid_t pid = 0;

    if (!name_valid(request->name))
        return err_set(err, -EINVAL, "a server cannot be named \"%s\"", request->name);
    if (find_process(self, request->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", request->uid);
    if (pipe2(ready, O_CLOEXEC))
        return err_set_errno(err, -errno, "cannot make a pipe for server %s", request->name);
    /* Our end only: whether the child's blocks is the child's affair. */
    if (fcntl(ready[0], F_SETFL, O_NONBLOCK)) {
        int failed = -errno;
        close(ready[0]);
        close(ready[1]);
        return err_set_errno(err, failed, "cannot make a pipe for server %s", request->name);
    }
    int code = spawn_program(self, request, ready[1], &pid);
    close(ready[1]);
    if (code) {
        close(ready[0]);
        return err_set_errno(err, code, "cannot start %s for server %s", self->config.program,
                             request->name);
    }
    int pidfd = pidfd_open(pid, 0);
    code = pidfd < 0 ? -errno : process_reference(pid, reference);
    if (code) {
        discard_child(pid);
        if (pidfd >= 0)
            close(pidfd);
        close(ready[0]);
        return err_set_errno(err, code, "cannot watch server %s", request->name);
    }
    struct process *process =
        watch_process(self, request->uid, request->name, reference, pid, pidfd, ready[0]);
    if (self->config.start_timeout_ns > 0)
        kill_process_within(process, self->config.start_timeout_ns);
    return 0;
}

/* ---- the other hooks --------------------------------------------------------------------- */

static void process_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns)
{
    struct process *process = find_process(process_spawner(spawner), uid);

    if (!process)
        return;
    if (process->state == STARTING) {
        process->state = FAILING;
        /* The pipe stays open, so that a server which was about to tell is not ended by SIGPIPE. */
        ev_io_stop(process->spawner->config.loop, &process->ready_watcher);
        err_set(&process->failure, -ECANCELED, "server %s was stopped before it listened",
                process->name);
    }
    if (grace_ns == 0) {
        kill_process(process);
        return;
    }
    if (!process->terminated) {
        process->terminated = true;
        signal_process(process, SIGTERM);
    }
    /* Also for a process that is stopped (SIGSTOP): SIGTERM waits there, SIGKILL does not. */
    kill_process_within(process, grace_ns);
}

static int process_adopt(struct spawner *spawner, const struct spawner_server *server,
                         struct err *err)
{
    struct process_spawner *self = process_spawner(spawner);
    pid_t pid;
    int pidfd;

    if (find_process(self, server->uid))
        return err_set(err, -EEXIST, "uid %" PRIu64 " is taken", server->uid);
    int code = process_find(server->reference, &pid, &pidfd);
    if (code == -ESRCH)
        return err_set(err, code, "server %s (process %s) is gone", server->name,
                       server->reference);
    if (code)
        return err_set_errno(err, code, "cannot tell whether process %s is server %s",
                             server->reference, server->name);
    watch_process(self, server->uid, server->name, server->reference, pid, pidfd, -1);
    return 0;
}

static void process_close(struct spawner *spawner)
{
    struct process_spawner *self = process_spawner(spawner);

    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see LIST_REMOVE in forget_process. */
    while (!LIST_EMPTY(&self->processes))
        forget_process(LIST_FIRST(&self->processes));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    free(self);
}

static int process_open(const void *params, const struct spawner_config *config,
                        const struct spawner_handler *handler, void *context,
                        struct spawner **ret_spawner, struct err *err);

static const struct spawner_ops process_ops = {
    .part = {.name = "process",
             .summary = "processes of this machine, each on a loopback port of its own",
             .source = "pidfd_open(2), posix_spawn(3)"},
    .open = process_open,
    .close = process_close,
    .start = process_start,
    .stop = process_stop,
    .adopt = process_adopt,
};

static int process_open(const void *params, const struct spawner_config *config,
                        const struct spawner_handler *handler, void *context,
                        struct spawner **ret_spawner, struct err *err)
{
    struct process_spawner *self = mem_zalloc(1, sizeof(*self));
    struct sigaction on_child;

    (void)params;
    (void)err;
    self->base.ops = &process_ops;
    self->config = *config;
    self->handler = handler;
    self->context = context;
    LIST_INIT(&self->processes);

    /* Whoever started us may have left SIGCHLD ignored: the kernel would then reap our children
     * itself, their ends would be untold and their numbers free before we hold a pidfd. */
    if (sigaction(SIGCHLD, NULL, &on_child) == 0 &&
        (on_child.sa_handler == SIG_IGN || (on_child.sa_flags & SA_NOCLDWAIT)))
        signal(SIGCHLD, SIG_DFL);
    *ret_spawner = &self->base;
    return 0;
}

SPAWNER_REGISTER(process_ops);
