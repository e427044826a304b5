#include "core/ready.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* write(2) of everything, a parent that is gone being -EPIPE and not a deadly SIGPIPE: the signal
 * is held back and, if our write raised it, taken away again. */
static int ready_write(int fd, const char *text, size_t n)
{
    const struct timespec at_once = {0, 0};
    sigset_t pipe_set, old_set, pending;
    bool was_pending;
    int result = 0;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old_set);
    while (n > 0 && result == 0) {
        ssize_t written = write(fd, text, n);

        if (written >= 0) {
            text += written;
            n -= (size_t)written;
        } else if (errno != EINTR) {
            result = -errno;
        }
    }
    if (result == -EPIPE && !was_pending)
        while (sigtimedwait(&pipe_set, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old_set, NULL);
    return result;
}

int ready_tell(int fd, const struct addr *addr)
{
    char text[ADDR_TEXT_BYTES], line[ADDR_TEXT_BYTES + 1];
    int result;

    if (fd < 0)
        return 0;
    snprintf(line, sizeof(line), "%s\n", addr_format(addr, text));
    result = ready_write(fd, line, strlen(line));
    if (close(fd) < 0 && result == 0)
        result = -errno;
    return result;
}
