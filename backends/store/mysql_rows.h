/* A shard's rows as columns of a table, there and back.
 *
 * Shard number 7 is the table quoit_7. The schema's column i is one column or several, named by its
 * number: schemas tell "a" from "A", which SQL does not, and a name of 64 characters leaves no room
 * for a companion. Which name belongs to which number, the catalog's schema says.
 *
 *     Number, the key     c0       BIGINT    NOT NULL PRIMARY KEY
 *     Number              c2       BIGINT    an integer
 *                         c2_real  DOUBLE    any other number
 *     String              c1       TEXT      utf8mb4_bin: a string
 *                         c1_int   BIGINT    an integer that was sent for a String and stays one
 *                         c1_real  DOUBLE    another number that was sent for a String
 *     sum                          BIGINT    the row's checksum (row_checksum()), as signed
 *
 * Of a value's columns exactly one is not NULL, so that what comes back has the type that went in:
 * int64 and double exactly, by the binary protocol. A row is usual when it needs no companion;
 * usual rows are written without naming them.
 *
 * The sum lets the server count and add up a shard without sending it, tells what an update took
 * away, and proves every row that is read: one that does not make the same canonical text again is
 * an error, not an answer. */
#ifndef QUOIT_BACKENDS_STORE_MYSQL_ROWS_H
#define QUOIT_BACKENDS_STORE_MYSQL_ROWS_H

#include "backends/store/mysql_conn.h"
#include "core/arena.h"
#include "table/row.h"
#include "table/schema.h"

/* The statements on a shard's table, kinds of a struct mysql_key; its n says for how many rows or
 * keys. */
enum mysql_sql {
    SQL_INSERT = 1,   /* n usual rows */
    SQL_INSERT_FULL,  /* n rows, every column */
    SQL_PUT,          /* n usual rows, over what was there */
    SQL_PUT_FULL,     /* n rows, every column, over what was there */
    SQL_DELETE_KEYS,  /* n keys */
    SQL_DELETE_RANGE, /* low, last */
    SQL_SUMS_OF_KEYS, /* n keys → c0, sum */
    SQL_ROWS_OF_KEYS, /* n keys → rows, ascending */
    SQL_ROWS,         /* low, last, limit → rows, ascending */
    SQL_SUMS,         /* low, last, limit → c0, sum, ascending */
    SQL_TOTAL,        /* low, last → how many, sum of the sums */
    SQL_LAST_OF_SHARD = SQL_TOTAL,
};

/* Rows or keys in one statement, rows that go as arrays, and bytes of their texts (but one row
 * always may). */
#define MYSQL_MAX_ROWS 1024
#define MYSQL_MAX_ARRAY_ROWS 4096
#define MYSQL_MAX_STATEMENT_BYTES ((size_t)1024 * 1024)

struct mysql_form {
    uint64_t table;
    const struct schema *schema; /* (ref) */
};

/* A row taken apart. */
struct mysql_values {
    const struct row *row;    /* (ref) */
    struct row_value *values; /* n_columns, of an arena */
    bool usual;
    uint64_t sum;
};

/* CREATE TABLE's inside, for the catalog. */
void mysql_form_write_columns(const struct mysql_form *form, struct buf *sql);

/* Takes a row apart into the arena's memory; texts without escapes stay borrowed from it. 0 or
 * -EINVAL: it is not canonical. */
int mysql_take_row(const struct mysql_form *form, const struct row *row, struct arena *arena,
                   struct mysql_values *ret_values, struct err *err);

/* ---- calls; params of the arena ---- */

/* kind: SQL_INSERT or SQL_PUT; the full one is taken where a row needs it. as_arrays: the statement
 * is of one row and executed with arrays, so that it is prepared once for any n. */
struct mysql_call *mysql_call_rows(const struct mysql_form *form, enum mysql_sql kind,
                                   const struct mysql_values *const *rows, size_t n, bool as_arrays,
                                   struct arena *arena);
/* SQL_DELETE_KEYS, _SUMS_OF_KEYS, _ROWS_OF_KEYS; n ≤ MYSQL_MAX_ROWS. keys are borrowed. */
struct mysql_call *mysql_call_keys(const struct mysql_form *form, enum mysql_sql kind,
                                   const int64_t *keys, size_t n, struct arena *arena);
/* The others; limit only with SQL_ROWS and SQL_SUMS. */
struct mysql_call *mysql_call_range(const struct mysql_form *form, enum mysql_sql kind, int64_t low,
                                    int64_t last, uint64_t limit, struct arena *arena);

/* ---- results ---- */

/* Rows of SQL_ROWS and SQL_ROWS_OF_KEYS as they come. */
struct mysql_cursor {
    const struct mysql_form *form;
    MYSQL_STMT *stmt;
    struct arena *arena;
    struct arena big; /* texts that pass their buffer, of the current row */
    struct buf text;
    MYSQL_BIND *binds;
    struct mysql_field *fields;
    struct row_value *values;
};

/* arena: outlives the cursor. */
void mysql_cursor_open(struct mysql_cursor *cursor, const struct mysql_form *form, MYSQL_STMT *stmt,
                       struct arena *arena);
/* The next row, its text valid until the next call. 1; 0 at the end; -EIO with the reason: not what
 * was written. */
int mysql_cursor_next(struct mysql_cursor *cursor, struct row *ret_row, struct err *err);
void mysql_cursor_close(struct mysql_cursor *cursor);

/* The keys and sums of SQL_SUMS and SQL_SUMS_OF_KEYS, one by one; begin before the first. */
struct mysql_sums {
    MYSQL_STMT *stmt;
    MYSQL_BIND binds[2];
    long long key, sum;
};

void mysql_sums_open(struct mysql_sums *sums, MYSQL_STMT *stmt);
bool mysql_sums_next(struct mysql_sums *sums, int64_t *ret_key, uint64_t *ret_sum);

/* SQL_TOTAL's one row. */
void mysql_read_total(MYSQL_STMT *stmt, uint64_t *ret_n_rows, uint64_t *ret_checksum);

#endif
