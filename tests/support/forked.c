#include "tests/support/forked.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKED_SECONDS 30

static struct forked forked_result;

/* An unlinked file rather than a pipe: it takes any amount without a reader. */
static int forked_file(void)
{
    char path[] = "/tmp/quoit-forked-XXXXXX";
    int fd = mkstemp(path);

    assert(fd >= 0);
    unlink(path);
    return fd;
}

static void forked_read(int fd, char *text)
{
    ssize_t n = pread(fd, text, FORKED_TEXT_BYTES - 1, 0);

    assert(n >= 0);
    text[n] = '\0';
    close(fd);
}

const struct forked *forked_run(void (*function)(void *argument), void *argument)
{
    int out = forked_file(), err = forked_file(), status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        /* cmocka catches these to go on with its next test, which a child must not. */
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        alarm(FORKED_SECONDS);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        function(argument);
        fflush(NULL);
        _exit(FORKED_RETURNED);
    }
    assert(waitpid(pid, &status, 0) == pid);
    forked_read(out, forked_result.out);
    forked_read(err, forked_result.err);
    forked_result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    forked_result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return &forked_result;
}

bool forked_aborts(void (*function)(void *argument), void *argument)
{
    return forked_run(function, argument)->signal == SIGABRT;
}
