/* One connection to a MariaDB or MySQL server, on a loop, without ever waiting on it.
 *
 * Connector/C's non-blocking calls run each operation on a stack of its own and come back whenever
 * they would have to wait, saying for what; this file waits for it on the loop and goes on:
 *
 *   mysql_conn_execute(conn, call, next)
 *      close an old statement? ─▶ prepare, if it is new ─▶ execute ─▶ fetch all rows ─▶ next(conn)
 *
 * One operation at a time. next() is called once for each, also when it failed (conn->error), from
 * the loop or from within the call where nothing had to be waited for. After a failure that took
 * the connection with it (conn->lost) everything of it is closed before next() is called: open it
 * anew. A connection that ends while nothing is under way tells on_lost().
 *
 * Prepared statements are kept, the least recently used closed first, and found again by a key of
 * the caller's. */
#ifndef QUOIT_BACKENDS_STORE_MYSQL_CONN_H
#define QUOIT_BACKENDS_STORE_MYSQL_CONN_H

#include <ev.h>
#include <mariadb/mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* Where, as whom. A socket, or a numeric host with a port. (all ref) */
struct mysql_address {
    const char *socket;
    const char *host;
    unsigned port;
    const char *user;
    const char *password; /* NULL: none */
    const char *database; /* NULL: none */
    unsigned timeout_s;   /* to connect */
};

/* Statements kept on a connection, and the parameters they may have together: the server keeps some
 * 200 bytes for each. */
#define MYSQL_CONN_MAX_STATEMENTS 64
#define MYSQL_CONN_MAX_PARAMETERS 32768

#define MYSQL_CONN_REASON_BYTES 512

/* What names a prepared statement. Equal keys, equal SQL; kind is not 0. */
struct mysql_key {
    uint64_t table;
    uint32_t kind;
    uint32_t n;
};

struct mysql_call {
    struct mysql_key key;
    /* Writes the SQL of the key, values being question marks. Called when it is not prepared. */
    void (*write_sql)(const struct mysql_call *call, struct buf *sql);
    const void *context;
    MYSQL_BIND *params; /* as many as the SQL has question marks; read while it is executed */
    size_t n_params;
    /* Executed for so many rows at once, each of params being an array of values, lengths and
     * indicators, one a row; 0: once. Only where conn->takes_arrays. */
    unsigned n_rows;
    bool has_rows; /* it answers rows: all are fetched */
};

struct mysql_conn;
typedef void mysql_step(struct mysql_conn *conn);

struct mysql_statement {
    struct mysql_key key;
    MYSQL_STMT *stmt; /* NULL: a free place */
    size_t n_params;
    uint64_t used; /* the connection's clock when it was used last */
};

enum mysql_operation {
    MYSQL_NO_OPERATION,
    MYSQL_CONNECT,
    MYSQL_QUERY,
    MYSQL_CLOSE_STATEMENT,
    MYSQL_PREPARE,
    MYSQL_EXECUTE,
    MYSQL_FETCH,
};

struct mysql_conn {
    struct ev_loop *loop;                /* (ref) */
    const struct mysql_address *address; /* (ref) */
    mysql_step *on_lost;                 /* ended while idle; NULL: nobody cares */
    void *owner;

    /* Of the operation that ended */
    unsigned error; /* 0; the server's or Connector/C's number */
    bool lost;      /* and the connection is closed */
    char reason[MYSQL_CONN_REASON_BYTES];
    uint64_t affected;    /* rows found (not only changed) by what it did */
    uint64_t inserted_id; /* AUTO_INCREMENT */
    MYSQL_STMT *result;   /* has_rows: for mysql_stmt_bind_result(), _fetch(); until the next
                             operation */

    /* Its own */
    MYSQL *mysql; /* NULL: closed */
    bool open;    /* connected, and not opening */
    /* Arrays of parameters: MariaDB does, MySQL does not. All of its rows are one statement, done
     * or not done together. */
    bool takes_arrays;
    enum mysql_operation operation;
    mysql_step *next;
    const struct mysql_call *call;
    struct mysql_statement *statement;
    int code; /* where Connector/C leaves an operation's result */
    my_bool code_bool;
    MYSQL *code_mysql;
    int waits_for; /* MYSQL_WAIT_… */
    ev_io io;
    ev_timer timer;
    struct buf sql;
    uint64_t clock;
    struct mysql_statement statements[MYSQL_CONN_MAX_STATEMENTS];
};

void mysql_conn_init(struct mysql_conn *conn, struct ev_loop *loop,
                     const struct mysql_address *address, mysql_step *on_lost, void *owner);
/* Closes it if need be, at once: what is under way is broken off, its next() not called. */
void mysql_conn_done(struct mysql_conn *conn);

/* Connects. An attempt that fails is `lost`. */
void mysql_conn_open(struct mysql_conn *conn, mysql_step *next);
/* Waits for the operation under way, turning the connection's loop, which must be one that nobody
 * minds. 0 or a negative errno, err naming what is wrong: the place, the user, the database. */
int mysql_conn_wait(struct mysql_conn *conn, struct err *err);
/* A step that does nothing: for those who wait. */
void mysql_conn_ignore(struct mysql_conn *conn);
/* To another loop, with whatever is under way. */
void mysql_conn_move(struct mysql_conn *conn, struct ev_loop *loop);
/* SQL without rows: our own words alone, never a client's (law 7). sql is copied. */
void mysql_conn_query(struct mysql_conn *conn, const char *sql, mysql_step *next);
/* Executes a prepared statement, preparing it when it is not. call and its params stay until
 * next(). */
void mysql_conn_execute(struct mysql_conn *conn, const struct mysql_call *call, mysql_step *next);
/* Breaks off what is under way and closes the connection. next() is not called. */
void mysql_conn_close(struct mysql_conn *conn);

static inline bool mysql_conn_is_busy(const struct mysql_conn *conn)
{
    return conn->operation != MYSQL_NO_OPERATION;
}

/* The negative errno that says best what a server's error number says. */
int mysql_conn_errno(unsigned error);

#endif
