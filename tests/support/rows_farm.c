#include "tests/support/rows_farm.h"

#include <arpa/inet.h>
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/mem.h"
#include "core/net.h"
#include "table/batch.h"

/* ---- rows ------------------------------------------------------------------------------------ */

static struct farm_row *find_row(struct rows_server *server, int64_t key)
{
    for (size_t i = 0; i < server->n_rows; i++)
        if (server->rows[i].key == key)
            return &server->rows[i];
    return NULL;
}

static size_t count_rows(const struct rows_server *server, const char *shard)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_rows; i++)
        n += strcmp(server->rows[i].shard, shard) == 0;
    return n;
}

static void put_row(struct rows_server *server, const char *shard, int64_t key, const char *text,
                    size_t n)
{
    struct farm_row *row = find_row(server, key);

    if (!row) {
        size_t i = server->n_rows++;
        assert(i < FARM_MAX_ROWS);
        for (; i > 0 && server->rows[i - 1].key > key; i--)
            server->rows[i] = server->rows[i - 1];
        row = &server->rows[i];
    }
    snprintf(row->shard, sizeof(row->shard), "%s", shard);
    row->key = key;
    snprintf(row->text, sizeof(row->text), "%.*s", (int)n, text);
}

static void remove_row(struct rows_server *server, struct farm_row *row)
{
    size_t i = (size_t)(row - server->rows);

    memmove(row, row + 1, (server->n_rows - i - 1) * sizeof(*row));
    server->n_rows--;
}

/* ---- /batch ---------------------------------------------------------------------------------- */

/* The operation's rows are read in any case. */
static struct batch_result work_on(struct rows_server *server, struct batch_reader *reader,
                                   const struct batch_item *item)
{
    struct batch_result result = {.verdict = BATCH_OK};
    struct row rows[256];
    char shard[NAME_MAX_BYTES + 1];
    int64_t last = 0;

    snprintf(shard, sizeof(shard), "%.*s", (int)item->shard.len, item->shard.at);
    assert(item->n_rows <= 256);
    for (size_t i = 0; i < item->n_rows; i++) {
        assert_int_equal(batch_next_row(reader, item, &last, &rows[i], NULL), 0);
        if (!result.verdict && item->op != BATCH_UPDATE && find_row(server, rows[i].key))
            result = (struct batch_result){.verdict = BATCH_EXISTS, .key = rows[i].key};
    }
    int64_t key = item->op == BATCH_DELETE ? item->low : item->n_rows ? rows[0].key : 0;
    if ((item->op == BATCH_DELETE || item->op == BATCH_UPDATE) && !find_row(server, key))
        result = (struct batch_result){.verdict = BATCH_MISSING, .key = key};
    if (server->failing && item->op != BATCH_ABSENT &&
        (!server->failing_shard || strcmp(server->failing_shard, shard) == 0))
        result = (struct batch_result){.verdict = BATCH_FAILED,
                                       .reason = {server->failing, strlen(server->failing)}};
    if (result.verdict != BATCH_OK)
        return result;
    if (item->op == BATCH_DELETE)
        remove_row(server, find_row(server, key));
    for (size_t i = 0; i < item->n_rows && item->op != BATCH_ABSENT; i++)
        put_row(server, shard, rows[i].key, rows[i].text, rows[i].n_bytes);
    result.n_rows = count_rows(server, shard);
    return result;
}

static void work_on_batch(struct rows_server *server, struct http_view body, struct buf *out)
{
    static const char *const words[] = {"insert", "update", "delete", "absent", "replace", "drop"};
    struct batch_reader reader;
    struct batch_item item;
    struct err err = {0};
    int rc;

    batch_reader_init(&reader, body.at, body.len);
    while ((rc = batch_next(&reader, &item, &err)) == 1) {
        buf_appendf(&server->story, "%s %.*s\n", words[item.op], (int)item.shard.len,
                    item.shard.at);
        struct batch_result result = work_on(server, &reader, &item);
        batch_put_result(out, &result);
    }
    if (rc != 0)
        fail_msg("%s", err.message);
}

/* ---- /read ----------------------------------------------------------------------------------- */

static void work_on_read(struct rows_server *server, struct http_view body, struct buf *out)
{
    cJSON *tree = json_parse(body.at, body.len, NULL);
    const char *shard = json_get_string(tree, "shard");
    const cJSON *range = json_get(tree, "id");
    int64_t low, high;
    bool first = true;

    assert_non_null(shard);
    assert_int_equal(json_get_int64(range, "low", &low), 0);
    assert_int_equal(json_get_int64(range, "high", &high), 0);
    buf_append_str(out, "{\"data\":[");
    for (size_t i = 0; i < server->n_rows; i++) {
        const struct farm_row *row = &server->rows[i];
        if (strcmp(row->shard, shard) != 0 || row->key < low || row->key > high)
            continue;
        buf_appendf(out, "%s%s", first ? "" : ",", row->text);
        first = false;
    }
    buf_append_str(out, "],\"status\":\"success\"}");
    cJSON_Delete(tree);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void reply(struct httpd_exchange *exchange, bool is_read, struct buf *out)
{
    httpd_reply(exchange, 200, is_read ? "application/json" : BATCH_CONTENT_TYPE, NULL,
                buf_head(out), buf_len(out));
}

static void keep(struct rows_server *server, struct httpd_exchange *exchange, struct buf *body,
                 bool is_read, bool is_answer)
{
    assert(server->n_kept < FARM_MAX_HELD);
    server->kept[server->n_kept].exchange = exchange;
    server->kept[server->n_kept].body = *body;
    server->kept[server->n_kept].is_read = is_read;
    server->kept[server->n_kept].is_answer = is_answer;
    server->n_kept++;
}

static void work(struct rows_server *server, struct httpd_exchange *exchange, struct http_view body,
                 bool is_read)
{
    struct buf out;

    buf_init(&out, 0);
    if (is_read)
        work_on_read(server, body, &out);
    else
        work_on_batch(server, body, &out);
    if (server->deaf && !is_read) {
        keep(server, exchange, &out, is_read, true);
        return;
    }
    reply(exchange, is_read, &out);
    buf_done(&out);
}

static bool is_wide(const struct rows_server *server, struct http_view body)
{
    int64_t low, high;
    cJSON *tree = json_parse(body.at, body.len, NULL);

    assert_int_equal(json_get_int64(json_get(tree, "id"), "low", &low), 0);
    assert_int_equal(json_get_int64(json_get(tree, "id"), "high", &high), 0);
    cJSON_Delete(tree);
    return server->hold_wider > 0 && (uint64_t)high - (uint64_t)low >= server->hold_wider;
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct rows_server *server = context;
    bool is_read = http_view_equal(exchange->request->path, "/read");
    struct http_view body = exchange->request->body;

    if (!is_read && !http_view_equal(exchange->request->path, "/batch")) {
        httpd_reply(exchange, 200, "text/plain", NULL, server->name, strlen(server->name));
        return;
    }
    *(is_read ? &server->n_reads : &server->n_batches) += 1;
    if (!is_read)
        server->epoch = strtoull(http_query_value(exchange->request->query, "epoch").at, NULL, 10);
    if (!is_read && server->n_to_lose > 0) {
        struct buf out;
        buf_init(&out, 0);
        server->n_to_lose--;
        if (server->loses_answers)
            work_on_batch(server, body, &out);
        buf_done(&out);
        httpd_refuse(exchange, 500, "told to");
    } else if (server->status != 0) {
        httpd_refuse(exchange, server->status, "told to");
    } else if (server->held || (is_read && is_wide(server, body))) {
        struct buf copy;
        buf_init(&copy, 0);
        buf_append(&copy, body.at, body.len);
        keep(server, exchange, &copy, is_read, false);
    } else {
        work(server, exchange, body, is_read);
    }
}

void farm_release(struct rows_server *server)
{
    size_t n = server->n_kept;

    server->held = server->deaf = false;
    server->hold_wider = 0;
    server->n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct buf *body = &server->kept[i].body;
        if (server->kept[i].is_answer)
            reply(server->kept[i].exchange, server->kept[i].is_read, body);
        else
            work(server, server->kept[i].exchange,
                 (struct http_view){buf_head(body), buf_len(body)}, server->kept[i].is_read);
        buf_done(body);
    }
}

void farm_kill(struct rows_server *server)
{
    for (size_t i = 0; i < server->n_kept; i++) {
        httpd_reply(server->kept[i].exchange, 500, NULL, NULL, NULL, 0); /* never flushed */
        buf_done(&server->kept[i].body);
    }
    server->n_kept = 0;
    httpd_free(server->httpd);
    server->httpd = NULL;
}

void farm_plant(struct rows_server *server, const char *shard, int64_t key, const char *text)
{
    put_row(server, shard, key, text, strlen(text));
}

const char *farm_keys(const struct rows_server *server)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < server->n_rows; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%lld", i > 0 ? " " : "",
                              (long long)server->rows[i].key);
    return text;
}

const char *farm_text(const struct rows_server *server, int64_t key)
{
    for (size_t i = 0; i < server->n_rows; i++)
        if (server->rows[i].key == key)
            return server->rows[i].text;
    return NULL;
}

/* ---- letters --------------------------------------------------------------------------------- */

static void on_letter(void *context, struct letter *letter)
{
    struct rows_farm *farm = context;
    struct lb_letter *lb_letter = (struct lb_letter *)letter;

    if (farm->n_letters == FARM_MAX_LETTERS)
        fail_msg("more letters than a test looks at");
    farm->letters[farm->n_letters++] = lb_letter;
}

size_t farm_count_letters(const struct rows_farm *farm, enum letter_type type, uint64_t uid)
{
    size_t n = 0;

    for (size_t i = 0; i < farm->n_letters; i++)
        n += farm->letters[i]->type == type && (uid == 0 || farm->letters[i]->uid == uid);
    return n;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

const struct snapshot *farm_publish(struct rows_farm *farm, const char *const *shards,
                                    size_t n_shards, const char *left)
{
    struct snapshot_server servers[FARM_MAX_SERVERS];
    struct snapshot_shard plans[FARM_MAX_SHARDS] = {{.live = NULL}};
    uint32_t indices[FARM_MAX_SHARDS][FARM_MAX_SERVERS], at[FARM_MAX_SERVERS];
    struct snapshot *snapshot;
    struct err err = {0};
    size_t n = 0;

    for (size_t i = 0; i < farm->n_servers; i++) {
        struct rows_server *server = farm->servers[i];
        if (strchr(left, '1' + (int)i))
            continue;
        at[i] = (uint32_t)n;
        servers[n++] = (struct snapshot_server){.uid = server->uid,
                                                .id = server->uid,
                                                .name = server->name,
                                                .addr = server->addr,
                                                .counters = server->counters};
    }
    for (size_t i = 0; i < n_shards; i++) {
        struct snapshot_shard *plan = &plans[i];
        snprintf(plan->range.name, sizeof(plan->range.name), "sh%zu", i + 1);
        plan->range.low = (int64_t)i * farm->n_shard_keys;
        plan->range.last = plan->range.low + farm->n_shard_keys - 1;
        plan->live = &farm->live[i];
        plan->readers = plan->writers = indices[i];
        plan->n_readers = plan->n_writers = strlen(shards[i]);
        for (size_t k = 0; k < plan->n_readers; k++)
            indices[i][k] = at[shards[i][k] - '1'];
    }
    struct snapshot_plan plan = {.placement = &farm->fixture.spec,
                                 .hashes = &farm->fixture.hashes.pair,
                                 .servers = servers,
                                 .n_placed = n,
                                 .n_servers = n,
                                 .schema = n_shards > 0 ? &farm->schema : NULL,
                                 .shards = plans,
                                 .n_shards = n_shards};
    if (snapshot_new(&plan, &snapshot, &err) != 0)
        fail_msg("%s", err.message);
    publisher_publish(farm->publisher, snapshot);
    return snapshot;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

void farm_turn(struct rows_farm *farm)
{
    ev_run(farm->loop, EVRUN_ONCE);
}

static struct rows_server *server_new(struct rows_farm *farm, size_t i)
{
    struct rows_server *server = mem_aligned_zalloc(_Alignof(struct rows_server), sizeof(*server));
    struct addr loopback;
    struct err err = {0};

    server->farm = farm;
    server->uid = i + 1;
    snprintf(server->name, sizeof(server->name), "S%zu", i + 1);
    buf_init(&server->story, 0);
    assert_int_equal(addr_parse("127.0.0.1:0", &loopback, &err), 0);
    int fd = net_listen(&loopback, false, &server->addr, &err);
    if (fd < 0)
        fail_msg("%s", err.message);
    server->httpd = httpd_new(&(struct httpd_config){.loop = farm->loop,
                                                     .flusher = &farm->flusher,
                                                     .on_request = on_request,
                                                     .context = server});
    httpd_listen(server->httpd, fd);
    return server;
}

struct rows_farm *farm_new(size_t n_servers, size_t n_readers)
{
    static const char schema[] =
        "{\"columns\":[\"id\",\"name\"],\"dtypes\":[\"Number\",\"String\"]}";
    struct rows_farm *farm = mem_zalloc(1, sizeof(*farm));

    farm->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    flusher_init(&farm->flusher, farm->loop);
    ev_timer_init(&farm->tick, on_tick, 0.002, 0.002);
    ev_timer_start(farm->loop, &farm->tick);
    mailbox_open(&farm->control, farm->loop, on_letter, farm);
    placement_fixture_open(&farm->fixture, "slots", "splitmix64");
    assert_int_equal(schema_parse(schema, sizeof(schema) - 1, &farm->schema, NULL), 0);
    farm->publisher = mem_aligned_zalloc(_Alignof(struct publisher), sizeof(*farm->publisher));
    publisher_init(farm->publisher, n_readers);
    farm->n_shard_keys = 100;
    farm->n_servers = n_servers;
    for (size_t i = 0; i < n_servers; i++)
        farm->servers[i] = server_new(farm, i);
    return farm;
}

void farm_free(struct rows_farm *farm)
{
    for (size_t i = 0; i < farm->n_servers; i++) {
        struct rows_server *server = farm->servers[i];
        farm_kill(server);
        buf_done(&server->story);
        free(server);
    }
    mailbox_close(&farm->control);
    for (size_t i = 0; i < farm->n_letters; i++)
        if (farm->letters[i]->type == LETTER_DIRTY)
            shard_letter_free((struct shard_letter *)farm->letters[i]);
        else
            free(farm->letters[i]);
    publisher_done(farm->publisher);
    free(farm->publisher);
    placement_fixture_close(&farm->fixture);
    ev_timer_stop(farm->loop, &farm->tick);
    flusher_done(&farm->flusher);
    ev_loop_destroy(farm->loop);
    free(farm);
}
