#include "table/row.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/format.h"
#include "core/json.h"
#include "core/utf8.h"

/* ---- numbers as text --------------------------------------------------------------------------
 */

static int append_integer(struct buf *out, int64_t value)
{
    char text[FORMAT_INT64_BYTES];
    return buf_append_str(out, format_int64(value, text));
}

/* Whether an integer says it too, which is then how it is said. */
static bool is_integral(double value)
{
    return value >= -0x1p63 && value < 0x1p63 && !(trunc(value) < value) && !(trunc(value) > value);
}

static int append_double(struct buf *out, double value)
{
    char text[FORMAT_DOUBLE_BYTES];
    if (is_integral(value))
        return append_integer(out, (int64_t)value);
    return buf_append_str(out, format_double(value, text));
}

/* "-?[0-9]+" and nothing else, within int64. */
static bool read_digits(const char *text, size_t n, int64_t *ret_value)
{
    bool negative = n > 0 && text[0] == '-';
    size_t i = negative;
    uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;
    if (i == n)
        return false;
    for (; i < n; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = (int64_t)(negative ? -value : value);
    return true;
}

/* ---- a client's row ---------------------------------------------------------------------------
 */

static int append_number(struct buf *out, const char *column, const cJSON *node, struct err *err)
{
    int64_t integer;
    if (json_int64(node, &integer) == 0)
        return append_integer(out, integer);
    /* Without a point or an exponent it was meant to be exact. */
    if (node->valuestring && strpbrk(node->valuestring, ".eE") == NULL)
        return err_set(err, -EINVAL, "\"%s\" is %.40s: an integer must fit 64 bits", column,
                       node->valuestring);
    return append_double(out, node->valuedouble); /* past 2^53 a fraction may be rounded away */
}

static int append_value(struct buf *out, const struct column *column, const cJSON *node,
                        struct err *err)
{
    if (cJSON_IsNumber(node))
        return append_number(out, column->name, node, err);
    if (!cJSON_IsString(node))
        return err_set(err, -EINVAL, "\"%s\" is no %s", column->name,
                       column->type == COLUMN_NUMBER ? "Number" : "String");
    if (column->type == COLUMN_STRING)
        return json_escape(out, node->valuestring, strlen(node->valuestring));
    int64_t integer;
    if (!read_digits(node->valuestring, strlen(node->valuestring), &integer))
        return err_set(err, -EINVAL, "\"%s\" is the string \"%.40s\", and no Number", column->name,
                       node->valuestring);
    return append_integer(out, integer);
}

int row_key_from_json(const cJSON *node, const char *what, int64_t *ret_key, struct err *err)
{
    if (!node)
        return err_set(err, -EINVAL, "\"%s\" is missing", what);
    if (cJSON_IsNumber(node)) {
        int rc = json_int64(node, ret_key);
        return rc == 0 ? 0 : err_set(err, -EINVAL, "\"%s\" is no integer of 64 bits", what);
    }
    if (cJSON_IsString(node) && read_digits(node->valuestring, strlen(node->valuestring), ret_key))
        return 0;
    return err_set(err, -EINVAL, "\"%s\" is no whole Number", what);
}

static int append_row(const struct schema *schema, const cJSON *object, struct buf *out,
                      struct err *err)
{
    size_t n_found = 0;
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct column *column = &schema->columns[i];
        const cJSON *node = json_get(object, column->name);
        if (!node)
            return err_set(err, -EINVAL, "column \"%s\" is missing", column->name);
        n_found++;
        buf_append(out, i > 0 ? ",\"" : "{\"", 2);
        buf_append(out, column->name, column->n_name);
        buf_append(out, "\":", 2);
        int rc = append_value(out, column, node, err);
        if (rc != 0)
            return rc;
    }
    for (const cJSON *node = object->child; node; node = node->next)
        if (schema_find(schema, node->string, strlen(node->string)) == schema->n_columns)
            return err_set(err, -EINVAL, "column \"%.80s\" is not in the schema", node->string);
    return buf_append(out, "}", 1);
}

int row_from_json(const struct schema *schema, const cJSON *object, struct buf *out,
                  int64_t *ret_key, struct err *err)
{
    if (!cJSON_IsObject(object))
        return err_set(err, -EINVAL, "a row is no JSON object");
    int64_t key;
    size_t n_before = buf_len(out);
    const char *key_name = schema->columns[0].name;
    const cJSON *key_node = json_get(object, key_name);
    int rc = key_node ? row_key_from_json(key_node, key_name, &key, err)
                      : err_set(err, -EINVAL, "column \"%s\" is missing", key_name);
    if (rc == 0)
        rc = append_row(schema, object, out, err);
    if (rc == -EMSGSIZE)
        err_set(err, rc, "the rows are too long together");
    if (rc == 0 && buf_len(out) - n_before > ROW_MAX_BYTES)
        rc = err_set(err, -EMSGSIZE, "the row of key %lld is longer than %u bytes", (long long)key,
                     ROW_MAX_BYTES);
    if (rc != 0) {
        out->end = out->start + n_before;
        return rc;
    }
    *ret_key = key;
    return 0;
}

/* ---- canonical text ---------------------------------------------------------------------------
 */

/* Length of the canonical escape at text[0] == '\\', or 0; the character it stands for. */
static size_t read_escape(const char *text, size_t n, char *ret_c)
{
    static const char from[] = "\"\\btnfr", to[] = "\"\\\b\t\n\f\r";
    const char *at = n >= 2 && text[1] != '\0' ? strchr(from, text[1]) : NULL;
    if (at) {
        *ret_c = to[at - from];
        return 2;
    }
    if (n < 6 || memcmp(text, "\\u00", 4) != 0)
        return 0;
    static const char digits[] = "0123456789abcdef";
    const char *high = text[4] ? strchr(digits, text[4]) : NULL;
    const char *low = text[5] ? strchr(digits, text[5]) : NULL;
    if (!high || !low)
        return 0;
    unsigned c = (unsigned)(high - digits) * 16 + (unsigned)(low - digits);
    /* Only what must be escaped and has no shorter form. */
    if (c == 0 || (c >= 0x20 && c != 0x7f) || strchr(to, (int)c))
        return 0;
    *ret_c = (char)c;
    return 6;
}

/* Length of the string's inside, up to the closing quote; SIZE_MAX when it is not canonical. */
static size_t string_length(const char *text, size_t n)
{
    size_t at = 0;
    while (at < n && text[at] != '"') {
        unsigned char c = (unsigned char)text[at];
        char escaped;
        size_t len = c == '\\'               ? read_escape(text + at, n - at, &escaped)
                     : c < 0x20 || c == 0x7f ? 0
                     : c < 0x80              ? 1
                                             : utf8_char(text + at, n - at, NULL);
        if (len == 0)
            return SIZE_MAX;
        at += len;
    }
    return at < n ? at : SIZE_MAX;
}

/* Reads a canonical number at text; returns its length, or 0. */
static size_t read_number(const char *text, size_t n, struct row_value *value)
{
    size_t len = 0;
    while (len < n && text[len] != ',' && text[len] != '}')
        len++;
    value->text = text;
    value->n_bytes = len;
    if (read_digits(text, len, &value->integer)) {
        /* Of what are digits and within int64, no other form says the same but these. */
        size_t first = text[0] == '-';
        value->type = ROW_INTEGER;
        return text[first] == '0' && (first == 1 || len > 1) ? 0 : len;
    }
    char copy[FORMAT_DOUBLE_BYTES], canonical[FORMAT_DOUBLE_BYTES];
    if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len))
        return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *end;
    value->type = ROW_DOUBLE;
    value->number = strtod(copy, &end);
    if (*end != '\0' || !isfinite(value->number))
        return 0;
    if (is_integral(value->number))
        return 0;
    return strcmp(format_double(value->number, canonical), copy) == 0 ? len : 0;
}

/* Length of the value at text, or 0. */
static size_t read_value(const struct column *column, const char *text, size_t n,
                         struct row_value *value)
{
    if (n == 0 || text[0] != '"')
        return read_number(text, n, value);
    size_t inside = string_length(text + 1, n - 1);
    if (column->type != COLUMN_STRING || inside == SIZE_MAX)
        return 0;
    value->type = ROW_TEXT;
    value->text = text + 1;
    value->n_bytes = inside;
    return inside + 2;
}

/* Up to the row's end, whatever follows. */
static int scan(const struct schema *schema, const char *text, size_t n, struct row_value *values,
                size_t *ret_len, struct err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct column *column = &schema->columns[i];
        size_t n_head = column->n_name + 4; /* {"NAME": or ,"NAME": */
        const char *head = text + at;
        if (n - at < n_head || head[0] != (i > 0 ? ',' : '{') || head[1] != '"' ||
            memcmp(head + 2, column->name, column->n_name) != 0 || head[n_head - 2] != '"' ||
            head[n_head - 1] != ':')
            return err_set(err, -EINVAL, "column \"%s\" does not stand at byte %zu of the row",
                           column->name, at);
        at += n_head;
        size_t len = read_value(column, text + at, n - at, &values[i]);
        if (len == 0)
            return err_set(err, -EINVAL, "no canonical value of column \"%s\" at byte %zu",
                           column->name, at);
        at += len;
    }
    if (at == n || text[at] != '}')
        return err_set(err, -EINVAL, "the row does not end at byte %zu", at);
    at++;
    if (values[0].type != ROW_INTEGER)
        return err_set(err, -EINVAL, "the key is no integer");
    if (at > ROW_MAX_BYTES)
        return err_set(err, -EINVAL, "the row is longer than %u bytes", ROW_MAX_BYTES);
    *ret_len = at;
    return 0;
}

int row_take_apart(const struct schema *schema, const char *text, size_t n,
                   struct row_value *values, struct err *err)
{
    size_t len;
    int rc = scan(schema, text, n, values, &len, err);
    if (rc == 0 && len != n)
        rc = err_set(err, -EINVAL, "the row does not end at byte %zu", len - 1);
    return rc;
}

size_t row_scan(const struct schema *schema, const char *text, size_t n, struct row_value *values)
{
    size_t len;
    return scan(schema, text, n, values, &len, NULL) == 0 ? len : 0;
}

void row_unescape(const struct row_value *value, struct buf *out)
{
    size_t at = 0, plain = 0;
    while (at < value->n_bytes) {
        char c;
        if (value->text[at] != '\\') {
            at++;
            continue;
        }
        buf_append(out, value->text + plain, at - plain);
        at += read_escape(value->text + at, value->n_bytes - at, &c);
        buf_append(out, &c, 1);
        plain = at;
    }
    buf_append(out, value->text + plain, at - plain);
}

int row_join(const struct schema *schema, const struct row_value *values, struct buf *out)
{
    size_t n_before = buf_len(out);
    int rc = 0;
    for (size_t i = 0; i < schema->n_columns && rc == 0; i++) {
        const struct row_value *value = &values[i];
        buf_append(out, i > 0 ? ",\"" : "{\"", 2);
        buf_append(out, schema->columns[i].name, schema->columns[i].n_name);
        buf_append(out, "\":", 2);
        rc = value->type == ROW_INTEGER  ? append_integer(out, value->integer)
             : value->type == ROW_DOUBLE ? append_double(out, value->number)
                                         : json_escape(out, value->text, value->n_bytes);
    }
    if (rc == 0)
        rc = buf_append(out, "}", 1);
    if (rc == 0 && buf_len(out) - n_before > ROW_MAX_BYTES)
        rc = -EMSGSIZE;
    if (rc != 0)
        out->end = out->start + n_before;
    return rc;
}

uint64_t row_checksum(const char *text, size_t n)
{
    return XXH3_64bits(text, n);
}
