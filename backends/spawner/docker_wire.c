#include "backends/spawner/docker_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/json.h"

enum { READ_BYTES = 16384 };

/* ---- closing ------------------------------------------------------------------------------ */

bool docker_wire_is_open(const struct docker_wire *wire)
{
    return wire->loop && wire->fd >= 0;
}

void docker_wire_close(struct docker_wire *wire)
{
    if (!docker_wire_is_open(wire))
        return;
    ev_io_stop(wire->loop, &wire->reader);
    ev_io_stop(wire->loop, &wire->writer);
    close(wire->fd);
    wire->fd = -1;
    buf_done(&wire->in);
    buf_done(&wire->out);
    if (wire->closed_flag)
        *wire->closed_flag = true;
    wire->closed_flag = NULL;
}

static void broken(struct docker_wire *wire, const struct err *err)
{
    docker_wire_close(wire);
    wire->on_broken(wire->context, err);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Hands out the whole lines. False: the wire is closed, and may be freed. */
static bool take_lines(struct docker_wire *wire)
{
    struct err err = {0};
    bool closed = false;

    wire->closed_flag = &closed;
    while (buf_len(&wire->in) > 0) {
        char *head = buf_head(&wire->in);
        char *end = memchr(head, '\n', buf_len(&wire->in));
        if (!end)
            break;
        cJSON *line = json_parse(head, (size_t)(end - head), &err);
        if (!line || !cJSON_IsObject(line)) {
            cJSON_Delete(line);
            err_prefix(&err, "a line that is none");
            err.code = -EPROTO;
            broken(wire, &err);
            return false;
        }
        buf_consume(&wire->in, (size_t)(end - head) + 1);
        wire->on_line(wire->context, line);
        cJSON_Delete(line);
        if (closed)
            return false;
    }
    wire->closed_flag = NULL;
    return true;
}

bool docker_wire_read(struct docker_wire *wire)
{
    struct err err = {0};

    for (;;) {
        char *room = buf_reserve(&wire->in, READ_BYTES);
        if (!room) {
            err_set(&err, -EPROTO, "a line of more than %d bytes", DOCKER_WIRE_MAX_LINE_BYTES);
            break;
        }
        ssize_t n = recv(wire->fd, room, READ_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            err_set_errno(&err, -errno, "the connection broke");
            break;
        }
        if (n == 0) {
            err_set(&err, -ECONNRESET, "the connection was closed");
            break;
        }
        buf_commit(&wire->in, (size_t)n);
        if (!take_lines(wire))
            return false;
    }
    broken(wire, &err);
    return false;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct docker_wire *wire = watcher->data;
    struct err err = {0};

    (void)loop;
    (void)events;
    if (!wire->sick) {
        docker_wire_read(wire);
        return;
    }
    err_set(&err, -EPIPE, "the other side takes nothing any more");
    broken(wire, &err);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void sicken(struct docker_wire *wire)
{
    wire->sick = true;
    ev_io_stop(wire->loop, &wire->writer);
    ev_feed_event(wire->loop, &wire->reader, EV_READ);
}

static void write_out(struct docker_wire *wire)
{
    while (buf_len(&wire->out) > 0) {
        ssize_t n = send(wire->fd, buf_head(&wire->out), buf_len(&wire->out), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(wire->loop, &wire->writer);
            return;
        }
        if (n < 0) {
            sicken(wire);
            return;
        }
        buf_consume(&wire->out, (size_t)n);
    }
    ev_io_stop(wire->loop, &wire->writer);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    write_out(watcher->data);
}

void docker_wire_send(struct docker_wire *wire, cJSON *line)
{
    if (docker_wire_is_open(wire) && !wire->sick) {
        if (json_print(&wire->out, line, false) == 0 && buf_append_str(&wire->out, "\n") == 0)
            write_out(wire);
        else
            sicken(wire);
    }
    cJSON_Delete(line);
}

/* ---- opening ------------------------------------------------------------------------------ */

void docker_wire_open(struct docker_wire *wire, struct ev_loop *loop, int fd,
                      void (*on_line)(void *context, const cJSON *line),
                      void (*on_broken)(void *context, const struct err *err), void *context)
{
    *wire = (struct docker_wire){
        .loop = loop, .fd = fd, .on_line = on_line, .on_broken = on_broken, .context = context};
    buf_init(&wire->in, DOCKER_WIRE_MAX_LINE_BYTES + READ_BYTES);
    buf_init(&wire->out, DOCKER_WIRE_MAX_UNSENT_BYTES);
    ev_io_init(&wire->reader, on_readable, fd, EV_READ);
    ev_io_init(&wire->writer, on_writable, fd, EV_WRITE);
    wire->reader.data = wire->writer.data = wire;
    ev_io_start(loop, &wire->reader);
}

static int make_address(const char *path, struct sockaddr_un *address, struct err *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return err_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
                       sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

static int open_socket(struct err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : err_set_errno(err, -errno, "no socket");
}

int docker_wire_connect(const char *path, struct err *err)
{
    struct sockaddr_un address;
    int rc = make_address(path, &address, err);
    int fd = rc == 0 ? open_socket(err) : rc;

    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    rc = err_set_errno(err, -errno, "%s", path);
    close(fd);
    return rc;
}

int docker_wire_listen(const char *path, struct err *err)
{
    struct sockaddr_un address;
    struct stat file;

    /* A connection to any other file is refused just as one to a socket nobody listens on. */
    if (lstat(path, &file) == 0 && !S_ISSOCK(file.st_mode))
        return err_set(err, -ENOTSOCK, "%s: what is there is no socket, and stays", path);
    int there = docker_wire_connect(path, NULL);
    if (there >= 0) {
        close(there);
        return err_set(err, -EADDRINUSE, "%s: another spawner process listens there", path);
    }
    int rc = make_address(path, &address, err);
    int fd = rc == 0 ? open_socket(err) : rc;
    if (fd < 0)
        return fd;
    if (there == -ECONNREFUSED) /* a socket that nobody listens on any more */
        unlink(path);
    mode_t mask = umask(0117);
    rc = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
    umask(mask);
    if (rc == 0 && listen(fd, 8))
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return err_set_errno(err, rc, "%s", path);
}
