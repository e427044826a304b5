/* The servers that the fake spawner pretends to start: an HTTP server each, on a loop and in a
 * thread of the farm's own. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/flush.h"
#include "core/httpd.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/net.h"
#include "tests/support/lb_bed_parts.h"
#include "tests/support/stage.h"

#define MAX_SERVERS 256
#define MAX_HELD 64

struct farm_server {
    struct lb_farm *farm;
    char name[NAME_MAX_BYTES + 1];
    char lie[NAME_MAX_BYTES + 1]; /* "": none */
    struct httpd *httpd;          /* NULL: shut */
    bool hung;
    struct held {
        struct httpd_exchange *exchange;
        bool heartbeat, slow;
    } held[MAX_HELD];
    size_t n_held;
};

struct lb_farm {
    struct stage stage;
    pthread_t thread;
    struct ev_loop *loop;
    struct flusher flusher;
    struct farm_server servers[MAX_SERVERS];
    size_t n_servers;
    bool hold_heartbeats;
    char next_lie[NAME_MAX_BYTES + 1];
    uint64_t idle_timeout_ns;
};

/* ---- on its loop --------------------------------------------------------------------------- */

static void reply_as(struct farm_server *server, struct httpd_exchange *exchange, bool heartbeat)
{
    char header[128];
    const char *name = server->lie[0] ? server->lie : server->name;

    snprintf(header, sizeof(header), "X-Quoit-Server: %s\r\n", name);
    httpd_reply(exchange, 200, heartbeat ? NULL : "text/plain", header, name,
                heartbeat ? 0 : strlen(name));
}

static void on_farm_request(void *context, struct httpd_exchange *exchange)
{
    struct farm_server *server = context;
    struct http_view path = exchange->request->path;
    bool heartbeat = http_view_equal(path, "/heartbeat"), slow = http_view_equal(path, "/slow");

    if (server->hung || slow || (heartbeat && server->farm->hold_heartbeats)) {
        assert(server->n_held < MAX_HELD);
        server->held[server->n_held++] = (struct held){exchange, heartbeat, slow};
    } else if (heartbeat || http_view_equal(path, "/home")) {
        reply_as(server, exchange, heartbeat);
    } else {
        httpd_refuse(exchange, 404, "unknown");
    }
}

enum release { RELEASE_ALL, RELEASE_SLOW, RELEASE_HEARTBEATS, RELEASE_ALL_BUT_SLOW };

static void release(struct farm_server *server, enum release which)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_held; i++) {
        struct held held = server->held[i];
        if (which == RELEASE_ALL || (which == RELEASE_SLOW && held.slow) ||
            (which == RELEASE_HEARTBEATS && held.heartbeat) ||
            (which == RELEASE_ALL_BUT_SLOW && !held.slow))
            reply_as(server, held.exchange, held.heartbeat);
        else
            server->held[n++] = held;
    }
    server->n_held = n;
}

/* What it holds is answered, and the answers go with the connections. */
static void shut(struct farm_server *server)
{
    if (server->httpd) {
        release(server, RELEASE_ALL);
        httpd_free(server->httpd);
        server->httpd = NULL;
    }
}

static struct farm_server *find_server(struct lb_farm *farm, const char *name)
{
    for (size_t i = farm->n_servers; i-- > 0;)
        if (strcmp(farm->servers[i].name, name) == 0)
            return &farm->servers[i];
    fail_msg("no server was named %s", name);
    return NULL;
}

static struct addr plant(struct lb_farm *farm, const char *name)
{
    struct addr addr;
    struct err err = {0};

    assert(farm->n_servers < MAX_SERVERS);
    struct farm_server *server = &farm->servers[farm->n_servers++];
    server->farm = farm;
    snprintf(server->name, sizeof(server->name), "%s", name);
    memcpy(server->lie, farm->next_lie, sizeof(server->lie));
    server->httpd =
        httpd_new(&(struct httpd_config){.loop = farm->loop,
                                         .flusher = &farm->flusher,
                                         .limits = {.idle_timeout_ns = farm->idle_timeout_ns},
                                         .on_request = on_farm_request,
                                         .context = server});
    addr_parse("127.0.0.1:0", &addr, NULL);
    int fd = net_listen(&addr, false, &addr, &err);
    assert(fd >= 0);
    httpd_listen(server->httpd, fd);
    return addr;
}

struct farm_order {
    struct lb_farm *farm;
    enum {
        PLANT,
        HANG,
        HOLD_HEARTBEATS,
        RENAME,
        SHUT,
        N_SLOW,
        N_HELD_HEARTBEATS,
        N_CONNECTIONS,
        RELEASE,
        IDLE_TIMEOUT,
        END
    } what;
    const char *name, *lie;
    bool on;
    uint64_t ns;
    size_t result;
    struct addr addr;
};

static void hold_heartbeats(struct lb_farm *farm, bool held)
{
    farm->hold_heartbeats = held;
    for (size_t i = 0; i < farm->n_servers && !held; i++)
        if (farm->servers[i].httpd && !farm->servers[i].hung)
            release(&farm->servers[i], RELEASE_HEARTBEATS);
}

static size_t count_held(const struct farm_server *server, bool slow)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_held; i++)
        n += slow ? server->held[i].slow : server->held[i].heartbeat;
    return n;
}

static void end_farm(struct lb_farm *farm)
{
    for (size_t i = 0; i < farm->n_servers; i++)
        shut(&farm->servers[i]);
    ev_break(farm->loop, EVBREAK_ALL);
}

static void obey_on_farm(void *argument)
{
    struct farm_order *order = argument;
    struct lb_farm *farm = order->farm;
    bool all = order->what == PLANT || !order->name;
    struct farm_server *server = all ? NULL : find_server(farm, order->name);
    const char *lie = order->lie ? order->lie : "";

    switch (order->what) {
    case PLANT:
        order->addr = plant(farm, order->name);
        break;
    case HANG:
        server->hung = order->on;
        if (!order->on)
            release(server, RELEASE_ALL_BUT_SLOW);
        break;
    case HOLD_HEARTBEATS:
        hold_heartbeats(farm, order->on);
        break;
    case RENAME:
        snprintf(server ? server->lie : farm->next_lie, sizeof(farm->next_lie), "%s", lie);
        break;
    case SHUT:
        shut(server);
        break;
    case N_SLOW:
        order->result = count_held(server, true);
        break;
    case N_HELD_HEARTBEATS:
        for (size_t i = 0; i < farm->n_servers; i++)
            order->result += count_held(&farm->servers[i], false);
        break;
    case N_CONNECTIONS:
        order->result = httpd_n_connections(server->httpd);
        break;
    case RELEASE:
        release(server, RELEASE_SLOW);
        break;
    case IDLE_TIMEOUT:
        farm->idle_timeout_ns = order->ns;
        break;
    case END:
        end_farm(farm);
        break;
    }
}

static struct farm_order tell_farm(struct farm_order order)
{
    bool open = stage_call(&order.farm->stage, obey_on_farm, &order);
    assert(open);
    (void)open;
    return order;
}

static void *run_farm(void *context)
{
    struct lb_farm *farm = context;

    ev_run(farm->loop, 0);
    return NULL;
}

/* ---- for the test ------------------------------------------------------------------------- */

struct addr lb_bed_plant(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.farm = bed->farm, .what = PLANT, .name = name}).addr;
}

void lb_bed_hang(struct lb_bed *bed, const char *name, bool hung)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = HANG, .name = name, .on = hung});
}

void lb_bed_hold_heartbeats(struct lb_bed *bed, bool held)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = HOLD_HEARTBEATS, .on = held});
}

void lb_bed_rename(struct lb_bed *bed, const char *name, const char *lie)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = RENAME, .name = name, .lie = lie});
}

void lb_bed_shut(struct lb_bed *bed, const char *name)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = SHUT, .name = name});
}

size_t lb_bed_n_slow(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.farm = bed->farm, .what = N_SLOW, .name = name}).result;
}

size_t lb_bed_n_held_heartbeats(struct lb_bed *bed)
{
    return tell_farm((struct farm_order){.farm = bed->farm, .what = N_HELD_HEARTBEATS}).result;
}

size_t lb_bed_n_connections(struct lb_bed *bed, const char *name)
{
    return tell_farm((struct farm_order){.farm = bed->farm, .what = N_CONNECTIONS, .name = name})
        .result;
}

void lb_bed_release(struct lb_bed *bed, const char *name)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = RELEASE, .name = name});
}

void lb_bed_set_idle_timeout(struct lb_bed *bed, uint64_t idle_timeout_ns)
{
    tell_farm((struct farm_order){.farm = bed->farm, .what = IDLE_TIMEOUT, .ns = idle_timeout_ns});
}

/* ---- life --------------------------------------------------------------------------------- */

struct lb_farm *lb_farm_new(void)
{
    struct lb_farm *farm = mem_zalloc(1, sizeof(*farm));

    stage_init(&farm->stage);
    farm->loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&farm->flusher, farm->loop);
    stage_open(&farm->stage, farm->loop);
    assert_int_equal(pthread_create(&farm->thread, NULL, run_farm, farm), 0);
    return farm;
}

void lb_farm_free(struct lb_farm *farm)
{
    tell_farm((struct farm_order){.farm = farm, .what = END});
    pthread_join(farm->thread, NULL);
    stage_close(&farm->stage);
    flusher_done(&farm->flusher);
    ev_loop_destroy(farm->loop);
    free(farm);
}
