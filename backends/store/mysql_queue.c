/* Requests that wait, and the answers to them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/store/mysql_store.h"

void mysql_queue_init(struct mysql_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

void mysql_queue_add(struct mysql_queue *queue, struct store_request *request)
{
    request->next = NULL;
    *queue->end = request;
    queue->end = &request->next;
}

void mysql_queue_add_first(struct mysql_queue *queue, struct store_request *request)
{
    request->next = queue->first;
    queue->first = request;
    if (!request->next)
        queue->end = &request->next;
}

struct store_request *mysql_queue_take(struct mysql_queue *queue)
{
    struct store_request *request = queue->first;
    if (!request)
        return NULL;
    queue->first = request->next;
    if (!queue->first)
        queue->end = &queue->first;
    request->next = NULL;
    return request;
}

void mysql_answer(struct mysql_store *store, struct store_request *request, int code)
{
    store->n_pending--;
    request->code = code;
    request->on_done(request);
}

void mysql_answer_failed(struct mysql_store *store, struct store_request *request, int code,
                         const char *reason)
{
    /* The reason may be the one that is kept already: several requests share it. */
    if (reason != store->reason) {
        strncpy(store->reason, reason, sizeof(store->reason) - 1);
        store->reason[sizeof(store->reason) - 1] = '\0';
    }
    request->reason = store->reason;
    mysql_answer(store, request, code);
}

static void fail_queue(struct mysql_store *store, struct mysql_queue *queue, const char *reason)
{
    /* What comes while they are answered waits for the next time. */
    struct store_request *request = queue->first, *next;
    for (mysql_queue_init(queue); request; request = next) {
        next = request->next;
        mysql_answer_failed(store, request, -EIO, reason);
    }
}

void mysql_fail_waiting(struct mysql_store *store, const char *reason)
{
    char text[MYSQL_CONN_REASON_BYTES];
    snprintf(text, sizeof(text), "the database cannot be reached: %.400s", reason);
    while (!STAILQ_EMPTY(&store->waiting)) {
        STAILQ_FIRST(&store->waiting)->waits = false;
        STAILQ_REMOVE_HEAD(&store->waiting, link);
    }
    for (size_t i = 0; i < store->base.n_shards; i++)
        fail_queue(store, &((struct mysql_shard *)store->base.shards[i])->changes, text);
    fail_queue(store, &store->reads, text);
    fail_queue(store, &store->shard_changes, text);
}
