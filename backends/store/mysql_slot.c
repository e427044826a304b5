/* A place for a connection: connecting, locking, connecting again.
 *
 *   DOWN ── timer ──▶ OPENING: connect ─▶ SET … ─▶ GET_LOCK ─▶ what became of `lost`? ──▶ IDLE
 *     ▲                  │                             │ (again, while it is taken)         │ ▲
 *     └────── failed ────┴─────────────────────────────┘         the connection is gone ────▼ │
 *     ▲──────────────────────────────────────────────────────────────────────────────── BUSY ─┘
 *
 * Each slot's connection holds a user lock of the server's, named by the store and the slot's
 * number, as long as it lives; the server gives it back when the session has ended and what it was
 * doing is committed or rolled back. Hence:
 *   - who has the lock of a slot knows that the slot's last session does nothing any more, so that
 *     counting the rows tells for good whether its last batch was committed;
 *   - two processes cannot serve the same server's tables: the second one does not get the locks.
 * See GET_LOCK() in the MariaDB and MySQL manuals. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/store/mysql_store.h"
#include "core/clock.h"

#define FIRST_BACKOFF_S 0.02
#define LAST_BACKOFF_S 0.5
/* A process that was killed has sessions that end when the server notices. The store's timeout
 * where that is less. */
#define LOCK_PATIENCE_S 10
#define LOCK_AGAIN_US (50 * 1000)

/* Kinds of statements on no table. */
enum { SQL_LOCK = SQL_LAST_OF_SHARD + 1, SQL_OTHERS_LOCKS };

/* Deadlocks are found at once; what waits longer than this for a row waits for somebody who should
 * not be there. */
#define SESSION_SQL                                                                                \
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',autocommit=1,"                \
    "innodb_lock_wait_timeout=5,wait_timeout=31536000"
/* What wide reads want of their snapshot. */
#define ISOLATION_SQL "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"

static unsigned lock_patience_s(const struct mysql_store *store)
{
    uint64_t s = (store->timeout_ns + NS_PER_S - 1) / NS_PER_S;
    return s < LOCK_PATIENCE_S ? (unsigned)s : LOCK_PATIENCE_S;
}

static struct mysql_slot *slot_of(struct mysql_conn *conn)
{
    return conn->owner;
}

static void write_lock_sql(const struct mysql_call *call, struct buf *sql)
{
    const struct mysql_slot *slot = call->context;
    if (call->key.kind == SQL_LOCK) {
        buf_appendf(sql, "SELECT GET_LOCK('%s.%u',%u)", slot->store->lock_name, slot->number,
                    lock_patience_s(slot->store));
        return;
    }
    /* Those of an earlier life with more connections too. */
    buf_append_str(sql, "SELECT 1");
    for (unsigned i = 1; i < MYSQL_MAX_CONNECTIONS; i++)
        buf_appendf(sql, " AND IS_FREE_LOCK('%s.%u')", slot->store->lock_name, i);
}

static void set_lock_call(struct mysql_slot *slot, uint32_t kind)
{
    slot->lock_call = (struct mysql_call){
        .key = {.kind = kind}, .write_sql = write_lock_sql, .context = slot, .has_rows = true};
}

/* The one number that was asked for; 0 where it is NULL. */
static long long read_number(MYSQL_STMT *stmt)
{
    long long number = 0;
    my_bool is_null = 0;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &number, .is_null = &is_null};
    mysql_stmt_bind_result(stmt, &bind);
    return mysql_stmt_fetch(stmt) == 0 && !is_null ? number : 0;
}

/* ---- opening, on the loop ----------------------------------------------------------------------
 */

static void on_locked(struct mysql_conn *conn);

static void try_again(struct mysql_slot *slot)
{
    struct mysql_store *store = slot->store;
    uint64_t now_ns = clock_now_ns();
    slot->state = SLOT_DOWN;
    if (slot->lost && now_ns - slot->down_since_ns > store->timeout_ns)
        mysql_write_give_up(slot);
    bool any_up = false;
    for (unsigned i = 0; i < store->n_slots; i++)
        any_up = any_up || store->slots[i].state >= SLOT_IDLE;
    if (!any_up && now_ns - store->up_at_ns > store->timeout_ns)
        mysql_fail_waiting(store, slot->conn.reason);
    ev_now_update(store->loop);
    ev_timer_set(&slot->retry, slot->backoff_s, 0.);
    ev_timer_start(store->loop, &slot->retry);
    slot->backoff_s = fmin(slot->backoff_s * 2, LAST_BACKOFF_S);
}

/* Failed on the way up. */
static bool has_failed(struct mysql_conn *conn)
{
    if (conn->error == 0)
        return false;
    mysql_conn_close(conn);
    try_again(slot_of(conn));
    return true;
}

static void take_lock(struct mysql_slot *slot)
{
    set_lock_call(slot, SQL_LOCK);
    mysql_conn_execute(&slot->conn, &slot->lock_call, on_locked);
}

static void on_locked(struct mysql_conn *conn)
{
    struct mysql_slot *slot = slot_of(conn);
    if (has_failed(conn))
        return;
    if (read_number(conn->result) != 1) {
        snprintf(conn->reason, sizeof(conn->reason),
                 "connection %u's last session has not ended yet", slot->number);
        mysql_conn_close(conn);
        try_again(slot);
        return;
    }
    slot->backoff_s = FIRST_BACKOFF_S;
    if (slot->lost)
        mysql_write_verify(slot);
    else
        mysql_slot_release(slot);
}

static void on_isolated(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        take_lock(slot_of(conn));
}

static void on_session(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        mysql_conn_query(conn, ISOLATION_SQL, on_isolated);
}

static void on_connected(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        mysql_conn_query(conn, SESSION_SQL, on_session);
}

void mysql_slot_open(struct mysql_slot *slot)
{
    slot->state = SLOT_OPENING;
    mysql_conn_open(&slot->conn, on_connected);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    mysql_slot_open(timer->data);
}

void mysql_slot_lost(struct mysql_slot *slot)
{
    slot->work = NULL;
    /* When it comes and goes, and never gets as far as to be of use, it has been down all along. */
    if (slot->state != SLOT_OPENING)
        slot->down_since_ns = clock_now_ns();
    try_again(slot);
}

static void on_idle_lost(struct mysql_conn *conn)
{
    mysql_slot_lost(slot_of(conn));
}

/* ---- opening, before there is a loop -----------------------------------------------------------
 */

static int ask_number(struct mysql_slot *slot, uint32_t kind, long long *ret_number,
                      struct err *err)
{
    set_lock_call(slot, kind);
    mysql_conn_execute(&slot->conn, &slot->lock_call, mysql_conn_ignore);
    int rc = mysql_conn_wait(&slot->conn, err);
    if (rc == 0)
        *ret_number = read_number(slot->conn.result);
    return rc;
}

/* All of the store's locks are free, or ours. */
static int wait_for_locks(struct mysql_slot *slot, struct err *err)
{
    uint64_t until_ns = clock_now_ns() + lock_patience_s(slot->store) * NS_PER_S;
    long long ours = 0, others_free = 0;
    int rc = ask_number(slot, SQL_LOCK, &ours, err);
    while (rc == 0 && ours == 1 && others_free != 1) {
        rc = ask_number(slot, SQL_OTHERS_LOCKS, &others_free, err);
        if (others_free != 1 && clock_now_ns() > until_ns)
            break;
        if (rc == 0 && others_free != 1)
            usleep(LOCK_AGAIN_US);
    }
    if (rc == 0 && others_free != 1)
        rc =
            err_set(err, -EBUSY, "another process has served %s from database %s for the last %d s",
                    slot->store->server, slot->store->database, LOCK_PATIENCE_S);
    return rc;
}

int mysql_slot_open_first(struct mysql_slot *slot, struct err *err)
{
    struct mysql_conn *conn = &slot->conn;
    mysql_conn_open(conn, mysql_conn_ignore);
    int rc = mysql_conn_wait(conn, err);
    if (rc == 0) {
        mysql_conn_query(conn, SESSION_SQL, mysql_conn_ignore);
        rc = mysql_conn_wait(conn, err);
    }
    if (rc == 0) {
        mysql_conn_query(conn, ISOLATION_SQL, mysql_conn_ignore);
        rc = mysql_conn_wait(conn, err);
    }
    if (rc == 0)
        rc = wait_for_locks(slot, err);
    return rc;
}

/* ---- beginning and end -------------------------------------------------------------------------
 */

void mysql_slot_init(struct mysql_slot *slot, struct mysql_store *store, unsigned number)
{
    slot->store = store;
    slot->number = number;
    slot->state = SLOT_DOWN;
    slot->backoff_s = FIRST_BACKOFF_S;
    mysql_conn_init(&slot->conn, store->loop, &store->address, on_idle_lost, slot);
    ev_timer_init(&slot->retry, on_retry, 0., 0.);
    slot->retry.data = slot;
}

void mysql_slot_done(struct mysql_slot *slot)
{
    ev_timer_stop(slot->store->loop, &slot->retry);
    mysql_conn_done(&slot->conn);
    if (slot->work)
        slot->abandon(slot);
    if (slot->lost)
        mysql_write_forget(slot);
    slot->state = SLOT_DOWN;
}

void mysql_slot_move(struct mysql_slot *slot, struct ev_loop *loop)
{
    bool retries = ev_is_active(&slot->retry);
    ev_timer_stop(slot->store->loop, &slot->retry);
    mysql_conn_move(&slot->conn, loop);
    if (retries) {
        ev_timer_set(&slot->retry, slot->backoff_s, 0.);
        ev_timer_start(loop, &slot->retry);
    }
}
