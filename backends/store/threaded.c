/* The loop's side of a threaded store, and its thread's main loop. */
#include "backends/store/threaded.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"

/* Rounds that the loop has not seen yet when the thread waits for it. */
#define MAX_UNDELIVERED 2u

/* ---- the thread ---- */

static struct threaded_round *round_new(void)
{
    struct threaded_round *round = mem_zalloc(1, sizeof(*round));
    threaded_jobs_init(&round->jobs);
    buf_init(&round->rows, 0);
    return round;
}

static void round_free(struct threaded_round *round)
{
    buf_done(&round->rows);
    free(round);
}

/* Waits until there is work and the loop keeps up, and takes all of it behind what is left. False:
 * the store is being closed and nothing is left. */
static bool take_work(struct threaded *store, struct threaded_jobs *jobs)
{
    pthread_mutex_lock(&store->mutex);
    while (!store->closing &&
           ((!jobs->first && !store->incoming.first) || store->n_undelivered >= MAX_UNDELIVERED)) {
        store->waiting = true;
        pthread_cond_wait(&store->wake, &store->mutex);
        store->waiting = false;
    }
    threaded_jobs_move(jobs, &store->incoming);
    store->n_undelivered += jobs->first != NULL;
    pthread_mutex_unlock(&store->mutex);
    return jobs->first != NULL;
}

static void *run_thread(void *argument)
{
    struct threaded *store = argument;
    struct threaded_jobs jobs;
    threaded_jobs_init(&jobs);
    while (take_work(store, &jobs)) {
        struct threaded_round *round = round_new();
        threaded_work(store, &jobs, round);
        mailbox_post(&store->mailbox, &round->letter);
    }
    return NULL;
}

/* ---- the loop ---- */

/* Of the loop's end of a turn. */
static void hand_over(struct flush_item *item)
{
    struct threaded *store =
        (struct threaded *)(void *)((char *)item - offsetof(struct threaded, flush));
    pthread_mutex_lock(&store->mutex);
    threaded_jobs_move(&store->incoming, &store->outgoing);
    if (store->waiting)
        pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

static void send_job(struct threaded *store, struct threaded_job *job)
{
    threaded_jobs_add(&store->outgoing, job);
    flusher_add(store->flusher, &store->flush);
}

enum store_submit threaded_submit(struct store *base, struct store_request *request)
{
    struct threaded *store = (struct threaded *)base;
    struct threaded_job *job = store->spare;
    if (job)
        store->spare = job->next;
    else
        job = mem_alloc(sizeof(*job));
    *job = (struct threaded_job){.request = request, .from = request->low};
    request->code = 0;
    request->reason = NULL;
    request->n_rows = 0;
    request->more = false;
    send_job(store, job);
    return STORE_PENDING;
}

/* Gives the rows of a job's piece on. Returns where the next job's begin; *ret_taken is false when
 * the reader stopped. */
static const char *give_rows(const struct threaded_job *job, const char *at, bool *ret_taken)
{
    struct store_request *request = job->request;
    *ret_taken = true;
    for (size_t i = 0; i < job->n_piece; i++) {
        struct row row;
        assert(at != NULL);
        memcpy(&row.key, at, sizeof(row.key));
        memcpy(&row.n_bytes, at + sizeof(row.key), sizeof(row.n_bytes));
        row.text = at + sizeof(row.key) + sizeof(row.n_bytes);
        at = row.text + row.n_bytes;
        if (!*ret_taken)
            continue;
        *ret_taken = request->on_row(request, &row);
        if (!*ret_taken)
            continue;
        request->key = row.key;
        request->n_rows++;
    }
    return at;
}

/* A piece of a STORE_READ: true when it is done with it. */
static bool read_is_done(const struct threaded_job *job, const char **at)
{
    struct store_request *request = job->request;
    bool taken;
    *at = give_rows(job, *at, &taken);
    if (!taken)
        request->more = true;
    return !taken || !job->unfinished;
}

static void list_shard(struct threaded *store, const struct store_request *request)
{
    struct threaded_shard *shard = (struct threaded_shard *)request->shard;
    if (request->op == STORE_CREATE && !shard->listed) {
        shard->listed = true;
        store_add_shard(&store->base, &shard->base);
    } else if (request->op == STORE_DROP) {
        store_remove_shard(&store->base, &shard->base);
        free(shard);
    }
}

static void finish_job(struct threaded *store, struct threaded_job *job)
{
    struct store_request *request = job->request;
    request->code = job->code;
    if (request->code == 0 && (request->op == STORE_CREATE || request->op == STORE_DROP))
        list_shard(store, request);
    job->next = store->spare;
    store->spare = job;
    request->on_done(request);
}

static void deliver(struct threaded *store, struct threaded_round *round)
{
    const char *at = buf_head(&round->rows);
    while (round->jobs.first) {
        struct threaded_job *job = threaded_jobs_take(&round->jobs);
        bool read = job->request->op == STORE_READ && job->code == 0;
        if (!read || read_is_done(job, &at)) {
            finish_job(store, job);
            continue;
        }
        /* There are further keys: the last one of the range was not among these. */
        job->from = job->request->key + 1;
        send_job(store, job);
    }
    round_free(round);
}

static void on_round(void *context, struct letter *letter)
{
    struct threaded *store = context;
    /* What it was waiting for is that there are fewer of them: it goes on while we deliver. */
    pthread_mutex_lock(&store->mutex);
    store->n_undelivered--;
    if (store->waiting)
        pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    deliver(store, (struct threaded_round *)letter);
}

/* ---- opening and closing ---- */

int threaded_init(struct threaded *store, const struct threaded_ops *ops,
                  const struct store_config *config, const char *name, struct err *err)
{
    char *lock = mem_printf("%s/lock", config->dir);
    store->lock_fd = file_lock(lock, err);
    free(lock);
    if (store->lock_fd < 0)
        return store->lock_fd;
    store->opened_ns = clock_now_ns();
    store->ops = ops;
    store->path = mem_printf("%s/%s", config->dir, name);
    store->flusher = config->flusher;
    store->flush.flush = hand_over;
    threaded_jobs_init(&store->outgoing);
    threaded_jobs_init(&store->incoming);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->wake, NULL);
    mailbox_open(&store->mailbox, config->loop, on_round, store);
    return 0;
}

struct threaded_shard *threaded_add(struct threaded *store, uint64_t id, const char *name,
                                    const char *schema, size_t n_schema)
{
    struct threaded_shard *shard = mem_zalloc(1, store->ops->shard_bytes);
    if (!name_valid(name) || schema_parse(schema, n_schema, &shard->base.schema, NULL) != 0) {
        free(shard);
        return NULL;
    }
    memcpy(shard->base.name, name, strlen(name) + 1);
    shard->id = id;
    shard->listed = true;
    if (id > store->last_id)
        store->last_id = id;
    store_add_shard(&store->base, &shard->base);
    store->shards = mem_realloc(store->shards, store->n_shards + 1, sizeof(*store->shards));
    store->shards[store->n_shards++] = shard;
    return shard;
}

static int begin_thread(struct threaded *store, struct err *err)
{
    sigset_t all, before;
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&store->thread, NULL, run_thread, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set_errno(err, rc, "cannot start the thread of %s", store->path);
    store->running = true;
    store->opened_ns = clock_now_ns() - store->opened_ns;
    return 0;
}

/* The thread does what it has got and ends; what comes of that is done here. */
static void finish_pending(struct threaded *store)
{
    pthread_mutex_lock(&store->mutex);
    threaded_jobs_move(&store->incoming, &store->outgoing);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    if (store->running)
        pthread_join(store->thread, NULL);
    mailbox_close(&store->mailbox);
    while (store->outgoing.first) {
        struct threaded_round *round = round_new();
        threaded_work(store, &store->outgoing, round);
        deliver(store, round);
    }
}

void threaded_close(struct store *base)
{
    struct threaded *store = (struct threaded *)base;
    finish_pending(store);
    flusher_remove(store->flusher, &store->flush);
    for (size_t i = 0; i < store->n_shards; i++) {
        store->ops->forget(store, store->shards[i]);
        free(store->shards[i]);
    }
    store->ops->close(store);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->wake);
    while (store->spare) {
        struct threaded_job *job = store->spare;
        store->spare = job->next;
        free(job);
    }
    for (size_t i = 0; i < store->n_reasons; i++)
        free(store->reasons[i]);
    close(store->lock_fd);
    free(store->shards);
    free(store->base.shards);
    free(store->path);
    free(store);
}

int threaded_start(struct threaded *store, int rc, struct store **ret_store, struct err *err)
{
    if (rc == 0)
        rc = begin_thread(store, err);
    if (rc != 0) {
        threaded_close(&store->base);
        return rc;
    }
    *ret_store = &store->base;
    return 0;
}

void threaded_describe(const struct store *base, struct buf *out)
{
    const struct threaded *store = (const struct threaded *)base;
    /* Called where a person wants to know what was found: before the first request. */
    uint64_t n_rows = 0;
    for (size_t i = 0; i < store->n_shards; i++)
        n_rows += store->shards[i]->n_rows;
    buf_appendf(out, "path=%s shards=%zu rows=%" PRIu64 " opened_ms=%" PRIu64, store->path,
                store->n_shards, n_rows, store->opened_ns / NS_PER_MS);
}
