#include "server/server.h"

#include <assert.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/flush.h"
#include "core/httpd.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "core/net.h"
#include "core/ready.h"
#include "server/service.h"
#include "server/station.h"

#define DRAIN_NS (2 * NS_PER_S)
#define DRAIN_STORE_NS (10 * NS_PER_S)
#define DRAIN_STEP_S 0.01

#define GET_HEAD (1u << HTTP_GET | 1u << HTTP_HEAD)

struct server;

/* For the server's own, `answer`; for what the store is asked for, `serve`. */
struct endpoint {
    const char *path;
    unsigned methods; /* bits 1 << enum llhttp_method */
    const char *allow;
    void (*serve)(struct service *service, struct httpd_exchange *exchange);
    void (*answer)(struct server *server, struct httpd_exchange *exchange);
    const char *labels; /* in /metrics */
};

static void answer_home(struct server *server, struct httpd_exchange *exchange);
static void answer_heartbeat(struct server *server, struct httpd_exchange *exchange);
static void answer_metrics(struct server *server, struct httpd_exchange *exchange);

#define POST (1u << HTTP_POST)
#define LABELS(path) "endpoint=\"" path "\""

/* The busiest first. */
static const struct endpoint endpoints[] = {
    {"/batch", POST, "POST", answer_batch, NULL, LABELS("/batch")},
    {"/read", POST, "POST", answer_read, NULL, LABELS("/read")},
    {"/home", GET_HEAD, "GET, HEAD", NULL, answer_home, LABELS("/home")},
    {"/heartbeat", GET_HEAD, "GET, HEAD", NULL, answer_heartbeat, LABELS("/heartbeat")},
    {"/write", POST, "POST", answer_write, NULL, LABELS("/write")},
    {"/update", 1u << HTTP_PUT, "PUT", answer_update, NULL, LABELS("/update")},
    {"/del", 1u << HTTP_DELETE, "DELETE", answer_del, NULL, LABELS("/del")},
    {"/page", GET_HEAD, "GET, HEAD", answer_page, NULL, LABELS("/page")},
    {"/digest", GET_HEAD, "GET, HEAD", answer_digest, NULL, LABELS("/digest")},
    {"/copy", GET_HEAD | POST, "GET, HEAD, POST", answer_copy, NULL, LABELS("/copy")},
    {"/config", POST, "POST", answer_config, NULL, LABELS("/config")},
    {"/shards", GET_HEAD, "GET, HEAD", answer_shards, NULL, LABELS("/shards")},
    {"/metrics", GET_HEAD, "GET, HEAD", NULL, answer_metrics, LABELS("/metrics")},
};

#define N_ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

struct server {
    const struct server_config *config;
    struct ev_loop *loop;
    struct flusher flusher;
    struct httpd *httpd;
    struct service service;
    struct ev_signal on_term, on_int;
    struct ev_timer orphan, drain;
    struct station station; /* with config->service_ns */
    char *home_body;
    size_t home_body_len;
    char *store_labels; /* in /metrics */
    uint64_t started_ns;
    uint64_t n_requests[N_ENDPOINTS];
    bool stopping;
    uint64_t stopping_since_ns;
};

/* ---- metrics ----------------------------------------------------------------------------------
 */

/* What /metrics shows beside the HTTP server's counters; filled when it is asked for. */
struct server_metrics {
    uint64_t cpu_ns, uptime_ns;
    struct service_counters service;
};

static const struct metric_def metric_table[] = {
    {"quoit_server_cpu_seconds_total", METRIC_COUNTER, "seconds",
     "User and system CPU time of the process", offsetof(struct server_metrics, cpu_ns), 1e-9},
    {"quoit_server_uptime_seconds", METRIC_GAUGE, "seconds", "Time since the server listens",
     offsetof(struct server_metrics, uptime_ns), 1e-9},
    {"quoit_server_rows_written_total", METRIC_COUNTER, "rows",
     "Rows that the store has added, changed, replaced or removed",
     offsetof(struct server_metrics, service.rows_written), 0},
    {"quoit_server_rows_read_total", METRIC_COUNTER, "rows", "Rows read from the store for answers",
     offsetof(struct server_metrics, service.rows_read), 0},
    {"quoit_server_store_requests_total", METRIC_COUNTER, "requests",
     "Requests that the store has finished",
     offsetof(struct server_metrics, service.store_requests), 0},
    {"quoit_server_store_failures_total", METRIC_COUNTER, "requests",
     "Requests that the store could not do: no room, a disk or database that failed",
     offsetof(struct server_metrics, service.store_failures), 0},
    {"quoit_server_pending_requests", METRIC_GAUGE, "requests",
     "Requests whose answer waits for the store", offsetof(struct server_metrics, service.pending),
     0},
    {"quoit_server_shards", METRIC_GAUGE, "shards", "Shard replicas that the server holds",
     offsetof(struct server_metrics, service.shards), 0},
    {0},
};

static const struct metric_set server_metric_set = {"server", metric_table,
                                                    sizeof(struct server_metrics)};
METRICS_REGISTER(server_metric_set);

static const struct metric_def request_table[] = {
    {"quoit_server_requests_total", METRIC_COUNTER, "requests",
     "Requests to each endpoint, however they were answered", 0, 0},
    {0},
};

static const struct metric_set request_metric_set = {"server", request_table, sizeof(uint64_t)};
METRICS_REGISTER(request_metric_set);

static const struct metric_def store_table[] = {
    {"quoit_server_store_info", METRIC_GAUGE, "stores",
     "Always 1; its labels name the store and say whether its rows outlive the process", 0, 0},
    {0},
};

static const struct metric_set store_metric_set = {"server", store_table, sizeof(uint64_t)};
METRICS_REGISTER(store_metric_set);

static const struct metric_def io_table[] = {
    {"quoit_server_store_sync_seconds", METRIC_HISTOGRAM, "seconds",
     "Each fdatasync of a store that syncs its own files (file): of its log, one for all that "
     "wait, "
     "and of its snapshots",
     offsetof(struct store_io, syncs), 1e-9},
    {"quoit_server_store_written_bytes_total", METRIC_COUNTER, "bytes",
     "Written by such a store, to its log and to snapshots", offsetof(struct store_io, n_bytes), 0},
    {0},
};

static const struct metric_set io_metric_set = {"server", io_table, sizeof(struct store_io)};
METRICS_REGISTER(io_metric_set);

/* Nothing for a store that does not know. */
static void print_io(const struct store *store, struct buf *text)
{
    const void *copies[STORE_MAX_IO];
    struct metric_row rows[STORE_MAX_IO];
    char labels[STORE_MAX_IO][32];
    if (store->n_io == 0)
        return;
    assert(store->n_io <= STORE_MAX_IO);
    for (size_t i = 0; i < store->n_io; i++) {
        snprintf(labels[i], sizeof(labels[i]), "part=\"%s\"", store->io[i].part);
        copies[i] = &store->io[i];
        rows[i] = (struct metric_row){labels[i], &copies[i], 1};
    }
    metrics_print(text, &io_metric_set, rows, store->n_io);
}

static void make_store_labels(struct server *server)
{
    const struct store_spec *spec = server->config->store;
    unsigned caps = store_spec_caps(spec);
    server->store_labels = mem_printf("store=\"%s\",durable=\"%d\",forgets=\"%d\"",
                                      spec->parts[spec->n_parts - 1].part->name,
                                      (caps & STORE_DURABLE) != 0, (caps & STORE_FORGETS) != 0);
}

static void print_requests(const struct server *server, struct buf *text)
{
    const void *copies[N_ENDPOINTS];
    struct metric_row rows[N_ENDPOINTS];
    for (size_t i = 0; i < N_ENDPOINTS; i++) {
        copies[i] = &server->n_requests[i];
        rows[i] = (struct metric_row){endpoints[i].labels, &copies[i], 1};
    }
    metrics_print(text, &request_metric_set, rows, N_ENDPOINTS);
}

static void answer_metrics(struct server *server, struct httpd_exchange *exchange)
{
    static const uint64_t one = 1;
    struct server_metrics values = {
        .cpu_ns = clock_cpu_ns(),
        .uptime_ns = clock_now_ns() - server->started_ns,
        .service = server->service.counters,
    };
    const void *http_copies[] = {httpd_counters(server->httpd)};
    const void *server_copies[] = {&values}, *store_copies[] = {&one};
    struct metric_row http_row = {NULL, http_copies, 1}, server_row = {NULL, server_copies, 1};
    struct metric_row store_row = {server->store_labels, store_copies, 1};
    struct buf text;
    buf_init(&text, 0);
    metrics_print(&text, &httpd_metric_set, &http_row, 1);
    metrics_print(&text, &server_metric_set, &server_row, 1);
    print_requests(server, &text);
    metrics_print(&text, &store_metric_set, &store_row, 1);
    print_io(server->service.store, &text);
    httpd_reply(exchange, 200, METRICS_CONTENT_TYPE, NULL, buf_head(&text), buf_len(&text));
    buf_done(&text);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void greet(const struct server *server, struct httpd_exchange *exchange)
{
    httpd_reply(exchange, 200, "application/json", NULL, server->home_body, server->home_body_len);
}

/* A GET /home at the station. */
struct guest {
    struct station_item item; /* first member */
    const struct server *server;
    struct httpd_exchange *exchange;
};

static void on_served(struct station_item *item)
{
    struct guest *guest = (struct guest *)item;
    greet(guest->server, guest->exchange);
    free(guest);
}

static void answer_home(struct server *server, struct httpd_exchange *exchange)
{
    if (!server->config->service_ns) {
        greet(server, exchange);
        return;
    }
    struct guest *guest = mem_zalloc(1, sizeof(*guest));
    guest->server = server;
    guest->exchange = exchange;
    station_put(&server->station, &guest->item);
}

/* The LB's heartbeat is what tells a server that it still has one. */
static void answer_heartbeat(struct server *server, struct httpd_exchange *exchange)
{
    if (server->config->orphan_after_ns > 0)
        ev_timer_again(server->loop, &server->orphan);
    httpd_reply(exchange, 200, NULL, NULL, NULL, 0);
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct server *server = context;
    const struct http_message *request = exchange->request;
    for (size_t i = 0; i < N_ENDPOINTS; i++) {
        const struct endpoint *endpoint = &endpoints[i];
        if (!http_view_equal(request->path, endpoint->path))
            continue;
        metric_bump(&server->n_requests[i]);
        if (request->method >= 32 || !(endpoint->methods >> request->method & 1))
            httpd_refuse_method(exchange, endpoint->allow);
        else if (endpoint->serve)
            endpoint->serve(&server->service, exchange);
        else
            endpoint->answer(server, exchange);
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
    server->stopping_since_ns = clock_now_ns();
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

/* Ends once the last connection has gone and the store has done what it was given, or after the
 * grace time. */
static void on_drain(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct server *server = timer->data;
    bool idle = service_is_idle(&server->service);
    uint64_t grace_ns = idle ? DRAIN_NS : DRAIN_STORE_NS;
    if ((idle && httpd_n_connections(server->httpd) == 0) ||
        clock_now_ns() - server->stopping_since_ns > grace_ns)
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

static int open_store(struct server *server, struct err *err)
{
    const struct server_config *config = server->config;
    struct store_config store_config = {.loop = server->loop,
                                        .flusher = &server->flusher,
                                        .dir = config->data_dir,
                                        .server = config->name};
    struct store *store;
    int rc = store_open(config->store, &store_config, &store, err);
    if (rc != 0)
        return rc;
    rc = service_init(&server->service, store, config->name, config->store->text, err);
    if (rc != 0) {
        store_close(store);
        return rc;
    }
    struct buf about;
    buf_init(&about, 0);
    if (store->ops->describe)
        store->ops->describe(store, &about);
    log_info("server", "%s: store %s: %zu shards; %s", config->name, config->store->text,
             store->n_shards, buf_str(&about));
    buf_done(&about);
    return 0;
}

/* Closes the store, answers what waited for it, and lets those answers go out. */
static void end_service(struct server *server)
{
    service_done(&server->service);
    ev_run(server->loop, EVRUN_NOWAIT);
}

static int serve(struct server *server, int fd, const struct addr *bound, struct err *err)
{
    const struct server_config *config = server->config;
    char *name_header = mem_printf("X-Quoit-Server: %s\r\n", config->name);
    make_home_body(server);
    make_store_labels(server);
    server->httpd = httpd_new(&(struct httpd_config){.loop = server->loop,
                                                     .flusher = &server->flusher,
                                                     .headers = name_header,
                                                     .on_request = on_request,
                                                     .context = server});
    httpd_listen(server->httpd, fd);
    start_watchers(server);
    char text[ADDR_TEXT_BYTES];
    log_info("server", "%s listens on %s", config->name, addr_format(bound, text));
    int rc = ready_tell(config->ready_fd, bound);
    if (rc == 0)
        ev_run(server->loop, 0);
    else
        err_set_errno(err, rc, "cannot tell the parent the address on descriptor %d",
                      config->ready_fd);
    station_done(&server->station);
    end_service(server);
    httpd_free(server->httpd);
    free(server->home_body);
    free(server->store_labels);
    free(name_header);
    return rc;
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
    flusher_init(&server.flusher, server.loop);
    int rc = config->service_ns
                 ? station_init(&server.station, server.loop, config->service_ns, on_served, err)
                 : 0;
    if (rc == 0)
        rc = open_store(&server, err);
    if (rc == 0)
        rc = serve(&server, fd, &bound, err);
    else
        close(fd);
    station_done(&server.station);
    flusher_done(&server.flusher);
    ev_loop_destroy(server.loop);
    return rc;
}
