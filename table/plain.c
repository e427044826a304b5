#include "table/plain.h"

#include <string.h>

#include "core/name.h"

#define FIRST_ROWS 4u

/* What is left of a body. */
struct rest {
    const char *at, *end;
};

/* An empty body may be nowhere. */
static struct rest rest_of(const char *body, size_t n)
{
    return (struct rest){body, n > 0 ? body + n : body};
}

static bool take(struct rest *rest, const char *text, size_t n)
{
    if ((size_t)(rest->end - rest->at) < n || memcmp(rest->at, text, n) != 0)
        return false;
    rest->at += n;
    return true;
}

#define TAKE(rest, literal) take(rest, literal, sizeof(literal) - 1)

/* ---- rows -------------------------------------------------------------------------------------
 */

static struct row *double_rows(struct arena *arena, const struct row *rows, size_t n)
{
    struct row *more = arena_alloc(arena, (n > 0 ? n * 2 : FIRST_ROWS) * sizeof(*more));
    if (n > 0)
        memcpy(more, rows, n * sizeof(*rows));
    return more;
}

bool plain_read_rows(const struct schema *schema, const char *body, size_t n, struct arena *arena,
                     struct row **ret_rows, size_t *ret_n_rows)
{
    struct rest rest = rest_of(body, n);
    struct row_value values[SCHEMA_MAX_COLUMNS];
    struct row *rows = NULL;
    size_t n_rows = 0;
    if (!TAKE(&rest, "{\"data\":["))
        return false;
    do {
        size_t len = row_scan(schema, rest.at, (size_t)(rest.end - rest.at), values);
        if (len == 0)
            return false;
        if (n_rows == 0 || (n_rows >= FIRST_ROWS && (n_rows & (n_rows - 1)) == 0))
            rows = double_rows(arena, rows, n_rows);
        rows[n_rows++] =
            (struct row){.key = values[0].integer, .text = rest.at, .n_bytes = (uint32_t)len};
        rest.at += len;
    } while (TAKE(&rest, ","));
    if (!TAKE(&rest, "]}") || rest.at != rest.end)
        return false;
    *ret_rows = rows;
    *ret_n_rows = n_rows;
    return true;
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

/* As JSON has integers, and no "-0". */
static bool take_integer(struct rest *rest, int64_t *ret_value)
{
    bool negative = TAKE(rest, "-");
    const char *first = rest->at;
    int64_t value = 0;
    for (; rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9'; rest->at++) {
        int digit = *rest->at - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    size_t n = (size_t)(rest->at - first);
    if (n == 0 || (first[0] == '0' && (n > 1 || negative)))
        return false;
    *ret_value = value;
    return true;
}

static bool take_name(struct rest *rest, struct plain_range *range)
{
    const char *end = memchr(rest->at, '"', (size_t)(rest->end - rest->at));
    range->shard = rest->at;
    range->n_shard = end ? (size_t)(end - rest->at) : 0;
    if (!end || range->n_shard > NAME_MAX_BYTES || memchr(rest->at, '\\', range->n_shard))
        return false;
    char text[NAME_MAX_BYTES + 1] = "";
    memcpy(text, rest->at, range->n_shard);
    rest->at = end + 1;
    return strlen(text) == range->n_shard && name_valid(text);
}

bool plain_read_range(const struct schema *schema, const char *body, size_t n,
                      struct plain_range *ret_range)
{
    struct rest rest = rest_of(body, n);
    struct plain_range range = {0};
    const struct column *key = &schema->columns[0];
    if (TAKE(&rest, "{\"shard\":\"")) {
        if (!take_name(&rest, &range) || !TAKE(&rest, ",\""))
            return false;
    } else if (!TAKE(&rest, "{\"")) {
        return false;
    }
    if (!take(&rest, key->name, key->n_name) || !TAKE(&rest, "\":{\"low\":") ||
        !take_integer(&rest, &range.low) || !TAKE(&rest, ",\"high\":") ||
        !take_integer(&rest, &range.high) || !TAKE(&rest, "}}") || rest.at != rest.end ||
        range.low > range.high)
        return false;
    *ret_range = range;
    return true;
}
