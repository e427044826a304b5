#include "backends/store/mysql_conn.h"

#include <assert.h>
#include <errno.h>
#include <mariadb/errmsg.h>
#include <mariadb/mysqld_error.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Of MySQL 8, which Connector/C does not list. */
#define ER_CLIENT_INTERACTION_TIMEOUT 4031

/* A broken-off operation unwinds in a few steps once its socket is shut; more is a bug of the
 * library's that must not hang us. */
#define MAX_UNWINDING_STEPS 64

static void run(struct mysql_conn *conn, int waits_for);
static void watch(struct mysql_conn *conn);

/* ---- errors ------------------------------------------------------------------------------------
 */

/* Errors after which the connection is of no use: all of the library's own, and the server's
 * farewells. */
static bool ends_connection(unsigned error)
{
    switch (error) {
    case ER_SERVER_SHUTDOWN:
    case ER_NORMAL_SHUTDOWN:
    case ER_CONNECTION_KILLED:
    case ER_NEW_ABORTING_CONNECTION:
    case ER_ABORTING_CONNECTION:
    case ER_NET_READ_ERROR:
    case ER_NET_READ_INTERRUPTED:
    case ER_NET_ERROR_ON_WRITE:
    case ER_NET_WRITE_INTERRUPTED:
    case ER_NET_PACKETS_OUT_OF_ORDER:
    case ER_CLIENT_INTERACTION_TIMEOUT:
        return true;
    default:
        return error >= CR_MIN_ERROR && error < 3000;
    }
}

int mysql_conn_errno(unsigned error)
{
    switch (error) {
    case 0:
        return 0;
    case ER_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
        return -EACCES;
    case ER_BAD_DB_ERROR:
    case ER_NO_SUCH_TABLE:
        return -ENOENT;
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
        return -ENOSPC;
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
        return -ECONNREFUSED;
    default:
        return ends_connection(error) ? -ENOTCONN : -EIO;
    }
}

static void describe_error(struct mysql_conn *conn, unsigned error, const char *text)
{
    conn->error = error != 0 ? error : CR_UNKNOWN_ERROR;
    snprintf(conn->reason, sizeof(conn->reason), "%s (error %u)", text, conn->error);
}

/* Adds what a person needs to find the server that refused. */
static int report_error(const struct mysql_conn *conn, struct err *err)
{
    const struct mysql_address *address = conn->address;
    int code = mysql_conn_errno(conn->error);
    if (address->socket)
        return err_set(err, code, "the database at socket=%s (user=%s, database=%s): %s",
                       address->socket, address->user, address->database ? address->database : "",
                       conn->reason);
    return err_set(err, code, "the database at host=%s,port=%u (user=%s, database=%s): %s",
                   address->host, address->port, address->user,
                   address->database ? address->database : "", conn->reason);
}

/* ---- the statements ----------------------------------------------------------------------------
 */

static bool same_key(const struct mysql_key *a, const struct mysql_key *b)
{
    return a->table == b->table && a->kind == b->kind && a->n == b->n;
}

static struct mysql_statement *find_statement(struct mysql_conn *conn, const struct mysql_key *key)
{
    for (size_t i = 0; i < MYSQL_CONN_MAX_STATEMENTS; i++)
        if (conn->statements[i].stmt && same_key(&conn->statements[i].key, key))
            return &conn->statements[i];
    return NULL;
}

/* A place for a statement of n_params: a free one, when there are not too many parameters kept
 * already; else the one used longest ago, to be closed first. */
static struct mysql_statement *find_place(struct mysql_conn *conn, size_t n_params)
{
    struct mysql_statement *unused = NULL, *oldest = NULL;
    for (size_t i = 0; i < MYSQL_CONN_MAX_STATEMENTS; i++) {
        struct mysql_statement *at = &conn->statements[i];
        if (!at->stmt) {
            unused = at;
            continue;
        }
        n_params += at->n_params;
        if (!oldest || at->used < oldest->used)
            oldest = at;
    }
    return unused && (n_params <= MYSQL_CONN_MAX_PARAMETERS || !oldest) ? unused : oldest;
}

/* ---- closing -----------------------------------------------------------------------------------
 */

static void stop_watching(struct mysql_conn *conn)
{
    ev_io_stop(conn->loop, &conn->io);
    ev_timer_stop(conn->loop, &conn->timer);
}

static int continue_operation(struct mysql_conn *conn, int came)
{
    switch (conn->operation) {
    case MYSQL_CONNECT:
        return mysql_real_connect_cont(&conn->code_mysql, conn->mysql, came);
    case MYSQL_QUERY:
        return mysql_real_query_cont(&conn->code, conn->mysql, came);
    case MYSQL_CLOSE_STATEMENT:
        return mysql_stmt_close_cont(&conn->code_bool, conn->statement->stmt, came);
    case MYSQL_PREPARE:
        return mysql_stmt_prepare_cont(&conn->code, conn->statement->stmt, came);
    case MYSQL_EXECUTE:
        return mysql_stmt_execute_cont(&conn->code, conn->statement->stmt, came);
    case MYSQL_FETCH:
        return mysql_stmt_store_result_cont(&conn->code, conn->statement->stmt, came);
    case MYSQL_NO_OPERATION:
        break;
    }
    assert(false && "an operation goes on that never began");
    return 0;
}

/* Closes everything without a wait, whatever the server does. What is suspended has its own stack,
 * with memory and descriptors that only it knows: it has to come to its own end. */
static void close_connection(struct mysql_conn *conn)
{
    if (!conn->mysql)
        return;
    stop_watching(conn);
    bool idle = conn->operation == MYSQL_NO_OPERATION;
    int fd = mysql_get_socket(conn->mysql);
    /* An idle connection says good-bye; on another one that could wait for the server to read. */
    if (fd >= 0 && !idle)
        shutdown(fd, SHUT_RDWR);
    for (int i = 0; i < MAX_UNWINDING_STEPS && conn->operation && conn->waits_for; i++)
        conn->waits_for = continue_operation(
            conn, conn->operation == MYSQL_CONNECT ? MYSQL_WAIT_TIMEOUT : conn->waits_for);
    if (conn->operation == MYSQL_CLOSE_STATEMENT)
        conn->statement->stmt = NULL;
    conn->operation = MYSQL_NO_OPERATION;
    conn->waits_for = 0;
    fd = mysql_get_socket(conn->mysql);
    if (fd >= 0 && !idle)
        shutdown(fd, SHUT_RDWR);
    for (size_t i = 0; i < MYSQL_CONN_MAX_STATEMENTS && !idle; i++) {
        if (conn->statements[i].stmt)
            mysql_stmt_close(conn->statements[i].stmt);
        conn->statements[i].stmt = NULL;
    }
    mysql_close(conn->mysql);
    /* The server forgets an idle connection's statements with it; these only free memory. */
    for (size_t i = 0; i < MYSQL_CONN_MAX_STATEMENTS; i++) {
        if (conn->statements[i].stmt)
            mysql_stmt_close(conn->statements[i].stmt);
        conn->statements[i] = (struct mysql_statement){0};
    }
    conn->mysql = NULL;
    conn->result = NULL;
    conn->open = false;
}

void mysql_conn_close(struct mysql_conn *conn)
{
    close_connection(conn);
}

void mysql_conn_done(struct mysql_conn *conn)
{
    close_connection(conn);
    buf_done(&conn->sql);
}

/* ---- the steps of an operation -----------------------------------------------------------------
 */

static void finish(struct mysql_conn *conn)
{
    conn->operation = MYSQL_NO_OPERATION;
    conn->waits_for = 0;
    conn->next(conn);
}

static void fail_operation(struct mysql_conn *conn, unsigned error, const char *text)
{
    bool connecting = conn->operation == MYSQL_CONNECT;
    describe_error(conn, error, text);
    conn->waits_for = 0;
    conn->lost = connecting || ends_connection(conn->error);
    if (conn->lost) {
        close_connection(conn);
    } else if (conn->statement) {
        /* Whatever is wrong with it, the next one is prepared anew. Closing may have to write,
         * which the next operation does. */
        conn->statement->key = (struct mysql_key){0};
        conn->statement->used = 0;
    }
    finish(conn);
}

static void begin(struct mysql_conn *conn, enum mysql_operation operation)
{
    int waits_for = 0;
    conn->operation = operation;
    switch (operation) {
    case MYSQL_CLOSE_STATEMENT:
        waits_for = mysql_stmt_close_start(&conn->code_bool, conn->statement->stmt);
        break;
    case MYSQL_PREPARE:
        waits_for = mysql_stmt_prepare_start(&conn->code, conn->statement->stmt,
                                             buf_head(&conn->sql), buf_len(&conn->sql));
        break;
    case MYSQL_EXECUTE:
        waits_for = mysql_stmt_execute_start(&conn->code, conn->statement->stmt);
        break;
    case MYSQL_FETCH:
        waits_for = mysql_stmt_store_result_start(&conn->code, conn->statement->stmt);
        break;
    case MYSQL_QUERY:
        waits_for = mysql_real_query_start(&conn->code, conn->mysql, buf_head(&conn->sql),
                                           buf_len(&conn->sql));
        break;
    case MYSQL_CONNECT:
    case MYSQL_NO_OPERATION:
        assert(false && "begun elsewhere");
    }
    run(conn, waits_for);
}

static void begin_prepare(struct mysql_conn *conn)
{
    buf_clear(&conn->sql);
    conn->call->write_sql(conn->call, &conn->sql);
    conn->statement->stmt = mysql_stmt_init(conn->mysql);
    if (!conn->statement->stmt) {
        fail_operation(conn, CR_OUT_OF_MEMORY, "out of memory");
        return;
    }
    conn->statement->key = conn->call->key;
    conn->statement->n_params = conn->call->n_params;
    begin(conn, MYSQL_PREPARE);
}

static void begin_execute(struct mysql_conn *conn)
{
    struct mysql_statement *statement = conn->statement;
    statement->used = ++conn->clock;
    assert(mysql_stmt_param_count(statement->stmt) == conn->call->n_params);
    assert(conn->call->n_rows == 0 || conn->takes_arrays);
    if (conn->takes_arrays)
        mysql_stmt_attr_set(statement->stmt, STMT_ATTR_ARRAY_SIZE, &conn->call->n_rows);
    if (conn->call->n_params > 0 && mysql_stmt_bind_param(statement->stmt, conn->call->params)) {
        fail_operation(conn, mysql_stmt_errno(statement->stmt), mysql_stmt_error(statement->stmt));
        return;
    }
    begin(conn, MYSQL_EXECUTE);
}

/* What MariaDB adds to the capabilities stands in their upper half (Connector/C's documentation of
 * mariadb_get_infov() and of STMT_ATTR_ARRAY_SIZE). */
static bool takes_arrays(MYSQL *mysql)
{
    unsigned long more = 0;
    return mariadb_get_infov(mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &more) == 0 &&
           (((unsigned long long)more << 32) & MARIADB_CLIENT_STMT_BULK_OPERATIONS) != 0;
}

static void end_connect(struct mysql_conn *conn)
{
    if (!conn->code_mysql) {
        fail_operation(conn, mysql_errno(conn->mysql), mysql_error(conn->mysql));
        return;
    }
    conn->open = true;
    conn->takes_arrays = takes_arrays(conn->mysql);
    finish(conn);
}

static void end_query(struct mysql_conn *conn)
{
    if (conn->code != 0) {
        fail_operation(conn, mysql_errno(conn->mysql), mysql_error(conn->mysql));
        return;
    }
    assert(mysql_field_count(conn->mysql) == 0);
    conn->affected = mysql_affected_rows(conn->mysql);
    conn->inserted_id = mysql_insert_id(conn->mysql);
    finish(conn);
}

static void end_statement_step(struct mysql_conn *conn)
{
    MYSQL_STMT *stmt = conn->statement->stmt;
    if (conn->code != 0) {
        fail_operation(conn, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    } else if (conn->operation == MYSQL_PREPARE) {
        begin_execute(conn);
    } else if (conn->operation == MYSQL_EXECUTE && conn->call->has_rows) {
        begin(conn, MYSQL_FETCH);
    } else {
        conn->affected = mysql_stmt_affected_rows(stmt);
        conn->inserted_id = mysql_stmt_insert_id(stmt);
        conn->result = conn->call->has_rows ? stmt : NULL;
        finish(conn);
    }
}

/* The operation did not have to wait any more, or has to: for what, in Connector/C's words. */
static void run(struct mysql_conn *conn, int waits_for)
{
    conn->waits_for = waits_for;
    if (waits_for != 0) {
        watch(conn);
        return;
    }
    ev_timer_stop(conn->loop, &conn->timer);
    switch (conn->operation) {
    case MYSQL_CONNECT:
        end_connect(conn);
        break;
    case MYSQL_QUERY:
        end_query(conn);
        break;
    case MYSQL_CLOSE_STATEMENT:
        conn->statement->stmt = NULL;
        begin_prepare(conn);
        break;
    case MYSQL_PREPARE:
    case MYSQL_EXECUTE:
    case MYSQL_FETCH:
        end_statement_step(conn);
        break;
    case MYSQL_NO_OPERATION:
        assert(false && "the end of an operation that never began");
    }
}

/* ---- the loop ----------------------------------------------------------------------------------
 */

/* Nothing was asked and yet there is something to read: the server's farewell, or its end. */
static void lose_idle(struct mysql_conn *conn)
{
    if (!conn->open)
        return;
    int fd = mysql_get_socket(conn->mysql);
    char byte;
    if (fd >= 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    describe_error(conn, CR_SERVER_LOST, "the server closed the connection");
    conn->lost = true;
    close_connection(conn);
    if (conn->on_lost)
        conn->on_lost(conn);
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct mysql_conn *conn = watcher->data;
    (void)loop;
    if (conn->operation == MYSQL_NO_OPERATION) {
        lose_idle(conn);
        return;
    }
    int came =
        ((events & EV_READ) ? MYSQL_WAIT_READ : 0) | ((events & EV_WRITE) ? MYSQL_WAIT_WRITE : 0);
    came &= conn->waits_for;
    if (came != 0)
        run(conn, continue_operation(conn, came));
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct mysql_conn *conn = watcher->data;
    (void)loop;
    (void)events;
    if (conn->waits_for & MYSQL_WAIT_TIMEOUT)
        run(conn, continue_operation(conn, MYSQL_WAIT_TIMEOUT));
}

/* Reading is always watched, so that the usual operation changes nothing in the kernel's list and
 * an idle connection's end is seen. */
static void watch(struct mysql_conn *conn)
{
    struct ev_loop *loop = conn->loop;
    int fd = mysql_get_socket(conn->mysql);
    int events = EV_READ | ((conn->waits_for & MYSQL_WAIT_WRITE) ? EV_WRITE : 0);
    if (!ev_is_active(&conn->io) || conn->io.fd != fd || (conn->io.events & 3) != events) {
        ev_io_stop(loop, &conn->io);
        ev_io_set(&conn->io, fd, events);
        ev_io_start(loop, &conn->io);
    }
    ev_timer_stop(loop, &conn->timer);
    if (conn->waits_for & MYSQL_WAIT_TIMEOUT) {
        ev_timer_set(&conn->timer, mysql_get_timeout_value_ms(conn->mysql) / 1e3, 0.);
        ev_timer_start(loop, &conn->timer);
    }
}

void mysql_conn_move(struct mysql_conn *conn, struct ev_loop *loop)
{
    stop_watching(conn);
    conn->loop = loop;
    if (conn->mysql)
        watch(conn);
}

/* ---- what is called from outside ---------------------------------------------------------------
 */

static void init_library(void)
{
    mysql_library_init(0, NULL, NULL);
}

void mysql_conn_init(struct mysql_conn *conn, struct ev_loop *loop,
                     const struct mysql_address *address, mysql_step *on_lost, void *owner)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    *conn =
        (struct mysql_conn){.loop = loop, .address = address, .on_lost = on_lost, .owner = owner};
    buf_init(&conn->sql, 0);
    ev_init(&conn->io, on_io);
    ev_init(&conn->timer, on_timer);
    conn->io.data = conn->timer.data = conn;
}

static void prepare_operation(struct mysql_conn *conn, mysql_step *next)
{
    assert(conn->operation == MYSQL_NO_OPERATION);
    conn->next = next;
    conn->error = 0;
    conn->lost = false;
    conn->result = NULL;
    conn->statement = NULL;
    conn->call = NULL;
}

static void make_handle(struct mysql_conn *conn)
{
    unsigned local_infile = 0, timeout_s = conn->address->timeout_s;
    assert(!conn->mysql);
    conn->mysql = mysql_init(NULL);
    assert(conn->mysql); /* out of memory, else */
    mysql_options(conn->mysql, MYSQL_OPT_NONBLOCK, NULL);
    mysql_options(conn->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    /* Else a server could ask for our files. */
    mysql_options(conn->mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    if (timeout_s > 0)
        mysql_options(conn->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s);
}

void mysql_conn_open(struct mysql_conn *conn, mysql_step *next)
{
    const struct mysql_address *address = conn->address;
    prepare_operation(conn, next);
    make_handle(conn);
    conn->operation = MYSQL_CONNECT;
    run(conn, mysql_real_connect_start(&conn->code_mysql, conn->mysql, address->host, address->user,
                                       address->password, address->database, address->port,
                                       address->socket, CLIENT_FOUND_ROWS));
}

int mysql_conn_wait(struct mysql_conn *conn, struct err *err)
{
    while (conn->operation != MYSQL_NO_OPERATION)
        ev_run(conn->loop, EVRUN_ONCE);
    return conn->error == 0 ? 0 : report_error(conn, err);
}

void mysql_conn_ignore(struct mysql_conn *conn)
{
    (void)conn;
}

void mysql_conn_query(struct mysql_conn *conn, const char *sql, mysql_step *next)
{
    prepare_operation(conn, next);
    buf_clear(&conn->sql);
    buf_append_str(&conn->sql, sql);
    begin(conn, MYSQL_QUERY);
}

void mysql_conn_execute(struct mysql_conn *conn, const struct mysql_call *call, mysql_step *next)
{
    prepare_operation(conn, next);
    conn->call = call;
    conn->statement = find_statement(conn, &call->key);
    if (conn->statement) {
        begin_execute(conn);
        return;
    }
    conn->statement = find_place(conn, call->n_params);
    if (conn->statement->stmt)
        begin(conn, MYSQL_CLOSE_STATEMENT);
    else
        begin_prepare(conn);
}
