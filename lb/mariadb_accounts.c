/* Databases and users: a number for each server's name, and everything else named by the number.
 *
 *     quoit.servers   n AUTO_INCREMENT   name        → database quoit_7, user quoit_7@localhost
 *
 * Each step may be done again, so that a connection that is lost in between costs nothing but time.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/mem.h"
#include "lb/mariadb_private.h"

#define PASSWORD_BYTES 16
#define SQL_BYTES 512

enum { SQL_FIND_SERVER = 1, SQL_ENTER_SERVER };

static void begin_account(struct mariadb *mariadb);
static void next_step(struct mysql_conn *conn);

static struct mariadb *mariadb_of(struct mysql_conn *conn)
{
    return conn->owner;
}

/* ---- the end of an account ---------------------------------------------------------------------
 */

static void end_account(struct mariadb *mariadb, const char *store_options, const struct err *err)
{
    struct mariadb_account *account = STAILQ_FIRST(&mariadb->accounts);
    STAILQ_REMOVE_HEAD(&mariadb->accounts, link);
    mariadb->working = false;
    mariadb_work(mariadb);
    /* It may do anything, mariadb_close() too: nothing of ours is touched after it. */
    if (account->on_added)
        account->on_added(account->context, account->name, store_options, err);
    free(account);
}

void mariadb_cancel_accounts(struct mariadb *mariadb, bool tell)
{
    struct mariadb_account *account;
    struct err err;
    err_set(&err, -ECANCELED, "the database is being stopped");
    mariadb->working = false;
    while ((account = STAILQ_FIRST(&mariadb->accounts)) != NULL) {
        STAILQ_REMOVE_HEAD(&mariadb->accounts, link);
        if (tell && account->on_added)
            account->on_added(account->context, account->name, NULL, &err);
        free(account);
    }
}

/* A failure of the connection has everything wait for the next one; of the server, the account. */
static bool has_failed(struct mysql_conn *conn)
{
    struct mariadb *mariadb = mariadb_of(conn);
    struct err err;
    if (conn->error == 0)
        return false;
    if (conn->lost) {
        mariadb->working = false;
        mariadb_is_mute(mariadb);
        return true;
    }
    err_set(&err, -EIO, "the private database: %s", conn->reason);
    end_account(mariadb, NULL, &err);
    return true;
}

/* ---- passwords ---------------------------------------------------------------------------------
 */

static char *password_path(const struct mariadb *mariadb)
{
    return mem_printf("%s/%" PRIu64 ".password", mariadb->dir, mariadb->number);
}

static bool is_password(const char *text)
{
    return strlen(text) == 2 * PASSWORD_BYTES &&
           strspn(text, "0123456789abcdef") == 2 * PASSWORD_BYTES;
}

/* The one that is there, or a new one. One that is lost or half written costs nothing: the user is
 * given the new one. 0 or a negative errno. */
static int choose_password(struct mariadb *mariadb, const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = mariadb->password;
    text[0] = '\0';
    if (file) {
        if (fgets(text, sizeof(mariadb->password), file))
            text[strcspn(text, "\n")] = '\0';
        fclose(file);
        if (is_password(text))
            return 0;
    }
    unsigned char bytes[PASSWORD_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int code = dprintf(fd, "%s\n", text) > 0 ? 0 : -EIO;
    return close(fd) == 0 ? code : -errno;
}

/* ---- adding and removing -----------------------------------------------------------------------
 */

static void tell_added(struct mariadb *mariadb)
{
    char *path = password_path(mariadb);
    char *options =
        mem_printf("socket=%s,user=quoit_%" PRIu64 ",database=quoit_%" PRIu64 ",password-file=%s",
                   mariadb->socket, mariadb->number, mariadb->number, path);
    end_account(mariadb, options, NULL);
    free(options);
    free(path);
}

/* The statement of a step; false: there is none. Numbers and our own hexadecimal words alone. */
static bool write_add_step(const struct mariadb *mariadb, char *sql)
{
    uint64_t n = mariadb->number;
    switch (mariadb->step) {
    case 0:
        snprintf(sql, SQL_BYTES,
                 "CREATE DATABASE IF NOT EXISTS quoit_%" PRIu64 " CHARACTER SET utf8mb4", n);
        return true;
    case 1:
        snprintf(sql, SQL_BYTES,
                 "CREATE USER IF NOT EXISTS quoit_%" PRIu64 "@localhost IDENTIFIED BY '%s'", n,
                 mariadb->password);
        return true;
    case 2:
        snprintf(sql, SQL_BYTES, "ALTER USER quoit_%" PRIu64 "@localhost IDENTIFIED BY '%s'", n,
                 mariadb->password);
        return true;
    case 3:
        /* In a GRANT, _ stands for any character. */
        snprintf(sql, SQL_BYTES,
                 "GRANT SELECT,INSERT,UPDATE,DELETE,CREATE,DROP ON `quoit\\_%" PRIu64
                 "`.* TO quoit_%" PRIu64 "@localhost",
                 n, n);
        return true;
    default:
        return false;
    }
}

static bool write_remove_step(const struct mariadb *mariadb, char *sql)
{
    uint64_t n = mariadb->number;
    switch (mariadb->step) {
    case 0:
        snprintf(sql, SQL_BYTES, "DROP DATABASE IF EXISTS quoit_%" PRIu64, n);
        return true;
    case 1:
        snprintf(sql, SQL_BYTES, "DROP USER IF EXISTS quoit_%" PRIu64 "@localhost", n);
        return true;
    case 2:
        snprintf(sql, SQL_BYTES, "DELETE FROM quoit.servers WHERE n=%" PRIu64, n);
        return true;
    default:
        return false;
    }
}

static void do_step(struct mariadb *mariadb)
{
    char sql[SQL_BYTES];
    bool remove = STAILQ_FIRST(&mariadb->accounts)->remove;
    if (remove ? write_remove_step(mariadb, sql) : write_add_step(mariadb, sql)) {
        mariadb->step++;
        mysql_conn_query(&mariadb->conn, sql, next_step);
        explicit_bzero(sql, sizeof(sql));
        return;
    }
    if (remove) {
        char *path = password_path(mariadb);
        unlink(path);
        free(path);
        end_account(mariadb, NULL, NULL);
    } else {
        tell_added(mariadb);
    }
}

static void next_step(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        do_step(mariadb_of(conn));
}

/* The server has its number. */
static void begin_steps(struct mariadb *mariadb)
{
    mariadb->step = 0;
    if (!STAILQ_FIRST(&mariadb->accounts)->remove) {
        char *path = password_path(mariadb);
        struct err err;
        int rc = choose_password(mariadb, path);
        if (rc != 0)
            err_set_errno(&err, rc, "cannot write %s", path);
        free(path);
        if (rc != 0) {
            end_account(mariadb, NULL, &err);
            return;
        }
    }
    do_step(mariadb);
}

static void write_sql(const struct mysql_call *call, struct buf *sql)
{
    buf_append_str(sql, call->key.kind == SQL_FIND_SERVER
                            ? "SELECT n FROM quoit.servers WHERE name=?"
                            : "INSERT INTO quoit.servers (name) VALUES (?)");
}

static void execute_with_name(struct mariadb *mariadb, uint32_t kind, mysql_step *next)
{
    char *name = STAILQ_FIRST(&mariadb->accounts)->name;
    mariadb->param = (MYSQL_BIND){
        .buffer_type = MYSQL_TYPE_STRING, .buffer = name, .buffer_length = strlen(name)};
    mariadb->call = (struct mysql_call){.key = {.kind = kind},
                                        .write_sql = write_sql,
                                        .params = &mariadb->param,
                                        .n_params = 1,
                                        .has_rows = kind == SQL_FIND_SERVER};
    mysql_conn_execute(&mariadb->conn, &mariadb->call, next);
}

static void on_entered(struct mysql_conn *conn)
{
    struct mariadb *mariadb = mariadb_of(conn);
    if (has_failed(conn))
        return;
    mariadb->number = conn->inserted_id;
    begin_steps(mariadb);
}

static void on_found(struct mysql_conn *conn)
{
    struct mariadb *mariadb = mariadb_of(conn);
    long long n = 0;
    if (has_failed(conn))
        return;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &n};
    mysql_stmt_bind_result(conn->result, &bind);
    bool found = mysql_stmt_fetch(conn->result) == 0;
    mysql_stmt_free_result(conn->result);
    mariadb->number = (uint64_t)n;
    if (found) {
        begin_steps(mariadb);
    } else if (STAILQ_FIRST(&mariadb->accounts)->remove) {
        end_account(mariadb, NULL, NULL);
    } else {
        execute_with_name(mariadb, SQL_ENTER_SERVER, on_entered);
    }
}

static void begin_account(struct mariadb *mariadb)
{
    mariadb->working = true;
    execute_with_name(mariadb, SQL_FIND_SERVER, on_found);
}

void mariadb_work(struct mariadb *mariadb)
{
    if (mariadb->state == MARIADB_RUNNING && !mariadb->working && mariadb->conn.open &&
        !STAILQ_EMPTY(&mariadb->accounts))
        begin_account(mariadb);
}

/* ---- connecting --------------------------------------------------------------------------------
 */

static bool is_mute(struct mysql_conn *conn)
{
    if (conn->error == 0)
        return false;
    mysql_conn_close(conn);
    mariadb_is_mute(mariadb_of(conn));
    return true;
}

static void on_set_up(struct mysql_conn *conn)
{
    if (!is_mute(conn))
        mariadb_is_ready(mariadb_of(conn));
}

static void on_database(struct mysql_conn *conn)
{
    if (!is_mute(conn))
        mysql_conn_query(conn,
                         "CREATE TABLE IF NOT EXISTS quoit.servers ("
                         "n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,"
                         "name VARBINARY(63) NOT NULL UNIQUE) ENGINE=InnoDB",
                         on_set_up);
}

static void on_session(struct mysql_conn *conn)
{
    if (!is_mute(conn))
        mysql_conn_query(conn, "CREATE DATABASE IF NOT EXISTS quoit", on_database);
}

static void on_connected(struct mysql_conn *conn)
{
    if (!is_mute(conn))
        mysql_conn_query(conn, "SET SESSION wait_timeout=31536000", on_session);
}

void mariadb_make_connection(struct mariadb *mariadb)
{
    mysql_conn_open(&mariadb->conn, on_connected);
}
