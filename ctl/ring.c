/* ring: the LB's placement, built here once more from what GET /cluster says of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/placement.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/stats.h"
#include "ctl/circle.h"
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/words.h"

#define N_POINTS 4096
#define N_KEYS (REQUEST_ID_LAST - REQUEST_ID_FIRST + 1)
#define GAP 3 /* columns between circle and legend */
#define NAME_COLUMNS 20

struct ring {
    struct cluster cluster;
    const struct cluster_server **owners; /* the serving ones, in the placement's order */
    size_t n;
    struct spec spec;
    struct hash_choice hashes;
    struct placement *placement;
    uint64_t *counts;
    double *shares; /* of the request ids */
    double *arcs;   /* of the circle, or of the hash space; NULL where they cannot be told */
};

static void ring_done(struct ring *ring)
{
    free(ring->owners);
    free(ring->counts);
    free(ring->shares);
    free(ring->arcs);
    placement_free(ring->placement);
    spec_done(&ring->spec);
    hash_choice_done(&ring->hashes);
    cluster_done(&ring->cluster);
}

/* The placement and the hashes as the LB names them, canonical texts both. */
static int parse_specs(struct ring *ring, struct err *err)
{
    const struct cluster *cluster = &ring->cluster;
    char *hashes = mem_printf("%s/%s", cluster->request_hash, cluster->server_hash);
    int rc = spec_parse(&placement_family, cluster->placement, &ring->spec, err);
    if (rc == 0)
        rc = hash_choice_parse(hashes, &ring->hashes, err);
    if (rc != 0)
        err_prefix(err, "this quoit does not know what the load balancer uses");
    free(hashes);
    return rc;
}

static int build(struct ring *ring, struct err *err)
{
    const struct cluster *cluster = &ring->cluster;
    struct placement_member *members = mem_zalloc(cluster->n_servers + 1, sizeof(*members));
    ring->owners = mem_zalloc(cluster->n_servers + 1, sizeof(*ring->owners));
    for (size_t i = 0; i < cluster->n_servers; i++) {
        const struct cluster_server *server = &cluster->servers[i];
        if (!server->serving)
            continue;
        members[ring->n] =
            (struct placement_member){.id = server->id, .name = server->name, .weight = 1};
        ring->owners[ring->n++] = server;
    }
    int rc =
        placement_build(&ring->spec, members, ring->n, &ring->hashes.pair, &ring->placement, err);
    free(members);
    return rc;
}

static void count(struct ring *ring)
{
    ring->counts = mem_zalloc(ring->n + 1, sizeof(*ring->counts));
    ring->shares = mem_zalloc(ring->n + 1, sizeof(*ring->shares));
    placement_count_keys(ring->placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, ring->counts);
    for (size_t i = 0; i < ring->n; i++)
        ring->shares[i] = (double)ring->counts[i] / (double)N_KEYS;
    if (!ring->placement->ops->shares)
        return;
    ring->arcs = mem_zalloc(ring->n + 1, sizeof(*ring->arcs));
    ring->placement->ops->shares(ring->placement, ring->arcs);
}

/* Owners around the circle; where the placement has none, arcs as long as the shares. */
static uint32_t *sample(const struct ring *ring)
{
    uint32_t *points = mem_zalloc(N_POINTS, sizeof(*points));
    const struct placement_ops *ops = ring->placement->ops;
    double until = 0;
    size_t owner = 0;
    for (size_t i = 0; i < N_POINTS; i++) {
        double at = ((double)i + 0.5) / N_POINTS;
        if (ring->n == 0) {
            points[i] = UINT32_MAX;
        } else if (ops->owner_at) {
            points[i] = ops->owner_at(ring->placement, at);
        } else {
            while (owner + 1 < ring->n && at >= until + ring->shares[owner])
                until += ring->shares[owner++];
            points[i] = (uint32_t)owner;
        }
    }
    return points;
}

static void print_json(const struct ring *ring)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "placement", ring->cluster.placement);
    cJSON *hash = cJSON_AddObjectToObject(tree, "hash");
    cJSON_AddStringToObject(hash, "request", ring->cluster.request_hash);
    cJSON_AddStringToObject(hash, "server", ring->cluster.server_hash);
    json_add_uint64(tree, "version", ring->cluster.version);
    json_add_uint64(tree, "keys", N_KEYS);
    cJSON *shares = cJSON_AddArrayToObject(tree, "shares");
    for (size_t i = 0; i < ring->n; i++) {
        cJSON *share = cJSON_CreateObject();
        json_add_uint64(share, "id", ring->owners[i]->id);
        cJSON_AddStringToObject(share, "name", ring->owners[i]->name);
        json_add_uint64(share, "count", ring->counts[i]);
        json_add_double(share, "share", ring->shares[i]);
        if (ring->arcs)
            json_add_double(share, "of_hash_space", ring->arcs[i]);
        else
            cJSON_AddNullToObject(share, "of_hash_space");
        cJSON_AddItemToArray(shares, share);
    }
    json_add_double(tree, "peak_to_mean", stats_max(ring->shares, ring->n) * (double)ring->n);
    json_add_double(tree, "cov", stats_cov(ring->shares, ring->n));
    ctl_print_json(tree);
}

/* One line an owner, heads first: into a buffer of lines. */
static void make_legend(const struct ring *ring, const struct style *style, enum circle_look look,
                        struct buf *out)
{
    static const char *const heads[] = {"", "SERVER", ">REQUESTS", ">CIRCLE"};
    struct table table;
    bool circle = ring->placement->ops->owner_at && ring->arcs;
    table_init(&table, heads, 4);
    for (size_t i = 0; i < ring->n; i++) {
        char share[WORDS_BYTES], arc[WORDS_BYTES] = "";
        struct buf key;
        buf_init(&key, 0);
        circle_append_key(&key, look, i);
        table_add(&table, STYLE_PLAIN, "%s", buf_str(&key));
        table_add(&table, STYLE_PLAIN, "%.*s", NAME_COLUMNS, ring->owners[i]->name);
        table_add(&table, STYLE_PLAIN, "%s", words_share(ring->shares[i], share));
        table_add(&table, STYLE_PLAIN, "%s", circle ? words_share(ring->arcs[i], arc) : "");
        buf_done(&key);
    }
    table_print(&table, style, out);
    table_done(&table);
}

static size_t count_lines(const char *text, size_t *ret_columns)
{
    size_t n = 0;
    *ret_columns = 0;
    while (*text) {
        size_t n_bytes = strcspn(text, "\n");
        char *line = mem_strndup(text, n_bytes);
        size_t columns = table_width(line);
        *ret_columns = columns > *ret_columns ? columns : *ret_columns;
        free(line);
        n++;
        text += n_bytes + (text[n_bytes] == '\n');
    }
    return n;
}

/* The legend beside the circle where it fits, else below it. */
static void join(const struct style *style, struct buf lines[CIRCLE_ROWS], const char *legend,
                 struct buf *out)
{
    size_t columns, n = count_lines(legend, &columns);
    bool beside = n <= CIRCLE_ROWS && CIRCLE_COLUMNS + GAP + columns <= style->columns;
    size_t first = beside ? (CIRCLE_ROWS - n) / 2 : SIZE_MAX;
    for (size_t row = 0; row < CIRCLE_ROWS; row++) {
        buf_append_str(out, buf_str(&lines[row]));
        if (row >= first && *legend) {
            size_t n_bytes = strcspn(legend, "\n");
            buf_appendf(out, "%*s%.*s", GAP, "", (int)n_bytes, legend);
            legend += n_bytes + (legend[n_bytes] == '\n');
        }
        while (buf_len(out) > 0 && out->data[out->end - 1] == ' ')
            out->end--;
        buf_append_str(out, "\n");
    }
    if (*legend)
        buf_appendf(out, "\n%s", legend);
}

static void print_circle(const struct ctl *ctl, const struct ring *ring)
{
    struct buf lines[CIRCLE_ROWS], legend, out;
    char servers[32], version[40];
    bool has_circle = ring->placement->ops->owner_at != NULL;
    const char *centre[] = {servers, ring->spec.part->name, version, NULL};
    enum circle_look look = circle_look_for(&ctl->style, ring->n);
    const struct cluster *cluster = &ring->cluster;
    bool same = strcmp(cluster->request_hash, cluster->server_hash) == 0;
    uint32_t *points = sample(ring);

    snprintf(servers, sizeof(servers), "%zu server%s", ring->n, ring->n == 1 ? "" : "s");
    snprintf(version, sizeof(version), "version %" PRIu64, cluster->version);
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_init(&lines[i], 0);
    buf_init(&legend, 0);
    buf_init(&out, 0);
    circle_draw(points, N_POINTS, look, centre, lines);
    make_legend(ring, &ctl->style, look, &legend);
    buf_appendf(&out, "%s: %s over %s%s%s\n\n", ctl->caller.address, cluster->placement,
                cluster->request_hash, same ? "" : "/", same ? "" : cluster->server_hash);
    join(&ctl->style, lines, buf_str(&legend), &out);
    buf_append_str(&out, has_circle
                             ? "\nClockwise from the top, where hash 0 falls: who owns the circle. "
                               "REQUESTS counts\nall 900000 request ids: what the hash of the "
                               "requests makes of it.\n"
                             : "\nThis placement has no circle: the arcs are as long as the shares "
                               "of all 900000\nrequest ids.\n");
    if (ring->n > 0)
        buf_appendf(&out, "Peak to mean %.3f, coefficient of variation %.3f.\n",
                    stats_max(ring->shares, ring->n) * (double)ring->n,
                    stats_cov(ring->shares, ring->n));
    ctl_print(&out);
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_done(&lines[i]);
    buf_done(&legend);
    buf_done(&out);
    free(points);
}

int ctl_ring(struct ctl *ctl, struct err *err)
{
    struct ring ring = {0};
    int rc = cluster_get(&ctl->caller, &ring.cluster, err);
    if (rc == 0)
        rc = parse_specs(&ring, err);
    if (rc == 0)
        rc = build(&ring, err);
    if (rc == 0) {
        count(&ring);
        if (ctl->json)
            print_json(&ring);
        else
            print_circle(ctl, &ring);
    }
    ring_done(&ring);
    return rc;
}
