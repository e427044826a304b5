#include "experiments/testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "experiments/ask.h"

#define TESTBED_START_NS (UINT64_C(15) * NS_PER_S)
#define TESTBED_STOP_NS (UINT64_C(5) * NS_PER_S)
/* A database server of its own may have to be set up first, and to write its pages out last. */
#define TESTBED_DB_START_NS (UINT64_C(60) * NS_PER_S)
#define TESTBED_DB_STOP_NS (UINT64_C(30) * NS_PER_S)

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

static int testbed_await(struct testbed *testbed, int fd, uint64_t timeout_ns, struct err *err)
{
    char text[32];
    int status = child_wait(&testbed->lb, timeout_ns, fd);
    if (status == 1)
        return testbed_read_address(testbed, fd, err);
    if (status == -EINTR)
        return err_set(err, -EINTR, "interrupted");
    if (status == -ETIMEDOUT) {
        snprintf(text, sizeof(text), "did not serve within %d s", (int)(timeout_ns / NS_PER_S));
        return child_fail(&testbed->lb, status, text, err);
    }
    if (status < 0)
        return err_set_errno(err, status, "waiting for quoit lb");
    return child_fail(&testbed->lb, -EPROTO, child_status_text(&testbed->lb, text), err);
}

/* ——— the database ——— */

/* One call to the load balancer, whose body `print` makes. */
static int testbed_call(const struct testbed *testbed, const char *method, const char *path,
                        void (*print)(const struct layout *layout, struct buf *out),
                        struct err *err)
{
    struct asker asker;
    struct buf body;
    buf_init(&body, 0);
    print(&testbed->layout, &body);
    asker_init(&asker);
    cJSON *answer = asker_ask_json(&asker, method, testbed->address, path, buf_str(&body), err);
    asker_done(&asker);
    buf_done(&body);
    cJSON_Delete(answer);
    return answer ? 0 : -EPROTO;
}

/* The cluster holds what the layout says. */
static int testbed_check(const struct testbed *testbed, struct err *err)
{
    struct asker asker;
    asker_init(&asker);
    cJSON *answer = asker_ask_json(&asker, "GET", testbed->address, "/status", NULL, err);
    asker_done(&asker);
    int status = answer ? layout_check_status(&testbed->layout, answer, err) : -EPROTO;
    cJSON_Delete(answer);
    return status;
}

static int testbed_init_database(struct testbed *testbed, const struct experiment_cluster *settings,
                                 struct err *err)
{
    const struct layout_shape shape = {settings->servers, settings->shards, settings->replicas};
    layout_init(&testbed->layout, &shape, settings->shard_size);
    int status = testbed_call(testbed, "POST", "/init", layout_print_init, err);
    return status < 0 ? status : testbed_check(testbed, err);
}

int testbed_grow(struct testbed *testbed, const struct testbed_config *config, struct err *err)
{
    struct layout_shape to;
    const char *grow = config->settings->grow;
    if (!config->settings->shards || !grow)
        return 0;
    int status = layout_parse_shape(grow, &to, err);
    if (status >= 0)
        status = layout_grow(&testbed->layout, &to, err);
    if (status >= 0)
        status = testbed_call(testbed, "POST", "/add", layout_print_add, err);
    if (status >= 0 && layout_n_going(&testbed->layout))
        status = testbed_call(testbed, "DELETE", "/rm", layout_print_rm, err);
    return status < 0 ? status : testbed_check(testbed, err);
}

/* ——— start and stop ——— */

#define LB_MAX_WORDS 26

int testbed_start(struct testbed *testbed, const struct testbed_config *config, struct err *err)
{
    const struct experiment_cluster *settings = config->settings;
    char fd_text[16], servers[24], threads[24], seed[24], service_time[32];
    char state[4096], said[4096];
    int ready[2];
    bool init = settings->shards && !config->bare;
    *testbed = (struct testbed){.lb.pidfd = -1};
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set_errno(err, -errno, "pipe");
    snprintf(fd_text, sizeof(fd_text), "%d", ready[1]);
    snprintf(servers, sizeof(servers), "%" PRIu64, init ? 0 : settings->servers);
    snprintf(threads, sizeof(threads), "%" PRIu64, settings->threads);
    snprintf(service_time, sizeof(service_time), "%" PRIu64 "us", settings->service_ns / NS_PER_US);
    snprintf(seed, sizeof(seed), "%" PRIu64, config->seed);
    snprintf(state, sizeof(state), "%s/state", config->dir);
    snprintf(said, sizeof(said), "%s/lb.stderr", config->dir);
    const char *argv[LB_MAX_WORDS] = {
        config->program,
        "lb",
        "--listen",
        "127.0.0.1:0",
        "--ready-fd",
        fd_text,
        "--servers",
        servers,
        "--placement",
        settings->placement,
        "--hash",
        settings->hash,
        "--threads",
        threads,
        "--spawner",
        settings->spawner,
        "--seed",
        seed,
        "--service-time",
        service_time,
        "--state",
        state,
        settings->shards ? "--store" : NULL,
        settings->store,
        NULL,
    };
    int status = child_start(&testbed->lb, "quoit lb", argv, said, ready[1], err);
    close(ready[1]);
    if (status >= 0) {
        status = testbed_await(testbed, ready[0],
                               settings->shards ? TESTBED_DB_START_NS : TESTBED_START_NS, err);
        if (status >= 0 && init)
            status = testbed_init_database(testbed, settings, err);
        if (status < 0)
            testbed_stop(testbed, NULL);
    }
    close(ready[0]);
    return status;
}

int testbed_stop(struct testbed *testbed, struct err *err)
{
    char text[48];
    struct child *lb = &testbed->lb;
    int status = 0;
    uint64_t grace_ns = testbed->layout.n_servers ? TESTBED_DB_STOP_NS : TESTBED_STOP_NS;
    bool in_order = child_stop(lb, grace_ns);
    size_t n_left = child_kill_leftovers(lb);
    snprintf(text, sizeof(text), "did not end within %d s of SIGTERM", (int)(grace_ns / NS_PER_S));
    if (!in_order)
        status = child_fail(lb, -EPROTO, text, err);
    else if (lb->status)
        status = child_fail(lb, -EPROTO, child_status_text(lb, text), err);
    else if (n_left)
        status = err_set(err, -EPROTO, "quoit lb left %zu processes behind", n_left);
    child_done(lb);
    return status;
}
