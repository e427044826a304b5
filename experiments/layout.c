#include "experiments/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/name.h"
#include "loadgen/student.h"

/* CONTRACT.md, "Default configuration": there is no Server2. */
static const struct layout_shape default_shape = {6, 4, 3};
static const struct {
    uint64_t number;
    unsigned char shards[2];
} default_servers[] = {{0, {1, 2}}, {1, {3, 4}}, {3, {1, 3}},
                       {4, {4, 2}}, {5, {1, 4}}, {6, {3, 2}}};

/* ——— shapes ——— */

int layout_check_shape(const struct layout_shape *shape, struct err *err)
{
    if (shape->servers < 1 || shape->servers > LAYOUT_MAX_SERVERS)
        return err_set(err, -EINVAL, "%" PRIu64 " servers: from 1 to %d can be had", shape->servers,
                       LAYOUT_MAX_SERVERS);
    if (shape->shards < 1 || shape->shards > LAYOUT_MAX_SHARDS)
        return err_set(err, -EINVAL, "%" PRIu64 " shards: from 1 to %d can be had", shape->shards,
                       LAYOUT_MAX_SHARDS);
    if (shape->replicas < 1 || shape->replicas > shape->servers)
        return err_set(err, -EINVAL,
                       "%" PRIu64 " replicas of a shard do not fit on %" PRIu64 " servers",
                       shape->replicas, shape->servers);
    return 0;
}

int layout_parse_shape(const char *text, struct layout_shape *ret_shape, struct err *err)
{
    struct layout_shape shape;
    int end = 0;
    if (strspn(text, "0123456789/") != strlen(text) ||
        sscanf(text, "%4" SCNu64 "/%4" SCNu64 "/%4" SCNu64 "%n", &shape.servers, &shape.shards,
               &shape.replicas, &end) != 3 ||
        text[end])
        return err_set(err, -EINVAL, "'%s' is not of the form SERVERS/SHARDS/REPLICAS", text);
    int status = layout_check_shape(&shape, err);
    if (status == 0)
        *ret_shape = shape;
    return status;
}

/* ——— the start ——— */

static bool is_default(const struct layout_shape *shape)
{
    return shape->servers == default_shape.servers && shape->shards == default_shape.shards &&
           shape->replicas == default_shape.replicas;
}

void layout_init(struct layout *layout, const struct layout_shape *shape, uint64_t shard_size)
{
    *layout = (struct layout){.shape = *shape,
                              .shard_size = shard_size,
                              .n_old_shards = shape->shards,
                              .n_servers = shape->servers};
    bool by_contract = is_default(shape);
    for (size_t i = 0; i < layout->n_servers; i++) {
        layout->servers[i].number = by_contract ? default_servers[i].number : i;
        for (size_t j = 0; by_contract && j < 2; j++)
            layout->servers[i].holds[default_servers[i].shards[j] - 1] = true;
    }
    for (size_t i = 0; !by_contract && i < shape->shards * shape->replicas; i++)
        layout->servers[i % shape->servers].holds[i / shape->replicas] = true;
}

/* ——— growth ——— */

static size_t count_shards(const struct layout *layout, const struct layout_server *server)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->shape.shards; i++)
        n += server->holds[i];
    return n;
}

static size_t count_replicas(const struct layout *layout, size_t n_servers, size_t shard)
{
    size_t n = 0;
    for (size_t i = 0; i < n_servers; i++)
        n += layout->servers[i].holds[shard];
    return n;
}

/* Whether so many new servers do, the first n_kept old ones staying. */
static bool fits(const struct layout *layout, const struct layout_shape *to, size_t n_new,
                 size_t n_kept)
{
    for (size_t i = 0; i < to->shards; i++) {
        size_t n = count_replicas(layout, n_kept, i);
        if (n > to->replicas || to->replicas - n > n_new)
            return false;
    }
    return true;
}

/* One more replica of the shard, on the new server that has the fewest. */
static void place_replica(struct layout *layout, size_t shard)
{
    struct layout_server *best = NULL;
    size_t fewest = 0;
    for (size_t i = 0; i < layout->n_servers; i++) {
        struct layout_server *server = &layout->servers[i];
        size_t n = count_shards(layout, server);
        if (!server->comes || server->holds[shard] || (best && n >= fewest))
            continue;
        best = server;
        fewest = n;
    }
    if (best)
        best->holds[shard] = true;
}

int layout_grow(struct layout *layout, const struct layout_shape *to, struct err *err)
{
    size_t n_old = layout->n_servers;
    if (to->shards < layout->shape.shards)
        return err_set(err, -EINVAL, "%" PRIu64 " shards do not become %" PRIu64,
                       layout->shape.shards, to->shards);
    if (!memcmp(to, &layout->shape, sizeof(*to)))
        return err_set(err, -EINVAL, "it would not change");
    size_t n_new = to->servers > n_old ? to->servers - n_old : 0;
    while (n_new < to->servers && !fits(layout, to, n_new, to->servers - n_new))
        n_new++;
    size_t n_kept = to->servers - n_new;
    layout->shape = *to;
    uint64_t next = layout->servers[n_old - 1].number + 1;
    for (size_t i = n_kept; i < n_old; i++)
        layout->servers[i].goes = true;
    for (size_t i = 0; i < n_new; i++)
        layout->servers[layout->n_servers++] =
            (struct layout_server){.number = next + i, .comes = true};
    for (size_t i = to->shards; i-- > 0;) /* new shards first: they have no choice */
        for (size_t n = count_replicas(layout, n_kept, i); n < to->replicas; n++)
            place_replica(layout, i);
    return 0;
}

/* ——— words ——— */

static void print_shards(const struct layout *layout, size_t first, struct buf *out)
{
    for (size_t i = first; i < layout->shape.shards; i++)
        buf_appendf(out,
                    "%s{\"Stud_id_low\":%" PRIu64 ",\"Shard_id\":\"sh%zu\",\"Shard_size\":%" PRIu64
                    "}",
                    i > first ? "," : "", i * layout->shard_size, i + 1, layout->shard_size);
}

/* "Server0":["sh1","sh2"],… of those that come, or of all there are. */
static void print_servers(const struct layout *layout, bool coming, struct buf *out)
{
    const char *before = "";
    for (size_t i = 0; i < layout->n_servers; i++) {
        const struct layout_server *server = &layout->servers[i];
        const char *comma = "";
        if (server->comes != coming)
            continue;
        buf_appendf(out, "%s\"Server%" PRIu64 "\":[", before, server->number);
        for (size_t s = 0; s < layout->shape.shards; s++) {
            if (!server->holds[s])
                continue;
            buf_appendf(out, "%s\"sh%zu\"", comma, s + 1);
            comma = ",";
        }
        buf_append_str(out, "]");
        before = ",";
    }
}

void layout_print_init(const struct layout *layout, struct buf *out)
{
    buf_appendf(out, "{\"N\":%zu,\"schema\":" STUDENT_SCHEMA ",\"shards\":[", layout->n_servers);
    print_shards(layout, 0, out);
    buf_append_str(out, "],\"servers\":{");
    print_servers(layout, false, out);
    buf_append_str(out, "}}");
}

void layout_print_add(const struct layout *layout, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->n_servers; i++)
        n += layout->servers[i].comes;
    buf_appendf(out, "{\"n\":%zu,", n);
    if (layout->n_old_shards < layout->shape.shards) {
        buf_append_str(out, "\"new_shards\":[");
        print_shards(layout, layout->n_old_shards, out);
        buf_append_str(out, "],");
    }
    buf_append_str(out, "\"servers\":{");
    print_servers(layout, true, out);
    buf_append_str(out, "}}");
}

size_t layout_n_going(const struct layout *layout)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->n_servers; i++)
        n += layout->servers[i].goes;
    return n;
}

void layout_print_rm(const struct layout *layout, struct buf *out)
{
    const char *comma = "";
    buf_appendf(out, "{\"n\":%zu,\"servers\":[", layout_n_going(layout));
    for (size_t i = 0; i < layout->n_servers; i++) {
        if (!layout->servers[i].goes)
            continue;
        buf_appendf(out, "%s\"Server%" PRIu64 "\"", comma, layout->servers[i].number);
        comma = ",";
    }
    buf_append_str(out, "]}");
}

/* ——— what became of it ——— */

static bool names_shard(const cJSON *list, size_t shard)
{
    char name[24];
    const cJSON *item;
    snprintf(name, sizeof(name), "sh%zu", shard + 1);
    cJSON_ArrayForEach (item, list) {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, name))
            return true;
    }
    return false;
}

int layout_check_status(const struct layout *layout, const cJSON *status, struct err *err)
{
    const cJSON *servers = json_get(status, "servers");
    size_t n = layout->n_servers - layout_n_going(layout);
    if ((size_t)cJSON_GetArraySize(servers) != n)
        return err_set(err, -EPROTO, "GET /status tells of %d servers in place of %zu",
                       cJSON_GetArraySize(servers), n);
    for (size_t i = 0; i < layout->n_servers; i++) {
        const struct layout_server *server = &layout->servers[i];
        char name[NAME_MAX_BYTES + 1];
        snprintf(name, sizeof(name), "Server%" PRIu64, server->number);
        const cJSON *list = json_get(servers, name);
        if (server->goes)
            continue;
        for (size_t s = 0; s < layout->shape.shards; s++)
            if (names_shard(list, s) != server->holds[s])
                return err_set(err, -EPROTO, "GET /status tells that %s holds sh%zu%s", name, s + 1,
                               server->holds[s] ? " not" : "");
    }
    return 0;
}
