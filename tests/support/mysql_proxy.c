#include "tests/support/mysql_proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/mem.h"

#define MAX_PAIRS 16
#define MAX_LIES 8
#define HEADER_BYTES 4 /* of a packet: length, 3 bytes, and sequence number */

/* The first byte of a command (MariaDB's and MySQL's client/server protocol). */
enum { COM_QUERY = 0x03, COM_STMT_EXECUTE = 0x17, COM_STMT_BULK_EXECUTE = 0xfa };

struct pair {
    int client, server; /* -1: a free place */
    struct buf commands, answers;
    unsigned error; /* what the answer to come is replaced by; 0: it is passed on */
};

struct mysql_proxy {
    char path[108], server[108];
    int listener, wake[2];
    pthread_t thread;
    struct pair pairs[MAX_PAIRS];
    pthread_mutex_t mutex; /* over all below */
    struct mysql_lie lies[MAX_LIES];
    unsigned n_lies, n_told, n_clients;
    bool away;
};

/* ---- sockets ---- */

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

static bool send_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool read_more(int fd, struct buf *buf)
{
    char bytes[16 * 1024];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0)
        return false;
    buf_append(buf, bytes, (size_t)n);
    return true;
}

static void close_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    buf_done(&pair->commands);
    buf_done(&pair->answers);
    *pair = (struct pair){.client = -1, .server = -1};
}

/* ---- packets ---- */

/* The length of the packet at the head, its header among it; 0: it is not whole. */
static size_t whole_packet(const struct buf *buf)
{
    const unsigned char *at = (const unsigned char *)buf_head(buf);
    if (buf_len(buf) < HEADER_BYTES)
        return 0;
    size_t n = HEADER_BYTES + (at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16);
    return buf_len(buf) < n ? 0 : n;
}

static bool send_error(struct pair *pair, unsigned error)
{
    char payload[64], packet[sizeof(payload) + HEADER_BYTES] = {0};
    int n = snprintf(payload, sizeof(payload), "...#HY000told by the proxy");
    payload[0] = (char)0xff;
    payload[1] = (char)(error & 0xff);
    payload[2] = (char)(error >> 8);
    packet[0] = (char)n;
    packet[3] = 1;
    memcpy(packet + HEADER_BYTES, payload, (size_t)n);
    return send_all(pair->client, packet, HEADER_BYTES + (size_t)n);
}

static bool is_about(const struct mysql_lie *lie, const char *packet, size_t n)
{
    unsigned char command = n > HEADER_BYTES ? (unsigned char)packet[HEADER_BYTES] : 0;
    if (!lie->query)
        return command == COM_STMT_EXECUTE || command == COM_STMT_BULK_EXECUTE;
    return command == COM_QUERY && n == HEADER_BYTES + 1 + strlen(lie->query) &&
           memcmp(packet + HEADER_BYTES + 1, lie->query, strlen(lie->query)) == 0;
}

/* The lie that is to be told about this command, which is then told. */
static struct mysql_lie choose_lie(struct mysql_proxy *proxy, const char *packet, size_t n)
{
    struct mysql_lie lie = {0};
    pthread_mutex_lock(&proxy->mutex);
    if (proxy->n_told < proxy->n_lies && is_about(&proxy->lies[proxy->n_told], packet, n) &&
        proxy->lies[proxy->n_told].skip-- == 0) {
        lie = proxy->lies[proxy->n_told++];
        proxy->away = proxy->away || lie.then_away;
    }
    pthread_mutex_unlock(&proxy->mutex);
    return lie;
}

static bool pass_commands(struct mysql_proxy *proxy, struct pair *pair)
{
    size_t n;
    if (!read_more(pair->client, &pair->commands))
        return false;
    while ((n = whole_packet(&pair->commands)) > 0) {
        struct mysql_lie lie = choose_lie(proxy, buf_head(&pair->commands), n);
        bool passes = lie.error == 0 || lie.done;
        pair->error = lie.done ? lie.error : pair->error;
        if (passes ? !send_all(pair->server, buf_head(&pair->commands), n)
                   : !send_error(pair, lie.error))
            return false;
        buf_consume(&pair->commands, n);
    }
    return true;
}

/* What is lied about is answered by one packet. */
static bool pass_answers(struct pair *pair)
{
    size_t n;
    if (!read_more(pair->server, &pair->answers))
        return false;
    while ((n = whole_packet(&pair->answers)) > 0) {
        if (pair->error == 0 ? !send_all(pair->client, buf_head(&pair->answers), n)
                             : !send_error(pair, pair->error))
            return false;
        pair->error = 0;
        buf_consume(&pair->answers, n);
    }
    return true;
}

/* ---- the thread ---- */

static void take_client(struct mysql_proxy *proxy)
{
    struct sockaddr_un address = address_of(proxy->server);
    struct pair *pair = proxy->pairs;
    int client = accept(proxy->listener, NULL, NULL);
    pthread_mutex_lock(&proxy->mutex);
    bool away = proxy->away;
    proxy->n_clients++;
    pthread_mutex_unlock(&proxy->mutex);
    while (pair < proxy->pairs + MAX_PAIRS && pair->client >= 0)
        pair++;
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || away || pair == proxy->pairs + MAX_PAIRS ||
        connect(server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client);
        close(server);
        return;
    }
    *pair = (struct pair){.client = client, .server = server};
    buf_init(&pair->commands, 0);
    buf_init(&pair->answers, 0);
}

static void serve_pair(struct mysql_proxy *proxy, struct pair *pair, const struct pollfd fds[2])
{
    bool goes_on = true;
    if (fds[0].revents)
        goes_on = pass_commands(proxy, pair);
    if (goes_on && fds[1].revents)
        goes_on = pass_answers(pair);
    if (!goes_on)
        close_pair(pair);
}

static void *run(void *context)
{
    struct mysql_proxy *proxy = context;
    struct pollfd fds[2 + 2 * MAX_PAIRS];
    for (;;) {
        fds[0] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
        fds[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (size_t i = 0; i < MAX_PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].server, .events = POLLIN};
        }
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[0].revents)
            return NULL;
        for (size_t i = 0; i < MAX_PAIRS; i++)
            if (proxy->pairs[i].client >= 0)
                serve_pair(proxy, &proxy->pairs[i], &fds[2 + 2 * i]);
        if (fds[1].revents)
            take_client(proxy);
    }
}

/* ---- from the test ---- */

struct mysql_proxy *mysql_proxy_start(const char *path, const char *server)
{
    struct mysql_proxy *proxy = mem_zalloc(1, sizeof(*proxy));
    struct sockaddr_un address = address_of(path);
    assert_true(strlen(path) < sizeof(proxy->path) && strlen(server) < sizeof(proxy->server));
    strcpy(proxy->path, path);
    strcpy(proxy->server, server);
    for (size_t i = 0; i < MAX_PAIRS; i++)
        proxy->pairs[i].client = proxy->pairs[i].server = -1;
    pthread_mutex_init(&proxy->mutex, NULL);
    unlink(path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(proxy->listener, MAX_PAIRS), 0);
    assert_int_equal(pipe(proxy->wake), 0);
    assert_int_equal(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

void mysql_proxy_stop(struct mysql_proxy *proxy)
{
    close(proxy->wake[1]);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < MAX_PAIRS; i++)
        if (proxy->pairs[i].client >= 0)
            close_pair(&proxy->pairs[i]);
    close(proxy->wake[0]);
    close(proxy->listener);
    unlink(proxy->path);
    pthread_mutex_destroy(&proxy->mutex);
    free(proxy);
}

void mysql_proxy_lie(struct mysql_proxy *proxy, struct mysql_lie lie)
{
    pthread_mutex_lock(&proxy->mutex);
    if (proxy->n_told == proxy->n_lies)
        proxy->n_told = proxy->n_lies = 0;
    assert_true(proxy->n_lies < MAX_LIES);
    proxy->lies[proxy->n_lies++] = lie;
    pthread_mutex_unlock(&proxy->mutex);
}

void mysql_proxy_let_in(struct mysql_proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->away = false;
    pthread_mutex_unlock(&proxy->mutex);
}

unsigned mysql_proxy_untold(struct mysql_proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    unsigned n = proxy->n_lies - proxy->n_told;
    pthread_mutex_unlock(&proxy->mutex);
    return n;
}

unsigned mysql_proxy_clients(struct mysql_proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    unsigned n = proxy->n_clients;
    pthread_mutex_unlock(&proxy->mutex);
    return n;
}
