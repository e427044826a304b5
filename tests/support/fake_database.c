#include "tests/support/fake_database.h"

#include <ev.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/httpd.h"
#include "core/mem.h"
#include "core/net.h"
#include "loadgen/student.h"

#define SHARD_KEYS (FAKE_DATABASE_KEYS / 2)

struct fake_database {
    struct ev_loop *loop;
    struct ev_async stop;
    struct flusher flusher;
    struct httpd *httpd;
    struct addr addr;
    pthread_t thread;
    pthread_mutex_t mutex; /* over all below */
    struct fake_behaviour behaviour;
    unsigned n_reads, n_digests;
    char *rows[FAKE_DATABASE_KEYS];
};

static const char status_text[] =
    "{\"N\":2,\"schema\":" STUDENT_SCHEMA ",\"shards\":["
    "{\"Stud_id_low\":100,\"Shard_id\":\"sh2\",\"Shard_size\":100},"
    "{\"Stud_id_low\":0,\"Shard_id\":\"sh1\",\"Shard_size\":100}],"
    "\"servers\":{\"Server0\":[\"sh1\",\"sh2\"],\"Server1\":[\"sh1\",\"sh2\"]}}";

/* ---- answers ----------------------------------------------------------------------------------
 */

static void reply(struct httpd_exchange *exchange, unsigned code, const char *text, size_t n)
{
    httpd_reply(exchange, code, "application/json", NULL, text, n);
}

static void answer_status(struct fake_database *database, struct httpd_exchange *exchange)
{
    const struct fake_behaviour *behaviour = &database->behaviour;
    const char *text = behaviour->status_body ? behaviour->status_body : status_text;
    reply(exchange, behaviour->status_code ? behaviour->status_code : 200, text, strlen(text));
}

/* Rows low … high, joined; how many there are. */
static unsigned join_rows(const struct fake_database *database, long long low, long long high,
                          struct buf *out)
{
    unsigned n = 0;
    for (long long key = low < 0 ? 0 : low; key <= high && key < FAKE_DATABASE_KEYS; key++)
        if (database->rows[key]) {
            buf_append_str(out, n++ > 0 ? "," : "");
            buf_append_str(out, database->rows[key]);
        }
    return n;
}

static void answer_read(struct fake_database *database, struct httpd_exchange *exchange)
{
    const struct fake_behaviour *behaviour = &database->behaviour;
    const struct http_view body = exchange->request->body;
    char text[128] = "";
    long long low, high;
    struct buf out;
    database->n_reads++;
    memcpy(text, body.at, body.len < sizeof(text) - 1 ? body.len : sizeof(text) - 1);
    if (sscanf(text, "{\"Stud_id\":{\"low\":%lld,\"high\":%lld}}", &low, &high) != 2) {
        httpd_refuse(exchange, 400, "what is this?");
        return;
    }
    bool bad = behaviour->n_bad_reads == 0 || database->n_reads <= behaviour->n_bad_reads;
    buf_init(&out, 0);
    buf_append_str(&out, "{\"shards_queried\":[\"sh1\"],\"data\":[");
    unsigned n = join_rows(database, low, high, &out);
    if (!(bad && behaviour->cut_reads))
        buf_append_str(&out, "],\"status\":\"success\"}");
    else if (n > 0)
        out.end -= 5;
    if (bad && behaviour->read_code)
        httpd_refuse(exchange, behaviour->read_code, "no");
    else if (behaviour->max_rows && n > behaviour->max_rows)
        httpd_refuse(exchange, 413, "too many");
    else
        reply(exchange, 200, buf_head(&out), buf_len(&out));
    buf_done(&out);
}

static void print_replica(struct buf *out, int server, unsigned n_rows, unsigned checksum)
{
    buf_appendf(out, "%s{\"server\":\"Server%d\",\"rows\":%u,\"checksum\":\"%016x\"}",
                server > 0 ? "," : "", server, n_rows, checksum);
}

static void answer_digest(struct fake_database *database, struct httpd_exchange *exchange)
{
    enum fake_digest digest = database->behaviour.digest;
    struct buf out, rows;
    database->n_digests++;
    if (database->behaviour.n_bad_digests &&
        database->n_digests > database->behaviour.n_bad_digests)
        digest = FAKE_DIGEST_TRUE;
    if (digest == FAKE_DIGEST_NONE) {
        httpd_refuse(exchange, 400, "'/cluster/digest' endpoint does not exist in server replicas");
        return;
    }
    buf_init(&out, 0);
    buf_init(&rows, 0);
    buf_append_str(&out, "{\"equal\":true,\"shards\":[");
    for (int shard = 0; shard < 2; shard++) {
        unsigned n = join_rows(database, shard * SHARD_KEYS, (shard + 1) * SHARD_KEYS - 1, &rows);
        n += digest == FAKE_DIGEST_MORE && shard == 0;
        buf_appendf(&out, "%s{\"shard\":\"sh%d\",\"equal\":true,\"replicas\":[",
                    shard > 0 ? "," : "", shard + 1);
        print_replica(&out, 0, n, 7);
        if (digest == FAKE_DIGEST_SILENT && shard == 0)
            buf_append_str(&out, ",{\"server\":\"Server1\",\"error\":\"no answer in time\"}");
        else if (!(digest == FAKE_DIGEST_SHORT && shard == 1))
            print_replica(&out, 1, n, digest == FAKE_DIGEST_UNEQUAL && shard == 1 ? 8 : 7);
        buf_append_str(&out, "]}");
    }
    buf_append_str(&out, "],\"status\":\"successful\"}");
    reply(exchange, 200, buf_head(&out), buf_len(&out));
    buf_done(&rows);
    buf_done(&out);
}

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct fake_database *database = context;
    const struct http_view target = exchange->request->target;
    pthread_mutex_lock(&database->mutex);
    if (target.len == 7 && memcmp(target.at, "/status", 7) == 0)
        answer_status(database, exchange);
    else if (target.len == 5 && memcmp(target.at, "/read", 5) == 0)
        answer_read(database, exchange);
    else if (target.len == 15 && memcmp(target.at, "/cluster/digest", 15) == 0)
        answer_digest(database, exchange);
    else
        httpd_refuse(exchange, 400, "no such endpoint");
    pthread_mutex_unlock(&database->mutex);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void on_stop(struct ev_loop *loop, struct ev_async *watcher, int events)
{
    (void)watcher, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void *run(void *context)
{
    struct fake_database *database = context;
    ev_run(database->loop, 0);
    return NULL;
}

struct fake_database *fake_database_start(void)
{
    struct fake_database *database = mem_zalloc(1, sizeof(*database));
    struct addr any;
    struct err err;
    database->loop = ev_loop_new(EVFLAG_AUTO);
    pthread_mutex_init(&database->mutex, NULL);
    flusher_init(&database->flusher, database->loop);
    database->httpd = httpd_new(&(struct httpd_config){.loop = database->loop,
                                                       .flusher = &database->flusher,
                                                       .on_request = on_request,
                                                       .context = database});
    int fd = addr_parse("127.0.0.1:0", &any, &err) == 0
                 ? net_listen(&any, false, &database->addr, &err)
                 : -1;
    if (fd < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    httpd_listen(database->httpd, fd);
    ev_async_init(&database->stop, on_stop);
    ev_async_start(database->loop, &database->stop);
    if (pthread_create(&database->thread, NULL, run, database) != 0)
        abort();
    return database;
}

void fake_database_stop(struct fake_database *database)
{
    ev_async_send(database->loop, &database->stop);
    pthread_join(database->thread, NULL);
    httpd_free(database->httpd);
    flusher_done(&database->flusher);
    ev_loop_destroy(database->loop);
    pthread_mutex_destroy(&database->mutex);
    for (size_t i = 0; i < FAKE_DATABASE_KEYS; i++)
        free(database->rows[i]);
    free(database);
}

const struct addr *fake_database_addr(const struct fake_database *database)
{
    return &database->addr;
}

void fake_database_behave(struct fake_database *database, struct fake_behaviour behaviour)
{
    pthread_mutex_lock(&database->mutex);
    database->behaviour = behaviour;
    database->n_reads = database->n_digests = 0;
    pthread_mutex_unlock(&database->mutex);
}

void fake_database_put_text(struct fake_database *database, int64_t key, const char *row)
{
    pthread_mutex_lock(&database->mutex);
    free(database->rows[key]);
    database->rows[key] = row ? mem_strdup(row) : NULL;
    pthread_mutex_unlock(&database->mutex);
}

void fake_database_put(struct fake_database *database, int64_t key, uint64_t version)
{
    struct buf row;
    if (version == STUDENT_NONE) {
        fake_database_put_text(database, key, NULL);
        return;
    }
    buf_init(&row, 0);
    student_put(&row, key, version);
    fake_database_put_text(database, key, buf_str(&row));
    buf_done(&row);
}

void fake_database_clear(struct fake_database *database)
{
    for (int64_t key = 0; key < FAKE_DATABASE_KEYS; key++)
        fake_database_put_text(database, key, NULL);
}

unsigned fake_database_reads(struct fake_database *database)
{
    pthread_mutex_lock(&database->mutex);
    unsigned n = database->n_reads;
    pthread_mutex_unlock(&database->mutex);
    return n;
}
