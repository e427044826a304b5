/* Reads: rows of keys and of ranges, and digests.
 *
 * Single keys of one shard that wait are asked for together, in one statement. A range goes in
 * pieces, so that neither memory nor the loop is taken for long; one of several pieces is read from
 * a snapshot, so that it shows each change whole or not at all. A connection that is lost is no
 * failure of a read: it goes on with another one after the last row that it gave. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/mysql_store.h"
#include "core/mem.h"

/* Rows, and keys with sums, in one piece. */
#define ROWS_OF_PIECE 512
#define SUMS_OF_PIECE 16384
/* Single keys asked for together. */
#define MAX_KEYS 256
/* A total of more keys than this is said to be long. */
#define LONG_TOTAL 100000

struct reading {
    struct mysql_store *store;
    struct mysql_slot *slot;
    struct mysql_shard *shard;
    struct arena arena;
    bool wide;     /* counted in store->n_wide */
    bool snapshot; /* a transaction is open */
    uint64_t limit;
    int64_t next; /* where the range goes on */
    struct store_request **requests;
    size_t n_requests;
};

static void ask(struct reading *reading);

static struct reading *reading_of(struct mysql_conn *conn)
{
    return ((struct mysql_slot *)conn->owner)->work;
}

/* ---- what a request asks for -------------------------------------------------------------------
 */

static bool is_key(const struct store_request *request)
{
    return request->op == STORE_READ && request->low == request->last;
}

/* Keys from low to last, less one: all 2^64 would not fit. */
static uint64_t width(const struct store_request *request)
{
    return (uint64_t)request->last - (uint64_t)request->low;
}

static uint64_t rows_wanted(const struct store_request *request)
{
    return request->max_rows > 0 ? request->max_rows - request->n_rows : UINT64_MAX;
}

bool mysql_read_is_wide(const struct store_request *request)
{
    uint64_t n = width(request);
    if (request->op == STORE_DIGEST && request->max_rows == 0)
        return n >= LONG_TOTAL;
    uint64_t piece = request->op == STORE_READ ? ROWS_OF_PIECE : SUMS_OF_PIECE;
    return n >= piece && rows_wanted(request) >= piece;
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void free_reading(struct reading *reading)
{
    reading->store->n_wide -= reading->wide;
    arena_done(&reading->arena);
    free(reading);
}

static void finish_reading(struct reading *reading)
{
    mysql_slot_release(reading->slot);
    for (size_t i = 0; i < reading->n_requests; i++)
        mysql_answer(reading->store, reading->requests[i], 0);
    free_reading(reading);
}

static void fail_reading(struct reading *reading, const char *reason)
{
    for (size_t i = 0; i < reading->n_requests; i++)
        mysql_answer_failed(reading->store, reading->requests[i], -EIO, reason);
    free_reading(reading);
}

static void abandon_reading(struct mysql_slot *slot)
{
    struct reading *reading = slot->work;
    slot->work = NULL;
    fail_reading(reading, "the database did not answer while the store was closed");
}

static bool has_failed(struct mysql_conn *conn)
{
    struct reading *reading = reading_of(conn);
    struct mysql_slot *slot = reading->slot;
    if (conn->error == 0)
        return false;
    if (conn->lost) {
        for (size_t i = reading->n_requests; i-- > 0;)
            mysql_queue_add_first(&slot->store->reads, reading->requests[i]);
        free_reading(reading);
        mysql_slot_lost(slot);
        mysql_wake(slot->store);
    } else {
        /* A session in the middle of a snapshot is not worth more than a new one. */
        char reason[MYSQL_CONN_REASON_BYTES];
        memcpy(reason, conn->reason, sizeof(reason));
        mysql_conn_close(conn);
        mysql_slot_lost(slot);
        fail_reading(reading, reason);
    }
    return true;
}

static void on_ended(struct mysql_conn *conn)
{
    struct reading *reading = reading_of(conn);
    struct mysql_slot *slot = reading->slot;
    if (!conn->lost) {
        finish_reading(reading);
        return;
    }
    /* It has its rows. */
    mysql_slot_lost(slot);
    for (size_t i = 0; i < reading->n_requests; i++)
        mysql_answer(reading->store, reading->requests[i], 0);
    free_reading(reading);
}

static void end_reading(struct reading *reading)
{
    if (reading->snapshot)
        mysql_conn_query(&reading->slot->conn, "COMMIT", on_ended);
    else
        finish_reading(reading);
}

/* A row that is not what was written. */
static void fail_damaged(struct reading *reading, const struct err *err)
{
    struct mysql_conn *conn = &reading->slot->conn;
    struct mysql_slot *slot = reading->slot;
    mysql_conn_close(conn);
    mysql_slot_lost(slot);
    fail_reading(reading, err->message);
}

/* ---- single keys -------------------------------------------------------------------------------
 */

static int compare_keys(const void *a, const void *b)
{
    int64_t x = (*(struct store_request *const *)a)->low;
    int64_t y = (*(struct store_request *const *)b)->low;
    return (x > y) - (x < y);
}

static void give_row(struct store_request *request, const struct row *row)
{
    if (request->on_row(request, row)) {
        request->key = row->key;
        request->n_rows = 1;
    } else {
        request->more = true;
    }
}

static void on_keys(struct mysql_conn *conn)
{
    struct reading *reading = reading_of(conn);
    struct mysql_cursor cursor;
    struct row row;
    struct err err;
    size_t at = 0;
    int rc;
    if (has_failed(conn))
        return;
    mysql_cursor_open(&cursor, &reading->shard->form, conn->result, &reading->arena);
    /* Both are sorted. */
    while ((rc = mysql_cursor_next(&cursor, &row, &err)) > 0) {
        while (at < reading->n_requests && reading->requests[at]->low < row.key)
            at++;
        for (; at < reading->n_requests && reading->requests[at]->low == row.key; at++)
            give_row(reading->requests[at], &row);
    }
    mysql_cursor_close(&cursor);
    mysql_stmt_free_result(conn->result);
    if (rc < 0)
        fail_damaged(reading, &err);
    else
        finish_reading(reading);
}

/* Takes those off the queue that can go along, wherever they stand: reads have no order. */
static void take_keys(struct reading *reading)
{
    struct mysql_store *store = reading->store;
    struct store_request **at = &store->reads.first;
    while (*at && reading->n_requests < MAX_KEYS) {
        struct store_request *request = *at;
        if (!is_key(request) || request->shard != &reading->shard->base) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        if (!*at)
            store->reads.end = at;
        request->next = NULL;
        reading->requests[reading->n_requests++] = request;
    }
}

static void ask_keys(struct reading *reading)
{
    int64_t keys[MAX_KEYS];
    size_t n = 0;
    take_keys(reading);
    qsort(reading->requests, reading->n_requests, sizeof(*reading->requests), compare_keys);
    for (size_t i = 0; i < reading->n_requests; i++)
        if (n == 0 || keys[n - 1] != reading->requests[i]->low)
            keys[n++] = reading->requests[i]->low;
    int64_t *kept = arena_alloc(&reading->arena, n * sizeof(*kept));
    memcpy(kept, keys, n * sizeof(*kept));
    mysql_conn_execute(
        &reading->slot->conn,
        mysql_call_keys(&reading->shard->form, SQL_ROWS_OF_KEYS, kept, n, &reading->arena),
        on_keys);
}

/* ---- ranges ------------------------------------------------------------------------------------
 */

/* One more than wanted tells whether there are more. */
static uint64_t piece_limit(const struct store_request *request)
{
    uint64_t piece = request->op == STORE_READ ? ROWS_OF_PIECE : SUMS_OF_PIECE;
    uint64_t wanted = rows_wanted(request);
    return wanted < piece ? wanted + 1 : piece;
}

/* A row came. false: no further one is wanted. */
static bool take_row(struct store_request *request, const struct row *row, uint64_t sum)
{
    request->more =
        rows_wanted(request) == 0 || (request->op == STORE_READ && !request->on_row(request, row));
    if (request->more)
        return false;
    request->key = row->key;
    request->checksum += sum;
    request->n_rows++;
    return true;
}

/* Takes the rows or the sums that came. Their number, or -EIO; ret_more: further ones are wanted.
 */
static int64_t take_piece(struct reading *reading, MYSQL_STMT *result, bool *ret_more,
                          struct err *err)
{
    struct store_request *request = reading->requests[0];
    struct row row = {0};
    bool more = true;
    int64_t n = 0;
    if (request->op == STORE_READ) {
        struct mysql_cursor cursor;
        int rc = 1;
        mysql_cursor_open(&cursor, &reading->shard->form, result, &reading->arena);
        while (more && (rc = mysql_cursor_next(&cursor, &row, err)) > 0) {
            more = take_row(request, &row, 0);
            n++;
        }
        mysql_cursor_close(&cursor);
        n = rc < 0 ? rc : n;
    } else {
        struct mysql_sums sums;
        uint64_t sum;
        mysql_sums_open(&sums, result);
        while (more && mysql_sums_next(&sums, &row.key, &sum)) {
            more = take_row(request, &row, sum);
            n++;
        }
    }
    *ret_more = more;
    return n;
}

static void on_piece(struct mysql_conn *conn)
{
    struct reading *reading = reading_of(conn);
    const struct store_request *request = reading->requests[0];
    struct err err;
    bool more;
    if (has_failed(conn))
        return;
    int64_t n = take_piece(reading, conn->result, &more, &err);
    mysql_stmt_free_result(conn->result);
    if (n < 0) {
        fail_damaged(reading, &err);
        return;
    }
    if (!more || (uint64_t)n < reading->limit || request->key == request->last) {
        end_reading(reading);
        return;
    }
    arena_reset(&reading->arena);
    reading->next = request->key + 1;
    ask(reading);
}

static void on_total(struct mysql_conn *conn)
{
    struct reading *reading = reading_of(conn);
    if (has_failed(conn))
        return;
    struct store_request *request = reading->requests[0];
    mysql_read_total(conn->result, &request->n_rows, &request->checksum);
    mysql_stmt_free_result(conn->result);
    finish_reading(reading);
}

static void ask(struct reading *reading)
{
    const struct store_request *request = reading->requests[0];
    bool total = request->op == STORE_DIGEST && request->max_rows == 0;
    enum mysql_sql kind = total ? SQL_TOTAL : request->op == STORE_READ ? SQL_ROWS : SQL_SUMS;
    reading->limit = piece_limit(request);
    mysql_conn_execute(&reading->slot->conn,
                       mysql_call_range(&reading->shard->form, kind, reading->next, request->last,
                                        reading->limit, &reading->arena),
                       total ? on_total : on_piece);
}

static void on_snapshot(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        ask(reading_of(conn));
}

void mysql_read(struct mysql_slot *slot)
{
    struct mysql_store *store = slot->store;
    struct store_request *first = store->reads.first;
    size_t most = is_key(first) ? MAX_KEYS : 1;
    struct reading *reading = mem_zalloc(1, sizeof(*reading) + most * sizeof(*reading->requests));
    reading->store = store;
    reading->slot = slot;
    reading->shard = (struct mysql_shard *)first->shard;
    reading->requests = (struct store_request **)(reading + 1);
    arena_init(&reading->arena);
    mysql_slot_take(slot, reading, abandon_reading);
    if (is_key(first)) {
        ask_keys(reading);
        return;
    }
    reading->requests[reading->n_requests++] = mysql_queue_take(&store->reads);
    /* One that goes on after a lost connection. */
    reading->next = first->n_rows > 0 ? first->key + 1 : first->low;
    reading->wide = mysql_read_is_wide(first);
    store->n_wide += reading->wide;
    reading->snapshot = reading->wide && !(first->op == STORE_DIGEST && first->max_rows == 0);
    if (reading->snapshot)
        mysql_conn_query(&slot->conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT", on_snapshot);
    else
        ask(reading);
}
