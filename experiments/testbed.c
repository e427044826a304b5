#include "experiments/testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

#define TESTBED_START_NS (UINT64_C(15) * NS_PER_S)
#define TESTBED_STOP_NS (UINT64_C(5) * NS_PER_S)

/* What the child has written to the ready pipe: "HOST:PORT\n", or nothing when it closed it. */
static int testbed_read_address(struct testbed *testbed, int fd, struct err *err)
{
    char text[ADDR_TEXT_BYTES];
    size_t n = 0;
    while (n < sizeof(text) - 1 && !memchr(text, '\n', n)) {
        ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    char *newline = memchr(text, '\n', n);
    if (!newline)
        return child_fail(&testbed->lb, -EPROTO, "did not start", err);
    *newline = '\0';
    struct addr addr;
    if (addr_parse(text, &addr, err) < 0)
        return err_prefix(err, "quoit lb told an address that is none");
    addr_format(&addr, testbed->address);
    return 0;
}

static int testbed_await(struct testbed *testbed, int fd, struct err *err)
{
    char text[32];
    int status = child_wait(&testbed->lb, TESTBED_START_NS, fd);
    if (status == 1)
        return testbed_read_address(testbed, fd, err);
    if (status == -EINTR)
        return err_set(err, -EINTR, "interrupted");
    if (status == -ETIMEDOUT)
        return child_fail(&testbed->lb, status, "did not serve within 15 s", err);
    if (status < 0)
        return err_set_errno(err, status, "waiting for quoit lb");
    return child_fail(&testbed->lb, -EPROTO, child_status_text(&testbed->lb, text), err);
}

int testbed_start(struct testbed *testbed, const struct testbed_config *config, struct err *err)
{
    const struct experiment_cluster *settings = config->settings;
    char fd_text[16], servers[24], threads[24], seed[24], state[4096], said[4096];
    int ready[2];
    *testbed = (struct testbed){.lb.pidfd = -1};
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set_errno(err, -errno, "pipe");
    snprintf(fd_text, sizeof(fd_text), "%d", ready[1]);
    snprintf(servers, sizeof(servers), "%" PRIu64, settings->servers);
    snprintf(threads, sizeof(threads), "%" PRIu64, settings->threads);
    snprintf(seed, sizeof(seed), "%" PRIu64, config->seed);
    snprintf(state, sizeof(state), "%s/state", config->dir);
    snprintf(said, sizeof(said), "%s/lb.stderr", config->dir);
    const char *const argv[] = {
        config->program, "lb",    "--listen",    "127.0.0.1:0",       "--ready-fd", fd_text,
        "--servers",     servers, "--placement", settings->placement, "--hash",     settings->hash,
        "--threads",     threads, "--spawner",   settings->spawner,   "--seed",     seed,
        "--state",       state,   NULL,
    };
    int status = child_start(&testbed->lb, "quoit lb", argv, said, ready[1], err);
    close(ready[1]);
    if (status >= 0) {
        status = testbed_await(testbed, ready[0], err);
        if (status < 0)
            testbed_stop(testbed, NULL);
    }
    close(ready[0]);
    return status;
}

int testbed_stop(struct testbed *testbed, struct err *err)
{
    char text[32];
    struct child *lb = &testbed->lb;
    int status = 0;
    bool in_order = child_stop(lb, TESTBED_STOP_NS);
    size_t n_left = child_kill_leftovers(lb);
    if (!in_order)
        status = child_fail(lb, -EPROTO, "did not end within 5 s of SIGTERM", err);
    else if (lb->status)
        status = child_fail(lb, -EPROTO, child_status_text(lb, text), err);
    else if (n_left)
        status = err_set(err, -EPROTO, "quoit lb left %zu processes behind", n_left);
    child_done(lb);
    return status;
}
