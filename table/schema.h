/* The columns of a table (CONTRACT.md, Part 2): names and types, the first one being the key. */
#ifndef QUOIT_TABLE_SCHEMA_H
#define QUOIT_TABLE_SCHEMA_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define SCHEMA_MAX_COLUMNS 64
#define SCHEMA_NAME_BYTES 64 /* of a column's name, without its NUL */

enum column_type { COLUMN_NUMBER, COLUMN_STRING };

struct column {
    char name[SCHEMA_NAME_BYTES + 1]; /* ^[A-Za-z_][A-Za-z0-9_]{0,63}$, unique in its schema */
    size_t n_name;
    enum column_type type;
};

/* columns[0] is the key, a Number. Copied by value. */
struct schema {
    size_t n_columns;
    struct column columns[SCHEMA_MAX_COLUMNS];
};

/* Reads {"columns":["Stud_id",…],"dtypes":["Number",…]}. 0, or -EINVAL with the reason. */
int schema_read(const cJSON *object, struct schema *ret_schema, struct err *err);
/* The same of n bytes of text. */
int schema_parse(const char *text, size_t n, struct schema *ret_schema, struct err *err);
/* Appends it as it is read, compact; equal schemas print equal bytes. */
void schema_print(const struct schema *schema, struct buf *out);
bool schema_equal(const struct schema *a, const struct schema *b);
/* The column of that name, or n_columns. */
size_t schema_find(const struct schema *schema, const char *name, size_t n);

#endif
