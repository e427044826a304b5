/* Which table is which shard.
 *
 *     quoit_catalog   id AUTO_INCREMENT   server   shard   state   columns_json
 *     quoit_7         the rows of the shard whose id is 7 (mysql_rows.h)
 *
 * `server` is the name of the one that first had the store's directory, where there is one, so that
 * the rows pass with it to a server of another name. Names of servers and shards are values here,
 * compared byte by byte, and never part of any SQL. Making and dropping a table commits by itself,
 * so that a shard is first entered as being made, then its table is made, then it is entered as
 * there; and the other way round. What is found in between at the start is dropped: its creation
 * was never acknowledged, or its end was wanted. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/mysql_store.h"
#include "core/clock.h"
#include "core/mem.h"

enum shard_state { STATE_MAKING = 0, STATE_THERE = 1, STATE_DROPPING = 2 };

/* Kinds of statements on the catalog; those of the slots end before. */
enum {
    SQL_FIND = SQL_LAST_OF_SHARD + 16,
    SQL_ADD,
    SQL_SET_STATE,
    SQL_REMOVE,
    SQL_LIST,
    SQL_ABOUT,
};

#define CATALOG_SQL                                                                                \
    "CREATE TABLE IF NOT EXISTS quoit_catalog ("                                                   \
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,"                                      \
    "server VARBINARY(63) NOT NULL,shard VARBINARY(63) NOT NULL,state TINYINT NOT NULL,"           \
    "columns_json MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"                  \
    "UNIQUE KEY server_shard (server,shard)) ENGINE=InnoDB"

#define ADD_SQL "INSERT INTO quoit_catalog (server,shard,state,columns_json) VALUES (?,?,0,?)"
#define LIST_SQL "SELECT id,state,shard,columns_json FROM quoit_catalog WHERE server=?"
#define ABOUT_SQL                                                                                  \
    "SELECT CAST(VERSION() AS CHAR),CAST(@@innodb_flush_log_at_trx_commit AS CHAR),"               \
    "CAST(@@max_allowed_packet AS SIGNED)"

/* Of a schema printed: 64 columns with names of 64 bytes. */
#define SCHEMA_TEXT_BYTES 8192
/* At the start. */
#define KEYS_OF_PAGE ((size_t)65536)
#define MOST_KEYS_FOUND ((uint64_t)2 * 1000 * 1000)
/* A row is up to ROW_MAX_BYTES, a statement what we said in mysql_rows.h, and some. */
#define LEAST_PACKET_BYTES (4 * MYSQL_MAX_STATEMENT_BYTES)

/* ---- calls -------------------------------------------------------------------------------------
 */

struct catalog_call {
    struct mysql_call call; /* first member */
    MYSQL_BIND params[4];
    int64_t numbers[2];
};

#define AT(kind) ((kind)-SQL_FIND)

static void write_catalog_sql(const struct mysql_call *call, struct buf *sql)
{
    static const char *const texts[] = {
        [AT(SQL_FIND)] = "SELECT id FROM quoit_catalog WHERE server=? AND shard=?",
        [AT(SQL_ADD)] = ADD_SQL,
        [AT(SQL_SET_STATE)] = "UPDATE quoit_catalog SET state=? WHERE id=?",
        [AT(SQL_REMOVE)] = "DELETE FROM quoit_catalog WHERE id=?",
        [AT(SQL_LIST)] = LIST_SQL,
        [AT(SQL_ABOUT)] = ABOUT_SQL,
    };
    buf_append_str(sql, texts[AT(call->key.kind)]);
}

static struct mysql_call *begin_call(struct catalog_call *call, uint32_t kind)
{
    *call = (struct catalog_call){
        .call = {.key = {.kind = kind}, .write_sql = write_catalog_sql, .params = call->params}};
    call->call.has_rows = kind == SQL_FIND || kind == SQL_LIST || kind == SQL_ABOUT;
    return &call->call;
}

static void add_text(struct catalog_call *call, const char *text)
{
    MYSQL_BIND *bind = &call->params[call->call.n_params++];
    bind->buffer_type = MYSQL_TYPE_STRING;
    bind->buffer = (void *)(uintptr_t)text;
    bind->buffer_length = strlen(text);
}

static void add_number(struct catalog_call *call, int64_t number)
{
    MYSQL_BIND *bind = &call->params[call->call.n_params];
    int64_t *place = &call->numbers[call->call.n_params++];
    *place = number;
    bind->buffer_type = MYSQL_TYPE_LONGLONG;
    bind->buffer = place;
}

static void set_state_call(struct catalog_call *call, enum shard_state state, uint64_t id)
{
    begin_call(call, SQL_SET_STATE);
    add_number(call, state);
    add_number(call, (int64_t)id);
}

static void remove_call(struct catalog_call *call, uint64_t id)
{
    begin_call(call, SQL_REMOVE);
    add_number(call, (int64_t)id);
}

static void write_create_sql(uint64_t id, const struct schema *schema, struct buf *sql)
{
    struct mysql_form form = {.table = id, .schema = schema};
    buf_appendf(sql, "CREATE TABLE quoit_%" PRIu64 " (", id);
    mysql_form_write_columns(&form, sql);
    buf_append_str(sql, ") ENGINE=InnoDB ROW_FORMAT=DYNAMIC");
}

static struct mysql_shard *new_shard(uint64_t id)
{
    struct mysql_shard *shard = mem_zalloc(1, sizeof(*shard));
    shard->form = (struct mysql_form){.table = id, .schema = &shard->base.schema};
    mysql_queue_init(&shard->changes);
    return shard;
}

/* ---- making and dropping, on the loop ----------------------------------------------------------
 *
 * A connection that is lost has the whole begun anew: each step may be done again. */

struct creation {
    struct mysql_store *store;
    struct mysql_slot *slot;
    struct store_request *request;
    struct catalog_call call;
    struct buf text;
    uint64_t id;
};

static struct creation *creation_of(struct mysql_conn *conn)
{
    return ((struct mysql_slot *)conn->owner)->work;
}

static void free_creation(struct creation *creation)
{
    creation->store->changing_shards = false;
    mysql_wake(creation->store);
    buf_done(&creation->text);
    free(creation);
}

static void abandon_creation(struct mysql_slot *slot)
{
    struct creation *creation = slot->work;
    slot->work = NULL;
    mysql_answer_failed(slot->store, creation->request, -EIO,
                        "the database did not answer while the store was closed");
    free_creation(creation);
}

static bool has_failed(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    struct mysql_store *store = creation->store;
    if (conn->error == 0)
        return false;
    if (conn->lost) {
        mysql_queue_add_first(&store->shard_changes, creation->request);
        mysql_slot_lost(creation->slot);
    } else {
        int code = mysql_conn_errno(conn->error) == -ENOSPC ? -ENOSPC : -EIO;
        mysql_slot_release(creation->slot);
        mysql_answer_failed(store, creation->request, code, conn->reason);
    }
    free_creation(creation);
    return true;
}

static void finish_creation(struct creation *creation)
{
    struct store_request *request = creation->request;
    struct mysql_store *store = creation->store;
    if (request->op == STORE_CREATE) {
        struct mysql_shard *shard = new_shard(creation->id);
        store_shard_init(&shard->base, request);
        store_add_shard(&store->base, &shard->base);
        request->shard = &shard->base;
    } else {
        struct store_shard *shard = request->shard;
        store_remove_shard(&store->base, shard);
        mysql_shard_free((struct mysql_shard *)shard);
        request->shard = NULL;
    }
    mysql_slot_release(creation->slot);
    mysql_answer(store, request, 0);
    free_creation(creation);
}

static void on_last_step(struct mysql_conn *conn)
{
    if (!has_failed(conn))
        finish_creation(creation_of(conn));
}

/* CREATE: the table is made. */
static void on_made(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    if (has_failed(conn))
        return;
    set_state_call(&creation->call, STATE_THERE, creation->id);
    mysql_conn_execute(conn, &creation->call.call, on_last_step);
}

static void on_entered(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    if (has_failed(conn))
        return;
    creation->id = conn->inserted_id;
    buf_clear(&creation->text);
    write_create_sql(creation->id, creation->request->schema, &creation->text);
    mysql_conn_query(conn, buf_str(&creation->text), on_made);
}

static void enter(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    if (has_failed(conn))
        return;
    buf_clear(&creation->text);
    schema_print(creation->request->schema, &creation->text);
    begin_call(&creation->call, SQL_ADD);
    add_text(&creation->call, creation->store->server);
    add_text(&creation->call, creation->request->name);
    add_text(&creation->call, buf_str(&creation->text));
    mysql_conn_execute(conn, &creation->call.call, on_entered);
}

/* The table is gone: so is its entry. */
static void on_dropped(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    if (has_failed(conn))
        return;
    remove_call(&creation->call, creation->id);
    mysql_conn_execute(conn, &creation->call.call,
                       creation->request->op == STORE_CREATE ? enter : on_last_step);
}

static void drop(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    if (has_failed(conn))
        return;
    buf_clear(&creation->text);
    buf_appendf(&creation->text, "DROP TABLE IF EXISTS quoit_%" PRIu64, creation->id);
    mysql_conn_query(conn, buf_str(&creation->text), on_dropped);
}

/* CREATE: an entry of that name is what an attempt of ours left behind; there is no such shard. */
static void on_found(struct mysql_conn *conn)
{
    struct creation *creation = creation_of(conn);
    long long id = 0;
    if (has_failed(conn))
        return;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &id};
    mysql_stmt_bind_result(conn->result, &bind);
    bool found = mysql_stmt_fetch(conn->result) == 0;
    mysql_stmt_free_result(conn->result);
    creation->id = (uint64_t)id;
    if (found)
        drop(conn);
    else
        enter(conn);
}

void mysql_catalog_change(struct mysql_slot *slot)
{
    struct mysql_store *store = slot->store;
    struct store_request *request = mysql_queue_take(&store->shard_changes);
    /* It may have been made while this one waited. */
    if (request->op == STORE_CREATE && store_settle_create(&store->base, request)) {
        if (request->code == 0)
            request->n_rows_now = ((struct mysql_shard *)request->shard)->n_rows;
        mysql_answer(store, request, request->code);
        return;
    }
    struct creation *creation = mem_zalloc(1, sizeof(*creation));
    creation->store = store;
    creation->slot = slot;
    creation->request = request;
    buf_init(&creation->text, 0);
    store->changing_shards = true;
    mysql_slot_take(slot, creation, abandon_creation);
    if (request->op == STORE_CREATE) {
        begin_call(&creation->call, SQL_FIND);
        add_text(&creation->call, store->server);
        add_text(&creation->call, request->name);
        mysql_conn_execute(&slot->conn, &creation->call.call, on_found);
    } else {
        creation->id = ((struct mysql_shard *)request->shard)->form.table;
        set_state_call(&creation->call, STATE_DROPPING, creation->id);
        mysql_conn_execute(&slot->conn, &creation->call.call, drop);
    }
}

/* ---- at the start, waiting ---------------------------------------------------------------------
 */

static int execute_wait(struct mysql_conn *conn, const struct mysql_call *call, struct err *err)
{
    mysql_conn_execute(conn, call, mysql_conn_ignore);
    return mysql_conn_wait(conn, err);
}

static int query_wait(struct mysql_conn *conn, const char *sql, struct err *err)
{
    mysql_conn_query(conn, sql, mysql_conn_ignore);
    return mysql_conn_wait(conn, err);
}

/* What the server is, for those who ask; and whether it takes what we send. */
static int ask_about(struct mysql_store *store, struct err *err)
{
    struct mysql_conn *conn = &store->slots[0].conn;
    struct catalog_call call;
    long long packet_bytes = 0;
    unsigned long n_version = 0, n_durability = 0;
    int rc = execute_wait(conn, begin_call(&call, SQL_ABOUT), err);
    if (rc != 0)
        return rc;
    MYSQL_BIND binds[3] = {
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = store->version,
         .buffer_length = sizeof(store->version) - 1,
         .length = &n_version},
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = store->durability,
         .buffer_length = sizeof(store->durability) - 1,
         .length = &n_durability},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &packet_bytes},
    };
    mysql_stmt_bind_result(conn->result, binds);
    mysql_stmt_fetch(conn->result);
    mysql_stmt_free_result(conn->result);
    if (packet_bytes < (long long)LEAST_PACKET_BYTES)
        return err_set(err, -EINVAL, "the server's max_allowed_packet is %lld bytes: it takes %zu",
                       packet_bytes, LEAST_PACKET_BYTES);
    return 0;
}

struct found_shard {
    uint64_t id;
    enum shard_state state;
    char name[NAME_MAX_BYTES + 1];
    char *schema_text;
};

struct found {
    struct found_shard *shards;
    size_t n;
};

static int list_shards(struct mysql_store *store, struct found *found, struct err *err)
{
    struct mysql_conn *conn = &store->slots[0].conn;
    struct catalog_call call;
    char name[NAME_MAX_BYTES + 1], text[SCHEMA_TEXT_BYTES];
    long long id, state;
    unsigned long n_name, n_text;
    begin_call(&call, SQL_LIST);
    add_text(&call, store->server);
    int rc = execute_wait(conn, &call.call, err);
    if (rc != 0)
        return rc;
    MYSQL_BIND binds[4] = {
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &id},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &state},
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = name,
         .buffer_length = NAME_MAX_BYTES,
         .length = &n_name},
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = text,
         .buffer_length = sizeof(text),
         .length = &n_text},
    };
    mysql_stmt_bind_result(conn->result, binds);
    while (mysql_stmt_fetch(conn->result) == 0) {
        found->shards = mem_realloc(found->shards, found->n + 1, sizeof(*found->shards));
        struct found_shard *shard = &found->shards[found->n++];
        *shard = (struct found_shard){.id = (uint64_t)id, .state = (enum shard_state)state};
        memcpy(shard->name, name, n_name);
        shard->schema_text = mem_strndup(text, n_text);
    }
    mysql_stmt_free_result(conn->result);
    return 0;
}

static int drop_found(struct mysql_conn *conn, uint64_t id, struct err *err)
{
    struct catalog_call call;
    char sql[64];
    snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS quoit_%" PRIu64, id);
    int rc = query_wait(conn, sql, err);
    if (rc != 0)
        return rc;
    remove_call(&call, id);
    return execute_wait(conn, &call.call, err);
}

static int count_shard(struct mysql_store *store, struct mysql_shard *shard, struct err *err)
{
    struct mysql_conn *conn = &store->slots[0].conn;
    struct arena arena;
    arena_init(&arena);
    int rc = execute_wait(
        conn, mysql_call_range(&shard->form, SQL_TOTAL, INT64_MIN, INT64_MAX, 0, &arena), err);
    if (rc == 0) {
        mysql_read_total(conn->result, &shard->n_rows, &shard->checksum);
        mysql_stmt_free_result(conn->result);
        store->n_rows_found += shard->n_rows;
    }
    arena_done(&arena);
    return rc;
}

/* Which keys are there, page by page. Once a store has very many it is not worth the time: the
 * server is waited for. */
static int find_keys(struct mysql_store *store, struct mysql_shard *shard, struct err *err)
{
    struct mysql_conn *conn = &store->slots[0].conn;
    struct arena arena;
    int64_t low = INT64_MIN;
    size_t n = KEYS_OF_PAGE;
    int rc = 0;
    if (store->n_rows_found > MOST_KEYS_FOUND) {
        mysql_filter_give_up(&shard->filter);
        return 0;
    }
    arena_init(&arena);
    while (rc == 0 && n == KEYS_OF_PAGE) {
        struct mysql_sums sums;
        int64_t key = low;
        uint64_t sum;
        arena_reset(&arena);
        rc = execute_wait(
            conn, mysql_call_range(&shard->form, SQL_SUMS, low, INT64_MAX, KEYS_OF_PAGE, &arena),
            err);
        if (rc != 0)
            break;
        mysql_sums_open(&sums, conn->result);
        for (n = 0; mysql_sums_next(&sums, &key, &sum); n++)
            mysql_filter_add(&shard->filter, key);
        mysql_stmt_free_result(conn->result);
        if (key == INT64_MAX)
            break;
        low = key + 1;
    }
    arena_done(&arena);
    return rc;
}

static int take_found(struct mysql_store *store, const struct found_shard *found, struct err *err)
{
    if (found->state != STATE_THERE)
        return drop_found(&store->slots[0].conn, found->id, err);
    struct mysql_shard *shard = new_shard(found->id);
    memcpy(shard->base.name, found->name, sizeof(found->name));
    int rc = schema_parse(found->schema_text, strlen(found->schema_text), &shard->base.schema, err);
    if (rc != 0)
        err_prefix(err, "quoit_catalog, id %" PRIu64 ", columns_json", found->id);
    else
        rc = count_shard(store, shard, err);
    if (rc == 0)
        rc = find_keys(store, shard, err);
    if (rc != 0) {
        mysql_shard_free(shard);
        return rc;
    }
    store_add_shard(&store->base, &shard->base);
    return 0;
}

int mysql_catalog_open(struct mysql_store *store, struct err *err)
{
    struct found found = {0};
    uint64_t began_ns = clock_now_ns();
    int rc = ask_about(store, err);
    if (rc == 0)
        rc = query_wait(&store->slots[0].conn, CATALOG_SQL, err);
    if (rc == 0)
        rc = list_shards(store, &found, err);
    for (size_t i = 0; i < found.n; i++) {
        if (rc == 0)
            rc = take_found(store, &found.shards[i], err);
        free(found.shards[i].schema_text);
    }
    free(found.shards);
    store->count_ns = clock_now_ns() - began_ns;
    return rc;
}
