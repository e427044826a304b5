#include "lb/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "table/plain.h"
#include "table/row.h"

#define KEEP_BYTES (256u * 1024)
#define ANSWER_HEAD "{\"data\":["
#define ANSWER_TAIL "],\"status\":\"success\"}"

/* One shard's part of a query. The snapshot that the query began with may be gone when its answer
 * comes: what is needed is copied. */
struct query_part {
    struct httpc_request call; /* first member */
    struct query *query;
    char shard[NAME_MAX_BYTES + 1];
    int64_t low, high; /* within the shard, inclusive */
    enum channel channel;
    struct upstream *upstream; /* that has the request under way */
    uint64_t sent_ns;
    struct tried tried;
    const char *rows; /* the texts, joined by commas; NULL until they have come, or for none */
    char *kept;       /* them, when they have to wait for other parts */
    size_t n_bytes;
    char server[NAME_MAX_BYTES + 1]; /* who answered */
};

struct query {
    struct querier *querier;
    struct httpd_exchange *exchange;
    uint64_t key;
    char column[SCHEMA_NAME_BYTES + 1];
    size_t n_left; /* parts not answered */
    size_t n_bytes;
    unsigned status; /* of the refusal, once a part has failed; else 0 */
    char reason[256];
    size_t n_parts;
    struct query_part parts[];
};

/* ---- the end ----------------------------------------------------------------------------------
 */

static void query_free(struct query *query)
{
    for (size_t i = 0; i < query->n_parts; i++)
        free(query->parts[i].kept);
    query->querier->n_held_bytes -= query->n_bytes;
    free(query);
}

static void reply(struct query *query)
{
    struct querier *querier = query->querier;
    struct buf *out = &querier->scratch, *header = &querier->request;
    buf_clear(out);
    buf_append_str(out, "{\"shards_queried\":[");
    for (size_t i = 0; i < query->n_parts; i++) {
        buf_append_str(out, i > 0 ? ",\"" : "\"");
        buf_append_str(out, query->parts[i].shard);
        buf_append(out, "\"", 1);
    }
    buf_append_str(out, "],\"data\":[");
    bool first = true;
    for (size_t i = 0; i < query->n_parts; i++) {
        const struct query_part *part = &query->parts[i];
        if (part->n_bytes == 0)
            continue;
        if (!first)
            buf_append(out, ",", 1);
        buf_append(out, part->rows, part->n_bytes);
        first = false;
    }
    buf_append_str(out, ANSWER_TAIL);
    metric_bump_by(&querier->metrics.bytes, buf_len(out));
    /* CONTRACT.md, Beyond the assignment: who answered, where one did. */
    buf_clear(header);
    if (query->n_parts == 1) {
        buf_append_str(header, "X-Quoit-Server: ");
        buf_append_str(header, query->parts[0].server);
        buf_append_str(header, "\r\n");
    }
    httpd_reply(query->exchange, 200, "application/json", buf_str(header), buf_head(out),
                buf_len(out));
    buf_clear(out);
    buf_shrink(out, KEEP_BYTES);
}

static void finish(struct query *query)
{
    if (query->status == 0) {
        reply(query);
    } else {
        metric_bump(&query->querier->metrics.failed);
        httpd_refuse(query->exchange, query->status, "%s", query->reason);
    }
    query_free(query);
}

/* The first refusal is the one that is told; the parts under way are waited for. */
static void fail(struct query *query, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct query *query, unsigned status, const char *format, ...)
{
    if (query->status != 0)
        return;
    va_list args;
    va_start(args, format);
    query->status = status;
    vsnprintf(query->reason, sizeof(query->reason), format, args);
    va_end(args);
}

static void part_done(struct query_part *part)
{
    if (--part->query->n_left == 0)
        finish(part->query);
}

/* ---- sending ----------------------------------------------------------------------------------
 */

/* A replica of the shard to ask; NULL: none is left. */
static struct upstream *choose(const struct query_part *part)
{
    const struct routes *routes = part->query->querier->routes;
    const struct snapshot *snapshot = routes->snapshot;
    size_t index = shard_find(snapshot->ranges, snapshot->n_shards, part->low);
    if (index == snapshot->n_shards || part->tried.n == ROUTES_MAX_PREFERENCES)
        return NULL;
    const struct snapshot_shard *shard = &snapshot->shards[index];
    return routes_choose(routes, shard->placement, shard->readers, part->query->key, &part->tried);
}

/* A server's POST /read for the part; until the next one is made. */
static const struct buf *format_request(const struct query_part *part)
{
    struct buf *out = &part->query->querier->request;
    const char *column = part->query->column;
    char low[FORMAT_INT64_BYTES], high[FORMAT_INT64_BYTES], length[FORMAT_INT64_BYTES];
    const char *low_text = format_int64(part->low, low),
               *high_text = format_int64(part->high, high);
    size_t n_body = strlen("{\"shard\":\"\",\"\":{\"low\":,\"high\":}}") + strlen(part->shard) +
                    strlen(column) + strlen(low_text) + strlen(high_text);
    buf_clear(out);
    buf_append_str(out, "POST /read HTTP/1.1\r\nHost: quoit\r\n"
                        "Content-Type: application/json\r\n");
    buf_append_str(out, "Content-Length: ");
    buf_append_str(out, format_int64((int64_t)n_body, length));
    buf_append_str(out, "\r\n\r\n{\"shard\":\"");
    buf_append_str(out, part->shard);
    buf_append_str(out, "\",\"");
    buf_append_str(out, column);
    buf_append_str(out, "\":{\"low\":");
    buf_append_str(out, low_text);
    buf_append_str(out, ",\"high\":");
    buf_append_str(out, high_text);
    buf_append_str(out, "}}");
    return out;
}

/* To a replica of the shard; with none left the part is over. */
static void send_part(struct query_part *part)
{
    struct query *query = part->query;
    struct routes *routes = query->querier->routes;
    struct upstream *upstream;
    const struct buf *text = format_request(part);
    while (query->status == 0 && !routes->ending && (upstream = choose(part))) {
        part->upstream = upstream;
        part->sent_ns = routes->turn_ns;
        if (upstream_send(upstream, part->channel, &part->call, buf_head(text), buf_len(text)) == 0)
            return;
        tried_add(&part->tried, upstream->uid);
    }
    fail(query, 503, "no replica of shard %s answers", part->shard);
    part_done(part);
}

static void try_another(struct query_part *part, uint64_t failed_uid)
{
    metric_bump(&part->query->querier->metrics.retries);
    tried_add(&part->tried, failed_uid);
    send_part(part);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* {"data":[ROWS],"status":"success"}: a view of ROWS; at NULL: it is something else. */
static struct http_view find_rows(struct http_view body)
{
    const size_t n_head = sizeof(ANSWER_HEAD) - 1, n_tail = sizeof(ANSWER_TAIL) - 1;
    if (body.len < n_head + n_tail || memcmp(body.at, ANSWER_HEAD, n_head) != 0 ||
        memcmp(body.at + body.len - n_tail, ANSWER_TAIL, n_tail) != 0)
        return (struct http_view){NULL, 0};
    return (struct http_view){body.at + n_head, body.len - n_head - n_tail};
}

static void take_rows(struct query_part *part, struct http_view rows)
{
    struct query *query = part->query;
    struct querier *querier = query->querier;
    if (query->n_bytes + rows.len > QUERY_MAX_ANSWER_BYTES) {
        fail(query, 413, "the answer is longer than %zu MiB: ask for less",
             QUERY_MAX_ANSWER_BYTES >> 20);
    } else if (querier->n_held_bytes + rows.len > QUERY_MAX_HELD_BYTES) {
        fail(query, 503, "too many long answers are under way");
    } else if (rows.len > 0 && query->status == 0) {
        part->rows = rows.at; /* as long as the answer is looked at: a part alone ends now */
        if (query->n_parts > 1)
            part->rows = part->kept = memcpy(mem_alloc(rows.len), rows.at, rows.len);
        part->n_bytes = rows.len;
        query->n_bytes += rows.len;
        querier->n_held_bytes += rows.len;
    }
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct query_part *part = (struct query_part *)call;
    struct upstream *upstream = part->upstream;
    upstream_count_answer(upstream, part->channel, part->sent_ns);
    struct http_view rows = {NULL, 0};
    if (answer->status == 200)
        rows = find_rows(answer->body);
    if (rows.at) {
        memcpy(part->server, upstream->name, sizeof(part->server));
        take_rows(part, rows);
        part_done(part);
    } else if (answer->status == 413) {
        fail(part->query, 413,
             "shard %s has more rows there than fit into one answer: ask for less", part->shard);
        part_done(part);
    } else {
        try_another(part, upstream->uid);
    }
    upstream_tell_if_drained(upstream);
}

static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct query_part *part = (struct query_part *)call;
    struct upstream *upstream = part->upstream;
    (void)code, (void)sent;
    metric_bump(&upstream->counters->failures);
    try_another(part, upstream->uid);
    upstream_tell_if_drained(upstream);
}

/* ---- the request ------------------------------------------------------------------------------
 */

static int read_range(const char *column, const cJSON *tree, int64_t *ret_low, int64_t *ret_high,
                      struct err *err)
{
    const cJSON *range = json_get(tree, column), *member;
    if (!cJSON_IsObject(range))
        return err_set(err, -EINVAL, "\"%s\" is missing or no object with \"low\" and \"high\"",
                       column);
    cJSON_ArrayForEach (member, tree)
        if (member != range)
            return err_set(err, -EINVAL, "\"%.80s\" is not known here", member->string);
    cJSON_ArrayForEach (member, range)
        if (strcmp(member->string, "low") != 0 && strcmp(member->string, "high") != 0)
            return err_set(err, -EINVAL, "\"%.80s\" is not known in \"%s\"", member->string,
                           column);
    int rc = row_key_from_json(json_get(range, "low"), "low", ret_low, err);
    if (rc == 0)
        rc = row_key_from_json(json_get(range, "high"), "high", ret_high, err);
    if (rc == 0 && *ret_low > *ret_high)
        rc = err_set(err, -EINVAL, "\"low\" is %lld, above \"high\", which is %lld",
                     (long long)*ret_low, (long long)*ret_high);
    return rc;
}

static int read_body(const struct schema *schema, struct http_view body, int64_t *ret_low,
                     int64_t *ret_high, struct err *err)
{
    const char *column = schema->columns[0].name;
    struct plain_range plain;
    if (plain_read_range(schema, body.at, body.len, &plain) && !plain.shard) {
        *ret_low = plain.low;
        *ret_high = plain.high;
        return 0;
    }
    cJSON *tree = json_parse_body(body.at, body.len, err);
    if (!tree)
        return -EINVAL;
    int rc = read_range(column, tree, ret_low, ret_high, err);
    cJSON_Delete(tree);
    return rc;
}

static void fill_part(struct query_part *part, struct query *query, const struct shard *range,
                      int64_t low, int64_t high)
{
    part->call = (struct httpc_request){.on_answer = on_answer, .on_failure = on_failure};
    part->query = query;
    memcpy(part->shard, range->name, sizeof(part->shard));
    part->low = low > range->low ? low : range->low;
    part->high = high < range->last ? high : range->last;
    uint64_t n_beyond_first = (uint64_t)part->high - (uint64_t)part->low;
    part->channel = n_beyond_first < QUERY_SHORT_KEYS ? CHANNEL_ROWS : CHANNEL_BULK;
}

/* A part for each shard that the range meets. */
static struct query *query_new(struct querier *querier, struct httpd_exchange *exchange,
                               uint64_t key, int64_t low, int64_t high)
{
    const struct snapshot *snapshot = querier->routes->snapshot;
    size_t first = shard_first_from(snapshot->ranges, snapshot->n_shards, low), end = first;
    while (end < snapshot->n_shards && snapshot->ranges[end].low <= high)
        end++;
    struct query *query = mem_zalloc(1, sizeof(*query) + (end - first) * sizeof(struct query_part));
    query->querier = querier;
    query->exchange = exchange;
    query->key = key;
    memcpy(query->column, snapshot->schema->columns[0].name, sizeof(query->column));
    query->n_parts = query->n_left = end - first;
    for (size_t i = 0; i < query->n_parts; i++) {
        fill_part(&query->parts[i], query, &snapshot->ranges[first + i], low, high);
        if (query->parts[i].channel == CHANNEL_BULK)
            metric_bump(&querier->metrics.bulk_parts);
    }
    metric_bump_by(&querier->metrics.parts, query->n_parts);
    return query;
}

void query_begin(struct querier *querier, struct httpd_exchange *exchange, uint64_t key)
{
    const struct schema *schema = querier->routes->snapshot->schema;
    int64_t low, high;
    struct err err = {0};
    metric_bump(&querier->metrics.reads);
    if (read_body(schema, exchange->request->body, &low, &high, &err) != 0) {
        httpd_refuse(exchange, 400, "%s", err.message);
        return;
    }
    struct query *query = query_new(querier, exchange, key, low, high);
    query->n_left++; /* so that it does not end while its parts are sent */
    for (size_t i = 0; i < query->n_parts; i++)
        send_part(&query->parts[i]);
    if (--query->n_left == 0)
        finish(query);
}

void querier_init(struct querier *querier, struct routes *routes)
{
    *querier = (struct querier){.routes = routes};
    buf_init(&querier->scratch, 0);
    buf_init(&querier->request, 0);
}

void querier_done(struct querier *querier)
{
    buf_done(&querier->scratch);
    buf_done(&querier->request);
}

/* ---- metrics ----------------------------------------------------------------------------------
 */

static const struct metric_def table[] = {
    {"quoit_lb_reads_total", METRIC_COUNTER, "requests", "Reads of rows that clients asked for",
     offsetof(struct query_metrics, reads), 0},
    {"quoit_lb_read_parts_total", METRIC_COUNTER, "requests",
     "Shards that these met, each asked of one replica", offsetof(struct query_metrics, parts), 0},
    {"quoit_lb_read_bulk_parts_total", METRIC_COUNTER, "requests",
     "Those of them over the connection for long answers",
     offsetof(struct query_metrics, bulk_parts), 0},
    {"quoit_lb_read_bytes_total", METRIC_COUNTER, "bytes", "Bytes of answers to reads",
     offsetof(struct query_metrics, bytes), 0},
    {"quoit_lb_read_retries_total", METRIC_COUNTER, "requests",
     "Shards asked of another replica because one failed", offsetof(struct query_metrics, retries),
     0},
    {"quoit_lb_reads_failed_total", METRIC_COUNTER, "requests", "Reads answered 413 or 503",
     offsetof(struct query_metrics, failed), 0},
    {0},
};

const struct metric_set query_metric_set = {"lb: reads of rows", table,
                                            sizeof(struct query_metrics)};
METRICS_REGISTER(query_metric_set);
