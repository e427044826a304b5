#include "lb/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"

/* A server whose connection broke is passed over so long, unless the control loop rules before. */
#define DOWN_NS (100 * NS_PER_MS)

/* How long a connection for rows may be silent with a request under way. */
#define ROWS_SILENCE_NS (3 * NS_PER_S)
#define BULK_SILENCE_NS (20 * NS_PER_S)

void routes_tell_control(struct routes *routes, enum letter_type type, uint64_t uid, int code)
{
    struct lb_letter *letter = letter_new(type, routes->worker);
    letter->uid = uid;
    letter->code = code;
    letter->version = routes->snapshot->version;
    mailbox_post(routes->control, &letter->letter);
}

static void on_down(void *context, int code)
{
    struct link *link = context;
    struct upstream *upstream = link->upstream;
    if (code != 0) /* 0: an idle connection was ended in order, which says nothing of the next */
        upstream->down_until_ns = upstream->routes->turn_ns + DOWN_NS;
    if (!upstream->draining)
        routes_tell_control(upstream->routes, LETTER_SUSPECT, upstream->uid, code);
}

static struct upstream *upstream_new(struct routes *routes, const struct snapshot_server *server)
{
    struct upstream *upstream = mem_zalloc(1, sizeof(*upstream));
    upstream->routes = routes;
    upstream->uid = server->uid;
    upstream->counters = &server->counters[routes->worker];
    snprintf(upstream->name, sizeof(upstream->name), "%s", server->name);
    for (size_t i = 0; i < N_CHANNELS; i++) {
        struct link *link = &upstream->links[i];
        link->upstream = upstream;
        link->httpc = httpc_new(&(struct httpc_config){.loop = routes->loop,
                                                       .flusher = routes->flusher,
                                                       .addr = server->addr,
                                                       .on_down = on_down,
                                                       .context = link});
    }
    return upstream;
}

/* What is under way on it fails, and goes elsewhere where it may. Its counters are not touched: the
 * member that they belong to may be gone by now. */
static void upstream_free(struct upstream *upstream)
{
    if (!upstream)
        return;
    struct server_counters nobodys = {0};
    upstream->counters = &nobodys;
    upstream->draining = upstream->drained = true; /* nobody is told any more */
    for (size_t i = 0; i < N_CHANNELS; i++)
        httpc_free(upstream->links[i].httpc);
    free(upstream);
}

static struct upstream *take_upstream(struct upstream **upstreams, size_t n, uint64_t uid)
{
    for (size_t i = 0; i < n; i++) {
        struct upstream *upstream = upstreams[i];
        if (upstream && upstream->uid == uid) {
            upstreams[i] = NULL;
            return upstream;
        }
    }
    return NULL;
}

void routes_take(struct routes *routes)
{
    struct upstream **old = routes->upstreams;
    size_t n_old = routes->snapshot ? routes->snapshot->n_servers : 0;
    const struct snapshot *snapshot = publisher_take(routes->publisher, routes->worker);
    routes->snapshot = snapshot;
    routes->upstreams = mem_zalloc(snapshot->n_servers + 1, sizeof(struct upstream *));
    for (size_t i = 0; i < snapshot->n_servers; i++) {
        struct upstream *upstream = take_upstream(old, n_old, snapshot->servers[i].uid);
        if (!upstream)
            upstream = upstream_new(routes, &snapshot->servers[i]);
        upstream->draining = snapshot->servers[i].draining;
        routes->upstreams[i] = upstream;
    }
    for (size_t i = 0; i < n_old; i++)
        upstream_free(old[i]);
    free(old);
}

void routes_done(struct routes *routes)
{
    for (size_t i = 0; i < routes->snapshot->n_servers; i++)
        upstream_free(routes->upstreams[i]);
    free(routes->upstreams);
    routes->upstreams = NULL;
}

struct upstream *routes_find(struct routes *routes, uint64_t uid)
{
    for (size_t i = 0; i < routes->snapshot->n_servers; i++)
        if (routes->upstreams[i]->uid == uid)
            return routes->upstreams[i];
    return NULL;
}

void routes_tell_drained(struct routes *routes)
{
    for (size_t i = 0; i < routes->snapshot->n_servers; i++)
        upstream_tell_if_drained(routes->upstreams[i]);
}

static void expire_link(struct link *link, uint64_t silence_ns)
{
    uint64_t turn_ns = link->upstream->routes->turn_ns;
    if (silence_ns == 0 || httpc_n_in_flight(link->httpc) == 0 ||
        turn_ns <= link->waits_since_ns + silence_ns)
        return;
    link->expired = true;
    httpc_break(link->httpc, -ETIMEDOUT);
    link->expired = false;
}

void routes_expire(struct routes *routes)
{
    for (size_t i = 0; i < routes->snapshot->n_servers; i++) {
        struct link *links = routes->upstreams[i]->links;
        expire_link(&links[CHANNEL_FORWARD], routes->answer_timeout_ns);
        expire_link(&links[CHANNEL_ROWS], ROWS_SILENCE_NS);
        expire_link(&links[CHANNEL_BULK], BULK_SILENCE_NS);
    }
}

bool upstream_take_blame(struct upstream *upstream, enum channel channel)
{
    struct link *link = &upstream->links[channel];
    bool blamed = link->expired;
    link->expired = false;
    return blamed;
}

static bool was_tried(const struct tried *tried, uint64_t uid)
{
    for (size_t i = 0; i < tried->n; i++)
        if (tried->uids[i] == uid)
            return true;
    return false;
}

struct upstream *routes_choose(const struct routes *routes, const struct placement *placement,
                               const uint32_t *members, uint64_t key, const struct tried *tried)
{
    uint32_t first = placement_lookup(placement, key);
    if (first == PLACEMENT_NONE)
        return NULL;
    struct upstream *own = routes->upstreams[members ? members[first] : first];
    if (upstream_is_up(own) && !was_tried(tried, own->uid))
        return own;
    uint32_t order[ROUTES_MAX_PREFERENCES];
    size_t n = placement_lookup_n(placement, key, ROUTES_MAX_PREFERENCES, order);
    struct upstream *doubtful = NULL;
    for (size_t i = 0; i < n; i++) {
        struct upstream *upstream = routes->upstreams[members ? members[order[i]] : order[i]];
        if (was_tried(tried, upstream->uid))
            continue;
        if (upstream_is_up(upstream))
            return upstream;
        if (!doubtful)
            doubtful = upstream;
    }
    return doubtful;
}

int upstream_send(struct upstream *upstream, enum channel channel, struct httpc_request *call,
                  const void *bytes, size_t n)
{
    struct routes *routes = upstream->routes;
    struct link *link = &upstream->links[channel];
    if (httpc_n_in_flight(link->httpc) == 0)
        link->waits_since_ns = routes->turn_ns;
    int rc = httpc_send(link->httpc, call, bytes, n);
    if (rc == 0) {
        metric_bump(&upstream->counters->requests);
        return 0;
    }
    /* Not even begun (no descriptor, no route): another server may be connected already. */
    upstream->down_until_ns = routes->turn_ns + DOWN_NS;
    if (!upstream->draining && rc != -ENOBUFS)
        routes_tell_control(routes, LETTER_SUSPECT, upstream->uid, rc);
    return rc;
}

/* A look at the clock costs as much as the rest of the count: one does for all the answers that a
 * turn's read brought, and a turn's requests are taken to begin with it. */
void upstream_count_answer(struct upstream *upstream, enum channel channel, uint64_t sent_ns)
{
    const struct routes *routes = upstream->routes;
    if (upstream->answers_turn != routes->turn) {
        upstream->answers_turn = routes->turn;
        upstream->answers_ns = clock_now_ns();
    }
    upstream->links[channel].waits_since_ns = upstream->answers_ns;
    metric_observe_ns(&upstream->counters->latency, upstream->answers_ns - sent_ns);
}

static size_t n_under_way(const struct upstream *upstream)
{
    const struct routes *routes = upstream->routes;
    size_t n = routes->n_elsewhere ? routes->n_elsewhere(routes->context, upstream->uid) : 0;
    for (size_t i = 0; i < N_CHANNELS; i++)
        n += httpc_n_in_flight(upstream->links[i].httpc);
    return n;
}

void upstream_tell_if_drained(struct upstream *upstream)
{
    if (!upstream->draining || upstream->drained || n_under_way(upstream) > 0)
        return;
    upstream->drained = true;
    routes_tell_control(upstream->routes, LETTER_DRAINED, upstream->uid, 0);
}
