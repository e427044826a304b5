/* A worker's endpoints of rows: /read goes to the querier; a change is read and checked here, goes
 * to the writer as a letter, and is answered when it comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/httpd.h"
#include "core/mem.h"
#include "lb/letters.h"
#include "lb/query.h"
#include "lb/worker_private.h"
#include "lb/writer.h"

/* Changes that were answered, kept with their memory for those to come. */
#define KEEP_CALLS 256u

static struct change_call *take_call(struct worker *worker)
{
    struct change_call *call = worker->free_calls;
    if (!call)
        return mem_zalloc(1, sizeof(*call));
    worker->free_calls = call->next_free;
    worker->n_free_calls--;
    return call;
}

static void put_call(struct worker *worker, struct change_call *call)
{
    if (worker->n_free_calls == KEEP_CALLS) {
        change_call_free(call);
        return;
    }
    change_call_reset(call);
    call->next_free = worker->free_calls;
    worker->free_calls = call;
    worker->n_free_calls++;
}

void worker_answer_change(struct worker *worker, struct change_call *call)
{
    struct httpd_exchange *exchange = call->exchange;
    char body[256];
    worker->n_changes--;
    if (call->status == 200) {
        int n = snprintf(body, sizeof(body), "{\"message\":\"%s\",\"status\":\"success\"}",
                         call->message);
        httpd_reply(exchange, 200, "application/json", NULL, body, (size_t)n);
    } else {
        httpd_refuse(exchange, call->status, "%s", call->reason);
    }
    put_call(worker, call);
}

/* Reads and checks the change here, and leaves it to the writer. */
static void begin_change(struct worker *worker, struct httpd_exchange *exchange,
                         enum change_type type)
{
    const struct snapshot *snapshot = worker->routes.snapshot;
    struct err err = {0};
    struct change_call *call = take_call(worker);
    unsigned status = worker->stopping ? 503
                                       : change_read(snapshot, type, exchange->request->body,
                                                     &call->change, &err);
    if (status != 0) {
        httpd_refuse(exchange, status, "%s",
                     worker->stopping ? "the load balancer is ending" : err.message);
        put_call(worker, call);
        return;
    }
    call->base.type = LETTER_WRITE;
    call->base.worker = worker->config.index;
    call->exchange = exchange;
    memcpy(call->key_column, snapshot->schema->columns[0].name, sizeof(call->key_column));
    worker->n_changes++;
    if (worker->writer) {
        writer_submit(worker->writer, call);
    } else {
        call->home = &worker->mailbox;
        mailbox_post(worker->config.writer, &call->base.letter);
    }
}

static const struct row_endpoint {
    const char *path;
    llhttp_method_t method, other_method; /* the same, where there is only one */
    enum { ROWS_READ, ROWS_WRITE, ROWS_UPDATE, ROWS_DELETE } what;
    const char *allow;
} row_endpoints[] = {
    {"/read", HTTP_POST, HTTP_GET, ROWS_READ, "GET, POST"},
    {"/write", HTTP_POST, HTTP_POST, ROWS_WRITE, "POST"},
    {"/update", HTTP_PUT, HTTP_PUT, ROWS_UPDATE, "PUT"},
    {"/del", HTTP_DELETE, HTTP_DELETE, ROWS_DELETE, "DELETE"},
};

const struct row_endpoint *worker_find_row_endpoint(struct http_view path)
{
    for (size_t i = 0; i < sizeof(row_endpoints) / sizeof(row_endpoints[0]); i++)
        if (http_view_equal(path, row_endpoints[i].path))
            return &row_endpoints[i];
    return NULL;
}

void worker_call_rows(struct worker *worker, struct httpd_exchange *exchange,
                      const struct row_endpoint *endpoint)
{
    const struct http_message *request = exchange->request;
    if (request->method != endpoint->method && request->method != endpoint->other_method) {
        httpd_refuse_method(exchange, endpoint->allow);
        return;
    }
    if (!worker->routes.snapshot->schema) {
        httpd_refuse(exchange, 409, "there is no database yet: POST /init first");
        return;
    }
    switch (endpoint->what) {
    case ROWS_READ:
        query_begin(
            &worker->querier, exchange,
            key_of(&worker->config.key_source, request, httpd_peer(exchange), &worker->rng));
        return;
    case ROWS_WRITE:
        begin_change(worker, exchange, CHANGE_WRITE);
        return;
    case ROWS_UPDATE:
        begin_change(worker, exchange, CHANGE_UPDATE);
        return;
    case ROWS_DELETE:
        begin_change(worker, exchange, CHANGE_DELETE);
        return;
    }
}

void worker_free_calls(struct worker *worker)
{
    while (worker->free_calls)
        change_call_free(take_call(worker));
}
