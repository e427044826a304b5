/* Batches of changes: what waits for a shard goes to the database together.
 *
 *   queue ─▶ take ─┬─ only inserts ──▶ INSERT of all rows ── a key is there ─┐
 *                  │                        │                                ▼
 *                  ├─ anything else ────────┼──────▶ look: the sums of the keys concerned
 *                  │                        │                 │ settle: each request in its turn,
 *                  │                        │                 ▼ against what is there
 *                  └─ REPLACE ─▶ total of   │         put what is new, delete what is gone
 *                                the range ─┼────────────▶    │
 *                                           ▼                 ▼
 *                                        committed ──▶ every request has its answer
 *
 * One statement is a transaction by itself; more of them stand between BEGIN and COMMIT. Since
 * nobody else writes the shard, what was looked at stays as it is until it is written. Each request
 * is all or nothing in its turn, and has the answer it would have had alone.
 *
 * When the connection is lost after the statement that commits was sent, nobody has told what
 * became of it: the slot's next connection counts the shard anew, which either is as it was (then
 * the batch is done again) or as the batch would have it. An error told for such a statement is
 * believed where the server only has it before it commits; with any other, a COMMIT that failed or
 * a KILL QUERY that came when all was done, the connection is given up and the shard counted too.
 */
#include <assert.h>
#include <errno.h>
#include <mariadb/mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/mysql_batch.h"
#include "core/mem.h"

/* Parameters of a statement: the protocol counts them in 16 bits. */
#define MAX_PARAMETERS 60000
/* A batch is begun anew so often, when the database gave it up or a connection was lost. */
#define MAX_ATTEMPTS 10

static void look(struct mysql_batch *batch);
static void step(struct mysql_batch *batch);
static void begin(struct mysql_batch *batch);

static struct mysql_batch *batch_of(struct mysql_conn *conn)
{
    return ((struct mysql_slot *)conn->owner)->work;
}

/* ---- the end of a batch ------------------------------------------------------------------------
 */

static void free_batch(struct mysql_batch *batch)
{
    arena_done(&batch->arena);
    arena_done(&batch->scratch);
    free(batch);
}

/* The shard may go on: with whatever waits for it. */
static void let_shard_go(struct mysql_batch *batch)
{
    batch->shard->changing = false;
    mysql_shard_waits(batch->store, batch->shard);
}

/* Every request has its code already. */
static void answer_all(struct mysql_batch *batch)
{
    for (size_t i = 0; i < batch->n_changes && !batch->answered; i++)
        mysql_answer(batch->store, batch->changes[i].request, batch->changes[i].request->code);
    batch->answered = true;
}

static void answer_all_failed(struct mysql_batch *batch, int code, const char *reason)
{
    for (size_t i = 0; i < batch->n_changes && !batch->answered; i++)
        mysql_answer_failed(batch->store, batch->changes[i].request, code, reason);
    batch->answered = true;
}

static void finish_batch(struct mysql_batch *batch)
{
    struct mysql_slot *slot = batch->slot;
    batch->shard->n_rows = batch->n_rows_after;
    batch->shard->checksum = batch->checksum_after;
    batch->shard->n_losses = 0;
    batch->store->n_batches++;
    batch->store->n_batched += batch->n_changes;
    mysql_slot_release(slot);
    let_shard_go(batch);
    answer_all(batch);
    free_batch(batch);
}

/* Nothing was changed, and nothing will be. */
static void fail_batch(struct mysql_batch *batch, int code, const char *reason)
{
    mysql_slot_release(batch->slot);
    let_shard_go(batch);
    answer_all_failed(batch, code, reason);
    free_batch(batch);
}

/* Nothing was changed, and it can be tried again, with another connection perhaps: its requests go
 * back to where they were taken, before all others. Not for ever: a request may be what the server
 * closes the connection for. */
static void requeue_batch(struct mysql_batch *batch)
{
    bool hopeless = ++batch->shard->n_losses >= MAX_ATTEMPTS;
    for (size_t i = batch->n_changes; i-- > 0 && !hopeless && !batch->answered;)
        mysql_queue_add_first(&batch->shard->changes, batch->changes[i].request);
    let_shard_go(batch);
    if (hopeless) {
        char reason[MYSQL_BATCH_REASON_BYTES];
        snprintf(reason, sizeof(reason), "it failed each time it was tried, last with: %.180s",
                 batch->slot->conn.reason);
        answer_all_failed(batch, -EIO, reason);
    }
    free_batch(batch);
}

/* The connection is gone, and the slot lets go of the batch. */
static void lose_connection(struct mysql_batch *batch)
{
    struct mysql_slot *slot = batch->slot;
    if (batch->committing)
        slot->lost = batch;
    else
        requeue_batch(batch);
    mysql_slot_lost(slot);
}

static void abandon_batch(struct mysql_slot *slot)
{
    struct mysql_batch *batch = slot->work;
    slot->work = NULL;
    slot->lost = batch;
    mysql_write_forget(slot);
}

/* ---- failures ----------------------------------------------------------------------------------
 */

/* Whether the server has this error only before it commits: a statement by itself that ends with it
 * has changed nothing. Errors not listed may come of the commit (ER_ERROR_DURING_COMMIT, the binary
 * log's) or, like those of KILL QUERY and max_statement_time, behind it: MariaDB and MySQL look
 * once more whether the statement was killed when they are about to answer. */
static bool surely_changed_nothing(unsigned error)
{
    switch (error) {
    case ER_DUP_ENTRY:
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_NEED_REPREPARE:
    case ER_CHECKREAD:
    case ER_RECORD_FILE_FULL:
    case ER_NO_SUCH_TABLE:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_OPTION_PREVENTS_STATEMENT: /* read_only */
    case ER_DATA_TOO_LONG:
    case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
        return true;
    default:
        return false;
    }
}

/* Deadlocks, a lock that was waited for too long, a statement that somebody killed or that has to
 * be prepared anew. */
static bool may_try_again(unsigned error)
{
    return error == ER_LOCK_DEADLOCK || error == ER_LOCK_WAIT_TIMEOUT ||
           error == ER_QUERY_INTERRUPTED || error == ER_NEED_REPREPARE || error == ER_CHECKREAD;
}

static int code_of(unsigned error)
{
    return mysql_conn_errno(error) == -ENOSPC ? -ENOSPC : -EIO;
}

/* The server says of what commits that it failed, which may be said of what has happened. When the
 * session has ended it can be found out: that is the way of a lost connection. */
static void doubt(struct mysql_batch *batch)
{
    struct mysql_conn *conn = &batch->slot->conn;
    if (!may_try_again(conn->error)) {
        batch->told_code = code_of(conn->error);
        snprintf(batch->told, sizeof(batch->told), "%.*s", (int)sizeof(batch->told) - 1,
                 conn->reason);
    }
    mysql_conn_close(conn);
    lose_connection(batch);
}

static void on_rolled_back(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    if (conn->error == 0) {
        begin(batch);
        return;
    }
    /* BEGIN would commit what was not rolled back; the session's end does not. */
    mysql_conn_close(conn);
    lose_connection(batch);
}

/* Begins anew on the same connection. */
static void try_again(struct mysql_batch *batch)
{
    bool in_transaction = batch->in_transaction;
    batch->in_transaction = batch->committing = false;
    if (in_transaction)
        mysql_conn_query(&batch->slot->conn, "ROLLBACK", on_rolled_back);
    else
        begin(batch);
}

/* The failure's text outlives the ROLLBACK, which has its own. */
static void on_rolled_back_failed(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    int code = batch->changes[0].request->code;
    if (conn->error != 0) {
        mysql_conn_close(conn);
        struct mysql_slot *slot = batch->slot;
        let_shard_go(batch);
        answer_all_failed(batch, code, batch->store->reason);
        free_batch(batch);
        mysql_slot_lost(slot);
        return;
    }
    fail_batch(batch, code, batch->store->reason);
}

static void give_up(struct mysql_batch *batch, int code)
{
    struct mysql_conn *conn = &batch->slot->conn;
    memcpy(batch->store->reason, conn->reason, sizeof(conn->reason));
    batch->committing = false;
    if (!batch->in_transaction) {
        fail_batch(batch, code, batch->store->reason);
        return;
    }
    batch->changes[0].request->code = code;
    mysql_conn_query(conn, "ROLLBACK", on_rolled_back_failed);
}

/* Whether the operation that ended has failed, which is then seen to. */
static bool has_failed(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    if (conn->error == 0)
        return false;
    if (conn->lost)
        lose_connection(batch);
    else if (batch->committing && !surely_changed_nothing(conn->error))
        doubt(batch);
    else if (conn->error == ER_DUP_ENTRY && !batch->settled)
        try_again(batch);
    else if (may_try_again(conn->error) && ++batch->attempts < MAX_ATTEMPTS)
        try_again(batch);
    else
        give_up(batch, code_of(conn->error));
    return true;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* A row alone is executed as it is: a statement with arrays has a length for each of its parts. */
static bool goes_as_array(const struct mysql_batch *batch, size_t n)
{
    return n > 1 && batch->slot->conn.takes_arrays;
}

static size_t n_puts_of_statement(const struct mysql_batch *batch, size_t from)
{
    bool arrays = batch->slot->conn.takes_arrays;
    size_t most =
        arrays ? MYSQL_MAX_ARRAY_ROWS : MAX_PARAMETERS / (3 * batch->shard->base.schema.n_columns);
    size_t n = 0, n_bytes = 0;
    if (!arrays && most > MYSQL_MAX_ROWS)
        most = MYSQL_MAX_ROWS;
    while (n < most && from + n < batch->n_puts) {
        n_bytes += batch->puts[from + n]->row->n_bytes;
        if (n > 0 && n_bytes > MYSQL_MAX_STATEMENT_BYTES)
            break;
        n++;
    }
    return n;
}

static bool needs_transaction(const struct mysql_batch *batch)
{
    size_t n_deletes = batch->delete_range ? 1 : batch->n_deletes > 0;
    if (batch->n_deletes > MYSQL_MAX_ROWS || (n_deletes > 0 && batch->n_puts > 0))
        return true;
    return n_puts_of_statement(batch, 0) < batch->n_puts;
}

static void on_written(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        step(batch_of(conn));
}

static void on_committed(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    if (conn->error != 0 && !conn->lost)
        doubt(batch); /* whatever it says: a COMMIT that fails may have happened */
    else if (!has_failed(conn))
        finish_batch(batch);
}

/* Sends the statement that comes next. */
static void step(struct mysql_batch *batch)
{
    struct mysql_conn *conn = &batch->slot->conn;
    const struct mysql_form *form = &batch->shard->form;
    const struct store_request *request = batch->changes[0].request;
    struct mysql_call *call = NULL;
    if (batch->delete_range) {
        batch->delete_range = false;
        call = mysql_call_range(form, SQL_DELETE_RANGE, request->low, request->last, 0,
                                &batch->scratch);
    } else if (batch->n_deleted < batch->n_deletes) {
        size_t n = batch->n_deletes - batch->n_deleted;
        n = n < MYSQL_MAX_ROWS ? n : MYSQL_MAX_ROWS;
        call = mysql_call_keys(form, SQL_DELETE_KEYS, batch->deletes + batch->n_deleted, n,
                               &batch->scratch);
        batch->n_deleted += n;
    } else if (batch->n_put < batch->n_puts) {
        size_t n = n_puts_of_statement(batch, batch->n_put);
        call = mysql_call_rows(form, batch->put_kind, batch->puts + batch->n_put, n,
                               goes_as_array(batch, n), &batch->scratch);
        batch->n_put += n;
    }
    if (call) {
        batch->committing = !batch->in_transaction;
        mysql_conn_execute(conn, call, on_written);
    } else if (batch->in_transaction) {
        batch->committing = true;
        mysql_conn_query(conn, "COMMIT", on_committed);
    } else {
        finish_batch(batch);
    }
}

static void write_batch(struct mysql_batch *batch)
{
    if (!needs_transaction(batch)) {
        step(batch);
        return;
    }
    batch->in_transaction = true;
    mysql_conn_query(&batch->slot->conn, "BEGIN", on_written);
}

/* ---- only inserts ------------------------------------------------------------------------------
 */

static void answer_inserted(struct mysql_batch *batch)
{
    uint64_t n_rows = batch->shard->n_rows, checksum = batch->shard->checksum;
    for (size_t i = 0; i < batch->n_changes; i++) {
        struct mysql_change *change = &batch->changes[i];
        n_rows += change->request->n_rows_in;
        change->request->n_rows_now = n_rows;
        change->request->code = 0;
        for (size_t j = 0; j < change->request->n_rows_in; j++)
            checksum += change->rows[j].sum;
    }
    batch->n_rows_after = n_rows;
    batch->checksum_after = checksum;
}

/* As if none of the keys were there; the database knows better. */
static void insert_all(struct mysql_batch *batch)
{
    batch->puts = arena_alloc(&batch->scratch, batch->n_rows * sizeof(struct mysql_values *));
    for (size_t i = 0; i < batch->n_changes; i++)
        for (size_t j = 0; j < batch->changes[i].request->n_rows_in; j++)
            batch->puts[batch->n_puts++] = &batch->changes[i].rows[j];
    batch->put_kind = SQL_INSERT;
    answer_inserted(batch);
    write_batch(batch);
}

static bool inserts_only(const struct mysql_batch *batch)
{
    for (size_t i = 0; i < batch->n_changes; i++)
        if (batch->changes[i].request->op != STORE_INSERT)
            return false;
    return true;
}

/* ---- looking first -----------------------------------------------------------------------------
 */

static void settle(struct mysql_batch *batch)
{
    mysql_batch_settle(batch);
    write_batch(batch);
}

static void on_looked(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    if (has_failed(conn))
        return;
    struct mysql_sums sums;
    int64_t key;
    uint64_t sum;
    mysql_sums_open(&sums, conn->result);
    while (mysql_sums_next(&sums, &key, &sum))
        mysql_batch_found(batch, key, sum);
    mysql_stmt_free_result(conn->result);
    if (batch->n_looked < batch->n_cells)
        look(batch);
    else
        settle(batch);
}

/* Asks for the next of the cells. */
static void look(struct mysql_batch *batch)
{
    size_t n = batch->n_cells - batch->n_looked;
    n = n < MYSQL_MAX_ROWS ? n : MYSQL_MAX_ROWS;
    int64_t *keys = arena_alloc(&batch->scratch, n * sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = batch->cells[batch->n_looked + i].key;
    batch->n_looked += n;
    mysql_conn_execute(
        &batch->slot->conn,
        mysql_call_keys(&batch->shard->form, SQL_SUMS_OF_KEYS, keys, n, &batch->scratch),
        on_looked);
}

/* ---- REPLACE -----------------------------------------------------------------------------------
 */

static void on_totalled(struct mysql_conn *conn)
{
    struct mysql_batch *batch = batch_of(conn);
    if (has_failed(conn))
        return;
    struct mysql_change *change = &batch->changes[0];
    uint64_t n_old = 0, old = 0, new = 0;
    mysql_read_total(conn->result, &n_old, &old);
    mysql_stmt_free_result(conn->result);
    batch->puts = arena_alloc(&batch->scratch, batch->n_rows * sizeof(struct mysql_values *));
    for (size_t i = 0; i < batch->n_rows; i++) {
        batch->puts[batch->n_puts++] = &change->rows[i];
        new += change->rows[i].sum;
    }
    batch->n_rows_after = batch->shard->n_rows - n_old + batch->n_rows;
    batch->checksum_after = batch->shard->checksum - old + new;
    batch->settled = true;
    batch->put_kind = SQL_INSERT;
    change->request->code = 0;
    change->request->n_rows_now = batch->n_rows_after;
    /* A copy that is brought up to date is the same already, mostly. */
    if (n_old == batch->n_rows && old == new)
        batch->n_puts = 0;
    else
        batch->delete_range = n_old > 0;
    write_batch(batch);
}

static void replace(struct mysql_batch *batch)
{
    const struct store_request *request = batch->changes[0].request;
    mysql_conn_execute(&batch->slot->conn,
                       mysql_call_range(&batch->shard->form, SQL_TOTAL, request->low, request->last,
                                        0, &batch->scratch),
                       on_totalled);
}

/* ---- the beginning -----------------------------------------------------------------------------
 */

/* Once as if all keys were new; when one is not, or there is more than inserts, with a look first.
 */
static void begin(struct mysql_batch *batch)
{
    bool tried = batch->puts != NULL && !batch->settled;
    arena_reset(&batch->scratch);
    batch->cells = NULL;
    batch->n_cells = batch->n_looked = 0;
    batch->puts = NULL;
    batch->n_puts = batch->n_put = 0;
    batch->n_deletes = batch->n_deleted = 0;
    batch->delete_range = false;
    batch->in_transaction = batch->committing = false;
    if (batch->changes[0].request->op == STORE_REPLACE) {
        replace(batch);
    } else if (!tried && !batch->settled && inserts_only(batch)) {
        insert_all(batch);
    } else {
        mysql_batch_make_cells(batch);
        if (batch->n_cells > 0)
            look(batch);
        else
            settle(batch);
    }
}

void mysql_write(struct mysql_slot *slot, struct mysql_shard *shard)
{
    struct mysql_batch *batch = mem_zalloc(1, sizeof(*batch));
    batch->store = slot->store;
    batch->shard = shard;
    batch->slot = slot;
    arena_init(&batch->arena);
    arena_init(&batch->scratch);
    shard->changing = true;
    mysql_slot_take(slot, batch, abandon_batch);
    mysql_batch_gather(batch);
    if (batch->n_changes > 0) {
        begin(batch);
        return;
    }
    mysql_slot_release(slot);
    let_shard_go(batch);
    free_batch(batch);
}

/* ---- what became of it -------------------------------------------------------------------------
 */

static void on_counted(struct mysql_conn *conn)
{
    struct mysql_slot *slot = conn->owner;
    struct mysql_batch *batch = slot->lost;
    uint64_t n_rows, checksum;
    if (conn->error != 0) {
        mysql_conn_close(conn);
        mysql_slot_lost(slot);
        return;
    }
    mysql_read_total(conn->result, &n_rows, &checksum);
    mysql_stmt_free_result(conn->result);
    slot->lost = NULL;
    bool as_before = n_rows == batch->shard->n_rows && checksum == batch->shard->checksum;
    bool as_meant = n_rows == batch->n_rows_after && checksum == batch->checksum_after;
    batch->shard->n_rows = n_rows;
    batch->shard->checksum = checksum;
    mysql_slot_release(slot);
    if (as_before && !as_meant && batch->told_code == 0) {
        requeue_batch(batch);
        return;
    }
    let_shard_go(batch);
    if (as_meant)
        answer_all(batch);
    else if (as_before)
        answer_all_failed(batch, batch->told_code, batch->told);
    else
        answer_all_failed(batch, -ENOTRECOVERABLE,
                          "the shard's rows are neither those of before nor those of after: "
                          "somebody else writes them");
    free_batch(batch);
}

void mysql_write_verify(struct mysql_slot *slot)
{
    struct mysql_batch *batch = slot->lost;
    arena_reset(&batch->scratch);
    mysql_conn_execute(
        &slot->conn,
        mysql_call_range(&batch->shard->form, SQL_TOTAL, INT64_MIN, INT64_MAX, 0, &batch->scratch),
        on_counted);
}

void mysql_write_give_up(struct mysql_slot *slot)
{
    char reason[MYSQL_BATCH_REASON_BYTES];
    snprintf(reason, sizeof(reason),
             "the database was lost while it committed, and cannot be asked what became of it: "
             "%.120s",
             slot->conn.reason);
    answer_all_failed(slot->lost, -ENOTRECOVERABLE, reason);
}

void mysql_write_forget(struct mysql_slot *slot)
{
    struct mysql_batch *batch = slot->lost;
    slot->lost = NULL;
    batch->shard->changing = false;
    answer_all_failed(batch, batch->committing ? -ENOTRECOVERABLE : -EIO,
                      "the database did not answer while the store was closed");
    free_batch(batch);
}
