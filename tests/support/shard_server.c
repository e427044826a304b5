#include "tests/support/shard_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/net.h"
#include "server/service.h"

struct shard_server {
    struct ev_loop *loop;
    struct service service;
    struct store_spec spec;
    struct httpd *httpd;
    struct addr addr;
    bool holds;
    struct httpd_exchange *held;
    char *held_path, *held_body;
};

/* ---- the server -------------------------------------------------------------------------------
 */

static void keep(struct shard_server *server, struct httpd_exchange *exchange)
{
    const struct http_message *request = exchange->request;
    assert_null(server->held_path);
    server->held = exchange;
    server->held_path = mem_printf("/batch?%.*s", (int)request->query.len, request->query.at);
    server->held_body = mem_printf("%.*s", (int)request->body.len, request->body.at);
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    static const struct {
        const char *path;
        void (*answer)(struct service *service, struct httpd_exchange *exchange);
    } endpoints[] = {{"/config", answer_config},
                     {"/batch", answer_batch},
                     {"/page", answer_page},
                     {"/digest", answer_digest},
                     {"/copy", answer_copy}};
    struct shard_server *server = context;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++) {
        if (!http_view_equal(exchange->request->path, endpoints[i].path))
            continue;
        if (server->holds && endpoints[i].answer == answer_batch)
            keep(server, exchange);
        else
            endpoints[i].answer(&server->service, exchange);
        return;
    }
    fail_msg("an endpoint that nobody was to ask for");
}

struct shard_server *shard_server_new(struct ev_loop *loop, struct flusher *flusher,
                                      const char *name)
{
    struct shard_server *server = mem_zalloc(1, sizeof(*server));
    struct store_config config = {.loop = loop, .flusher = flusher, .server = name};
    struct store *store;
    struct err err = {0};
    server->loop = loop;
    assert_int_equal(store_spec_parse("memory", &server->spec, &err), 0);
    assert_int_equal(store_open(&server->spec, &config, &store, &err), 0);
    assert_int_equal(service_init(&server->service, store, name, "memory", &err), 0);
    server->httpd = httpd_new(&(struct httpd_config){
        .loop = loop, .flusher = flusher, .on_request = on_request, .context = server});
    assert_int_equal(addr_parse("127.0.0.1:0", &server->addr, NULL), 0);
    int fd = net_listen(&server->addr, false, &server->addr, &err);
    assert_true(fd >= 0);
    httpd_listen(server->httpd, fd);
    return server;
}

static void forget_held(struct shard_server *server)
{
    free(server->held_path);
    free(server->held_body);
    server->held = NULL;
    server->held_path = server->held_body = NULL;
}

void shard_server_free(struct shard_server *server)
{
    if (server->held)
        httpd_reply(server->held, 500, NULL, NULL, NULL, 0); /* never flushed */
    forget_held(server);
    service_done(&server->service);
    httpd_free(server->httpd);
    store_spec_done(&server->spec);
    free(server);
}

struct addr shard_server_addr(const struct shard_server *server)
{
    return server->addr;
}

void shard_server_hold(struct shard_server *server, bool holds)
{
    server->holds = holds;
}

const char *shard_server_held_path(const struct shard_server *server)
{
    return server->held_path;
}

const char *shard_server_held_body(const struct shard_server *server)
{
    return server->held_body;
}

void shard_server_let(struct shard_server *server)
{
    const char *answer = shard_server_ask(server, server->held_path, server->held_body);
    httpd_reply(server->held, 200, "text/plain", NULL, answer, strlen(answer));
    forget_held(server);
}

/* ---- a client ---------------------------------------------------------------------------------
 */

void shard_server_turn(struct shard_server *server)
{
    ev_run(server->loop, EVRUN_NOWAIT);
    usleep(200);
}

struct late_request late_request_begin(struct shard_server *server, const char *path,
                                       const char *body)
{
    struct late_request late = {.server = server};
    late.text = mem_printf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           path, strlen(body), body);
    late.n = strlen(late.text);
    late.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late.fd, (struct sockaddr *)&server->addr.storage, server->addr.len),
                     0);
    assert_int_equal(send(late.fd, late.text, late.n / 2, 0), (ssize_t)(late.n / 2));
    for (int i = 0; i < 10; i++)
        shard_server_turn(server);
    return late;
}

const char *late_request_end(struct late_request *late)
{
    static char got[4096];
    size_t n = 0, n_rest = late->n - late->n / 2;
    assert_int_equal(send(late->fd, late->text + late->n / 2, n_rest, 0), (ssize_t)n_rest);
    uint64_t until_ns = clock_now_ns() + SHARD_SERVER_PATIENCE_NS;
    for (;;) {
        ssize_t some = recv(late->fd, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT);
        if (some == 0)
            break;
        n += some > 0 ? (size_t)some : 0;
        assert_true(clock_now_ns() < until_ns);
        shard_server_turn(late->server);
    }
    got[n] = '\0';
    close(late->fd);
    free(late->text);
    const char *body = strstr(got, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

const char *shard_server_ask(struct shard_server *server, const char *path, const char *body)
{
    struct late_request late = late_request_begin(server, path, body);
    return late_request_end(&late);
}
