#include "tests/support/docker_bed.h"

#include <assert.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "spawnerd/spawnerd.h"
#include "tests/support/fake_engine.h"

enum order { KILL_SPAWNERD, START_SPAWNERD, STOP_ENGINE, START_ENGINE, END, COUNT };

struct message {
    enum order order;
    int status;
    char name[64];
};

struct docker_bed {
    char dir[64], socket[96], engine_socket[96];
    pid_t pid;
    bool swarm;
    int fd; /* to the other process: a message, and a size_t back */
    /* within the child */
    struct ev_loop *loop;
    struct ev_io io;
    struct fake_engine *engine;
    struct spawnerd *spawnerd;
};

static void start_spawnerd(struct docker_bed *bed)
{
    const struct spawnerd_config config = {.socket = bed->socket,
                                           .engine_socket = bed->engine_socket,
                                           .image = "quoit:test",
                                           .network = "n1",
                                           .cluster = "bed",
                                           .prefix = "",
                                           .swarm = bed->swarm,
                                           .node_label = "",
                                           .memory_bytes = 64u << 20,
                                           .n_pids = 32,
                                           .max_servers = 256};
    int rc = spawnerd_open(&config, bed->loop, &bed->spawnerd, NULL);
    assert(rc == 0);
    (void)rc;
}

static void on_message(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct docker_bed *bed = io->data;
    struct message message;
    size_t count = 0;

    (void)events;
    if (recv(bed->fd, &message, sizeof(message), MSG_WAITALL) != sizeof(message)) {
        ev_break(loop, EVBREAK_ALL); /* the test has done with us */
        return;
    }
    switch (message.order) {
    case KILL_SPAWNERD:
        spawnerd_close(bed->spawnerd);
        bed->spawnerd = NULL;
        break;
    case START_SPAWNERD:
        start_spawnerd(bed);
        break;
    case STOP_ENGINE:
        fake_engine_stop(bed->engine, false);
        break;
    case START_ENGINE:
        fake_engine_start(bed->engine);
        break;
    case END:
        fake_engine_end(bed->engine, message.name, message.status, false);
        break;
    case COUNT:
        count = fake_engine_n_containers(bed->engine);
        break;
    }
    if (send(bed->fd, &count, sizeof(count), MSG_NOSIGNAL) < 0)
        ev_break(loop, EVBREAK_ALL);
}

static void run_child(struct docker_bed *bed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bed->loop = ev_loop_new(EVFLAG_AUTO);
    bed->engine = fake_engine_new(bed->loop, bed->engine_socket);
    start_spawnerd(bed);
    ev_io_init(&bed->io, on_message, bed->fd, EV_READ);
    bed->io.data = bed;
    ev_io_start(bed->loop, &bed->io);
    ev_run(bed->loop, 0);
    spawnerd_close(bed->spawnerd);
    fake_engine_free(bed->engine);
    unlink(bed->socket);
    rmdir(bed->dir);
    _exit(0);
}

static size_t give(struct docker_bed *bed, enum order order, const char *name, int status)
{
    struct message message = {.order = order, .status = status};
    size_t count = 0;

    snprintf(message.name, sizeof(message.name), "%s", name);
    if (send(bed->fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ||
        recv(bed->fd, &count, sizeof(count), MSG_WAITALL) != sizeof(count))
        abort(); /* it is gone, and with it whatever the test is about */
    return count;
}

struct docker_bed *docker_bed_new(bool swarm)
{
    struct docker_bed *bed = mem_zalloc(1, sizeof(*bed));
    int pair[2];

    bed->swarm = swarm;

    strcpy(bed->dir, "/tmp/quoit-docker.XXXXXX");
    if (!mkdtemp(bed->dir) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    snprintf(bed->socket, sizeof(bed->socket), "%s/spawner", bed->dir);
    snprintf(bed->engine_socket, sizeof(bed->engine_socket), "%s/engine", bed->dir);
    bed->pid = fork();
    if (bed->pid < 0)
        abort();
    bed->fd = pair[bed->pid == 0];
    close(pair[bed->pid != 0]);
    if (bed->pid == 0)
        run_child(bed);
    return bed;
}

void docker_bed_free(struct docker_bed *bed)
{
    if (!bed)
        return;
    close(bed->fd);
    waitpid(bed->pid, NULL, 0);
    free(bed);
}

const char *docker_bed_socket(const struct docker_bed *bed)
{
    return bed->socket;
}

void docker_bed_kill_spawnerd(struct docker_bed *bed)
{
    give(bed, KILL_SPAWNERD, "", 0);
}

void docker_bed_start_spawnerd(struct docker_bed *bed)
{
    give(bed, START_SPAWNERD, "", 0);
}

void docker_bed_stop_engine(struct docker_bed *bed)
{
    give(bed, STOP_ENGINE, "", 0);
    for (int turn = 0; turn < 5; turn++) /* of its loop, in which spawnerd gets to know */
        docker_bed_n_containers(bed);
}

void docker_bed_start_engine(struct docker_bed *bed)
{
    give(bed, START_ENGINE, "", 0);
}

void docker_bed_end(struct docker_bed *bed, const char *name, int status)
{
    give(bed, END, name, status);
}

size_t docker_bed_n_containers(struct docker_bed *bed)
{
    return give(bed, COUNT, "", 0);
}
