/* A row and its canonical text.
 *
 * Between the LB, the servers and the stores a row travels as one text, made once, at the edge:
 *
 *     {"Stud_id":2255,"Stud_name":"GHI","Stud_marks":27}
 *
 * a JSON object without white space, its columns in the schema's order, strings escaped as
 * json_escape() does, integers in plain digits (the whole int64 range), other numbers with the
 * fewest digits that read back the same double. Equal rows have equal texts, so that replicas can
 * be compared by checksum, and an answer is texts joined by commas.
 *
 * CONTRACT.md, Part 2: digits in a string are taken for a Number column; a number sent for a String
 * column stays a number. */
#ifndef QUOIT_TABLE_ROW_H
#define QUOIT_TABLE_ROW_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "table/schema.h"

/* Of a row's canonical text; a longer one is refused. */
#define ROW_MAX_BYTES (64u * 1024)

struct row {
    int64_t key;
    const char *text; /* canonical; borrowed, not NUL-ended */
    uint32_t n_bytes;
};

enum row_value_type { ROW_INTEGER, ROW_DOUBLE, ROW_TEXT };

/* One column's value of a row taken apart. */
struct row_value {
    enum row_value_type type;
    int64_t integer;  /* ROW_INTEGER */
    double number;    /* ROW_DOUBLE */
    const char *text; /* ROW_TEXT: between the quotes, still escaped; else the digits */
    size_t n_bytes;
};

/* A client's row: appends its canonical text to out and tells its key. 0, or -EINVAL naming the
 * column that is missing, unknown, or of the wrong type or range; -EMSGSIZE: longer than
 * ROW_MAX_BYTES, or than out may hold. out is as it was on failure. */
int row_from_json(const struct schema *schema, const cJSON *object, struct buf *out,
                  int64_t *ret_key, struct err *err);
/* A key sent as a number or as digits in a string. 0 or -EINVAL, the reason naming `what`. */
int row_key_from_json(const cJSON *node, const char *what, int64_t *ret_key, struct err *err);
/* Takes a text apart into values[n_columns] and proves that it is canonical. 0 or -EINVAL. */
int row_take_apart(const struct schema *schema, const char *text, size_t n,
                   struct row_value *values, struct err *err);
/* The same of a row that text begins with: its length, or 0 where it begins with none. */
size_t row_scan(const struct schema *schema, const char *text, size_t n, struct row_value *values);
/* Appends a ROW_TEXT value's bytes, unescaped. */
void row_unescape(const struct row_value *value, struct buf *out);
/* Appends the canonical text of values, whose ROW_TEXT are plain bytes, not escaped. As
 * row_from_json() on length. */
int row_join(const struct schema *schema, const struct row_value *values, struct buf *out);

/* A row's part in the checksum of a shard, which is the sum of its rows' (mod 2^64), so that it
 * does not depend on their order and can be kept up at each change. XXH3 of the text. */
uint64_t row_checksum(const char *text, size_t n);

#endif
