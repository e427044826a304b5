#include "core/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_int_equal(addr_parse(text, &addr, NULL), 0);
    return addr;
}

static int listen_at(const struct addr *addr, bool shared, struct addr *ret_bound)
{
    struct err err = {0};
    int fd = net_listen(addr, shared, ret_bound, &err);

    if (fd < 0)
        fail_msg("%s", err.message);
    return fd;
}

static bool wait_for(int fd, short events)
{
    struct pollfd waiting = {.fd = fd, .events = events};

    return poll(&waiting, 1, 5000) == 1;
}

static bool has_flags(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) && (fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void net_listen_tells_the_port_it_got(void **state)
{
    static const char *const hosts[] = {"127.0.0.1:0", "[::1]:0"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct addr wanted = addr_of(hosts[i]), bound;
        struct err err = {0};
        int fd = net_listen(&wanted, false, &bound, &err);
        if (i == 1 && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT))
            continue; /* a machine without IPv6 */
        assert_true(fd >= 0);
        assert_true(has_flags(fd));
        assert_true(addr_port(&bound) > 0);
        int client = net_connect(&bound);
        assert_true(client >= 0);
        close(client);
        close(fd);
    }
}

static void net_listen_refuses_a_port_in_use_shared_or_not(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound, untouched;
    char text[ADDR_TEXT_BYTES];

    (void)state;
    for (int first_shared = 0; first_shared < 2; first_shared++) {
        int fd = listen_at(&wanted, first_shared, &bound);
        addr_format(&bound, text);
        for (int shared = 0; shared < 2; shared++) {
            struct err err = {0};
            memset(&untouched, 0x5a, sizeof(untouched));
            assert_int_equal(net_listen(&bound, shared, &untouched, &err), -EADDRINUSE);
            assert_int_equal(err.code, -EADDRINUSE);
            assert_non_null(strstr(err.message, text));
            assert_int_equal(untouched.len, 0x5a5a5a5a);
        }
        close(fd);
        /* And takes it at once when it is free again. */
        fd = listen_at(&bound, first_shared, &bound);
        close(fd);
    }
}

static void net_listen_again_shares_the_port(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound;
    int fds[3], clients[200];
    int n_accepted[3] = {0};

    (void)state;
    fds[0] = listen_at(&wanted, true, &bound);
    for (int i = 1; i < 3; i++) {
        fds[i] = net_listen_again(&bound, NULL);
        assert_true(fds[i] >= 0);
        assert_true(has_flags(fds[i]));
    }
    for (int i = 0; i < 200; i++) {
        clients[i] = net_connect(&bound);
        assert_true(clients[i] >= 0);
        assert_true(wait_for(clients[i], POLLOUT));
        assert_int_equal(net_socket_error(clients[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        struct addr peer;
        int fd;
        while ((fd = net_accept(fds[i], &peer)) >= 0) {
            n_accepted[i]++;
            close(fd);
        }
        assert_int_equal(fd, -EAGAIN);
        close(fds[i]);
    }
    assert_int_equal(n_accepted[0] + n_accepted[1] + n_accepted[2], 200);
    for (int i = 0; i < 3; i++)
        assert_true(n_accepted[i] > 0); /* the kernel spreads by a hash of the ports */
    for (int i = 0; i < 200; i++)
        close(clients[i]);
}

static void net_listen_again_refuses_a_port_that_is_not_shared(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound;
    struct err err = {0};
    int fd = listen_at(&wanted, false, &bound);

    (void)state;
    assert_int_equal(net_listen_again(&bound, &err), -EADDRINUSE);
    assert_true(err.message[0] != '\0');
    close(fd);
}

static void net_listen_names_an_address_that_is_not_ours(void **state)
{
    struct addr wanted = addr_of("192.0.2.1:80"), bound;
    struct err err = {0};

    (void)state;
    assert_int_equal(net_listen(&wanted, false, &bound, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.message, "192.0.2.1:80"));
    assert_int_equal(net_listen(&wanted, true, &bound, NULL), -EADDRNOTAVAIL);
}

static void net_accept_tells_the_peer(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound, peer, own = {.len = sizeof(own.storage)};
    int listener = listen_at(&wanted, false, &bound);

    (void)state;
    assert_int_equal(net_accept(listener, &peer), -EAGAIN);
    int client = net_connect(&bound);
    assert_true(wait_for(listener, POLLIN));
    int fd = net_accept(listener, &peer);
    assert_true(fd >= 0);
    getsockname(client, (struct sockaddr *)&own.storage, &own.len);
    assert_true(addr_equal(&peer, &own));
    assert_true(has_flags(fd) && has_flags(client));
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
    close(fd);
    close(client);
    close(listener);
}

static void net_connect_tells_a_refusal_at_once_or_as_the_sockets_error(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound = {.len = sizeof(bound.storage)};

    (void)state;
    int holder = socket(AF_INET, SOCK_STREAM, 0); /* the port is taken, and nobody listens */
    bind(holder, (const struct sockaddr *)&wanted.storage, wanted.len);
    getsockname(holder, (struct sockaddr *)&bound.storage, &bound.len);
    int fd = net_connect(&bound);
    if (fd >= 0) {
        assert_true(wait_for(fd, POLLOUT));
        assert_int_equal(net_socket_error(fd), -ECONNREFUSED);
        assert_int_equal(net_socket_error(fd), 0); /* it was taken */
        close(fd);
    } else {
        assert_int_equal(fd, -ECONNREFUSED);
    }
    close(holder);
    assert_int_equal(net_socket_error(-1), -EBADF);
}

static void net_connect_says_when_descriptors_run_out(void **state)
{
    struct addr addr = addr_of("127.0.0.1:1"), bound;
    struct rlimit before, none;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    int lowest_free = dup(0);
    close(lowest_free);
    none.rlim_cur = (rlim_t)lowest_free;
    setrlimit(RLIMIT_NOFILE, &none);
    int connected = net_connect(&addr), listening = net_listen(&addr, false, &bound, NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(connected, -EMFILE);
    assert_int_equal(listening, -EMFILE);
}

static void net_unacked_bytes_counts_what_the_peer_has_not_taken(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound, peer;
    int listener = listen_at(&wanted, false, &bound), client = net_connect(&bound);
    size_t n = 64u << 20;
    char *bytes = calloc(1, n);

    (void)state;
    assert_true(wait_for(listener, POLLIN));
    int fd = net_accept(listener, &peer);
    assert_int_equal(net_unacked_bytes(fd), 0);
    ssize_t n_sent = write(fd, bytes, n); /* more than both sides hold */
    assert_true(n_sent > 0 && (size_t)n_sent < n);
    size_t before = net_unacked_bytes(fd);
    assert_true(before > 0 && before <= (size_t)n_sent);
    ssize_t n_read = 0, m;
    while (wait_for(client, POLLIN) && (m = read(client, bytes, n)) > 0 && (n_read += m) < n_sent)
        ;
    assert_int_equal(n_read, n_sent);
    for (int i = 0; i < 1000 && net_unacked_bytes(fd) > 0; i++)
        poll(NULL, 0, 1);
    assert_int_equal(net_unacked_bytes(fd), 0);
    assert_int_equal(net_unacked_bytes(-1), 0);
    free(bytes);
    close(fd);
    close(client);
    close(listener);
}

static void net_raise_fd_limit_reaches_the_hard_limit(void **state)
{
    struct rlimit before, lowered, after;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    lowered = before;
    lowered.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    unsigned long raised = net_raise_fd_limit();
    getrlimit(RLIMIT_NOFILE, &after);
    assert_int_equal(after.rlim_cur, before.rlim_max);
    assert_int_equal(raised, before.rlim_max);
    assert_int_equal(net_raise_fd_limit(), raised);
    setrlimit(RLIMIT_NOFILE, &before);
}

static void assert_congestion_control(int fd, const char *name)
{
    char text[16] = "";
    socklen_t len = sizeof(text);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len), 0);
    assert_string_equal(text, name);
}

static void both_ends_on_loopback_do_without_pacing(void **state)
{
    struct addr wanted = addr_of("127.0.0.1:0"), bound, peer;
    int listener = listen_at(&wanted, false, &bound);
    int client = net_connect(&bound);

    (void)state;
    assert_true(client >= 0);
    assert_true(wait_for(listener, POLLIN));
    int server = net_accept(listener, &peer);
    assert_true(server >= 0);
    assert_congestion_control(client, "reno");
    assert_congestion_control(server, "reno");
    close(client);
    close(server);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(net_listen_tells_the_port_it_got),
        cmocka_unit_test(net_listen_refuses_a_port_in_use_shared_or_not),
        cmocka_unit_test(net_listen_again_shares_the_port),
        cmocka_unit_test(net_listen_again_refuses_a_port_that_is_not_shared),
        cmocka_unit_test(net_listen_names_an_address_that_is_not_ours),
        cmocka_unit_test(net_accept_tells_the_peer),
        cmocka_unit_test(both_ends_on_loopback_do_without_pacing),
        cmocka_unit_test(net_connect_tells_a_refusal_at_once_or_as_the_sockets_error),
        cmocka_unit_test(net_connect_says_when_descriptors_run_out),
        cmocka_unit_test(net_unacked_bytes_counts_what_the_peer_has_not_taken),
        cmocka_unit_test(net_raise_fd_limit_reaches_the_hard_limit),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
