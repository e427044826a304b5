#include "backends/store/mysql_rows.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A text up to this long is fetched with its row, a longer one by a call of its own. */
#define FIELD_BYTES 256
/* Of a DECIMAL: a sign and 65 digits. */
#define DECIMAL_BYTES 80

/* ---- columns -----------------------------------------------------------------------------------
 */

enum part { PART_INTEGER, PART_REAL, PART_TEXT };

/* A column of the table: which value's, and which of its parts. */
struct place {
    size_t column;
    enum part part;
    bool companion;
};

#define MAX_PLACES (SCHEMA_MAX_COLUMNS * 3)

static size_t list_places(const struct schema *schema, bool full, struct place *places)
{
    size_t n = 0;
    for (size_t i = 0; i < schema->n_columns; i++) {
        bool text = schema->columns[i].type == COLUMN_STRING;
        places[n++] = (struct place){i, text ? PART_TEXT : PART_INTEGER, false};
        if (full && text)
            places[n++] = (struct place){i, PART_INTEGER, true};
        if (full && i > 0)
            places[n++] = (struct place){i, PART_REAL, true};
    }
    return n;
}

static void write_name(const struct place *place, struct buf *sql)
{
    buf_appendf(sql, "c%zu", place->column);
    if (place->companion)
        buf_append_str(sql, place->part == PART_REAL ? "_real" : "_int");
}

static void write_names(const struct schema *schema, bool full, struct buf *sql)
{
    struct place places[MAX_PLACES];
    size_t n = list_places(schema, full, places);
    for (size_t i = 0; i < n; i++) {
        write_name(&places[i], sql);
        buf_append_str(sql, ",");
    }
    buf_append_str(sql, "sum");
}

void mysql_form_write_columns(const struct mysql_form *form, struct buf *sql)
{
    static const char *const types[] = {
        [PART_INTEGER] = " BIGINT",
        [PART_REAL] = " DOUBLE",
        [PART_TEXT] = " TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    };
    struct place places[MAX_PLACES];
    size_t n = list_places(form->schema, true, places);
    for (size_t i = 0; i < n; i++) {
        write_name(&places[i], sql);
        buf_append_str(sql, types[places[i].part]);
        buf_append_str(sql, i == 0 ? " NOT NULL PRIMARY KEY," : " NULL,");
    }
    buf_append_str(sql, "sum BIGINT NOT NULL");
}

static bool is_usual(enum column_type type, enum row_value_type value)
{
    return value == (type == COLUMN_STRING ? ROW_TEXT : ROW_INTEGER);
}

int mysql_take_row(const struct mysql_form *form, const struct row *row, struct arena *arena,
                   struct mysql_values *ret_values, struct err *err)
{
    size_t n = form->schema->n_columns;
    struct row_value *values = arena_alloc(arena, n * sizeof(*values));
    int rc = row_take_apart(form->schema, row->text, row->n_bytes, values, err);
    if (rc != 0)
        return rc;
    if (values[0].integer != row->key)
        return err_set(err, -EINVAL, "the row of key %" PRId64 " has another key in it", row->key);
    bool usual = true;
    for (size_t i = 0; i < n; i++) {
        struct row_value *value = &values[i];
        usual = usual && is_usual(form->schema->columns[i].type, value->type);
        if (value->type != ROW_TEXT || memchr(value->text, '\\', value->n_bytes) == NULL)
            continue;
        struct buf plain;
        buf_init(&plain, 0);
        row_unescape(value, &plain);
        value->text = arena_strndup(arena, buf_head(&plain), buf_len(&plain));
        value->n_bytes = buf_len(&plain);
        buf_done(&plain);
    }
    *ret_values = (struct mysql_values){
        .row = row,
        .values = values,
        .usual = usual,
        .sum = row_checksum(row->text, row->n_bytes),
    };
    return 0;
}

/* ---- SQL ---------------------------------------------------------------------------------------
 */

static void write_marks(struct buf *sql, size_t n)
{
    buf_append_str(sql, "(");
    for (size_t i = 0; i < n; i++)
        buf_append_str(sql, i > 0 ? ",?" : "?");
    buf_append_str(sql, ")");
}

static void write_rows_sql(const struct mysql_form *form, bool put, bool full, size_t n,
                           struct buf *sql)
{
    struct place places[MAX_PLACES];
    size_t n_places = list_places(form->schema, full, places);
    buf_appendf(sql, "%s INTO quoit_%" PRIu64 " (", put ? "REPLACE" : "INSERT", form->table);
    write_names(form->schema, full, sql);
    buf_append_str(sql, ") VALUES ");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_append_str(sql, ",");
        write_marks(sql, n_places + 1);
    }
}

static void write_select(const struct mysql_form *form, const char *what, struct buf *sql)
{
    buf_append_str(sql, "SELECT ");
    if (what)
        buf_append_str(sql, what);
    else
        write_names(form->schema, true, sql);
    buf_appendf(sql, " FROM quoit_%" PRIu64 " WHERE c0 ", form->table);
}

static void write_sql(const struct mysql_call *call, struct buf *sql)
{
    const struct mysql_form *form = call->context;
    switch ((enum mysql_sql)call->key.kind) {
    case SQL_INSERT:
    case SQL_INSERT_FULL:
        write_rows_sql(form, false, call->key.kind == SQL_INSERT_FULL, call->key.n, sql);
        break;
    case SQL_PUT:
    case SQL_PUT_FULL:
        write_rows_sql(form, true, call->key.kind == SQL_PUT_FULL, call->key.n, sql);
        break;
    case SQL_DELETE_KEYS:
        buf_appendf(sql, "DELETE FROM quoit_%" PRIu64 " WHERE c0 IN ", form->table);
        write_marks(sql, call->key.n);
        break;
    case SQL_DELETE_RANGE:
        buf_appendf(sql, "DELETE FROM quoit_%" PRIu64 " WHERE c0 BETWEEN ? AND ?", form->table);
        break;
    case SQL_SUMS_OF_KEYS:
        write_select(form, "c0,sum", sql);
        buf_append_str(sql, "IN ");
        write_marks(sql, call->key.n);
        break;
    case SQL_ROWS_OF_KEYS:
        write_select(form, NULL, sql);
        buf_append_str(sql, "IN ");
        write_marks(sql, call->key.n);
        buf_append_str(sql, " ORDER BY c0");
        break;
    case SQL_ROWS:
        write_select(form, NULL, sql);
        buf_append_str(sql, "BETWEEN ? AND ? ORDER BY c0 LIMIT ?");
        break;
    case SQL_SUMS:
        write_select(form, "c0,sum", sql);
        buf_append_str(sql, "BETWEEN ? AND ? ORDER BY c0 LIMIT ?");
        break;
    case SQL_TOTAL:
        write_select(form, "COUNT(*),SUM(sum)", sql);
        buf_append_str(sql, "BETWEEN ? AND ?");
        break;
    }
}

static struct mysql_call *make_call(const struct mysql_form *form, enum mysql_sql kind, size_t n,
                                    size_t n_params, struct arena *arena)
{
    struct mysql_call *call = arena_zalloc(arena, 1, sizeof(*call));
    call->key = (struct mysql_key){.table = form->table, .kind = kind, .n = (uint32_t)n};
    call->write_sql = write_sql;
    call->context = form;
    call->params = arena_zalloc(arena, n_params, sizeof(*call->params));
    call->n_params = n_params;
    call->has_rows = kind >= SQL_SUMS_OF_KEYS;
    return call;
}

/* Connector/C takes what it only reads as void *. */
static void *unconst(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

static void bind_integer(MYSQL_BIND *bind, const int64_t *value)
{
    bind->buffer_type = MYSQL_TYPE_LONGLONG;
    bind->buffer = unconst(value);
}

static enum part part_of(const struct row_value *value)
{
    static const enum part parts[] = {
        [ROW_INTEGER] = PART_INTEGER, [ROW_DOUBLE] = PART_REAL, [ROW_TEXT] = PART_TEXT};
    return parts[value->type];
}

static void bind_value(MYSQL_BIND *bind, enum part part, const struct row_value *value)
{
    if (part_of(value) != part) {
        bind->buffer_type = MYSQL_TYPE_NULL;
    } else if (part == PART_INTEGER) {
        bind_integer(bind, &value->integer);
    } else if (part == PART_REAL) {
        bind->buffer_type = MYSQL_TYPE_DOUBLE;
        bind->buffer = unconst(&value->number);
    } else {
        bind->buffer_type = MYSQL_TYPE_STRING;
        bind->buffer = unconst(value->text);
        bind->buffer_length = value->n_bytes;
    }
}

static void bind_rows(MYSQL_BIND *bind, const struct place *places, size_t n_places,
                      const struct mysql_values *const *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_places; j++)
            bind_value(bind++, places[j].part, &rows[i]->values[places[j].column]);
        /* The same bits, signed: int64 may alias uint64. */
        bind_integer(bind++, (const int64_t *)&rows[i]->sum);
    }
}

/* One column of all rows. */
static void bind_column(MYSQL_BIND *bind, const struct place *place,
                        const struct mysql_values *const *rows, size_t n, struct arena *arena)
{
    char *indicators = arena_zalloc(arena, n, 1);
    int64_t *integers = NULL;
    double *numbers = NULL;
    const char **texts = NULL;
    if (place->part == PART_TEXT) {
        bind->buffer_type = MYSQL_TYPE_STRING;
        bind->buffer = texts = arena_zalloc(arena, n, sizeof(*texts));
        bind->length = arena_zalloc(arena, n, sizeof(*bind->length));
    } else if (place->part == PART_REAL) {
        bind->buffer_type = MYSQL_TYPE_DOUBLE;
        bind->buffer = numbers = arena_zalloc(arena, n, sizeof(*numbers));
    } else {
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = integers = arena_zalloc(arena, n, sizeof(*integers));
    }
    bind->u.indicator = indicators;
    for (size_t i = 0; i < n; i++) {
        const struct row_value *value = &rows[i]->values[place->column];
        if (part_of(value) != place->part) {
            indicators[i] = STMT_INDICATOR_NULL;
        } else if (texts) {
            texts[i] = value->text;
            bind->length[i] = value->n_bytes;
        } else if (numbers) {
            numbers[i] = value->number;
        } else if (integers) {
            integers[i] = value->integer;
        }
    }
}

static void bind_columns(MYSQL_BIND *bind, const struct place *places, size_t n_places,
                         const struct mysql_values *const *rows, size_t n, struct arena *arena)
{
    for (size_t j = 0; j < n_places; j++)
        bind_column(&bind[j], &places[j], rows, n, arena);
    uint64_t *sums = arena_alloc(arena, n * sizeof(*sums));
    for (size_t i = 0; i < n; i++)
        sums[i] = rows[i]->sum;
    bind_integer(&bind[n_places], (const int64_t *)sums);
}

struct mysql_call *mysql_call_rows(const struct mysql_form *form, enum mysql_sql kind,
                                   const struct mysql_values *const *rows, size_t n, bool as_arrays,
                                   struct arena *arena)
{
    bool full = false;
    for (size_t i = 0; i < n; i++)
        full = full || !rows[i]->usual;
    struct place places[MAX_PLACES];
    size_t n_places = list_places(form->schema, full, places);
    size_t n_of_sql = as_arrays ? 1 : n;
    kind = kind == SQL_INSERT ? (full ? SQL_INSERT_FULL : SQL_INSERT)
                              : (full ? SQL_PUT_FULL : SQL_PUT);
    struct mysql_call *call = make_call(form, kind, n_of_sql, n_of_sql * (n_places + 1), arena);
    if (as_arrays) {
        call->n_rows = (unsigned)n;
        bind_columns(call->params, places, n_places, rows, n, arena);
    } else {
        bind_rows(call->params, places, n_places, rows, n);
    }
    return call;
}

/* Few distinct lengths, so that few statements are prepared: a key said twice says nothing more. */
static size_t round_up_keys(size_t n)
{
    size_t rounded = 1;
    while (rounded < n)
        rounded *= 2;
    return rounded;
}

struct mysql_call *mysql_call_keys(const struct mysql_form *form, enum mysql_sql kind,
                                   const int64_t *keys, size_t n, struct arena *arena)
{
    size_t n_params = round_up_keys(n);
    struct mysql_call *call = make_call(form, kind, n_params, n_params, arena);
    assert(n > 0 && n <= MYSQL_MAX_ROWS);
    for (size_t i = 0; i < n_params; i++)
        bind_integer(&call->params[i], &keys[i < n ? i : n - 1]);
    return call;
}

struct mysql_call *mysql_call_range(const struct mysql_form *form, enum mysql_sql kind, int64_t low,
                                    int64_t last, uint64_t limit, struct arena *arena)
{
    bool limited = kind == SQL_ROWS || kind == SQL_SUMS;
    struct mysql_call *call = make_call(form, kind, 0, limited ? 3 : 2, arena);
    int64_t *numbers = arena_alloc(arena, 3 * sizeof(*numbers));
    numbers[0] = low;
    numbers[1] = last;
    numbers[2] = limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
    for (size_t i = 0; i < call->n_params; i++)
        bind_integer(&call->params[i], &numbers[i]);
    return call;
}

/* ---- rows that come ----------------------------------------------------------------------------
 */

/* Where the server's value of a column lands. */
struct mysql_field {
    struct place place;
    my_bool is_null;
    unsigned long n_bytes;
    union {
        long long integer;
        double number;
    } value;
    char text[FIELD_BYTES];
};

void mysql_cursor_open(struct mysql_cursor *cursor, const struct mysql_form *form, MYSQL_STMT *stmt,
                       struct arena *arena)
{
    struct place places[MAX_PLACES];
    size_t n = list_places(form->schema, true, places);
    *cursor = (struct mysql_cursor){.form = form, .stmt = stmt, .arena = arena};
    arena_init(&cursor->big);
    buf_init(&cursor->text, 0);
    places[n++] = (struct place){form->schema->n_columns, PART_INTEGER, false}; /* the sum */
    cursor->binds = arena_zalloc(arena, n, sizeof(*cursor->binds));
    cursor->fields = arena_alloc(arena, n * sizeof(*cursor->fields));
    cursor->values = arena_alloc(arena, (form->schema->n_columns + 1) * sizeof(*cursor->values));
    for (size_t i = 0; i < n; i++) {
        struct mysql_field *field = &cursor->fields[i];
        MYSQL_BIND *bind = &cursor->binds[i];
        field->place = places[i];
        bind->is_null = &field->is_null;
        bind->length = &field->n_bytes;
        bind->buffer = &field->value;
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        if (places[i].part == PART_REAL) {
            bind->buffer_type = MYSQL_TYPE_DOUBLE;
        } else if (places[i].part == PART_TEXT) {
            bind->buffer_type = MYSQL_TYPE_STRING;
            bind->buffer = field->text;
            bind->buffer_length = FIELD_BYTES;
        }
    }
    mysql_stmt_bind_result(stmt, cursor->binds);
}

static const char *fetch_text(struct mysql_cursor *cursor, size_t at)
{
    struct mysql_field *field = &cursor->fields[at];
    if (field->n_bytes <= FIELD_BYTES)
        return field->text;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING,
                       .buffer_length = field->n_bytes,
                       .length = &field->n_bytes,
                       .is_null = &field->is_null};
    char *text = arena_alloc(&cursor->big, field->n_bytes);
    bind.buffer = text;
    mysql_stmt_fetch_column(cursor->stmt, &bind, (unsigned)at, 0);
    return text;
}

/* Puts the fields that are not NULL where the row's values are; returns how many. */
static size_t gather_values(struct mysql_cursor *cursor)
{
    size_t n_columns = cursor->form->schema->n_columns, n_values = 0;
    for (size_t i = 0;; i++) {
        struct mysql_field *field = &cursor->fields[i];
        struct row_value *value = &cursor->values[field->place.column];
        if (!field->is_null) {
            n_values++;
            if (field->place.part == PART_INTEGER)
                *value = (struct row_value){.type = ROW_INTEGER, .integer = field->value.integer};
            else if (field->place.part == PART_REAL)
                *value = (struct row_value){.type = ROW_DOUBLE, .number = field->value.number};
            else
                *value = (struct row_value){
                    .type = ROW_TEXT, .text = fetch_text(cursor, i), .n_bytes = field->n_bytes};
        }
        if (field->place.column == n_columns)
            return n_values;
    }
}

int mysql_cursor_next(struct mysql_cursor *cursor, struct row *ret_row, struct err *err)
{
    const struct schema *schema = cursor->form->schema;
    int rc = mysql_stmt_fetch(cursor->stmt);
    if (rc == MYSQL_NO_DATA)
        return 0;
    if (rc != 0 && rc != MYSQL_DATA_TRUNCATED)
        return err_set(err, -EIO, "%s", mysql_stmt_error(cursor->stmt));
    arena_reset(&cursor->big);
    buf_clear(&cursor->text);
    size_t n_values = gather_values(cursor);
    int64_t key = cursor->values[0].integer;
    if (n_values != schema->n_columns + 1 || row_join(schema, cursor->values, &cursor->text) != 0 ||
        row_checksum(buf_head(&cursor->text), buf_len(&cursor->text)) !=
            (uint64_t)cursor->values[schema->n_columns].integer)
        return err_set(err, -EIO,
                       "the row of key %" PRId64 " in quoit_%" PRIu64
                       " is not what was written: its checksum differs",
                       key, cursor->form->table);
    *ret_row = (struct row){
        .key = key, .text = buf_head(&cursor->text), .n_bytes = (uint32_t)buf_len(&cursor->text)};
    return 1;
}

void mysql_cursor_close(struct mysql_cursor *cursor)
{
    arena_done(&cursor->big);
    buf_done(&cursor->text);
}

void mysql_sums_open(struct mysql_sums *sums, MYSQL_STMT *stmt)
{
    *sums = (struct mysql_sums){.stmt = stmt};
    sums->binds[0].buffer_type = sums->binds[1].buffer_type = MYSQL_TYPE_LONGLONG;
    sums->binds[0].buffer = &sums->key;
    sums->binds[1].buffer = &sums->sum;
    mysql_stmt_bind_result(stmt, sums->binds);
}

bool mysql_sums_next(struct mysql_sums *sums, int64_t *ret_key, uint64_t *ret_sum)
{
    if (mysql_stmt_fetch(sums->stmt) != 0)
        return false;
    *ret_key = sums->key;
    *ret_sum = (uint64_t)sums->sum;
    return true;
}

/* A DECIMAL's digits, modulo 2^64, which is what adding up uint64 comes to. */
static uint64_t wrap_decimal(const char *text, size_t n)
{
    bool negative = n > 0 && text[0] == '-';
    uint64_t value = 0;
    for (size_t i = negative; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return negative ? -value : value;
}

void mysql_read_total(MYSQL_STMT *stmt, uint64_t *ret_n_rows, uint64_t *ret_checksum)
{
    char decimal[DECIMAL_BYTES];
    unsigned long n_decimal = 0;
    my_bool is_null = 0;
    long long n_rows = 0;
    MYSQL_BIND binds[2] = {
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &n_rows},
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = decimal,
         .buffer_length = sizeof(decimal),
         .length = &n_decimal,
         .is_null = &is_null},
    };
    mysql_stmt_bind_result(stmt, binds);
    mysql_stmt_fetch(stmt);
    *ret_n_rows = (uint64_t)n_rows;
    *ret_checksum = is_null ? 0 : wrap_decimal(decimal, n_decimal);
}
