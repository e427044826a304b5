#include "tests/support/lying_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/mem.h"

#define MAX_CONNECTIONS 1024
#define MAX_REQUEST_BYTES 65536
#define HELLO "Hello from Server: 1"

struct connection {
    struct lying_server *server;
    pthread_t thread;
    _Atomic int fd; /* −1: over */
    bool used;
    unsigned n_answered;
};

struct lying_server {
    struct addr addr;
    int listen_fd;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint_fast64_t n_requests;
    atomic_uint_fast64_t n_connections;
    atomic_uint_fast64_t stall_from_ns, stall_until_ns;
    struct connection connections[MAX_CONNECTIONS];
};

/* false: the connection is over. */
static bool say(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t n_sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (n_sent <= 0)
            return false;
        bytes += n_sent;
        n -= (size_t)n_sent;
    }
    return true;
}

static bool say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

static bool say_ok_as(int fd, const char *name)
{
    char text[512];

    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX-Quoit-Server: %s\r\n\r\n" HELLO, name);
    return say_text(fd, text);
}

static void reset(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Until the peer closes or the server stops. */
static bool stall(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
    return false;
}

static bool nap(struct lying_server *server, int ms)
{
    for (; ms > 0 && !atomic_load(&server->stopping); ms -= 20)
        poll(NULL, 0, ms < 20 ? ms : 20);
    return true;
}

static bool wait_for_hiccup(struct lying_server *server)
{
    uint64_t from_ns = atomic_load(&server->stall_from_ns), now_ns;

    while ((now_ns = clock_now_ns()) >= from_ns && now_ns < atomic_load(&server->stall_until_ns) &&
           !atomic_load(&server->stopping))
        poll(NULL, 0, 2);
    return true;
}

static bool lie_huge_head(int fd)
{
    struct buf head;
    bool ok;

    buf_init(&head, 0);
    buf_append_str(&head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 2000; i++)
        buf_appendf(&head, "X-Padding-%04d: %050d\r\n", i, i);
    buf_append_str(&head, "\r\n");
    ok = say(fd, buf_head(&head), buf_len(&head));
    buf_done(&head);
    return ok;
}

static bool lie_huge_line(int fd)
{
    static const char padding[1024] = {[0 ... 1023] = 'x'};
    bool ok = say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Padding: ");

    for (int i = 0; ok && i < 200; i++)
        ok = say(fd, padding, sizeof(padding));
    return ok && say_text(fd, "\r\n\r\n");
}

static bool say_big(int fd)
{
    static const char block[65536];
    bool ok = say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n");

    for (int i = 0; ok && i < 48; i++)
        ok = say(fd, block, sizeof(block));
    return ok;
}

/* Answers whose text does not depend on anything. */
static const struct fixed {
    const char *path;
    const char *text;
    enum { KEEP, CLOSE, RESET, STALL } then;
} fixed[] = {
    {"/chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Quoit-Server: Server1\r\n\r\n"
     "6\r\nHello \r\n5\r\nfrom \r\n9\r\nServer: 1\r\n0\r\n\r\n",
     KEEP},
    {"/close",
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\nX-Quoit-Server: "
     "Server1\r\n\r\n" HELLO,
     CLOSE},
    {"/unframed", "HTTP/1.1 200 OK\r\nX-Quoit-Server: Server1\r\n\r\n" HELLO, CLOSE},
    {"/continue",
     "HTTP/1.1 103 Early Hints\r\nX-Quoit-Server: Server9\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nx-quoit-server:Server1  \r\n\r\n" HELLO,
     KEEP},
    {"/unnamed", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" HELLO, KEEP},
    {"/badname", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX-Quoit-Server: <script>\r\n\r\n" HELLO,
     KEEP},
    {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", CLOSE},
    {"/stall-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", STALL},
    {"/stall", "", STALL},
    {"/reset", "", RESET},
    {"/reset-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", RESET},
    {"/empty", "", CLOSE},
    {"/garbage", "\x16\x03\x01 this is not HTTP\r\n\r\nat all\r\n", CLOSE},
    {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nno\r\n",
     CLOSE},
    {NULL, NULL, KEEP},
};

static bool say_fixed(int fd, const struct fixed *answer)
{
    if (!say_text(fd, answer->text))
        return false;
    switch (answer->then) {
    case KEEP:
        return true;
    case STALL:
        return stall(fd);
    case RESET:
        /* What was said must get there before the RST overtakes it. */
        if (*answer->text)
            poll(NULL, 0, 20);
        reset(fd);
        return false;
    default:
        return false;
    }
}

/* The n bytes of the request come back. */
static bool say_back(int fd, const char *request, size_t n)
{
    char text[128];
    const bool is_head = strncmp(request, "HEAD ", 5) == 0;

    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Quoit-Server: Server1\r\n\r\n", n);
    return say_text(fd, text) && (is_head || say(fd, request, n));
}

/* true: the connection goes on. */
static bool answer(struct connection *connection, int fd, const char *path, uint64_t number)
{
    static const char *const three[] = {"Server1", "Server2", "Server10"};
    char text[256];

    for (const struct fixed *row = fixed; row->path; row++) {
        if (strcmp(row->path, path) == 0)
            return say_fixed(fd, row);
    }
    if (strcmp(path, "/huge-line") == 0)
        return lie_huge_line(fd);
    if (strcmp(path, "/huge-head") == 0)
        return lie_huge_head(fd);
    if (strcmp(path, "/big") == 0)
        return say_big(fd);
    if (strcmp(path, "/once") == 0 && connection->n_answered > 0)
        return false;
    if (strcmp(path, "/three") == 0)
        return say_ok_as(fd, three[number % 3]);
    if (strcmp(path, "/names") == 0) {
        snprintf(text, sizeof(text), "Server%llu", (unsigned long long)number + 1);
        return say_ok_as(fd, text);
    }
    if (strcmp(path, "/hiccup") == 0)
        return wait_for_hiccup(connection->server) && say_ok_as(fd, "Server1");
    if (strncmp(path, "/sleep/", 7) == 0)
        return nap(connection->server, atoi(path + 7)) && say_ok_as(fd, "Server1");
    if (strncmp(path, "/status/", 8) == 0 || (strcmp(path, "/tenth") == 0 && number % 10 == 9)) {
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %d Scripted\r\nContent-Length: 4\r\nX-Quoit-Server: Server1\r\n\r\nwhat",
                 path[1] == 't' ? 500 : atoi(path + 8));
        return say_text(fd, text);
    }
    return say_ok_as(fd, "Server1");
}

static bool read_more(int fd, char *bytes, size_t *n)
{
    ssize_t n_read = *n < MAX_REQUEST_BYTES ? recv(fd, bytes + *n, MAX_REQUEST_BYTES - *n, 0) : 0;

    *n += n_read > 0 ? (size_t)n_read : 0;
    return n_read > 0;
}

/* Of the Content-Length line; bodies come no other way here. */
static size_t body_bytes(const char *head, const char *end)
{
    static const char name[] = "\r\nContent-Length:";
    const char *line = head;

    while (line < end && strncasecmp(line, name, sizeof(name) - 1) != 0)
        line++;
    return line < end ? strtoul(line + sizeof(name) - 1, NULL, 10) : 0;
}

/* Reads one request, which stays at the beginning of bytes, and its path. Returns its length, 0
 * when none comes any more. */
static size_t read_request(int fd, char *bytes, size_t *n, char *ret_path, size_t path_bytes)
{
    char *end, *blank;
    size_t n_request;

    while (!(end = memmem(bytes, *n, "\r\n\r\n", 4)))
        if (!read_more(fd, bytes, n))
            return 0;
    n_request = (size_t)(end - bytes) + 4 + body_bytes(bytes, end);
    while (*n < n_request)
        if (!read_more(fd, bytes, n))
            return 0;
    blank = memchr(bytes, ' ', *n);
    if (!blank)
        return 0;
    snprintf(ret_path, path_bytes, "%.*s", (int)strcspn(blank + 1, " ?"), blank + 1);
    return n_request;
}

static void *serve_connection(void *context)
{
    struct connection *connection = context;
    int fd = atomic_load(&connection->fd);
    char *bytes = mem_alloc(MAX_REQUEST_BYTES);
    char path[256];
    size_t n = 0, n_request;

    while ((n_request = read_request(fd, bytes, &n, path, sizeof(path))) > 0) {
        uint64_t number = atomic_fetch_add(&connection->server->n_requests, 1);
        bool goes_on = strcmp(path, "/echo") == 0 ? say_back(fd, bytes, n_request)
                                                  : answer(connection, fd, path, number);
        if (!goes_on)
            break;
        connection->n_answered++;
        n -= n_request;
        memmove(bytes, bytes + n_request, n);
    }
    free(bytes);
    /* Whoever takes the descriptor out closes it. */
    fd = atomic_exchange(&connection->fd, -1);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void *serve(void *context)
{
    struct lying_server *server = context;

    while (!atomic_load(&server->stopping)) {
        struct connection *connection = server->connections;
        int fd = accept(server->listen_fd, NULL, NULL);
        int on = 1;

        if (fd < 0)
            continue;
        atomic_fetch_add(&server->n_connections, 1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        while (connection < server->connections + MAX_CONNECTIONS &&
               atomic_load(&connection->fd) >= 0)
            connection++;
        if (connection == server->connections + MAX_CONNECTIONS) {
            close(fd);
            continue;
        }
        if (connection->used)
            pthread_join(connection->thread, NULL);
        connection->server = server;
        connection->n_answered = 0;
        atomic_store(&connection->fd, fd);
        connection->used =
            pthread_create(&connection->thread, NULL, serve_connection, connection) == 0;
        assert(connection->used);
    }
    return NULL;
}

static int listen_on_loopback(struct addr *ret_addr)
{
    struct err err;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = addr_parse("127.0.0.1:0", ret_addr, &err);

    assert(fd >= 0 && rc == 0);
    rc = bind(fd, (struct sockaddr *)&ret_addr->storage, ret_addr->len);
    assert(rc == 0);
    ret_addr->len = sizeof(ret_addr->storage);
    rc = getsockname(fd, (struct sockaddr *)&ret_addr->storage, &ret_addr->len);
    assert(rc == 0);
    return fd;
}

struct lying_server *lying_server_start(void)
{
    struct lying_server *server = mem_zalloc(1, sizeof(*server));
    int rc;

    for (int i = 0; i < MAX_CONNECTIONS; i++)
        atomic_store(&server->connections[i].fd, -1);
    server->listen_fd = listen_on_loopback(&server->addr);
    rc = listen(server->listen_fd, 1024);
    assert(rc == 0);
    rc = pthread_create(&server->thread, NULL, serve, server);
    assert(rc == 0);
    (void)rc;
    return server;
}

void lying_server_stop(struct lying_server *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->listen_fd, SHUT_RDWR); /* wakes accept() */
    pthread_join(server->thread, NULL);
    close(server->listen_fd);
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *connection = &server->connections[i];
        int fd = atomic_exchange(&connection->fd, -1);
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR); /* wakes its thread */
        if (connection->used)
            pthread_join(connection->thread, NULL);
        if (fd >= 0)
            close(fd);
    }
    free(server);
}

const struct addr *lying_server_addr(const struct lying_server *server)
{
    return &server->addr;
}

uint64_t lying_server_requests(const struct lying_server *server)
{
    return atomic_load(&server->n_requests);
}

uint64_t lying_server_connections(const struct lying_server *server)
{
    return atomic_load(&server->n_connections);
}

struct addr lying_server_nowhere(void)
{
    struct addr addr;

    /* Bound once, so that the port is one of the ephemeral ones, and closed again. */
    close(listen_on_loopback(&addr));
    return addr;
}

void lying_server_hiccup(struct lying_server *server, unsigned delay_ms, unsigned stall_ms)
{
    uint64_t from_ns = clock_now_ns() + delay_ms * NS_PER_MS;

    atomic_store(&server->stall_from_ns, from_ns);
    atomic_store(&server->stall_until_ns, from_ns + stall_ms * NS_PER_MS);
}
