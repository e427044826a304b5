/* Other programs: gnuplot is required, the rest are optional, each for something of its own. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "doctor/check.h"

#define ANSWER_TIMEOUT_NS (3 * NS_PER_S)
#define MAX_WORDS 8

/* ---- asking -----------------------------------------------------------------------------------
 */

static bool is_program(const char *folder, size_t n_bytes, const char *name, char *path)
{
    int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)n_bytes, folder, name);
    return n > 0 && n < PATH_MAX && access(path, X_OK) == 0;
}

bool check_find_program(const char *name, char *path)
{
    /* Daemons live where a user's PATH may not lead. */
    static const char *const more[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t n = strcspn(at, ":");
        if (n > 0 && is_program(at, n, name, path))
            return true;
        at += n + (at[n] == ':');
    }
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (is_program(more[i], strlen(more[i]), name, path))
            return true;
    return false;
}

/* Reads to the end of the pipe or the deadline, keeping the first bytes that fit. */
static bool read_answer(int fd, char *text, size_t bytes)
{
    uint64_t deadline_ns = clock_now_ns() + ANSWER_TIMEOUT_NS;
    size_t n = 0;
    text[0] = '\0';
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        char chunk[512];
        if (now_ns >= deadline_ns ||
            poll(&readable, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) == 0)
            return false;
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        size_t take = (size_t)got < bytes - 1 - n ? (size_t)got : bytes - 1 - n;
        memcpy(text + n, chunk, take);
        n += take;
        text[n] = '\0';
    }
}

static int start(const char *path, const char *const *argv, int out_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
    int rc = posix_spawn(ret_pid, path, &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* The first line that is not empty, less the words about who wrote it and where it lives. */
static void keep_first_line(char *text)
{
    static const char *const endings[] = {"\r", "\n", " Copyright", " - http"};
    size_t n_blank = strspn(text, " \r\n");
    memmove(text, text + n_blank, strlen(text + n_blank) + 1);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *end = strstr(text, endings[i]);
        if (end)
            *end = '\0';
    }
}

int check_ask_program(const char *const *argv, char *text, size_t bytes)
{
    char path[PATH_MAX];
    int pipe_fds[2], status;
    pid_t pid;
    text[0] = '\0';
    if (!check_find_program(argv[0], path))
        return -ENOENT;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return -errno;
    int rc = start(path, argv, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (rc == 0) {
        bool ended = read_answer(pipe_fds[0], text, bytes);
        if (!ended) {
            kill(pid, SIGKILL);
            rc = -ETIMEDOUT;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (ended)
            rc = WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
    }
    close(pipe_fds[0]);
    keep_first_line(text);
    return rc;
}

/* ---- the programs -----------------------------------------------------------------------------
 */

/* An optional one: its version. */
struct program {
    const char *name;            /* as in the table of checks */
    const char *argv[MAX_WORDS]; /* tells the version */
    bool any_status;             /* its exit status means nothing */
    const char *advice;
};

static const struct program programs[] = {
    {"gnuplot version", {"gnuplot", "--version"}, false, "apt-get install gnuplot-nox"},
    {"docker", {"docker", "--version"}, false, "apt-get install docker.io"},
    {"docker engine",
     {"docker", "version", "--format", "{{.Server.Version}}"},
     false,
     "systemctl start docker, and be root or in the group docker"},
    {"docker compose",
     {"docker", "compose", "version"},
     false,
     "apt-get install docker-compose-v2, or Docker's own docker-compose-plugin"},
    {"mariadbd", {"mariadbd", "--version"}, false, "apt-get install mariadb-server"},
    {"wrk", {"wrk", "--version"}, true, "apt-get install wrk"},
    {"h2load", {"h2load", "--version"}, false, "apt-get install nghttp2-client"},
    {"haproxy", {"haproxy", "-v"}, false, "apt-get install haproxy"},
    {"etcd", {"etcd", "--version"}, false, "apt-get install etcd-server"},
};

static const struct program *program_of(const char *name)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(programs[i].name, name) == 0)
            return &programs[i];
    return NULL;
}

static void check_version(const struct check *check, const struct doctor_wants *wants,
                          struct doctor_report *report)
{
    const struct program *program = program_of(check->name);
    char line[160];
    (void)wants;
    if (!program)
        return;
    int rc = check_ask_program(program->argv, line, sizeof(line));
    bool good = rc == 0 || (rc > 0 && program->any_status);
    if (good && line[0])
        check_add(report, check, DOCTOR_OK, NULL, "%s", line);
    else
        check_add(report, check, DOCTOR_NOTE, program->advice, "%s; optional: %s",
                  rc == -ENOENT      ? "not installed"
                  : rc == -ETIMEDOUT ? "does not answer within 3 s"
                  : line[0]          ? line
                                     : "does not answer",
                  check->why);
}

/* The required one, without starting it. */
static void check_presence(const struct check *check, const struct doctor_wants *wants,
                           struct doctor_report *report)
{
    char path[PATH_MAX];
    (void)wants;
    bool there = check_find_program(check->name, path);
    check_add(report, check, there ? DOCTOR_OK : DOCTOR_FAIL,
              there ? NULL : "apt-get install gnuplot-nox", "%.100s",
              there ? path : "not installed");
}

const struct check program_checks[] = {
    {"programs", "gnuplot", "draws the charts of every experiment", true, check_presence},
    {"programs", "gnuplot version", "5.4 is what the charts were made for", false, check_version},
    {"programs", "docker", "runs servers as containers", false, check_version},
    {"programs", "docker engine", "the daemon that starts the containers", false, check_version},
    {"programs", "docker compose", "starts the whole cluster from docker-compose.yml", false,
     check_version},
    {"programs", "mariadbd", "the database behind the mysql store", false, check_version},
    {"programs", "wrk", "a second opinion on throughput in `make bench`", false, check_version},
    {"programs", "h2load", "a second opinion on the load generator's own cost", false,
     check_version},
    {"programs", "haproxy", "what the load balancer is measured against in `make bench`", false,
     check_version},
    {"programs", "etcd", "a home for the cluster map that several load balancers share", false,
     check_version},
    {0},
};
