#include "tests/support/ready_child.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/ready.h"

#define LIFETIME_S 60
#define TEST_PID "QUOIT_READY_CHILD_TEST_PID"

static const char *value_of(int argc, char **argv, const char *option)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], option) == 0)
            return argv[i + 1];
    return "";
}

static bool has_mode(const char *name, const char *mode)
{
    size_t n = strlen(mode);

    return strncmp(name, mode, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

static bool is_null_device(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/* Descriptors beyond the four that a server is given. */
static unsigned count_stray_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned n = 0;

    if (!dir)
        return UINT_MAX;
    while ((entry = readdir(dir))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd > 3 && fd != dirfd(dir))
            n++;
    }
    closedir(dir);
    return n;
}

static bool any_signal_ignored_or_blocked(void)
{
    sigset_t blocked;

    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int signo = 1; signo < NSIG; signo++) {
        struct sigaction action;
        if (sigismember(&blocked, signo) == 1)
            return true;
        if (sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            return true;
    }
    return false;
}

/* The number of the first claim that does not hold, 0 if all do. */
static int inspect(int argc, char **argv)
{
    if (getsid(0) != getpid())
        return 11; /* a session of its own */
    if (!is_null_device(STDIN_FILENO) || !is_null_device(STDOUT_FILENO))
        return 12; /* stdin and stdout are /dev/null */
    if (count_stray_descriptors() != 0)
        return 13; /* nothing else is inherited */
    if (any_signal_ignored_or_blocked())
        return 14; /* signals are as a program expects them */
    if (argc != 14 || strcmp(argv[12], "--more") != 0 || strcmp(argv[13], "words") != 0)
        return 15; /* server_args come last */
    if (strcmp(value_of(argc, argv, "--listen"), "127.0.0.1:0") != 0 ||
        strcmp(value_of(argc, argv, "--id"), "18446744073709551615") != 0 ||
        strcmp(value_of(argc, argv, "--orphan-after"), "1500000us") != 0 ||
        strcmp(value_of(argc, argv, "--ready-fd"), "3") != 0)
        return 16; /* the options */
    return 0;
}

static struct addr listen_somewhere(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addr addr = {.len = sizeof(in)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&addr.storage, &addr.len))
        _exit(99);
    return addr;
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        _exit(98);
}

static void on_term(int signo)
{
    (void)signo;
    _exit(0);
}

/* SIGTERM, or the end of the test program, whoever is the parent now. */
static void wait_for_the_end(void)
{
    const char *test_pid = getenv(TEST_PID);
    struct pollfd test = {.fd = test_pid ? pidfd_open(atoi(test_pid), 0) : -1, .events = POLLIN};

    while (test.fd >= 0 && poll(&test, 1, -1) <= 0)
        ;
    _exit(96);
}

/* The ways not to get as far as listening. */
static void misbehave(const char *name, int ready_fd)
{
    char noise[300];

    if (has_mode(name, "fails"))
        _exit(3);
    if (has_mode(name, "deaf"))
        signal(SIGTERM, SIG_IGN);
    if (has_mode(name, "garbles"))
        say(ready_fd, "quoit.example:80\n");
    if (has_mode(name, "babbles")) {
        memset(noise, '1', sizeof(noise) - 1);
        noise[sizeof(noise) - 1] = '\0';
        say(ready_fd, noise);
    }
    if (has_mode(name, "closes"))
        close(ready_fd);
    if (has_mode(name, "closes") || has_mode(name, "garbles") || has_mode(name, "babbles") ||
        has_mode(name, "mute") || has_mode(name, "deaf"))
        wait_for_the_end();
}

void ready_child_main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "server") != 0)
        return;
    const char *name = value_of(argc, argv, "--name");
    int ready_fd = atoi(value_of(argc, argv, "--ready-fd"));
    int claim = has_mode(name, "inspects") ? inspect(argc, argv) : 0;

    alarm(LIFETIME_S);
    signal(SIGTERM, on_term);
    misbehave(name, ready_fd);
    if (has_mode(name, "stubborn"))
        signal(SIGTERM, SIG_IGN);

    struct addr addr = listen_somewhere();
    if (has_mode(name, "halves")) {
        char text[ADDR_TEXT_BYTES], rest[ADDR_TEXT_BYTES + 1];
        addr_format(&addr, text);
        snprintf(rest, sizeof(rest), "%s\n", text + 5);
        text[5] = '\0';
        say(ready_fd, text);
        usleep(20000);
        say(ready_fd, rest);
        close(ready_fd);
    } else if (ready_tell(ready_fd, &addr)) {
        _exit(97);
    }
    if (has_mode(name, "inspects"))
        _exit(claim);
    if (has_mode(name, "brief"))
        _exit(7);
    wait_for_the_end();
}

const char *ready_child_program(void)
{
    static char path[PATH_MAX];
    char pid[16];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (n < 0 || setenv(TEST_PID, pid, 1))
        abort();
    path[n] = '\0';
    return path;
}
