#include "core/net.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
/* In every kernel, allowed to everybody, and without timers. */
#define PLAIN_CONGESTION_CONTROL "reno"

static int open_socket(const struct addr *addr)
{
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int set_option(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof(on)) != 0 ? -errno : 0;
}

static bool is_loopback(const struct addr *addr)
{
    if (addr->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    return addr->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Within the machine there is no path whose room would have to be found out: what models one (BBR)
 * only costs CPU, a timer a segment. Best effort. */
static void spare_congestion_control(int fd, const struct addr *addr)
{
    if (is_loopback(addr))
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, PLAIN_CONGESTION_CONTROL,
                   sizeof(PLAIN_CONGESTION_CONTROL) - 1);
}

static int bind_and_listen(const struct addr *addr, bool shared)
{
    int fd = open_socket(addr);
    if (fd < 0)
        return fd;
    int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && shared)
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    spare_congestion_control(fd, addr); /* and what it accepts */
    if (rc == 0 && bind(fd, (const struct sockaddr *)&addr->storage, addr->len) != 0)
        rc = -errno;
    if (rc == 0 && listen(fd, BACKLOG) != 0)
        rc = -errno;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int fail(int code, const struct addr *addr, struct err *err)
{
    char text[ADDR_TEXT_BYTES];
    return err_set_errno(err, code, "cannot listen on %s", addr_format(addr, text));
}

int net_listen(const struct addr *addr, bool shared, struct addr *ret_bound, struct err *err)
{
    /* First alone: SO_REUSEPORT would let a second program of the same user share the port
     * unnoticed. */
    int fd = bind_and_listen(addr, false);
    if (fd < 0)
        return fail(fd, addr, err);
    struct addr bound = {.len = sizeof(bound.storage)};
    if (getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) != 0) {
        int code = -errno;
        close(fd);
        return fail(code, addr, err);
    }
    if (shared) {
        close(fd);
        fd = bind_and_listen(&bound, true);
        if (fd < 0)
            return fail(fd, &bound, err);
    }
    *ret_bound = bound;
    return fd;
}

int net_listen_again(const struct addr *bound, struct err *err)
{
    int fd = bind_and_listen(bound, true);
    return fd < 0 ? fail(fd, bound, err) : fd;
}

int net_connect(const struct addr *addr)
{
    int fd = open_socket(addr);
    if (fd < 0)
        return fd;
    int rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    spare_congestion_control(fd, addr);
    if (rc == 0 && connect(fd, (const struct sockaddr *)&addr->storage, addr->len) != 0 &&
        errno != EINPROGRESS)
        rc = -errno;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int net_socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return -errno;
    return -error;
}

int net_accept(int listener, struct addr *ret_peer)
{
    ret_peer->len = sizeof(ret_peer->storage);
    int fd = accept4(listener, (struct sockaddr *)&ret_peer->storage, &ret_peer->len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY); /* best effort: it only costs latency */
    return fd;
}

size_t net_unacked_bytes(int fd)
{
    int n = 0;
    return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

unsigned long net_raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    return (unsigned long)limit.rlim_cur;
}
