#include "loadgen/student.h"

#include <errno.h>
#include <string.h>

#include "core/rng.h"

#define HASH_DIGITS 12
#define HASH_MASK ((UINT64_C(1) << (4 * HASH_DIGITS)) - 1)

static const char head[] = "{\"Stud_id\":", name_head[] = ",\"Stud_name\":\"",
                  marks_head[] = "\",\"Stud_marks\":";

#define COPY(to, literal) ((char *)memcpy(to, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

/* ---- numbers: rows are made and read by the hundred thousand a second -------------------------
 */

static char *print_decimal(char *to, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    memcpy(to, digits + sizeof(digits) - n, n);
    return to + n;
}

static char *print_key(char *to, int64_t key)
{
    if (key >= 0)
        return print_decimal(to, (uint64_t)key);
    *to++ = '-';
    return print_decimal(to, -(uint64_t)key);
}

/* NULL: no number, or one that does not fit. */
static const char *read_decimal(const char *at, const char *end, uint64_t *ret_value)
{
    const char *begin = at;
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return NULL;
    *ret_value = value;
    return at > begin ? at : NULL;
}

static const char *read_key(const char *at, const char *end, int64_t *ret_key)
{
    uint64_t size = 0;
    bool negative = at < end && *at == '-';
    at = read_decimal(at + negative, end, &size);
    if (!at || size > (uint64_t)INT64_MAX + negative)
        return NULL;
    *ret_key = (int64_t)(negative ? -size : size);
    return at;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static size_t print_row(char *text, int64_t key, uint64_t version)
{
    uint64_t hash = rng_mix64((uint64_t)key ^ rng_mix64(version));
    char *to = COPY(text, head);
    to = print_key(to, key);
    to = COPY(to, name_head);
    to = print_decimal(to, version);
    *to++ = '-';
    for (int shift = 4 * (HASH_DIGITS - 1); shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[(hash & HASH_MASK) >> shift & 0xf];
    to = COPY(to, marks_head);
    to = print_decimal(to, (hash >> 48) % 101u);
    *to++ = '}';
    return (size_t)(to - text);
}

void student_put(struct buf *out, int64_t key, uint64_t version)
{
    char *to = buf_reserve(out, STUDENT_ROW_BYTES);
    if (to)
        buf_commit(out, print_row(to, key, version));
}

/* The key of a row and where the rest of it begins; NULL: no row. */
static const char *read_head(const char *text, const char *end, int64_t *ret_key)
{
    if ((size_t)(end - text) < sizeof(head) || memcmp(text, head, sizeof(head) - 1) != 0)
        return NULL;
    return read_key(text + sizeof(head) - 1, end, ret_key);
}

size_t student_read(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_version)
{
    const char *end = text + n;
    char made[STUDENT_ROW_BYTES];
    int64_t key;
    uint64_t version;
    const char *at = read_head(text, end, &key);
    if (!at || (size_t)(end - at) < sizeof(name_head) ||
        memcmp(at, name_head, sizeof(name_head) - 1) != 0)
        return 0;
    at = read_decimal(at + sizeof(name_head) - 1, end, &version);
    if (!at || version > STUDENT_MAX_VERSION)
        return 0;
    size_t len = print_row(made, key, version);
    if (len > n || memcmp(made, text, len) != 0)
        return 0;
    *ret_key = key;
    *ret_version = version;
    return len;
}

/* One past the row's brace, which stands in no string; NULL: there is none. */
static const char *find_end(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted && *at == '\\')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && *at == '}')
            return at + 1;
    }
    return NULL;
}

/* Never a version, never STUDENT_NONE. */
static uint64_t foreign_value(const char *text, size_t n)
{
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++)
        hash = rng_mix64(hash ^ (unsigned char)text[i]);
    return (STUDENT_MAX_VERSION + 1) | (hash & (STUDENT_MAX_VERSION >> 1));
}

size_t student_read_any(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_value)
{
    size_t len = student_read(text, n, ret_key, ret_value);
    if (len > 0)
        return len;
    const char *at = read_head(text, text + n, ret_key);
    const char *end = at ? find_end(at, text + n) : NULL;
    if (!end)
        return 0;
    *ret_value = foreign_value(text, (size_t)(end - text));
    return (size_t)(end - text);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

int student_rows_begin(struct student_rows *rows, const char *body, size_t n, int64_t low,
                       int64_t last, bool any)
{
    static const char data[] = "\"data\":[";
    const char *at = n > 0 ? memmem(body, n, data, sizeof(data) - 1) : NULL;
    if (!at)
        return -EPROTO;
    *rows = (struct student_rows){.at = at + sizeof(data) - 1,
                                  .end = body + n,
                                  .low = low,
                                  .last = last,
                                  .next_low = low,
                                  .first = true,
                                  .any = any};
    return 0;
}

int student_rows_next(struct student_rows *rows, int64_t *ret_key, uint64_t *ret_value)
{
    int64_t key;
    uint64_t value;
    if (rows->at == rows->end)
        return -EPROTO;
    if (*rows->at == ']')
        return 0;
    if (!rows->first && *rows->at++ != ',')
        return -EPROTO;
    size_t left = (size_t)(rows->end - rows->at);
    size_t len = rows->any ? student_read_any(rows->at, left, &key, &value)
                           : student_read(rows->at, left, &key, &value);
    if (len == 0 || key < rows->next_low || key > rows->last ||
        (!rows->first && rows->next_low == INT64_MIN))
        return -EPROTO;
    rows->first = false;
    /* After the greatest key there is, none is in order. */
    rows->next_low = key < INT64_MAX ? key + 1 : INT64_MIN;
    rows->at += len;
    *ret_key = key;
    *ret_value = value;
    return 1;
}

int64_t student_count(const char *body, size_t n, int64_t low, int64_t last)
{
    struct student_rows rows;
    int64_t count = 0, key;
    uint64_t version;
    int rc = student_rows_begin(&rows, body, n, low, last, false);
    while (rc == 0 && (rc = student_rows_next(&rows, &key, &version)) == 1) {
        count++;
        rc = 0;
    }
    return rc == 0 ? count : -1;
}
