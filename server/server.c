#include "server/server.h"

#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/flush.h"
#include "core/httpd.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "core/net.h"
#include "core/ready.h"

#define DRAIN_S 2.0
#define DRAIN_STEP_S 0.01

struct server {
    const struct server_config *config;
    struct ev_loop *loop;
    struct flusher flusher;
    struct httpd *httpd;
    struct ev_signal on_term, on_int;
    struct ev_timer orphan, drain;
    char *home_body;
    size_t home_body_len;
    uint64_t started_ns;
    bool stopping;
    ev_tstamp drain_until;
};

/* What /metrics shows beside the HTTP server's counters; filled when it is asked for. */
struct server_metrics {
    uint64_t cpu_ns, uptime_ns;
};

static const struct metric_def metric_table[] = {
    {"quoit_server_cpu_seconds_total", METRIC_COUNTER, "seconds",
     "User and system CPU time of the process", offsetof(struct server_metrics, cpu_ns), 1e-9},
    {"quoit_server_uptime_seconds", METRIC_GAUGE, "seconds", "Time since the server listens",
     offsetof(struct server_metrics, uptime_ns), 1e-9},
    {0},
};

static const struct metric_set server_metric_set = {"server", metric_table,
                                                    sizeof(struct server_metrics)};
METRICS_REGISTER(server_metric_set);

static void answer_metrics(struct server *server, struct httpd_exchange *exchange)
{
    struct server_metrics values = {
        .cpu_ns = clock_cpu_ns(),
        .uptime_ns = clock_now_ns() - server->started_ns,
    };
    const void *http_copies[] = {httpd_counters(server->httpd)};
    const void *server_copies[] = {&values};
    struct metric_row http_row = {NULL, http_copies, 1}, server_row = {NULL, server_copies, 1};
    struct buf text;
    buf_init(&text, 0);
    metrics_print(&text, &httpd_metric_set, &http_row, 1);
    metrics_print(&text, &server_metric_set, &server_row, 1);
    httpd_reply(exchange, 200, METRICS_CONTENT_TYPE, NULL, buf_head(&text), buf_len(&text));
    buf_done(&text);
}

static void answer_home(struct server *server, struct httpd_exchange *exchange)
{
    httpd_reply(exchange, 200, "application/json", NULL, server->home_body, server->home_body_len);
}

/* The LB's heartbeat is what tells a server that it still has one. */
static void answer_heartbeat(struct server *server, struct httpd_exchange *exchange)
{
    if (server->config->orphan_after_ns > 0)
        ev_timer_again(server->loop, &server->orphan);
    httpd_reply(exchange, 200, NULL, NULL, NULL, 0);
}

static const struct endpoint {
    const char *path;
    void (*answer)(struct server *server, struct httpd_exchange *exchange);
} endpoints[] = {
    {"/home", answer_home},
    {"/heartbeat", answer_heartbeat},
    {"/metrics", answer_metrics},
};

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct server *server = context;
    const struct http_message *request = exchange->request;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        if (!http_view_equal(request->path, endpoints[i].path))
            continue;
        if (request->method == HTTP_GET || request->method == HTTP_HEAD) {
            endpoints[i].answer(server, exchange);
        } else {
            httpd_refuse_method(exchange, "GET, HEAD");
        }
        return;
    }
    httpd_refuse(exchange, 404, "'%.*s' endpoint does not exist on this server",
                 (int)request->path.len, request->path.at);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void stop(struct server *server, const char *why)
{
    if (server->stopping) {
        ev_break(server->loop, EVBREAK_ALL);
        return;
    }
    server->stopping = true;
    server->drain_until = ev_now(server->loop) + DRAIN_S;
    log_info("server", "%s: %s, ending", server->config->name, why);
    httpd_drain(server->httpd);
    ev_timer_again(server->loop, &server->drain);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    stop(watcher->data, watcher->signum == SIGTERM ? "told to end (SIGTERM)" : "interrupted");
}

static void on_orphan(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
    stop(timer->data, "no load balancer was heard for too long");
}

/* Ends once the last connection has gone, or after the grace time. */
static void on_drain(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct server *server = timer->data;
    if (httpd_n_connections(server->httpd) == 0 || ev_now(loop) > server->drain_until)
        ev_break(loop, EVBREAK_ALL);
}

static void watch_signal(struct server *server, struct ev_signal *watcher, int signal_number)
{
    ev_signal_init(watcher, on_signal, signal_number);
    watcher->data = server;
    ev_signal_start(server->loop, watcher);
}

static void start_watchers(struct server *server)
{
    watch_signal(server, &server->on_term, SIGTERM);
    watch_signal(server, &server->on_int, SIGINT);
    ev_timer_init(&server->drain, on_drain, DRAIN_STEP_S, DRAIN_STEP_S);
    server->drain.data = server;
    ev_timer_init(&server->orphan, on_orphan, 0., (double)server->config->orphan_after_ns * 1e-9);
    server->orphan.data = server;
    if (server->config->orphan_after_ns > 0)
        ev_timer_again(server->loop, &server->orphan);
}

static void make_home_body(struct server *server)
{
    struct buf body;
    buf_init(&body, 0);
    char *greeting = mem_printf("Hello from Server: %s", server->config->id);
    buf_append_str(&body, "{\"message\":");
    json_escape(&body, greeting, strlen(greeting));
    buf_append_str(&body, ",\"status\":\"successful\"}");
    server->home_body_len = buf_len(&body);
    server->home_body = mem_strndup(buf_head(&body), buf_len(&body));
    buf_done(&body);
    free(greeting);
}

int server_run(const struct server_config *config, struct err *err)
{
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more ends no service */
    net_raise_fd_limit();
    struct addr bound;
    int fd = net_listen(&config->listen, false, &bound, err);
    if (fd < 0)
        return fd;
    struct server server = {.config = config, .loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV)};
    server.started_ns = clock_now_ns();
    char *name_header = mem_printf("X-Quoit-Server: %s\r\n", config->name);
    make_home_body(&server);
    flusher_init(&server.flusher, server.loop);
    server.httpd = httpd_new(&(struct httpd_config){.loop = server.loop,
                                                    .flusher = &server.flusher,
                                                    .headers = name_header,
                                                    .on_request = on_request,
                                                    .context = &server});
    httpd_listen(server.httpd, fd);
    start_watchers(&server);
    char text[ADDR_TEXT_BYTES];
    log_info("server", "%s listens on %s", config->name, addr_format(&bound, text));
    int rc = ready_tell(config->ready_fd, &bound);
    if (rc == 0)
        ev_run(server.loop, 0);
    else
        err_set_errno(err, rc, "cannot tell the parent the address on descriptor %d",
                      config->ready_fd);
    httpd_free(server.httpd);
    flusher_done(&server.flusher);
    ev_loop_destroy(server.loop);
    free(server.home_body);
    free(name_header);
    return rc;
}
