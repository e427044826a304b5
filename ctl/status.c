#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "ctl/ctl.h"
#include "ctl/story.h"
#include "ctl/table.h"
#include "ctl/words.h"

#define MAX_STORIES 8

/* Of all requests that today's servers have had. */
static double share_of(const struct cluster *cluster, const struct cluster_server *server)
{
    return cluster->n_requests ? (double)server->requests / (double)cluster->n_requests : 0.;
}

/* The LB's own answer, digits and all, with its address and the shares added. */
static void print_json(const struct ctl *ctl, struct cluster *cluster)
{
    cJSON *server;
    size_t i = 0;
    cJSON_AddStringToObject(cluster->tree, "lb", ctl->caller.address);
    cJSON_ArrayForEach (server, json_get(cluster->tree, "servers")) {
        json_add_double(server, "share", share_of(cluster, &cluster->servers[i++]));
    }
    ctl_print_json(cluster->tree);
    cluster->tree = NULL;
}

static void add_row(struct table *table, const struct cluster *cluster,
                    const struct cluster_server *server)
{
    char text[WORDS_BYTES];
    uint64_t now_ns = cluster->monotonic_ns, since_ns = server->serving_since_ns;
    table_add(table, STYLE_PLAIN, "%s", server->name);
    table_add(table, STYLE_PLAIN, "%" PRIu64, server->id);
    table_add(table, server->serving ? STYLE_GREEN : STYLE_YELLOW, "%s", server->state);
    table_add(table, STYLE_PLAIN, "%s", server->address ? server->address : "");
    if (server->pid > 0)
        table_add(table, STYLE_PLAIN, "%ld", server->pid);
    else
        table_add(table, STYLE_PLAIN, "%s", "");
    table_add(table, STYLE_PLAIN, "%" PRIu64, server->requests);
    table_add(table, STYLE_PLAIN, "%s", words_share(share_of(cluster, server), text));
    table_add(table, STYLE_PLAIN, "%s",
              since_ns && now_ns >= since_ns ? words_uptime(now_ns - since_ns, text) : "");
}

static void print_servers(const struct ctl *ctl, const struct cluster *cluster, struct buf *out)
{
    static const char *const heads[] = {"SERVER", ">ID",       "STATE",  "ADDRESS",
                                        ">PID",   ">REQUESTS", ">SHARE", ">UP"};
    struct table table;
    table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
    for (size_t i = 0; i < cluster->n_servers; i++)
        add_row(&table, cluster, &cluster->servers[i]);
    table_print(&table, &ctl->style, out);
    table_done(&table);
}

static void print_shards(const struct ctl *ctl, const struct cluster *cluster, struct buf *out)
{
    static const char *const heads[] = {"SHARD", ">FROM", ">TO", ">ROWS", "REPLICAS"};
    struct table table;
    table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
    for (size_t i = 0; i < cluster->n_shards; i++) {
        const struct cluster_shard *shard = &cluster->shards[i];
        table_add(&table, STYLE_PLAIN, "%s", shard->name);
        table_add(&table, STYLE_PLAIN, "%" PRId64, shard->low);
        table_add(&table, STYLE_PLAIN, "%" PRId64, shard->last);
        table_add(&table, STYLE_PLAIN, "%" PRIu64, shard->n_rows);
        table_add(&table, shard->n_ready > 0 ? STYLE_PLAIN : STYLE_RED, "%s",
                  *shard->replicas ? shard->replicas : "none");
    }
    buf_append_str(out, "\n");
    table_print(&table, &ctl->style, out);
    table_done(&table);
}

static void print_stories(const struct ctl *ctl, const struct cluster *cluster, struct buf *out)
{
    struct story *stories;
    size_t n = stories_make(cluster, &stories);
    size_t first = n > MAX_STORIES ? n - MAX_STORIES : 0;
    if (n > 0)
        buf_appendf(out, "\n%sWhat happened%s%s\n", style_begin(&ctl->style, STYLE_BOLD),
                    style_end(&ctl->style), first > 0 ? " last" : "");
    for (size_t i = first; i < n; i++)
        story_print(&stories[i], &ctl->style, clock_wall_ns(), out);
    free(stories);
}

int ctl_status(struct ctl *ctl, struct err *err)
{
    struct cluster cluster;
    struct buf out;
    int rc = cluster_get(&ctl->caller, &cluster, err);
    if (rc != 0)
        return rc;
    buf_init(&out, 0);
    if (ctl->json) {
        print_json(ctl, &cluster);
    } else {
        bool whole = cluster.n == cluster.target;
        bool same = strcmp(cluster.request_hash, cluster.server_hash) == 0;
        buf_appendf(&out, "%s: %s%" PRIu64 " of %" PRIu64 " servers serve%s, %s over %s%s%s\n\n",
                    ctl->caller.address, style_begin(&ctl->style, whole ? STYLE_GREEN : STYLE_RED),
                    cluster.n, cluster.target, style_end(&ctl->style), cluster.placement,
                    cluster.request_hash, same ? "" : "/", same ? "" : cluster.server_hash);
        print_servers(ctl, &cluster, &out);
        if (cluster.shards)
            print_shards(ctl, &cluster, &out);
        buf_appendf(&out,
                    "\n%" PRIu64 " requests to these servers, %" PRIu64
                    " worker thread%s, map version %" PRIu64 "\n",
                    cluster.n_requests, cluster.threads, cluster.threads == 1 ? "" : "s",
                    cluster.version);
        print_stories(ctl, &cluster, &out);
        ctl_print(&out);
    }
    buf_done(&out);
    cluster_done(&cluster);
    return 0;
}
